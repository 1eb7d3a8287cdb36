//! The recorder of experiences.

use crate::{
    record::SearchRecord,
    routing::{classifier::Classifier, decision, keywords},
};
use cogniverse_core::tenants::{TenantCache, TenantGrant, TenantRegistry};
use cogniverse_sdk::{
    Error, ErrorKind, Experience, ExperienceNote, ExperienceStore, Feedback, ProfileName, Result, RouteTier, SearchId,
    TenantId,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The largest number of experiences of one tenant that wait to be stored.
const WAITING: usize = 512;
/// The largest number of tenants of which some wait.
const TENANTS: usize = 10_000;
/// The time for which experiences are collected before they are stored together.
const COLLECTED: Duration = Duration::from_millis(200);
/// The time for which storing is tried before what waits is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest time between attempts while the store fails.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A recorder of the routed searches of tenants. Cheap to clone; clones share what waits to be stored.
///
/// A search is not delayed: its experience is stored up to 200 ms later, with others. [`ExperienceRecorder::flush`] stores
/// what waits at once. Each tenant has its own share of what may wait.
#[derive(Debug, Clone)]
pub struct ExperienceRecorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ExperienceStore>,
    registry: TenantRegistry,
    waiting: Mutex<BTreeMap<TenantId, VecDeque<Waiting>>>,
    /// Whether a task is on its way to store what waits.
    scheduled: AtomicBool,
    /// Held while something is stored or erased.
    storing: tokio::sync::Mutex<()>,
    dropped: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    generation: u64,
    experience: Experience,
    since: Instant,
}

/// The counts of a recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStats {
    /// The number of experiences that wait to be stored.
    pub waiting: usize,
    /// The number that were dropped, as too many waited or the store failed for a minute.
    pub dropped: u64,
    /// The number of failures of the store.
    pub failed: u64,
}

impl ExperienceRecorder {
    /// Creates a recorder into a store; the registry says which tenants still exist.
    #[must_use]
    pub fn new(store: Arc<dyn ExperienceStore>, registry: TenantRegistry) -> Self {
        let inner = Inner {
            store,
            registry,
            waiting: Mutex::default(),
            scheduled: AtomicBool::new(false),
            storing: tokio::sync::Mutex::default(),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ExperienceStore> {
        &self.inner.store
    }

    /// Returns what waits, and what was lost.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        RecorderStats {
            waiting: self.inner.waiting.lock().values().map(VecDeque::len).sum(),
            dropped: self.inner.dropped.load(Ordering::Relaxed),
            failed: self.inner.failed.load(Ordering::Relaxed),
        }
    }

    /// Takes note of a search that was routed. Others, later pages, searches of another tenant's caller and those that failed
    /// for reasons that no route changes are none of its experience: else an outage would push out what was learned.
    pub(crate) fn record(&self, grant: &TenantGrant, record: &SearchRecord, query: &str) {
        if record.error.is_some_and(|code| !is_of_the_route(code.kind())) {
            return;
        }
        let Some(route) = record.route.filter(|_| record.is_first_page && !grant.is_cross_tenant()) else { return };
        let asked = (route.modality, route.generation);
        let mut experience = Experience::new(record.id.clone(), record.at, asked, route.tier);
        experience.confidence = route.confidence;
        experience.fast = Some(Classifier::shipped().evidence(query));
        experience.paths.clone_from(&record.paths);
        experience.slow_failed = record.slow_failed;
        if !experience.paths.iter().any(|path| path.tier == RouteTier::Keyword) {
            experience.paths.push(decision::as_path(&keywords::decide(query)));
        }
        experience.profiles = record.profiles.iter().cloned().zip(record.strategies.iter().cloned()).collect();
        experience.results = record.results as u64;
        experience.failed = record.error.is_some();
        // A text is what was asked for, and no slowness.
        experience.took_ms = (record.times.total_ms - record.times.answer_ms).max(0.0);
        experience.route_ms = record.times.route_ms;
        let waiting = Waiting { generation: grant.generation(), experience, since: Instant::now() };
        let mut queue = self.inner.waiting.lock();
        let is_full = queue.len() >= TENANTS && !queue.contains_key(grant.tenant());
        let own = if is_full { None } else { Some(queue.entry(grant.tenant().clone()).or_default()) };
        match own.filter(|own| own.len() < WAITING) {
            Some(own) => own.push_back(waiting),
            None => {
                self.inner.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        drop(queue);
        self.schedule();
    }

    /// Lets a task store what waits in a moment, unless one is on its way.
    fn schedule(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.inner.scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let recorder = self.clone();
        runtime.spawn(async move {
            let mut wait = COLLECTED;
            loop {
                tokio::time::sleep(wait).await;
                recorder.inner.scheduled.store(false, Ordering::Release);
                let Err(error) = recorder.flush().await else { return };
                tracing::warn!("experiences are not stored yet: {}", error.chain());
                // What came meanwhile has a task of its own on its way.
                if recorder.inner.scheduled.swap(true, Ordering::AcqRel) {
                    return;
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Stores what waits. What fails waits on, for a minute.
    ///
    /// # Errors
    /// Any error of the store; what could be stored is stored all the same.
    ///
    /// # Cancellation
    /// Storing goes on in a task of its own, and nothing is lost.
    pub async fn flush(&self) -> Result<()> {
        // What is being stored at this moment does not wait any more, and would wait again where it fails.
        drop(self.inner.storing.lock().await);
        let tenants: Vec<TenantId> = self.inner.waiting.lock().keys().cloned().collect();
        let mut outcome = Ok(());
        for tenant in tenants {
            if let Err(error) = self.flush_tenant(&tenant).await {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Stores what waits of one tenant, in a task of its own: a caller that goes away takes nothing with it.
    pub(crate) async fn flush_tenant(&self, tenant: &TenantId) -> Result<()> {
        let (recorder, tenant) = (self.clone(), tenant.clone());
        let stored = tokio::spawn(async move { recorder.store_waiting(&tenant).await });
        stored.await.map_err(|e| Error::unexpected("storing experiences ended early").with_source(e))?
    }

    async fn store_waiting(&self, tenant: &TenantId) -> Result<()> {
        let _turn = self.inner.storing.lock().await;
        let Some(mut waiting) = self.inner.waiting.lock().remove(tenant) else { return Ok(()) };
        let stored = self.store_of(tenant, &waiting).await;
        if stored.is_err() {
            self.inner.failed.fetch_add(1, Ordering::Relaxed);
            let before = waiting.len();
            waiting.retain(|waiting| waiting.since.elapsed() < PATIENCE);
            let mut queue = self.inner.waiting.lock();
            // Those that came meanwhile are newer.
            let newer = queue.remove(tenant).unwrap_or_default();
            let all = before + newer.len();
            waiting.extend(newer);
            waiting.truncate(WAITING);
            self.inner.dropped.fetch_add((all - waiting.len()) as u64, Ordering::Relaxed);
            if !waiting.is_empty() {
                queue.insert(tenant.clone(), waiting);
            }
        }
        stored
    }

    async fn store_of(&self, tenant: &TenantId, waiting: &VecDeque<Waiting>) -> Result<()> {
        let Some(found) = self.inner.registry.find(tenant).await? else { return Ok(()) };
        let generation = found.record.generation;
        // Of an erased tenant nothing is kept, also not for the next one of its id. The store looks again, as another process
        // may be erasing it now.
        if found.record.require_active().is_err() {
            return Ok(());
        }
        let of_now = waiting.iter().filter(|waiting| waiting.generation == generation);
        self.inner.store.put(tenant, generation, of_now.map(|waiting| waiting.experience.clone()).collect()).await
    }

    /// Notes what a user did with the results of a search, and returns whether the tenant has its experience.
    pub(crate) async fn feedback(
        &self,
        tenant: &TenantId,
        search: &SearchId,
        feedback: Feedback,
        profile: Option<ProfileName>,
    ) -> Result<bool> {
        self.flush_tenant(tenant).await?;
        self.inner.store.note(tenant, search, ExperienceNote::Feedback(feedback, profile)).await
    }

    /// Returns the generation of a tenant that is there or was last; 1 for one of which nothing is known.
    pub(super) async fn generation(&self, tenant: &TenantId) -> Result<u64> {
        Ok(self.inner.registry.find(tenant).await?.map_or(1, |found| found.record.generation))
    }

    /// Erases everything of a tenant, also what waits.
    pub(super) async fn erase(&self, tenant: &TenantId) -> Result<u64> {
        let _turn = self.inner.storing.lock().await;
        self.forget_tenant(tenant);
        self.inner.store.erase_tenant(tenant, self.generation(tenant).await?).await
    }
}

/// Returns whether an error may come from where a query was routed to, and not from its caller or from a backend that is away.
fn is_of_the_route(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unexpected | ErrorKind::Corrupt | ErrorKind::Unsupported)
}

impl TenantCache for ExperienceRecorder {
    fn forget_tenant(&self, tenant: &TenantId) {
        let forgotten = self.inner.waiting.lock().remove(tenant).map_or(0, |waiting| waiting.len());
        self.inner.dropped.fetch_add(forgotten as u64, Ordering::Relaxed);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.inner.waiting.lock().get(tenant).map_or(0, |waiting| waiting.len() as u64)
    }
}
