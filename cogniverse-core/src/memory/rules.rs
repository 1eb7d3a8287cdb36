//! Rules shared by all memory stores, and their errors.

use super::bounds;
use cogniverse_sdk::{
    Error, ErrorCode, Memory, MemoryEvent, MemoryEventKind, MemoryHit, MemoryId, MemoryScope, Result, Timestamp,
    memory_store::MemoryChange,
};
use std::time::Duration;

pub(super) fn unknown(scope: &MemoryScope, id: &MemoryId) -> Error {
    let error = Error::of(
        ErrorCode::MemoryUnknown,
        format!("no memory \"{id}\" in this scope; list the scope's memories for their ids"),
    );
    let error = error.with_context("agent", &scope.agent);
    scope.user.iter().fold(error, |error, user| error.with_context("user", user))
}

pub(super) fn over(memory: &Memory) -> Error {
    let since = memory.expires_at.unwrap_or(memory.updated_at);
    Error::of(
        ErrorCode::MemoryExpired,
        format!(
            "memory \"{}\" is expired since {since}; give it another end, or pin it, in the same change",
            memory.id
        ),
    )
}

pub(super) fn taken(id: &MemoryId, by: &MemoryId) -> Error {
    Error::of(
        ErrorCode::MemoryDuplicate,
        format!("memory \"{by}\" has this text already; delete memory \"{id}\" instead"),
    )
}

/// Creates the history entry of a change or a removal.
pub(super) fn event(
    kind: MemoryEventKind,
    before: Option<&Memory>,
    after: Option<&Memory>,
    reason: &str,
    at: Timestamp,
) -> Option<MemoryEvent> {
    let memory = after.or(before)?;
    let revision = after.map_or(memory.revision + 1, |after| after.revision);
    Some(MemoryEvent {
        memory: memory.id.clone(),
        scope: memory.scope.clone(),
        kind,
        old_text: before.map(|memory| memory.text.clone()),
        new_text: after.map(|memory| memory.text.clone()),
        reason: reason.to_owned(),
        revision,
        at,
    })
}

pub(super) fn check_top_k(top_k: usize) -> Result<()> {
    if (1..=bounds::MAX_TOP_K).contains(&top_k) {
        return Ok(());
    }
    Err(Error::invalid(format!("top_k is {top_k}; give 1 to {}", bounds::MAX_TOP_K)))
}

pub(super) fn check_limit(limit: usize) -> Result<()> {
    if (1..=bounds::MAX_PAGE).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(format!("a page of {limit} memories; give a limit from 1 to {}", bounds::MAX_PAGE)))
}

pub(super) fn age(memory: &Memory, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(memory.updated_at)).unwrap_or_default()
}

pub(super) fn best(mut hits: Vec<MemoryHit>, top_k: usize) -> Vec<MemoryHit> {
    hits.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| (&a.memory.id, &a.memory.scope).cmp(&(&b.memory.id, &b.memory.scope)))
    });
    hits.truncate(top_k);
    hits
}

pub(super) fn check_change(change: &mut MemoryChange) -> Result<()> {
    if change.is_empty() {
        return Err(Error::invalid("the change of a memory is empty; give a text, metadata, an end or a pin"));
    }
    if let Some((text, ..)) = &mut change.text {
        *text = bounds::check_text(text)?.to_owned();
    }
    Ok(())
}
