//! The gate: the one admission for every call that acts for a tenant.

mod builder;

pub use builder::GateBuilder;

use super::{
    activity::{Activity, FlightGuard, InFlight},
    cache::TenantCache,
    grant::{SnapshotSource, TenantGrant},
    record::{TenantRecord, TenantState, unknown},
    registry::{FoundTenant, TenantRegistry},
    shared_access::{ShareAccess, SharedAccess, SharedAccesses},
    snapshot::TenantSnapshot,
};
use crate::{
    fairness::FairScheduler,
    quotas::{CallReservation, Quotas},
};
use async_trait::async_trait;
use cogniverse_foundation::{
    ConfigManager, ConfigSection, ConfigSnapshot, TelemetryConfig, telemetry::TelemetryManager,
};
use cogniverse_sdk::{
    AccessPolicy, AuditEvent, AuditLog, Caller, CallerId, Clock, Error, ErrorCode, Operation, Result, Retry, TenantId,
};
use dashmap::DashMap;
use parking_lot::RwLock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The number of tenants beyond which idle ones are forgotten.
const REMEMBERED: usize = 4096;
/// The time in which further denials of the same kind are counted and not recorded one by one.
const DENIALS: Duration = Duration::from_secs(60);
/// The number of times that a tenant is read again because the store changed meanwhile.
const ATTEMPTS: usize = 8;
/// The interval in which a version is waited for.
const POLL: Duration = Duration::from_millis(20);

/// The one door to tenants: it decides for every call whether a caller may act for a tenant now, and answers a
/// [`TenantGrant`], without which no service does anything.
///
/// It asks whether the caller may act for the tenant and whether the tenant exists, to which there is one answer; and
/// then whether the tenant is active. What it knows of a tenant is one snapshot of its record and configuration. On a
/// store with a change mark, such as SQLite, the next call sees every change, also of another process; on others a
/// change is seen after at most a second, unless [`GateBuilder::with_staleness`] sets another time.
///
/// Cheap to clone; clones share everything but the caller.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Arc<Inner>,
    caller: Arc<Caller>,
    name: Arc<str>,
    /// Whether its calls are parts of a call that quotas have counted.
    is_counted: bool,
}

#[derive(Debug)]
struct Inner {
    quotas: Option<Quotas>,
    scheduler: Option<FairScheduler>,
    registry: TenantRegistry,
    config: ConfigManager,
    policy: Arc<dyn AccessPolicy>,
    accesses: SharedAccesses,
    audit: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    staleness: Duration,
    telemetry: Option<TelemetryManager>,
    tenants: DashMap<TenantId, Arc<TenantEntry>>,
    denials: DashMap<(TenantId, Arc<str>), Denials>,
    caches: RwLock<Vec<Arc<dyn TenantCache>>>,
}

/// The knowledge of this process about a tenant.
#[derive(Debug, Default)]
struct TenantEntry {
    activity: Arc<Activity>,
    known: RwLock<Option<Known>>,
    /// Counts the changes that this process applied, so that a reading of before none of them is believed.
    applied: AtomicU64,
    /// The generation that was seen last; 0 where none was.
    generation: AtomicU64,
    /// Held while a snapshot is read, so that one call reads it for all that wait.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone)]
struct Known {
    snapshot: Arc<TenantSnapshot>,
    at: Instant,
    /// The writes of this process before the reading, so that it sees its own at once.
    writes: u64,
}

/// The denials of one caller in one tenant.
#[derive(Debug)]
struct Denials {
    recorded: Instant,
    suppressed: u64,
}

impl Gate {
    /// Returns the same gate for a caller.
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Self {
        let name = caller.name().into();
        Self { inner: Arc::clone(&self.inner), caller: Arc::new(caller), name, is_counted: true }
    }

    /// Returns the same gate for the parts of a call that quotas have counted already.
    #[must_use]
    pub fn within_call(&self) -> Self {
        Self { is_counted: false, ..self.clone() }
    }

    /// Returns the caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the registry of tenants.
    #[must_use]
    pub fn registry(&self) -> &TenantRegistry {
        &self.inner.registry
    }

    /// Returns the audit log.
    #[must_use]
    pub fn audit(&self) -> &Arc<dyn AuditLog> {
        &self.inner.audit
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Registers a cache to be emptied of tenants that stop being served. Called when a service is assembled.
    pub fn register_cache(&self, cache: Arc<dyn TenantCache>) {
        self.inner.caches.write().push(cache);
    }

    /// Admits a call of this gate's caller.
    ///
    /// # Errors
    /// `NotFound`, with one text for a tenant that does not exist and one that the caller may not act for;
    /// `FailedPrecondition` for a tenant that is not active, with the state and the way out; any error of the
    /// configuration store or the policy, which admits nobody.
    pub async fn admit(&self, tenant: &TenantId, operation: Operation) -> Result<TenantGrant> {
        loop {
            // Counted in first: a suspension after the check below finds the call in flight and ends it.
            let (entry, flight) = {
                let entry = self.inner.tenants.entry(tenant.clone()).or_default();
                let flight = entry.activity.begin(operation, &self.name);
                (Arc::clone(&entry), flight)
            };
            let Some(snapshot) = self.inner.current(tenant, &entry).await? else {
                drop(flight);
                self.inner.forget_unknown(tenant, &entry);
                return Err(unknown(tenant));
            };
            let is_cross_tenant = self.authorize(tenant, operation, &snapshot.record).await?;
            snapshot.record.require_active()?;
            let call = self.count(operation, &snapshot).await?;
            if let (Some(scheduler), Ok(quotas)) = (&self.inner.scheduler, snapshot.quotas()) {
                scheduler.set_weight(tenant, quotas.weight);
            }
            if flight.cause().is_none() {
                let (source, caller) = (Arc::clone(&self.inner) as Arc<dyn SnapshotSource>, Arc::clone(&self.caller));
                return Ok(TenantGrant {
                    source,
                    caller,
                    operation,
                    snapshot,
                    flight,
                    deadline: None,
                    is_cross_tenant,
                    call,
                });
            }
            // It was not served, and costs nothing.
            call.iter().for_each(CallReservation::forgive);
            // What was learned just now ended the calls of before, and with them this one, which is none of them.
        }
    }

    /// Counts a call against the tenant's quotas, where they count its operation.
    async fn count(&self, operation: Operation, snapshot: &TenantSnapshot) -> Result<Option<CallReservation>> {
        let Some(quotas) = self.inner.quotas.as_ref().filter(|_| self.is_counted && is_counted(operation)) else {
            return Ok(None);
        };
        quotas.admit(snapshot.quotas()?).await.map(Some)
    }

    /// Decides whether this gate's caller may do an operation on a tenant in whatever state it is, such as
    /// administering it.
    ///
    /// # Errors
    /// Those of [`Gate::admit`], except for the state of the tenant. A tenant that does not exist is allowed to a caller
    /// that may administer it, so that it can be created.
    pub async fn permit(&self, tenant: &TenantId, operation: Operation) -> Result<()> {
        if self.caller.is_embedder() {
            return Ok(());
        }
        match self.inner.registry.find(tenant).await? {
            Some(found) => self.authorize(tenant, operation, &found.record).await.map(drop),
            None if self.inner.policy.allows(&self.caller, tenant, operation).await? => Ok(()),
            None => Err(unknown(tenant)),
        }
    }

    /// Returns whether the access is a shared one; fails where there is none.
    async fn authorize(&self, tenant: &TenantId, operation: Operation, record: &TenantRecord) -> Result<bool> {
        let Some(caller) = self.caller.id() else { return Ok(false) };
        let allowed = self.inner.policy.allows(&self.caller, tenant, operation).await;
        if matches!(allowed, Ok(true)) {
            return Ok(false);
        }
        let shared = match operation.is_read() {
            true => self.inner.accesses.find(tenant, caller).await?,
            false => None,
        };
        if shared.is_some_and(|shared| shared.covers(operation, record.generation, self.inner.clock.now())) {
            self.record(tenant, AuditEvent::CrossTenantRead { operation }).await?;
            return Ok(true);
        }
        if record.state != TenantState::Erased {
            self.denied(tenant, operation).await;
        }
        match allowed {
            Err(error) => Err(error),
            Ok(_) => Err(unknown(tenant)),
        }
    }

    /// Records a denial, unless one of the same caller was recorded a moment ago.
    async fn denied(&self, tenant: &TenantId, operation: Operation) {
        tracing::warn!(caller = &*self.name, %operation, "a caller was denied a tenant");
        let suppressed = {
            let key = (tenant.clone(), Arc::clone(&self.name));
            if self.inner.denials.len() > REMEMBERED {
                self.inner.denials.retain(|_, denials| denials.recorded.elapsed() < DENIALS);
            }
            if self.inner.denials.len() > REMEMBERED * 4 {
                self.inner.denials.clear();
            }
            match self.inner.denials.entry(key) {
                dashmap::Entry::Occupied(mut known) if known.get().recorded.elapsed() < DENIALS => {
                    known.get_mut().suppressed += 1;
                    return;
                }
                dashmap::Entry::Occupied(mut known) => {
                    known.insert(Denials { recorded: Instant::now(), suppressed: 0 }).suppressed
                }
                dashmap::Entry::Vacant(free) => {
                    free.insert(Denials { recorded: Instant::now(), suppressed: 0 });
                    0
                }
            }
        };
        if let Err(error) = self.record(tenant, AuditEvent::Denied { operation, suppressed }).await {
            tracing::error!("a denial is not in the audit log: {}", error.chain());
        }
    }

    /// Appends an entry of this gate's caller to a tenant's audit log.
    ///
    /// # Errors
    /// Any error of the log.
    pub async fn record(&self, tenant: &TenantId, event: AuditEvent) -> Result<()> {
        self.inner.audit.append(tenant, &self.name, event).await.map(drop)
    }

    /// Gives a caller read access to a tenant that it does not belong to.
    ///
    /// # Errors
    /// Those of [`ShareAccess::check`] and [`Gate::permit`]; `NotFound` for a tenant that does not exist.
    pub async fn share(&self, tenant: &TenantId, share: ShareAccess) -> Result<SharedAccess> {
        let now = self.inner.clock.now();
        share.check(now)?;
        self.permit(tenant, Operation::Administer).await?;
        let record = self.inner.registry.get(tenant).await?;
        if matches!(record.state, TenantState::Erasing | TenantState::Erased) {
            return Err(record.require_active().err().unwrap_or_else(|| unknown(tenant)));
        }
        let ShareAccess { caller, operations, reason, expires_at } = share;
        let reason = AuditEvent::reason(&reason);
        let (shared_by, shared_at) = (self.caller.name().to_owned(), now);
        let generation = record.generation;
        let access = SharedAccess {
            caller,
            tenant: tenant.clone(),
            generation,
            operations,
            reason,
            expires_at,
            shared_by,
            shared_at,
        };
        // The entry first: access that nobody can account for is worse than an entry without access.
        let event = AuditEvent::AccessShared {
            caller: access.caller.to_string(),
            operations: access.operations.iter().copied().collect(),
            expires_at,
            reason: access.reason.clone(),
        };
        self.record(tenant, event).await?;
        self.inner.accesses.put(&access).await?;
        Ok(access)
    }

    /// Takes back the access of a caller. It applies from the caller's next call on.
    ///
    /// # Errors
    /// `NotFound` where the caller has no such access; those of [`Gate::permit`].
    pub async fn revoke(&self, tenant: &TenantId, caller: &CallerId) -> Result<()> {
        self.permit(tenant, Operation::Administer).await?;
        self.inner.accesses.remove(tenant, caller).await?;
        self.record(tenant, AuditEvent::AccessRevoked { caller: caller.to_string() }).await
    }

    /// Returns who has or had access to a tenant by sharing, expired ones included.
    ///
    /// # Errors
    /// Those of [`Gate::permit`] and the store.
    pub async fn shared_with(&self, tenant: &TenantId) -> Result<Vec<SharedAccess>> {
        self.permit(tenant, Operation::Administer).await?;
        self.inner.accesses.list(tenant).await
    }

    /// Returns the number of cached entries of a tenant in this process.
    pub(crate) fn cached(&self, tenant: &TenantId) -> u64 {
        self.inner.caches.read().iter().map(|cache| cache.holds(tenant)).sum()
    }

    /// Empties the caches of a tenant in this process.
    pub(crate) fn forget_cached(&self, tenant: &TenantId) {
        self.inner.caches.read().iter().for_each(|cache| cache.forget_tenant(tenant));
    }

    pub(crate) fn policy(&self) -> &Arc<dyn AccessPolicy> {
        &self.inner.policy
    }

    pub(crate) fn accesses(&self) -> &SharedAccesses {
        &self.inner.accesses
    }

    /// Waits until a version of a section, or a later one, is in force for calls of this process, at most for a time.
    ///
    /// # Errors
    /// `Timeout` with the version that is in force; `NotFound` for a tenant that does not exist; any error of the store.
    pub async fn wait_for_version<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        version: u64,
        limit: Duration,
    ) -> Result<()> {
        let deadline = cogniverse_sdk::deadline_in(limit);
        loop {
            let snapshot = self.current(tenant).await?.ok_or_else(|| unknown(tenant))?;
            let in_force = snapshot.config.version::<T>();
            if in_force >= version {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message = format!("version {version} is not in force after {limit:?}; version {in_force} is");
                return Err(Error::of(ErrorCode::Timeout, message)
                    .with_retry(Retry::After(None))
                    .with_context("tenant", tenant));
            }
            tokio::time::sleep(POLL.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Returns what is known of a tenant, as fresh as the store allows; `None` for one that does not exist.
    async fn current(&self, tenant: &TenantId) -> Result<Option<Arc<TenantSnapshot>>> {
        self.inner.snapshot_of(tenant).await
    }

    /// Applies a change of a tenant's record in this process: what is known is forgotten, and where the tenant is not
    /// served any more its caches are emptied and its calls in flight told to end.
    pub(crate) fn apply(&self, record: &TenantRecord) {
        let entry = self.inner.tenants.get(&record.tenant).map(|entry| Arc::clone(&entry));
        if let Some(entry) = &entry {
            let mut known = entry.known.write();
            entry.applied.fetch_add(1, Ordering::AcqRel);
            *known = None;
        }
        if record.state != TenantState::Active {
            self.inner.end_service(record, entry.as_deref());
        }
    }

    /// Returns the calls in flight for a tenant in this process.
    #[must_use]
    pub fn in_flight(&self, tenant: &TenantId) -> Vec<InFlight> {
        self.inner.tenants.get(tenant).map(|entry| entry.activity.running()).unwrap_or_default()
    }

    /// Counts work in flight for a tenant in whatever state it is, so that an erasure waits for it. It is admitted by nobody
    /// and must have been permitted.
    pub(crate) fn attend(&self, tenant: &TenantId, operation: Operation) -> Attendance {
        let entry = self.inner.tenants.entry(tenant.clone()).or_default();
        Attendance(entry.activity.begin(operation, &self.name))
    }

    /// Waits until no call is in flight for a tenant in this process, at most for a time, and returns those that are.
    pub(crate) async fn settle(&self, tenant: &TenantId, limit: Duration) -> Vec<InFlight> {
        let entry = self.inner.tenants.get(tenant).map(|entry| Arc::clone(&entry));
        match entry {
            Some(entry) => entry.activity.settle(limit).await,
            None => Vec::new(),
        }
    }
}

/// Work that counts as in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Attendance(FlightGuard);

impl Attendance {
    /// Returns the record that ended the calls in flight, where one did.
    pub(crate) fn cause(&self) -> Option<TenantRecord> {
        self.0.cause().cloned()
    }
}

/// Whether quotas count an operation: those on a tenant's content. What an administrator needs to see and mend a tenant is
/// never used up.
fn is_counted(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Search
            | Operation::ReadDocuments
            | Operation::WriteDocuments
            | Operation::Ingest
            | Operation::Recall
            | Operation::Remember
    )
}

#[async_trait]
impl SnapshotSource for Inner {
    async fn snapshot_of(&self, tenant: &TenantId) -> Result<Option<Arc<TenantSnapshot>>> {
        let entry = Arc::clone(&self.tenants.entry(tenant.clone()).or_default());
        let found = self.current(tenant, &entry).await;
        self.forget_unknown(tenant, &entry);
        found
    }
}

impl Inner {
    async fn current(&self, tenant: &TenantId, entry: &Arc<TenantEntry>) -> Result<Option<Arc<TenantSnapshot>>> {
        let known = entry.known.read().clone();
        if let Some(known) = known
            && self.is_fresh(&known).await?
        {
            return Ok(Some(known.snapshot));
        }
        let _loading = entry.loading.lock().await;
        // Another call may have read it meanwhile.
        let known = entry.known.read().clone();
        if let Some(known) = known
            && self.is_fresh(&known).await?
        {
            return Ok(Some(known.snapshot));
        }
        self.load(tenant, entry).await
    }

    async fn is_fresh(&self, known: &Known) -> Result<bool> {
        Ok(match self.config.store().change_mark().await? {
            Some(mark) => known.snapshot.config.mark() == Some(mark),
            None => known.writes == self.config.local_writes() && known.at.elapsed() < self.staleness,
        })
    }

    async fn load(&self, tenant: &TenantId, entry: &Arc<TenantEntry>) -> Result<Option<Arc<TenantSnapshot>>> {
        let (at, writes) = (Instant::now(), self.config.local_writes());
        let applied = entry.applied.load(Ordering::Acquire);
        let Some((found, config, is_one_moment)) = self.read(tenant).await? else {
            *entry.known.write() = None;
            return Ok(None);
        };
        let snapshot = Arc::new(TenantSnapshot::new(found.record, config));
        let generation = snapshot.record.generation;
        let former = entry.generation.swap(generation, Ordering::AcqRel);
        if snapshot.record.state != TenantState::Active || (former != generation && former != 0) {
            // Perhaps by another process.
            self.end_service(&snapshot.record, Some(&**entry));
        }
        if let Some(telemetry) = &self.telemetry
            && telemetry.is_enabled()
        {
            // One that cannot be read leaves the former in force: telemetry never fails its caller.
            let applied = snapshot.config.section::<TelemetryConfig>();
            if let Err(error) = applied.and_then(|config| telemetry.configure_tenant(tenant, &config.value)) {
                tracing::warn!("the telemetry configuration of {tenant} is not in force: {}", error.chain());
            }
        }
        {
            let mut known = entry.known.write();
            let is_newest = entry.applied.load(Ordering::Acquire) == applied;
            *known = (is_one_moment && is_newest).then(|| Known { snapshot: Arc::clone(&snapshot), at, writes });
        }
        self.forget_idle();
        Ok(Some(snapshot))
    }

    /// Reads a tenant's record and configuration, and returns whether both are of one moment of the store.
    async fn read(&self, tenant: &TenantId) -> Result<Option<(FoundTenant, ConfigSnapshot, bool)>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mark = self.config.store().change_mark().await?;
            // Nothing is read, and no span is opened, in the name of a tenant that does not exist.
            let Some(found) = self.registry.find(tenant).await? else { return Ok(None) };
            let config = self.config.snapshot(tenant).await?;
            let is_one_moment = config.mark() == mark;
            if is_one_moment || attempts == ATTEMPTS {
                return Ok(Some((found, config, is_one_moment)));
            }
        }
    }

    fn end_service(&self, record: &TenantRecord, entry: Option<&TenantEntry>) {
        self.caches.read().iter().for_each(|cache| cache.forget_tenant(&record.tenant));
        if let Some(entry) = entry {
            entry.activity.stop_all(record);
        }
    }

    /// Forgets a tenant that turned out not to exist, so that asking for many of them fills nothing.
    fn forget_unknown(&self, tenant: &TenantId, entry: &Arc<TenantEntry>) {
        if entry.known.read().is_none() {
            self.tenants.remove_if(tenant, |_, known| {
                Arc::ptr_eq(known, entry) && known.known.read().is_none() && known.activity.is_idle()
            });
        }
    }

    /// Forgets tenants without calls in flight, where there are too many.
    fn forget_idle(&self) {
        if self.tenants.len() > REMEMBERED {
            let mut surplus = self.tenants.len().saturating_sub(REMEMBERED / 2);
            self.tenants.retain(|_, entry| {
                let goes = surplus > 0 && entry.activity.is_idle();
                surplus -= usize::from(goes);
                !goes
            });
        }
    }
}
