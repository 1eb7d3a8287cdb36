//! Making a backup.

use super::{
    manifest::{BackupManifest, Consistency, Encryption, FORMAT, MANIFEST, PROGRESS, Progress, SurfaceShare},
    read::read_manifest,
    seal,
    service::{BackupService, LastBackup},
    writer::{OnProgress, Position, Writer},
};
use crate::{
    failpoint,
    tenants::{Attendance, TenantRecord, TenantState},
};
use cogniverse_sdk::{
    AuditEvent, BackupRecord, BackupTarget, Error, ErrorCode, Export, Operation, Result, Retry, TenantId,
    TenantSnapshot, TenantSurface,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::OwnedMutexGuard;

/// The content of a part from which it is stored.
const PART: usize = 8 << 20;
/// The number of attempts at a moment at which nothing of the configuration is changed.
const ATTEMPTS: usize = 10;

/// The settings of a backup.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct CreateBackup {
    /// Whether it is encrypted with the tenant's key (default: where the service has keys).
    pub encrypt: Option<bool>,
    /// The listener to its progress.
    pub on_progress: Option<OnProgress>,
    /// The size of a part's content in bytes from which it is stored (default 8 MiB). A few of them are in memory at once.
    pub part_bytes: Option<usize>,
}

impl CreateBackup {
    /// Creates the default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether it is encrypted with the tenant's key.
    #[must_use]
    pub fn encrypted(mut self, encrypt: bool) -> Self {
        self.encrypt = Some(encrypt);
        self
    }

    /// Sets the size of a part's content in bytes from which it is stored.
    #[must_use]
    pub fn with_part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = Some(bytes);
        self
    }

    /// Sets the listener to its progress.
    #[must_use]
    pub fn on_progress(mut self, listener: OnProgress) -> Self {
        self.on_progress = Some(listener);
        self
    }
}

impl fmt::Debug for CreateBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateBackup").field("encrypt", &self.encrypt).finish_non_exhaustive()
    }
}

impl BackupService {
    /// Makes a backup of an active or suspended tenant while it is served. Memory is bounded by a few parts of 8 MiB.
    ///
    /// One that was interrupted is continued by calling this again with the same target: parts that are stored are not
    /// stored again. Where the backend can show one moment it is read anew, else from where it ended.
    ///
    /// # Errors
    /// `NotFound`; `FailedPrecondition` for a tenant in another state, and for one that is erased meanwhile; any error of the
    /// surfaces and the target; those of [`crate::tenants::Gate::permit`].
    pub async fn create(
        &self,
        tenant: &TenantId,
        target: &Arc<dyn BackupTarget>,
        options: CreateBackup,
    ) -> Result<BackupManifest> {
        self.gate.permit(tenant, Operation::Administer).await?;
        let _alone = self.alone(tenant).await;
        let record = self.gate.registry().get(tenant).await?;
        require_kept(&record)?;
        // An erasure waits for what is in flight, and this ends where the tenant is no longer what it was.
        let flight = self.gate.attend(tenant, Operation::Administer);
        let key = match (options.encrypt, &self.keys) {
            (Some(false), _) | (None, None) => None,
            (_, Some(keys)) => Some(keys.current(tenant).await?),
            (Some(true), None) => {
                let message = "the service has no keys of backups; give the builder backup_keys";
                return Err(Error::of(ErrorCode::FailedPrecondition, message));
            }
        };
        let encryption =
            key.as_ref().map(|key| Encryption { algorithm: "XChaCha20-Poly1305".to_owned(), key: key.name.clone() });
        let found = self.unfinished(&record, target, &encryption).await?;
        let moment = self.moment(tenant).await?;
        let starts_over = moment.snapshot.is_some();
        let (backup, mut progress) = match found {
            Some((backup, known)) if !starts_over => (backup, known),
            Some((backup, _)) => (backup, self.fresh(&record, encryption)?),
            None => (self.name(tenant)?, self.fresh(&record, encryption)?),
        };
        progress.attempt = random_name()?;
        let mut existing: BTreeSet<String> = target.list(&format!("{backup}/parts/")).await?.into_iter().collect();
        if starts_over && key.is_some() {
            // Encrypted anew nothing is as it was: what a dead attempt stored makes room.
            for path in std::mem::take(&mut existing) {
                target.remove(&path).await?;
            }
        }
        let mut writer = Writer {
            target: Arc::clone(target),
            backup: backup.clone(),
            bound: format!("{backup} {tenant} {}", record.generation),
            key,
            content: Vec::new(),
            records: 0,
            pending: None,
            existing: Arc::new(existing),
            known: progress.clone(),
            noted_at: Instant::now(),
            clock: Arc::clone(self.gate.clock()),
            starts_over,
            on_progress: options.on_progress,
            part_bytes: options.part_bytes.unwrap_or(PART),
        };
        writer.write_down().await?;
        let source = Source { record: &record, moment: &moment, flight: &flight };
        for surface in self.lifecycle.surfaces() {
            if progress.surfaces.iter().any(|share| share.name == surface.name())
                && progress.surface.as_deref() != Some(surface.name())
            {
                continue;
            }
            self.export(surface, &source, &mut writer, &mut progress).await?;
        }
        writer.settle(&mut progress).await?;
        writer.require_mine().await?;
        self.require_unchanged(&source).await?;
        let now = self.gate.clock().now();
        let consistency = match (&moment.snapshot, moment.disturbed) {
            (Some(snapshot), false) => Consistency::Snapshot { at: snapshot.taken_at() },
            (Some(_), true) => Consistency::Window {
                from: progress.began_at,
                to: now,
                reason: "the documents are of one moment, and the configuration was changed around it".to_owned(),
            },
            (None, _) => Consistency::Window {
                from: progress.began_at,
                to: now,
                reason: "the backend cannot show one moment".to_owned(),
            },
        };
        let manifest = BackupManifest {
            format: FORMAT,
            backup: backup.clone(),
            tenant: tenant.clone(),
            generation: record.generation,
            began_at: progress.began_at,
            ended_at: now,
            consistency,
            encryption: progress.encryption,
            surfaces: progress.surfaces,
            parts: progress.parts,
            sha256: String::new(),
            seal: None,
        };
        let manifest = manifest.sealed(writer.key.as_ref())?;
        failpoint::reach("backup.read");
        target.put(&format!("{backup}/{MANIFEST}"), manifest.to_bytes()?).await?;
        failpoint::reach("backup.written");
        self.finish(target, &manifest, &writer.existing).await?;
        failpoint::reach("backup.recorded");
        Ok(manifest)
    }

    /// Ends a backup whose manifest is written: removes what earlier attempts stored and this one did not need, and says that
    /// it was made.
    async fn finish(
        &self,
        target: &Arc<dyn BackupTarget>,
        manifest: &BackupManifest,
        earlier: &BTreeSet<String>,
    ) -> Result<()> {
        let BackupManifest { backup, tenant, .. } = manifest;
        let used: BTreeSet<String> = manifest.parts.iter().map(|part| part.path(backup)).collect();
        for path in earlier.difference(&used) {
            target.remove(path).await?;
        }
        let last = LastBackup {
            backup: backup.clone(),
            location: target.location(),
            at: manifest.ended_at,
            verified_at: None,
        };
        if self.last(tenant).await?.is_none_or(|known| known.at < last.at) {
            self.remember(tenant, &last).await?;
            self.gate.record(tenant, AuditEvent::BackedUp { backup: backup.clone() }).await?;
        }
        target.remove(&format!("{backup}/{PROGRESS}")).await
    }

    /// Waits until no other call of this process makes a backup of the tenant.
    async fn alone(&self, tenant: &TenantId) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(&self.making.entry(tenant.clone()).or_default());
        let guard = lock.lock_owned().await;
        if self.making.len() > 1024 {
            self.making.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        guard
    }

    fn fresh(&self, record: &TenantRecord, encryption: Option<Encryption>) -> Result<Progress> {
        let began_at = self.gate.clock().now();
        Ok(Progress {
            format: FORMAT,
            generation: record.generation,
            began_at,
            attempt: random_name()?,
            alive_at: began_at,
            encryption,
            surfaces: Vec::new(),
            parts: Vec::new(),
            surface: None,
            next: None,
        })
    }

    /// Returns an id that no other backup has, and that sorts by time.
    fn name(&self, tenant: &TenantId) -> Result<String> {
        let now = self.gate.clock().now().to_string();
        let stamp: String = now.chars().take(19).filter(|c| c.is_ascii_alphanumeric()).collect();
        Ok(format!("{}/{stamp}Z-{}", tenant.file_name(), random_name()?))
    }

    /// Returns the newest unfinished backup of the tenant that can be continued.
    async fn unfinished(
        &self,
        record: &TenantRecord,
        target: &Arc<dyn BackupTarget>,
        encryption: &Option<Encryption>,
    ) -> Result<Option<(String, Progress)>> {
        let paths = target.list(&format!("{}/", record.tenant.file_name())).await?;
        let finished: BTreeSet<&str> = paths.iter().filter_map(|path| path.strip_suffix("/manifest.json")).collect();
        let mut begun: Vec<&str> = paths.iter().filter_map(|path| path.strip_suffix("/progress.json")).collect();
        begun.sort_unstable();
        // Of one that died after its manifest, the rest is done.
        for backup in begun.extract_if(.., |backup| finished.contains(backup)) {
            let manifest = match read_manifest(target, backup).await {
                Ok(manifest) => manifest,
                // It is listed as what it is, and nothing is done by it.
                Err(error) if matches!(error.code(), ErrorCode::BackupDamaged | ErrorCode::BackupNewer) => continue,
                Err(error) => return Err(error),
            };
            // Whoever can write to the target could name another tenant.
            if manifest.tenant == record.tenant && manifest.generation == record.generation {
                let parts: BTreeSet<String> =
                    paths.iter().filter(|path| path.starts_with(&format!("{backup}/parts/"))).cloned().collect();
                self.finish(target, &manifest, &parts).await?;
            }
        }
        let Some(backup) = begun.last() else { return Ok(None) };
        let Some(bytes) = target.get(&format!("{backup}/{PROGRESS}")).await? else { return Ok(None) };
        let Ok(progress) = serde_json::from_slice::<Progress>(&bytes) else { return Ok(None) };
        if progress.format != FORMAT || progress.generation != record.generation || progress.encryption != *encryption {
            return Ok(None);
        }
        // A time that is still to come, by another machine's clock, is a sign of life too.
        let age = self.gate.clock().now().duration_since(progress.alive_at);
        let age = Duration::try_from(age).unwrap_or_default();
        if age < self.lease {
            let message = "another backup of the tenant is being made in this target, or its process died a moment ago";
            let left = self.lease.saturating_sub(age);
            return Err(Error::of(ErrorCode::BackupRunning, message).with_retry(Retry::After(Some(left))));
        }
        Ok(Some(((*backup).to_owned(), progress)))
    }

    /// Takes the documents of one moment, and the configuration of the same where nobody changes it around that moment.
    async fn moment(&self, tenant: &TenantId) -> Result<Moment> {
        let lasting = || self.lifecycle.surfaces().iter().filter(|surface| surface.comes_last());
        for attempt in 1..=ATTEMPTS {
            let mut before = BTreeMap::new();
            for surface in lasting() {
                before.insert(surface.name(), export_all(surface, tenant).await?);
            }
            let Some(snapshot) = self.backend.snapshot(tenant).await? else {
                return Ok(Moment { snapshot: None, read: BTreeMap::new(), disturbed: false });
            };
            let mut after = BTreeMap::new();
            for surface in lasting() {
                after.insert(surface.name(), export_all(surface, tenant).await?);
            }
            if before == after || attempt == ATTEMPTS {
                let disturbed = before != after;
                return Ok(Moment { snapshot: Some(snapshot), read: after, disturbed });
            }
        }
        Err(Error::unexpected("no moment was taken"))
    }

    async fn export(
        &self,
        surface: &Arc<dyn TenantSurface>,
        source: &Source<'_>,
        writer: &mut Writer,
        progress: &mut Progress,
    ) -> Result<()> {
        let name = surface.name();
        if let Some(reason) = surface.not_carried() {
            progress.surfaces.push(SurfaceShare { name: name.to_owned(), items: 0, not_carried: Some(reason) });
            return Ok(());
        }
        let mut at = match progress.surface.take().filter(|known| known == name) {
            Some(_) => progress.next.take(),
            None => {
                progress.surfaces.push(SurfaceShare { name: name.to_owned(), items: 0, not_carried: None });
                None
            }
        };
        if let Some((records, items)) = source.moment.read.get(name) {
            count(progress, *items);
            for record in records {
                writer.push(record)?;
                if writer.content.len() >= writer.part_bytes {
                    writer.store(name, Position::Done, progress.surfaces.clone(), progress).await?;
                }
            }
            return writer.store(name, Position::Done, progress.surfaces.clone(), progress).await;
        }
        let export = Export::new(source.record.tenant.clone(), source.moment.snapshot.clone());
        loop {
            let page = surface.export(&export, at.as_deref()).await?;
            let before = progress.surfaces.clone();
            for record in &page.records {
                writer.push(record)?;
                if writer.content.len() >= writer.part_bytes {
                    // Within a page: a later attempt reads the page again, and what comes twice is imported once.
                    self.require_unchanged(source).await?;
                    writer.store(name, Position::At(at.clone()), before.clone(), progress).await?;
                }
            }
            count(progress, page.items);
            at = page.next;
            writer.beat().await?;
            if let Some(next) = &at {
                if writer.content.len() >= writer.part_bytes / 2 {
                    self.require_unchanged(source).await?;
                    writer.store(name, Position::At(Some(next.clone())), progress.surfaces.clone(), progress).await?;
                }
                continue;
            }
            self.require_unchanged(source).await?;
            return writer.store(name, Position::Done, progress.surfaces.clone(), progress).await;
        }
    }

    /// Fails where the tenant is no longer the one whose backup was begun.
    async fn require_unchanged(&self, source: &Source<'_>) -> Result<()> {
        if let Some(cause) = source.flight.cause() {
            // A suspension alone ends nothing: what is stored stays as it is.
            require_kept(&cause)?;
        }
        let now = self.gate.registry().get(&source.record.tenant).await?;
        if now.generation != source.record.generation {
            let message = "the tenant was erased and created again while its backup was being made; make another";
            return Err(Error::of(ErrorCode::FailedPrecondition, message));
        }
        require_kept(&now)
    }
}

/// What a backup is made of.
struct Source<'s> {
    record: &'s TenantRecord,
    moment: &'s Moment,
    flight: &'s Attendance,
}

fn random_name() -> Result<String> {
    Ok(seal::hex(&seal::random()?).chars().take(8).collect())
}

/// Adds to the items of the surface that is being read.
fn count(progress: &mut Progress, items: u64) {
    if let Some(share) = progress.surfaces.last_mut() {
        share.items += items;
    }
}

fn require_kept(record: &TenantRecord) -> Result<()> {
    match record.state {
        TenantState::Active | TenantState::Suspended => Ok(()),
        // Its text is that of a tenant that never was.
        _ => record.require_active(),
    }
}

/// The documents of one moment, and what was read around it.
struct Moment {
    snapshot: Option<Arc<dyn TenantSnapshot>>,
    read: BTreeMap<&'static str, (Vec<BackupRecord>, u64)>,
    /// Whether what was read was being changed.
    disturbed: bool,
}

async fn export_all(surface: &Arc<dyn TenantSurface>, tenant: &TenantId) -> Result<(Vec<BackupRecord>, u64)> {
    let export = Export::new(tenant.clone(), None);
    let (mut records, mut items, mut after) = (Vec::new(), 0, None::<String>);
    if surface.not_carried().is_some() {
        return Ok((records, items));
    }
    loop {
        let page = surface.export(&export, after.as_deref()).await?;
        records.extend(page.records);
        items += page.items;
        after = page.next;
        if after.is_none() {
            return Ok((records, items));
        }
    }
}
