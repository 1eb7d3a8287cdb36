//! The backend, its access to stores, and its `SchemaStore` implementation.

mod deployments;
mod drops;
mod paths;

use crate::{
    catalog::Catalog,
    config::{self, EmbeddedConfig},
    connections::Connections,
    cores::Cores,
    derivations::Derivation,
    error,
    folder::{DataFolder, is_folder},
    index::CodeCache,
    open_stores::OpenStores,
    record::Verification,
    schemas::Schemas,
    snapshot::EmbeddedSnapshot,
    tenant_store::{Shared, TenantStore},
    upkeep::Upkeep,
};
use cogniverse_core::worker::blocking;
use cogniverse_sdk::{
    Clock, DeployedSchema, Error, ErrorCode, ErrorKind, Result, Retry, SchemaStore, SystemClock, TenantId, TenantSchema,
};
use drops::finish_drops;
use parking_lot::Mutex;
use paths::{read_dir, size_of, strays};
use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The default search backend: one folder on this machine, locked by one process.
///
/// Cheap to clone; the folder is unlocked when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct EmbeddedBackend {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: EmbeddedConfig,
    catalog: Catalog,
    stores: Arc<OpenStores>,
    /// Serializes deployments and drops, so that a decision holds until it is applied.
    deploying: Mutex<()>,
    shared: Arc<Shared>,
    cores: Cores,
    upkeep: Arc<Upkeep>,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    /// The lock. Declared last, so that it is released after everything else is closed.
    folder: DataFolder,
}

/// The number of attempts at a snapshot while schemas are being deployed and dropped.
const SNAPSHOTS: usize = 20;

/// The resources that the backend currently holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resources {
    /// The number of open tenant schemas.
    pub open_schemas: usize,
    /// The number of bytes that quantized copies of float vectors take in memory.
    pub float_cache_bytes: usize,
    /// The number of searches that occupy a thread, abandoned ones included.
    pub running_searches: usize,
}

impl EmbeddedBackend {
    /// Opens the data folder, or creates it, and completes interrupted drops. Unknown files in it are left alone; see
    /// [`EmbeddedBackend::strays`].
    ///
    /// # Errors
    /// `Conflict` where another process holds the folder; `Unavailable` where it cannot be written; `Corrupt` where
    /// its files are damaged.
    pub async fn open(config: EmbeddedConfig) -> Result<Self> {
        Self::open_with_clock(config, Arc::new(SystemClock)).await
    }

    /// Behaves as [`EmbeddedBackend::open`], with another clock.
    ///
    /// # Errors
    /// Those of [`EmbeddedBackend::open`].
    pub async fn open_with_clock(config: EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        blocking(move || {
            let folder = DataFolder::open(&config.data_dir)?;
            let catalog = Catalog::open(folder.catalog())?;
            finish_drops(&folder, &catalog)?;
            for stray in strays(&folder, &catalog)? {
                tracing::warn!(path = %stray.display(), "the catalog has no record of this path; it is left alone");
            }
            let connections = Arc::new(Connections::new(config.idle_connections()));
            let (open, openings) = (config.max_open_schemas, config.max_running_searches);
            let stores = Arc::new(OpenStores::new(open, openings, Arc::clone(&connections)));
            let shared = Shared {
                durability: config.durability,
                block_documents: config.block_documents,
                code_cache: CodeCache::new(config.float_cache_bytes),
                schemas: Schemas::default(),
                derivations: Arc::default(),
                connections,
                others: Arc::downgrade(&stores),
            };
            let inner = Inner {
                stores,
                shared: Arc::new(shared),
                deploying: Mutex::default(),
                cores: Cores::new(config::cores(), config.max_cores_per_search),
                upkeep: Arc::default(),
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

    /// Opens every schema of a tenant ahead of its next search, and returns how many there are. After a restart all
    /// schemas are closed, and opening one takes time proportional to its documents.
    ///
    /// # Errors
    /// The error of any schema that cannot be opened; `Timeout` where one is not open after the configured time.
    pub async fn warm(&self, tenant: &TenantId) -> Result<usize> {
        let schemas = self.list_schemas(tenant).await?;
        for deployed in &schemas {
            self.inner.open(&deployed.schema, None).await.map_err(|e| e.with_operation("warm"))?;
        }
        Ok(schemas.len())
    }

    /// Reads the catalog and writes to the data folder, and returns its path.
    pub(crate) async fn check_folder(&self) -> Result<PathBuf> {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            inner.catalog.last_generation()?;
            inner.folder.check_writable()?;
            Ok(inner.folder.root().to_owned())
        })
        .await
    }

    /// Returns the paths under the tenants' folder that the catalog does not know: foreign files and folders that
    /// were restored by hand. They are neither used nor removed.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt` where the folder or the catalog cannot be read.
    pub async fn strays(&self) -> Result<Vec<PathBuf>> {
        let inner = Arc::clone(&self.inner);
        blocking(move || strays(&inner.folder, &inner.catalog)).await
    }

    /// Reads a whole tenant schema and verifies it: SQLite's own structures and the checksums of every document and
    /// vector. Searches and feeds continue meanwhile.
    ///
    /// SQLite's write-ahead log has its own checksums, and SQLite silently ignores a torn tail, as it must after a
    /// loss of power. Writes in a log that was deleted or truncated by others are therefore lost undetected.
    ///
    /// # Errors
    /// `NotFound` for a schema that is not deployed; `Corrupt` for a file that is lost, foreign or unreadable. Damage
    /// inside the file is part of the answer, not an error, even where it prevents the schema from opening.
    pub async fn verify(&self, schema: &TenantSchema) -> Result<Verification> {
        let opened = self.with_store("verify", schema.clone(), |store| {
            let moment = store.moment()?;
            let connection = moment.connection()?;
            store.record().verify(&connection, &moment.files)
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

    /// Closes a tenant's files and drops its cached vectors; the next call opens them again. Stores in use stay open;
    /// returns how many.
    #[must_use]
    pub fn close_tenant(&self, tenant: &TenantId) -> usize {
        self.inner.stores.close_tenant(tenant)
    }

    /// Returns the number of a tenant's open schemas.
    #[must_use]
    pub fn open_schemas_of(&self, tenant: &TenantId) -> usize {
        self.inner.stores.count_of(tenant)
    }

    /// Returns the number of files in a tenant's folder and their size in bytes. Links are counted and not followed.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be read.
    pub async fn size_of(&self, tenant: &TenantId) -> Result<(u64, u64)> {
        let folder = self.inner.folder.tenant(tenant);
        blocking(move || size_of(&folder)).await
    }

    /// Reads all schemas of a tenant at one moment: every writer waits for the short time in which the transactions that
    /// read begin.
    pub(crate) async fn take_snapshot(&self, tenant: &TenantId) -> Result<EmbeddedSnapshot> {
        for _ in 0..SNAPSHOTS {
            let mut deployed = self.list_schemas(tenant).await?;
            deployed.sort_by(|a, b| a.schema.cmp(&b.schema));
            let mut stores = Vec::with_capacity(deployed.len());
            for deployed in &deployed {
                match self.inner.open(&deployed.schema, None).await {
                    Ok(store) => stores.push(store),
                    // Dropped since it was listed.
                    Err(error) if error.kind() == ErrorKind::NotFound => break,
                    Err(error) => return Err(error.with_operation("snapshot")),
                }
            }
            let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
            let taken = blocking(move || inner.freeze(&tenant, deployed, &stores)).await?;
            if let Some(taken) = taken {
                return Ok(taken);
            }
        }
        let message = "the tenant's schemas are being deployed and dropped all the time; try again when that has ended";
        Err(Error::new(ErrorKind::Unavailable, message).with_retry(Retry::After(None)))
    }

    /// Returns the folder of a tenant.
    pub(crate) fn folder_of(&self, tenant: &TenantId) -> PathBuf {
        self.inner.folder.tenant(tenant)
    }

    /// Returns what lies in a tenant's folder.
    pub(crate) async fn strays_of(&self, tenant: &TenantId) -> Result<Vec<PathBuf>> {
        let folder = self.inner.folder.tenant(tenant);
        blocking(move || if is_folder(&folder)? { read_dir(&folder) } else { Ok(Vec::new()) }).await
    }

    /// Removes a tenant's folder where nothing is in it.
    pub(crate) async fn remove_empty_folder(&self, tenant: &TenantId) -> Result<()> {
        let folder = self.inner.folder.tenant(tenant);
        blocking(move || match fs::remove_dir(&folder) {
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                Err(error::io(&folder, e))
            }
            _ => Ok(()),
        })
        .await
    }

    /// Returns the indexes that are being derived anew, as after an upgrade that analyzes words otherwise. Each is derived once,
    /// as its schema is opened: calls wait for it as long as they allow, and are then refused with
    /// [`ErrorCode::SchemaOpening`](cogniverse_sdk::ErrorCode::SchemaOpening) and the progress, while it goes on.
    #[must_use]
    pub fn deriving(&self) -> Vec<Derivation> {
        self.inner.shared.derivations.list()
    }

    /// Returns the resources currently held.
    #[must_use]
    pub fn resources(&self) -> Resources {
        Resources {
            open_schemas: self.inner.stores.len(),
            float_cache_bytes: self.inner.shared.code_cache.used(),
            running_searches: self
                .inner
                .config
                .max_running_searches
                .saturating_sub(self.inner.running.available_permits()),
        }
    }

    pub(crate) fn cores(&self) -> Cores {
        self.inner.cores.clone()
    }

    /// Reserves a place in the waiting queue, or refuses where it is full.
    pub(crate) fn waiting_place(&self, schema: &TenantSchema) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.waiting).try_acquire_owned().map_err(|_| {
            Error::of(
                ErrorCode::SearchQueueFull,
                format!("{} searches wait already; try again later", self.inner.config.max_waiting_searches),
            )
            .with_retry(Retry::After(None))
            .with_context("tenant", schema.tenant())
        })
    }

    /// Reserves one of the running searches' places. The working thread owns it, so that an abandoned call frees no
    /// place early.
    pub(crate) async fn running_place(&self, schema: &TenantSchema, limit: Duration) -> Result<OwnedSemaphorePermit> {
        match tokio::time::timeout(limit, Arc::clone(&self.inner.running).acquire_owned()).await {
            Ok(running) => running.map_err(|e| Error::unexpected("the search queue is closed").with_source(e)),
            Err(_) => Err(Error::of(
                ErrorCode::SearchTimeout,
                format!(
                    "the search got no turn within {limit:?}, as others are running; try again, or give it more time"
                ),
            )
            .with_retry(Retry::After(None))
            .with_context("tenant", schema.tenant())),
        }
    }

    /// Returns the schema's store, opening it if needed. `limit` is the timeout of the whole call.
    pub(crate) async fn store(&self, schema: &TenantSchema, limit: Option<Duration>) -> Result<Arc<TenantStore>> {
        self.inner.open(schema, limit).await
    }

    /// Runs `work` with an open store on a blocking thread.
    pub(crate) async fn on_store<T, F>(&self, store: Arc<TenantStore>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&TenantStore) -> Result<T> + Send + 'static,
    {
        // The thread keeps the folder too: nobody else gets it while the thread works.
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let result = work(&store);
            if store.wants_folding() {
                inner.upkeep.request(&store);
            }
            drop((store, inner));
            result
        })
        .await
    }

    /// Runs `work` with the schema's store, opened if needed, on a blocking thread.
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

/// Waits for the work on a block that is under way: the folder is another's once this is gone.
impl Drop for Inner {
    fn drop(&mut self) {
        self.upkeep.close();
    }
}

impl Inner {
    async fn open(self: &Arc<Self>, schema: &TenantSchema, limit: Option<Duration>) -> Result<Arc<TenantStore>> {
        let patience = limit.map_or(self.config.open_timeout, |limit| limit.min(self.config.open_timeout));
        let (inner, name) = (Arc::clone(self), schema.clone());
        let opened = self.stores.get(schema, patience, move || inner.open_store(&name)).await;
        opened.map_err(|error| match self.shared.derivations.of(schema) {
            Some(derivation) if error.code() == ErrorCode::SchemaOpening => {
                error.with_context("index_derived_anew", derivation)
            }
            _ => error,
        })
    }

    fn open_store(&self, schema: &TenantSchema) -> Result<TenantStore> {
        let deployment = self.catalog.require(schema)?;
        let folder = self.folder.deployment(schema, deployment.generation);
        let store = TenantStore::open(&folder, &deployment, &self.shared)?;
        if !deployment.initialized || deployment.store.is_none() {
            self.catalog.set_initialized(deployment.generation, store.store_name())?;
        }
        Ok(store)
    }

    /// Freezes opened stores at one moment; `None` where they are no longer all that the tenant has. Blocking.
    fn freeze(
        &self,
        tenant: &TenantId,
        deployed: Vec<DeployedSchema>,
        stores: &[Arc<TenantStore>],
    ) -> Result<Option<EmbeddedSnapshot>> {
        // Nothing is deployed and dropped from here on.
        let _deploying = self.deploying.lock();
        let now = self.catalog.list(tenant)?;
        let mut now: Vec<DeployedSchema> = now.into_iter().map(|deployment| deployment.deployed).collect();
        now.sort_by(|a, b| a.schema.cmp(&b.schema));
        let is_open = |store: &Arc<TenantStore>| {
            self.stores.opened(store.name()).is_some_and(|opened| Arc::ptr_eq(&opened, store))
        };
        if now != deployed || stores.len() != deployed.len() || !stores.iter().all(is_open) {
            return Ok(None);
        }
        // Each writer stops, in the order of the schemas.
        let paused: Vec<_> = stores.iter().map(|store| store.pause()).collect();
        let taken_at = self.clock.now();
        let mut frozen = Vec::with_capacity(stores.len());
        for store in stores {
            frozen.push((Arc::clone(store), Mutex::new(store.freeze()?)));
        }
        drop(paused);
        Ok(Some(EmbeddedSnapshot::new(taken_at, deployed, frozen)))
    }
}
