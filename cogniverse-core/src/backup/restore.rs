//! Restoring a backup: to its tenant, to another, on the same or another backend.

use super::{
    manifest::BackupManifest,
    read::{read_manifest, read_part},
    service::BackupService,
    writer::{BackupProgress, OnProgress},
};
use crate::{
    failpoint,
    tenants::{TenantRecord, TenantState},
};
use cogniverse_sdk::{
    BackupKey, BackupRecord, BackupTarget, Error, ErrorCode, Import, Operation, Result, TenantId, TenantSurface,
};
use serde::Serialize;
use std::{fmt, sync::Arc};
use tokio::task::JoinHandle;

/// A backup to restore.
#[derive(Clone)]
#[non_exhaustive]
pub struct RestoreBackup {
    /// The id of the backup.
    pub backup: String,
    /// The tenant to restore to, which must not exist; `None` for the backup's own.
    pub into: Option<TenantId>,
    /// The reason to bring back a tenant that was erased; `None` refuses it.
    pub although_erased: Option<String>,
    /// Whether a backup in plain is restored although the tenant has a key of backups: somebody else may have written it.
    pub although_plain: bool,
    /// The listener to the progress.
    pub on_progress: Option<OnProgress>,
}

impl RestoreBackup {
    /// Restores to the tenant of the backup.
    #[must_use]
    pub fn new(backup: impl Into<String>) -> Self {
        Self { backup: backup.into(), into: None, although_erased: None, although_plain: false, on_progress: None }
    }

    /// Restores to another tenant.
    #[must_use]
    pub fn into_tenant(mut self, tenant: TenantId) -> Self {
        self.into = Some(tenant);
        self
    }

    /// Brings back what belongs to a tenant that was erased, for a reason that is in the audit log.
    #[must_use]
    pub fn although_erased(mut self, reason: impl Into<String>) -> Self {
        self.although_erased = Some(reason.into());
        self
    }

    /// Restores a backup in plain although the tenant has a key of backups.
    #[must_use]
    pub fn although_plain(mut self) -> Self {
        self.although_plain = true;
        self
    }

    /// Sets the listener to the progress.
    #[must_use]
    pub fn on_progress(mut self, listener: OnProgress) -> Self {
        self.on_progress = Some(listener);
        self
    }
}

impl fmt::Debug for RestoreBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backup, into, although_erased, .. } = self;
        let mut shown = f.debug_struct("RestoreBackup");
        shown.field("backup", backup).field("into", into).field("although_erased", although_erased);
        shown.finish_non_exhaustive()
    }
}

/// The result of restoring a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The tenant that was restored, which is active.
    pub record: TenantRecord,
    /// The backup that it was restored from, with what it does not carry.
    pub manifest: BackupManifest,
}

impl BackupService {
    /// Restores a backup to a tenant that does not exist. Until everything is stored and counted nobody is served; then the
    /// tenant is active. One that was interrupted is continued by calling this again, in whatever process.
    ///
    /// # Errors
    /// `backup_unknown`, `backup_damaged`, `backup_newer`; `backup_key_missing` and `backup_key_wrong`; `backup_of_erased`
    /// where the tenant was erased since; `tenant_exists`; `restore_running` while another process restores the same; any
    /// error of the target and the stores; those of [`crate::tenants::Gate::permit`] for both tenants.
    pub async fn restore(&self, target: &Arc<dyn BackupTarget>, request: RestoreBackup) -> Result<RestoreReport> {
        let manifest = read_manifest(target, &request.backup).await?;
        let into = request.into.clone().unwrap_or_else(|| manifest.tenant.clone());
        for tenant in [&manifest.tenant, &into] {
            self.gate.permit(tenant, Operation::Administer).await?;
        }
        let origin = format!("restore:{}", manifest.sha256);
        self.check_ledger(&manifest, &into, &origin, request.although_erased.as_deref()).await?;
        let key = self.key_of(&manifest).await?;
        manifest.check_seal(key.as_ref())?;
        if let (Some(keys), None, false) = (&self.keys, &manifest.encryption, request.although_plain)
            && keys.count(&manifest.tenant).await? > 0
        {
            let message = "the backup is in plain and the tenant has a key of backups, so that somebody else may have written it; restore it by although_plain, where that is right";
            return Err(Error::of(ErrorCode::FailedPrecondition, message));
        }
        // An id that comes back to where it was erased before is of a later generation, and is so in every deployment.
        let at_least = if into == manifest.tenant { manifest.generation } else { 1 };
        let turn = self.lifecycle.begin_restore(&into, &origin, at_least).await?;
        let Some(turn) = turn else {
            // It ended before, by this same backup.
            let record = self.gate.registry().get(&into).await?;
            return Ok(RestoreReport { record, manifest });
        };
        failpoint::reach("restore.recorded");
        let (manifest, target) = (Arc::new(manifest), Arc::clone(target));
        let mut reason = format!("restored from the backup {}", manifest.backup);
        if let Some(why) = &request.although_erased {
            reason = format!("{reason}, although it was erased: {why}");
        }
        let restored = async {
            self.import(&target, &manifest, key, &into, &turn, request.on_progress.as_ref()).await?;
            // Here, so that no sign of life is given in between.
            turn.activate(&reason).await
        };
        let record = tokio::select! {
            record = restored => record,
            lost = turn.beat() => Err(lost),
        }?;
        failpoint::reach("restore.active");
        let manifest = Arc::unwrap_or_clone(manifest);
        Ok(RestoreReport { record, manifest })
    }

    /// Refuses to bring back what was erased: the tenant of the backup, and the tenant that this same backup was restored to
    /// before. A deployment knows of its own erasures alone.
    async fn check_ledger(
        &self,
        manifest: &BackupManifest,
        into: &TenantId,
        origin: &str,
        reason: Option<&str>,
    ) -> Result<()> {
        if let Some(reason) = reason {
            return match reason.trim().is_empty() {
                true => Err(Error::invalid("an erased tenant is brought back for a reason; say which")),
                false => Ok(()),
            };
        }
        let found = self.gate.registry().find(&manifest.tenant).await?;
        let is_of_erased = found.is_some_and(|found| found.record.last_erased() >= manifest.generation);
        let found = self.gate.registry().find(into).await?;
        let is_erased_copy = found.is_some_and(|found| {
            let record = found.record;
            record.state == TenantState::Erased && record.was_active() && record.creation.as_deref() == Some(origin)
        });
        if !is_of_erased && !is_erased_copy {
            return Ok(());
        }
        let erased = if is_of_erased { &manifest.tenant } else { into };
        let message = format!(
            "tenant \"{erased}\" was erased since, and what it had is not brought back unless the operator says so with a reason"
        );
        Err(Error::of(ErrorCode::BackupOfErased, message))
    }

    async fn import(
        &self,
        target: &Arc<dyn BackupTarget>,
        manifest: &Arc<BackupManifest>,
        key: Option<BackupKey>,
        into: &TenantId,
        turn: &crate::lifecycle::RestoreTurn,
        on_progress: Option<&OnProgress>,
    ) -> Result<()> {
        let import = Import::new(into.clone(), manifest.tenant.clone());
        let done = usize::try_from(turn.parts()).unwrap_or(usize::MAX);
        let read = |number: usize| -> Option<JoinHandle<Result<Vec<BackupRecord>>>> {
            let (target, manifest, key) = (Arc::clone(target), Arc::clone(manifest), key.clone());
            (number < manifest.parts.len()).then(|| {
                tokio::spawn(async move {
                    let part = manifest.parts.get(number).ok_or_else(|| Error::unexpected("a part went away"))?;
                    read_part(&target, &manifest, part, key.as_ref()).await
                })
            })
        };
        let mut next = read(done);
        let mut kept = Vec::new();
        let mut content_bytes = manifest.parts.iter().take(done).map(|part| part.content_bytes).sum::<u64>();
        for (number, part) in manifest.parts.iter().enumerate().skip(done) {
            let Some(reading) = next.take() else { break };
            let records =
                reading.await.map_err(|e| Error::unexpected("reading a part ended early").with_source(e))??;
            next = read(number + 1);
            let surface = self.surface(&part.surface)?;
            content_bytes += part.content_bytes;
            // A history is imported as a whole.
            if surface.comes_last() {
                kept.extend(records);
                if manifest.parts.get(number + 1).is_some_and(|next| next.surface == part.surface) {
                    continue;
                }
                surface.import(&import, std::mem::take(&mut kept)).await?;
            } else {
                surface.import(&import, records).await?;
            }
            failpoint::reach("restore.part");
            turn.advance(number as u64 + 1).await?;
            failpoint::reach("restore.noted");
            if let Some(listener) = on_progress {
                listener(&BackupProgress { surface: part.surface.clone(), parts: number as u64 + 1, content_bytes });
            }
        }
        for share in manifest.surfaces.iter().filter(|share| share.not_carried.is_none()) {
            let held = self.surface(&share.name)?.inventory(into).await?.items;
            if held < share.items {
                turn.begin_again().await?;
                let message = format!(
                    "{held} of {} items of {} are there after the restore; repeat the call, which begins again",
                    share.items, share.name
                );
                return Err(Error::of(ErrorCode::BackupDamaged, message));
            }
        }
        Ok(())
    }

    fn surface(&self, name: &str) -> Result<&Arc<dyn TenantSurface>> {
        self.lifecycle.surfaces().iter().find(|surface| surface.name() == name).ok_or_else(|| {
            let message =
                format!("the backup has records of \"{name}\", which this service does not keep; register its surface");
            Error::of(ErrorCode::FailedPrecondition, message)
        })
    }
}
