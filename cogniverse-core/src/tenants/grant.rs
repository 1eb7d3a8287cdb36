//! Grants: the proof that a caller may act for a tenant now.

use super::{
    activity::FlightGuard,
    record::{TenantRecord, unknown},
    snapshot::TenantSnapshot,
};
use crate::quotas::CallReservation;
use async_trait::async_trait;
use cogniverse_foundation::{ConfigSnapshot, RoutingConfig, Versioned};
use cogniverse_sdk::{Caller, Error, ErrorCode, Operation, Result, Retry, TenantId, deadline_in};
use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

/// The source of fresh snapshots for a grant.
#[async_trait]
pub(super) trait SnapshotSource: fmt::Debug + Send + Sync {
    /// Returns what is known of a tenant, as fresh as the store allows; `None` for one that does not exist.
    async fn snapshot_of(&self, tenant: &TenantId) -> Result<Option<Arc<TenantSnapshot>>>;
}

/// The time after its deadline at which a call is given up, so that a part that ends at the deadline can still report why.
const GRACE: Duration = Duration::from_millis(20);

/// The proof that a caller may do an operation for a tenant now. Only [`Gate::admit`](crate::tenants::Gate::admit) makes one.
///
/// It holds the tenant and its generation, the caller, one snapshot of the tenant's configuration, the deadline of the
/// call, and the cancellation that a suspension triggers. The call counts as in flight until the grant is dropped.
///
/// A grant cannot be made, copied or changed to another tenant's:
///
/// ```compile_fail,E0308
/// fn copied(grant: &cogniverse_core::tenants::TenantGrant) -> cogniverse_core::tenants::TenantGrant {
///     grant.clone()
/// }
/// ```
///
/// ```compile_fail,E0451
/// use cogniverse_core::tenants::TenantGrant;
///
/// fn of_another(grant: TenantGrant, other: TenantGrant) -> TenantGrant {
///     TenantGrant { snapshot: other.snapshot, ..grant }
/// }
/// ```
///
/// ```compile_fail,E0505
/// use cogniverse_core::tenants::TenantGrant;
///
/// fn past_its_life(grant: TenantGrant) -> String {
///     let config = grant.config();
///     drop(grant);
///     format!("{config:?}")
/// }
/// ```
#[must_use = "the call is in flight only as long as the grant lives"]
pub struct TenantGrant {
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) caller: Arc<Caller>,
    pub(super) operation: Operation,
    pub(super) snapshot: Arc<TenantSnapshot>,
    pub(super) flight: FlightGuard,
    pub(super) deadline: Option<Instant>,
    pub(super) is_cross_tenant: bool,
    /// The call as its quotas count it.
    pub(super) call: Option<CallReservation>,
}

impl fmt::Debug for TenantGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGrant")
            .field("tenant", self.tenant())
            .field("generation", &self.generation())
            .field("caller", &self.caller().name())
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl TenantGrant {
    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.snapshot.record.tenant
    }

    /// Returns the generation of the tenant.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.snapshot.record.generation
    }

    /// Returns the tenant's record at the time of admission.
    #[must_use]
    pub fn record(&self) -> &TenantRecord {
        &self.snapshot.record
    }

    /// Returns the caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the operation.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Returns whether the caller reads another tenant by shared access.
    #[must_use]
    pub fn is_cross_tenant(&self) -> bool {
        self.is_cross_tenant
    }

    /// Returns the tenant's configuration at the time of admission.
    #[must_use]
    pub fn config(&self) -> &ConfigSnapshot {
        &self.snapshot.config
    }

    /// Returns the tenant's routing configuration at the time of admission.
    ///
    /// # Errors
    /// `Corrupt` where the stored value cannot be parsed.
    pub fn routing(&self) -> Result<&Arc<Versioned<RoutingConfig>>> {
        self.snapshot.routing()
    }

    /// Sets the time that the whole call may take, from now; `None` sets no limit.
    pub fn with_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.deadline = timeout.map(deadline_in);
        self
    }

    /// Makes the call cost nothing of the tenant's quotas, as it failed. The services of this library do so themselves.
    pub fn forgive(&self) {
        if let Some(call) = &self.call {
            call.forgive();
        }
    }

    /// Returns a result of the whole call, which costs nothing of the tenant's quotas where it is an error.
    ///
    /// # Errors
    /// The given one.
    pub fn settle<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.forgive();
        }
        result
    }

    /// Returns the moment at which the call is given up; `None` where there is no limit.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the time that is left; `None` where there is no limit.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Refuses a request for another tenant than the grant's.
    ///
    /// # Errors
    /// `NotFound`, as for a tenant that the caller may not know of.
    pub fn require(&self, tenant: &TenantId) -> Result<()> {
        if self.tenant() == tenant { Ok(()) } else { Err(unknown(tenant)) }
    }

    /// Refuses a handle that was opened for another generation of the tenant.
    ///
    /// # Errors
    /// `FailedPrecondition` with the remedy.
    pub fn require_generation(&self, generation: u64) -> Result<()> {
        if self.generation() == generation {
            return Ok(());
        }
        let message =
            format!("this handle belongs to an earlier tenant of the id \"{}\"; open it again", self.tenant());
        Err(Error::of(ErrorCode::TenantGenerationChanged, message).with_context("tenant", self.tenant()))
    }

    /// Fails once the call is cancelled or out of time; for loops without a waiting point.
    ///
    /// # Errors
    /// Those of [`TenantGrant::run`].
    pub fn check(&self) -> Result<()> {
        if let Some(cause) = self.flight.cause() {
            return Err(stopped(cause));
        }
        match self.time_left() {
            Some(Duration::ZERO) => Err(self.out_of_time()),
            _ => Ok(()),
        }
    }

    /// Asks the store again whether the tenant may be served: what long work does between its batches, so that it also
    /// ends after a suspension by another process.
    ///
    /// # Errors
    /// Those of [`TenantGrant::check`]; `FailedPrecondition` where the tenant was erased and created again; any error of
    /// the store.
    pub async fn renew(&self) -> Result<()> {
        self.check()?;
        let now = self.source.snapshot_of(self.tenant()).await?.ok_or_else(|| unknown(self.tenant()))?;
        now.record.require_active()?;
        if now.record.generation == self.generation() {
            return Ok(());
        }
        let message = format!("tenant \"{}\" was erased and created again during this call", self.tenant());
        Err(Error::of(ErrorCode::TenantGenerationChanged, message).with_context("tenant", self.tenant()))
    }

    /// Waits until the call is cancelled, and returns the reason.
    pub async fn cancelled(&self) -> Error {
        stopped(self.flight.stopped().await)
    }

    /// Runs the call, which ends early where the tenant is suspended or the time is up, and costs nothing of the tenant's
    /// quotas where it fails.
    ///
    /// # Errors
    /// Those of the part; `FailedPrecondition` for a tenant that was suspended meanwhile; `Timeout`.
    pub async fn run<T>(&self, part: impl Future<Output = Result<T>>) -> Result<T> {
        let limited = async {
            match self.deadline {
                None => part.await,
                Some(deadline) => match tokio::time::timeout_at((deadline + GRACE).into(), part).await {
                    Ok(result) => result,
                    Err(_) => Err(self.out_of_time()),
                },
            }
        };
        let result = tokio::select! {
            result = limited => result,
            error = self.cancelled() => Err(error),
        };
        self.settle(result)
    }

    fn out_of_time(&self) -> Error {
        let code = if self.operation == Operation::Search { ErrorCode::SearchTimeout } else { ErrorCode::Timeout };
        Error::of(code, format!("the {} took longer than its time limit; give it more time", self.operation))
            .with_retry(Retry::After(None))
            .with_context("tenant", self.tenant())
    }
}

/// Returns why a call was ended by a change of its tenant.
fn stopped(cause: &TenantRecord) -> Error {
    cause.require_active().err().unwrap_or_else(|| {
        let message = format!("tenant \"{}\" was erased and created again during this call", cause.tenant);
        Error::of(ErrorCode::TenantGenerationChanged, message).with_context("tenant", &cause.tenant)
    })
}
