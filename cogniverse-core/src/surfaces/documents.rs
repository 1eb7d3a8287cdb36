//! The surfaces of what a tenant's schemas hold: documents, and memories with their histories.

use super::records::{of_document, to_document};
use crate::{
    memory,
    schemas::{MEMORY_BASE, SchemaManager},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    BackupRecord, BaseSchema, DeployedSchema, Document, Error, ErrorCode, ErrorKind, Export, ExportPage, Import,
    Inventory, PageCursor, Remains, Result, SearchBackend, SurfaceErasure, TenantId, TenantSchema, TenantSurface,
    document_store::{PutRequest, VisitRequest},
    isolation::{self, Attack, Canary, Planting},
    schema_store::{DeployRequest, SchemaDeployment},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// The size of a page of an export that is aimed at, in bytes.
const PAGE_BYTES: usize = 2 << 20;
/// The number of documents in the first page, before their size is known, and the most in any.
const FIRST_PAGE: usize = 16;
const MAX_PAGE: usize = 500;

/// Returns about the bytes of a value as JSON.
fn weight(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len() + 3,
        serde_json::Value::Array(values) => values.iter().map(weight).sum::<usize>() + 2,
        serde_json::Value::Object(members) => members.iter().map(|(name, value)| name.len() + weight(value) + 4).sum(),
        _ => 8,
    }
}

/// The place where the next page of an export begins.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// The base schema.
    base: String,
    /// The place in its documents; `None` where they begin.
    after: Option<PageCursor>,
    /// The number of documents in the page.
    page: usize,
}

/// The documents of a tenant in its schemas, or its memories.
#[derive(Debug, Clone)]
pub struct SchemaSurface {
    name: &'static str,
    backend: Arc<dyn SearchBackend>,
    schemas: SchemaManager,
    memories: bool,
    behind: Option<Arc<dyn SearchBackend>>,
}

impl SchemaSurface {
    /// Creates the surface `documents`: every schema but those of memories.
    #[must_use]
    pub fn documents(backend: Arc<dyn SearchBackend>, schemas: SchemaManager) -> Self {
        Self { name: "documents", backend, schemas, memories: false, behind: None }
    }

    /// Creates the surface `memories`: the memories and their histories.
    #[must_use]
    pub fn memories(backend: Arc<dyn SearchBackend>, schemas: SchemaManager) -> Self {
        Self { name: "memories", backend, schemas, memories: true, behind: None }
    }

    /// Sets the backend behind guard, quotas and hidden canaries, on which isolation is checked: what those would hide must be
    /// seen.
    #[must_use]
    pub fn with_backend_behind(mut self, behind: Arc<dyn SearchBackend>) -> Self {
        self.behind = Some(behind);
        self
    }

    async fn deployed(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        Ok(self.own(self.schemas.list(tenant).await?))
    }

    /// Returns those of a tenant's schemas that are this surface's.
    fn own(&self, mut all: Vec<DeployedSchema>) -> Vec<DeployedSchema> {
        let of_memories = |base: &str| base == MEMORY_BASE || base == crate::memory::STAGE_BASE;
        all.retain(|deployed| of_memories(deployed.schema.base().as_str()) == self.memories);
        all.sort_by(|a, b| a.schema.cmp(&b.schema));
        all
    }
}

#[async_trait]
impl TenantSurface for SchemaSurface {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let mut items = 0;
        for deployed in self.deployed(tenant).await? {
            items += self.backend.count(&deployed.schema, None).await?;
        }
        Ok(Inventory::of(items))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let (mut erased, mut dropped) = (0, false);
        for deployed in self.deployed(tenant).await? {
            // Of a schema that cannot be read the documents are not counted, and it goes all the same.
            let held = self.backend.count(&deployed.schema, None).await;
            match self.schemas.drop_schema(tenant, deployed.schema.base()).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            (erased, dropped) = (erased + held.unwrap_or_default(), true);
        }
        self.backend.finish_drops(tenant).await?;
        let kept = self.backend.kept_after_drop().filter(|_| dropped);
        Ok(match kept {
            Some(kept) => SurfaceErasure::of(erased).with_retained(kept),
            None => SurfaceErasure::of(erased),
        })
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.deployed(tenant).await?.len() as u64))
    }

    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        let Some(behind) = &self.behind else {
            return Ok(Planting::NotChecked("the surface was given no backend behind the guard".to_owned()));
        };
        let deployed = self.deployed(&canary.tenant).await?;
        if deployed.is_empty() {
            return Ok(Planting::NotChecked(format!("tenant \"{}\" has no {}", canary.tenant, self.name)));
        }
        for deployed in &deployed {
            isolation::plant_documents(&**behind, deployed, canary).await?;
        }
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let Some(behind) = &self.behind else { return Ok(Vec::new()) };
        let mut attempts = Vec::new();
        let has: Vec<_> = self.deployed(attacker).await?.iter().map(|own| own.schema.base().clone()).collect();
        for planted in self.deployed(&canary.tenant).await? {
            let base = planted.schema.base();
            let own = TenantSchema::new(attacker, base);
            if !has.contains(base) {
                // Every call by its name is refused alike: one says as much as all.
                let asked = behind.count(&own, None).await;
                attempts.push(
                    match asked {
                        Ok(count) => {
                            Attack::failed("count", format!("{count} documents of a schema that is not deployed"))
                        }
                        Err(error) => {
                            Attack::refused("count", &error, &canary.clone().with_name(planted.schema.to_string()))
                        }
                    }
                    .within(base.as_str()),
                );
                continue;
            }
            let found = isolation::attack_documents(&**behind, &planted, &own, canary).await?;
            attempts.extend(found.into_iter().map(|attempt| attempt.within(base.as_str())));
            if base.as_str() == MEMORY_BASE {
                let found = memory::attack_memories(behind, &planted, &own, canary).await?;
                attempts.extend(found.into_iter().map(|attempt| attempt.within(base.as_str())));
            }
        }
        Ok(attempts)
    }

    async fn remove_canary(&self, canary: &Canary) -> Result<u64> {
        let Some(behind) = &self.behind else { return Ok(0) };
        let (mut removed, mut failed) = (0, None);
        for deployed in self.deployed(&canary.tenant).await? {
            match isolation::remove_documents(&**behind, &deployed.schema, canary).await {
                Ok(count) => removed += count,
                Err(error) => drop(failed.get_or_insert(error)),
            }
            if deployed.schema.base().as_str() == MEMORY_BASE {
                match memory::remove_planted(behind, &deployed.schema, canary).await {
                    Ok(count) => removed += count,
                    Err(error) => drop(failed.get_or_insert(error)),
                }
            }
        }
        // What can be removed is, whatever else cannot.
        failed.map_or(Ok(removed), Err)
    }

    fn not_carried(&self) -> Option<String> {
        None
    }

    async fn export(&self, export: &Export, after: Option<&str>) -> Result<ExportPage> {
        let schemas = match &export.snapshot {
            Some(snapshot) => self.own(snapshot.schemas().to_vec()),
            None => self.deployed(&export.tenant).await?,
        };
        let place: Option<Place> = after.map(serde_json::from_str).transpose().map_err(|e| {
            Error::of(ErrorCode::PageCursorInvalid, "the place in an export cannot be read; begin without it")
                .with_source(e)
        })?;
        let wanted = place.as_ref().map(|place| place.base.clone()).unwrap_or_default();
        let mut left = schemas.iter().skip_while(|deployed| deployed.schema.base().as_str() < &*wanted);
        let Some(deployed) = left.next() else { return Ok(ExportPage::default()) };
        let base = deployed.schema.base();
        let is_new = place.as_ref().is_none_or(|place| place.base != base.as_str() || place.after.is_none());
        let place = place.filter(|place| place.base == base.as_str());
        let (after, size) = place.map_or((None, FIRST_PAGE), |place| (place.after, place.page.clamp(1, MAX_PAGE)));
        let visit = VisitRequest::new(deployed.schema.clone()).with_page_size(size).with_continuation(after);
        let found = match &export.snapshot {
            Some(snapshot) => snapshot.visit(visit).await?,
            None => self.backend.visit(visit).await?,
        };
        let mut records = Vec::with_capacity(found.documents.len() + 1);
        if is_new {
            let definition = serde_json::json!({ "schema": &*deployed.definition });
            records.push(BackupRecord::new(definition, Vec::new()));
        }
        let (items, mut bytes) = (found.documents.len(), 0);
        for owned in found.documents {
            let record = of_document(base, owned.document)?;
            bytes += record.body.len() + weight(&record.head);
            records.push(record);
        }
        let page = match items {
            0 => size,
            items => (PAGE_BYTES * items / bytes.max(1)).clamp(1, MAX_PAGE),
        };
        let next = match found.continuation {
            Some(after) => Some(Place { base: base.as_str().to_owned(), after: Some(after), page }),
            None => left.next().map(|next| Place {
                base: next.schema.base().as_str().to_owned(),
                after: None,
                page: FIRST_PAGE,
            }),
        };
        let next = next.map(|place| serde_json::to_string(&place)).transpose();
        let next = next.map_err(|e| Error::unexpected("the place in an export cannot be written").with_source(e))?;
        Ok(ExportPage::new(records, items as u64, next))
    }

    async fn import(&self, import: &Import, records: Vec<BackupRecord>) -> Result<()> {
        let mut batches: BTreeMap<_, Vec<Document>> = BTreeMap::new();
        for record in records {
            if let Some(definition) = record.head.get("schema") {
                let definition: BaseSchema = serde_json::from_value(definition.clone()).map_err(|e| {
                    Error::of(ErrorCode::BackupDamaged, "a schema of the backup cannot be read; use another backup")
                        .with_source(cogniverse_sdk::json_problem(&e))
                })?;
                let schema = TenantSchema::new(&import.tenant, &definition.name);
                let deployment = SchemaDeployment { schema, definition: Arc::new(definition) };
                self.schemas.deploy_as(&import.tenant, DeployRequest::new(vec![deployment])).await?;
                continue;
            }
            let (base, document) = to_document(record)?;
            batches.entry(base).or_default().push(document);
        }
        for (base, documents) in batches {
            let schema = TenantSchema::new(&import.tenant, &base);
            let report = self.backend.put(PutRequest::new(schema.clone(), documents)).await?;
            if let Some(error) = report.outcomes.into_iter().find_map(|outcome| outcome.error) {
                return Err(error.with_context("schema", &schema));
            }
        }
        Ok(())
    }
}
