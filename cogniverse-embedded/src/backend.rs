//! The backend: what it holds, how calls reach a store, and `SchemaStore`.

use crate::{
    catalog::{BegunDrop, Catalog},
    config::EmbeddedConfig,
    error,
    folder::DataFolder,
    index::FloatCache,
    open_stores::OpenStores,
    record::Verification,
    tenant_store::{FILE, TenantStore},
};
use async_trait::async_trait;
use cogniverse_core::schemas::{Schema, deployment};
use cogniverse_sdk::{
    Clock, DeployedSchema, Error, ErrorKind, Result, Retry, SchemaStore, SystemClock, TenantId, TenantSchema,
    schema_store::{DeployReport, DeployRequest, SchemaAction, SchemaDeployment},
};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
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
    stores: Arc<OpenStores>,
    /// Held by whoever deploys or drops: what is decided stands until it is done.
    deploying: Mutex<()>,
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
    /// Opens the data folder, or makes it, and ends the drops that were interrupted. Whatever else lies in it is let be; see
    /// [`EmbeddedBackend::strays`].
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
            finish_drops(&folder, &catalog)?;
            for stray in strays(&folder, &catalog)? {
                tracing::warn!(path = %stray.display(), "nothing in the catalog refers to this; it is let be");
            }
            let inner = Inner {
                stores: Arc::new(OpenStores::new(config.open_schemas(), config.max_running_searches)),
                deploying: Mutex::default(),
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

    /// Opens every schema of a tenant, so that its next search need not; returns how many there are. A restart leaves all of
    /// them closed, and opening takes time that grows with their documents.
    ///
    /// # Errors
    /// As any call on a schema that cannot be opened; `Timeout` where one is not open after the configured time.
    pub async fn warm(&self, tenant: &TenantId) -> Result<usize> {
        let schemas = self.list_schemas(tenant).await?;
        for deployed in &schemas {
            self.inner.open(&deployed.schema, None).await.map_err(|e| e.with_operation("warm"))?;
        }
        Ok(schemas.len())
    }

    /// What lies in the folder of tenants and is not the catalog's, by path: files of others, and folders that were put back.
    /// Nothing of it is used or removed.
    ///
    /// # Errors
    /// Where the folder or the catalog cannot be read.
    pub async fn strays(&self) -> Result<Vec<PathBuf>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || strays(&inner.folder, &inner.catalog)).await
    }

    /// Reads everything of a tenant schema and checks it: SQLite's own structures, the checksum of every document and of
    /// every vector. Searches and feeds go on meanwhile.
    ///
    /// SQLite's log of recent writes has checksums of its own, and a torn end of it is cut off in silence, as it must be after
    /// a loss of power: a log that was removed or cut by somebody else takes its writes along unnoticed.
    ///
    /// # Errors
    /// `NotFound` for a schema that is not deployed; `Corrupt` for a file that is lost, another's, or not to be read at all.
    /// Damage of what is in it is no error here but what the answer says, also where it keeps the schema from opening.
    pub async fn verify(&self, schema: &TenantSchema) -> Result<Verification> {
        let opened = self.with_store("verify", schema.clone(), |store| {
            let moment = store.moment()?;
            store.record().verify(moment.connection()?)
        });
        let error = match opened.await {
            Err(error) if error.kind() == ErrorKind::Corrupt => error,
            other => return other,
        };
        // An opening stops at the first damage; here all of them are wanted.
        let (inner, schema) = (Arc::clone(&self.inner), schema.clone());
        let verified = blocking(move || {
            let deployment = inner.catalog.require(&schema)?;
            TenantStore::verify_closed(&inner.folder.deployment(&schema, deployment.generation), &deployment)
        });
        match verified.await {
            Ok(found) if !found.is_whole() => Ok(found),
            _ => Err(error),
        }
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

    /// A place among those who wait, or a refusal where too many do.
    pub(crate) fn waiting_place(&self, schema: &TenantSchema) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.waiting).try_acquire_owned().map_err(|_| {
            Error::new(
                ErrorKind::RateLimited,
                format!("{} searches wait already; try again later", self.inner.config.max_waiting_searches),
            )
            .with_retry(Retry::After(None))
            .with_context("tenant", schema.tenant())
        })
    }

    /// A place among the running searches. It belongs to the thread that works: a caller who gives up makes no room for one
    /// more.
    pub(crate) async fn running_place(&self, schema: &TenantSchema, limit: Duration) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout(limit, Arc::clone(&self.inner.running).acquire_owned()).await {
            Ok(running) => running.map_err(|e| Error::unexpected("the search queue is closed").with_source(e)),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "the search got no turn within {limit:?}, as others are running; try again, or give it more time"
                ),
            )
            .with_retry(Retry::After(None))
            .with_context("tenant", schema.tenant())),
        }
    }

    /// The schema's store, opened where it is not. `limit` is the time that the caller gives to the whole call.
    pub(crate) async fn store(&self, schema: &TenantSchema, limit: Option<Duration>) -> Result<Arc<TenantStore>> {
        self.inner.open(schema, limit).await
    }

    /// Runs `work` on a blocking thread with an open store.
    pub(crate) async fn on_store<T, F>(&self, store: Arc<TenantStore>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&TenantStore) -> Result<T> + Send + 'static,
    {
        // The thread keeps the folder too: nobody else gets it while the thread works.
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let result = work(&store);
            drop((store, inner));
            result
        })
        .await
    }

    /// Runs `work` on a blocking thread with the schema's store, opened where it is not.
    pub(crate) async fn with_store<T, F>(&self, operation: &'static str, schema: TenantSchema, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&TenantStore) -> Result<T> + Send + 'static,
    {
        let result = match self.inner.open(&schema, None).await {
            Ok(store) => self.on_store(store, work).await,
            Err(error) => Err(error),
        };
        result.map_err(|e| if e.operation().is_empty() { e.with_operation(operation) } else { e })
    }
}

impl Inner {
    async fn open(self: &Arc<Self>, schema: &TenantSchema, limit: Option<Duration>) -> Result<Arc<TenantStore>> {
        let patience = limit.map_or(self.config.open_timeout, |limit| limit.min(self.config.open_timeout));
        let (inner, name) = (Arc::clone(self), schema.clone());
        self.stores.get(schema, patience, move || inner.open_store(&name)).await
    }

    fn open_store(&self, schema: &TenantSchema) -> Result<TenantStore> {
        let deployment = self.catalog.require(schema)?;
        let folder = self.folder.deployment(schema, deployment.generation);
        let (durability, cache) = (self.config.durability, self.float_cache.clone());
        let store = TenantStore::open(&folder, &deployment, durability, cache, Arc::downgrade(&self.stores))?;
        if !deployment.initialized || deployment.store.is_none() {
            self.catalog.set_initialized(deployment.generation, store.store_name())?;
        }
        Ok(store)
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
        let _deploying = self.deploying.lock();
        let actions = self.actions(request)?;
        let mut changes = Vec::with_capacity(actions.len());
        for (deployment, action) in request.deployments.iter().zip(&actions) {
            deployment::refuse_refeed(&deployment.schema, action)?;
            changes.push((deployment.schema.clone(), Arc::clone(&deployment.definition), action.clone()));
        }
        self.catalog.apply(&changes, self.clock.now())?;
        for (schema, definition, action) in &changes {
            // Who opens it from here on reads the new definition; who was opening it is waited for.
            if matches!(action, SchemaAction::Changed { .. })
                && let Some(store) = self.stores.opened(schema)
            {
                store.set_schema(Arc::new(Schema::compile(Arc::clone(definition))?));
            }
        }
        Ok(deployment::report(request, actions))
    }

    /// The record of the drop comes first and goes last: whatever interrupts it, it can be asked for again, and the next
    /// opening ends it.
    fn drop_schema(&self, schema: &TenantSchema) -> Result<()> {
        let _deploying = self.deploying.lock();
        match self.catalog.require(schema) {
            Ok(deployment) => {
                self.catalog.begin_drop(&deployment)?;
                if let Some(store) = self.stores.remove(schema) {
                    store.set_dropped();
                }
            }
            // It was begun before: the rest of it is done now.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if !self.catalog.drops()?.iter().any(|begun| begun.schema == *schema) {
                    return Err(e);
                }
            }
            Err(e) => return Err(e),
        }
        for begun in self.catalog.drops()?.iter().filter(|begun| begun.schema == *schema) {
            finish_drop(&self.folder, &self.catalog, begun)?;
        }
        Ok(())
    }
}

/// Ends what interrupted drops began. One that cannot be ended now, such as on a read-only disk, does not stop the opening.
fn finish_drops(folder: &DataFolder, catalog: &Catalog) -> Result<()> {
    for begun in catalog.drops()? {
        tracing::warn!(schema = %begun.schema, generation = begun.generation, "ending an interrupted drop");
        if let Err(error) = finish_drop(folder, catalog, &begun) {
            tracing::warn!(schema = %begun.schema, "the drop cannot be ended yet: {}", error.chain());
        }
    }
    Ok(())
}

fn finish_drop(folder: &DataFolder, catalog: &Catalog, begun: &BegunDrop) -> Result<()> {
    let tenant = folder.tenant(begun.schema.tenant());
    let deployment = folder.deployment(&begun.schema, begun.generation);
    // A link is not ours, and what is behind it is somebody else's.
    if is_folder(&tenant)? && is_folder(&deployment)? {
        fs::remove_dir_all(&deployment).map_err(|e| error::io(&deployment, e))?;
        // The tenant's folder goes with its last schema; while another is in it, this is refused and right.
        let _ = fs::remove_dir(&tenant);
    }
    catalog.end_drop(begun.generation)
}

/// Whether there is a folder at a path, and no link to one.
fn is_folder(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(error::io(path, e)),
    }
}

/// What lies in the folder of tenants and is neither a deployment nor on its way out. A store that is newer than anything
/// in the catalog says that the catalog is an old one: that is an error (invariant 9).
fn strays(folder: &DataFolder, catalog: &Catalog) -> Result<Vec<PathBuf>> {
    let deployments = catalog.all()?.into_iter().map(|d| (d.deployed.schema, d.generation));
    let dropped = catalog.drops()?.into_iter().map(|d| (d.schema, d.generation));
    let known: HashSet<PathBuf> =
        deployments.chain(dropped).map(|(schema, generation)| folder.deployment(&schema, generation)).collect();
    let last = catalog.last_generation()?;
    let tenants = folder.tenants();
    let mut strays = Vec::new();
    if !is_folder(&tenants)? {
        return Ok(strays);
    }
    for tenant in read_dir(&tenants)? {
        if !is_folder(&tenant)? {
            strays.push(tenant);
            continue;
        }
        for found in read_dir(&tenant)? {
            if known.contains(&found) {
                continue;
            }
            let generation = found.extension().and_then(|g| g.to_str()).and_then(|g| g.parse::<i64>().ok());
            let file = found.join(FILE);
            let is_store = is_folder(&found)? && file.try_exists().map_err(|e| error::io(&file, e))?;
            if is_store && generation.is_some_and(|generation| generation > last) {
                return Err(error::corrupt(
                    catalog.path(),
                    format!("it does not know the folder {}, which is newer than anything in it", found.display()),
                ));
            }
            strays.push(found);
        }
    }
    strays.sort();
    Ok(strays)
}

fn read_dir(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>());
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
