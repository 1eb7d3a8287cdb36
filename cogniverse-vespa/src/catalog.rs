//! What is deployed, as the manifest of the active application says, understood once per generation.

use crate::{deploy::Deployer, manifest::Manifest};
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{DeployedSchema, Error, ErrorKind, Result, TenantId, TenantSchema};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// A miss within this time of the last look does not look again: asking for what is not there costs the server nothing.
const MISS_PAUSE: Duration = Duration::from_millis(100);

/// What is deployed.
#[derive(Debug)]
pub(crate) struct Catalog {
    deployer: Arc<Deployer>,
    age: Duration,
    known: Mutex<Option<Known>>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Known {
    generation: u64,
    manifest: Arc<Manifest>,
    read_at: Instant,
    compiled: HashMap<TenantSchema, Arc<Schema>>,
}

impl Catalog {
    pub(crate) fn new(deployer: Arc<Deployer>, age: Duration) -> Self {
        Self { deployer, age, known: Mutex::new(None), looking: tokio::sync::Mutex::new(()) }
    }

    /// A deployed schema, understood.
    ///
    /// # Errors
    /// `NotFound` with the tenant's schemas; as reading the manifest, where nothing is known yet.
    pub(crate) async fn schema(&self, schema: &TenantSchema) -> Result<Arc<Schema>> {
        if let Some(found) = self.compiled(schema, self.age) {
            return Ok(found);
        }
        let asked = Instant::now();
        if let Err(error) = self.look(asked, self.age).await {
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
        self.look(asked, MISS_PAUSE).await?;
        match self.understand(schema)? {
            Some(found) => Ok(found),
            None => Err(self.unknown(schema)),
        }
    }

    fn unknown(&self, schema: &TenantSchema) -> Error {
        let known = self.known.lock();
        let entries = known.iter().flat_map(|known| known.manifest.schemas.values());
        let bases: Vec<_> =
            entries.filter(|entry| entry.tenant == *schema.tenant()).map(|entry| entry.base.clone()).collect();
        Error::unknown("deployed schema", schema.base(), bases).with_context("tenant", schema.tenant())
    }

    fn compiled(&self, schema: &TenantSchema, age: Duration) -> Option<Arc<Schema>> {
        let known = self.known.lock();
        let known = known.as_ref().filter(|known| known.read_at.elapsed() <= age)?;
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

    /// Reads what is deployed, unless somebody did so since `asked` or within `age`.
    async fn look(&self, asked: Instant, age: Duration) -> Result<()> {
        let _turn = self.looking.lock().await;
        let (generation, read_at) = match &*self.known.lock() {
            Some(known) => (Some(known.generation), Some(known.read_at)),
            None => (None, None),
        };
        if read_at.is_some_and(|read_at| read_at >= asked || read_at.elapsed() <= age) {
            return Ok(());
        }
        let now = Instant::now();
        let read = self.deployer.manifest(generation).await?;
        let mut known = self.known.lock();
        match (read, known.as_mut()) {
            (Some((generation, manifest)), _) => {
                *known =
                    Some(Known { generation, manifest: Arc::new(manifest), read_at: now, compiled: HashMap::new() });
            }
            (None, Some(known)) => known.read_at = now,
            (None, None) => {}
        }
        Ok(())
    }

    /// A tenant's schemas as they are now, by base.
    pub(crate) async fn list(&self, tenant: &TenantId) -> Result<Vec<DeployedSchema>> {
        self.look(Instant::now(), Duration::ZERO).await?;
        let known = self.known.lock();
        let manifest = known.as_ref().map(|known| Arc::clone(&known.manifest)).unwrap_or_default();
        let entries = manifest.schemas.values().filter(|entry| entry.tenant == *tenant);
        let mut deployed: Vec<DeployedSchema> = entries
            .filter_map(|entry| {
                let definition = manifest.definition(entry)?;
                Some(DeployedSchema::new(entry.schema(), Arc::clone(definition), entry.deployed_at))
            })
            .collect();
        deployed.sort_by(|a, b| a.schema.base().cmp(b.schema.base()));
        Ok(deployed)
    }

    /// Whose a document type is, as far as is known.
    pub(crate) fn owner(&self, physical: &str) -> Option<TenantSchema> {
        let known = self.known.lock();
        known.as_ref()?.manifest.schemas.get(physical).map(crate::manifest::Entry::schema)
    }

    /// Forgets: the next call reads.
    pub(crate) fn forget(&self) {
        *self.known.lock() = None;
    }
}
