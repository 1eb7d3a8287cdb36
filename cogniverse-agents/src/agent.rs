//! The agent: one for all tenants and profiles.

use crate::{
    cursor::PageCursor,
    encoding::QueryEncoders,
    fusion,
    plan::{Plan, Planner},
    recall::{self, Outcome, Recall},
    request::{Grouping, LeakPolicy, SearchRequest},
    response::{Degradation, Evidence, ProfileAnswer, SearchResponse, SearchResult, Snippet},
    telemetry,
};
use cogniverse_core::{
    memory::{MemoryReport, MemoryService},
    schemas::SchemaManager,
    tenants::TenantRegistry,
};
use cogniverse_foundation::{ConfigManager, telemetry::TenantTelemetry};
use cogniverse_sdk::{
    BackendHit, BackendHits, BackendQuery, Error, ErrorKind, FieldValue, Matrix, ProfileName, QueryEncoder, Result,
    SearchBackend, StrategyName,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::task::JoinSet;
use tracing::Instrument;

/// Segments of each profile that are fused, or made into moments.
const WINDOW: usize = 500;

/// Searches the videos of any tenant in any profile. Cheap to clone; clones share caches.
#[derive(Debug, Clone)]
pub struct VideoSearchAgent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn SearchBackend>,
    tenants: TenantRegistry,
    planner: Arc<Planner>,
    encoders: Arc<QueryEncoders>,
    telemetry: Option<TenantTelemetry>,
    memory: Option<MemoryService>,
    on_leak: LeakPolicy,
    leaked: AtomicU64,
}

/// Puts an agent together. There is no place for a tenant or a profile: those come with each search.
#[derive(Debug)]
pub struct VideoSearchAgentBuilder {
    backend: Arc<dyn SearchBackend>,
    config: ConfigManager,
    schemas: SchemaManager,
    tenants: TenantRegistry,
    encoders: BTreeMap<String, Arc<dyn QueryEncoder>>,
    telemetry: Option<TenantTelemetry>,
    memory: Option<MemoryService>,
    on_leak: LeakPolicy,
}

impl VideoSearchAgentBuilder {
    /// Names a query encoder, as profiles name it.
    #[must_use]
    pub fn with_query_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn QueryEncoder>) -> Self {
        self.encoders.insert(name.into(), encoder);
        self
    }

    /// Brings tenants' telemetry configuration to the pipeline before their spans begin.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TenantTelemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Where what users like is remembered (default: nowhere).
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryService) -> Self {
        self.memory = Some(memory);
        self
    }

    /// What to do with a hit of another tenant's schema (default: fail the search).
    #[must_use]
    pub fn on_leak(mut self, policy: LeakPolicy) -> Self {
        self.on_leak = policy;
        self
    }

    /// The agent. Its caches are registered with the tenants, which empty them when a tenant is suspended.
    #[must_use]
    pub fn build(self) -> VideoSearchAgent {
        let planner = Arc::new(Planner::new(self.config, self.schemas));
        let encoders = Arc::new(QueryEncoders::new(self.encoders));
        self.tenants.register_cache(planner.clone());
        self.tenants.register_cache(encoders.clone());
        let Self { backend, tenants, telemetry, memory, on_leak, .. } = self;
        VideoSearchAgent {
            inner: Arc::new(Inner {
                backend,
                tenants,
                planner,
                encoders,
                telemetry,
                memory,
                on_leak,
                leaked: AtomicU64::new(0),
            }),
        }
    }
}

/// A profile's part of an answer.
struct Part {
    answer: ProfileAnswer,
    results: Vec<SearchResult>,
}

impl VideoSearchAgent {
    /// Begins an agent on a backend, with whose configuration, schemas and tenants it works.
    #[must_use]
    pub fn builder(
        backend: Arc<dyn SearchBackend>,
        config: ConfigManager,
        schemas: SchemaManager,
        tenants: TenantRegistry,
    ) -> VideoSearchAgentBuilder {
        VideoSearchAgentBuilder {
            backend,
            config,
            schemas,
            tenants,
            encoders: BTreeMap::new(),
            telemetry: None,
            memory: None,
            on_leak: LeakPolicy::default(),
        }
    }

    /// Searches one tenant's videos.
    ///
    /// # Errors
    /// - `NotFound`: the tenant, profile, schema or strategy does not exist; the message lists what does.
    /// - `FailedPrecondition`: the tenant is suspended, or the strategy needs an encoder that the profile does not have.
    /// - `InvalidInput`: the request, its filter, its vectors or its page cursor is wrong.
    /// - whatever an encoder or the backend fails with; an error is never an empty answer.
    ///
    /// # Cancellation
    /// Dropping the future ends the search soon and leaves nothing behind.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchResponse> {
        if let Err(error) = self.inner.tenants.require_active(&request.tenant).await {
            telemetry::refused(&error);
            return Err(error.with_operation("search"));
        }
        if let Some(telemetry) = &self.inner.telemetry {
            telemetry.apply(&request.tenant).await;
        }
        let span = telemetry::search(&request, self.says_content(&request));
        let result = self.run(request).instrument(span.clone()).await;
        match &result {
            Ok(response) => {
                span.record("search.hits", response.results.len());
                span.record("search.degraded", response.profiles.iter().any(|answer| answer.degraded.is_some()));
            }
            Err(error) => span.in_scope(|| telemetry::failed(error)),
        }
        result.map_err(|e| if e.operation().is_empty() { e.with_operation("search") } else { e })
    }

    /// Remembers what became of a result, so that later searches of the user recall it.
    ///
    /// # Errors
    /// `FailedPrecondition` where the agent has no memory or the tenant is suspended; `InvalidInput` for a query or video id that
    /// no memory can hold.
    pub async fn record_outcome(&self, outcome: Outcome) -> Result<MemoryReport> {
        recall::record(self.inner.memory.as_ref(), outcome).await.map_err(|e| e.with_operation("record_outcome"))
    }

    /// What is remembered, where it is asked for. A memory that fails is said and fails nothing.
    async fn recall(&self, request: &SearchRequest) -> Option<Recall> {
        let options = request.memory.as_ref()?;
        Some(recall::recall(self.inner.memory.as_ref(), &request.tenant, &request.query, options).await)
    }

    /// Whether the tenant allows its texts in spans.
    fn says_content(&self, request: &SearchRequest) -> bool {
        let telemetry = self.inner.telemetry.as_ref();
        telemetry.is_some_and(|telemetry| telemetry.manager().records_content(&request.tenant))
    }

    /// Hits of another tenant's schema that a backend answered, since the agent was built. Anything above 0 is a bug below.
    #[must_use]
    pub fn leaked_hits(&self) -> u64 {
        self.inner.leaked.load(Ordering::Relaxed)
    }

    async fn run(&self, request: SearchRequest) -> Result<SearchResponse> {
        request.check()?;
        let offset = PageCursor::offset(&request)?;
        let recall = self.recall(&request).await;
        let mut plans = Vec::with_capacity(request.profiles.len());
        for profile in &request.profiles {
            plans.push(self.inner.planner.plan(&request, profile, &self.inner.encoders).await?);
        }
        let request = Arc::new(request);
        // One profile's segments are paged by the backend; what is fused or merged is paged here, over a fixed window.
        let direct = plans.len() == 1 && request.grouping == Grouping::Segments;
        let (skip, take) = if direct { (offset, request.top_k) } else { (0, WINDOW) };
        let parts = self.search_all(&request, plans, skip, take).await?;
        let (answers, lists): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.answer, part.results)).unzip();
        let (results, total) = if direct {
            let matched = answers.first().map_or(0, |answer| usize::try_from(answer.matched).unwrap_or(usize::MAX));
            (lists.into_iter().flatten().collect::<Vec<_>>(), matched)
        } else {
            let fused = fusion::fuse(lists, request.grouping);
            let total = fused.len();
            (fused.into_iter().skip(offset).take(request.top_k).collect(), total)
        };
        let end = offset + results.len();
        let next = if end < total && !results.is_empty() { Some(PageCursor::at(end, &request)?) } else { None };
        Ok(SearchResponse { tenant: request.tenant.clone(), results, next, profiles: answers, recall })
    }

    /// All profiles at once, in the order asked. One that fails fails the search: a list without it would not say so.
    async fn search_all(
        &self,
        request: &Arc<SearchRequest>,
        plans: Vec<Plan>,
        skip: usize,
        take: usize,
    ) -> Result<Vec<Part>> {
        if let [plan] = plans.as_slice() {
            return Ok(vec![self.search_one(request, plan.clone(), skip, take).await?]);
        }
        let mut running = JoinSet::new();
        for (place, plan) in plans.into_iter().enumerate() {
            let (agent, request) = (self.clone(), Arc::clone(request));
            let search = async move { (place, agent.search_one(&request, plan, skip, take).await) };
            running.spawn(search.in_current_span());
        }
        let mut parts = BTreeMap::new();
        while let Some(joined) = running.join_next().await {
            let (place, part) = joined.map_err(|e| Error::unexpected("a search task ended early").with_source(e))?;
            parts.insert(place, part?);
        }
        Ok(parts.into_values().collect())
    }

    async fn search_one(&self, request: &SearchRequest, plan: Plan, skip: usize, take: usize) -> Result<Part> {
        let span = telemetry::retrieve(request, &plan, self.says_content(request));
        let part = self.retrieve(request, plan, skip, take).instrument(span.clone()).await;
        if let Err(error) = &part {
            span.in_scope(|| telemetry::failed(error));
        }
        part
    }

    async fn retrieve(&self, request: &SearchRequest, mut plan: Plan, skip: usize, take: usize) -> Result<Part> {
        let mut degraded = None;
        let vectors = match self.vectors(request, &plan).await {
            Ok(vectors) => vectors,
            Err(error) => {
                let Some(fallback) = plan.fallback.take() else {
                    return Err(error.with_context("profile", &plan.profile));
                };
                let reason = format!("the encoder failed: {}", error.chain());
                tracing::warn!(tenant.id = %request.tenant, profile = %plan.profile, "searching by words alone: {reason}");
                tracing::Span::current().record("search.degraded", reason.as_str());
                degraded = Some(Degradation { wanted: plan.strategy.name().clone(), reason });
                plan.strategy = fallback;
                plan.encoder = None;
                None
            }
        };
        let inputs = plan.strategy.inputs();
        let mut query = BackendQuery::new(plan.schema.clone(), plan.strategy.name().clone())
            .with_filter(plan.filter.clone())
            .with_page(skip, take)
            .with_timeout(request.timeout);
        if inputs.text || !request.query.is_empty() {
            query = query.with_text(&request.query);
        }
        if let Some(vectors) = vectors.filter(|_| inputs.vectors()) {
            query = query.with_vectors((*vectors).clone());
        }
        let found = self.inner.backend.search(query).await.inspect_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                self.inner.planner.forget_schema(&plan.schema);
            }
        })?;
        let BackendHits { hits, matched, coverage, .. } = self.without_leaks(found, &plan)?;
        let results: Vec<SearchResult> = hits
            .into_iter()
            .zip(skip + 1..)
            .map(|(hit, rank)| result(hit, rank, &plan.profile, plan.strategy.name()))
            .collect();
        tracing::Span::current().record("search.matched", matched);
        telemetry::found(&results, self.says_content(request));
        let answer = ProfileAnswer {
            profile: plan.profile,
            config_version: plan.config_version,
            schema: plan.schema.base().clone(),
            strategy: plan.strategy.name().clone(),
            encoder: plan.encoder.map(|encoder| encoder.info().model.clone()),
            matched,
            degraded,
            coverage,
        };
        Ok(Part { answer, results })
    }

    async fn vectors(&self, request: &SearchRequest, plan: &Plan) -> Result<Option<Arc<Matrix<f32>>>> {
        match (&plan.encoder, &request.query_vectors) {
            (Some(encoder), _) => {
                let span = telemetry::encode(request, &encoder.info().model, self.says_content(request));
                let encode = self.inner.encoders.encode(&request.tenant, encoder, &request.query);
                let vectors = encode.instrument(span.clone()).await;
                match &vectors {
                    Ok(rows) => drop(span.record("embedding.vectors", rows.len())),
                    Err(error) => span.in_scope(|| telemetry::failed(error)),
                }
                vectors.map(Some)
            }
            (None, given) => Ok(given.clone().map(Arc::new)),
        }
    }

    /// Checks every hit's tenant again (invariant 5).
    fn without_leaks(&self, mut found: BackendHits, plan: &Plan) -> Result<BackendHits> {
        let before = found.hits.len();
        found.hits.retain(|hit| hit.schema == plan.schema);
        let leaked = before - found.hits.len();
        if leaked > 0 {
            self.inner.leaked.fetch_add(leaked as u64, Ordering::Relaxed);
            tracing::error!(tenant.id = %plan.schema.tenant(), schema = %plan.schema, leaked, "the backend answered with hits of another schema");
            if self.inner.on_leak == LeakPolicy::Fail {
                return Err(Error::unexpected(format!(
                    "the backend answered {leaked} hits of another tenant's schema; they were dropped"
                ))
                .with_context("schema", &plan.schema));
            }
        }
        Ok(found)
    }
}

fn result(hit: BackendHit, rank: usize, profile: &ProfileName, strategy: &StrategyName) -> SearchResult {
    let document = &hit.document;
    let seconds = |field: &str| document.get(field).and_then(FieldValue::as_f64).unwrap_or_default();
    let spoken = document.text("audio_transcript");
    let text = if spoken.is_empty() { document.text("segment_description") } else { spoken };
    let snippets = hit.highlights.iter().map(|highlight| Snippet {
        field: highlight.field.clone(),
        text: document.text(highlight.field.as_str()).to_owned(),
        matches: highlight.ranges.clone(),
    });
    let evidence = Evidence {
        document_id: document.id.clone(),
        profile: profile.clone(),
        rank,
        score: hit.score,
        first_phase: hit.first_phase,
        start_time: seconds("start_time"),
        end_time: seconds("end_time"),
        snippets: snippets.collect(),
    };
    SearchResult {
        video_id: document.text("video_id").to_owned(),
        title: document.text("video_title").to_owned(),
        start_time: evidence.start_time,
        end_time: evidence.end_time,
        score: hit.score,
        strategy: strategy.clone(),
        profile: profile.clone(),
        segment_id: document.get("segment_id").and_then(FieldValue::as_i64).unwrap_or_default(),
        text: text.to_owned(),
        evidence: vec![evidence],
    }
}
