//! `DocumentStore`: storing, reading, removing and visiting documents of one tenant schema.

use crate::{
    backend::{VespaBackend, named},
    client::VespaClient,
    condition::{Language, condition},
    document_json::DocumentSeed,
    document_path::{all_path, check_id, escape, field_set, type_path},
    error::Api,
    feed::{Condition, Feed, FeedOperation},
    listing, response, search_request, visit,
    wire::DocumentAnswer,
};
use async_trait::async_trait;
use cogniverse_core::schemas::Schema;
use cogniverse_http::{Method, unreadable};
use cogniverse_sdk::{
    DocumentId, DocumentOutcome, DocumentStore, Error, ErrorCode, ErrorKind, FeedReport, FieldValue, Filter,
    OutcomeStatus, OwnedDocument, Result, TenantSchema, deadline_in,
    document_store::{
        DeleteRequest, DeleteTarget, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest,
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeSeed;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Documents read at once by id.
const READS: usize = 32;

#[async_trait]
impl DocumentStore for VespaBackend {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        self.feed_all(&request.schema, request.documents.into_iter().map(FeedOperation::put).collect())
            .await
            .map_err(|e| named(e, "put"))
    }

    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        self.feed_all(&request.schema, request.updates.into_iter().map(FeedOperation::update).collect())
            .await
            .map_err(|e| named(e, "update"))
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        let schema = self.schema(&request.schema).await.map_err(|e| named(e, "get"))?;
        let mut reads = Vec::with_capacity(request.ids.len());
        for id in &request.ids {
            reads.push(self.read(&request.schema, &schema, id, request.vectors));
        }
        stream::iter(reads).buffered(READS).try_collect().await.map_err(|e| named(e, "get"))
    }

    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        let removed = match request.target {
            DeleteTarget::Ids(ids) => self.remove(&request.schema, ids).await,
            DeleteTarget::Matching(filter) => self.remove_matching(&request.schema, &filter).await,
            _ => Err(Error::new(ErrorKind::Unsupported, "a way to delete that this version does not know")),
        };
        removed.map_err(|e| named(e, "delete"))
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        visit::page(self, &request).await.map_err(|e| named(e, "visit"))
    }

    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        listing::page(self, &request).await.map_err(|e| named(e, "list"))
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        self.exact_count(schema, filter).await.map_err(|e| named(e, "count"))
    }
}

impl VespaBackend {
    /// Feeds all and reports in the order given.
    async fn feed_all(&self, schema: &TenantSchema, operations: Vec<FeedOperation>) -> Result<FeedReport> {
        let mut places: HashMap<DocumentId, VecDeque<usize>> = HashMap::with_capacity(operations.len());
        for (place, operation) in operations.iter().enumerate() {
            places.entry(operation.id().clone()).or_default().push_back(place);
        }
        let count = operations.len();
        let sender = self.sender(schema).await?.with_patience(self.config().overload_patience);
        let mut feed = Feed::new(Arc::new(sender), stream::iter(operations));
        let mut outcomes: Vec<Option<DocumentOutcome>> = std::iter::repeat_with(|| None).take(count).collect();
        while let Some(outcome) = feed.next().await {
            // Outcomes of one document come in the order of its operations.
            let place = places.get_mut(&outcome.id).and_then(VecDeque::pop_front);
            if let Some(slot) = place.and_then(|place| outcomes.get_mut(place)) {
                *slot = Some(outcome);
            }
        }
        let outcomes: Vec<DocumentOutcome> = outcomes.into_iter().flatten().collect();
        if outcomes.len() != count {
            return Err(Error::unexpected(format!("{} of {count} operations have an outcome", outcomes.len())));
        }
        Ok(FeedReport::new(outcomes))
    }

    async fn read(
        &self,
        name: &TenantSchema,
        schema: &Schema,
        id: &DocumentId,
        vectors: bool,
    ) -> Result<Option<OwnedDocument>> {
        check_id(id)?;
        let config = self.config();
        let path = type_path(&config.namespace, name.physical_name(), id.as_str());
        let path = format!(
            "{path}?timeout={}s&format.tensors=hex-value&fieldSet={}",
            config.timeout.as_secs().max(1),
            escape(&field_set(name, schema, vectors))
        );
        let deadline = deadline_in(config.timeout);
        let answer = self.client().send(Api::Document, deadline, &self.client().document(Method::GET, &path)?).await?;
        // Of a document that is not there the answer has an id and no fields; of an unknown type it is a 400.
        if answer.is_absence()? {
            return Ok(None);
        }
        if !answer.is_success() {
            return Err(answer.error().with_context("document", id).with_context("schema", name));
        }
        let mut json = serde_json::Deserializer::from_slice(answer.body());
        let document =
            DocumentSeed(schema).deserialize(&mut json).map_err(|e| unreadable("Vespa", answer.body(), &e))?;
        let document =
            document.into_document(&config.namespace, name.physical_name()).filter(|document| document.id == *id);
        let document = document.map(|mut document| {
            // Asked for by the field set; here in case the server gives more.
            document.fields.retain(|_, value| vectors || !matches!(value, FieldValue::Tensor(_)));
            OwnedDocument::new(name.clone(), document)
        });
        // What was asked for by its whole id can only come back under it (invariant 6).
        document.map(Some).ok_or_else(|| Error::unexpected(format!("Vespa gave another document for \"{id}\"")))
    }

    async fn remove(&self, schema: &TenantSchema, ids: Vec<DocumentId>) -> Result<u64> {
        let mut seen = HashSet::new();
        let ids = ids.into_iter().filter(|id| seen.insert(id.clone()));
        let removals: Vec<FeedOperation> = ids.map(|id| FeedOperation::remove(id).when(Condition::Present)).collect();
        let report = self.feed_all(schema, removals).await?;
        let mut removed = 0;
        for outcome in report.outcomes {
            match (outcome.status, outcome.error) {
                (OutcomeStatus::Stored, _) => removed += 1,
                (_, Some(error)) if error.kind() == ErrorKind::FailedPrecondition => {}
                (_, error) => {
                    let error = error.unwrap_or_else(|| Error::unexpected("a removal failed without a reason"));
                    return Err(error.with_context("document", &outcome.id).with_context("removed", removed));
                }
            }
        }
        Ok(removed)
    }

    async fn remove_matching(&self, name: &TenantSchema, filter: &Filter) -> Result<u64> {
        let schema = self.schema(name).await?;
        let selection = condition(Language::Selection(name.physical_name()), &schema, filter)?;
        let path = all_path(&self.config().namespace, name.physical_name());
        remove_selected(self.client(), &path, &selection).await
    }

    async fn exact_count(&self, name: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        let schema = self.schema(name).await?;
        let config = self.config();
        let body: bytes::Bytes = search_request::count(&schema, name.physical_name(), filter, config.timeout)?.into();
        let deadline = deadline_in(config.timeout);
        let answer = self.client().send(Api::Search, deadline, &self.client().search(body)).await?;
        let found =
            response::read(answer.body(), &schema).map_err(|e| if answer.is_success() { e } else { answer.error() })?;
        if let Some(error) = found.errors.into_iter().next() {
            return Err(error.with_context("schema", name));
        }
        // Half a count is no count (invariant 9).
        if !answer.is_success() || !found.coverage.is_some_and(|coverage| coverage.full && coverage.degraded.is_none())
        {
            return Err(Error::of(
                ErrorCode::BackendUnavailable,
                "Vespa counted a part of the documents only; try again",
            )
            .with_retry(cogniverse_sdk::Retry::After(None))
            .with_context("schema", name));
        }
        Ok(found.total)
    }
}

/// Removes what a selection takes of the documents below a path; tells how many.
///
/// Vespa removes for a while and says where it stopped: again, until it has reached the end.
pub(crate) async fn remove_selected(client: &VespaClient, path: &str, selection: &str) -> Result<u64> {
    let base = format!(
        "{path}?cluster={}&selection={}&timeChunk=10s&timeout=60s",
        client.config.content_cluster,
        escape(selection)
    );
    let (mut removed, mut continuation) = (0, None::<String>);
    loop {
        let path = match &continuation {
            Some(token) => format!("{base}&continuation={}", escape(token)),
            None => base.clone(),
        };
        let deadline = deadline_in(client.config.timeout.max(Duration::from_secs(90)));
        let answer = client
            .send(Api::Document, deadline, &client.document(Method::DELETE, &path)?)
            .await
            .map_err(|e| e.with_context("removed", removed))?;
        let page: DocumentAnswer<'_> = answer.json().map_err(|e| e.with_context("removed", removed))?;
        removed += page.document_count.unwrap_or(0);
        match page.continuation {
            Some(token) => continuation = Some(token.into_owned()),
            None => return Ok(removed),
        }
    }
}
