//! The lease of an optimization: one orchestrator of a tenant holds it while anything of it runs.

use super::state::StoredState;
use cogniverse_sdk::{Error, ErrorCode, Result};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::{Mutex, watch};

/// The time for which a holder counts as running without a sign of life.
const LEASE: Duration = Duration::from_secs(90);
/// The interval between signs of life.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The lease of one orchestrator, which its users share.
#[derive(Debug)]
pub(super) struct Lease {
    state: StoredState,
    id: String,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    users: usize,
    lost: watch::Receiver<bool>,
    heartbeat: tokio::task::JoinHandle<()>,
}

/// A use of the lease. It is given back by [`Use::end`], or by a task where it is dropped before.
#[derive(Debug)]
pub(super) struct Use {
    lease: Option<Arc<Lease>>,
    lost: watch::Receiver<bool>,
}

impl Lease {
    pub(super) fn new(state: StoredState, id: String) -> Self {
        Self { state, id, held: Mutex::new(None) }
    }

    /// Takes the lease, or shares it with those of this orchestrator who have it.
    ///
    /// # Errors
    /// `Conflict` where another orchestrator holds it.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Use> {
        let mut held = self.held.lock().await;
        match &mut *held {
            Some(held) if !*held.lost.borrow() => held.users += 1,
            other => {
                if let Some(lost) = other.take() {
                    lost.heartbeat.abort();
                }
                self.state.hold(&self.id, LEASE).await?;
                let (lose, lost) = watch::channel(false);
                let heartbeat = tokio::spawn(beat(self.state.clone(), self.id.clone(), lose));
                *other = Some(Held { users: 1, lost, heartbeat });
            }
        }
        let lost = held.as_ref().map(|held| held.lost.clone());
        let lost = lost.ok_or_else(|| Error::unexpected("a lease was taken and is not there"))?;
        Ok(Use { lease: Some(Arc::clone(self)), lost })
    }

    /// Gives a use back; one of a lease that was lost has no part in the one that was taken after it.
    async fn give_back(&self, lost: &watch::Receiver<bool>) -> Result<()> {
        let mut held = self.held.lock().await;
        let Some(known) = held.as_mut().filter(|held| held.lost.same_channel(lost)) else { return Ok(()) };
        known.users -= 1;
        if known.users > 0 {
            return Ok(());
        }
        known.heartbeat.abort();
        *held = None;
        self.state.release(&self.id).await
    }
}

/// Gives signs of life until it is aborted, or the lease is another's. A store that is away is no reason to stop: nothing is
/// changed without looking at the lease again.
async fn beat(state: StoredState, id: String, lose: watch::Sender<bool>) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Err(error) = state.extend(&id, LEASE).await else { continue };
        if matches!(error.code(), ErrorCode::OptimizationRunning | ErrorCode::TenantGenerationChanged) {
            let _ = lose.send(true);
            return;
        }
    }
}

impl Use {
    /// Runs a part, which ends where the lease is lost.
    ///
    /// # Errors
    /// Those of the part; `Conflict` where the lease was lost.
    pub(super) async fn run<T>(&self, part: impl Future<Output = Result<T>>) -> Result<T> {
        let mut lost = self.lost.clone();
        tokio::select! {
            result = part => result,
            _ = lost.wait_for(|lost| *lost) => {
                Err(Error::of(ErrorCode::OptimizationRunning, "another process has taken the optimization over"))
            }
        }
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// Any error of the store, upon which the lease ends by itself.
    pub(super) async fn end(mut self) -> Result<()> {
        match self.lease.take() {
            Some(lease) => lease.give_back(&self.lost).await,
            None => Ok(()),
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if let (Some(lease), Ok(runtime)) = (self.lease.take(), tokio::runtime::Handle::try_current()) {
            let lost = self.lost.clone();
            runtime.spawn(async move {
                if let Err(error) = lease.give_back(&lost).await {
                    tracing::warn!("the lease of an optimization was not given back: {}", error.chain());
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_foundation::InMemoryExperienceStore;
    use cogniverse_sdk::{ExperienceStore, ManualClock, TenantId, Timestamp};
    use std::sync::atomic::AtomicU64;

    fn state(clock: &Arc<ManualClock>, store: &Arc<InMemoryExperienceStore>) -> StoredState {
        let store: Arc<dyn ExperienceStore> = store.clone();
        let (tenant, generation) = (TenantId::parse("acme").unwrap(), Arc::new(AtomicU64::new(1)));
        StoredState { store, tenant, clock: clock.clone(), generation }
    }

    #[tokio::test]
    async fn a_pause_of_the_machine_ends_nothing_and_another_that_came_meanwhile_does() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let store = Arc::new(InMemoryExperienceStore::new());
        let state = state(&clock, &store);
        state.hold("a", LEASE).await.unwrap();
        clock.advance(LEASE * 3);
        assert!(state.require_held("a").await.is_err(), "nothing is changed before the lease is looked after");
        state.extend("a", LEASE).await.unwrap();
        state.require_held("a").await.unwrap();
        clock.advance(LEASE * 3);
        state.hold("b", LEASE).await.unwrap();
        assert_eq!(state.extend("a", LEASE).await.unwrap_err().code(), ErrorCode::OptimizationRunning);
    }

    #[tokio::test]
    async fn a_use_of_a_lost_lease_gives_nobody_elses_back() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let store = Arc::new(InMemoryExperienceStore::new());
        let lease = Arc::new(Lease::new(state(&clock, &store), "a".to_owned()));
        let old = lease.take().await.unwrap();
        // It is lost, and taken again by another use of the same orchestrator.
        let (lose, lost) = watch::channel(true);
        lease.held.lock().await.as_mut().unwrap().lost = lost.clone();
        let mut old = old;
        old.lost = lost;
        let new = lease.take().await.unwrap();
        old.end().await.unwrap();
        lease.state.require_held("a").await.unwrap();
        new.end().await.unwrap();
        assert!(lease.state.require_held("a").await.is_err());
        drop(lose);
    }
}
