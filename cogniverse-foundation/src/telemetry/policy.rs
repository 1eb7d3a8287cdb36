//! Limits and privacy of recorded attributes.

use super::record::{AttributeValue, Key, TelemetryScope};
use crate::config::telemetry::TelemetryConfig;
use cogniverse_sdk::TenantId;
use std::borrow::Cow;

/// The largest number of attributes of a span.
pub(crate) const MAX_ATTRIBUTES: usize = 256;
/// The largest number of events of a span.
pub(crate) const MAX_EVENTS: usize = 64;
/// The largest size of a text in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 4096;

/// Returns a session id that is unique across tenants, as trace stores separate sessions by this id alone. Tenant ids
/// contain no `/`.
#[must_use]
pub fn session_id(tenant: &TenantId, session: &str) -> String {
    format!("{tenant}/{session}")
}

/// The telemetry policy of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) project: String,
    pub(crate) enabled: bool,
    pub(crate) content: bool,
}

impl Policy {
    pub(crate) fn of(tenant: &TenantId, config: &TelemetryConfig) -> Self {
        Self { project: config.project_name(tenant), enabled: config.enabled, content: config.record_query_text }
    }
}

/// Returns whether a key holds content of users (messages, queries, stored text), which is recorded only where the
/// tenant's configuration allows it.
pub(crate) fn is_content(key: &str) -> bool {
    const LAST: [&str; 8] = ["value", "content", "text", "vector", "arguments", "url", "query", "prompt"];
    const FIRST: [&str; 6] = ["input", "output", "embedding", "retrieval", "llm", "reranker"];
    let mut parts = key.split('.');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    FIRST.contains(&first) && LAST.contains(&last) || matches!(key, "query" | "query.text" | "text")
}

/// Normalizes an attribute: prefixes sessions with the tenant and truncates texts.
pub(crate) fn admit(scope: &TelemetryScope, key: &Key, value: AttributeValue) -> AttributeValue {
    let AttributeValue::Text(text) = value else { return value };
    if key == "session.id"
        && let TelemetryScope::Tenant(tenant) = scope
    {
        let prefix_stands = text.strip_prefix(tenant.as_str()).is_some_and(|rest| rest.starts_with('/'));
        return if prefix_stands {
            AttributeValue::Text(bounded(text))
        } else {
            session_id(tenant, &bounded(text)).into()
        };
    }
    AttributeValue::Text(bounded(text))
}

pub(crate) fn bounded(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= MAX_TEXT_BYTES {
        return text;
    }
    let end = (0..=MAX_TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}
