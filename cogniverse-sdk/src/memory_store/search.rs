//! Ranking memories: three signals, one sum.

use super::MemoryFilter;
use crate::{
    Error, Result,
    memory::{Memory, MemoryReach},
};
use std::time::Duration;

/// What each signal counts.
///
/// `score = semantic * max(cosine, 0) + text * bm25 / (bm25 + 2) + recency * 0.5 ^ (age / half_life)`, where the three weights
/// are divided by their sum. So a score lies from 0 to 1. The age is that of the last change.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MemoryWeights {
    /// Of the meaning (default 0.75).
    pub semantic: f64,
    /// Of the words (default 0.20).
    pub text: f64,
    /// Of the time of the last change (default 0.05).
    pub recency: f64,
    /// After which recency is halved (default 30 days).
    pub half_life: Duration,
}

impl Default for MemoryWeights {
    fn default() -> Self {
        Self { semantic: 0.75, text: 0.2, recency: 0.05, half_life: Duration::from_secs(30 * 24 * 3600) }
    }
}

impl MemoryWeights {
    /// Other weights.
    ///
    /// # Errors
    /// `InvalidInput` for a weight below 0 or not finite, or where all are 0.
    pub fn new(semantic: f64, text: f64, recency: f64) -> Result<Self> {
        let weights = [semantic, text, recency];
        if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) || weights.iter().sum::<f64>() <= 0.0 {
            return Err(Error::invalid(format!(
                "the weights {semantic}, {text} and {recency} make no score; give finite numbers from 0, at least one above"
            )));
        }
        Ok(Self { semantic, text, recency, ..Self::default() })
    }

    /// Another half-life; no time at all is taken as a microsecond.
    #[must_use]
    pub fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life.max(Duration::from_micros(1));
        self
    }

    /// The signals of a hit: the cosine of the vectors, BM25 of the words, and the age of the last change.
    #[must_use]
    pub fn signals(&self, cosine: f64, bm25: f64, age: Duration) -> MemorySignals {
        MemorySignals {
            semantic: cosine.clamp(-1.0, 1.0),
            text: if bm25 > 0.0 { bm25 / (bm25 + 2.0) } else { 0.0 },
            recency: 0.5_f64.powf(age.as_secs_f64() / self.half_life.as_secs_f64().max(1e-6)),
        }
    }

    /// The score of the signals.
    #[must_use]
    pub fn score(&self, signals: &MemorySignals) -> f64 {
        let sum = self.semantic + self.text + self.recency;
        let weighted =
            self.semantic * signals.semantic.max(0.0) + self.text * signals.text + self.recency * signals.recency;
        if sum > 0.0 { weighted / sum } else { 0.0 }
    }
}

/// What a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct MemorySignals {
    /// The cosine of the vectors, from -1 to 1.
    pub semantic: f64,
    /// How well the words fit, from 0 to 1.
    pub text: f64,
    /// How recent the last change is, from 0 to 1.
    pub recency: f64,
}

/// A search of memories.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchMemories {
    /// Whose.
    pub reach: MemoryReach,
    /// The words; they are always literal.
    pub text: String,
    /// Their vector, by the model whose vectors the store holds.
    pub vector: Vec<f32>,
    /// Which.
    pub filter: MemoryFilter,
    /// At most so many hits (default 5; from 1 to 100).
    pub top_k: usize,
    /// The least [`MemorySignals::semantic`] of a hit (default 0.1).
    pub threshold: f64,
    /// What each signal counts.
    pub weights: MemoryWeights,
    /// Also those whose time is over (default: no).
    pub expired: bool,
}

impl SearchMemories {
    /// Five hits for words and their vector.
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

    /// Another number of hits.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Another least semantic signal.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Only those.
    #[must_use]
    pub fn with_filter(mut self, filter: MemoryFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Other weights.
    #[must_use]
    pub fn with_weights(mut self, weights: MemoryWeights) -> Self {
        self.weights = weights;
        self
    }

    /// Also those whose time is over.
    #[must_use]
    pub fn with_expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// A memory that was found, best first.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryHit {
    /// The memory.
    pub memory: Memory,
    /// Its score, from 0 to 1.
    pub score: f64,
    /// What the score is made of.
    pub signals: MemorySignals,
}

impl MemoryHit {
    /// From a store.
    #[must_use]
    pub fn new(memory: Memory, score: f64, signals: MemorySignals) -> Self {
        Self { memory, score, signals }
    }
}

/// Hits, best first.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct MemoryHits {
    /// Best first; equal scores by id.
    pub hits: Vec<MemoryHit>,
    /// Why they speak of a part of the memories only, where they do (invariant 18).
    pub partial: Option<String>,
}

impl MemoryHits {
    /// From a store.
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
