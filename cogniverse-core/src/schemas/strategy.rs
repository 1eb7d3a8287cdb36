//! A strategy: a rank profile, understood.

use cogniverse_sdk::{FieldName, StrategyName, TensorType};
use std::time::Duration;

/// A rank profile, understood: what it needs and how it scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    pub(super) name: StrategyName,
    pub(super) inputs: StrategyInputs,
    pub(super) first_phase: Score,
    pub(super) second_phase: Option<Rerank>,
    pub(super) timeout: Duration,
}

impl Strategy {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StrategyName {
        &self.name
    }

    /// What a query must bring.
    #[must_use]
    pub fn inputs(&self) -> &StrategyInputs {
        &self.inputs
    }

    /// The score of every match.
    #[must_use]
    pub fn first_phase(&self) -> &Score {
        &self.first_phase
    }

    /// The score that replaces it for the best.
    #[must_use]
    pub fn second_phase(&self) -> Option<&Rerank> {
        self.second_phase.as_ref()
    }

    /// Time a query may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Which documents it ranks: those with one of the words where the first phase looks at words alone, else all.
    #[must_use]
    pub fn matches(&self) -> MatchSet {
        if self.first_phase.uses_words() && !self.first_phase.uses_vectors() { MatchSet::Words } else { MatchSet::All }
    }
}

/// What a query must bring.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StrategyInputs {
    /// Words.
    pub text: bool,
    /// Vectors as floats, of this type.
    pub float: Option<TensorType>,
    /// Vectors as packed sign bits, of this type.
    pub binary: Option<TensorType>,
}

impl StrategyInputs {
    /// Whether an encoder is needed.
    #[must_use]
    pub fn vectors(&self) -> bool {
        self.float.is_some() || self.binary.is_some()
    }
}

/// Which documents a strategy ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchSet {
    /// Those with at least one of the query's words in the default field set.
    Words,
    /// All.
    All,
}

/// The second phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Rerank {
    /// The score.
    pub score: Score,
    /// How many of the first phase's best get it.
    pub count: usize,
}

/// The distance of `closeness`, which is `1 / (1 + distance)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The length of the difference.
    Euclidean,
    /// The angle, in radians.
    Angular,
    /// One minus the cosine.
    PrenormalizedAngular,
    /// The negative dot product; here `closeness` is the product itself.
    DotProduct,
    /// Differing bits.
    Hamming,
}

/// A score of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// The same for all.
    Constant(f64),
    /// BM25 of the query's words in one field.
    Bm25(FieldName),
    /// Sum over query vectors of the largest dot product with a document vector.
    MaxSim {
        /// The document's float vectors.
        field: FieldName,
    },
    /// Sum over query vectors of the largest `1 / (1 + differing bits)`.
    HammingMaxSim {
        /// The document's packed vectors.
        field: FieldName,
    },
    /// As [`Score::MaxSim`], on the document's bits read as numbers.
    MaxSimBits {
        /// The document's packed vectors.
        field: FieldName,
        /// Bits are -1 and 1; else 0 and 1.
        signed: bool,
    },
    /// Closeness of one vector to one vector.
    Closeness {
        /// The document's vector.
        field: FieldName,
        /// The distance.
        metric: Metric,
    },
    /// Dot product of one float vector with the document's bits read as numbers.
    BitsDot {
        /// The document's packed vector.
        field: FieldName,
        /// Bits are -1 and 1; else 0 and 1.
        signed: bool,
    },
    /// Dot product of one vector with one vector.
    Dot {
        /// The document's vector.
        field: FieldName,
    },
    /// All of these together.
    Sum(Vec<Score>),
    /// A multiple.
    Scaled(f64, Box<Score>),
}

impl Score {
    /// Whether words count.
    #[must_use]
    pub fn uses_words(&self) -> bool {
        self.any(&|score| matches!(score, Self::Bm25(_)))
    }

    /// Whether vectors count.
    #[must_use]
    pub fn uses_vectors(&self) -> bool {
        self.any(&|score| !matches!(score, Self::Bm25(_) | Self::Constant(_) | Self::Sum(_) | Self::Scaled(..)))
    }

    fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::Sum(parts) => parts.iter().any(|part| part.any(test)),
                Self::Scaled(_, part) => part.any(test),
                _ => false,
            }
    }
}
