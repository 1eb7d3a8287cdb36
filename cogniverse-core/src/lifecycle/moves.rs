//! Suspension and reactivation.

use super::TenantLifecycle;
use crate::failpoint;
use crate::tenants::{FoundTenant, InFlight, TenantRecord, TenantState, unknown};
use cogniverse_sdk::{AuditEvent, Error, ErrorCode, Expected, Operation, PageCursor, Result, TenantId, Timestamp};
use std::time::Duration;

/// The default retention of a suspended tenant's data: 90 days.
const RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);
/// The number of tenants that are read together.
const PAGE: usize = 500;

/// A request to suspend a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suspend {
    /// The reason, which calls of the tenant are told.
    pub reason: String,
    /// The time for which the data is kept (default 90 days).
    pub retention: Duration,
}

impl Suspend {
    /// Creates a request with a reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retention: RETENTION }
    }

    /// Sets how long the data is kept.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }
}

/// The result of a suspension.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Suspension {
    /// The tenant's record.
    pub record: TenantRecord,
    /// The calls of this process that are still in flight after the time in which they should have ended. Each ends at
    /// its next waiting point.
    pub in_flight: Vec<InFlight>,
}

impl TenantLifecycle {
    /// Suspends a tenant: new calls are refused at once, calls in flight are told to end, and the data is kept for a
    /// time. Returns when nothing is in flight in this process, or after a second with what is. Other processes refuse
    /// the tenant from their next call on. Suspending again with the same reason finishes an interrupted suspension.
    ///
    /// # Errors
    /// `FailedPrecondition` where the tenant is not active, with its state and the way out; `Conflict` where another
    /// call changed it meanwhile; those of [`crate::tenants::Gate::permit`].
    pub async fn suspend(&self, tenant: &TenantId, suspend: Suspend) -> Result<Suspension> {
        self.gate.permit(tenant, Operation::Administer).await?;
        let _alone = self.alone(tenant).await;
        let Suspend { reason, retention } = suspend;
        let reason = AuditEvent::reason(&reason);
        let FoundTenant { record, version, .. } = self.found(tenant).await?;
        if record.state == TenantState::Suspended && record.reason.as_deref() == Some(&reason) {
            self.gate.apply(&record);
            self.audit_again(&record, Some(TenantState::Active), version).await?;
            return Ok(Suspension { in_flight: self.gate.settle(tenant, self.settle).await, record });
        }
        require(&record, &[TenantState::Active], "suspended")?;
        let now = self.gate.clock().now();
        let retain_until = now
            .checked_add(retention)
            .map_err(|e| Error::invalid(format!("the retention {retention:?} is too long")).with_source(e))?;
        let next = TenantRecord {
            state: TenantState::Suspended,
            changed_at: now,
            reason: Some(reason),
            retain_until: Some(retain_until),
            ..record
        };
        let next = self.put(next, Some(TenantState::Active), version, "suspend").await?.record;
        Ok(Suspension { in_flight: self.gate.settle(tenant, self.settle).await, record: next })
    }

    /// Serves a suspended tenant again, within its retention.
    ///
    /// # Errors
    /// `FailedPrecondition` where the tenant is not suspended or its retention is over; those of
    /// [`TenantLifecycle::suspend`].
    pub async fn reactivate(&self, tenant: &TenantId) -> Result<TenantRecord> {
        self.gate.permit(tenant, Operation::Administer).await?;
        let _alone = self.alone(tenant).await;
        let FoundTenant { record, version, .. } = self.found(tenant).await?;
        if let Err(error) = require(&record, &[TenantState::Suspended], "reactivated") {
            if record.state == TenantState::Active {
                // A crash between the record of an earlier call and its entry.
                self.audit_again(&record, Some(TenantState::Suspended), version).await?;
            }
            return Err(error);
        }
        let now = self.gate.clock().now();
        if is_over(&record, now) {
            let until = record.retain_until.unwrap_or(now);
            let message = format!(
                "the retention of tenant \"{tenant}\" ended at {until}; its data may not be served any more: erase it, and create it anew"
            );
            return Err(Error::of(ErrorCode::TenantStateMismatch, message));
        }
        let next =
            TenantRecord { state: TenantState::Active, changed_at: now, reason: None, retain_until: None, ..record };
        self.put(next, Some(TenantState::Suspended), version, "reactivate").await.map(|found| found.record)
    }

    /// Returns the record of a tenant, whatever its state.
    ///
    /// # Errors
    /// `NotFound`; those of [`crate::tenants::Gate::permit`].
    pub async fn get(&self, tenant: &TenantId) -> Result<TenantRecord> {
        self.gate.permit(tenant, Operation::Administer).await?;
        self.found(tenant).await.map(|found| found.record)
    }

    /// Returns one page of the suspended tenants whose retention is over, ordered by id. A page may be empty and still
    /// have a cursor of the next one. For operators only.
    ///
    /// # Errors
    /// Any error of the store, which is never reported as "none".
    pub async fn expired(&self, after: Option<PageCursor>) -> Result<(Vec<TenantRecord>, Option<PageCursor>)> {
        let now = self.gate.clock().now();
        let page = self.gate.registry().list(after, PAGE).await?;
        Ok((page.tenants.into_iter().filter(|record| is_over(record, now)).collect(), page.next))
    }

    pub(super) async fn found(&self, tenant: &TenantId) -> Result<FoundTenant> {
        self.gate.registry().find(tenant).await?.ok_or_else(|| unknown(tenant))
    }

    /// Writes the record of a move, applies it in this process, and appends its entry to the audit log.
    pub(super) async fn put(
        &self,
        next: TenantRecord,
        from: Option<TenantState>,
        version: u64,
        move_name: &str,
    ) -> Result<FoundTenant> {
        let version = self.gate.registry().put(&next, Expected::Version(version)).await?;
        self.gate.apply(&next);
        failpoint::reach(&format!("{move_name}.recorded"));
        self.audit_move(&next, from, version).await?;
        failpoint::reach(&format!("{move_name}.audited"));
        tracing::info!(tenant.id = %next.tenant, state = %next.state, "tenant moved");
        Ok(FoundTenant { record: next, version })
    }
}

/// Returns whether a suspended tenant's retention is over. Before the time of its suspension a clock is wrong, and
/// nothing is over.
pub(super) fn is_over(record: &TenantRecord, now: Timestamp) -> bool {
    record.state == TenantState::Suspended
        && now >= record.changed_at
        && record.retain_until.is_some_and(|until| until <= now)
}

/// Refuses a move from a state that does not allow it, with the way out.
pub(super) fn require(record: &TenantRecord, from: &[TenantState], moved: &str) -> Result<()> {
    if from.contains(&record.state) {
        return Ok(());
    }
    let way_out = match record.state {
        TenantState::Provisioning => "finish its creation by the same input, or erase it",
        TenantState::Active if moved == "erased" => "suspend it first",
        TenantState::Active => "it is served; nothing is to be done",
        TenantState::Suspended => "reactivate it, or erase it",
        TenantState::Erasing => "finish the erasure by calling it again",
        TenantState::Erased => "create it anew",
    };
    let message = format!(
        "tenant \"{}\" is {} since {} and cannot be {moved}; {way_out}",
        record.tenant, record.state, record.changed_at
    );
    Err(Error::of(ErrorCode::TenantStateMismatch, message).with_context("tenant", &record.tenant))
}
