//! The check that memories are apart: between tenants, and between the users of one.

use super::{BackendMemoryStore, document, identity};
use cogniverse_sdk::{
    AgentId, DeployedSchema, DocumentId, Error, Memory, MemoryId, MemoryReach, MemoryScope, MemoryStore, Result,
    SearchBackend, SystemClock, TenantId, TenantSchema, UserId,
    document_store::{DeleteRequest, GetRequest, PutRequest},
    isolation::{Attack, Canary},
    memory::NewMemory,
    memory_store::{ListMemories, SearchMemories},
    schema::FieldType,
};
use std::sync::Arc;

/// The number of memories that each attempt asks for.
const ASKED: usize = 10;

fn scope_of(user: &str) -> Result<MemoryScope> {
    Ok(MemoryScope::new(AgentId::parse("cogniverse-canary")?).of_user(UserId::parse(user)?))
}

/// Returns the id of the memory that is planted, whose address includes its scope as that of every memory.
pub(crate) fn canary_id(tenant: &TenantId) -> Result<DocumentId> {
    Canary::id(tenant, &format!("memory/{}", identity::scope_digest(&scope_of("canary-a")?)))
}

/// Returns the word of the memory that is planted.
async fn planted_word(backend: &Arc<dyn SearchBackend>, schema: &TenantSchema) -> Result<Option<String>> {
    let request = GetRequest::new(schema.clone(), vec![canary_id(schema.tenant())?]).without_vectors();
    let found = backend.get(request).await?.into_iter().flatten().next();
    Ok(found.map(|found| found.document.text(document::ID).to_owned()))
}

/// Removes the memory that is planted, unless a check that may be alive planted it.
pub(crate) async fn remove_planted(
    backend: &Arc<dyn SearchBackend>,
    schema: &TenantSchema,
    canary: &Canary,
) -> Result<u64> {
    match planted_word(backend, schema).await? {
        Some(word) if canary.may_replace(&word).is_ok() => {
            backend.delete(DeleteRequest::ids(schema.clone(), vec![canary_id(schema.tenant())?])).await
        }
        _ => Ok(0),
    }
}

/// Plants a memory, tries to reach it from another tenant and from another user, and removes it.
///
/// # Errors
/// Any error of planting and removing.
pub(crate) async fn attack_memories(
    backend: &Arc<dyn SearchBackend>,
    planted: &DeployedSchema,
    attacker: &TenantSchema,
    canary: &Canary,
) -> Result<Vec<Attack>> {
    let dims = planted.definition.document.fields.iter().find_map(|field| match &field.field_type {
        FieldType::Tensor(tensor) if field.name.as_str() == document::EMBEDDING => Some(tensor.size()),
        _ => None,
    });
    let dims = dims.ok_or_else(|| Error::unexpected("the memory schema has no vector"))?;
    let mut vector = vec![0.0; dims];
    if let Some(last) = vector.last_mut() {
        *last = 1.0;
    }
    let (scope, other) = (scope_of("canary-a")?, scope_of("canary-b")?);
    let new = NewMemory::new(&canary.word, vector.clone(), "canary");
    if let Some(other) = planted_word(backend, &planted.schema).await? {
        canary.may_replace(&other)?;
    }
    let memory = Memory::first(MemoryId::parse(&canary.word)?, scope.clone(), new, canary.planted_at);
    let mut planted_memory = document::of_memory(&memory, Some(vector.clone()))?;
    planted_memory.id = canary_id(&canary.tenant)?;
    super::backend_store::stored(backend.put(PutRequest::new(planted.schema.clone(), vec![planted_memory])).await?)?;

    let store = |schema: &TenantSchema| {
        BackendMemoryStore::new(Arc::clone(backend), schema.clone(), dims, Arc::new(SystemClock))
    };
    let found = async |schema: &TenantSchema, reach: MemoryReach| -> Result<usize> {
        let search = SearchMemories::new(reach.clone(), &canary.word, vector.clone()).with_top_k(ASKED);
        let searched = store(schema).search(search).await?;
        let mut listed = Vec::new();
        if reach != MemoryReach::everything() {
            listed = store(schema).list(ListMemories::new(reach).with_limit(ASKED)).await?.memories;
        }
        let texts = searched.hits.iter().map(|hit| &hit.memory.text).chain(listed.iter().map(|memory| &memory.text));
        Ok(texts.filter(|text| text.contains(&canary.word)).count())
    };
    let attempts = [
        ("memories:tenant", attacker, MemoryReach::everything()),
        ("memories:scope", attacker, MemoryReach::of(&scope)),
        ("memories:user", &planted.schema, MemoryReach::of(&other)),
    ];
    let mut outcomes = Vec::new();
    let is_found_by_owner = found(&planted.schema, MemoryReach::of(&scope)).await;
    for (name, schema, reach) in attempts {
        outcomes.push(match (&is_found_by_owner, found(schema, reach).await) {
            (Ok(2), Ok(count)) => Attack::of(name, count == 0, format!("{count} memories are of the other scope")),
            (Ok(2), Err(error)) => Attack::refused(name, &error, canary),
            (Ok(_), _) => Attack::failed(name, "the owner does not find the canary either, so this shows nothing"),
            (Err(error), _) => Attack::failed(name, format!("the owner's memories cannot be read: {}", error.chain())),
        });
    }
    remove_planted(backend, &planted.schema, canary).await?;
    Ok(outcomes)
}
