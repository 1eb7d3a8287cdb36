//! The container and its content cluster: which document types there are, their documents, and searches of them.

use crate::message::{Reply, Request};
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;

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
pub(crate) struct Content {}

impl Content {
    /// Nothing deployed, in a folder that goes with it.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// What "prepare" finds, compared with the running package; the message where it refuses.
    pub(crate) fn check(&self, _files: &Files, _previous: Option<&Files>) -> Result<Checked, String> {
        Ok(Checked { actions: serde_json::json!({"restart": [], "refeed": [], "reindex": []}), log: Vec::new() })
    }

    /// Puts a checked package in force: document types come, change and go.
    pub(crate) async fn activate(&self, _files: &Files) -> Result<(), String> {
        Ok(())
    }

    /// Anything below `/document/v1`.
    pub(crate) async fn documents(&self, _request: &Request, _faults: &ContentFaults) -> Reply {
        Reply::json(http::StatusCode::NOT_FOUND, &serde_json::json!({}))
    }

    /// How many documents there are of each type.
    pub(crate) fn document_counts(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    /// `/search/`
    pub(crate) async fn search(&self, _request: &Request, _faults: &ContentFaults) -> Reply {
        Reply::json(http::StatusCode::NOT_FOUND, &serde_json::json!({}))
    }
}
