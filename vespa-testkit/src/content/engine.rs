//! The embedded engine, which scores the strategies: each document type whose rank profiles it understands is a schema of
//! its own there, and is told of changed documents before a search.

use super::{
    document_id,
    engine_schema::{self, Known},
    sd::{RankProfile, Schema},
    store::{Documents, Key},
    tensor::Tensor,
    value::Fields,
};
use cogniverse_core::text::Language;
use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, DocumentId, DocumentStore, ErrorCode, Matrix, SchemaName, SchemaStore, SearchBackend, TenantId,
    TenantSchema,
    document_store::{DeleteRequest, PutRequest},
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Scores that one search gives at most.
const WINDOW: usize = 10_000;
/// Documents fed at once.
const BATCH: usize = 500;

/// A phase of a rank profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    First,
    Second,
    /// A signal of the global phase, by its place in the expression.
    Signal(usize),
}

/// What a search tells the engine about one type.
#[derive(Debug)]
pub(crate) struct EnginePart {
    schema: Arc<Schema>,
    changed: BTreeMap<Key, Option<Fields>>,
    words: String,
    /// The language of the words.
    language: Option<String>,
    inputs: BTreeMap<String, Tensor>,
    /// Fields and inputs of `nearestNeighbor`.
    nearest: Vec<(String, String)>,
}

impl EnginePart {
    pub(crate) fn new(
        schema: &Arc<Schema>,
        documents: &mut Documents,
        (words, language): (String, Option<String>),
        inputs: BTreeMap<String, Tensor>,
        nearest: Vec<(String, String)>,
    ) -> Self {
        let changed = documents.take_changed().into_iter();
        let changed = changed.map(|key| (key, documents.at(&key).map(|stored| stored.fields.clone()))).collect();
        Self { schema: Arc::clone(schema), changed, words, language, inputs, nearest }
    }
}

/// The engine.
#[derive(Debug)]
pub(crate) struct Engine {
    folder: tempfile::TempDir,
    backend: Option<EmbeddedBackend>,
    types: BTreeMap<String, Type>,
    /// Schemas are never changed in place: a new one gets a new name.
    made: usize,
}

#[derive(Debug)]
struct Type {
    name: TenantSchema,
    known: Known,
}

fn message(error: cogniverse_sdk::Error) -> String {
    error.to_string()
}

impl Engine {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, backend: None, types: BTreeMap::new(), made: 0 })
    }

    /// The types that it was told of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// Forgets a type: its documents come again, all of them, before the next search.
    pub(crate) async fn forget(&mut self, name: &str) {
        if let (Some(gone), Some(backend)) = (self.types.remove(name), &self.backend) {
            // What is left of it disturbs nobody.
            let _ = backend.drop_schema(&gone.name).await;
        }
    }

    async fn backend(&mut self) -> Result<EmbeddedBackend, String> {
        if let Some(backend) = &self.backend {
            return Ok(backend.clone());
        }
        let config = EmbeddedConfig::new(self.folder.path()).with_durability(Durability::ProcessCrash);
        let backend = EmbeddedBackend::open(config).await.map_err(message)?;
        Ok(self.backend.insert(backend).clone())
    }

    /// Takes the changes since the last search.
    pub(crate) async fn learn(&mut self, part: &EnginePart) -> Result<(), String> {
        let backend = self.backend().await?;
        let name = &part.schema.name;
        if !self.types.contains_key(name) {
            self.made += 1;
            let base = SchemaName::parse(format!("type{}", self.made)).map_err(|e| e.to_string())?;
            let tenant = TenantId::parse("testkit").map_err(|e| e.to_string())?;
            let known = engine_schema::of(&part.schema, &base).map_err(message)?;
            let name_there = TenantSchema::new(&tenant, &base);
            let deployment = SchemaDeployment { schema: name_there.clone(), definition: Arc::clone(&known.definition) };
            backend.deploy(DeployRequest::new(vec![deployment])).await.map_err(message)?;
            self.types.insert(name.clone(), Type { name: name_there, known });
        }
        let Some(known) = self.types.get(name) else { return Ok(()) };
        if known.known.strategies.is_empty() {
            return Ok(());
        }
        let (mut put, mut gone) = (Vec::new(), Vec::new());
        for (key, fields) in &part.changed {
            let id = DocumentId::parse(document_id::hex(key.1)).map_err(|e| e.to_string())?;
            match fields {
                Some(fields) => put.push(engine_schema::document(id, fields, &known.known.definition)),
                None => gone.push(id),
            }
        }
        for batch in put.chunks(BATCH) {
            let report = backend.put(PutRequest::new(known.name.clone(), batch.to_vec())).await.map_err(message)?;
            if let Some(error) = report.failures().find_map(|outcome| outcome.error.as_ref()) {
                return Err(error.to_string());
            }
        }
        if !gone.is_empty() {
            backend.delete(DeleteRequest::ids(known.name.clone(), gone)).await.map_err(message)?;
        }
        Ok(())
    }

    /// The scores of a phase by global id; none where the engine does not know the expression.
    pub(crate) async fn scores(
        &mut self,
        part: &EnginePart,
        profile: &RankProfile,
        phase: Phase,
    ) -> Result<Option<BTreeMap<String, f64>>, String> {
        let backend = self.backend().await?;
        let Some(known) = self.types.get(&part.schema.name) else { return Ok(None) };
        let Some(strategy) = known.known.strategies.get(&(profile.name.clone(), phase)) else { return Ok(None) };
        let mut query = BackendQuery::new(known.name.clone(), strategy.name.clone())
            .with_text(part.words.clone())
            .with_language(part.language.clone().filter(|language| Language::of(language).is_some()))
            .with_page(0, WINDOW)
            .with_timeout(Some(Duration::from_secs(60)));
        if strategy.float || strategy.binary {
            let Some(vectors) = vectors(part, strategy) else { return Ok(Some(BTreeMap::new())) };
            query = query.with_vectors(vectors);
        }
        let found = match backend.search(query).await {
            // Vespa's own reductions of an empty tensor are 0, which is what a match without a score gets.
            Err(error) if error.code() == ErrorCode::SegmentsWithoutVectors => return Ok(Some(BTreeMap::new())),
            found => found.map_err(message)?,
        };
        Ok(Some(found.hits.into_iter().map(|hit| (hit.document.id.as_str().to_owned(), hit.score)).collect()))
    }
}

/// The query's vectors as floats: the engine packs them to bits itself.
fn vectors(part: &EnginePart, strategy: &engine_schema::KnownStrategy) -> Option<Matrix<f32>> {
    let near = part.nearest.iter().filter(|(field, _)| strategy.near.contains(field)).map(|(_, input)| input);
    let tensor = strategy.inputs.iter().chain(near).find_map(|name| part.inputs.get(name))?;
    let bits = strategy.binary && !strategy.float;
    let row = |cells: &Vec<f64>| -> Vec<f32> {
        if bits {
            let bytes: Vec<u8> = cells.iter().map(|cell| (*cell as i8).cast_unsigned()).collect();
            let bit = |byte: u8, place: u32| if byte >> (7 - place) & 1 == 1 { 1.0 } else { -1.0 };
            bytes.into_iter().flat_map(|byte| (0..8).map(move |place| bit(byte, place))).collect()
        } else {
            cells.iter().map(|cell| *cell as f32).collect()
        }
    };
    let rows: Vec<Vec<f32>> = tensor.blocks.values().map(row).collect();
    Matrix::from_rows(&rows).ok().filter(|rows| !rows.is_empty())
}
