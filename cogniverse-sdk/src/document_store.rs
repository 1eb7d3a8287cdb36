//! Storing, reading and visiting documents.

use crate::{
    DeployedSchema, Document, DocumentId, Error, FieldName, Filter, Listing, OwnedDocument, PageCursor, Result, Sort,
    TenantId, TenantSchema, Timestamp, document::Fields,
};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

/// A request to store documents; each replaces an existing one of the same id.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PutRequest {
    /// The tenant schema to write to.
    pub schema: TenantSchema,
    /// The documents to store.
    pub documents: Vec<Document>,
}

impl PutRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(schema: TenantSchema, documents: Vec<Document>) -> Self {
        Self { schema, documents }
    }
}

/// A partial update of one document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DocumentUpdate {
    /// The document to change.
    pub id: DocumentId,
    /// The fields to set; other fields keep their values.
    pub assign: Fields,
    /// The fields to clear.
    pub clear: Vec<FieldName>,
}

impl DocumentUpdate {
    /// Creates an update that sets fields.
    #[must_use]
    pub fn assign(id: DocumentId, assign: Fields) -> Self {
        Self { id, assign, clear: Vec::new() }
    }

    /// Adds fields to clear.
    #[must_use]
    pub fn with_clear(mut self, clear: Vec<FieldName>) -> Self {
        self.clear = clear;
        self
    }
}

/// A request for partial updates. An update of a document that does not exist is refused and creates nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UpdateRequest {
    /// The tenant schema to write to.
    pub schema: TenantSchema,
    /// The updates to apply.
    pub updates: Vec<DocumentUpdate>,
}

impl UpdateRequest {
    /// Creates a request.
    #[must_use]
    pub fn new(schema: TenantSchema, updates: Vec<DocumentUpdate>) -> Self {
        Self { schema, updates }
    }
}

/// The outcome of one document of a feed ([invariant 12](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#12)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OutcomeStatus {
    /// The document is stored durably and survives a crash.
    Stored,
    /// The document was refused and is unchanged.
    Refused,
    /// The outcome is not known; feeding the document again is safe.
    Unknown,
}

/// The outcome of one document of a feed, with its error.
#[derive(Debug, serde::Serialize)]
#[non_exhaustive]
pub struct DocumentOutcome {
    /// The document's id.
    pub id: DocumentId,
    /// The outcome.
    pub status: OutcomeStatus,
    /// The reason, where the document is not known to be stored.
    pub error: Option<Error>,
}

impl DocumentOutcome {
    /// Reports a stored document.
    #[must_use]
    pub fn stored(id: DocumentId) -> Self {
        Self { id, status: OutcomeStatus::Stored, error: None }
    }

    /// Reports a refused document.
    #[must_use]
    pub fn refused(id: DocumentId, error: Error) -> Self {
        Self { id, status: OutcomeStatus::Refused, error: Some(error) }
    }

    /// Reports a document whose outcome is not known.
    #[must_use]
    pub fn unknown(id: DocumentId, error: Error) -> Self {
        Self { id, status: OutcomeStatus::Unknown, error: Some(error) }
    }
}

/// The outcomes of a feed: one per document, in request order.
#[derive(Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct FeedReport {
    /// The outcomes, in request order.
    pub outcomes: Vec<DocumentOutcome>,
}

impl FeedReport {
    /// Creates a report; for backends.
    #[must_use]
    pub fn new(outcomes: Vec<DocumentOutcome>) -> Self {
        Self { outcomes }
    }

    /// Returns the number of stored documents.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.status == OutcomeStatus::Stored).count()
    }

    /// Returns the outcomes of documents that are not known to be stored.
    pub fn failures(&self) -> impl Iterator<Item = &DocumentOutcome> {
        self.outcomes.iter().filter(|outcome| outcome.status != OutcomeStatus::Stored)
    }
}

/// A request to read documents by id.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GetRequest {
    /// The tenant schema to read from.
    pub schema: TenantSchema,
    /// The ids to read.
    pub ids: Vec<DocumentId>,
    /// Whether to return tensors (default `true`).
    pub vectors: bool,
}

impl GetRequest {
    /// Creates a request that returns tensors.
    #[must_use]
    pub fn new(schema: TenantSchema, ids: Vec<DocumentId>) -> Self {
        Self { schema, ids, vectors: true }
    }

    /// Leaves tensors out of the answer.
    #[must_use]
    pub fn without_vectors(mut self) -> Self {
        self.vectors = false;
        self
    }
}

/// The documents that a delete applies to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DeleteTarget {
    /// Documents by id; an id that does not exist is not an error.
    Ids(Vec<DocumentId>),
    /// All documents that match a filter, such as those of one video.
    Matching(Filter),
}

/// A request to delete documents.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeleteRequest {
    /// The tenant schema to delete from.
    pub schema: TenantSchema,
    /// The documents to delete.
    pub target: DeleteTarget,
}

impl DeleteRequest {
    /// Creates a request to delete by id.
    #[must_use]
    pub fn ids(schema: TenantSchema, ids: Vec<DocumentId>) -> Self {
        Self { schema, target: DeleteTarget::Ids(ids) }
    }

    /// Creates a request to delete by filter.
    #[must_use]
    pub fn matching(schema: TenantSchema, filter: Filter) -> Self {
        Self { schema, target: DeleteTarget::Matching(filter) }
    }
}

/// The parameters that the cursor of a visit is bound to.
#[derive(serde::Serialize)]
struct Visit<'r> {
    tenant: &'r crate::TenantId,
    base: &'r crate::SchemaName,
    filter: Option<serde_json::Value>,
}

/// A request for one page of a visit over all documents.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VisitRequest {
    /// The tenant schema to read from.
    pub schema: TenantSchema,
    /// The largest number of documents in a page (default 100; from 1 to 1,000).
    pub page_size: usize,
    /// The cursor of the page to return; `None` for the first.
    pub continuation: Option<PageCursor>,
    /// A filter on the documents to return (default: all).
    pub filter: Option<Filter>,
    /// Whether to return tensors (default `true`).
    pub vectors: bool,
}

impl VisitRequest {
    /// Creates a request for the first page of all documents.
    #[must_use]
    pub fn new(schema: TenantSchema) -> Self {
        Self { schema, page_size: 100, continuation: None, filter: None, vectors: true }
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Sets the continuation of the previous page.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<PageCursor>) -> Self {
        self.continuation = continuation;
        self
    }

    /// Restricts the visit to documents that match a filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Seals the cursor of a position in this visit; for backends.
    ///
    /// # Errors
    /// As [`PageCursor::seal`].
    pub fn seal(&self, position: &impl serde::Serialize) -> Result<PageCursor> {
        PageCursor::seal(Listing::Documents, &self.bound(), position)
    }

    /// Opens the position of the request's cursor, `None` without one; for backends.
    ///
    /// # Errors
    /// As [`PageCursor::open`].
    pub fn position<P: serde::de::DeserializeOwned>(&self) -> Result<Option<P>> {
        self.continuation.as_ref().map(|cursor| cursor.open(Listing::Documents, &self.bound())).transpose()
    }

    fn bound(&self) -> Visit<'_> {
        let filter = self.filter.as_ref().map(Filter::canonical);
        Visit { tenant: self.schema.tenant(), base: self.schema.base(), filter }
    }

    /// Leaves tensors out of the answer.
    #[must_use]
    pub fn without_vectors(mut self) -> Self {
        self.vectors = false;
        self
    }
}

/// The parameters that the cursor of a sorted listing is bound to.
#[derive(serde::Serialize)]
struct Sorted<'r> {
    tenant: &'r crate::TenantId,
    base: &'r crate::SchemaName,
    filter: Option<serde_json::Value>,
    sort: &'r Sort,
}

/// A request for one page of documents in the order of a field, without their tensors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ListRequest {
    /// The tenant schema to read from.
    pub schema: TenantSchema,
    /// A filter on the documents to return (default: all).
    pub filter: Option<Filter>,
    /// The order of the documents.
    pub sort: Sort,
    /// The largest number of documents in a page (default 100; from 1 to 1,000).
    pub page_size: usize,
    /// The cursor of the page to return; `None` for the first.
    pub continuation: Option<PageCursor>,
}

impl ListRequest {
    /// Creates a request for the first page of all documents.
    #[must_use]
    pub fn new(schema: TenantSchema, sort: Sort) -> Self {
        Self { schema, filter: None, sort, page_size: 100, continuation: None }
    }

    /// Restricts the listing to documents that match a filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Filter>) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Sets the continuation of the previous page.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<PageCursor>) -> Self {
        self.continuation = continuation;
        self
    }

    /// Refuses a page size that is not served; for backends.
    ///
    /// # Errors
    /// `InvalidInput` for a page size below 1 or above 1,000.
    pub fn check_page_size(&self) -> Result<()> {
        match self.page_size {
            1..=1_000 => Ok(()),
            size => Err(Error::invalid(format!("a page of {size} documents; give a page size from 1 to 1000"))),
        }
    }

    /// Seals the cursor of a position in this listing; for backends.
    ///
    /// # Errors
    /// As [`PageCursor::seal`].
    pub fn seal(&self, position: &impl serde::Serialize) -> Result<PageCursor> {
        PageCursor::seal(Listing::Documents, &self.bound(), position)
    }

    /// Opens the position of the request's cursor, `None` without one; for backends.
    ///
    /// # Errors
    /// As [`PageCursor::open`].
    pub fn position<P: serde::de::DeserializeOwned>(&self) -> Result<Option<P>> {
        self.continuation.as_ref().map(|cursor| cursor.open(Listing::Documents, &self.bound())).transpose()
    }

    fn bound(&self) -> Sorted<'_> {
        let filter = self.filter.as_ref().map(Filter::canonical);
        Sorted { tenant: self.schema.tenant(), base: self.schema.base(), filter, sort: &self.sort }
    }
}

/// One page of a visit. A page may be empty and still have a continuation; the visit ends where there is none.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VisitPage {
    /// The documents, in an order that is stable across pages.
    pub documents: Vec<OwnedDocument>,
    /// The cursor of the next page; `None` at the end.
    pub continuation: Option<PageCursor>,
}

impl VisitPage {
    /// Creates a page; for backends.
    #[must_use]
    pub fn new(documents: Vec<OwnedDocument>, continuation: Option<PageCursor>) -> Self {
        Self { documents, continuation }
    }
}

/// The document side of a backend. An id alone selects nothing: every request carries its tenant schema
/// ([invariant 6](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#6)).
///
/// # Contract
/// - `put` and `update` report every document, in order, checked against the schema: unknown fields, wrong kinds, wrong
///   dimensions, NaN and infinities are refused one by one; the others are stored.
/// - A visit that follows every continuation returns each document that was there throughout exactly once.
/// - A listing returns documents in the order of its field, and equal ones in a stable order. Each page is taken at its own moment: one
///   that follows every continuation returns each document once that was there throughout with the same value. A backend may bound how
///   far a listing reaches; beyond that it is `InvalidInput`.
/// - `count` is exact.
///
/// # Errors
/// `NotFound` for a schema that is not deployed, with those that are; `InvalidInput` for a field that is not declared.
///
/// # Cancellation
/// A `put` whose future is dropped leaves each document either unchanged or stored.
#[async_trait]
pub trait DocumentStore: fmt::Debug + Send + Sync + 'static {
    /// Stores documents and reports the outcome of each.
    async fn put(&self, request: PutRequest) -> Result<FeedReport>;

    /// Applies partial updates and reports the outcome of each.
    async fn update(&self, request: UpdateRequest) -> Result<FeedReport>;

    /// Reads documents by id: one entry per id, `None` where no document has it.
    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>>;

    /// Deletes documents and returns how many existed.
    async fn delete(&self, request: DeleteRequest) -> Result<u64>;

    /// Reads one page of all documents.
    async fn visit(&self, request: VisitRequest) -> Result<VisitPage>;

    /// Reads one page of documents in the order of a field, without their tensors.
    async fn list(&self, request: ListRequest) -> Result<VisitPage>;

    /// Counts all documents, or those that match a filter.
    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64>;

    /// Takes a snapshot of a tenant's documents in all of its schemas at one moment; `None` where the backend cannot (the
    /// default). A wrapper hands it on as it does visits.
    async fn snapshot(&self, _tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        Ok(None)
    }
}

/// The documents of a tenant at one moment, in all of its schemas. What is written later is not in it.
///
/// It costs the backend something as long as it lives, such as a log that cannot be emptied.
#[async_trait]
pub trait TenantSnapshot: fmt::Debug + Send + Sync + 'static {
    /// Returns the moment.
    fn taken_at(&self) -> Timestamp;

    /// Returns the schemas that were deployed then.
    fn schemas(&self) -> &[DeployedSchema];

    /// Visits the documents of a schema, as [`DocumentStore::visit`]. A filter need not be supported.
    async fn visit(&self, request: VisitRequest) -> Result<VisitPage>;
}

const _: fn(&dyn DocumentStore, &dyn TenantSnapshot) = |_, _| {};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SchemaName;

    /// A cursor as the first release with this form wrote it.
    #[test]
    fn a_release_keeps_the_cursors_of_the_one_before() {
        let schema = TenantSchema::new(&TenantId::parse("acme").unwrap(), &SchemaName::parse("frames").unwrap());
        let filter = Filter::between(FieldName::parse("start_time").unwrap(), 3, 9.5);
        let visit = VisitRequest::new(schema).with_filter(filter);
        let cursor = PageCursor::from_text("AQJ7aHlnodJ41y5hwwqBz6UkInYvMSKLGtKJIgWCLiAVIdqqT5GR");
        assert_eq!(visit.seal(&"v/1").unwrap(), cursor, "{}", visit.seal(&"v/1").unwrap());
        let place: String = visit.with_continuation(Some(cursor)).position().unwrap().unwrap();
        assert_eq!(place, "v/1");
    }
}
