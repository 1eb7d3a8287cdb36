//! The video search agent.

use crate::{
    answer,
    arrange::{Arrangement, Choice},
    cursor,
    encoding::QueryEncoders,
    experience::ExperienceRecorder,
    like,
    picture::{self, PictureEncoders},
    plan::{Plan, Planner},
    recall::{self, Outcome, OutcomeReport, Recall},
    record::{Laps, SearchObserver, SearchRecord, milliseconds},
    request::{AnswerMode, SearchRequest},
    rerank::Rerankers,
    response::{Answer, SearchResponse, SearchResult, Statement},
    retrieve::Retriever,
    route::{self, Routed},
    routing::{Route, Router},
    telemetry,
};
use cogniverse_core::{
    guarded_backend::GuardedBackend,
    memory::MemoryService,
    metrics::ModalityMetricsTracker,
    models::ModelRegistry,
    schemas::SchemaManager,
    tenants::{Gate, TenantGrant},
};
use cogniverse_foundation::telemetry::{TelemetryManager, TraceId};
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Feedback, Generation, Operation, PictureEncoder, ProfileName, QueryEncoder, Reranker,
    Result, SearchId, TenantId,
};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Instrument;

/// The time before the end of a search at which a text is given up.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// An agent that searches the videos of any tenant in any profile. Cheap to clone; clones share caches.
#[derive(Debug, Clone)]
pub struct VideoSearchAgent {
    inner: Arc<Inner>,
    gate: Gate,
}

#[derive(Debug)]
struct Inner {
    retriever: Retriever,
    picture_encoders: PictureEncoders,
    router: Router,
    rerankers: Arc<Rerankers>,
    telemetry: Option<TelemetryManager>,
    memory: Option<MemoryService>,
    metrics: Option<ModalityMetricsTracker>,
    observers: Vec<Arc<dyn SearchObserver>>,
    experience: Option<ExperienceRecorder>,
}

/// A builder of [`VideoSearchAgent`]. It takes no tenant and no profile: those come with each search.
#[derive(Debug)]
pub struct VideoSearchAgentBuilder {
    backend: GuardedBackend,
    schemas: SchemaManager,
    gate: Gate,
    encoders: BTreeMap<String, Arc<dyn QueryEncoder>>,
    picture_encoders: PictureEncoders,
    rerankers: BTreeMap<String, Arc<dyn Reranker>>,
    models: Option<ModelRegistry>,
    telemetry: Option<TelemetryManager>,
    memory: Option<MemoryService>,
    metrics: Option<ModalityMetricsTracker>,
    observers: Vec<Arc<dyn SearchObserver>>,
    experience: Option<ExperienceRecorder>,
}

impl VideoSearchAgentBuilder {
    /// Registers a query encoder under the name that profiles use.
    #[must_use]
    pub fn with_query_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn QueryEncoder>) -> Self {
        self.encoders.insert(name.into(), encoder);
        self
    }

    /// Registers an encoder of pictures under the name that profiles use.
    #[must_use]
    pub fn with_picture_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn PictureEncoder>) -> Self {
        self.picture_encoders.insert(name.into(), encoder);
        self
    }

    /// Registers a reranker under the name that requests and tenants' configurations use.
    #[must_use]
    pub fn with_reranker(mut self, name: impl Into<String>, reranker: Arc<dyn Reranker>) -> Self {
        self.rerankers.insert(name.into(), reranker);
        self
    }

    /// Sets the registry of tenants' language models, which route, rerank and write answers (default: none).
    #[must_use]
    pub fn with_models(mut self, models: ModelRegistry) -> Self {
        self.models = Some(models);
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

    /// Sets the recorder of experiences, from which routing learns (default: none).
    #[must_use]
    pub fn with_experience(mut self, experience: ExperienceRecorder) -> Self {
        self.experience = Some(experience);
        self
    }

    /// Adds an observer of every search.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn SearchObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Builds the agent. Its caches are registered with the gate, which empties them of a tenant that is not served any
    /// more.
    #[must_use]
    pub fn build(self) -> VideoSearchAgent {
        let Self {
            backend,
            schemas,
            gate,
            encoders,
            picture_encoders,
            rerankers,
            models,
            telemetry,
            memory,
            metrics,
            observers,
            experience,
        } = self;
        let planner = Arc::new(Planner::new(schemas, backend.clone()));
        let encoders = Arc::new(QueryEncoders::new(encoders));
        let rerankers = Arc::new(Rerankers::new(rerankers, models.clone()));
        let router = Router::new(models);
        gate.register_cache(planner.clone());
        gate.register_cache(encoders.clone());
        gate.register_cache(rerankers.clone());
        gate.register_cache(Arc::new(router.clone()));
        if let Some(metrics) = &metrics {
            gate.register_cache(Arc::new(metrics.clone()));
        }
        if let Some(experience) = &experience {
            gate.register_cache(Arc::new(experience.clone()));
        }
        let retriever = Retriever { backend, planner, encoders };
        let inner =
            Inner { retriever, picture_encoders, router, rerankers, telemetry, memory, metrics, observers, experience };
        VideoSearchAgent { inner: Arc::new(inner), gate }
    }
}

/// An event of a search under way.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SearchEvent<'e> {
    /// The results are found; a text may follow.
    Results(&'e [SearchResult]),
    /// A statement of the text is written, with its citations. The response's answer is what counts: where a server tells the end
    /// of a model's reasoning and not its beginning, what was written before that end is not in it.
    Statement(&'e Statement),
}

/// The receiver of what a search tells.
type Events<'e> = &'e mut (dyn for<'s> FnMut(SearchEvent<'s>) + Send);

impl VideoSearchAgent {
    /// Creates a builder over a backend, schemas and a gate.
    #[must_use]
    pub fn builder(backend: GuardedBackend, schemas: SchemaManager, gate: Gate) -> VideoSearchAgentBuilder {
        VideoSearchAgentBuilder {
            backend,
            schemas,
            gate,
            encoders: BTreeMap::new(),
            picture_encoders: PictureEncoders::new(),
            rerankers: BTreeMap::new(),
            models: None,
            telemetry: None,
            memory: None,
            metrics: None,
            observers: Vec::new(),
            experience: None,
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
    /// - `NotFound`: the tenant, profile, schema, strategy or reranker does not exist; the message lists what does. A
    ///   routed search of a tenant without a deployed profile is one too.
    /// - `FailedPrecondition`: the tenant is suspended, also during the search, or the strategy needs an encoder that the profile does not have.
    /// - `InvalidInput`: the request, its filter, its vectors or its page cursor is wrong.
    /// - `Timeout`: the request's time limit, which bounds everything, is over.
    /// - any error of an encoder or the backend: a failure is never reported as an empty result.
    ///
    /// A failure of the router, a reranker or the model that writes a text is told in the response.
    ///
    /// # Cancellation
    /// A search whose future is dropped ends soon and leaves no state behind.
    pub async fn search(&self, request: SearchRequest) -> Result<SearchResponse> {
        self.search_streamed(request, |_| {}).await
    }

    /// Searches one tenant's videos, and tells what is known as soon as it is: first the results, then each statement of
    /// the text.
    ///
    /// # Errors
    /// Those of [`VideoSearchAgent::search`].
    ///
    /// # Cancellation
    /// As [`VideoSearchAgent::search`].
    pub async fn search_streamed(
        &self,
        request: SearchRequest,
        mut events: impl for<'s> FnMut(SearchEvent<'s>) + Send,
    ) -> Result<SearchResponse> {
        let grant = match self.gate.admit(&request.tenant, Operation::Search).await {
            Ok(grant) => grant.with_timeout(request.timeout),
            Err(error) => {
                telemetry::refused(&error);
                return Err(error.with_operation("search"));
            }
        };
        let content = self.says_content(&request.tenant);
        let mut record = SearchRecord::begin(search_id()?, request.tenant.clone(), self.gate.clock().now());
        let span = telemetry::search(&request, &record.id, content);
        record.is_first_page = request.cursor.is_none();
        record.query = content.then(|| request.query.clone());
        let query = self.inner.experience.as_ref().map(|_| request.query.clone());
        let began = Instant::now();
        let result = grant.run(self.run(&grant, request, &mut record, &mut events)).instrument(span.clone()).await;
        let elapsed = began.elapsed();
        record.times.total_ms = milliseconds(elapsed);
        // A text is what was asked for, and no slowness of the search.
        let searched = elapsed.saturating_sub(Duration::from_secs_f64(record.times.answer_ms / 1000.0));
        let error = result.as_ref().err();
        record.error = error.map(Error::code);
        if let Some(metrics) = &self.inner.metrics {
            metrics.record(&record.tenant, record.modality(), searched, error.map(Error::kind));
        }
        telemetry::ended(&span, &record);
        if let Some(error) = error {
            span.in_scope(|| telemetry::failed(error));
        }
        if let (Some(experience), Some(query)) = (&self.inner.experience, query) {
            experience.record(&grant, &record, &query);
        }
        self.inner.observers.iter().for_each(|observer| observer.observe(&record));
        result.map_err(|e| if e.operation().is_empty() { e.with_operation("search") } else { e })
    }

    /// Decides what a query of a tenant asks for and which of its deployed profiles would be searched, without searching.
    ///
    /// # Errors
    /// Those of a routed [`VideoSearchAgent::search`] before it searches.
    pub async fn route(&self, tenant: &TenantId, query: &str) -> Result<Route> {
        let grant = self.gate.admit(tenant, Operation::Search).await?;
        let request = SearchRequest::routed(tenant.clone(), query);
        request.check()?;
        let mut record = SearchRecord::begin(search_id()?, tenant.clone(), self.gate.clock().now());
        let first = cursor::Position::Offset(0);
        let routed = async {
            let mut routed = self.routed(&grant, &request, &first, &mut record).await?;
            // What could not be planned would be left out.
            self.plans(&grant, &request, &first, &mut routed).await?;
            Ok(routed)
        };
        let routed = grant.run(routed).await?;
        routed.route.ok_or_else(|| Error::unexpected("a query was not routed"))
    }

    /// Records a user's verdict on a result, so that later searches of the user recall it, and routing learns from it
    /// where it names its search.
    ///
    /// # Errors
    /// `FailedPrecondition` where the agent has no memory service and the verdict names no search, or the tenant is
    /// suspended; `InvalidInput` for a query or video id that a memory cannot hold.
    pub async fn record_outcome(&self, outcome: Outcome) -> Result<OutcomeReport> {
        let memory = self.inner.memory.as_ref().map(|memory| memory.for_caller(self.gate.clone()));
        let search = outcome.search.clone().filter(|_| self.inner.experience.is_some());
        let (tenant, feedback, profile) = (outcome.tenant.clone(), outcome.verdict.feedback(), outcome.profile.clone());
        let memory = match memory {
            None if search.is_some() => None,
            memory => {
                Some(recall::record(memory.as_ref(), outcome).await.map_err(|e| e.with_operation("record_outcome"))?)
            }
        };
        let learned = match search {
            Some(search) => self.record_feedback(&tenant, &search, feedback, profile).await?,
            None => false,
        };
        Ok(OutcomeReport { memory, learned })
    }

    /// Records what a user did with the results of a routed search, so that routing can learn from it; `profile` is that of
    /// the result. Returns whether there is an experience of the search: not of one that named its profiles, of a later
    /// page, or of one that is too old.
    ///
    /// # Errors
    /// `FailedPrecondition` where the agent records no experience; those of the gate for remembering.
    pub async fn record_feedback(
        &self,
        tenant: &TenantId,
        search: &SearchId,
        feedback: Feedback,
        profile: Option<ProfileName>,
    ) -> Result<bool> {
        let grant = self.gate.admit(tenant, Operation::Remember).await?;
        let experience = self.inner.experience.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::FailedPrecondition,
                "this agent records no experience; give its builder an ExperienceRecorder",
            )
        })?;
        grant.run(experience.feedback(tenant, search, feedback, profile)).await
    }

    /// Recalls memories where the request asks for it. A failure is reported in the response and does not fail the
    /// search.
    async fn recall(&self, grant: &TenantGrant, request: &SearchRequest) -> Option<Recall> {
        let options = request.memory.as_ref()?;
        let memory = self.inner.memory.as_ref().map(|memory| memory.for_caller(self.gate.within_call()));
        Some(recall::recall(memory.as_ref(), grant, &request.query, options).await)
    }

    /// Returns whether the tenant allows its texts in spans.
    fn says_content(&self, tenant: &TenantId) -> bool {
        self.inner.telemetry.as_ref().is_some_and(|telemetry| telemetry.records_content(tenant))
    }

    /// Returns the number of hits and documents of other tenants' schemas that the guard dropped. Any number above 0
    /// indicates a bug in the backend.
    #[must_use]
    pub fn leaked_hits(&self) -> u64 {
        self.inner.retriever.backend.leaked()
    }

    async fn run(
        &self,
        grant: &TenantGrant,
        request: SearchRequest,
        record: &mut SearchRecord,
        events: Events<'_>,
    ) -> Result<SearchResponse> {
        request.check()?;
        let request = like::resolve(&self.inner.retriever, grant, request).await?;
        let seen = (&*self.inner.retriever.planner, &self.inner.picture_encoders);
        let request = Arc::new(picture::resolve(seen, grant, request).await?);
        let mut recall = pin!(self.recall(grant, &request));
        let mut search = pin!(self.search_profiles(grant, &request, record, events));
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

    /// The four stages, and the text at the end.
    async fn search_profiles(
        &self,
        grant: &TenantGrant,
        request: &Arc<SearchRequest>,
        record: &mut SearchRecord,
        events: Events<'_>,
    ) -> Result<SearchResponse> {
        let content = self.says_content(&request.tenant);
        let mut laps = Laps::start();
        let position = cursor::position(request, grant.generation())?;
        let mut routed = self.routed(grant, request, &position, record).await?;
        record.times.route_ms = laps.lap();
        let plans = self.plans(grant, request, &position, &mut routed).await?;
        record.profiles.clone_from(&routed.profiles);
        record.strategies = plans.iter().map(|plan| plan.strategy.name().clone()).collect();
        let choice = Choice::new(&self.inner.rerankers, grant, request, &position)?;
        let arrangement = Arrangement::new(request, choice, &plans, &position, self.gate.clock().now());
        record.times.plan_ms = laps.lap();
        let window = arrangement.window(request, grant);
        let parts = self.inner.retriever.search_all(request, plans, window, content).await?;
        record.times.retrieve_ms = laps.lap();
        let (profiles, arranged) = arrangement.arrange(grant, request, &routed, &self.inner.rerankers, parts).await?;
        record.times.arrange_ms = laps.lap();
        let mut response = SearchResponse {
            tenant: request.tenant.clone(),
            search_id: record.id.clone(),
            route: routed.route,
            results: arranged.results,
            next: arranged.next,
            profiles,
            reranking: arranged.reranking,
            answer: None,
            recall: None,
        };
        events(SearchEvent::Results(&response.results));
        response.answer = self.answer(grant, request, &response, events).await;
        record.times.answer_ms = if response.answer.is_some() { laps.lap() } else { 0.0 };
        record.answered(&response);
        Ok(response)
    }

    /// Returns the profiles of a request: its own, those of the first page, or those that its query is routed to.
    async fn routed(
        &self,
        grant: &TenantGrant,
        request: &SearchRequest,
        position: &cursor::Position,
        record: &mut SearchRecord,
    ) -> Result<Routed> {
        if let Some(routed) = route::named(request).or_else(|| route::pinned(position)) {
            record.pinned(&routed);
            return Ok(routed);
        }
        let span = telemetry::route(&request.tenant);
        let stage = async {
            let decision = route::decide(&self.inner.router, grant, request).await?;
            record.decided(&decision);
            let routed = route::choose(&self.inner.retriever.planner, grant, &decision).await?;
            Ok((routed, decision))
        };
        match stage.instrument(span.clone()).await {
            Ok((routed, decision)) => {
                telemetry::routed(&span, &routed, &decision);
                Ok(routed)
            }
            Err(error) => {
                span.in_scope(|| telemetry::failed(&error));
                Err(error)
            }
        }
    }

    /// Plans the search of each profile; those of a route that cannot be searched as they are set up are left out of it.
    async fn plans(
        &self,
        grant: &TenantGrant,
        request: &SearchRequest,
        position: &cursor::Position,
        routed: &mut Routed,
    ) -> Result<Vec<Plan>> {
        let Retriever { planner, encoders, .. } = &self.inner.retriever;
        let pinned = position.pinned();
        let mut plans: Vec<Plan> = Vec::with_capacity(routed.profiles.len());
        while let Some(profile) = routed.profiles.get(plans.len()).cloned() {
            let strategy = pinned.and_then(|pinned| pinned.strategies.get(plans.len()));
            match planner.plan(grant, request, (&profile, strategy), encoders).await {
                Ok(plan) => plans.push(plan),
                // A later page is of the same lists, or of none.
                Err(error) if pinned.is_some() => return Err(error),
                Err(error) => routed.leave_out(&profile, error)?,
            }
        }
        Ok(plans)
    }

    /// Writes a text where one is asked for: on the first page, as later ones are of the same search.
    async fn answer(
        &self,
        grant: &TenantGrant,
        request: &SearchRequest,
        response: &SearchResponse,
        events: Events<'_>,
    ) -> Option<Answer> {
        let generation = match (request.answer, &response.route) {
            (AnswerMode::Summary, _) => Generation::Summary,
            (AnswerMode::Report, _) => Generation::Report,
            (AnswerMode::Routed, Some(route)) => route.generation,
            _ => Generation::RawResults,
        };
        if generation == Generation::RawResults || request.cursor.is_some() {
            return None;
        }
        let found = match self.inner.router.models() {
            Some(models) => models.of(&request.tenant).await,
            None => Ok(None),
        };
        let model = match found {
            Ok(Some(found)) => found.model,
            Ok(None) => {
                let message = "a text needs a language model; give the builder one, or turn the answer off";
                return Some(answer::missing(generation, &Error::of(ErrorCode::LanguageModelMissing, message)));
            }
            Err(error) => return Some(answer::missing(generation, &error)),
        };
        let span = telemetry::answer(&request.tenant, model.model());
        // So that what was written by then still comes back.
        let time = grant.time_left().map(|left| left.saturating_sub(LAST_MOMENT.min(left / 10)));
        let query = request.query.as_str();
        let each = &mut |statement: &Statement| events(SearchEvent::Statement(statement));
        let written = answer::write(&*model, generation, query, &response.results, time, each);
        let answer = written.instrument(span.clone()).await;
        telemetry::answered(&span, &answer);
        Some(answer)
    }
}

fn search_id() -> Result<SearchId> {
    Ok(SearchId::parse(TraceId::random().to_string())?)
}
