//! The role that scores the results of a search anew.

use crate::{Error, Modality, Result, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The largest number of results in one request.
pub const MAX_ITEMS: usize = 500;

/// The results of one search of one tenant, to be scored for its query.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RerankRequest {
    /// The query text.
    pub query: String,
    /// The kinds of content that the query asks for; empty where that is not known.
    pub modalities: Vec<Modality>,
    /// The time of recording that the query asks for, from its start to its end.
    pub recorded: Option<(Timestamp, Timestamp)>,
    /// The results, at most 500, in any order.
    pub items: Vec<RerankItem>,
    /// The time that the scores may take; `None` uses the implementation's own limit.
    pub timeout: Option<Duration>,
}

impl RerankRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(query: impl Into<String>, items: Vec<RerankItem>) -> Self {
        Self { query: query.into(), modalities: Vec::new(), recorded: None, items, timeout: None }
    }

    /// Sets the kinds of content that the query asks for.
    #[must_use]
    pub fn with_modalities(mut self, modalities: impl IntoIterator<Item = Modality>) -> Self {
        self.modalities = modalities.into_iter().collect();
        self
    }

    /// Sets the time of recording that the query asks for.
    #[must_use]
    pub fn with_recorded(mut self, start: Timestamp, end: Timestamp) -> Self {
        self.recorded = Some((start.min(end), start.max(end)));
        self
    }

    /// Sets the time that the scores may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Validates the request. Every implementation calls this first.
    ///
    /// # Errors
    /// `InvalidInput` for too many results, for two of the same id, and for a score that is not finite.
    pub fn check(&self) -> Result<()> {
        if self.items.len() > MAX_ITEMS {
            return Err(Error::invalid(format!("{} results to rerank; give at most {MAX_ITEMS}", self.items.len())));
        }
        let mut seen = std::collections::HashSet::new();
        for item in &self.items {
            if !seen.insert(item.id.as_str()) {
                return Err(Error::invalid("two results to rerank have the same id; give each its own"));
            }
            if !item.score.is_finite() {
                return Err(Error::invalid(format!("a result to rerank has the score {}; give a number", item.score)));
            }
        }
        Ok(())
    }
}

/// A result to be scored.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RerankItem {
    /// An id within the request.
    pub id: String,
    /// The video or other whole that the result is a part of.
    pub source: String,
    /// Title and text.
    pub text: String,
    /// The kinds of content that the result is, the main one first.
    pub modalities: Vec<Modality>,
    /// The score of the search, any finite number: larger is better.
    pub score: f64,
    /// The time of recording, or of storing where that is not known.
    pub recorded_at: Option<Timestamp>,
}

impl RerankItem {
    /// Creates a result of a source with a text and a score.
    #[must_use]
    pub fn new(id: impl Into<String>, source: impl Into<String>, text: impl Into<String>, score: f64) -> Self {
        let (id, source, text) = (id.into(), source.into(), text.into());
        Self { id, source, text, modalities: Vec::new(), score, recorded_at: None }
    }

    /// Sets the kinds of content that it is, the main one first.
    #[must_use]
    pub fn with_modalities(mut self, modalities: impl IntoIterator<Item = Modality>) -> Self {
        self.modalities = modalities.into_iter().collect();
        self
    }

    /// Sets the time of recording.
    #[must_use]
    pub fn recorded_at(mut self, time: Option<Timestamp>) -> Self {
        self.recorded_at = time;
        self
    }
}

/// The new score of a result.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RerankScore {
    /// The score, finite: larger is better.
    pub score: f64,
    /// The signals that it is made of, by name.
    pub signals: BTreeMap<String, f64>,
}

impl RerankScore {
    /// Creates a score without signals.
    #[must_use]
    pub fn new(score: f64) -> Self {
        Self { score, signals: BTreeMap::new() }
    }

    /// Adds a signal.
    #[must_use]
    pub fn with_signal(mut self, name: impl Into<String>, value: f64) -> Self {
        self.signals.insert(name.into(), value);
        self
    }
}

/// Scores the results of a search anew, for one query of one tenant at a time.
///
/// # Contract
/// - The answer holds one score per result, in the order of the request, each finite.
/// - The score of a result does not depend on the order of the request.
/// - Nothing of one request is used for another.
///
/// # Errors
/// `InvalidInput` for what [`RerankRequest::check`] refuses; any error of a model behind it. A result that could not be
/// scored is an error of the call and never a low score.
///
/// # Cancellation
/// Dropping the future may waste work but leaves no state behind.
#[async_trait]
pub trait Reranker: fmt::Debug + Send + Sync + 'static {
    /// Returns one score per result.
    async fn rerank(&self, request: RerankRequest) -> Result<Vec<RerankScore>>;
}

const _: fn(&dyn Reranker) = |_| {};
