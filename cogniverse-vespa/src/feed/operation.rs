//! Feed operations: validation, request, sending and outcome.

use super::{
    breaker::{Breaker, Gate},
    gzip::Gzip,
};
use crate::{
    client::{Answer, VespaClient, jittered, with_json},
    condition::{Language, condition},
    config::VespaConfig,
    document_json::{put_body, update_body},
    document_path::{check_id, escape, type_path},
};
use cogniverse_core::schemas::Schema;
use cogniverse_http::{
    Method, Repeat, Request,
    header::{CONTENT_ENCODING, HeaderValue},
    is_unsent,
};
use cogniverse_sdk::{
    Document, DocumentId, DocumentOutcome, Error, ErrorCode, ErrorKind, Filter, Result, Retry, TenantSchema,
    deadline_in, document_store::DocumentUpdate,
};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Tries of an operation that meets 503 or a broken connection.
const ATTEMPTS: u32 = 10;
/// The first pause after push-back; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// A feed operation on one document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FeedOperation {
    /// Stores a document, replacing one of the same id.
    Put(Document, Option<Condition>),
    /// Updates some fields; an update of a document that does not exist is refused and creates nothing.
    Update(DocumentUpdate, Option<Condition>),
    /// Removes a document; an id that does not exist is refused as `NotFound` where a condition is given, and
    /// otherwise accepted.
    Remove(DocumentId, Option<Condition>),
}

/// A precondition on the stored document, which Vespa checks atomically with the write.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// No document has the id.
    Absent,
    /// The document exists.
    Present,
    /// The document exists and matches the filter.
    Matches(Filter),
}

impl FeedOperation {
    /// Creates an operation that stores a document.
    #[must_use]
    pub fn put(document: Document) -> Self {
        Self::Put(document, None)
    }

    /// Creates an operation that updates a document.
    #[must_use]
    pub fn update(update: DocumentUpdate) -> Self {
        Self::Update(update, None)
    }

    /// Creates an operation that removes a document.
    #[must_use]
    pub fn remove(id: DocumentId) -> Self {
        Self::Remove(id, None)
    }

    /// Sets the precondition.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        match &mut self {
            Self::Put(_, slot) | Self::Update(_, slot) | Self::Remove(_, slot) => *slot = Some(condition),
        }
        self
    }

    /// Returns the document's id.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        match self {
            Self::Put(document, _) => &document.id,
            Self::Update(update, _) => &update.id,
            Self::Remove(id, _) => id,
        }
    }
}

/// An operation as a request.
#[derive(Debug)]
pub(crate) struct Ready {
    id: DocumentId,
    request: Request,
    is_update: bool,
    conditional: bool,
}

/// Sends operations of one schema.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Arc<VespaClient>,
    breaker: Arc<Breaker>,
    name: TenantSchema,
    schema: Arc<Schema>,
    gzip: Mutex<Gzip>,
    /// Until when operations wait while Vespa is overloaded; none without limit.
    patience: Option<Instant>,
}

impl Sender {
    pub(crate) fn new(
        client: Arc<VespaClient>,
        breaker: Arc<Breaker>,
        name: TenantSchema,
        schema: Arc<Schema>,
    ) -> Self {
        Self { client, breaker, name, schema, gzip: Mutex::default(), patience: None }
    }

    /// Waits for an overloaded Vespa no longer than so, from now on and over all operations.
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(deadline_in(patience));
        self
    }

    pub(crate) fn config(&self) -> &VespaConfig {
        &self.client.config
    }

    /// Checks an operation and writes its request; a refusal is its outcome.
    pub(crate) fn ready(&self, operation: FeedOperation) -> Result<Ready, DocumentOutcome> {
        let id = operation.id().clone();
        self.request(operation).map_err(|error| DocumentOutcome::refused(id, error))
    }

    fn request(&self, operation: FeedOperation) -> Result<Ready> {
        let id = operation.id().clone();
        check_id(&id)?;
        let (method, body, condition) = match &operation {
            FeedOperation::Put(document, condition) => {
                self.schema.check_document_fields(&document.fields)?;
                (Method::POST, put_body(&self.schema, &document.fields), condition)
            }
            FeedOperation::Update(update, condition) => {
                self.schema.check_document_fields(&update.assign)?;
                for name in &update.clear {
                    if self.schema.field(name.as_str()).is_none() {
                        let known = self.schema.fields().iter().map(|field| &field.name);
                        return Err(Error::invalid(Error::unknown("field", name, known).message()));
                    }
                }
                (Method::PUT, update_body(&self.schema, update), condition)
            }
            FeedOperation::Remove(_, condition) => (Method::DELETE, Vec::new(), condition),
        };
        let default = matches!(operation, FeedOperation::Update(..)).then_some(Condition::Present);
        let condition = condition.as_ref().or(default.as_ref());
        let config = &self.client.config;
        let mut path = type_path(&config.namespace, self.name.physical_name(), id.as_str());
        path.push_str(&format!("?timeout={}s", config.timeout.as_secs().max(1)));
        if let Some(condition) = condition {
            path.push_str(&self.condition(condition)?);
        }
        let gzip = body.len() > config.gzip_above;
        let body = if gzip { self.gzip.lock().compress(&body)? } else { body };
        let is_update = method == Method::PUT;
        let mut request = self.client.document(method, &path)?.with_repeat(Repeat::Never);
        if !body.is_empty() {
            request = with_json(request, body.into());
        }
        if gzip {
            request = request.with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(Ready { id, request, is_update, conditional: condition.is_some() })
    }

    fn condition(&self, wanted: &Condition) -> Result<String> {
        let name = self.name.physical_name();
        Ok(match wanted {
            // Never true of a document that is there, and waived where there is none.
            Condition::Absent => "&condition=false&create=true".to_owned(),
            Condition::Present => format!("&condition={name}"),
            Condition::Matches(filter) => {
                format!("&condition={}", escape(&condition(Language::Selection(name), &self.schema, filter)?))
            }
        })
    }

    /// Sends until there is an outcome; tells whether Vespa pushed back.
    pub(crate) async fn send(&self, ready: Ready) -> (DocumentOutcome, bool) {
        let (mut failures, mut pushed_back, mut pause) = (0, false, FIRST_PAUSE);
        // Whether an earlier try may have been carried out, its answer lost.
        let mut carried_out = false;
        let begun = Instant::now();
        loop {
            match self.breaker.gate(Instant::now()) {
                Gate::Open => {}
                Gate::Wait(time) => {
                    tokio::time::sleep(jittered(time)).await;
                    continue;
                }
                Gate::Doomed => {
                    let error = Error::of(
                        ErrorCode::BackendUnavailable,
                        "Vespa has not answered for a minute; feed this document again when it does",
                    )
                    .with_retry(Retry::Exhausted);
                    return (DocumentOutcome::unknown(ready.id, error), true);
                }
            }
            let error = match self.once(&ready).await {
                Ok(answer) if answer.status().as_u16() == 429 => {
                    pushed_back = true;
                    if self.patience.is_some_and(|until| Instant::now() + pause > until) {
                        let error = answer.error().with_context("document", &ready.id);
                        let error = error.with_context("waited_seconds", begun.elapsed().as_secs());
                        return match carried_out {
                            true => (DocumentOutcome::unknown(ready.id, error), true),
                            false => (DocumentOutcome::refused(ready.id, error), true),
                        };
                    }
                    tokio::time::sleep(jittered(pause)).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                    continue;
                }
                Ok(answer) if answer.status().as_u16() == 503 => answer.error(),
                Ok(answer) if answer.status().as_u16() == 412 && carried_out => {
                    self.breaker.succeeded();
                    let what = "an answer was lost on the way, and the condition does not hold now: the operation itself, or another writer, may have seen to that; read the document";
                    let error = Error::new(ErrorKind::Unavailable, what).with_context("document", &ready.id);
                    return (DocumentOutcome::unknown(ready.id, error.with_retry(Retry::Exhausted)), pushed_back);
                }
                Ok(answer) => {
                    self.breaker.succeeded();
                    return (self.outcome(ready, &answer), pushed_back);
                }
                Err(error) => {
                    carried_out |= !is_unsent(&error);
                    error
                }
            };
            failures += 1;
            self.breaker.failed(Instant::now());
            if failures >= ATTEMPTS || !error.is_retryable() {
                let error = error.with_retry(Retry::Exhausted).with_context("attempts", failures);
                return (DocumentOutcome::unknown(ready.id, error), true);
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn once(&self, ready: &Ready) -> Result<Answer> {
        // Past Vespa's own timeout the answer is lost, and the connection with it.
        let patience = self.client.config.timeout + Duration::from_secs(5);
        self.client.feed_once(&ready.request, patience).await
    }

    fn outcome(&self, ready: Ready, answer: &Answer) -> DocumentOutcome {
        let id = ready.id;
        let with = |error: Error| error.with_context("document", &id).with_context("schema", &self.name);
        if answer.is_success() {
            let ignored = ["x-vespa-ignored-fields", "x-vespa-ignored-operation"];
            let ignored = ignored.into_iter().find(|name| answer.header(name) == "true");
            let Some(ignored) = ignored else { return DocumentOutcome::stored(id) };
            let what = if ignored.ends_with("fields") {
                "Vespa stored the document without fields that its schema lacks; deploy the schema again and feed the document again"
            } else {
                "Vespa ignored the operation; look at the routing of its documents"
            };
            let error = with(Error::new(ErrorKind::FailedPrecondition, what));
            return DocumentOutcome::refused(id, error);
        }
        let mut error = answer.error();
        match answer.status().as_u16() {
            412 if ready.conditional => {
                if ready.is_update {
                    error = Error::of(
                        ErrorCode::DocumentUnknown,
                        format!("there is no document \"{id}\" to change, or its condition does not hold"),
                    );
                }
                let error = with(error);
                DocumentOutcome::refused(id, error)
            }
            // The write may have happened.
            502 | 504 | 500 => {
                let error = with(error);
                DocumentOutcome::unknown(id, error)
            }
            _ => {
                let error = with(error);
                DocumentOutcome::refused(id, error)
            }
        }
    }
}
