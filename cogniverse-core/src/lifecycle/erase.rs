//! Erasure: every surface, resumable, with a receipt.

use super::{
    TenantLifecycle,
    journal::Journal,
    moves::{is_over, require},
    restore,
};
use crate::failpoint;
use crate::tenants::{ErasureReceipt, FoundTenant, SurfaceReceipt, TenantRecord, TenantState};
use cogniverse_sdk::{
    AuditEvent, Error, ErrorCode, ErrorKind, Operation, Remains, Result, Retention, Retry, SurfaceErasure, TenantId,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// The time that an erasure waits for calls in flight before it touches anything.
const LANDING: Duration = Duration::from_secs(10);
/// The name of the surface of backups.
const BACKUPS: &str = "backups";

/// The plan of an erasure.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ErasurePlan {
    /// The tenant.
    pub tenant: TenantId,
    /// Its state.
    pub state: TenantState,
    /// The generation that would be erased.
    pub generation: u64,
    /// The holdings of each surface, in the order of erasure.
    pub surfaces: Vec<PlannedSurface>,
}

/// The holdings of a surface for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PlannedSurface {
    /// The name of the surface.
    pub name: String,
    /// The number of items; `None` where they could not be counted.
    pub items: Option<u64>,
    /// Their size in bytes; `None` where the surface cannot tell.
    pub bytes: Option<u64>,
    /// The reason why the surface could not be counted.
    pub error: Option<String>,
}

/// The result of erasing the tenants whose retention is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct ErasureSweep {
    /// The receipts, by tenant.
    pub receipts: Vec<(TenantId, ErasureReceipt)>,
    /// The tenants whose erasure could not go on, each with the reason.
    pub failed: Vec<(TenantId, String)>,
}

impl TenantLifecycle {
    /// Counts what an erasure would erase, and changes nothing. Allowed in every state.
    ///
    /// # Errors
    /// `NotFound`; those of [`crate::tenants::Gate::permit`]. A surface that cannot be counted is part of the plan.
    pub async fn plan_erasure(&self, tenant: &TenantId) -> Result<ErasurePlan> {
        self.gate.permit(tenant, Operation::Administer).await?;
        let record = self.found(tenant).await?.record;
        let mut surfaces = Vec::with_capacity(self.surfaces.len());
        for surface in self.surfaces.iter() {
            let name = surface.name().to_owned();
            surfaces.push(match surface.inventory(tenant).await {
                Ok(held) => PlannedSurface { name, items: Some(held.items), bytes: held.bytes, error: None },
                Err(error) => PlannedSurface { name, items: None, bytes: None, error: Some(error.chain()) },
            });
        }
        Ok(ErasurePlan { tenant: tenant.clone(), state: record.state, generation: record.generation, surfaces })
    }

    /// Erases everything of a suspended tenant, surface by surface, and checks each on its read path afterwards. There is
    /// no way back from the first moment on.
    ///
    /// The receipt is kept in the tenant's record, and its sum is the last entry of the audit log. Where a surface could
    /// not be erased the receipt says so and the tenant stays `erasing`; calling this again goes on, also after a crash
    /// and in another process. For an erased tenant the receipt is returned again.
    ///
    /// # Errors
    /// `FailedPrecondition` where the tenant is active, with the way out; `Conflict` while another call erases it;
    /// `Unavailable` where calls in flight do not end; those of [`crate::tenants::Gate::permit`].
    pub async fn erase(&self, tenant: &TenantId) -> Result<ErasureReceipt> {
        self.gate.permit(tenant, Operation::Administer).await?;
        let _alone = self.alone(tenant).await;
        let found = self.found(tenant).await?;
        if let (TenantState::Erased, Some(receipt)) = (found.record.state, &found.record.erasure) {
            return Ok(receipt.clone());
        }
        let journal = Arc::new(Mutex::new(self.begin_erasure(found).await?));
        let in_flight = self.gate.settle(tenant, LANDING).await;
        if let Some(call) = in_flight.first() {
            let (count, operation) = (in_flight.len(), call.operation);
            let message = format!(
                "{count} calls of tenant \"{tenant}\" are still in flight, such as {operation} by {}; nothing is erased yet: try again",
                call.caller
            );
            return Err(Error::new(ErrorKind::Unavailable, message).with_retry(Retry::After(None)));
        }
        let beating = Arc::clone(&journal);
        tokio::select! {
            done = self.erase_surfaces(tenant, &journal) => done,
            lost = self.beat(&beating) => Err(lost),
        }
    }

    /// Erases the suspended tenants whose retention is over. One that fails keeps no other from being erased.
    ///
    /// # Errors
    /// Any error of the store that keeps the tenants from being listed.
    pub async fn erase_expired(&self) -> Result<ErasureSweep> {
        let (mut sweep, mut after) = (ErasureSweep::default(), None);
        loop {
            let (expired, next) = self.expired(after).await?;
            for record in expired {
                match self.erase_if_expired(&record.tenant).await {
                    Ok(Some(receipt)) => sweep.receipts.push((record.tenant, receipt)),
                    Ok(None) => {}
                    Err(error) => sweep.failed.push((record.tenant, error.chain())),
                }
            }
            after = next;
            if after.is_none() {
                return Ok(sweep);
            }
        }
    }

    /// Erases a tenant unless it was reactivated since it was listed.
    async fn erase_if_expired(&self, tenant: &TenantId) -> Result<Option<ErasureReceipt>> {
        match is_over(&self.found(tenant).await?.record, self.gate.clock().now()) {
            true => self.erase(tenant).await.map(Some),
            false => Ok(None),
        }
    }

    /// Writes that the erasure begins, or takes over one whose call has died.
    async fn begin_erasure(&self, found: FoundTenant) -> Result<Journal> {
        let FoundTenant { mut record, mut version, .. } = found;
        if record.state == TenantState::Erasing {
            let journal = self.take_over(record, version, is_running).await?;
            self.gate.apply(&journal.record);
            return Ok(journal);
        }
        require(&record, &[TenantState::Suspended, TenantState::Provisioning], "erased")?;
        if record.state == TenantState::Provisioning && record.heartbeat.is_some() {
            // Whoever restores it would go on storing.
            let journal = self.take_over(record, version, restore::is_running).await?;
            (record, version) = (journal.record, journal.version);
        }
        let (from, now) = (record.state, self.gate.clock().now());
        let journal = ErasureReceipt::begun(record.generation, now);
        record = TenantRecord {
            state: TenantState::Erasing,
            changed_at: now,
            reason: None,
            retain_until: None,
            erasure: Some(journal),
            heartbeat: Some(0),
            ..record
        };
        let FoundTenant { record, version, .. } = self.put(record, Some(from), version, "erase").await?;
        Ok(Journal { record, version, running: is_running })
    }

    async fn erase_surfaces(&self, tenant: &TenantId, journal: &Mutex<Journal>) -> Result<ErasureReceipt> {
        let mut failed = Vec::new();
        for surface in self.surfaces.iter() {
            let name = surface.name();
            let waits = surface.comes_last() && !failed.is_empty();
            // Of a tenant that was never served the backups are what it was to be made of.
            let is_kept = name == BACKUPS && !journal.lock().await.record.was_active();
            let outcome = match waits {
                true => Err(format!("it waits for {}", failed.join(", "))),
                false if is_kept => {
                    let reason = "the restore was given up, and the backups and their key are for the next one";
                    Ok(SurfaceErasure::of(0).with_retained(Retention::for_good(reason)))
                }
                false => surface.erase(tenant).await.map_err(|error| error.chain()),
            };
            if let Err(error) = &outcome {
                tracing::warn!(tenant.id = %tenant, surface = name, "the surface is not erased: {error}");
                failed.push(name.to_owned());
            }
            let mut journal = journal.lock().await;
            let written = self.write(&mut journal, |record| {
                let entry = entry_of(record, name);
                match outcome {
                    Ok(erased) => {
                        entry.erased += erased.erased;
                        entry.error = None;
                        entry.retained_until = erased.retained.as_ref().and_then(|retained| retained.until);
                        entry.reason = erased.retained.map(|retained| retained.reason);
                    }
                    Err(error) => entry.error = Some(error),
                }
            });
            written.await?;
            drop(journal);
            failpoint::reach(&format!("erase.{name}"));
        }
        self.probe(tenant, journal).await
    }

    /// Asks every surface on its read path whether anything is left, and ends the erasure where nothing is.
    async fn probe(&self, tenant: &TenantId, journal: &Mutex<Journal>) -> Result<ErasureReceipt> {
        let mut left = Vec::with_capacity(self.surfaces.len());
        let was_active = journal.lock().await.record.was_active();
        for surface in self.surfaces.iter() {
            left.push(match surface.name() == BACKUPS && !was_active {
                true => (surface.name(), Ok(Remains::Items(0))),
                false => (surface.name(), surface.remains(tenant).await),
            });
        }
        failpoint::reach("erase.probed");
        let now = self.gate.clock().now();
        let mut journal = journal.lock().await;
        let mut next = journal.record.clone();
        let mut is_clean = true;
        for (name, remains) in left {
            let entry = entry_of(&mut next, name);
            match remains {
                Ok(Remains::Items(0)) => entry.remaining = Some(0),
                Ok(Remains::Items(items)) => {
                    entry.remaining = Some(items);
                    entry.error.get_or_insert_with(|| format!("{items} items are left; erase the tenant again"));
                }
                Ok(Remains::Unknown(reason)) => {
                    entry.remaining = None;
                    entry.reason = Some(format!("cannot be checked: {reason}"));
                }
                Err(error) => {
                    entry.remaining = None;
                    entry.error = Some(error.chain());
                }
                Ok(_) => entry.error = Some("the surface gave an answer of another release".to_owned()),
            }
            is_clean &= entry.error.is_none();
        }
        let Some(receipt) = &mut next.erasure else {
            return Err(Error::unexpected("the journal of an erasure is lost"));
        };
        if !is_clean {
            let receipt = receipt.clone();
            self.write(&mut journal, |record| *record = next).await?;
            return Ok(receipt);
        }
        (receipt.state, receipt.erased_at) = (TenantState::Erased, Some(now));
        let receipt = receipt.clone();
        let sums = receipt.surfaces.iter().map(|surface| (surface.name.clone(), surface.erased)).collect();
        // The last entry of the log, before the record that nothing follows.
        self.gate.record(tenant, AuditEvent::Erased { surfaces: sums }).await?;
        failpoint::reach("erase.summed");
        // By its origin a restore of the same backup is recognized.
        next.creation = next.creation.filter(|origin| origin.starts_with("restore:"));
        next.erased_generation = Some(next.last_erased());
        (next.state, next.changed_at, next.heartbeat) = (TenantState::Erased, now, None);
        self.write(&mut journal, |record| *record = next).await?;
        failpoint::reach("erase.erased");
        self.gate.apply(&journal.record);
        tracing::info!(tenant.id = %tenant, generation = receipt.generation, "tenant erased");
        Ok(receipt)
    }
}

fn entry_of<'r>(record: &'r mut TenantRecord, name: &str) -> &'r mut SurfaceReceipt {
    let (generation, began_at) = (record.generation, record.changed_at);
    let receipt = record.erasure.get_or_insert_with(|| ErasureReceipt::begun(generation, began_at));
    let place = receipt.surfaces.iter().position(|entry| entry.name == name).unwrap_or_else(|| {
        receipt.surfaces.push(SurfaceReceipt::of(name));
        receipt.surfaces.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
    &mut receipt.surfaces[place]
}

fn is_running() -> Error {
    let message = "another call is erasing the tenant; wait for its end, and ask for the receipt then";
    Error::of(ErrorCode::ErasureRunning, message).with_retry(Retry::After(None))
}
