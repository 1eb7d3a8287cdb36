//! The recorder of experiences.

use crate::{record::SearchRecord, routing::classifier::Classifier};
use cogniverse_core::tenants::{TenantCache, TenantGrant, TenantRegistry};
use cogniverse_sdk::{Experience, ExperienceNote, ExperienceStore, Feedback, ProfileName, Result, SearchId, TenantId};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The largest number of experiences that wait to be stored, over all tenants.
const WAITING: usize = 4096;
/// The time for which experiences are collected before they are stored together.
const COLLECTED: Duration = Duration::from_millis(200);
/// The number of times that storing is tried before what waits is given up.
const ATTEMPTS: u32 = 5;

/// A recorder of the routed searches of tenants. Cheap to clone; clones share what waits to be stored.
///
/// A search is not delayed: its experience is stored up to 200 ms later, with others. [`ExperienceRecorder::flush`] stores
/// what waits at once.
#[derive(Debug, Clone)]
pub struct ExperienceRecorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn ExperienceStore>,
    registry: TenantRegistry,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether a task is on its way to store what waits.
    scheduled: AtomicBool,
    /// Held while something is stored or erased: what is stored after an erasure is of another generation.
    storing: tokio::sync::Mutex<()>,
    dropped: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    tenant: TenantId,
    generation: u64,
    experience: Experience,
    attempts: u32,
}

/// What became of experiences that could not be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStats {
    /// The number of experiences that wait to be stored.
    pub waiting: usize,
    /// The number that were dropped, as too many waited or the store failed for too long.
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
            waiting: self.inner.waiting.lock().len(),
            dropped: self.inner.dropped.load(Ordering::Relaxed),
            failed: self.inner.failed.load(Ordering::Relaxed),
        }
    }

    /// Takes note of a search that was routed. Others, later pages and searches of another tenant's caller are none of its
    /// experience.
    pub(crate) fn record(&self, grant: &TenantGrant, record: &SearchRecord, query: &str) {
        let Some(route) = record.route.filter(|_| record.is_first_page && !grant.is_cross_tenant()) else { return };
        let asked = (route.modality, route.generation);
        let mut experience = Experience::new(record.id.clone(), record.at, asked, route.tier);
        experience.confidence = route.confidence;
        experience.fast = Some(Classifier::shipped().evidence(query));
        experience.profiles = record.profiles.iter().cloned().zip(record.strategies.iter().cloned()).collect();
        experience.results = record.results as u64;
        experience.failed = record.error.is_some();
        (experience.took_ms, experience.route_ms) = (record.times.total_ms, record.times.route_ms);
        let waiting =
            Waiting { tenant: grant.tenant().clone(), generation: grant.generation(), experience, attempts: 0 };
        let mut queue = self.inner.waiting.lock();
        if queue.len() >= WAITING {
            self.inner.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.push_back(waiting);
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
            tokio::time::sleep(COLLECTED).await;
            recorder.inner.scheduled.store(false, Ordering::Release);
            if let Err(error) = recorder.flush().await {
                tracing::warn!("experiences are not stored yet: {}", error.chain());
                recorder.schedule();
            }
        });
    }

    /// Stores what waits. What fails waits on, and is dropped and counted at the fifth failure.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn flush(&self) -> Result<()> {
        let _turn = self.inner.storing.lock().await;
        let taken = std::mem::take(&mut *self.inner.waiting.lock());
        let mut of_tenants: BTreeMap<(TenantId, u64), Vec<Waiting>> = BTreeMap::new();
        for waiting in taken {
            of_tenants.entry((waiting.tenant.clone(), waiting.generation)).or_default().push(waiting);
        }
        let mut outcome = Ok(());
        for ((tenant, generation), waiting) in of_tenants {
            if let Err(error) = self.store_of(&tenant, generation, &waiting).await {
                self.inner.failed.fetch_add(1, Ordering::Relaxed);
                self.wait_on(waiting);
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn store_of(&self, tenant: &TenantId, generation: u64, waiting: &[Waiting]) -> Result<()> {
        let found = self.inner.registry.find(tenant).await?;
        // Of an erased tenant nothing is kept, also not for the next one of its id.
        let is_there =
            found.is_some_and(|found| found.record.generation == generation && found.record.require_active().is_ok());
        if !is_there {
            return Ok(());
        }
        let experiences = waiting.iter().map(|waiting| waiting.experience.clone()).collect();
        self.inner.store.put(tenant, experiences).await
    }

    fn wait_on(&self, waiting: Vec<Waiting>) {
        let mut queue = self.inner.waiting.lock();
        for mut waiting in waiting.into_iter().rev() {
            waiting.attempts += 1;
            if waiting.attempts >= ATTEMPTS || queue.len() >= WAITING {
                self.inner.dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                queue.push_front(waiting);
            }
        }
    }

    /// Notes what a user did with the results of a search, and returns whether the tenant has its experience.
    pub(crate) async fn feedback(
        &self,
        tenant: &TenantId,
        search: &SearchId,
        feedback: Feedback,
        profile: Option<ProfileName>,
    ) -> Result<bool> {
        self.flush().await?;
        self.inner.store.note(tenant, search, ExperienceNote::Feedback(feedback, profile)).await
    }

    /// Erases everything of a tenant, also what waits.
    pub(super) async fn erase(&self, tenant: &TenantId) -> Result<u64> {
        let _turn = self.inner.storing.lock().await;
        self.forget_tenant(tenant);
        self.inner.store.erase_tenant(tenant).await
    }
}

impl TenantCache for ExperienceRecorder {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.inner.waiting.lock().retain(|waiting| waiting.tenant != *tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.inner.waiting.lock().iter().filter(|waiting| waiting.tenant == *tenant).count() as u64
    }
}
