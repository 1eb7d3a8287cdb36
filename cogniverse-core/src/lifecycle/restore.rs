//! The record of a tenant that is being restored from a backup.

use super::{TenantLifecycle, create::Begun, journal::Journal};
use crate::tenants::{TenantRecord, TenantState};
use cogniverse_sdk::{Error, ErrorCode, Result, Retry, TenantId};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The right to restore a tenant: no other call of any process has it at the same time.
#[derive(Debug)]
pub(crate) struct RestoreTurn {
    lifecycle: TenantLifecycle,
    journal: Mutex<Journal>,
    parts: u64,
    _alone: OwnedMutexGuard<()>,
}

impl TenantLifecycle {
    /// Begins to restore a tenant that does not exist, or goes on with a restore of the same origin that was interrupted;
    /// `None` where that one has ended.
    pub(crate) async fn begin_restore(
        &self,
        tenant: &TenantId,
        origin: &str,
        at_least: u64,
    ) -> Result<Option<RestoreTurn>> {
        let alone = self.alone(tenant).await;
        let journal = match self.begin(tenant, origin.to_owned(), at_least).await? {
            Begun::Done(_) => return Ok(None),
            Begun::New(record, version) => {
                let mut journal = Journal { record, version, running: is_running };
                let begun = |record: &mut TenantRecord| (record.heartbeat, record.restored_parts) = (Some(0), Some(0));
                self.write(&mut journal, begun).await?;
                journal
            }
            Begun::Going(record, version) => self.take_over(record, version, is_running).await?,
        };
        let parts = journal.record.restored_parts.unwrap_or_default();
        Ok(Some(RestoreTurn { lifecycle: self.clone(), journal: Mutex::new(journal), parts, _alone: alone }))
    }
}

impl RestoreTurn {
    /// Returns the number of parts that an attempt before this one stored.
    pub(crate) fn parts(&self) -> u64 {
        self.parts
    }

    /// Gives signs of life; returns only with the error that ends them.
    pub(crate) async fn beat(&self) -> Error {
        self.lifecycle.beat(&self.journal).await
    }

    /// Writes down that one more part is stored.
    pub(crate) async fn advance(&self, parts: u64) -> Result<()> {
        let mut journal = self.journal.lock().await;
        self.lifecycle.write(&mut journal, |record| record.restored_parts = Some(parts)).await
    }

    /// Begins again with the first part: what is stored does not add up.
    pub(crate) async fn begin_again(&self) -> Result<()> {
        self.advance(0).await
    }

    /// Makes the tenant active. No sign of life is given meanwhile.
    pub(crate) async fn activate(&self, reason: &str) -> Result<TenantRecord> {
        let journal = self.journal.lock().await;
        let record = journal.record.clone();
        if let Some(telemetry) = &self.lifecycle.telemetry {
            telemetry.reopen_tenant(&record.tenant);
        }
        let active = TenantRecord {
            state: TenantState::Active,
            changed_at: self.lifecycle.gate.clock().now(),
            reason: Some(reason.to_owned()),
            heartbeat: None,
            restored_parts: None,
            ..record
        };
        self.lifecycle.finish(active, journal.version).await
    }
}

pub(super) fn is_running() -> Error {
    let message = "another call is restoring the tenant; wait for its end";
    Error::of(ErrorCode::RestoreRunning, message).with_retry(Retry::After(None))
}
