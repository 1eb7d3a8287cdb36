//! The state of a tenant's optimization: who runs it, how far it has read, and what it has changed.

use cogniverse_sdk::{Clock, Error, ErrorCode, ExperienceStore, Result, Retry, TenantId, Timestamp, json_problem};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The number of attempts at a change that others make too.
const ATTEMPTS: usize = 50;

/// The counts over a tenant's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OptimizationCounts {
    /// Spans of searches that were seen in the trace store.
    pub spans_evaluated: u64,
    /// Annotations that a judge was asked for.
    pub annotations_requested: u64,
    /// Annotations that a judge gave.
    pub annotations_completed: u64,
    /// Annotations of people and others that were read back from the trace store.
    pub annotations_read: u64,
    /// Changes of the configuration.
    pub optimizations: u64,
    /// Changes that were taken back, as the reward fell.
    pub rollbacks: u64,
}

/// The orchestrator that runs, and the end of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) id: String,
    pub(super) until: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) holder: Option<Holder>,
    /// The start of the newest span that was seen.
    pub(super) read_until: Option<Timestamp>,
    pub(super) counts: OptimizationCounts,
    /// The moment at which something was learned last, and the number of judged searches then.
    pub(super) last_learned: Option<(Timestamp, u64)>,
    /// The moment of the last change or of its being taken back, written before it is made.
    pub(super) last_change: Option<Timestamp>,
}

/// A tenant's state in the store.
#[derive(Debug, Clone)]
pub(super) struct StoredState {
    pub(super) store: Arc<dyn ExperienceStore>,
    pub(super) tenant: TenantId,
    pub(super) clock: Arc<dyn Clock>,
    /// The generation of the tenant that is optimized: of another one nothing is written. 0 before it is known.
    pub(super) generation: Arc<AtomicU64>,
}

impl StoredState {
    pub(super) async fn read(&self) -> Result<(State, Option<u64>)> {
        let Some((value, version)) = self.store.state(&self.tenant).await? else { return Ok((State::default(), None)) };
        let state = serde_json::from_value(value).map_err(|e| {
            Error::new(cogniverse_sdk::ErrorKind::Corrupt, "the state of a tenant's optimization cannot be read")
                .with_source(json_problem(&e))
        })?;
        Ok((state, Some(version)))
    }

    /// Changes the state at one moment, also while other processes do. A state that is not there any more is not made again.
    pub(super) async fn change<T>(&self, change: impl FnMut(&mut State) -> Result<T>) -> Result<T> {
        self.change_of(change, false).await
    }

    async fn change_of<T>(&self, mut change: impl FnMut(&mut State) -> Result<T>, begins: bool) -> Result<T> {
        for _ in 0..ATTEMPTS {
            let (before, version) = self.read().await?;
            if version.is_none() && !begins {
                let message = format!("the optimization of tenant \"{}\" was erased meanwhile", self.tenant);
                return Err(Error::of(ErrorCode::TenantGenerationChanged, message));
            }
            let mut state = before.clone();
            let result = change(&mut state)?;
            if state == before && version.is_some() {
                return Ok(result);
            }
            let value = serde_json::to_value(&state)
                .map_err(|e| Error::unexpected("the state of an optimization is no JSON").with_source(e))?;
            let generation = self.generation.load(Ordering::Acquire);
            if self.store.replace_state(&self.tenant, generation, version, &value).await?.is_some() {
                return Ok(result);
            }
        }
        Err(Error::unexpected("other processes changed the state of an optimization all the time"))
    }

    /// Becomes or stays the one that runs.
    ///
    /// # Errors
    /// `Conflict` where another one runs, with the time until it counts as gone.
    pub(super) async fn hold(&self, id: &str, lease: Duration) -> Result<()> {
        self.hold_of(id, lease, true).await
    }

    async fn hold_of(&self, id: &str, lease: Duration, begins: bool) -> Result<()> {
        let now = self.clock.now();
        let until = now.saturating_add(lease).map_err(|e| Error::unexpected("a time").with_source(e))?;
        let hold = |state: &mut State| {
            if let Some(other) = state.holder.as_ref().filter(|holder| holder.id != id && holder.until > now) {
                let wait = Duration::try_from(other.until.duration_since(now)).unwrap_or_default();
                let message = format!(
                    "another process optimizes tenant \"{}\"; stop it, or wait {} s after it has ended",
                    self.tenant,
                    wait.as_secs() + 1
                );
                return Err(Error::of(ErrorCode::OptimizationRunning, message)
                    .with_retry(Retry::After(Some(wait)))
                    .with_context("tenant", &self.tenant));
            }
            state.holder = Some(Holder { id: id.to_owned(), until });
            Ok(())
        };
        self.change_of(hold, begins).await
    }

    /// Stays the one that runs, also after a pause of the machine that was longer than the lease, where nobody else runs now.
    ///
    /// # Errors
    /// `Conflict` where another one runs; `TenantGenerationChanged` where the state was erased.
    pub(super) async fn extend(&self, id: &str, lease: Duration) -> Result<()> {
        self.hold_of(id, lease, false).await
    }

    /// Fails where another one runs by now.
    pub(super) async fn require_held(&self, id: &str) -> Result<()> {
        match self.read().await?.0.holder {
            Some(holder) if holder.id == id && holder.until > self.clock.now() => Ok(()),
            _ => {
                let message = format!("the optimization of tenant \"{}\" is not this process's any more", self.tenant);
                Err(Error::of(ErrorCode::OptimizationRunning, message).with_context("tenant", &self.tenant))
            }
        }
    }

    /// Lets another one run.
    pub(super) async fn release(&self, id: &str) -> Result<()> {
        if self.read().await?.0.holder.is_none_or(|holder| holder.id != id) {
            return Ok(());
        }
        self.change(|state| {
            if state.holder.as_ref().is_some_and(|holder| holder.id == id) {
                state.holder = None;
            }
            Ok(())
        })
        .await
    }
}
