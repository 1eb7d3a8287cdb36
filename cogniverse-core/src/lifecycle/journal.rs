//! The record of a tenant during work that takes long: signs of life, by which no two processes do it at once.

use super::TenantLifecycle;
use crate::tenants::TenantRecord;
use cogniverse_sdk::{Error, ErrorKind, Expected, Result};
use std::time::Duration;
use tokio::sync::Mutex;

/// The interval of the signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The interval at which another process's signs of life are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// The record of a tenant as this call last wrote it.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) record: TenantRecord,
    pub(super) version: u64,
    /// The error of whoever finds that another process does the work.
    pub(super) running: fn() -> Error,
}

impl TenantLifecycle {
    /// Waits until work that was begun shows no sign of life for the time of the lease.
    pub(super) async fn take_over(
        &self,
        record: TenantRecord,
        version: u64,
        running: fn() -> Error,
    ) -> Result<Journal> {
        let since = tokio::time::Instant::now();
        while since.elapsed() < self.lease {
            tokio::time::sleep(LOOK.min(self.lease)).await;
            if self.found(&record.tenant).await?.version != version {
                return Err(running());
            }
        }
        let mut journal = Journal { record, version, running };
        self.write(&mut journal, pulse).await?;
        Ok(journal)
    }

    /// Gives signs of life; returns only with the error that ends them.
    pub(super) async fn beat(&self, journal: &Mutex<Journal>) -> Error {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let mut journal = journal.lock().await;
            if let Err(error) = self.write(&mut journal, pulse).await {
                return error;
            }
        }
    }

    /// Changes the record, unless another process did.
    pub(super) async fn write(&self, journal: &mut Journal, change: impl FnOnce(&mut TenantRecord)) -> Result<()> {
        let mut next = journal.record.clone();
        change(&mut next);
        let expected = Expected::Version(journal.version);
        let written = self.gate.registry().put(&next, expected).await;
        journal.version = written.map_err(|error| match error.kind() {
            ErrorKind::Conflict => (journal.running)().with_source(error),
            _ => error,
        })?;
        journal.record = next;
        Ok(())
    }
}

fn pulse(record: &mut TenantRecord) {
    record.heartbeat = Some(record.heartbeat.unwrap_or_default().wrapping_add(1));
}
