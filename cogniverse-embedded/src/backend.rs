//! The backend: what it holds, how calls reach a store, and `SchemaStore`.

use crate::{
    catalog::Catalog, config::EmbeddedConfig, error, folder::DataFolder, index::FloatCache, open_stores::OpenStores,
    tenant_store::TenantStore,
};
use async_trait::async_trait;
use cogniverse_core::schemas::{Schema, deployment};
use cogniverse_sdk::{
    Clock, DeployedSchema, Error, ErrorKind, Result, Retry, SchemaStore, SystemClock, TenantId, TenantSchema,
    schema_store::{DeployReport, DeployRequest, SchemaAction, SchemaDeployment},
};
use std::{collections::HashSet, fs, sync::Arc};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// The default search backend: one folder on this machine, held by one process.
///
/// Cheap to clone; the folder is released when the last clone is gone.
#[derive(Debug, Clone)]
pub struct EmbeddedBackend {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: EmbeddedConfig,
    catalog: Catalog,
    stores: OpenStores,
    float_cache: FloatCache,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    /// Declared last: the lock goes when everything else is closed.
    folder: DataFolder,
}

/// What the backend holds at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resources {
    /// Tenant schemas with open files.
    pub open_schemas: usize,
    /// Bytes of float vectors in memory.
    pub float_cache_bytes: usize,
    /// Searches that a thread works on, given up or not.
    pub running_searches: usize,
}

impl EmbeddedBackend {
    /// Opens the data folder, or makes it, and removes what an interrupted drop left behind.
    ///
    /// # Errors
    /// `Conflict` where another process holds the folder; `Unavailable` where it cannot be written; `Corrupt`.
    pub async fn open(config: EmbeddedConfig) -> Result<Self> {
        Self::open_with_clock(config, Arc::new(SystemClock)).await
    }

    /// As [`EmbeddedBackend::open`], with another clock.
    ///
    /// # Errors
    /// As [`EmbeddedBackend::open`].
    pub async fn open_with_clock(config: EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        blocking(move || {
            let folder = DataFolder::open(&config.data_dir)?;
            let catalog = Catalog::open(folder.catalog())?;
            remove_orphans(&folder, &catalog)?;
            let inner = Inner {
                stores: OpenStores::new(config.max_open_schemas),
                float_cache: FloatCache::new(config.float_cache_bytes),
                running: Arc::new(Semaphore::new(config.max_running_searches.min(Semaphore::MAX_PERMITS))),
                waiting: Arc::new(Semaphore::new(
                    config.max_running_searches.saturating_add(config.max_waiting_searches).min(Semaphore::MAX_PERMITS),
                )),
                catalog,
                clock,
                config,
                folder,
            };
            Ok(Self { inner: Arc::new(inner) })
        })
        .await
    }

    /// Closes a tenant's files and forgets its vectors; the next call opens them again. Stores in use stay open; returns
    /// how many.
    #[must_use]
    pub fn close_tenant(&self, tenant: &TenantId) -> usize {
        self.inner.stores.close_tenant(tenant)
    }

    /// What is held at this moment.
    #[must_use]
    pub fn resources(&self) -> Resources {
        Resources {
            open_schemas: self.inner.stores.len(),
            float_cache_bytes: self.inner.float_cache.used(),
            running_searches: self
                .inner
                .config
                .max_running_searches
                .saturating_sub(self.inner.running.available_permits()),
        }
    }

    /// A place among the running searches, or a refusal where too many wait.
    /// It belongs to the thread that works: a caller who gives up does not make room for one more.
    pub(crate) async fn search_permit(
        &self,
        schema: &TenantSchema,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let waiting = Arc::clone(&self.inner.waiting).try_acquire_owned().map_err(|_| {
            Error::new(
                ErrorKind::RateLimited,
                format!("{} searches wait already; try again later", self.inner.config.max_waiting_searches),
            )
            .with_retry(Retry::After(None))
            .with_context("tenant", schema.tenant())
        })?;
        let running = Arc::clone(&self.inner.running)
            .acquire_owned()
            .await
            .map_err(|e| Error::unexpected("the search queue is closed").with_source(e))?;
        Ok((waiting, running))
    }

    /// Runs `work` on a blocking thread with the schema's store, opened where it is not.
    pub(crate) async fn with_store<T, F>(&self, operation: &'static str, schema: TenantSchema, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&TenantStore) -> Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let result = blocking(move || inner.store(&schema).and_then(|store| work(&store))).await;
        result.map_err(|e| if e.operation().is_empty() { e.with_operation(operation) } else { e })
    }
}

impl Inner {
    fn store(&self, schema: &TenantSchema) -> Result<Arc<TenantStore>> {
        self.stores.get(schema, || {
            let deployment = self.catalog.require(schema)?;
            let folder = self.folder.deployment(schema, deployment.generation);
            let store = TenantStore::open(&folder, &deployment, self.config.durability, self.float_cache.clone())?;
            if !deployment.initialized {
                self.catalog.set_initialized(deployment.generation)?;
            }
            Ok(store)
        })
    }

    /// What each deployment would do, checked against the catalog.
    fn actions(&self, request: &DeployRequest) -> Result<Vec<SchemaAction>> {
        let wanted = deployment::compile_request(request)?;
        let action = |(deployment, wanted): (&SchemaDeployment, &Schema)| {
            self.catalog.check_name(&deployment.schema)?;
            let deployed = self.catalog.get(&deployment.schema)?;
            Ok(deployment::action(wanted, deployed.as_ref().map(|known| &*known.deployed.definition)))
        };
        request.deployments.iter().zip(&wanted).map(action).collect()
    }

    fn deploy(&self, request: &DeployRequest) -> Result<DeployReport> {
        let actions = self.actions(request)?;
        let mut changes = Vec::with_capacity(actions.len());
        for (deployment, action) in request.deployments.iter().zip(&actions) {
            deployment::refuse_refeed(&deployment.schema, action)?;
            changes.push((deployment.schema.clone(), Arc::clone(&deployment.definition), action.clone()));
        }
        self.catalog.apply(&changes, self.clock.now())?;
        for (schema, definition, action) in &changes {
            if matches!(action, SchemaAction::Changed { .. }) {
                self.store(schema)?.set_schema(Arc::new(Schema::compile(Arc::clone(definition))?));
            }
        }
        Ok(deployment::report(request, actions))
    }

    /// First the catalog, then the folder: a crash between leaves a folder that nothing refers to.
    fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        let deployment = self.catalog.require(schema)?;
        self.catalog.remove(deployment.generation)?;
        if let Some(store) = self.stores.remove(schema) {
            store.set_dropped();
        }
        remove_folder(&self.folder.deployment(schema, deployment.generation))?;
        // The tenant's folder goes with its last schema; while another is in it, this is refused and right.
        let _ = fs::remove_dir(self.folder.tenant(schema.tenant()));
        Ok(())
    }
}

fn remove_folder(folder: &std::path::Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(error::io(folder, e)),
        _ => Ok(()),
    }
}

/// Removes deployment folders that the catalog does not know: what a crash in the middle of a drop left. A catalog that
/// cannot be read, or does not hold what the folders say it held, stops this before anything is removed (invariant 9).
fn remove_orphans(folder: &DataFolder, catalog: &Catalog) -> Result<()> {
    let known: HashSet<_> =
        catalog.all()?.iter().map(|d| folder.deployment(&d.deployed.schema, d.generation)).collect();
    let last = catalog.last_generation()?;
    let tenants = folder.tenants();
    if !tenants.exists() {
        return Ok(());
    }
    for tenant in read_dir(&tenants)? {
        for deployment in read_dir(&tenant)? {
            if known.contains(&deployment) {
                continue;
            }
            let generation = deployment.extension().and_then(|g| g.to_str()).and_then(|g| g.parse::<i64>().ok());
            if generation.is_none_or(|generation| generation > last) {
                return Err(error::corrupt(
                    catalog.path(),
                    format!("it does not know the folder {}, which is newer than anything in it", deployment.display()),
                ));
            }
            tracing::warn!(folder = %deployment.display(), "removing what an interrupted drop left");
            remove_folder(&deployment)?;
        }
    }
    Ok(())
}

fn read_dir(path: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>());
    entries.map_err(|e| error::io(path, e))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|e| Error::unexpected("a worker thread ended early").with_source(e))?
}

#[async_trait]
impl SchemaStore for EmbeddedBackend {
    async fn plan(&self, request: &DeployRequest) -> Result<DeployReport> {
        let (inner, request) = (Arc::clone(&self.inner), request.clone());
        blocking(move || inner.actions(&request).map(|actions| deployment::report(&request, actions))).await
    }

    async fn deploy(&self, request: DeployRequest) -> Result<DeployReport> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.deploy(&request)).await
    }

    async fn list_schemas(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
        blocking(move || Ok(inner.catalog.list(&tenant)?.into_iter().map(|d| d.deployed).collect())).await
    }

    async fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        let (inner, schema) = (Arc::clone(&self.inner), schema.clone());
        blocking(move || inner.drop_schema(&schema)).await
    }
}
