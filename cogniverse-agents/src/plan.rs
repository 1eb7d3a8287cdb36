//! Profile, schema, strategy and encoder of a search, decided and checked before anything is encoded.

use crate::{encoding::QueryEncoders, request::SearchRequest};
use cogniverse_core::{
    schemas::{Schema, SchemaManager, Strategy},
    tenants::TenantCache,
};
use cogniverse_foundation::{BackendProfile, ConfigManager};
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorKind, FieldName, Filter, ProfileName, QueryEncoder, Result, StrategyName, TenantId,
    TenantSchema, TensorShape, TensorType, VectorKind, filter::Range,
};
use lru::LruCache;
use parking_lot::Mutex;
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// What ranks where a profile has no encoder and names no strategy.
const WORDS_ONLY: &str = "bm25_only";
/// What ranks where a profile has an encoder and names no strategy: the first of these that its schema has.
const WITH_ENCODER: [&str; 3] = ["phased", "float_float", "semantic_search"];
/// How long a deployed schema is believed; the backend checks the strategy of every query all the same.
const SCHEMA_TIME: Duration = Duration::from_secs(5);
/// Deployed schemas that are kept.
const CACHED_SCHEMAS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// How one profile is going to be searched.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) profile: ProfileName,
    pub(crate) config_version: u64,
    pub(crate) schema: TenantSchema,
    pub(crate) strategy: Strategy,
    pub(crate) filter: Option<Filter>,
    pub(crate) encoder: Option<Arc<dyn QueryEncoder>>,
    /// What stands in for the strategy if the encoder fails and the request allows it.
    pub(crate) fallback: Option<Strategy>,
}

/// Makes plans.
#[derive(Debug)]
pub(crate) struct Planner {
    config: ConfigManager,
    schemas: SchemaManager,
    cache: Mutex<LruCache<TenantSchema, (Instant, Arc<Schema>)>>,
}

impl Planner {
    pub(crate) fn new(config: ConfigManager, schemas: SchemaManager) -> Self {
        Self { config, schemas, cache: Mutex::new(LruCache::new(CACHED_SCHEMAS)) }
    }

    pub(crate) async fn plan(
        &self,
        request: &SearchRequest,
        name: &ProfileName,
        encoders: &QueryEncoders,
    ) -> Result<Plan> {
        let profile = self.config.get_profile(&request.tenant, name).await?;
        let config = &profile.config.value;
        let schema_name = TenantSchema::new(&request.tenant, &config.schema);
        let schema = self.schema(&schema_name).await.map_err(|e| e.with_context("profile", name))?;
        let strategy = schema.strategy(&strategy_name(request, config, &schema)?)?.clone();
        let filter = filter(request)?;
        if let Some(filter) = &filter {
            schema.check_filter(filter)?;
        }
        let encoder = match (&config.encoder, strategy.inputs().vectors() && request.query_vectors.is_none()) {
            (_, false) => None,
            (Some(encoder), true) => {
                Some(Arc::clone(encoders.get(encoder).map_err(|e| e.with_context("profile", name))?))
            }
            (None, true) => return Err(no_encoder(name, &strategy)),
        };
        if let Some(encoder) = &encoder {
            check_encoder(encoder.info(), &strategy)
                .and_then(|()| config.check_encoder(encoder.info()))
                .map_err(|e| e.with_context("profile", name).with_context("schema", schema.name()))?;
        }
        let words = StrategyName::parse(WORDS_ONLY)?;
        let fallback = if request.allow_degraded { schema.strategy(&words).ok().cloned() } else { None };
        Ok(Plan {
            profile: name.clone(),
            config_version: profile.config.version,
            schema: schema_name,
            strategy,
            filter,
            encoder,
            fallback,
        })
    }

    async fn schema(&self, name: &TenantSchema) -> Result<Arc<Schema>> {
        if let Some((since, schema)) = self.cache.lock().get(name)
            && since.elapsed() < SCHEMA_TIME
        {
            return Ok(Arc::clone(schema));
        }
        let schema = self.schemas.schema(name.tenant(), name.base()).await?;
        self.cache.lock().put(name.clone(), (Instant::now(), Arc::clone(&schema)));
        Ok(schema)
    }

    /// A schema that the backend no longer has is not believed any longer.
    pub(crate) fn forget_schema(&self, name: &TenantSchema) {
        self.cache.lock().pop(name);
    }
}

impl TenantCache for Planner {
    fn forget_tenant(&self, tenant: &TenantId) {
        let mut cache = self.cache.lock();
        let own: Vec<TenantSchema> =
            cache.iter().map(|(schema, _)| schema).filter(|schema| schema.tenant() == tenant).cloned().collect();
        for schema in own {
            cache.pop(&schema);
        }
    }
}

fn strategy_name(request: &SearchRequest, profile: &BackendProfile, schema: &Schema) -> Result<StrategyName> {
    if let Some(named) = request.strategy.as_ref().or(profile.default_strategy.as_ref()) {
        return Ok(named.clone());
    }
    let has = |name: &&str| StrategyName::parse(name).is_ok_and(|name| schema.strategy(&name).is_ok());
    let by_vectors = profile.encoder.is_some() || request.query_vectors.is_some();
    let name =
        if by_vectors { WITH_ENCODER.iter().copied().find(|name| has(name)).unwrap_or(WORDS_ONLY) } else { WORDS_ONLY };
    Ok(StrategyName::parse(name)?)
}

/// The request's filter, and that a segment overlaps the asked-for stretch.
fn filter(request: &SearchRequest) -> Result<Option<Filter>> {
    let Some(range) = &request.time_range else { return Ok(request.filter.clone()) };
    let begins = Range { lt: Some(range.end().into()), ..Range::default() };
    let ends = Range { gt: Some(range.start().into()), ..Range::default() };
    let overlap =
        Filter::Range(FieldName::parse("start_time")?, begins).and(Filter::Range(FieldName::parse("end_time")?, ends));
    Ok(Some(match &request.filter {
        Some(filter) => filter.clone().and(overlap),
        None => overlap,
    }))
}

fn no_encoder(profile: &ProfileName, strategy: &Strategy) -> Error {
    Error::new(
        ErrorKind::FailedPrecondition,
        format!(
            "strategy \"{}\" needs query vectors and profile \"{profile}\" has no encoder; configure one, give query vectors, or use {WORDS_ONLY}",
            strategy.name()
        ),
    )
}

/// Dimensions and kind of the encoder's vectors against the strategy's inputs (invariant 17).
fn check_encoder(info: &EncoderInfo, strategy: &Strategy) -> Result<()> {
    let inputs = strategy.inputs();
    let fits = |tensor: &TensorType, dims: usize| {
        let kind = if tensor.shape() == TensorShape::Single { VectorKind::Single } else { VectorKind::Multi };
        kind == info.kind && dims == tensor.size()
    };
    let float = inputs.float.as_ref().is_none_or(|tensor| fits(tensor, info.dims));
    let binary = inputs.binary.as_ref().is_none_or(|tensor| fits(tensor, info.dims.div_ceil(8)));
    if float && binary {
        return Ok(());
    }
    let wanted: Vec<String> = [&inputs.float, &inputs.binary].into_iter().flatten().map(ToString::to_string).collect();
    Err(Error::invalid(format!(
        "encoder {} makes {:?} vectors of {} dimensions and strategy \"{}\" wants {}; choose another encoder or schema",
        info.model,
        info.kind,
        info.dims,
        strategy.name(),
        wanted.join(" and ")
    )))
}
