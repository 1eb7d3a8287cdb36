//! Health over time: what changed, as events.

use super::{Health, HealthService, HealthStatus, TenantInTrouble};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    task::JoinHandle,
};

/// The number of events that wait for a slow watcher; older ones are counted in [`HealthEvent::Missed`].
const WAITING: usize = 256;

/// A change of a service's health.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HealthEvent {
    /// The status of the whole changed.
    StatusChanged {
        /// The former one; `None` for the first look.
        from: Option<HealthStatus>,
        /// The present one.
        to: HealthStatus,
    },
    /// A part stopped working.
    PartFailed {
        /// The part.
        name: String,
        /// The reason.
        error: String,
    },
    /// A part works again.
    PartRecovered {
        /// The part.
        name: String,
    },
    /// A tenant needs a look.
    TenantInTrouble(TenantInTrouble),
    /// The backend answered documents of other tenants.
    Leaked {
        /// The number since the start.
        count: u64,
    },
    /// This watcher was too slow for as many events, which it will not see.
    Missed(u64),
}

/// A watcher's view of the events, from the moment it was made.
#[derive(Debug)]
pub struct HealthEvents(broadcast::Receiver<HealthEvent>);

impl HealthEvents {
    /// Waits for the next event; `None` once the monitor has ended.
    pub async fn next(&mut self) -> Option<HealthEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(HealthEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Looks at a service's health from time to time and tells what changed. It ends when it is dropped.
#[derive(Debug)]
pub struct HealthMonitor {
    events: broadcast::Sender<HealthEvent>,
    task: JoinHandle<()>,
}

impl HealthMonitor {
    /// Starts to look, once every `interval`, in a task of the current Tokio runtime.
    #[must_use]
    pub fn start(service: HealthService, interval: Duration) -> (Self, HealthEvents) {
        let (sender, receiver) = broadcast::channel(WAITING);
        let events = sender.clone();
        let task = tokio::spawn(async move {
            let mut known = Known::default();
            loop {
                let health = service.health().await;
                for event in known.changes(&health) {
                    // Nobody may be watching just now.
                    drop(sender.send(event));
                }
                tokio::time::sleep(interval).await;
            }
        });
        (Self { events, task }, HealthEvents(receiver))
    }

    /// Returns a further watcher, who sees events from now on.
    #[must_use]
    pub fn watch(&self) -> HealthEvents {
        HealthEvents(self.events.subscribe())
    }
}

impl Drop for HealthMonitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the last look found.
#[derive(Debug, Default)]
struct Known {
    status: Option<HealthStatus>,
    failed: BTreeMap<String, String>,
    in_trouble: BTreeSet<(String, String)>,
    leaked: u64,
}

impl Known {
    fn changes(&mut self, health: &Health) -> Vec<HealthEvent> {
        let mut events = Vec::new();
        if self.status != Some(health.status) {
            events.push(HealthEvent::StatusChanged { from: self.status, to: health.status });
            self.status = Some(health.status);
        }
        let failed: BTreeMap<String, String> =
            health.parts.iter().filter_map(|part| Some((part.name.clone(), part.error.clone()?))).collect();
        for (name, error) in failed.iter().filter(|(name, _)| !self.failed.contains_key(*name)) {
            events.push(HealthEvent::PartFailed { name: name.clone(), error: error.clone() });
        }
        for name in self.failed.keys().filter(|name| !failed.contains_key(*name)) {
            events.push(HealthEvent::PartRecovered { name: name.clone() });
        }
        self.failed = failed;
        let key = |found: &TenantInTrouble| (found.tenant.clone(), found.code.clone());
        for found in health.in_trouble.iter().filter(|found| !self.in_trouble.contains(&key(found))) {
            events.push(HealthEvent::TenantInTrouble(found.clone()));
        }
        self.in_trouble = health.in_trouble.iter().map(key).collect();
        if health.leaked > self.leaked {
            events.push(HealthEvent::Leaked { count: health.leaked });
            self.leaked = health.leaked;
        }
        events
    }
}
