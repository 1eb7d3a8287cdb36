//! The role that searches a tenant schema.

use crate::{
    Correction, Document, DocumentStore, Facet, FacetRequest, FieldName, Filter, Matrix, Result, SchemaStore, Sort,
    StrategyName, TenantSchema, WordCondition,
};
use async_trait::async_trait;
use std::{ops::Range, time::Duration};

/// The largest number of facets of a query.
pub const MAX_FACETS: usize = 8;
/// The largest number of values that a facet lists.
pub const MAX_FACET_VALUES: usize = 1_000;
/// The largest number of conditions on words of a query.
pub const MAX_WORD_CONDITIONS: usize = 32;

/// A ranked query of one tenant schema.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendQuery {
    /// The tenant schema to search.
    pub schema: TenantSchema,
    /// The strategy: a rank profile of the base schema.
    pub strategy: StrategyName,
    /// The query text, always literal ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)).
    pub text: Option<String>,
    /// The language of the text (a code of ISO 639 such as `de`, or a tag such as `pt-BR`): the words are looked for as
    /// documents of this language, and of none, have them. `None` (the default) looks for them in all languages of the
    /// schema's documents.
    pub language: Option<String>,
    /// The query vectors as floats; strategies on bits pack them.
    pub vectors: Option<Matrix<f32>>,
    /// The filter on documents, applied before ranking.
    pub filter: Option<Filter>,
    /// Conditions on the words of documents, all of which must hold; at most [`MAX_WORD_CONDITIONS`] (default: none).
    pub words: Vec<WordCondition>,
    /// Whether a query word that no document has is replaced by similar ones that documents have (default `false`).
    pub typos: bool,
    /// The order of the hits by a field, in place of the score (default: by score).
    pub sort: Option<Sort>,
    /// The fields to count the matched documents by; at most [`MAX_FACETS`] (default: none).
    pub facets: Vec<FacetRequest>,
    /// The largest number of hits (default 10).
    pub limit: usize,
    /// The number of hits to skip (default 0).
    pub offset: usize,
    /// The timeout; `None` uses the strategy's own.
    pub timeout: Option<Duration>,
}

impl BackendQuery {
    /// Creates a query for ten hits, with neither text nor vectors yet.
    #[must_use]
    pub fn new(schema: TenantSchema, strategy: StrategyName) -> Self {
        Self {
            schema,
            strategy,
            text: None,
            language: None,
            vectors: None,
            filter: None,
            words: Vec::new(),
            typos: false,
            sort: None,
            facets: Vec::new(),
            limit: 10,
            offset: 0,
            timeout: None,
        }
    }

    /// Sets the query text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Sets the language of the text.
    #[must_use]
    pub fn with_language(mut self, language: Option<String>) -> Self {
        self.language = language;
        self
    }

    /// Sets the query vectors.
    #[must_use]
    pub fn with_vectors(mut self, vectors: Matrix<f32>) -> Self {
        self.vectors = Some(vectors);
        self
    }

    /// Sets the filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Filter>) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the conditions on the words of documents.
    #[must_use]
    pub fn with_words(mut self, words: Vec<WordCondition>) -> Self {
        self.words = words;
        self
    }

    /// Sets whether a query word that no document has is replaced by similar ones.
    ///
    /// Of a word of 4 to 7 letters those within one edit are taken, of a longer one those within two; shorter words stay as they
    /// are. The answer lists each replacement in [`BackendHits::corrections`].
    #[must_use]
    pub fn with_typos(mut self, typos: bool) -> Self {
        self.typos = typos;
        self
    }

    /// Sets the order of the hits by a field, in place of the score.
    ///
    /// All matched documents take part, and no phase is computed: the score of each hit is 0.0.
    #[must_use]
    pub fn with_sort(mut self, sort: Option<Sort>) -> Self {
        self.sort = sort;
        self
    }

    /// Sets the fields to count the matched documents by.
    #[must_use]
    pub fn with_facets(mut self, facets: Vec<FacetRequest>) -> Self {
        self.facets = facets;
        self
    }

    /// Sets the number of hits to skip and the largest number to return.
    #[must_use]
    pub fn with_page(mut self, offset: usize, limit: usize) -> Self {
        self.offset = offset;
        self.limit = limit;
        self
    }

    /// Sets the timeout.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }
}

/// The matched words of one text field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highlight {
    /// The field.
    pub field: FieldName,
    /// Byte ranges of the matches in the field's text: ordered, on character boundaries and not overlapping.
    pub ranges: Vec<Range<usize>>,
}

impl Highlight {
    /// Creates a highlight; for backends.
    #[must_use]
    pub fn new(field: FieldName, ranges: Vec<Range<usize>>) -> Self {
        Self { field, ranges }
    }
}

/// A search hit.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendHit {
    /// The schema of the hit as the backend reports it; the caller verifies it ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
    pub schema: TenantSchema,
    /// The document, without its tensors.
    pub document: Document,
    /// The score of the last ranking phase; 0.0 where the query asks for an order by a field.
    pub score: f64,
    /// The first phase's score, where a later phase replaced it.
    pub first_phase: Option<f64>,
    /// The matched words, by field.
    pub highlights: Vec<Highlight>,
}

impl BackendHit {
    /// Creates a hit; for backends.
    #[must_use]
    pub fn new(schema: TenantSchema, document: Document, score: f64) -> Self {
        Self { schema, document, score, first_phase: None, highlights: Vec::new() }
    }
}

/// The extent to which a search covered its schema ([invariant 18](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#18)).
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Coverage {
    /// The whole schema was searched.
    #[default]
    Full,
    /// Part of the schema was searched.
    Partial {
        /// The machine-readable cause.
        cause: PartialCause,
        /// The reason, for people.
        reason: String,
    },
}

/// The cause of partial coverage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartialCause {
    /// The timeout expired.
    Timeout,
    /// Parts of the backend are down or catching up.
    Nodes,
    /// The backend limited the matches that it ranks, by configuration.
    Limited,
    /// Documents changed during the search.
    Changed,
    /// Part of the backend failed.
    Error,
}

/// The result of a search. Equal scores keep a stable order while documents do not change, so that pages do not
/// overlap.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct BackendHits {
    /// The hits, best first, or in the order by a field that the query asks for.
    pub hits: Vec<BackendHit>,
    /// The number of documents that matched, ranked or not.
    pub matched: u64,
    /// The extent of the search.
    pub coverage: Coverage,
    /// The counts by fields, in the order of the query's [`facets`](BackendQuery::facets).
    pub facets: Vec<Facet>,
    /// The query words that were replaced, in their order, where the query allows it.
    pub corrections: Vec<Correction>,
}

impl BackendHits {
    /// Creates a result with full coverage; for backends.
    #[must_use]
    pub fn new(hits: Vec<BackendHit>, matched: u64) -> Self {
        Self { hits, matched, ..Self::default() }
    }

    /// Sets the coverage.
    #[must_use]
    pub fn with_coverage(mut self, coverage: Coverage) -> Self {
        self.coverage = coverage;
        self
    }

    /// Sets the counts by fields.
    #[must_use]
    pub fn with_facets(mut self, facets: Vec<Facet>) -> Self {
        self.facets = facets;
        self
    }

    /// Sets the query words that were replaced.
    #[must_use]
    pub fn with_corrections(mut self, corrections: Vec<Correction>) -> Self {
        self.corrections = corrections;
        self
    }
}

/// A document store that ranks documents.
///
/// # Contract
/// - A search reads the one tenant schema of its query and nothing else.
/// - The strategy's inputs are checked first: a missing text or vector, a wrong dimension and NaN are `InvalidInput`.
/// - The second phase's score replaces the first's for the best `rerank_count` matches; those rank above the rest. The
///   global phase does so after it, by signals normalized over the matches that it rescores.
/// - A query with a [`Sort`] returns hits in that order, whatever their scores.
/// - Facets count what `matched` counts: every document that the query and its conditions match, not the page.
/// - A search of an empty schema returns no hits and no error.
///
/// # Errors
/// `NotFound` for a schema that is not deployed or a strategy that it does not have, with the names that exist;
/// `Timeout`.
///
/// # Cancellation
/// A search whose future is dropped ends soon and leaves no state behind.
#[async_trait]
pub trait SearchBackend: SchemaStore + DocumentStore {
    /// Runs a ranked query.
    async fn search(&self, query: BackendQuery) -> Result<BackendHits>;
}

const _: fn(&dyn SearchBackend) = |_| {};
