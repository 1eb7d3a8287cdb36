//! Ranking of memories by a weighted sum of three signals.

use super::MemoryFilter;
use crate::{
    Error, Result,
    memory::{Memory, MemoryReach},
};
use std::time::Duration;

/// The weights of the three signals of a memory's score.
///
/// `score = semantic * max(cosine, 0) + text * bm25 / (bm25 + 2) + recency * 0.5 ^ (age / half_life)`, where the
/// weights are normalized to a sum of 1, so that a score lies from 0 to 1. The age is the time since the last change.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryWeights {
    /// The weight of the vector similarity (default 0.75).
    pub semantic: f64,
    /// The weight of the text match (default 0.20).
    pub text: f64,
    /// The weight of recency (default 0.05).
    pub recency: f64,
    /// The age at which the recency signal has halved (default 30 days).
    pub half_life: Duration,
}

impl Default for MemoryWeights {
    fn default() -> Self {
        Self { semantic: 0.75, text: 0.2, recency: 0.05, half_life: Duration::from_secs(30 * 24 * 3600) }
    }
}

impl MemoryWeights {
    /// Creates weights with the default half-life.
    ///
    /// # Errors
    /// `InvalidInput` for a weight that is negative or not finite, or where all weights are 0.
    pub fn new(semantic: f64, text: f64, recency: f64) -> Result<Self> {
        let weights = [semantic, text, recency];
        if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) || weights.iter().sum::<f64>() <= 0.0 {
            return Err(Error::invalid(format!(
                "the weights {semantic}, {text} and {recency} make no score; give finite numbers from 0, at least one above"
            )));
        }
        Ok(Self { semantic, text, recency, ..Self::default() })
    }

    /// Sets the half-life; zero counts as one microsecond.
    #[must_use]
    pub fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life.max(Duration::from_micros(1));
        self
    }

    /// Computes the signals of a hit from the cosine of the vectors, the BM25 score and the time since the last
    /// change.
    #[must_use]
    pub fn signals(&self, cosine: f64, bm25: f64, age: Duration) -> MemorySignals {
        MemorySignals {
            semantic: cosine.clamp(-1.0, 1.0),
            text: if bm25 > 0.0 { bm25 / (bm25 + 2.0) } else { 0.0 },
            recency: 0.5_f64.powf(age.as_secs_f64() / self.half_life.as_secs_f64().max(1e-6)),
        }
    }

    /// Returns the weighted score of the signals.
    #[must_use]
    pub fn score(&self, signals: &MemorySignals) -> f64 {
        let sum = self.semantic + self.text + self.recency;
        let weighted =
            self.semantic * signals.semantic.max(0.0) + self.text * signals.text + self.recency * signals.recency;
        if sum > 0.0 { weighted / sum } else { 0.0 }
    }
}

/// The signals that make up a score.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemorySignals {
    /// The cosine of the vectors, from -1 to 1.
    pub semantic: f64,
    /// The normalized BM25 score, from 0 to 1.
    pub text: f64,
    /// The recency of the last change, from 0 to 1.
    pub recency: f64,
}

/// A search for memories.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchMemories {
    /// The scopes to search.
    pub reach: MemoryReach,
    /// The query text, always literal.
    pub text: String,
    /// The embedding of the query text, made by the model of the stored vectors.
    pub vector: Vec<f32>,
    /// The filter on the memories.
    pub filter: MemoryFilter,
    /// The largest number of hits (default 5; from 1 to 100).
    pub top_k: usize,
    /// The smallest [`MemorySignals::semantic`] of a hit (default 0.1).
    pub threshold: f64,
    /// The weights of the signals.
    pub weights: MemoryWeights,
    /// Whether to include expired memories (default `false`).
    pub expired: bool,
}

impl SearchMemories {
    /// Creates a search for five hits.
    #[must_use]
    pub fn new(reach: impl Into<MemoryReach>, text: impl Into<String>, vector: Vec<f32>) -> Self {
        Self {
            reach: reach.into(),
            text: text.into(),
            vector,
            filter: MemoryFilter::default(),
            top_k: 5,
            threshold: 0.1,
            weights: MemoryWeights::default(),
            expired: false,
        }
    }

    /// Sets the largest number of hits.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Sets the smallest semantic signal of a hit.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the weights.
    #[must_use]
    pub fn with_weights(mut self, weights: MemoryWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Includes expired memories.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// A memory found by a search.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryHit {
    /// The memory.
    pub memory: Memory,
    /// The score, from 0 to 1.
    pub score: f64,
    /// The signals that make up the score.
    pub signals: MemorySignals,
}

impl MemoryHit {
    /// Creates a hit; for implementations.
    #[must_use]
    pub fn new(memory: Memory, score: f64, signals: MemorySignals) -> Self {
        Self { memory, score, signals }
    }
}

/// The result of a search for memories.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct MemoryHits {
    /// The hits, best first; equal scores are ordered by id.
    pub hits: Vec<MemoryHit>,
    /// The reason the search covered only part of the memories, if it did ([invariant 18](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#18)).
    pub partial: Option<String>,
}

impl MemoryHits {
    /// Creates a result; for implementations.
    #[must_use]
    pub fn new(hits: Vec<MemoryHit>, partial: Option<String>) -> Self {
        Self { hits, partial }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula() {
        let weights = MemoryWeights::default().with_half_life(Duration::from_secs(100));
        let signals = weights.signals(0.8, 2.0, Duration::from_secs(100));
        assert_eq!((signals.semantic, signals.text, signals.recency), (0.8, 0.5, 0.5));
        assert!((weights.score(&signals) - (0.75 * 0.8 + 0.2 * 0.5 + 0.05 * 0.5)).abs() < 1e-12);
        let opposite = weights.signals(-1.0, 0.0, Duration::from_secs(100_000));
        assert!(weights.score(&opposite).abs() < 1e-9);
        let doubled = MemoryWeights::new(1.5, 0.4, 0.1).unwrap().with_half_life(Duration::from_secs(100));
        assert!((doubled.score(&signals) - weights.score(&signals)).abs() < 1e-12);
        for (a, b, c) in [(0.0, 0.0, 0.0), (-1.0, 1.0, 1.0), (f64::NAN, 1.0, 1.0), (1.0, f64::INFINITY, 1.0)] {
            assert!(MemoryWeights::new(a, b, c).is_err());
        }
    }
}
