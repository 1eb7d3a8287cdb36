//! Metrics of each tenant in each modality: counts over its life, and exact percentiles over its last requests.

mod report;
mod window;

pub use report::{ErrorProne, LastRequests, Lifetime, ModalityStats, SlowModality, TenantMetrics};

use crate::tenants::TenantCache;
use cogniverse_sdk::{Clock, ErrorKind, Modality, TenantId};
use dashmap::DashMap;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use window::Window;

/// The largest number of tenants with metrics; beyond it those of the tenant that was longest without a request go.
const MAX_TENANTS: usize = 10_000;

/// A tracker of requests by tenant and modality, in this process. Cheap to clone; clones share what they count.
///
/// A tenant takes 2 KB for each modality that it uses. A suspended or erased tenant is forgotten.
#[derive(Debug, Clone)]
pub struct ModalityMetricsTracker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tenants: DashMap<TenantId, Arc<Held>>,
    max_tenants: usize,
    clock: Arc<dyn Clock>,
    /// Counts requests, so that the tenant that was longest without one is known.
    turns: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    windows: [OnceLock<Box<Mutex<Window>>>; Modality::ALL.len()],
    used: AtomicU64,
}

impl Held {
    fn window(&self, modality: Modality) -> Option<&OnceLock<Box<Mutex<Window>>>> {
        self.windows.get(Modality::ALL.iter().position(|known| *known == modality)?)
    }
}

impl ModalityMetricsTracker {
    /// Creates a tracker without requests.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (tenants, turns) = (DashMap::new(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { tenants, max_tenants: MAX_TENANTS, clock, turns }) }
    }

    /// Counts a request: the time that it took, and the kind of its error where it failed.
    pub fn record(&self, tenant: &TenantId, modality: Modality, took: Duration, error: Option<ErrorKind>) {
        let known = self.inner.tenants.get(tenant).map(|held| Arc::clone(&held));
        let held = known.unwrap_or_else(|| self.begin(tenant));
        held.used.store(self.inner.turns.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        if let Some(window) = held.window(modality) {
            window.get_or_init(Box::default).lock().record(took, error, self.inner.clock.now());
        }
    }

    fn begin(&self, tenant: &TenantId) -> Arc<Held> {
        while self.inner.tenants.len() >= self.inner.max_tenants {
            let idle = self.inner.tenants.iter().min_by_key(|entry| entry.value().used.load(Ordering::Relaxed));
            let Some(idle) = idle.map(|entry| entry.key().clone()) else { break };
            self.inner.tenants.remove(&idle);
        }
        Arc::clone(&self.inner.tenants.entry(tenant.clone()).or_default())
    }

    /// Returns the metrics of a tenant at this moment; those of a tenant without requests are empty.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> TenantMetrics {
        let held = self.inner.tenants.get(tenant).map(|held| Arc::clone(&held));
        let mut modalities = Vec::new();
        for modality in held.iter().flat_map(|_| Modality::ALL) {
            let window = held.as_ref().and_then(|held| held.window(modality)).and_then(OnceLock::get);
            modalities.extend(window.map(|window| ModalityStats::of(modality, &window.lock())));
        }
        TenantMetrics { tenant: tenant.clone(), modalities }
    }

    /// Returns the number of tenants that have metrics.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.inner.tenants.len()
    }

    /// Forgets the requests of a tenant in one modality.
    pub fn reset(&self, tenant: &TenantId, modality: Modality) {
        let held = self.inner.tenants.get(tenant).map(|held| Arc::clone(&held));
        if let Some(window) = held.as_ref().and_then(|held| held.window(modality)).and_then(OnceLock::get) {
            *window.lock() = Window::default();
        }
    }
}

impl TenantCache for ModalityMetricsTracker {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.inner.tenants.remove(tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.of(tenant).modalities.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{ManualClock, SystemClock, Timestamp};

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn life_and_window_are_told_apart() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let tracker = ModalityMetricsTracker::new(clock.clone());
        for number in 1..=100 {
            let error = (number > 90).then_some(ErrorKind::Timeout);
            tracker.record(&tenant("acme"), Modality::Video, ms(number), error);
            clock.advance(ms(100));
        }
        tracker.record(&tenant("acme"), Modality::Text, ms(1), None);
        let found = tracker.of(&tenant("acme"));
        let video = &found.modalities[0];
        assert_eq!((video.modality, video.lifetime.requests, video.lifetime.successes), (Modality::Video, 100, 90));
        assert_eq!(video.lifetime.errors["timeout"], 10);
        assert!((video.lifetime.mean_ms - 50.5).abs() < 1e-9);
        assert!((video.lifetime.requests_per_second - 10.1).abs() < 0.01, "{}", video.lifetime.requests_per_second);
        for (found, wanted) in [(video.window.p50_ms, 50.5), (video.window.p95_ms, 95.05), (video.window.p99_ms, 99.01)]
        {
            assert!((found - wanted).abs() < wanted * 0.0006, "{found} {wanted}");
        }
        assert!((video.window.success_rate - 0.9).abs() < 1e-9);
        let slow: Vec<Modality> = found.slowest(3).into_iter().map(|slow| slow.modality).collect();
        assert_eq!(slow, [Modality::Video, Modality::Text]);
        let prone = found.error_prone(0.1);
        assert_eq!((prone.len(), prone[0].modality), (1, Modality::Video));
        assert!(found.error_prone(0.2).is_empty());
        let shown = found.to_string();
        assert!(shown.contains("video") && shown.lines().count() == 3, "{shown}");
        assert!(tracker.of(&tenant("nobody")).modalities.is_empty());
    }

    #[test]
    fn invariant_04_each_tenant_has_its_own_and_a_forgotten_one_none() {
        let tracker = ModalityMetricsTracker::new(Arc::new(SystemClock));
        tracker.record(&tenant("acme"), Modality::Video, ms(1), None);
        tracker.record(&tenant("globex"), Modality::Video, ms(9), None);
        assert_eq!(tracker.of(&tenant("acme")).modalities[0].lifetime.requests, 1);
        tracker.forget_tenant(&tenant("acme"));
        assert_eq!((tracker.holds(&tenant("acme")), tracker.holds(&tenant("globex"))), (0, 1));
        tracker.reset(&tenant("globex"), Modality::Video);
        assert_eq!(tracker.of(&tenant("globex")).modalities[0].lifetime.requests, 0);
    }

    #[test]
    fn nothing_is_lost_when_many_record_at_once() {
        let tracker = ModalityMetricsTracker::new(Arc::new(SystemClock));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let tracker = tracker.clone();
                scope.spawn(move || {
                    for number in 0..5_000_u64 {
                        let error = (number % 4 == 0).then_some(ErrorKind::Unavailable);
                        let of = tenant(if thread % 2 == 0 { "acme" } else { "globex" });
                        tracker.record(&of, Modality::Video, ms(number % 50), error);
                    }
                });
            }
        });
        for name in ["acme", "globex"] {
            let found = &tracker.of(&tenant(name)).modalities[0];
            assert_eq!((found.lifetime.requests, found.lifetime.successes), (20_000, 15_000));
            assert_eq!(found.window.requests, 1_000);
        }
    }

    #[test]
    fn invariant_23_the_longest_unused_go_where_there_are_too_many() {
        let mut tracker = ModalityMetricsTracker::new(Arc::new(SystemClock));
        Arc::get_mut(&mut tracker.inner).unwrap().max_tenants = 3;
        for name in ["a", "b", "c", "a", "d"] {
            tracker.record(&tenant(name), Modality::Video, ms(1), None);
        }
        assert_eq!(tracker.tenants(), 3);
        assert_eq!(tracker.holds(&tenant("b")), 0);
        assert_eq!(tracker.of(&tenant("a")).modalities[0].lifetime.requests, 2);
    }
}
