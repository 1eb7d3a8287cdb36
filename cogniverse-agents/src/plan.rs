//! Search plans: profile, schema, strategy and encoder, checked before the query is encoded.

use crate::{encoding::QueryEncoders, request::SearchRequest, response::Degradation, tenant_lru::TenantLru};
use cogniverse_core::{
    guarded_backend::GuardedBackend,
    schemas::{Schema, SchemaManager, Strategy, provenance},
    tenants::{TenantCache, TenantGrant},
    text::check_words,
};
use cogniverse_foundation::{BackendProfile, RoutingConfig};
use cogniverse_sdk::{
    DocumentStore, EncoderInfo, Error, ErrorCode, FieldName, Filter, MetadataName, MetadataType, Modality, ProfileName,
    QueryEncoder, Result, SchemaName, StrategyName, TenantId, TenantSchema, TensorShape, TensorType, VectorKind,
    filter::Range,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// The default strategy of a profile without an encoder.
const WORDS_ONLY: &str = "bm25_only";
/// The default strategies of a profile with an encoder; the first that its schema has is used.
const WITH_ENCODER: [&str; 3] = ["phased", "float_float", "semantic_search"];
/// The default strategy before those where the query has words too: words and vectors fused.
const WITH_WORDS: &str = "hybrid_fused";
/// The time for which a deployed schema is cached; the backend still checks the strategy of every query.
const SCHEMA_TIME: Duration = Duration::from_secs(5);
/// The number of cached schemas.
const CACHED_SCHEMAS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The plan of a search in one profile.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) profile: ProfileName,
    /// The kinds of content that the profile's segments are, the main one first.
    pub(crate) modalities: Vec<Modality>,
    /// The weight of the profile where several are fused.
    pub(crate) weight: f64,
    pub(crate) config_version: u64,
    /// The metadata that the profile declares.
    pub(crate) metadata: BTreeMap<MetadataName, MetadataType>,
    pub(crate) schema: TenantSchema,
    pub(crate) strategy: Strategy,
    pub(crate) filter: Option<Filter>,
    /// The filter for segments whose vectors the encoder can be compared with; `None` where the schema does not
    /// record it.
    pub(crate) comparable: Option<Filter>,
    /// The number of the profile's segments that cannot be compared.
    pub(crate) left_out: u64,
    pub(crate) encoder: Option<Arc<dyn QueryEncoder>>,
    /// The strategy to use if the encoder fails and the request allows it.
    pub(crate) fallback: Option<Strategy>,
    /// The reason a fallback strategy is already in use.
    pub(crate) degraded: Option<Degradation>,
}

impl Plan {
    /// Falls back to text search if the request allows it, and returns whether it did.
    pub(crate) fn fall_back(&mut self, reason: String) -> bool {
        let Some(fallback) = self.fallback.take() else { return false };
        self.degraded = Some(Degradation { wanted: self.strategy.name().clone(), reason });
        (self.strategy, self.encoder) = (fallback, None);
        true
    }

    /// Returns the reason why a vector search does not cover all segments.
    pub(crate) fn left_out_reason(&self) -> String {
        let encoder = self.encoder.as_ref().map_or("the encoder", |encoder| &encoder.info().model);
        format!(
            "{} segments are left out: their vectors were made by another model than {encoder}, or do not say by which; ingest them again",
            self.left_out
        )
    }
}

/// The factory of plans.
#[derive(Debug)]
pub(crate) struct Planner {
    schemas: SchemaManager,
    backend: GuardedBackend,
    cache: TenantLru<TenantSchema, (Instant, Arc<Schema>)>,
    holdings: TenantLru<HoldingKey, (Instant, Holding)>,
    deployed: TenantLru<(), (Instant, Arc<BTreeSet<SchemaName>>)>,
}

/// The cache key: schema, profile, and the encoder if one is used.
type HoldingKey = (TenantSchema, ProfileName, Option<EncoderInfo>);

/// The segments of a profile in a schema.
#[derive(Debug, Clone, Default)]
struct Holding {
    /// The filter for the profile's segments; `None` where all are.
    seen: Option<Filter>,
    /// The number of segments whose vectors another encoder made.
    left_out: u64,
    /// The number of the profile's segments, if there are any and none has the encoder's vectors.
    without_vectors: Option<u64>,
}

impl Planner {
    pub(crate) fn new(schemas: SchemaManager, backend: GuardedBackend) -> Self {
        let (cache, holdings) = (TenantLru::new(CACHED_SCHEMAS), TenantLru::new(CACHED_SCHEMAS));
        Self { schemas, backend, cache, holdings, deployed: TenantLru::new(CACHED_SCHEMAS) }
    }

    /// Plans the search of one profile; a later page has the strategy of the first.
    pub(crate) async fn plan(
        &self,
        grant: &TenantGrant,
        request: &SearchRequest,
        (name, pinned): (&ProfileName, Option<&StrategyName>),
        encoders: &QueryEncoders,
    ) -> Result<Plan> {
        let profile = grant.config().profile(name)?;
        let config = &profile.config.value;
        let schema_name = TenantSchema::new(&request.tenant, &config.schema);
        let schema = self.schema(&schema_name).await.map_err(|e| e.with_context("profile", name))?;
        let routing = &grant.routing()?.value;
        let strategy = match pinned {
            Some(pinned) => pinned.clone(),
            None => strategy_name(request, config, routing, &schema)?,
        };
        let strategy = schema.strategy(&strategy)?.clone();
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
        if encoder.is_some() || strategy.inputs().text {
            check_words(&request.query)?;
        }
        let info = encoder.as_ref().map(|encoder| encoder.info());
        let holding = self.holding(grant, &schema_name, &schema, (name, info)).await?;
        let filter = join(filter, holding.seen);
        let comparable = info.map(|info| provenance::of_encoder(&schema, info)).transpose()?.flatten();
        let words = StrategyName::parse(WORDS_ONLY)?;
        let fallback = if request.allow_degraded { schema.strategy(&words).ok().cloned() } else { None };
        let mut plan = Plan {
            profile: name.clone(),
            modalities: config.routed_for().to_vec(),
            weight: routing.fusion_weights.get(name).copied().unwrap_or(1.0),
            config_version: profile.config.version,
            metadata: config.metadata.clone(),
            schema: schema_name,
            strategy,
            filter,
            comparable,
            left_out: holding.left_out,
            encoder,
            fallback,
            degraded: None,
        };
        if let (Some(held), Some(encoder)) = (holding.without_vectors, &plan.encoder) {
            let error = no_vectors(name, encoder.info(), held, holding.left_out);
            if plan.fallback.is_none() {
                return Err(error);
            }
            plan.fall_back(error.message().to_owned());
        }
        Ok(plan)
    }

    pub(crate) async fn schema(&self, name: &TenantSchema) -> Result<Arc<Schema>> {
        if let Some((since, schema)) = self.cache.get(name.tenant(), name)
            && since.elapsed() < SCHEMA_TIME
        {
            return Ok(schema);
        }
        let schema = self.schemas.schema(name.tenant(), name.base()).await?;
        self.cache.put(name.tenant(), name.clone(), (Instant::now(), Arc::clone(&schema)));
        Ok(schema)
    }

    /// Returns the base schemas that a tenant has deployed, as of 5 s ago at most; older where they cannot be listed, as
    /// a backend may search while the part that lists is down. None at all is never cached.
    pub(crate) async fn deployed(&self, tenant: &TenantId) -> Result<Arc<BTreeSet<SchemaName>>> {
        let known = self.deployed.get(tenant, &());
        if let Some((since, known)) = &known
            && since.elapsed() < SCHEMA_TIME
        {
            return Ok(Arc::clone(known));
        }
        match (self.schemas.list(tenant).await, known) {
            (Ok(listed), _) => {
                let bases: BTreeSet<SchemaName> = listed.iter().map(|found| found.schema.base().clone()).collect();
                let bases = Arc::new(bases);
                if !bases.is_empty() {
                    self.deployed.put(tenant, (), (Instant::now(), Arc::clone(&bases)));
                }
                Ok(bases)
            }
            (Err(error), Some((_, stale))) => {
                tracing::warn!(tenant.id = %tenant, "what is deployed cannot be listed, the last list is used: {}", error.chain());
                Ok(stale)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Returns the segments of the profile in a schema, cached like the schema, except that absence is never cached.
    async fn holding(
        &self,
        grant: &TenantGrant,
        name: &TenantSchema,
        schema: &Schema,
        (profile, encoder): (&ProfileName, Option<&EncoderInfo>),
    ) -> Result<Holding> {
        let key = (name.clone(), profile.clone(), encoder.cloned());
        if let Some((since, holding)) = self.holdings.get(name.tenant(), &key)
            && since.elapsed() < SCHEMA_TIME
        {
            return Ok(holding);
        }
        let Some(of_profile) = provenance::of_profile(schema, profile)? else {
            return Ok(Holding::default());
        };
        let count = async |filter: Option<Filter>| self.backend.count(name, filter.as_ref()).await;
        let own = count(Some(of_profile)).await? > 0;
        // Segments that do not say by which profile they were cut are of all of them: nothing that was stored before is lost.
        let others = grant.config().profiles()?;
        let others = others.filter(|other| other.name != *profile && other.config.value.schema == *name.base());
        let others: Vec<ProfileName> = others.map(|other| other.name.clone()).collect();
        let seen = if own { provenance::of_none_of(schema, &others)? } else { None };
        let mut holding = Holding { seen, left_out: 0, without_vectors: None };
        if let Some(info) = encoder
            && let Some(others) = provenance::of_other_encoders(schema, info)?
        {
            holding.left_out = count(join(holding.seen.clone(), Some(others))).await?;
            let comparable = provenance::of_encoder(schema, info)?;
            if count(join(holding.seen.clone(), comparable)).await? == 0 {
                // Of nothing at all, nothing is found and nothing is wrong. Neither is believed: the next ingest changes it.
                let held = count(holding.seen.clone()).await?;
                return Ok(Holding { without_vectors: (held > 0).then_some(held), ..holding });
            }
        }
        self.holdings.put(name.tenant(), key, (Instant::now(), holding.clone()));
        Ok(holding)
    }

    /// Forgets a cached schema that the backend no longer has.
    pub(crate) fn forget_schema(&self, name: &TenantSchema) {
        self.cache.remove(name.tenant(), name);
        self.deployed.remove(name.tenant(), &());
    }
}

impl TenantCache for Planner {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.cache.forget_tenant(tenant);
        self.holdings.forget_tenant(tenant);
        self.deployed.forget_tenant(tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.cache.holds(tenant) + self.holdings.holds(tenant) + self.deployed.holds(tenant)
    }
}

fn strategy_name(
    request: &SearchRequest,
    profile: &BackendProfile,
    routing: &RoutingConfig,
    schema: &Schema,
) -> Result<StrategyName> {
    if let Some(named) = request.strategy.as_ref().or(profile.default_strategy.as_ref()) {
        return Ok(named.clone());
    }
    let has = |name: &&str| StrategyName::parse(name).is_ok_and(|name| schema.strategy(&name).is_ok());
    let by_vectors = profile.encoder.is_some() || request.query_vectors.is_some();
    // The tenant's own, for all its profiles: not every schema has it, and not every profile an encoder.
    if let Some(own) = &routing.default_strategy
        && schema.strategy(own).is_ok_and(|strategy| by_vectors || !strategy.inputs().vectors())
    {
        return Ok(own.clone());
    }
    let fused = std::iter::once(WITH_WORDS).filter(|_| check_words(&request.query).is_ok());
    let name = match by_vectors {
        true => fused.chain(WITH_ENCODER).find(has).unwrap_or(WORDS_ONLY),
        false => WORDS_ONLY,
    };
    Ok(StrategyName::parse(name)?)
}

/// Combines the request's filter with its time range.
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

/// Combines two optional filters with AND.
pub(crate) fn join(first: Option<Filter>, second: Option<Filter>) -> Option<Filter> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first.and(second)),
        (first, second) => first.or(second),
    }
}

fn no_vectors(profile: &ProfileName, encoder: &EncoderInfo, held: u64, others: u64) -> Error {
    Error::of(
        ErrorCode::SegmentsWithoutVectors,
        format!(
            "none of the {held} segments of profile \"{profile}\" has vectors that encoder {} made ({others} have another model's, or do not say whose); ingest them again with it, give the profile the encoder that made them, or use {WORDS_ONLY}",
            encoder.model
        ),
    )
}

fn no_encoder(profile: &ProfileName, strategy: &Strategy) -> Error {
    Error::of(
        ErrorCode::EncoderMissing,
        format!(
            "strategy \"{}\" needs query vectors and profile \"{profile}\" has no encoder; configure one, give query vectors, or use {WORDS_ONLY}",
            strategy.name()
        ),
    )
}

/// Checks the dimensions and kind of the encoder's vectors against the strategy's inputs ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
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
    Err(Error::of(
        ErrorCode::EncoderMismatch,
        format!(
            "encoder {} makes {:?} vectors of {} dimensions and strategy \"{}\" wants {}; choose another encoder or schema",
            info.model,
            info.kind,
            info.dims,
            strategy.name(),
            wanted.join(" and ")
        ),
    ))
}
