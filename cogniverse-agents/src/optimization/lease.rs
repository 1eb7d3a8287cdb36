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

    async fn give_back(&self) -> Result<()> {
        let mut held = self.held.lock().await;
        let Some(known) = held.as_mut() else { return Ok(()) };
        known.users -= 1;
        if known.users > 0 {
            return Ok(());
        }
        known.heartbeat.abort();
        *held = None;
        self.state.release(&self.id).await
    }
}

/// Gives signs of life until it is aborted, or the lease is another's.
async fn beat(state: StoredState, id: String, lose: watch::Sender<bool>) {
    let mut failures = 0;
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match state.extend(&id, LEASE).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                let is_another_s =
                    matches!(error.code(), ErrorCode::OptimizationRunning | ErrorCode::TenantGenerationChanged);
                // A store that is away for a moment is no reason to stop; for as long as the lease lasts, it is.
                if is_another_s || failures >= 3 {
                    let _ = lose.send(true);
                    return;
                }
            }
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
            Some(lease) => lease.give_back().await,
            None => Ok(()),
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if let (Some(lease), Ok(runtime)) = (self.lease.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if let Err(error) = lease.give_back().await {
                    tracing::warn!("the lease of an optimization was not given back: {}", error.chain());
                }
            });
        }
    }
}
