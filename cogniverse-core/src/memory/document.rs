//! Conversion of memories and history entries to documents of the memory schema.

use super::{bounds, identity};
use cogniverse_sdk::{
    AgentId, ChatRole, Document, Error, ErrorKind, FieldName, FieldValue, Memory, MemoryEvent, MemoryEventKind,
    MemoryId, MemoryOrigin, MemoryScope, Result, SessionId, Tensor, Timestamp, UserId, document_store::DocumentUpdate,
    json_problem,
};

/// The `kind` of memories.
pub(super) const MEMORY: &str = "memory";
/// The `kind` of history entries.
pub(super) const EVENT: &str = "event";
/// The value for no user or no session; ids cannot start with a parenthesis.
pub(super) const NONE: &str = "(none)";

pub(super) const ID: &str = "id";
pub(super) const KIND: &str = "kind";
pub(super) const AGENT: &str = "agent_id";
pub(super) const USER: &str = "user_id";
pub(super) const SESSION: &str = "session_id";
pub(super) const HASH: &str = "hash";
pub(super) const ROLE: &str = "role";
pub(super) const ORIGIN: &str = "origin";
pub(super) const TAGS: &str = "tags";
pub(super) const PINNED: &str = "pinned";
pub(super) const CREATED: &str = "created_at";
pub(super) const UPDATED: &str = "updated_at";
pub(super) const EXPIRES: &str = "expires_at";
pub(super) const MODEL: &str = "embedding_model";
pub(super) const EMBEDDING: &str = "embedding";
const TEXT: &str = "text";
const METADATA: &str = "metadata_";
const REVISION: &str = "revision";
const HAPPENED: &str = "event";
const OLD: &str = "old_text";
const NEW: &str = "new_text";
const REASON: &str = "reason";

/// Parses a field name.
pub(super) fn field(name: &str) -> Result<FieldName> {
    Ok(FieldName::parse(name)?)
}

fn micros(at: Timestamp) -> FieldValue {
    FieldValue::Integer(at.as_microsecond())
}

fn number(value: u64) -> FieldValue {
    FieldValue::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Converts a memory; without `vector`, the stored vector stays.
pub(super) fn of_memory(memory: &Memory, vector: Option<Vec<f32>>) -> Result<Document> {
    let metadata = serde_json::to_string(&memory.metadata)
        .map_err(|e| Error::unexpected("metadata cannot be written").with_source(e))?;
    let tags = memory.metadata.iter().filter_map(|(key, value)| bounds::tag(key, value)).collect();
    let id = identity::memory_document(&identity::scope_digest(&memory.scope), &memory.id)?;
    let document = owned(Document::new(id), MEMORY, &memory.scope, &memory.id)?
        .with(field(TEXT)?, memory.text.as_str())
        .with(field(HASH)?, identity::content_hash(&memory.text))
        .with(field(ROLE)?, memory.role.map_or("", role_word))
        .with(field(ORIGIN)?, memory.origin.as_str())
        .with(field(TAGS)?, FieldValue::Strings(tags))
        .with(field(METADATA)?, metadata)
        .with(field(PINNED)?, FieldValue::Bool(memory.pinned))
        .with(field(CREATED)?, micros(memory.created_at))
        .with(field(UPDATED)?, micros(memory.updated_at))
        .with(field(EXPIRES)?, micros(memory.expires_at.unwrap_or(Timestamp::MAX)))
        .with(field(REVISION)?, number(memory.revision))
        .with(field(MODEL)?, memory.model.as_str());
    Ok(match vector {
        Some(cells) => document.with(field(EMBEDDING)?, Tensor::Vector(cells)),
        None => document,
    })
}

/// Returns the fields that a change assigns: only those that differ, so that concurrent changes of different
/// attributes do not undo each other. A changed text includes everything derived from it.
pub(super) fn of_change(before: &Memory, after: &Memory, vector: Option<Vec<f32>>) -> Result<DocumentUpdate> {
    let always =
        if vector.is_some() { &[TEXT, HASH, MODEL, EMBEDDING, UPDATED, REVISION][..] } else { &[UPDATED, REVISION] };
    let known = of_memory(before, None)?.fields;
    let Document { id, mut fields } = of_memory(after, vector)?;
    fields.retain(|name, value| always.contains(&name.as_str()) || known.get(name) != Some(value));
    Ok(DocumentUpdate::assign(id, fields))
}

/// Converts a history entry.
pub(super) fn of_event(event: &MemoryEvent) -> Result<Document> {
    let at = event.at.as_microsecond();
    let what = format!("{}:{}", event.kind.as_str(), event.new_text.as_deref().unwrap_or_default());
    let digest = identity::scope_digest(&event.scope);
    let id = identity::event_document(&digest, &event.memory, at, event.revision, &what)?;
    let mut document = owned(Document::new(id), EVENT, &event.scope, &event.memory)?
        .with(field(HAPPENED)?, event.kind.as_str())
        .with(field(REASON)?, event.reason.as_str())
        .with(field(CREATED)?, micros(event.at))
        .with(field(REVISION)?, number(event.revision));
    for (name, text) in [(OLD, &event.old_text), (NEW, &event.new_text)] {
        if let Some(text) = text {
            document = document.with(field(name)?, text.as_str());
        }
    }
    Ok(document)
}

fn owned(document: Document, kind: &str, scope: &MemoryScope, id: &MemoryId) -> Result<Document> {
    Ok(document
        .with(field(ID)?, id.as_str())
        .with(field(KIND)?, kind)
        .with(field(AGENT)?, scope.agent.as_str())
        .with(field(USER)?, scope.user.as_ref().map_or(NONE, UserId::as_str))
        .with(field(SESSION)?, scope.session.as_ref().map_or(NONE, SessionId::as_str)))
}

/// Parses a memory.
pub(super) fn to_memory(document: &Document) -> Result<Memory> {
    let damaged = || corrupt(document);
    let expires = time(document, EXPIRES)?;
    let metadata =
        serde_json::from_str(document.text(METADATA)).map_err(|e| damaged().with_source(json_problem(&e)))?;
    let mut memory = Memory::first(
        id(document)?,
        scope(document)?,
        {
            let mut new = cogniverse_sdk::memory::NewMemory::new(document.text(TEXT), Vec::new(), document.text(MODEL));
            new.role = role(document.text(ROLE));
            new.origin = MemoryOrigin::parse(document.text(ORIGIN)).ok_or_else(damaged)?;
            new.metadata = metadata;
            new.pinned = matches!(document.get(PINNED), Some(FieldValue::Bool(true)));
            new.created_at = Some(time(document, CREATED)?);
            new.expires_at = (expires < Timestamp::MAX).then_some(expires);
            new
        },
        time(document, UPDATED)?,
    );
    memory.revision = revision(document)?;
    Ok(memory)
}

/// Parses a history entry.
pub(super) fn to_event(document: &Document) -> Result<MemoryEvent> {
    let text = |name: &str| document.get(name).and_then(FieldValue::as_str).map(str::to_owned);
    Ok(MemoryEvent {
        memory: id(document)?,
        scope: scope(document)?,
        kind: MemoryEventKind::parse(document.text(HAPPENED)).ok_or_else(|| corrupt(document))?,
        old_text: text(OLD),
        new_text: text(NEW),
        reason: document.text(REASON).to_owned(),
        revision: revision(document)?,
        at: time(document, CREATED)?,
    })
}

fn corrupt(document: &Document) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the memory document \"{}\" cannot be read; restore a backup", document.id))
}

fn id(document: &Document) -> Result<MemoryId> {
    MemoryId::parse(document.text(ID)).map_err(|e| corrupt(document).with_source(e))
}

fn revision(document: &Document) -> Result<u64> {
    let value = document.get(REVISION).and_then(FieldValue::as_i64).and_then(|value| u64::try_from(value).ok());
    value.ok_or_else(|| corrupt(document))
}

fn time(document: &Document, name: &str) -> Result<Timestamp> {
    let micros = document.get(name).and_then(FieldValue::as_i64).ok_or_else(|| corrupt(document))?;
    if micros >= Timestamp::MAX.as_microsecond() {
        return Ok(Timestamp::MAX);
    }
    Timestamp::from_microsecond(micros).map_err(|e| corrupt(document).with_source(e))
}

/// Parses the scope of a document, which must match its address.
fn scope(document: &Document) -> Result<MemoryScope> {
    let damaged = || corrupt(document);
    let part = |name: &str| Some(document.text(name)).filter(|text| *text != NONE);
    let agent = AgentId::parse(document.text(AGENT)).map_err(|e| damaged().with_source(e))?;
    let user = part(USER).map(UserId::parse).transpose().map_err(|e| damaged().with_source(e))?;
    let session = part(SESSION).map(SessionId::parse).transpose().map_err(|e| damaged().with_source(e))?;
    let scope = MemoryScope { agent, user, session };
    match document.id.as_str().split('/').nth(1) {
        Some(digest) if digest == identity::scope_digest(&scope) => Ok(scope),
        _ => Err(damaged()),
    }
}

pub(super) fn role_word(role: ChatRole) -> &'static str {
    match role {
        ChatRole::System => "system",
        ChatRole::User => "user",
        ChatRole::Assistant => "assistant",
        _ => "",
    }
}

fn role(word: &str) -> Option<ChatRole> {
    [ChatRole::System, ChatRole::User, ChatRole::Assistant].into_iter().find(|role| role_word(*role) == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::memory::NewMemory;

    fn names(before: &Memory, after: &Memory, vector: Option<Vec<f32>>) -> Vec<String> {
        let update = of_change(before, after, vector).unwrap();
        assert!(update.clear.is_empty());
        update.assign.keys().map(ToString::to_string).collect()
    }

    /// One pins while another changes the text: neither takes back what the other did.
    #[test]
    fn a_change_assigns_what_it_changes_and_nothing_else() {
        let scope = MemoryScope::new(AgentId::parse("a").unwrap());
        let new = NewMemory::new("likes tea", vec![1.0], "m");
        let before = Memory::first(MemoryId::parse("x").unwrap(), scope, new, Timestamp::UNIX_EPOCH);
        let mut pinned = before.clone();
        pinned.pinned = true;
        pinned.revision += 1;
        assert_eq!(names(&before, &pinned, None), [PINNED, REVISION, UPDATED]);
        let mut changed = before.clone();
        changed.text = "likes coffee".to_owned();
        let mut with_text = names(&before, &changed, Some(vec![0.5]));
        with_text.sort();
        let mut expected = [TEXT, HASH, MODEL, EMBEDDING, UPDATED, REVISION].map(str::to_owned);
        expected.sort();
        assert_eq!(with_text, expected);
    }
}
