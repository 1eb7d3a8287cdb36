//! Reading a backup: its manifest, and its parts with their sums.

use super::{
    frame,
    manifest::{BackupManifest, MANIFEST, Part},
    seal::{self, damaged, sha256},
};
use crate::worker::blocking;
use cogniverse_sdk::{BackupKey, BackupRecord, BackupTarget, Error, ErrorCode, Result};
use std::sync::Arc;

/// Reads the manifest of a backup.
pub(super) async fn read_manifest(target: &Arc<dyn BackupTarget>, backup: &str) -> Result<BackupManifest> {
    let path = format!("{backup}/{MANIFEST}");
    let bytes = target.get(&path).await?.ok_or_else(|| {
        let message = format!("there is no backup \"{backup}\" in {}; list those that there are", target.location());
        Error::of(ErrorCode::BackupUnknown, message)
    })?;
    let manifest = BackupManifest::read(&bytes)?;
    match manifest.backup == backup {
        true => Ok(manifest),
        false => Err(damaged("the manifest is that of another backup")),
    }
}

/// Reads a part as it is stored.
pub(super) async fn read_stored(
    target: &Arc<dyn BackupTarget>,
    manifest: &BackupManifest,
    part: &Part,
) -> Result<Vec<u8>> {
    let stored = target.get(&part.path(&manifest.backup)).await?;
    let stored = stored.ok_or_else(|| damaged(&format!("part {} is missing", part.number)))?;
    let expected = part.sha256.clone();
    let (stored, sum) = blocking(move || {
        let sum = sha256(&stored);
        Ok((stored, sum))
    })
    .await?;
    match sum == expected {
        true => Ok(stored),
        false => Err(damaged(&format!("part {} is not as it was written", part.number))),
    }
}

/// Reads the records of a part.
pub(super) async fn read_part(
    target: &Arc<dyn BackupTarget>,
    manifest: &BackupManifest,
    part: &Part,
    key: Option<&BackupKey>,
) -> Result<Vec<BackupRecord>> {
    let stored = read_stored(target, manifest, part).await?;
    let bound = format!("{} {} {} {}", manifest.backup, manifest.tenant, manifest.generation, part.number);
    let (key, part) = (key.cloned(), part.clone());
    blocking(move || {
        let records = frame::read(&seal::open(&stored, key.as_ref(), &bound, part.content_bytes)?)?;
        match records.len() as u64 == part.records {
            true => Ok(records),
            false => Err(damaged(&format!("part {} has {} records of {}", part.number, records.len(), part.records))),
        }
    })
    .await
}
