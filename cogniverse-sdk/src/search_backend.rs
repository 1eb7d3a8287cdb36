//! Searching one tenant schema.

use crate::{Document, DocumentStore, FieldName, Filter, Matrix, Result, SchemaStore, StrategyName, TenantSchema};
use async_trait::async_trait;
use std::{ops::Range, time::Duration};

/// A ranked query of one tenant schema.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendQuery {
    /// Where: exactly one tenant schema.
    pub schema: TenantSchema,
    /// How: a rank profile of the base schema.
    pub strategy: StrategyName,
    /// The user's words, always literal (invariant 21).
    pub text: Option<String>,
    /// The query's vectors as floats; a strategy on bits packs them itself.
    pub vectors: Option<Matrix<f32>>,
    /// Only documents that meet it, decided before ranking.
    pub filter: Option<Filter>,
    /// At most so many hits (default 10).
    pub limit: usize,
    /// Hits to pass over.
    pub offset: usize,
    /// Time to give up after; none: the strategy's own.
    pub timeout: Option<Duration>,
}

impl BackendQuery {
    /// Ten hits of a strategy, with neither words nor vectors yet.
    #[must_use]
    pub fn new(schema: TenantSchema, strategy: StrategyName) -> Self {
        Self { schema, strategy, text: None, vectors: None, filter: None, limit: 10, offset: 0, timeout: None }
    }

    /// The user's words.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// The query's vectors.
    #[must_use]
    pub fn with_vectors(mut self, vectors: Matrix<f32>) -> Self {
        self.vectors = Some(vectors);
        self
    }

    /// Only documents that meet it.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Filter>) -> Self {
        self.filter = filter;
        self
    }

    /// So many hits after so many.
    #[must_use]
    pub fn with_page(mut self, offset: usize, limit: usize) -> Self {
        self.offset = offset;
        self.limit = limit;
        self
    }

    /// Time to give up after.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }
}

/// Where the query's words stand in a text field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highlight {
    /// The field.
    pub field: FieldName,
    /// Byte ranges of the field's text, in order, on character boundaries, not overlapping.
    pub ranges: Vec<Range<usize>>,
}

impl Highlight {
    /// From a backend.
    #[must_use]
    pub fn new(field: FieldName, ranges: Vec<Range<usize>>) -> Self {
        Self { field, ranges }
    }
}

/// One hit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendHit {
    /// Where it was found, as the backend says; whoever asked checks it (invariant 5).
    pub schema: TenantSchema,
    /// The document without its tensors.
    pub document: Document,
    /// The score of the last phase that scored it.
    pub score: f64,
    /// The first phase's score, where a second phase replaced it.
    pub first_phase: Option<f64>,
    /// The query's words in it.
    pub highlights: Vec<Highlight>,
}

impl BackendHit {
    /// From a backend.
    #[must_use]
    pub fn new(schema: TenantSchema, document: Document, score: f64) -> Self {
        Self { schema, document, score, first_phase: None, highlights: Vec::new() }
    }
}

/// How much of the schema an answer speaks of (invariant 18).
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Coverage {
    /// All of it.
    #[default]
    Full,
    /// A part, and why.
    Partial {
        /// Why, for a program.
        cause: PartialCause,
        /// Why, for a person.
        reason: String,
    },
}

/// Why an answer speaks of a part only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartialCause {
    /// The time was up.
    Timeout,
    /// Parts of the backend are missing or catching up.
    Nodes,
    /// The backend looked at a part of the matches on purpose.
    Limited,
    /// Documents changed while the search ran.
    Changed,
    /// A part of the backend failed.
    Error,
}

/// Hits, best first; equal scores stand in an order that stays the same while documents do, so that pages do not overlap.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct BackendHits {
    /// Best first.
    pub hits: Vec<BackendHit>,
    /// How many documents matched, ranked or not.
    pub matched: u64,
    /// How much of the schema this speaks of.
    pub coverage: Coverage,
}

impl BackendHits {
    /// From a backend, with full coverage.
    #[must_use]
    pub fn new(hits: Vec<BackendHit>, matched: u64) -> Self {
        Self { hits, matched, coverage: Coverage::Full }
    }

    /// Says how much it speaks of.
    #[must_use]
    pub fn with_coverage(mut self, coverage: Coverage) -> Self {
        self.coverage = coverage;
        self
    }
}

/// A store of documents that ranks them.
///
/// # Contract
/// - A search reads the one tenant schema of its query and nothing else.
/// - The strategy's inputs are checked first: a missing text or vector, a wrong dimension, NaN are `InvalidInput`.
/// - The second phase's score replaces the first's for the best `rerank_count` matches; those come before the rest.
/// - An empty schema has no hits; that is no error.
///
/// # Errors
/// `NotFound` for a schema that is not deployed or a strategy it does not have, with what exists; `Timeout`.
///
/// # Cancellation
/// A dropped search ends soon and leaves nothing behind.
#[async_trait]
pub trait SearchBackend: SchemaStore + DocumentStore {
    /// Ranks.
    async fn search(&self, query: BackendQuery) -> Result<BackendHits>;
}

const _: fn(&dyn SearchBackend) = |_| {};
