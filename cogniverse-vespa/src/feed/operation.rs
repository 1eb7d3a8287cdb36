//! One feed operation: checked, written as a request, sent, and its answer understood.

use super::{
    breaker::{Breaker, Gate},
    gzip::Gzip,
};
use crate::{
    client::{Answer, VespaClient, jittered},
    condition::{Language, condition},
    config::VespaConfig,
    document_json::{put_body, update_body},
    document_path::{check_id, escape, type_path},
    error::{self, Call},
};
use bytes::Bytes;
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{
    Document, DocumentId, DocumentOutcome, Error, ErrorKind, Filter, Result, Retry, TenantSchema,
    document_store::DocumentUpdate,
};
use parking_lot::Mutex;
use reqwest::{Method, header::CONTENT_ENCODING};
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

/// What to do with one document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FeedOperation {
    /// Store it in place of one of the same id.
    Put(Document, Option<Condition>),
    /// Change some fields; a document that does not exist is refused, not made.
    Update(DocumentUpdate, Option<Condition>),
    /// Remove it; an id that does not exist is refused as `NotFound` where a condition is given, else no error.
    Remove(DocumentId, Option<Condition>),
}

/// What must be true of the stored document, decided by Vespa in the same step as the write.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// There is none of this id.
    Absent,
    /// There is one.
    Present,
    /// There is one, and it meets the filter.
    Matches(Filter),
}

impl FeedOperation {
    /// Stores a document.
    #[must_use]
    pub fn put(document: Document) -> Self {
        Self::Put(document, None)
    }

    /// Changes some fields of a document.
    #[must_use]
    pub fn update(update: DocumentUpdate) -> Self {
        Self::Update(update, None)
    }

    /// Removes a document.
    #[must_use]
    pub fn remove(id: DocumentId) -> Self {
        Self::Remove(id, None)
    }

    /// Only where the condition holds.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        match &mut self {
            Self::Put(_, slot) | Self::Update(_, slot) | Self::Remove(_, slot) => *slot = Some(condition),
        }
        self
    }

    /// The document's id.
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
    method: Method,
    path: String,
    body: Bytes,
    gzip: bool,
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
}

impl Sender {
    pub(crate) fn new(
        client: Arc<VespaClient>,
        breaker: Arc<Breaker>,
        name: TenantSchema,
        schema: Arc<Schema>,
    ) -> Self {
        Self { client, breaker, name, schema, gzip: Mutex::default() }
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
        Ok(Ready { id, method, path, body: body.into(), gzip, conditional: condition.is_some() })
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
        loop {
            match self.breaker.gate(Instant::now()) {
                Gate::Open => {}
                Gate::Wait(time) => {
                    tokio::time::sleep(jittered(time)).await;
                    continue;
                }
                Gate::Doomed => {
                    let error = Error::new(
                        ErrorKind::Unavailable,
                        "Vespa has not answered for a minute; feed this document again when it does",
                    )
                    .with_retry(Retry::Exhausted);
                    return (DocumentOutcome::unknown(ready.id, error), true);
                }
            }
            let error = match self.once(&ready).await {
                Ok(answer) if answer.status.as_u16() == 429 => {
                    pushed_back = true;
                    tokio::time::sleep(jittered(pause)).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                    continue;
                }
                Ok(answer) if answer.status.as_u16() == 503 => answer.error(Call::Document),
                Ok(answer) if answer.status.as_u16() == 412 && carried_out => {
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
                    carried_out |= !error::never_arrived(&error);
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
        let mut request = self.client.feed(ready.method.clone(), &ready.path)?.timeout(patience);
        if ready.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        VespaClient::send_once(request.body(ready.body.clone())).await
    }

    fn outcome(&self, ready: Ready, answer: &Answer) -> DocumentOutcome {
        let id = ready.id;
        let with = |error: Error| error.with_context("document", &id).with_context("schema", &self.name);
        if answer.is_success() {
            let ignored = ["x-vespa-ignored-fields", "x-vespa-ignored-operation"];
            let ignored =
                ignored.into_iter().find(|name| answer.headers.get(*name).is_some_and(|value| value == "true"));
            let Some(ignored) = ignored else { return DocumentOutcome::stored(id) };
            let what = if ignored.ends_with("fields") {
                "Vespa stored the document without fields that its schema lacks; deploy the schema again and feed the document again"
            } else {
                "Vespa ignored the operation; look at the routing of its documents"
            };
            let error = with(Error::new(ErrorKind::FailedPrecondition, what));
            return DocumentOutcome::refused(id, error);
        }
        let mut error = answer.error(Call::Document);
        match answer.status.as_u16() {
            412 if ready.conditional => {
                if ready.method == Method::PUT {
                    error = Error::new(
                        ErrorKind::NotFound,
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
