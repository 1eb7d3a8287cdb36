//! Compiled strategies.

use cogniverse_sdk::{FieldName, StrategyName, TensorType};
use std::time::Duration;

/// A compiled rank profile: its inputs and its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategy {
    pub(super) name: StrategyName,
    pub(super) inputs: StrategyInputs,
    pub(super) first_phase: Score,
    pub(super) second_phase: Option<Rerank>,
    pub(super) fusion: Option<Fusion>,
    pub(super) timeout: Duration,
}

impl Strategy {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &StrategyName {
        &self.name
    }

    /// Returns the inputs that a query must supply.
    #[must_use]
    pub fn inputs(&self) -> &StrategyInputs {
        &self.inputs
    }

    /// Returns the score of the first phase.
    #[must_use]
    pub fn first_phase(&self) -> &Score {
        &self.first_phase
    }

    /// Returns the second phase, if there is one.
    #[must_use]
    pub fn second_phase(&self) -> Option<&Rerank> {
        self.second_phase.as_ref()
    }

    /// Returns the global phase, if there is one.
    #[must_use]
    pub fn fusion(&self) -> Option<&Fusion> {
        self.fusion.as_ref()
    }

    /// Returns the scores of all phases: the first's, the second's, and the signals of the global one.
    pub fn scores(&self) -> impl Iterator<Item = &Score> {
        let second = self.second_phase.iter().map(|rerank| &rerank.score);
        let signals = self.fusion.iter().flat_map(|fusion| &fusion.signals).map(|signal| &signal.score);
        std::iter::once(&self.first_phase).chain(second).chain(signals)
    }

    /// Returns the number of best hits that a later phase than the first rescores.
    #[must_use]
    pub fn rescored(&self) -> usize {
        let second = self.second_phase.as_ref().map_or(0, |rerank| rerank.count);
        self.fusion.as_ref().map_or(0, |fusion| fusion.count).max(second)
    }

    /// Returns the timeout of a query.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the documents that match: those with one of the words where the first phase uses words alone, else
    /// all.
    #[must_use]
    pub fn matches(&self) -> MatchSet {
        if self.first_phase.uses_words() && !self.first_phase.uses_vectors() { MatchSet::Words } else { MatchSet::All }
    }
}

/// The inputs that a query must supply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StrategyInputs {
    /// Whether text is required.
    pub text: bool,
    /// The type of the required float vectors.
    pub float: Option<TensorType>,
    /// The type of the required packed sign bits.
    pub binary: Option<TensorType>,
}

impl StrategyInputs {
    /// Returns whether an encoder is needed.
    #[must_use]
    pub fn vectors(&self) -> bool {
        self.float.is_some() || self.binary.is_some()
    }
}

/// The documents that a strategy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchSet {
    /// Documents with at least one query word in the default field set.
    Words,
    /// All documents.
    All,
}

/// The second phase of a strategy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rerank {
    /// The score.
    pub score: Score,
    /// The number of best hits of the first phase to rescore.
    pub count: usize,
}

/// The distance in `closeness`, which is `1 / (1 + distance)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The Euclidean distance.
    Euclidean,
    /// The angle in radians.
    Angular,
    /// One minus the cosine.
    PrenormalizedAngular,
    /// The negative dot product; `closeness` is then the dot product itself.
    DotProduct,
    /// The number of differing bits.
    Hamming,
}

/// A scoring function of documents.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// A constant.
    Constant(f64),
    /// BM25 of the query words in one field.
    Bm25(FieldName),
    /// The sum over query vectors of the largest dot product with a document vector.
    MaxSim {
        /// The field of the document's float vectors.
        field: FieldName,
    },
    /// The sum over query vectors of the largest `1 / (1 + differing bits)`.
    HammingMaxSim {
        /// The field of the document's packed vectors.
        field: FieldName,
    },
    /// The formula of [`Score::MaxSim`], with the document's bits read as numbers.
    MaxSimBits {
        /// The field of the document's packed vectors.
        field: FieldName,
        /// Whether bits mean -1 and 1 instead of 0 and 1.
        signed: bool,
    },
    /// The closeness of two single vectors.
    Closeness {
        /// The field of the document's vector.
        field: FieldName,
        /// The distance.
        metric: Metric,
    },
    /// The dot product of a float vector with the document's bits read as numbers.
    BitsDot {
        /// The field of the document's packed vector.
        field: FieldName,
        /// Whether bits mean -1 and 1 instead of 0 and 1.
        signed: bool,
    },
    /// The dot product of two single vectors.
    Dot {
        /// The field of the document's vector.
        field: FieldName,
    },
    /// The sum of several scores.
    Sum(Vec<Score>),
    /// A score multiplied by a factor.
    Scaled(f64, Box<Score>),
}

impl Score {
    /// Returns whether the score depends on words.
    #[must_use]
    pub fn uses_words(&self) -> bool {
        self.any(&|score| matches!(score, Self::Bm25(_)))
    }

    /// Returns whether the score depends on vectors.
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

/// The global phase of a strategy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fusion {
    /// The signals, each once.
    pub signals: Vec<Signal>,
    /// The score of a hit.
    pub formula: Formula,
    /// The number of best hits of the phases before to rescore.
    pub count: usize,
}

/// A score of one hit that a global phase compares with those of the others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Signal {
    /// The function or rank feature, as Vespa names it.
    pub name: String,
    /// The score.
    pub score: Score,
}

/// The score of a hit in a global phase.
#[derive(Debug, Clone, PartialEq)]
pub enum Formula {
    /// A constant.
    Constant(f64),
    /// A signal, made comparable.
    Normalized {
        /// The index of the signal in [`Fusion::signals`].
        signal: usize,
        /// The scale.
        scale: Scale,
    },
    /// The sum of two scores.
    Sum(Box<Formula>, Box<Formula>),
    /// A score multiplied by a factor.
    Scaled(f64, Box<Formula>),
}

/// The scale that a signal is brought to, over the hits that a global phase rescores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// From 0 for the least to 1 for the greatest; 0.5 where all are equal.
    Linear,
    /// `1 / (k + rank)`, where the greatest has rank 1 and equal ones keep the order of the phases before.
    ReciprocalRank {
        /// The number added to the rank: the greater, the less the first ranks weigh.
        k: f64,
    },
}
