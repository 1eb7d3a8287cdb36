//! The quotas of documents and storage, around a backend.

use super::{
    reservation::{QuotaReservation, TenantQuotas},
    service::{QuotaUsage, Quotas},
    size,
};
use crate::schemas;
use async_trait::async_trait;
use cogniverse_sdk::{
    BackendHits, BackendQuery, DeployedSchema, Document, DocumentId, DocumentOutcome, DocumentStore, Error, ErrorKind,
    FeedReport, Filter, OutcomeStatus, OwnedDocument, Quota, Result, Retention, SchemaStore, SearchBackend, TenantId,
    TenantSchema, TenantSnapshot,
    document_store::{
        DeleteRequest, DeleteTarget, GetRequest, ListRequest, PutRequest, UpdateRequest, VisitPage, VisitRequest,
    },
    schema_store::{DeployReport, DeployRequest},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

/// The number of documents that are read together to learn their size.
const READ: usize = 100;

/// A backend that counts the documents and bytes of tenants which have a limit of either, and refuses what is beyond it.
///
/// The writers of such a tenant in this process take turns, as each must know what it replaces; documents that do not fit
/// are refused one by one, and the others are stored. A tenant that has documents and was never counted is counted by
/// reading them all, once. Where several processes write the same documents of one tenant at the same moment, the count
/// can be too high, never too low; it is counted again before it refuses anything.
#[derive(Debug, Clone)]
pub struct QuotaBackend {
    inner: Arc<dyn SearchBackend>,
    quotas: Quotas,
    /// The bases that hold no documents in the sense of the quota, such as memories.
    uncounted: Arc<HashSet<String>>,
}

/// What storing one document changes.
struct Change {
    id: DocumentId,
    documents: i64,
    bytes: i64,
}

/// A change whose room is reserved.
struct Reserved {
    change: Change,
    documents: QuotaReservation,
    bytes: QuotaReservation,
}

impl Reserved {
    fn done(self) {
        self.documents.settle(self.change.documents);
        self.bytes.settle(self.change.bytes);
    }

    /// Counts as much as it may have used.
    fn uncertain(self) {
        self.documents.settle(self.change.documents.max(0));
        self.bytes.settle(self.change.bytes.max(0));
    }
}

impl QuotaBackend {
    /// Counts what is written to a backend.
    #[must_use]
    pub fn new(inner: Arc<dyn SearchBackend>, quotas: Quotas) -> Self {
        let uncounted = [schemas::MEMORY_BASE, schemas::STAGE_BASE, schemas::CATALOGUE_BASE].map(str::to_owned);
        Self { inner, quotas, uncounted: Arc::new(HashSet::from(uncounted)) }
    }

    /// Returns what a tenant used of each quota, over all processes. A tenant whose documents must be counted again is.
    ///
    /// # Errors
    /// `NotFound` for a tenant that does not exist; any error of the store of quotas or of the backend.
    pub async fn usage(&self, tenant: &TenantId) -> Result<Vec<QuotaUsage>> {
        if let Some(limited) = self.limited(tenant).await? {
            let _writing = limited.writing.lock().await;
            if !self.quotas.is_counted(&limited, Quota::Documents).await?
                || !self.quotas.is_counted(&limited, Quota::StorageMb).await?
            {
                self.count_all(&limited, tenant).await?;
            }
        }
        let mut usage = self.quotas.usage(tenant).await?;
        for quota in usage.iter_mut().filter(|usage| usage.quota == Quota::Documents && usage.used.is_none()) {
            let mut documents = 0;
            for deployed in self.inner.list_schemas(tenant).await? {
                if self.counts(&deployed.schema) {
                    documents += self.inner.count(&deployed.schema, None).await?;
                }
            }
            quota.used = Some(documents);
        }
        Ok(usage)
    }

    fn counts(&self, schema: &TenantSchema) -> bool {
        !self.uncounted.contains(schema.base().as_str())
    }

    /// Returns the quotas of a tenant with a limit of documents or storage; `None` for others, and for a tenant that does
    /// not exist, whose documents only an operator can write.
    async fn limited(&self, tenant: &TenantId) -> Result<Option<Arc<TenantQuotas>>> {
        match self.quotas.known(tenant).await {
            Ok(found) => {
                let config = found.config();
                let is_limited = config.documents.is_some() || config.storage_mb.is_some();
                Ok(is_limited.then_some(found))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Counts every document of a tenant. The caller holds the turn of the tenant's writers.
    async fn count_all(&self, quotas: &TenantQuotas, tenant: &TenantId) -> Result<()> {
        let began = Instant::now();
        let (mut documents, mut bytes) = (0, 0);
        for deployed in self.inner.list_schemas(tenant).await? {
            let mut continuation = None;
            loop {
                let visit =
                    VisitRequest::new(deployed.schema.clone()).with_page_size(READ).with_continuation(continuation);
                let page = self.inner.visit(visit).await?;
                if self.counts(&deployed.schema) {
                    documents += page.documents.len() as u64;
                }
                bytes += page.documents.iter().map(|document| size::of_document(document)).sum::<u64>();
                continuation = page.continuation;
                if continuation.is_none() {
                    break;
                }
            }
        }
        self.quotas.set_counted(quotas, Quota::Documents, documents).await?;
        self.quotas.set_counted(quotas, Quota::StorageMb, bytes).await?;
        *quotas.last_count.lock() = Some((Instant::now(), began.elapsed()));
        Ok(())
    }

    /// Returns the stored documents among the given ids.
    async fn stored(&self, schema: &TenantSchema, ids: &[DocumentId]) -> Result<HashMap<DocumentId, Document>> {
        let mut found = HashMap::new();
        for some in ids.chunks(READ) {
            // Most are new: only what exists is read with its vectors.
            let request = GetRequest::new(schema.clone(), some.to_vec()).without_vectors();
            let known: Vec<DocumentId> =
                self.inner.get(request).await?.into_iter().flatten().map(|owned| owned.document.id).collect();
            if known.is_empty() {
                continue;
            }
            let got = self.inner.get(GetRequest::new(schema.clone(), known)).await?;
            found.extend(got.into_iter().flatten().map(|owned| (owned.document.id.clone(), owned.document)));
        }
        Ok(found)
    }

    /// Reserves the room of a change. Nothing is refused by a number that is uncertain, or that this process has not counted
    /// for a time: a process that died after a deletion, for example, took what it gave back along.
    async fn reserve(
        &self,
        quotas: &Arc<TenantQuotas>,
        tenant: &TenantId,
        change: Change,
    ) -> Result<Reserved, (DocumentId, Error)> {
        let mut is_recounted = false;
        loop {
            let room = |number: i64| u64::try_from(number).unwrap_or_default();
            let reserved = async {
                let documents = self.quotas.reserve(quotas, Quota::Documents, room(change.documents)).await?;
                let bytes = self.quotas.reserve(quotas, Quota::StorageMb, room(change.bytes)).await?;
                Ok::<_, Error>((documents, bytes))
            };
            match reserved.await {
                Ok((documents, bytes)) => return Ok(Reserved { change, documents, bytes }),
                Err(error) if error.kind() == ErrorKind::QuotaExceeded && !is_recounted => {
                    is_recounted = true;
                    let is_counted = async {
                        Ok::<_, Error>(
                            !quotas.is_count_old()
                                && self.quotas.is_counted(quotas, Quota::Documents).await?
                                && self.quotas.is_counted(quotas, Quota::StorageMb).await?,
                        )
                    };
                    let counted = match is_counted.await {
                        Ok(true) => Err(error),
                        Ok(false) => self.count_all(quotas, tenant).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = counted {
                        return Err((change.id, error));
                    }
                }
                Err(error) => return Err((change.id, error)),
            }
        }
    }

    /// Reserves the room of changes, and returns those that have it beside the refused.
    async fn reserve_all(
        &self,
        quotas: &Arc<TenantQuotas>,
        tenant: &TenantId,
        changes: Vec<Change>,
    ) -> Result<(Vec<Reserved>, Vec<DocumentOutcome>)> {
        if !self.quotas.is_measured(quotas).await? {
            self.count_all(quotas, tenant).await?;
        }
        let (mut reserved, mut refused) = (Vec::with_capacity(changes.len()), Vec::new());
        for change in changes {
            match self.reserve(quotas, tenant, change).await {
                Ok(room) => reserved.push(room),
                Err((id, error)) if error.kind() == ErrorKind::QuotaExceeded => {
                    refused.push(DocumentOutcome::refused(id, error));
                }
                Err((_, error)) => return Err(error),
            }
        }
        Ok((reserved, refused))
    }
}

/// Ends the reservations of documents by what the backend answered to each.
fn settle(reserved: Vec<Reserved>, answered: &Result<FeedReport>) -> bool {
    let mut is_uncertain = false;
    match answered {
        Ok(report) => {
            let mut status: HashMap<&DocumentId, OutcomeStatus> = HashMap::new();
            for outcome in &report.outcomes {
                let worst = status.entry(&outcome.id).or_insert(outcome.status);
                if outcome.status != OutcomeStatus::Stored {
                    *worst = outcome.status;
                }
            }
            for room in reserved {
                match status.get(&room.change.id) {
                    Some(OutcomeStatus::Stored) => room.done(),
                    Some(OutcomeStatus::Refused) => drop(room),
                    _ => {
                        room.uncertain();
                        is_uncertain = true;
                    }
                }
            }
        }
        Err(error) => {
            // What was refused as a whole is not stored; of what broke off that is not known.
            let is_known = !matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unexpected | ErrorKind::Corrupt
            );
            if !is_known {
                reserved.into_iter().for_each(Reserved::uncertain);
                is_uncertain = true;
            }
        }
    }
    is_uncertain
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SearchBackend for QuotaBackend {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        self.inner.search(query).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl DocumentStore for QuotaBackend {
    async fn put(&self, request: PutRequest) -> Result<FeedReport> {
        let PutRequest { schema, documents, .. } = request;
        let Some(quotas) = self.limited(schema.tenant()).await? else {
            return self.inner.put(PutRequest::new(schema, documents)).await;
        };
        let _writing = quotas.writing.lock().await;
        let ids: Vec<DocumentId> = documents.iter().map(|document| document.id.clone()).collect();
        let old = self.stored(&schema, &ids).await?;
        let mut sizes: HashMap<DocumentId, u64> =
            old.iter().map(|(id, document)| (id.clone(), size::of_document(document))).collect();
        let one = i64::from(self.counts(&schema));
        let changes = documents.iter().map(|document| {
            let bytes = size::of_document(document);
            let before = sizes.insert(document.id.clone(), bytes);
            Change {
                id: document.id.clone(),
                documents: if before.is_none() { one } else { 0 },
                bytes: signed(bytes) - signed(before.unwrap_or_default()),
            }
        });
        let (reserved, refused) = self.reserve_all(&quotas, schema.tenant(), changes.collect()).await?;
        if reserved.is_empty() && !refused.is_empty() {
            return Ok(FeedReport::new(refused));
        }
        let fits: HashSet<&DocumentId> = reserved.iter().map(|room| &room.change.id).collect();
        let accepted = documents.into_iter().filter(|document| fits.contains(&document.id)).collect();
        let answered = self.inner.put(PutRequest::new(schema.clone(), accepted)).await;
        if settle(reserved, &answered) {
            self.quotas.forget_count(schema.tenant()).await?;
        }
        let mut report = answered?;
        report.outcomes.extend(refused);
        Ok(report)
    }

    async fn update(&self, request: UpdateRequest) -> Result<FeedReport> {
        let Some(quotas) = self.limited(request.schema.tenant()).await? else {
            return self.inner.update(request).await;
        };
        let UpdateRequest { schema, updates, .. } = request;
        let _writing = quotas.writing.lock().await;
        let ids: Vec<DocumentId> = updates.iter().map(|update| update.id.clone()).collect();
        let old = self.stored(&schema, &ids).await?;
        // What is updated twice in one call grows by both: too much, never too little, and counted again when it matters.
        let changes = updates.iter().map(|update| {
            let bytes = old.get(&update.id).map_or(0, |document| {
                signed(size::after_update(document, &update.assign, &update.clear))
                    - signed(size::of_document(document))
            });
            Change { id: update.id.clone(), documents: 0, bytes }
        });
        let (reserved, refused) = self.reserve_all(&quotas, schema.tenant(), changes.collect()).await?;
        if reserved.is_empty() && !refused.is_empty() {
            return Ok(FeedReport::new(refused));
        }
        let fits: HashSet<&DocumentId> = reserved.iter().map(|room| &room.change.id).collect();
        let accepted = updates.into_iter().filter(|update| fits.contains(&update.id)).collect();
        let answered = self.inner.update(UpdateRequest::new(schema.clone(), accepted)).await;
        if settle(reserved, &answered) {
            self.quotas.forget_count(schema.tenant()).await?;
        }
        let mut report = answered?;
        report.outcomes.extend(refused);
        Ok(report)
    }

    async fn get(&self, request: GetRequest) -> Result<Vec<Option<OwnedDocument>>> {
        self.inner.get(request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<u64> {
        let Some(quotas) = self.limited(request.schema.tenant()).await? else {
            return self.inner.delete(request).await;
        };
        let _writing = quotas.writing.lock().await;
        if !self.quotas.is_measured(&quotas).await? {
            // Nothing is taken off what was never counted.
            return self.inner.delete(request).await;
        }
        let schema = request.schema.clone();
        let (mut documents, mut bytes) = (0u64, 0u64);
        match &request.target {
            DeleteTarget::Ids(ids) => {
                let old = self.stored(&schema, ids).await?;
                (documents, bytes) = (old.len() as u64, old.values().map(size::of_document).sum());
            }
            DeleteTarget::Matching(filter) => {
                let mut continuation = None;
                loop {
                    let visit = VisitRequest::new(schema.clone()).with_page_size(READ).with_filter(filter.clone());
                    let page = self.inner.visit(visit.with_continuation(continuation)).await?;
                    documents += page.documents.len() as u64;
                    bytes += page.documents.iter().map(|document| size::of_document(document)).sum::<u64>();
                    continuation = page.continuation;
                    if continuation.is_none() {
                        break;
                    }
                }
            }
            _ => {}
        }
        let deleted = self.inner.delete(request).await;
        match &deleted {
            Ok(deleted) if *deleted == documents => {
                let taken = if self.counts(&schema) { documents } else { 0 };
                self.quotas.give_back(&quotas, Quota::Documents, taken)?;
                self.quotas.give_back(&quotas, Quota::StorageMb, bytes)?;
            }
            // Some may be gone, others not: the count stays as high as it may be.
            _ => self.quotas.forget_count(schema.tenant()).await?,
        }
        deleted
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        self.inner.visit(request).await
    }

    async fn list(&self, request: ListRequest) -> Result<VisitPage> {
        self.inner.list(request).await
    }

    async fn count(&self, schema: &TenantSchema, filter: Option<&Filter>) -> Result<u64> {
        self.inner.count(schema, filter).await
    }

    async fn snapshot(&self, tenant: &TenantId) -> Result<Option<Arc<dyn TenantSnapshot>>> {
        self.inner.snapshot(tenant).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SchemaStore for QuotaBackend {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        self.inner.plan(request).await
    }

    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        self.inner.deploy(request).await
    }

    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.inner.list_schemas(tenant).await
    }

    async fn served(&self, schema: &TenantSchema) -> Result<DeployedSchema> {
        self.inner.served(schema).await
    }

    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        self.inner.drop_schema(schema).await?;
        self.quotas.forget_count(schema.tenant()).await
    }

    async fn drop_empty_schema(&self, schema: &TenantSchema) -> Result<bool> {
        self.inner.drop_empty_schema(schema).await
    }

    async fn finish_drops(&self, tenant: &TenantId) -> Result<()> {
        self.inner.finish_drops(tenant).await
    }

    fn kept_after_drop(&self) -> Option<Retention> {
        self.inner.kept_after_drop()
    }
}

fn signed(number: u64) -> i64 {
    super::counter::signed(number)
}
