//! Conversion of reaches and filters to document filters, which the backend evaluates.

use super::{
    bounds,
    document::{AGENT, CREATED, EXPIRES, KIND, NONE, ORIGIN, PINNED, ROLE, SESSION, TAGS, USER, field, role_word},
};
use cogniverse_sdk::{
    AgentId, Filter, MemoryReach, Result, SessionId, Timestamp, UserId,
    filter::{Number, Range},
    memory::ScopePart,
    memory_store::MemoryFilter,
};

/// Returns the filter for documents of a kind within a reach.
pub(super) fn within(kind: &str, reach: &MemoryReach) -> Result<Filter> {
    let mut parts = vec![Filter::equals(field(KIND)?, kind)];
    parts.extend(owned_by(reach)?);
    Ok(Filter::All(parts))
}

/// Returns the filters of a reach; empty for the whole tenant.
pub(super) fn owned_by(reach: &MemoryReach) -> Result<Vec<Filter>> {
    let mut parts = Vec::new();
    parts.extend(part(AGENT, &reach.agent, AgentId::as_str)?);
    parts.extend(part(USER, &reach.user, UserId::as_str)?);
    parts.extend(part(SESSION, &reach.session, SessionId::as_str)?);
    Ok(parts)
}

fn part<T>(name: &str, part: &ScopePart<T>, text: impl Fn(&T) -> &str) -> Result<Option<Filter>> {
    Ok(match part {
        ScopePart::Only(value) => Some(Filter::equals(field(name)?, text(value))),
        ScopePart::Without => Some(Filter::equals(field(name)?, NONE)),
        ScopePart::Any => None,
    })
}

fn range(name: &str, range: Range) -> Result<Filter> {
    Ok(Filter::Range(field(name)?, range))
}

fn bound(at: Timestamp) -> Option<Number> {
    Some(Number::Integer(at.as_microsecond()))
}

/// Returns the filter for memories that are pinned or not expired.
pub(super) fn alive(now: Timestamp) -> Result<Filter> {
    let later = range(EXPIRES, Range { gt: bound(now), ..Range::default() })?;
    Ok(Filter::Any(vec![Filter::equals(field(PINNED)?, cogniverse_sdk::FieldValue::Bool(true)), later]))
}

/// Returns the filter for expired memories that are not pinned.
pub(super) fn expired(now: Timestamp) -> Result<Filter> {
    let over = range(EXPIRES, Range { lte: bound(now), ..Range::default() })?;
    Ok(Filter::equals(field(PINNED)?, cogniverse_sdk::FieldValue::Bool(false)).and(over))
}

/// Returns the filter for memories last changed at or before a time.
pub(super) fn changed_until(now: Timestamp) -> Result<Filter> {
    range(super::document::UPDATED, Range { lte: bound(now), ..Range::default() })
}

/// Returns the document filters of a memory filter.
pub(super) fn asked(filter: &MemoryFilter) -> Result<Vec<Filter>> {
    bounds::check_filter(filter)?;
    let mut parts = Vec::new();
    for tag in filter.metadata.iter().filter_map(|(key, value)| bounds::tag(key, value)) {
        parts.push(Filter::equals(field(TAGS)?, tag));
    }
    if let Some(role) = filter.role {
        parts.push(Filter::equals(field(ROLE)?, role_word(role)));
    }
    if let Some(origin) = filter.origin {
        parts.push(Filter::equals(field(ORIGIN)?, origin.as_str()));
    }
    if let Some(pinned) = filter.pinned {
        parts.push(Filter::equals(field(PINNED)?, cogniverse_sdk::FieldValue::Bool(pinned)));
    }
    if filter.created_from.is_some() || filter.created_before.is_some() {
        let (gte, lt) = (filter.created_from.and_then(bound), filter.created_before.and_then(bound));
        parts.push(range(CREATED, Range { gte, lt, ..Range::default() })?);
    }
    Ok(parts)
}
