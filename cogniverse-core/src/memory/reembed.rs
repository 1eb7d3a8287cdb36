//! Re-embedding of a tenant's memories with another model. Every step can be interrupted and repeated.
//!
//! If the dimensions stay, vectors are replaced in place. If they change, the schema must be recreated: all documents
//! are copied into a second schema with new vectors, the first is dropped, recreated and filled from the second,
//! which is dropped last. At every moment one of the two is complete, and their dimensions tell which.

use super::{
    backend_store::stored,
    document::{self, EMBEDDING, KIND, MEMORY, MODEL, field},
    schemas::{main, of_other_models, stage},
    service::MemoryService,
};
use crate::schemas::memory_schema;
use cogniverse_sdk::{
    Document, DocumentId, Error, ErrorCode, Filter, Operation, OwnedDocument, Result, TenantId, TenantSchema, Tensor,
    TextKind,
    document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
};
use std::{collections::HashSet, sync::PoisonError};

/// The number of documents copied together, which is the most that an interruption repeats.
const BATCH: usize = 64;

/// The result of [`MemoryService::reembed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ReembedReport {
    /// The number of memories with a new vector.
    pub embedded: u64,
    /// The number of documents moved to the new dimensions, including history entries.
    pub moved: u64,
}

impl MemoryService {
    /// Re-embeds a tenant's memories that another model embedded. Run it again after an interruption; completed work
    /// is not repeated. Until it ends, [`MemoryService::open`] refuses the tenant. Stop writers that use the former
    /// model first: what they add during the last copy is lost.
    ///
    /// Only one run per tenant is allowed: a second one in this process is refused, and a run that detects one of
    /// another process stops before it deletes anything.
    ///
    /// # Errors
    /// `Conflict` where another run is in progress; those of [`MemoryService::open`]; any error of the model or the
    /// backend.
    pub async fn reembed(&self, tenant: &TenantId) -> Result<ReembedReport> {
        let _turn = Turn::take(self, tenant)?;
        let _grant = self.gate.admit(tenant, Operation::Remember).await?;
        let (main, stage) = (main(tenant)?, stage(tenant)?);
        let dims = self.embedding.dims();
        let mut report = ReembedReport::default();
        loop {
            let deployed = self.schemas.list(tenant).await?;
            let of = |name: &TenantSchema| {
                let found = deployed.iter().find(|deployed| deployed.schema == *name);
                found.map(|found| memory_schema::dims(&found.definition).unwrap_or_default())
            };
            match (of(&main), of(&stage)) {
                (None, None) => return Ok(report),
                (Some(known), None) if known == dims => {
                    report.embedded += self.embed_in_place(tenant, &main).await?;
                    return Ok(report);
                }
                // The second schema is whole: the first was dropped, or is being filled.
                (first, Some(staged)) if first.is_none_or(|first| first == staged) => {
                    self.deploy(&main, staged).await?;
                    report.moved += self.copy(&stage, &main).await?;
                    self.backend.drop_schema(&stage).await?;
                }
                // A copy for a model that is no longer asked for.
                (Some(_), Some(staged)) if staged != dims => self.backend.drop_schema(&stage).await?,
                (Some(former), _) => {
                    self.deploy(&stage, dims).await?;
                    while self.embed_into(tenant, &main, &stage, &mut report).await? {}
                    self.require_stage(tenant, former, dims).await?;
                    self.remove_strays(&main, &stage).await?;
                    self.require_stage(tenant, former, dims).await?;
                    self.backend.drop_schema(&main).await?;
                }
                (None, Some(_)) => return Ok(report),
            }
        }
    }

    /// Checks that both schemas are as this run left them.
    async fn require_stage(&self, tenant: &TenantId, former: usize, dims: usize) -> Result<()> {
        let (main, stage) = (main(tenant)?, stage(tenant)?);
        let deployed = self.schemas.list(tenant).await?;
        let is = |name: &TenantSchema, dims: usize| {
            let found = deployed.iter().find(|deployed| deployed.schema == *name);
            found.is_some_and(|found| memory_schema::dims(&found.definition) == Some(dims))
        };
        if is(&main, former) && is(&stage, dims) { Ok(()) } else { Err(under_way(tenant)) }
    }

    /// Replaces vectors of unchanged dimensions.
    async fn embed_in_place(&self, tenant: &TenantId, schema: &TenantSchema) -> Result<u64> {
        let mut embedded = 0;
        let mut visit = Some(all(schema).with_filter(of_other_models(self.embedding.model())?).without_vectors());
        while let Some(request) = visit.take() {
            let page = self.backend.visit(request.clone()).await?;
            let mut updates = Vec::with_capacity(page.documents.len());
            for document in self.embedded(tenant, plain(page.documents)).await? {
                let wanted = |name: &str| name == EMBEDDING || name == MODEL;
                let fields = document.fields.into_iter().filter(|(name, _)| wanted(name.as_str())).collect();
                updates.push(DocumentUpdate::assign(document.id, fields));
            }
            embedded += updates.len() as u64;
            if !updates.is_empty() {
                stored(self.backend.update(UpdateRequest::new(schema.clone(), updates)).await?)?;
            }
            visit = page.continuation.map(|next| request.with_continuation(Some(next)));
        }
        Ok(embedded)
    }

    /// Copies documents of `from` that `to` lacks, with new vectors. Returns whether there were any.
    async fn embed_into(
        &self,
        tenant: &TenantId,
        from: &TenantSchema,
        to: &TenantSchema,
        report: &mut ReembedReport,
    ) -> Result<bool> {
        let mut copied = false;
        let mut visit = Some(all(from).without_vectors());
        while let Some(request) = visit.take() {
            let page = self.backend.visit(request.clone()).await?;
            let ids: Vec<DocumentId> = page.documents.iter().map(|document| document.id.clone()).collect();
            let there = self.backend.get(GetRequest::new(to.clone(), ids).without_vectors()).await?;
            let missing = plain(page.documents)
                .into_iter()
                .zip(there)
                .filter(|(document, there)| !there.as_ref().is_some_and(|there| self.is_copy(there, document)));
            let missing: Vec<Document> = missing.map(|(document, _)| document).collect();
            let (memories, entries): (Vec<_>, Vec<_>) =
                missing.into_iter().partition(|document| document.text(KIND) == MEMORY);
            report.embedded += memories.len() as u64;
            let mut documents = self.embedded(tenant, memories).await?;
            documents.extend(entries);
            if !documents.is_empty() {
                copied = true;
                stored(self.backend.put(PutRequest::new(to.clone(), documents)).await?)?;
            }
            visit = page.continuation.map(|next| request.with_continuation(Some(next)));
        }
        Ok(copied)
    }

    /// Returns whether a copied document equals its original and has this model's vector.
    fn is_copy(&self, copy: &Document, original: &Document) -> bool {
        let same = |document: &Document| {
            let mut fields = document.fields.clone();
            fields.retain(|name, _| name.as_str() != MODEL && name.as_str() != EMBEDDING);
            fields
        };
        same(copy) == same(original) && (copy.text(KIND) != MEMORY || copy.text(MODEL) == self.embedding.model())
    }

    async fn embedded(&self, tenant: &TenantId, documents: Vec<Document>) -> Result<Vec<Document>> {
        let texts: Vec<String> =
            documents.iter().map(|document| document::to_memory(document).map(|m| m.text)).collect::<Result<_>>()?;
        let vectors = self.embedding.embed(tenant, &texts, TextKind::Document).await?;
        let mut embedded = Vec::with_capacity(documents.len());
        for (document, vector) in documents.into_iter().zip(vectors) {
            let vector = super::bounds::unit(&vector, self.embedding.dims())?;
            embedded.push(
                document.with(field(EMBEDDING)?, Tensor::Vector(vector)).with(field(MODEL)?, self.embedding.model()),
            );
        }
        Ok(embedded)
    }

    /// Copies all documents with their vectors.
    async fn copy(&self, from: &TenantSchema, to: &TenantSchema) -> Result<u64> {
        let mut copied = 0;
        let mut visit = Some(all(from));
        while let Some(request) = visit.take() {
            let page = self.backend.visit(request.clone()).await?;
            copied += page.documents.len() as u64;
            if !page.documents.is_empty() {
                stored(self.backend.put(PutRequest::new(to.clone(), plain(page.documents))).await?)?;
            }
            visit = page.continuation.map(|next| request.with_continuation(Some(next)));
        }
        Ok(copied)
    }

    /// Deletes copies whose originals were deleted since.
    async fn remove_strays(&self, from: &TenantSchema, to: &TenantSchema) -> Result<()> {
        if self.backend.count(from, None).await? == self.backend.count(to, None).await? {
            return Ok(());
        }
        let mut visit = Some(all(to).without_vectors());
        while let Some(request) = visit.take() {
            let page = self.backend.visit(request.clone()).await?;
            let ids: Vec<DocumentId> = page.documents.iter().map(|document| document.id.clone()).collect();
            let there = self.backend.get(GetRequest::new(from.clone(), ids.clone()).without_vectors()).await?;
            let strays: HashSet<DocumentId> =
                ids.into_iter().zip(there).filter(|(_, there)| there.is_none()).map(|(id, _)| id).collect();
            if !strays.is_empty() {
                self.backend.delete(DeleteRequest::ids(to.clone(), strays.into_iter().collect())).await?;
            }
            visit = page.continuation.map(|next| request.with_continuation(Some(next)));
        }
        Ok(())
    }
}

/// A guard that keeps other runs for the tenant out of this process.
struct Turn<'s> {
    service: &'s MemoryService,
    tenant: &'s TenantId,
}

impl<'s> Turn<'s> {
    fn take(service: &'s MemoryService, tenant: &'s TenantId) -> Result<Self> {
        let first = service.reembedding.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone());
        if first { Ok(Self { service, tenant }) } else { Err(under_way(tenant)) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.service.reembedding.lock().unwrap_or_else(PoisonError::into_inner).remove(self.tenant);
    }
}

fn under_way(tenant: &TenantId) -> Error {
    Error::of(
        ErrorCode::ReembeddingRunning,
        format!(
            "the memories of tenant \"{tenant}\" are being re-embedded by another run; wait for its end, and run it again"
        ),
    )
}

fn plain(documents: Vec<OwnedDocument>) -> Vec<Document> {
    documents.into_iter().map(|owned| owned.document).collect()
}

fn all(schema: &TenantSchema) -> VisitRequest {
    VisitRequest::new(schema.clone()).with_page_size(BATCH).with_filter(Filter::All(Vec::new()))
}
