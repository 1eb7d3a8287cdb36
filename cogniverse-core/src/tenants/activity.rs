//! The calls in flight for one tenant in this process, and the signal that ends them.

use super::record::TenantRecord;
use cogniverse_sdk::Operation;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A call in flight.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct InFlight {
    /// The operation.
    pub operation: Operation,
    /// The caller, as [`cogniverse_sdk::Caller::name`].
    pub caller: String,
    /// The time since the call began.
    pub running_for: Duration,
}

/// The signal that ends the calls in flight at one moment.
#[derive(Debug, Default)]
struct Stop {
    /// The record that ended them.
    cause: OnceLock<TenantRecord>,
    told: Notify,
}

impl Stop {
    async fn given(&self) -> &TenantRecord {
        loop {
            let told = self.told.notified();
            if let Some(cause) = self.cause.get() {
                return cause;
            }
            told.await;
        }
    }
}

/// A call that counts as in flight until this is dropped.
#[derive(Debug)]
pub(super) struct FlightGuard {
    activity: Arc<Activity>,
    number: u64,
    stop: Arc<Stop>,
}

impl FlightGuard {
    /// Returns the record that ended the call, if one did.
    pub(super) fn cause(&self) -> Option<&TenantRecord> {
        self.stop.cause.get()
    }

    /// Waits until the call is told to end, and returns the record that ended it.
    pub(super) async fn stopped(&self) -> &TenantRecord {
        self.stop.given().await
    }
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        self.activity.end(self.number);
    }
}

#[derive(Debug)]
struct Flight {
    operation: Operation,
    caller: Arc<str>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Flights {
    next: u64,
    running: BTreeMap<u64, Flight>,
    stop: Arc<Stop>,
}

/// The calls in flight for one tenant.
#[derive(Debug, Default)]
pub(super) struct Activity {
    flights: Mutex<Flights>,
    landed: Notify,
}

impl Activity {
    /// Counts a call in.
    pub(super) fn begin(self: &Arc<Self>, operation: Operation, caller: &Arc<str>) -> FlightGuard {
        let mut flights = self.flights.lock();
        let number = flights.next;
        flights.next += 1;
        flights.running.insert(number, Flight { operation, caller: Arc::clone(caller), since: Instant::now() });
        FlightGuard { activity: Arc::clone(self), number, stop: Arc::clone(&flights.stop) }
    }

    fn end(&self, number: u64) {
        let mut flights = self.flights.lock();
        flights.running.remove(&number);
        if flights.running.is_empty() {
            self.landed.notify_waiters();
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.flights.lock().running.is_empty()
    }

    /// Tells all calls in flight to end. Those that begin later are told nothing.
    pub(super) fn stop_all(&self, cause: &TenantRecord) {
        let stop = std::mem::take(&mut self.flights.lock().stop);
        let _ = stop.cause.set(cause.clone());
        stop.told.notify_waiters();
    }

    /// Waits until no call is in flight, and returns those that still are after `limit`.
    pub(super) async fn settle(&self, limit: Duration) -> Vec<InFlight> {
        let wait = async {
            loop {
                let landed = self.landed.notified();
                if self.is_idle() {
                    return;
                }
                landed.await;
            }
        };
        let _ = tokio::time::timeout(limit, wait).await;
        self.running()
    }

    pub(super) fn running(&self) -> Vec<InFlight> {
        let flights = self.flights.lock();
        let shown = |flight: &Flight| InFlight {
            operation: flight.operation,
            caller: flight.caller.to_string(),
            running_for: flight.since.elapsed(),
        };
        flights.running.values().map(shown).collect()
    }
}
