//! Spans of this crate, with OpenInference's attributes where they exist.

use crate::{plan::Plan, request::SearchRequest, response::SearchResult};
pub(crate) use cogniverse_foundation::telemetry::failed;
use cogniverse_sdk::Error;
use serde_json::{Map, Value};
use tracing::{Span, field::Empty};

/// Span: one search of one tenant.
const SEARCH: &str = "cogniverse.search";
/// Span: a search refused before its tenant is known to exist. It belongs to the system, so that requests cannot
/// create projects.
const REFUSED: &str = "cogniverse.search.refused";
/// Span: the retrieval of one profile.
const RETRIEVE: &str = "cogniverse.search.retrieve";
/// Span: the encoding of a query.
const ENCODE: &str = "cogniverse.search.encode";

/// Opens the span of a search. Texts go to `tracing` only where the tenant allows it (`content`), as any subscriber
/// may log them.
pub(crate) fn search(request: &SearchRequest, content: bool) -> Span {
    let profiles: Vec<&str> = request.profiles.iter().map(|profile| profile.as_str()).collect();
    let span = tracing::info_span!(
        SEARCH,
        tenant.id = %request.tenant,
        openinference.span.kind = "AGENT",
        agent.name = "video_search",
        input.value = Empty,
        search.profiles = profiles.join(","),
        search.top_k = request.top_k,
        search.hits = Empty,
        search.degraded = Empty,
        throttled_ms = Empty,
    );
    say(&span, "input.value", request, content);
    span
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
