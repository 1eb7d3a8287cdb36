//! The cached catalog of deployed schemas, from the manifest of the active application.

use crate::{
    deploy::Deployer,
    manifest::{Entry, Manifest},
};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{DeployedSchema, Error, ErrorCode, ErrorKind, Result, Retry, TenantId, TenantSchema};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tracing::Instrument as _;

/// A miss within this time of the last look does not look again: asking for what is not there costs the server nothing.
const MISS_PAUSE: Duration = Duration::from_millis(100);

/// How long a call waits for a config server that does not answer, where it knows something to go on with.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is deployed.
#[derive(Debug)]
pub(crate) struct Catalog {
    deployer: Arc<Deployer>,
    age: Duration,
    known: Mutex<Option<Known>>,
    /// Counts what made the known stale; it is kept all the same, for when nothing newer can be had.
    forgotten: AtomicU64,
    /// The time of the last failed read.
    failed_at: Mutex<Option<Instant>>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Known {
    generation: u64,
    manifest: Arc<Manifest>,
    read_at: Instant,
    /// [`Catalog::forgotten`] before it was read.
    as_of: u64,
    compiled: HashMap<TenantSchema, Arc<Schema>>,
}

impl Catalog {
    pub(crate) fn new(deployer: Arc<Deployer>, age: Duration) -> Self {
        Self {
            deployer,
            age,
            known: Mutex::new(None),
            forgotten: AtomicU64::new(0),
            failed_at: Mutex::new(None),
            looking: tokio::sync::Mutex::new(()),
        }
    }

    /// A deployed schema, understood.
    ///
    /// # Errors
    /// `NotFound` with the tenant's schemas; as reading the manifest, where nothing is known yet.
    pub(crate) async fn schema(self: &Arc<Self>, schema: &TenantSchema) -> Result<Arc<Schema>> {
        if let Some(found) = self.compiled(schema, self.age) {
            return Ok(found);
        }
        let asked = Instant::now();
        // Nobody waits for a config server that is away, or that another call is asking, while something is known.
        let failed = self.failed_at.lock().is_some_and(|at| at.elapsed() <= self.age);
        let asking = !self.is_stale() && self.looking.try_lock().is_err();
        if (failed || asking)
            && let Some(found) = self.understand(schema)?
        {
            return Ok(found);
        }
        if failed && !self.is_stale() {
            return Err(away("it did not answer a moment ago"));
        }
        if let Err(error) = self.look_patiently(asked, self.age).await {
            // The container answers searches also while the config server is away: go on with what was known.
            let unreachable = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
            return match self.understand(schema)? {
                Some(found) if unreachable => {
                    tracing::warn!(error = %error.chain(), "the config server is away; what was deployed last is used");
                    Ok(found)
                }
                _ => Err(error),
            };
        }
        if let Some(found) = self.understand(schema)? {
            return Ok(found);
        }
        // It may have been deployed by another process since.
        self.look_patiently(asked, MISS_PAUSE).await?;
        match self.understand(schema)? {
            Some(found) => Ok(found),
            None => Err(self.unknown(schema)),
        }
    }

    /// A deployed schema as it is recorded; as [`Catalog::schema`] for what is known and how old it may be.
    ///
    /// # Errors
    /// As [`Catalog::schema`].
    pub(crate) async fn served(self: &Arc<Self>, schema: &TenantSchema) -> Result<DeployedSchema> {
        self.schema(schema).await?;
        let recorded =
            self.known.lock().as_ref().and_then(|known| recorded(&known.manifest, known.manifest.entry(schema)?));
        // Between the two it may have been dropped.
        recorded.ok_or_else(|| self.unknown(schema))
    }

    fn unknown(&self, schema: &TenantSchema) -> Error {
        let known = self.known.lock();
        let entries = known.iter().flat_map(|known| known.manifest.schemas.values());
        let bases: Vec<_> =
            entries.filter(|entry| entry.tenant == *schema.tenant()).map(|entry| entry.base.clone()).collect();
        Error::unknown("deployed schema", schema.base(), bases)
            .with_code(ErrorCode::SchemaNotDeployed)
            .with_context("tenant", schema.tenant())
    }

    fn compiled(&self, schema: &TenantSchema, age: Duration) -> Option<Arc<Schema>> {
        let known = self.known.lock();
        let known = known.as_ref().filter(|known| self.is_fresh(known, age))?;
        known.compiled.get(schema).map(Arc::clone)
    }

    fn understand(&self, schema: &TenantSchema) -> Result<Option<Arc<Schema>>> {
        let mut guard = self.known.lock();
        let Some(known) = guard.as_mut() else { return Ok(None) };
        if let Some(found) = known.compiled.get(schema) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(entry) = known.manifest.entry(schema) else { return Ok(None) };
        let Some(definition) = known.manifest.definition(entry) else { return Ok(None) };
        let compiled = Arc::new(Schema::compile(Arc::clone(definition))?);
        known.compiled.insert(schema.clone(), Arc::clone(&compiled));
        Ok(Some(compiled))
    }

    fn is_fresh(&self, known: &Known, age: Duration) -> bool {
        known.as_of == self.forgotten.load(Ordering::Acquire) && known.read_at.elapsed() <= age
    }

    fn is_stale(&self) -> bool {
        let forgotten = self.forgotten.load(Ordering::Acquire);
        self.known.lock().as_ref().is_none_or(|known| known.as_of != forgotten)
    }

    /// Reads as [`Catalog::look`] does, but waits at most [`PATIENCE`] where a valid catalog is cached, so that a
    /// hanging config server delays no search. The read continues, so that a later call sees its result.
    /// config server that hangs takes no search's time. The look goes on, so that what a slow one says is seen by a later call.
    async fn look_patiently(self: &Arc<Self>, asked: Instant, age: Duration) -> Result<()> {
        if self.is_stale() {
            return self.look(asked, age).await;
        }
        let catalog = Arc::clone(self);
        let look = tokio::spawn(async move { catalog.look(asked, age).await }.in_current_span());
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(looked)) => looked,
            Ok(Err(ended)) => {
                Err(Error::unexpected("reading what is deployed ended before its answer").with_source(ended))
            }
            Err(_) => {
                *self.failed_at.lock() = Some(Instant::now());
                Err(away(&format!("it did not answer within {PATIENCE:?}")))
            }
        }
    }

    /// Reads what is deployed, unless somebody did so since `asked` or within `age`.
    async fn look(&self, asked: Instant, age: Duration) -> Result<()> {
        let _turn = self.looking.lock().await;
        let since_asked = |at: Instant| at >= asked;
        let generation = match &*self.known.lock() {
            Some(known) if self.is_fresh(known, age) => return Ok(()),
            Some(known) if self.is_fresh(known, Duration::MAX) && since_asked(known.read_at) => return Ok(()),
            known => known.as_ref().map(|known| known.generation),
        };
        // Whoever waited while another call's look failed does not wait for one of its own.
        if self.failed_at.lock().is_some_and(since_asked) {
            return Err(away("another call found so just now"));
        }
        let (now, as_of) = (Instant::now(), self.forgotten.load(Ordering::Acquire));
        let read = match self.deployer.manifest(generation).await {
            Ok(read) => read,
            Err(error) => {
                *self.failed_at.lock() = Some(Instant::now());
                return Err(error);
            }
        };
        *self.failed_at.lock() = None;
        let mut known = self.known.lock();
        match (read, known.as_mut()) {
            (Some((generation, manifest)), _) => {
                let (manifest, compiled) = (Arc::new(manifest), HashMap::new());
                *known = Some(Known { generation, manifest, read_at: now, as_of, compiled });
            }
            (None, Some(known)) => (known.read_at, known.as_of) = (now, as_of),
            (None, None) => return Err(Error::unexpected("the generation is known and its manifest is not")),
        }
        Ok(())
    }

    /// A tenant's schemas as they are now, by base.
    pub(crate) async fn list(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.look(Instant::now(), Duration::ZERO).await?;
        let known = self.known.lock();
        let manifest = known.as_ref().map(|known| Arc::clone(&known.manifest));
        let manifest = manifest.ok_or_else(|| Error::unexpected("what is deployed was read and is not known"))?;
        let entries = manifest.schemas.values().filter(|entry| entry.tenant == *tenant);
        let mut deployed: Vec<DeployedSchema> = entries.filter_map(|entry| recorded(&manifest, entry)).collect();
        deployed.sort_by(|a, b| a.schema.base().cmp(b.schema.base()));
        Ok(deployed)
    }

    /// Whose a document type is, as far as is known.
    pub(crate) fn owner(&self, physical: &str) -> Option<TenantSchema> {
        let known = self.known.lock();
        known.as_ref()?.manifest.schemas.get(physical).map(Entry::schema)
    }

    /// The next call reads; what is known stays for when it cannot.
    pub(crate) fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
    }
}

fn away(why: &str) -> Error {
    Error::of(ErrorCode::BackendUnavailable, format!("the config server is away: {why}")).with_retry(Retry::After(None))
}

fn recorded(manifest: &Manifest, entry: &Entry) -> Option<DeployedSchema> {
    Some(DeployedSchema::new(entry.schema(), Arc::clone(manifest.definition(entry)?), entry.deployed_at))
}
