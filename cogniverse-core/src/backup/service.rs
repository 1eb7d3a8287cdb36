//! Listing and verifying backups.

use super::{
    manifest::{BackupManifest, MANIFEST, PROGRESS},
    read::{read_manifest, read_part, read_stored},
};
use crate::{lifecycle::TenantLifecycle, tenants::Gate};
use cogniverse_sdk::{
    BackupKey, BackupKeys, BackupTarget, ConfigKey, ConfigOwner, ConfigScope, Error, ErrorCode, ErrorKind, Expected,
    Operation, Result, SearchBackend, TenantId, Timestamp, config_store::PutConfig,
};
use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// The age of the last sign of life from which an unfinished backup is taken over.
const LEASE: Duration = Duration::from_secs(60);
/// The service under which a tenant's last backup is in the system's configuration, beside its record.
const LAST_SERVICE: &str = "backups";

/// A backup in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ListedBackup {
    /// The id.
    pub backup: String,
    /// Its manifest; `None` where it is unfinished or cannot be read.
    pub manifest: Option<BackupManifest>,
    /// The reason why there is none.
    pub problem: Option<String>,
}

/// The result of verifying a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupVerification {
    /// The manifest.
    pub manifest: BackupManifest,
    /// The faults, by part; empty for a backup that can be restored.
    pub problems: Vec<String>,
    /// Whether the content of the parts was read: that of an encrypted backup is not where its key is not here.
    pub content_read: bool,
}

impl BackupVerification {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The last backup of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastBackup {
    /// The id.
    pub backup: String,
    /// The target.
    pub location: String,
    /// The time at which it was ended.
    pub at: Timestamp,
    /// The time at which it was last verified; `None` where it never was.
    pub verified_at: Option<Timestamp>,
}

/// Backups of tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BackupService {
    pub(super) gate: Gate,
    pub(super) backend: Arc<dyn SearchBackend>,
    pub(super) lifecycle: TenantLifecycle,
    pub(super) keys: Option<Arc<dyn BackupKeys>>,
    pub(super) lease: Duration,
    /// One backup of a tenant at a time in this process.
    pub(super) making: Arc<DashMap<TenantId, Arc<Mutex<()>>>>,
}

impl BackupService {
    /// Creates a service over the surfaces of a lifecycle.
    #[must_use]
    pub fn new(gate: Gate, backend: Arc<dyn SearchBackend>, lifecycle: TenantLifecycle) -> Self {
        Self { gate, backend, lifecycle, keys: None, lease: LEASE, making: Arc::default() }
    }

    /// Sets the keys with which backups are encrypted.
    #[must_use]
    pub fn with_keys(mut self, keys: Arc<dyn BackupKeys>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the age of the last sign of life from which an unfinished backup is taken over (default 60 s). Zero where no
    /// other process makes backups.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Returns the same service for the caller of a gate.
    #[must_use]
    pub fn for_caller(&self, gate: Gate) -> Self {
        Self { lifecycle: self.lifecycle.for_caller(gate.clone()), gate, ..self.clone() }
    }

    /// Lists the backups in a target, by tenant and time, unfinished and unreadable ones too.
    ///
    /// # Errors
    /// Any error of the target; those of [`Gate::permit`] leave a tenant's backups out.
    pub async fn list(&self, target: &Arc<dyn BackupTarget>) -> Result<Vec<ListedBackup>> {
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for path in target.list("").await? {
            let Some((backup, file)) = path.rsplit_once('/') else { continue };
            match file {
                MANIFEST => drop(found.insert(backup.to_owned(), true)),
                PROGRESS => drop(found.entry(backup.to_owned()).or_insert(false)),
                _ => {}
            }
        }
        let mut listed = Vec::with_capacity(found.len());
        for (backup, is_finished) in found {
            if !is_finished {
                if self.gate.caller().is_embedder() {
                    let problem = Some("it is unfinished; make a backup of the tenant again to finish it".to_owned());
                    listed.push(ListedBackup { backup, manifest: None, problem });
                }
                continue;
            }
            match read_manifest(target, &backup).await {
                Ok(manifest) => match self.gate.permit(&manifest.tenant, Operation::Administer).await {
                    Ok(()) => listed.push(ListedBackup { backup, manifest: Some(manifest), problem: None }),
                    Err(error) if error.code() == ErrorCode::TenantUnknown => {}
                    Err(error) => return Err(error),
                },
                Err(error) if matches!(error.code(), ErrorCode::BackupDamaged | ErrorCode::BackupNewer) => {
                    if self.gate.caller().is_embedder() {
                        listed.push(ListedBackup { backup, manifest: None, problem: Some(error.chain()) });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(listed)
    }

    /// Reads a whole backup and checks it: the sum of each part, that it opens with its key, and every record in it. Nothing
    /// is restored.
    ///
    /// # Errors
    /// `NotFound` for a backup that is not there; `backup_damaged` and `backup_newer` for its manifest; any error of the
    /// target. Damage of a part is part of the answer.
    pub async fn verify(&self, target: &Arc<dyn BackupTarget>, backup: &str) -> Result<BackupVerification> {
        let manifest = read_manifest(target, backup).await?;
        self.gate.permit(&manifest.tenant, Operation::Administer).await?;
        let (key, without_key) = match self.key_of(&manifest).await {
            Ok(key) => (key, false),
            Err(error) if error.code() == ErrorCode::BackupKeyMissing => (None, true),
            Err(error) => return Err(error),
        };
        manifest.check_seal(key.as_ref())?;
        let mut problems = Vec::new();
        let mut records: BTreeMap<&str, u64> = BTreeMap::new();
        for part in &manifest.parts {
            let read = match without_key {
                true => read_stored(target, &manifest, part).await.map(|_| Vec::new()),
                false => read_part(target, &manifest, part, key.as_ref()).await,
            };
            match read {
                Ok(read) => *records.entry(&part.surface).or_default() += read.len() as u64,
                Err(error) if matches!(error.code(), ErrorCode::BackupDamaged | ErrorCode::BackupKeyWrong) => {
                    problems.push(format!("part {}: {}", part.number, error.chain()));
                }
                Err(error) => return Err(error),
            }
        }
        if problems.is_empty() && !without_key {
            for share in &manifest.surfaces {
                let found = records.get(&*share.name).copied().unwrap_or_default();
                if found < share.items {
                    problems.push(format!("{}: {found} records for {} items", share.name, share.items));
                }
            }
        }
        // Of what cannot be opened nobody knows whether it can be restored.
        if problems.is_empty() && !without_key {
            self.mark_verified(&manifest).await?;
        }
        Ok(BackupVerification { manifest, problems, content_read: !without_key })
    }

    /// Returns the last backup of a tenant that this service made; `None` where there was none.
    ///
    /// # Errors
    /// Any error of the configuration store; `Corrupt` where what it tells cannot be read.
    pub async fn last(&self, tenant: &TenantId) -> Result<Option<LastBackup>> {
        last_of(&self.gate, tenant).await
    }

    async fn mark_verified(&self, manifest: &BackupManifest) -> Result<()> {
        match self.last(&manifest.tenant).await? {
            Some(last) if last.backup == manifest.backup => {
                let verified_at = Some(self.gate.clock().now());
                self.remember(&manifest.tenant, &LastBackup { verified_at, ..last }).await
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn remember(&self, tenant: &TenantId, last: &LastBackup) -> Result<()> {
        let value = serde_json::to_value(last)
            .map_err(|e| Error::unexpected("the last backup cannot be written").with_source(e))?;
        self.gate.registry().store().put(PutConfig::new(last_key(tenant), value)).await.map(drop)
    }

    /// Returns the key that a backup needs.
    pub(super) async fn key_of(&self, manifest: &BackupManifest) -> Result<Option<BackupKey>> {
        let Some(encryption) = &manifest.encryption else { return Ok(None) };
        let missing = |why: &str| {
            let name = &encryption.key;
            Error::of(ErrorCode::BackupKeyMissing, format!("the backup is encrypted with the key {name}, and {why}"))
        };
        let Some(keys) = &self.keys else {
            return Err(missing("the service has no keys of backups; give the builder backup_keys"));
        };
        match keys.find(&manifest.tenant, &encryption.key).await? {
            Some(key) => Ok(Some(key)),
            None => Err(missing(
                "it is not here: it was destroyed as the tenant was erased, or its folder must be put back",
            )),
        }
    }
}

fn last_key(tenant: &TenantId) -> ConfigKey {
    ConfigKey::new(ConfigOwner::System, ConfigScope::System, LAST_SERVICE, tenant.as_str())
}

/// Forgets the last backup of a tenant.
pub(super) async fn forget_last(gate: &Gate, tenant: &TenantId) -> Result<()> {
    match gate.registry().store().delete(&last_key(tenant), Expected::Any).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

pub(crate) async fn last_of(gate: &Gate, tenant: &TenantId) -> Result<Option<LastBackup>> {
    let found = gate.registry().store().get(&last_key(tenant), None).await?;
    let Some(value) = found.and_then(|entry| entry.value) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|e| {
        Error::new(ErrorKind::Corrupt, "what is known of the tenant's last backup cannot be read; make another")
            .with_source(cogniverse_sdk::json_problem(&e))
    })
}
