//! The third stage of a search: the query is encoded, and each profile asked.

use crate::{
    encoding::QueryEncoders,
    plan::{Plan, Planner, join},
    request::SearchRequest,
    response::{Degradation, Evidence, ProfileAnswer, SearchResult},
    snippet::Snippet,
    telemetry,
};
use cogniverse_core::guarded_backend::GuardedBackend;
use cogniverse_sdk::{
    BackendHit, BackendHits, BackendQuery, Document, Error, ErrorKind, FieldValue, Matrix, Metadata, MetadataName,
    MetadataType, Result, SearchBackend, Timestamp,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tracing::Instrument;

/// The hits to ask each profile for, and until when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) skip: usize,
    pub(crate) take: usize,
    pub(crate) deadline: Option<Instant>,
}

impl Window {
    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// One profile's part of a response.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) answer: ProfileAnswer,
    pub(crate) results: Vec<SearchResult>,
}

/// The parts that the stage works with.
#[derive(Debug, Clone)]
pub(crate) struct Retriever {
    pub(crate) backend: GuardedBackend,
    pub(crate) planner: Arc<Planner>,
    pub(crate) encoders: Arc<QueryEncoders>,
}

impl Retriever {
    /// Searches all profiles concurrently, in the order of the plans. One failure fails the search, as a list without
    /// that profile would look complete.
    pub(crate) async fn search_all(
        &self,
        request: &Arc<SearchRequest>,
        mut plans: Vec<Plan>,
        window: Window,
        content: bool,
    ) -> Result<Vec<Part>> {
        if plans.len() == 1
            && let Some(plan) = plans.pop()
        {
            return Ok(vec![self.search_one(request, plan, window, content).await?]);
        }
        let mut running = JoinSet::new();
        for (place, plan) in plans.into_iter().enumerate() {
            let (retriever, request) = (self.clone(), Arc::clone(request));
            let search = async move { (place, retriever.search_one(&request, plan, window, content).await) };
            running.spawn(search.in_current_span());
        }
        let mut parts = BTreeMap::new();
        while let Some(joined) = running.join_next().await {
            let (place, part) = joined.map_err(|e| Error::unexpected("a search task ended early").with_source(e))?;
            parts.insert(place, part?);
        }
        Ok(parts.into_values().collect())
    }

    async fn search_one(&self, request: &SearchRequest, plan: Plan, window: Window, content: bool) -> Result<Part> {
        let span = telemetry::retrieve(request, &plan, content);
        let part = self.retrieve(request, plan, window, content).instrument(span.clone()).await;
        if let Err(error) = &part {
            span.in_scope(|| telemetry::failed(error));
        }
        part
    }

    async fn retrieve(&self, request: &SearchRequest, mut plan: Plan, window: Window, content: bool) -> Result<Part> {
        let vectors = match self.vectors(request, &plan, content).await {
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
            .with_words(request.words.clone())
            .with_typos(request.typos)
            .with_sort(request.sort.clone())
            .with_facets(request.facets.clone())
            .with_language(request.language.clone())
            .with_timeout(window.time_left());
        if inputs.text || !request.query.is_empty() {
            query = query.with_text(&request.query);
        }
        if let Some(vectors) = vectors.filter(|_| inputs.vectors()) {
            query = query.with_vectors((*vectors).clone());
        }
        let found = self.backend.search(query).await.inspect_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                self.planner.forget_schema(&plan.schema);
            }
        })?;
        let BackendHits { hits, matched, coverage, facets, corrections, .. } = found;
        let results: Vec<SearchResult> =
            hits.into_iter().zip(window.skip + 1..).map(|(hit, rank)| result(hit, rank, &plan)).collect();
        tracing::Span::current().record("search.matched", matched);
        telemetry::found(&results, content);
        let answer = ProfileAnswer {
            profile: plan.profile,
            config_version: plan.config_version,
            schema: plan.schema.base().clone(),
            strategy: plan.strategy.name().clone(),
            encoder: plan.encoder.map(|encoder| encoder.info().model.clone()),
            matched,
            degraded: plan.degraded,
            coverage,
            facets,
            corrections,
        };
        Ok(Part { answer, results })
    }

    async fn vectors(&self, request: &SearchRequest, plan: &Plan, content: bool) -> Result<Option<Arc<Matrix<f32>>>> {
        match (&plan.encoder, &request.query_vectors) {
            (Some(encoder), _) => {
                let span = telemetry::encode(request, &encoder.info().model, content);
                let encode = self.encoders.encode(&request.tenant, encoder, &request.query);
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

fn result(hit: BackendHit, rank: usize, plan: &Plan) -> SearchResult {
    let document = &hit.document;
    let seconds = |field: &str| document.get(field).and_then(FieldValue::as_f64).unwrap_or_default();
    let spoken = document.text("audio_transcript");
    let seen = ["segment_description", "screen_text"].map(|field| document.text(field));
    let text = [spoken].into_iter().chain(seen).find(|text| !text.is_empty()).unwrap_or_default();
    let snippets = hit.highlights.iter().map(|highlight| {
        let text = document.text(highlight.field.as_str()).to_owned();
        Snippet::new(highlight.field.clone(), text, highlight.ranges.clone())
    });
    let recorded = document.get("creation_timestamp").and_then(FieldValue::as_i64).filter(|at| *at > 0);
    let evidence = Evidence {
        document_id: document.id.clone(),
        profile: plan.profile.clone(),
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
        strategy: plan.strategy.name().clone(),
        profile: plan.profile.clone(),
        segment_id: document.get("segment_id").and_then(FieldValue::as_i64).unwrap_or_default(),
        text: text.to_owned(),
        location: location(document.text("source_url"), evidence.start_time),
        metadata: metadata(document, &plan.metadata),
        recorded_at: recorded.and_then(|at| Timestamp::from_millisecond(at).ok()),
        reranked: None,
        evidence: vec![evidence],
    }
}

/// Returns the location of a moment: the path or address of the video, and the time as media fragments have it.
fn location(source: &str, start: f64) -> Option<String> {
    // An address with a fragment of its own is left alone.
    match source {
        "" => None,
        source if source.contains('#') => Some(source.to_owned()),
        source => Some(format!("{source}#t={}", (start * 1000.0).round() / 1000.0)),
    }
}

/// Returns the metadata of a document that a profile declares.
fn metadata(document: &Document, declared: &BTreeMap<MetadataName, MetadataType>) -> Metadata {
    let value = |(name, kind): (&MetadataName, &MetadataType)| {
        let field = name.field().ok()?;
        Some((name.clone(), kind.of_field(document.fields.get(&field)?)?))
    };
    declared.iter().filter_map(value).collect()
}
