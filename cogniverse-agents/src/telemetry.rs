//! Spans of this crate, with OpenInference's attributes where they exist.

use crate::{
    plan::Plan,
    record::SearchRecord,
    request::SearchRequest,
    response::{Answer, SearchResult},
    route::Routed,
    routing::Decision,
};
pub(crate) use cogniverse_foundation::telemetry::failed;
use cogniverse_sdk::{Error, SearchId, TenantId};
use serde_json::{Map, Value};
use tracing::{Span, field::Empty};

/// Span: one search of one tenant.
const SEARCH: &str = "cogniverse.search";
/// Span: a search refused before its tenant is known to exist. It belongs to the system, so that requests cannot
/// create projects.
const REFUSED: &str = "cogniverse.search.refused";
/// Span: the routing of a query. It holds no text.
const ROUTE: &str = "cogniverse.routing";
/// Span: the text that is made from results.
const ANSWER: &str = "cogniverse.search.answer";
/// Span: the retrieval of one profile.
const RETRIEVE: &str = "cogniverse.search.retrieve";
/// Span: the encoding of a query.
const ENCODE: &str = "cogniverse.search.encode";

/// Opens the span of a search. Texts go to `tracing` only where the tenant allows it (`content`), as any subscriber
/// may log them.
pub(crate) fn search(request: &SearchRequest, id: &SearchId, content: bool) -> Span {
    let profiles: Vec<&str> = request.profiles.iter().map(|profile| profile.as_str()).collect();
    let span = tracing::info_span!(
        SEARCH,
        tenant.id = %request.tenant,
        openinference.span.kind = "AGENT",
        agent.name = "video_search",
        input.value = Empty,
        search.id = %id,
        search.profiles = profiles.join(","),
        search.top_k = request.top_k,
        search.hits = Empty,
        search.degraded = Empty,
        throttled_ms = Empty,
    );
    say(&span, "input.value", request, content);
    span
}

/// Records how a search ended.
pub(crate) fn ended(span: &Span, record: &SearchRecord) {
    if record.error.is_none() {
        span.record("search.hits", record.results);
        span.record("search.degraded", record.degraded);
    }
    if record.route.is_some() {
        let profiles: Vec<&str> = record.profiles.iter().map(|profile| profile.as_str()).collect();
        span.record("search.profiles", profiles.join(","));
    }
}

pub(crate) fn route(tenant: &TenantId) -> Span {
    tracing::info_span!(
        ROUTE,
        tenant.id = %tenant,
        openinference.span.kind = "CHAIN",
        routing.modality = Empty,
        routing.generation = Empty,
        routing.tier = Empty,
        routing.confidence = Empty,
        routing.fast_confidence = Empty,
        routing.profiles = Empty,
        routing.processing_time_ms = Empty,
    )
}

/// Records a route without its reason, which may hold words of the query.
pub(crate) fn routed(span: &Span, routed: &Routed, decision: &Decision) {
    let Some(route) = &routed.route else { return };
    span.record("routing.modality", route.modality.as_str());
    span.record("routing.generation", route.generation.as_str());
    span.record("routing.tier", route.tier.as_str());
    span.record("routing.confidence", route.confidence);
    if let Some(confidence) = decision.fast_confidence {
        span.record("routing.fast_confidence", confidence);
    }
    let profiles: Vec<&str> = route.profiles.iter().map(|profile| profile.as_str()).collect();
    span.record("routing.profiles", profiles.join(","));
    span.record("routing.processing_time_ms", route.took_ms);
}

pub(crate) fn answer(tenant: &TenantId, model: &str) -> Span {
    tracing::info_span!(
        ANSWER,
        tenant.id = %tenant,
        openinference.span.kind = "LLM",
        llm.model_name = model,
        answer.statements = Empty,
        answer.dropped_citations = Empty,
        answer.problem = Empty,
    )
}

pub(crate) fn answered(span: &Span, answer: &Answer) {
    span.record("answer.statements", answer.statements.len());
    span.record("answer.dropped_citations", answer.dropped_citations);
    if let Some(problem) = &answer.problem {
        span.record("answer.problem", problem.as_str());
    }
}

fn say(span: &Span, field: &'static str, request: &SearchRequest, content: bool) {
    if content {
        span.record(field, request.query.as_str());
    }
}

pub(crate) fn refused(error: &Error) {
    let span = tracing::info_span!(REFUSED, tenant.id = "");
    span.in_scope(|| failed(error));
}

pub(crate) fn retrieve(request: &SearchRequest, plan: &Plan, content: bool) -> Span {
    let span = tracing::info_span!(
        RETRIEVE,
        tenant.id = %request.tenant,
        openinference.span.kind = "RETRIEVER",
        input.value = Empty,
        profile = %plan.profile,
        config.version = plan.config_version,
        schema = %plan.schema.base(),
        strategy = %plan.strategy.name(),
        search.matched = Empty,
        throttled_ms = Empty,
        search.degraded = Empty,
        retrieval.documents = Empty,
    );
    say(&span, "input.value", request, content);
    span
}

pub(crate) fn encode(request: &SearchRequest, model: &str, content: bool) -> Span {
    let span = tracing::info_span!(
        ENCODE,
        tenant.id = %request.tenant,
        openinference.span.kind = "EMBEDDING",
        embedding.model_name = model,
        "embedding.embeddings.0.embedding.text" = Empty,
        embedding.vectors = Empty,
    );
    say(&span, "embedding.embeddings.0.embedding.text", request, content);
    span
}

/// Records the results as a JSON array, which a layer expands into OpenInference attributes; texts are included where
/// the tenant allows it.
pub(crate) fn found(results: &[SearchResult], content: bool) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let documents = results.iter().map(|result| {
        let id = result.evidence.first().map(|evidence| evidence.document_id.as_str()).unwrap_or_default();
        let mut fields = Map::from_iter([("id".to_owned(), id.into()), ("score".to_owned(), result.score.into())]);
        if content {
            fields.insert("content".to_owned(), result.text.as_str().into());
        }
        Value::Object(fields)
    });
    span.record("retrieval.documents", Value::Array(documents.collect()).to_string());
}
