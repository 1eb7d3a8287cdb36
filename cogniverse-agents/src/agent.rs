//! The video search agent.

use crate::{
    cursor,
    encoding::QueryEncoders,
    fusion,
    plan::{Plan, Planner, join},
    recall::{self, Outcome, Recall},
    request::{Grouping, SearchRequest},
    response::{Degradation, Evidence, ProfileAnswer, SearchResponse, SearchResult},
    snippet::Snippet,
    telemetry,
};
use cogniverse_core::{
    guarded_backend::GuardedBackend,
    memory::{MemoryReport, MemoryService},
    metrics::ModalityMetricsTracker,
    schemas::SchemaManager,
    tenants::{Gate, TenantGrant},
};
use cogniverse_foundation::telemetry::TelemetryManager;
use cogniverse_sdk::{
    BackendHit, BackendHits, BackendQuery, Error, ErrorKind, FieldValue, Matrix, Modality, Operation, ProfileName,
    QueryEncoder, Result, SearchBackend, StrategyName,
};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The largest number of segments of each profile that are fused or merged into moments.
const WINDOW: usize = 500;

/// An agent that searches the videos of any tenant in any profile. Cheap to clone; clones share caches.
#[derive(Debug, Clone)]
pub struct VideoSearchAgent {
    inner: Arc<Inner>,
    gate: Gate,
}

#[derive(Debug)]
struct Inner {
    backend: GuardedBackend,
    planner: Arc<Planner>,
    encoders: Arc<QueryEncoders>,
    telemetry: Option<TelemetryManager>,
    memory: Option<MemoryService>,
    metrics: Option<ModalityMetricsTracker>,
}

/// A builder of [`VideoSearchAgent`]. It takes no tenant and no profile: those come with each search.
#[derive(Debug)]
pub struct VideoSearchAgentBuilder {
    backend: GuardedBackend,
    schemas: SchemaManager,
    gate: Gate,
    encoders: BTreeMap<String, Arc<dyn QueryEncoder>>,
    telemetry: Option<TelemetryManager>,
    memory: Option<MemoryService>,
    metrics: Option<ModalityMetricsTracker>,
}

impl VideoSearchAgentBuilder {
    /// Registers a query encoder under the name that profiles use.
    #[must_use]
    pub fn with_query_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn QueryEncoder>) -> Self {
        self.encoders.insert(name.into(), encoder);
        self
    }

    /// Sets the telemetry pipeline, which says for each tenant whether spans may record its texts.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: TelemetryManager) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Sets the memory service that recalls users' preferences (default: none).
    #[must_use]
    pub fn with_memory(mut self, memory: MemoryService) -> Self {
        self.memory = Some(memory);
        self
    }

    /// Sets the tracker in which searches are counted (default: none).
    #[must_use]
    pub fn with_metrics(mut self, metrics: ModalityMetricsTracker) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Builds the agent. Its caches are registered with the gate, which empties them of a tenant that is not served any
    /// more.
    #[must_use]
    pub fn build(self) -> VideoSearchAgent {
        let Self { backend, schemas, gate, encoders, telemetry, memory, metrics } = self;
        let planner = Arc::new(Planner::new(schemas, backend.clone()));
        let encoders = Arc::new(QueryEncoders::new(encoders));
        gate.register_cache(planner.clone());
        gate.register_cache(encoders.clone());
        if let Some(metrics) = &metrics {
            gate.register_cache(Arc::new(metrics.clone()));
        }
        VideoSearchAgent { inner: Arc::new(Inner { backend, planner, encoders, telemetry, memory, metrics }), gate }
    }
}

/// The hits to ask each profile for, and until when.
#[derive(Debug, Clone, Copy)]
struct Window {
    skip: usize,
    take: usize,
    deadline: Option<Instant>,
}

impl Window {
    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// One profile's part of a response.
struct Part {
    answer: ProfileAnswer,
    results: Vec<SearchResult>,
}

impl VideoSearchAgent {
    /// Creates a builder over a backend, schemas and a gate.
    #[must_use]
    pub fn builder(backend: GuardedBackend, schemas: SchemaManager, gate: Gate) -> VideoSearchAgentBuilder {
        VideoSearchAgentBuilder {
            backend,
            schemas,
            gate,
            encoders: BTreeMap::new(),
            telemetry: None,
            memory: None,
            metrics: None,
        }
    }

    /// Returns the same agent for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        Self { inner: Arc::clone(&self.inner), gate }
    }

    /// Searches one tenant's videos.
    ///
    /// # Errors
    /// - `NotFound`: the tenant, profile, schema or strategy does not exist; the message lists what does.
    /// - `FailedPrecondition`: the tenant is suspended, also during the search, or the strategy needs an encoder that the profile does not have.
    /// - `InvalidInput`: the request, its filter, its vectors or its page cursor is wrong.
    /// - `Timeout`: the request's time limit, which bounds everything, is over.
    /// - any error of an encoder or the backend: a failure is never reported as an empty result.
    ///
    /// # Cancellation
    /// A search whose future is dropped ends soon and leaves no state behind.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchResponse> {
        let grant = match self.gate.admit(&request.tenant, Operation::Search).await {
            Ok(grant) => grant.with_timeout(request.timeout),
            Err(error) => {
                telemetry::refused(&error);
                return Err(error.with_operation("search"));
            }
        };
        let span = telemetry::search(&request, self.says_content(&request));
        let (tenant, began) = (request.tenant.clone(), Instant::now());
        let result = grant.run(self.run(&grant, request)).instrument(span.clone()).await;
        if let Some(metrics) = &self.inner.metrics {
            let error = result.as_ref().err().map(Error::kind);
            metrics.record(&tenant, Modality::Video, began.elapsed(), error);
        }
        match &result {
            Ok(response) => {
                span.record("search.hits", response.results.len());
                span.record("search.degraded", response.profiles.iter().any(|answer| answer.degraded.is_some()));
            }
            Err(error) => span.in_scope(|| telemetry::failed(error)),
        }
        result.map_err(|e| if e.operation().is_empty() { e.with_operation("search") } else { e })
    }

    /// Records a user's verdict on a result, so that later searches of the user recall it.
    ///
    /// # Errors
    /// `FailedPrecondition` where the agent has no memory service or the tenant is suspended; `InvalidInput` for a
    /// query or video id that a memory cannot hold.
    pub async fn record_outcome(&self, outcome: Outcome) -> Result<MemoryReport> {
        let memory = self.inner.memory.as_ref().map(|memory| memory.for_caller(self.gate.clone()));
        recall::record(memory.as_ref(), outcome).await.map_err(|e| e.with_operation("record_outcome"))
    }

    /// Recalls memories where the request asks for it. A failure is reported in the response and does not fail the
    /// search.
    async fn recall(&self, grant: &TenantGrant, request: &SearchRequest) -> Option<Recall> {
        let options = request.memory.as_ref()?;
        let memory = self.inner.memory.as_ref().map(|memory| memory.for_caller(self.gate.within_call()));
        Some(recall::recall(memory.as_ref(), grant, &request.query, options).await)
    }

    /// Returns whether the tenant allows its texts in spans.
    fn says_content(&self, request: &SearchRequest) -> bool {
        let telemetry = self.inner.telemetry.as_ref();
        telemetry.is_some_and(|telemetry| telemetry.records_content(&request.tenant))
    }

    /// Returns the number of hits and documents of other tenants' schemas that the guard dropped. Any number above 0
    /// indicates a bug in the backend.
    #[must_use]
    pub fn leaked_hits(&self) -> u64 {
        self.inner.backend.leaked()
    }

    async fn run(&self, grant: &TenantGrant, request: SearchRequest) -> Result<SearchResponse> {
        request.check()?;
        let offset = cursor::offset(&request, grant.generation())?;
        let request = Arc::new(request);
        let mut recall = pin!(self.recall(grant, &request));
        let mut search = pin!(self.search_profiles(grant, &request, offset));
        let mut recalled = None;
        let mut response = loop {
            tokio::select! {
                found = &mut search => break found?,
                found = &mut recall, if recalled.is_none() => recalled = Some(found),
            }
        };
        response.recall = match recalled {
            Some(recall) => recall,
            None => recall.await,
        };
        Ok(response)
    }

    async fn search_profiles(
        &self,
        grant: &TenantGrant,
        request: &Arc<SearchRequest>,
        offset: usize,
    ) -> Result<SearchResponse> {
        let mut plans = Vec::with_capacity(request.profiles.len());
        for profile in &request.profiles {
            plans.push(self.inner.planner.plan(grant, request, profile, &self.inner.encoders).await?);
        }
        // One profile's segments are paged by the backend; what is fused or merged is paged here, over a fixed window.
        let direct = plans.len() == 1 && request.grouping == Grouping::Segments;
        let (skip, take) = if direct { (offset, request.top_k) } else { (0, WINDOW) };
        let window = Window { skip, take, deadline: grant.deadline() };
        let parts = self.search_all(request, plans, window).await?;
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
        let next =
            if end < total && !results.is_empty() { Some(cursor::at(end, request, grant.generation())?) } else { None };
        Ok(SearchResponse { tenant: request.tenant.clone(), results, next, profiles: answers, recall: None })
    }

    /// Searches all profiles concurrently, in request order. One failure fails the search, as a list without that
    /// profile would look complete.
    async fn search_all(
        &self,
        request: &Arc<SearchRequest>,
        mut plans: Vec<Plan>,
        window: Window,
    ) -> Result<Vec<Part>> {
        if plans.len() == 1
            && let Some(plan) = plans.pop()
        {
            return Ok(vec![self.search_one(request, plan, window).await?]);
        }
        let mut running = JoinSet::new();
        for (place, plan) in plans.into_iter().enumerate() {
            let (agent, request) = (self.clone(), Arc::clone(request));
            let search = async move { (place, agent.search_one(&request, plan, window).await) };
            running.spawn(search.in_current_span());
        }
        let mut parts = BTreeMap::new();
        while let Some(joined) = running.join_next().await {
            let (place, part) = joined.map_err(|e| Error::unexpected("a search task ended early").with_source(e))?;
            parts.insert(place, part?);
        }
        Ok(parts.into_values().collect())
    }

    async fn search_one(&self, request: &SearchRequest, plan: Plan, window: Window) -> Result<Part> {
        let span = telemetry::retrieve(request, &plan, self.says_content(request));
        let part = self.retrieve(request, plan, window).instrument(span.clone()).await;
        if let Err(error) = &part {
            span.in_scope(|| telemetry::failed(error));
        }
        part
    }

    async fn retrieve(&self, request: &SearchRequest, mut plan: Plan, window: Window) -> Result<Part> {
        let vectors = match self.vectors(request, &plan).await {
            Ok(vectors) => vectors,
            Err(error) if plan.fall_back(format!("the encoder failed: {}", error.chain())) => None,
            Err(error) => return Err(error.with_context("profile", &plan.profile)),
        };
        if let Some(Degradation { reason, .. }) = &plan.degraded {
            tracing::warn!(tenant.id = %request.tenant, profile = %plan.profile, "searching by words alone: {reason}");
        }
        let mut filter = plan.filter.clone();
        if plan.encoder.is_some() {
            filter = join(filter, plan.comparable.clone());
            if plan.left_out > 0 {
                plan.degraded =
                    Some(Degradation { wanted: plan.strategy.name().clone(), reason: plan.left_out_reason() });
            }
        }
        if let Some(Degradation { reason, .. }) = &plan.degraded {
            tracing::Span::current().record("search.degraded", reason.as_str());
        }
        let inputs = plan.strategy.inputs();
        let mut query = BackendQuery::new(plan.schema.clone(), plan.strategy.name().clone())
            .with_filter(filter)
            .with_page(window.skip, window.take)
            .with_timeout(window.time_left());
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
        let BackendHits { hits, matched, coverage, .. } = found;
        let results: Vec<SearchResult> = hits
            .into_iter()
            .zip(window.skip + 1..)
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
            degraded: plan.degraded,
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
}

fn result(hit: BackendHit, rank: usize, profile: &ProfileName, strategy: &StrategyName) -> SearchResult {
    let document = &hit.document;
    let seconds = |field: &str| document.get(field).and_then(FieldValue::as_f64).unwrap_or_default();
    let spoken = document.text("audio_transcript");
    let text = if spoken.is_empty() { document.text("segment_description") } else { spoken };
    let snippets = hit.highlights.iter().map(|highlight| {
        let text = document.text(highlight.field.as_str()).to_owned();
        Snippet::new(highlight.field.clone(), text, highlight.ranges.clone())
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
