//! The container and its content cluster: which document types there are, their documents, and searches of them.
//!
//! | module | what it holds |
//! |---|---|
//! | `package`, `sd`, `changes` | an application package, its schemas, and what it changes in the running one |
//! | `data_type`, `value`, `tensor`, `document_id`, `store` | documents |
//! | `documents`, `selection` | `/document/v1` |
//! | `search`, `yql`, `matching`, `analysis`, `nearest` | `/search/` |
//! | `engine`, `engine_schema` | the embedded engine, which scores the strategies |
//!
//! What it is not: there is no proton, so no graph (neighbours are exact, so recall is never at risk), none of Vespa's
//! linguistics (words are cut and stemmed by `cogniverse_core::text`), no grouping, no regular expressions, and memory only.
//! Rank profiles whose phases are formulas of a cogniverse schema are scored by the embedded engine, the best 10,000 of a
//! type; in other profiles numbers, `attribute`, `bm25`, `nativeRank` (here: bm25 over all text fields), `closeness` and
//! functions of these have their values, and anything else is 0. A query's input that is missing scores 0, as in proton.

mod analysis;
mod changes;
mod data_type;
mod document_id;
mod documents;
mod duration;
mod engine;
mod engine_schema;
mod global_phase;
mod matching;
mod nearest;
mod package;
mod sd;
mod search;
mod selection;
mod store;
mod tensor;
mod value;
mod yql;

#[cfg(test)]
mod tests;

use crate::message::{Reply, Request};
use bytes::Bytes;
use engine::Engine;
use package::Package;
use serde_json::Value;
use std::{collections::BTreeMap, future::Future};
use store::Documents;

/// The files of an application package, by path.
pub(crate) type Files = BTreeMap<String, Bytes>;

/// A package that a deployment may activate.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// `configChangeActions` of the answer.
    pub(crate) actions: Value,
    /// Entries of `log`: (level, message).
    pub(crate) log: Vec<(&'static str, String)>,
}

/// What of an answer is wrong on purpose.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContentFaults {
    /// Searches say that they saw half of the documents.
    pub(crate) degraded: bool,
    /// Searches give a hit of this document type too.
    pub(crate) foreign_hit: Option<String>,
    /// Visits give each document twice.
    pub(crate) repeat_visited: bool,
}

/// The container and its content cluster.
#[derive(Debug)]
pub(crate) struct Content {
    state: parking_lot::RwLock<Option<Running>>,
    engine: tokio::sync::Mutex<Engine>,
}

/// The package in force and its documents.
#[derive(Debug)]
struct Running {
    package: Package,
    documents: BTreeMap<String, Documents>,
}

impl Content {
    /// Nothing deployed, in a folder that goes with it.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { state: parking_lot::RwLock::new(None), engine: tokio::sync::Mutex::new(Engine::new()?) })
    }

    /// What "prepare" finds, compared with the running package; the message where it refuses.
    pub(crate) fn check(&self, files: &Files, previous: Option<&Files>) -> Result<Checked, String> {
        let refused = |why: String| format!("Invalid application package: {why}");
        let today = package::today();
        let package = Package::read(files, today).map_err(refused)?;
        let previous = match previous {
            // Permissions of the running package may have run out since.
            Some(previous) => Package::read(&without_overrides(previous), today).map_err(refused)?,
            None => Package::default(),
        };
        let actions = changes::actions(&package, &previous).map_err(refused)?;
        let unused = package.schemas.keys().filter(|name| package.cluster_of(name).is_none());
        let log = unused.map(|name| ("INFO", format!("Schema '{name}' is in no content cluster"))).collect();
        Ok(Checked { actions, log })
    }

    /// Puts a checked package in force: document types come, change and go.
    pub(crate) async fn activate(&self, files: &Files) -> Result<(), String> {
        let package = Package::read(&without_overrides(files), package::today())?;
        let mut engine = self.engine.lock().await;
        let changed: Vec<String> = {
            let mut state = self.state.write();
            let mut documents = state.take().map_or_else(BTreeMap::new, |running| {
                let changed = |name: &String| running.package.document_type(name) != package.document_type(name);
                running
                    .documents
                    .into_iter()
                    .map(|(name, documents)| (name.clone(), (changed(&name), documents)))
                    .collect()
            });
            documents.retain(|name, _| package.document_type(name).is_some());
            let mut changed = Vec::new();
            let mut kept = BTreeMap::new();
            for (name, (differs, mut documents)) in documents {
                if let Some(schema) = package.document_type(&name).filter(|_| differs) {
                    documents.retain(|name, value| {
                        schema.document_field(name).is_some_and(|field| value.fits(&field.data_type))
                    });
                    documents.all_changed();
                    changed.push(name.clone());
                }
                kept.insert(name, documents);
            }
            *state = Some(Running { package, documents: kept });
            changed
        };
        let gone: Vec<String> = {
            let state = self.state.read();
            let known =
                |name: &str| state.as_ref().is_some_and(|running| running.package.document_type(name).is_some());
            engine.names().filter(|name| !known(name)).map(str::to_owned).collect()
        };
        for name in changed.into_iter().chain(gone) {
            engine.forget(&name).await;
        }
        Ok(())
    }

    /// Anything below `/document/v1`.
    pub(crate) fn documents(&self, request: &Request, faults: &ContentFaults) -> impl Future<Output = Reply> + Send {
        std::future::ready(documents::handle(self, request, faults))
    }

    /// How many documents there are of each type.
    pub(crate) fn document_counts(&self) -> Vec<(String, u64)> {
        let state = self.state.read();
        let Some(running) = state.as_ref() else { return Vec::new() };
        let types = running.package.clusters.iter().flat_map(|cluster| &cluster.types);
        let count = |name: &str| running.documents.get(name).map_or(0, |documents| documents.len() as u64);
        types.map(|(name, _)| (name.clone(), count(name))).collect()
    }

    /// `/search/`
    pub(crate) async fn search(&self, request: &Request, faults: &ContentFaults) -> Reply {
        search::handle(self, request, faults).await
    }
}

fn without_overrides(files: &Files) -> Files {
    let kept = files.iter().filter(|(path, _)| *path != "validation-overrides.xml");
    kept.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
}
