//! Storing, reading and visiting documents.

use crate::{Document, DocumentId, Error, FieldName, Filter, Result, TenantSchema, document::Fields};
use async_trait::async_trait;
use std::fmt;

/// Documents to store, each replacing one of the same id.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PutRequest {
    /// Where.
    pub schema: TenantSchema,
    /// What.
    pub documents: Vec<Document>,
}

impl PutRequest {
    /// These documents.
    #[must_use]
    pub fn new(schema: TenantSchema, documents: Vec<Document>) -> Self {
        Self { schema, documents }
    }
}

/// A change of some fields of one document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DocumentUpdate {
    /// Which.
    pub id: DocumentId,
    /// Fields to set; the others stay.
    pub assign: Fields,
    /// Fields to clear.
    pub clear: Vec<FieldName>,
}

impl DocumentUpdate {
    /// Sets fields.
    #[must_use]
    pub fn assign(id: DocumentId, assign: Fields) -> Self {
        Self { id, assign, clear: Vec::new() }
    }

    /// Clears fields too.
    #[must_use]
    pub fn with_clear(mut self, clear: Vec<FieldName>) -> Self {
        self.clear = clear;
        self
    }
}

/// Partial updates. A document that does not exist is refused, not made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UpdateRequest {
    /// Where.
    pub schema: TenantSchema,
    /// What.
    pub updates: Vec<DocumentUpdate>,
}

impl UpdateRequest {
    /// These updates.
    #[must_use]
    pub fn new(schema: TenantSchema, updates: Vec<DocumentUpdate>) -> Self {
        Self { schema, updates }
    }
}

/// What became of one document of a feed (invariant 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutcomeStatus {
    /// It is stored, and a crash does not take it away.
    Stored,
    /// It was refused and is as it was before.
    Refused,
    /// Whether it is stored is not known; feeding it again is safe.
    Unknown,
}

/// One document of a feed.
#[derive(Debug)]
#[non_exhaustive]
pub struct DocumentOutcome {
    /// Which.
    pub id: DocumentId,
    /// What became of it.
    pub status: OutcomeStatus,
    /// Why, where it is not stored.
    pub error: Option<Error>,
}

impl DocumentOutcome {
    /// It is stored.
    #[must_use]
    pub fn stored(id: DocumentId) -> Self {
        Self { id, status: OutcomeStatus::Stored, error: None }
    }

    /// It was refused.
    #[must_use]
    pub fn refused(id: DocumentId, error: Error) -> Self {
        Self { id, status: OutcomeStatus::Refused, error: Some(error) }
    }

    /// Nobody knows.
    #[must_use]
    pub fn unknown(id: DocumentId, error: Error) -> Self {
        Self { id, status: OutcomeStatus::Unknown, error: Some(error) }
    }
}

/// One outcome per document, in the order of the request.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FeedReport {
    /// In the order of the request.
    pub outcomes: Vec<DocumentOutcome>,
}

impl FeedReport {
    /// From a backend.
    #[must_use]
    pub fn new(outcomes: Vec<DocumentOutcome>) -> Self {
        Self { outcomes }
    }

    /// How many are stored.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.status == OutcomeStatus::Stored).count()
    }

    /// Those that are not.
    pub fn failures(&self) -> impl Iterator<Item = &DocumentOutcome> {
        self.outcomes.iter().filter(|outcome| outcome.status != OutcomeStatus::Stored)
    }
}

/// Documents to read by id.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GetRequest {
    /// Where.
    pub schema: TenantSchema,
    /// Which.
    pub ids: Vec<DocumentId>,
    /// With their tensors (default: yes).
    pub vectors: bool,
}

impl GetRequest {
    /// These, with their tensors.
    #[must_use]
    pub fn new(schema: TenantSchema, ids: Vec<DocumentId>) -> Self {
        Self { schema, ids, vectors: true }
    }

    /// Leaves the tensors out.
    #[must_use]
    pub fn without_vectors(mut self) -> Self {
        self.vectors = false;
        self
    }
}

/// Which documents to delete.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DeleteTarget {
    /// By id; an id that does not exist is no error.
    Ids(Vec<DocumentId>),
    /// All that meet a condition, such as those of one video.
    Matching(Filter),
}

/// Documents to delete.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeleteRequest {
    /// Where.
    pub schema: TenantSchema,
    /// Which.
    pub target: DeleteTarget,
}

impl DeleteRequest {
    /// By id.
    #[must_use]
    pub fn ids(schema: TenantSchema, ids: Vec<DocumentId>) -> Self {
        Self { schema, target: DeleteTarget::Ids(ids) }
    }

    /// By condition.
    #[must_use]
    pub fn matching(schema: TenantSchema, filter: Filter) -> Self {
        Self { schema, target: DeleteTarget::Matching(filter) }
    }
}

/// Where a visit goes on: opaque, and refused for another schema.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Continuation(String);

impl Continuation {
    /// From a backend or from storage.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For backends: a place in a visit, bound to the visit's schema and filter (invariant 8).
    ///
    /// # Errors
    /// `Unexpected` where the place cannot be written.
    pub fn seal(request: &VisitRequest, place: &impl serde::Serialize) -> Result<Self> {
        let place = serde_json::to_string(&(Visit::of(request), place))
            .map_err(|e| Error::unexpected("a continuation cannot be written").with_source(e))?;
        Ok(Self(place))
    }

    /// For backends: the place, where this was sealed for such a visit.
    ///
    /// # Errors
    /// `InvalidInput` for a continuation of another visit, or of none.
    pub fn open<P: serde::de::DeserializeOwned>(&self, request: &VisitRequest) -> Result<P> {
        let (visit, place) = serde_json::from_str::<(Visit, P)>(&self.0)
            .map_err(|e| Error::invalid("the continuation cannot be read; give it back as it came").with_source(e))?;
        if visit != Visit::of(request) {
            return Err(Error::invalid("the continuation belongs to another visit; begin this one without it"));
        }
        Ok(place)
    }
}

/// What a continuation belongs to.
#[derive(PartialEq, serde::Serialize, serde::Deserialize)]
struct Visit {
    tenant: crate::TenantId,
    base: crate::SchemaName,
    filter: String,
}

impl Visit {
    fn of(request: &VisitRequest) -> Self {
        Self {
            tenant: request.schema.tenant().clone(),
            base: request.schema.base().clone(),
            filter: format!("{:?}", request.filter),
        }
    }
}

/// One page of all documents.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VisitRequest {
    /// Where.
    pub schema: TenantSchema,
    /// At most so many documents a page (default 100; from 1 to 1,000).
    pub page_size: usize,
    /// Where the page before ended; none for the first.
    pub continuation: Option<Continuation>,
    /// Only these.
    pub filter: Option<Filter>,
    /// With their tensors (default: yes).
    pub vectors: bool,
}

impl VisitRequest {
    /// The first page.
    #[must_use]
    pub fn new(schema: TenantSchema) -> Self {
        Self { schema, page_size: 100, continuation: None, filter: None, vectors: true }
    }

    /// Another size of page.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// The page after one.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<Continuation>) -> Self {
        self.continuation = continuation;
        self
    }

    /// Only documents that meet the condition.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Leaves the tensors out.
    #[must_use]
    pub fn without_vectors(mut self) -> Self {
        self.vectors = false;
        self
    }
}

/// One page of all documents. It may be empty and still have a continuation; only none means the end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VisitPage {
    /// In an order that stays the same from page to page.
    pub documents: Vec<Document>,
    /// Where to go on.
    pub continuation: Option<Continuation>,
}

impl VisitPage {
    /// From a backend.
    #[must_use]
    pub fn new(documents: Vec<Document>, continuation: Option<Continuation>) -> Self {
        Self { documents, continuation }
    }
}

/// The document side of a backend. Ids alone reach nothing: each request carries its tenant schema (invariant 6).
///
/// # Contract
/// - `put` and `update` report every document, in order, checked against the schema: unknown fields, wrong kinds, wrong
///   dimensions, NaN and infinities are refused one by one; the others are stored.
/// - A visit that follows every continuation returns each document that was there throughout exactly once.
/// - `count` is exact.
///
/// # Errors
/// `NotFound` for a schema that is not deployed, with those that are; `InvalidInput` for a field that is not declared.
///
/// # Cancellation
/// A dropped `put` leaves each document as before or as asked for.
#[async_trait]
pub trait DocumentStore: fmt::Debug + Send + Sync + 'static {
    /// Stores documents.
    async fn put(&self, request: PutRequest) -> Result<FeedReport>;

    /// Changes some fields.
    async fn update(&self, request: UpdateRequest) -> Result<FeedReport>;

    /// Reads by id: one entry per id, `None` where no such document is.
    async fn get(&self, request: GetRequest) -> Result<Vec<Option<Document>>>;

    /// Deletes; returns how many there were.
    async fn delete(&self, request: DeleteRequest) -> Result<u64>;

    /// One page of all documents.
    async fn visit(&self, request: VisitRequest) -> Result<VisitPage>;

    /// How many documents there are, or meet the condition.
    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64>;
}

const _: fn(&dyn DocumentStore) = |_| {};
