//! Spans of memory, with OpenInference's attributes where they exist.

pub(super) use cogniverse_foundation::telemetry::failed;
use cogniverse_sdk::{MemoryHit, TenantId};
use serde_json::{Map, Value};
use tracing::{Span, field::Empty};

/// Span: one call of a tenant's memory.
const CALL: &str = "cogniverse.memory";
/// Span: a search of memories.
const SEARCH: &str = "cogniverse.memory.search";
/// Span: the embedding of texts.
const EMBED: &str = "cogniverse.memory.embed";
/// Span: a request to the language model.
const ASK: &str = "cogniverse.memory.infer";

/// Opens the span of a call, such as `add` or `update`.
pub(super) fn call(tenant: &TenantId, name: &'static str) -> Span {
    tracing::info_span!(
        CALL,
        tenant.id = %tenant,
        openinference.span.kind = "CHAIN",
        memory.operation = name,
        memory.count = Empty,
        memory.inferred = Empty,
        throttled_ms = Empty,
    )
}

/// Opens the span of a search. Texts go to `tracing` only where the tenant allows it (`content`).
pub(super) fn search(tenant: &TenantId, query: &str, top_k: usize, content: bool) -> Span {
    let span = tracing::info_span!(
        SEARCH,
        tenant.id = %tenant,
        openinference.span.kind = "RETRIEVER",
        memory.operation = "search",
        input.value = Empty,
        search.top_k = top_k,
        memory.count = Empty,
        retrieval.documents = Empty,
        throttled_ms = Empty,
    );
    if content {
        span.record("input.value", query);
    }
    span
}

/// Records the hits as a JSON array, with their texts where the tenant allows it.
pub(super) fn found(span: &Span, hits: &[MemoryHit], content: bool) {
    span.record("memory.count", hits.len());
    if span.is_disabled() {
        return;
    }
    let documents = hits.iter().map(|hit| {
        let id = hit.memory.id.as_str();
        let mut fields = Map::from_iter([("id".to_owned(), id.into()), ("score".to_owned(), hit.score.into())]);
        if content {
            fields.insert("content".to_owned(), hit.memory.text.as_str().into());
        }
        Value::Object(fields)
    });
    span.record("retrieval.documents", Value::Array(documents.collect()).to_string());
}

pub(super) fn embed(tenant: &TenantId, model: &str, texts: usize) -> Span {
    tracing::info_span!(
        EMBED,
        tenant.id = %tenant,
        openinference.span.kind = "EMBEDDING",
        embedding.model_name = model,
        embedding.segments = texts,
    )
}

pub(super) fn ask(tenant: &TenantId, model: &str, what: &'static str) -> Span {
    tracing::info_span!(
        ASK,
        tenant.id = %tenant,
        openinference.span.kind = "LLM",
        llm.model_name = model,
        memory.question = what,
        llm.token_count.prompt = Empty,
        llm.token_count.completion = Empty,
    )
}
