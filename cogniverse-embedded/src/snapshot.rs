//! The documents of a tenant at one moment.

use crate::tenant_store::{Frozen, TenantStore};
use async_trait::async_trait;
use cogniverse_core::worker::blocking;
use cogniverse_sdk::{
    DeployedSchema, Error, ErrorCode, ErrorKind, OwnedDocument, Result, TenantSnapshot, Timestamp,
    document_store::{VisitPage, VisitRequest},
};
use parking_lot::Mutex;
use std::{fmt, sync::Arc};

/// The largest page of a visit.
pub(crate) const MAX_PAGE: usize = 1000;

/// A store, and the connection whose transaction reads it at the moment.
type Part = (Arc<TenantStore>, Mutex<Frozen>);

/// A snapshot of every schema of a tenant: a read transaction each, which began while no writer was at work.
pub(crate) struct EmbeddedSnapshot {
    taken_at: Timestamp,
    schemas: Vec<DeployedSchema>,
    stores: Arc<Vec<Part>>,
}

impl EmbeddedSnapshot {
    pub(crate) fn new(taken_at: Timestamp, schemas: Vec<DeployedSchema>, stores: Vec<Part>) -> Self {
        Self { taken_at, schemas, stores: Arc::new(stores) }
    }
}

impl fmt::Debug for EmbeddedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSnapshot").field("taken_at", &self.taken_at).finish_non_exhaustive()
    }
}

#[async_trait]
impl TenantSnapshot for EmbeddedSnapshot {
    fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    fn schemas(&self) -> &[DeployedSchema] {
        &self.schemas
    }

    async fn visit(&self, request: VisitRequest) -> Result<VisitPage> {
        if !(1..=MAX_PAGE).contains(&request.page_size) {
            return Err(Error::invalid(format!("a page size from 1 to {MAX_PAGE} is needed")));
        }
        if request.filter.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "a snapshot is visited without a filter"));
        }
        let stores = Arc::clone(&self.stores);
        blocking(move || {
            let Some((store, connection)) = stores.iter().find(|(store, _)| *store.name() == request.schema) else {
                return Err(Error::of(ErrorCode::SchemaNotDeployed, "the schema was not deployed at the moment")
                    .with_context("schema", &request.schema));
            };
            let after: String = request.position()?.unwrap_or_default();
            let (connection, record) = (connection.lock(), store.record());
            // One more than asked for tells whether there is a next page.
            let mut page = record.page(&connection, &after, request.page_size + 1)?;
            let more = page.len() > request.page_size;
            page.truncate(request.page_size);
            let next = match page.last() {
                Some(last) if more => Some(request.seal(&last.id.as_str())?),
                _ => None,
            };
            let read =
                |stored| Ok(OwnedDocument::new(store.name().clone(), record.complete(&connection.files, stored)?));
            Ok(VisitPage::new(page.into_iter().map(read).collect::<Result<_>>()?, next))
        })
        .await
    }
}
