//! The manifest of a backup: the file that is written last, and without which there is none.

use super::seal::{self, damaged, hex, sha256, unhex};
use cogniverse_sdk::{BackupKey, Error, ErrorCode, Result, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The format that this release writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
/// The name of the manifest in a backup's folder.
pub(super) const MANIFEST: &str = "manifest.json";
/// The name of the state of a backup that is being made.
pub(super) const PROGRESS: &str = "progress.json";

/// The extent to which the parts of a backup show one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Consistency {
    /// All documents, memories and the configuration are those of one moment.
    Snapshot {
        /// The moment.
        at: Timestamp,
    },
    /// Each document is whole, and is as it was at some time between the two: what was written meanwhile may be in it or not.
    Window {
        /// The time at which reading began.
        from: Timestamp,
        /// The time at which it ended.
        to: Timestamp,
        /// The reason why there is no moment.
        reason: String,
    },
}

/// The share of a surface in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurfaceShare {
    /// The name of the surface.
    pub name: String,
    /// The number of items in the backup.
    pub items: u64,
    /// The reason why nothing of it is in the backup; `None` where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_carried: Option<String>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// The number, from 1 without gaps.
    pub number: u64,
    /// The surface whose records it has.
    pub surface: String,
    /// The number of records.
    pub records: u64,
    /// The number of bytes of its content, before compression and encryption.
    pub content_bytes: u64,
    /// The number of bytes as stored.
    pub bytes: u64,
    /// The SHA-256 of the bytes as stored.
    pub sha256: String,
}

impl Part {
    /// Returns its path in the target. What it holds is in the name, so that no two attempts at one backup write over each
    /// other's parts.
    #[must_use]
    pub fn path(&self, backup: &str) -> String {
        format!("{backup}/parts/{:08}-{}", self.number, self.sha256.get(..16).unwrap_or_default())
    }
}

/// The encryption of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Encryption {
    /// The algorithm: `XChaCha20-Poly1305`, one message a part, its nonce before it.
    pub algorithm: String,
    /// The name of the key.
    pub key: String,
}

/// A backup: what it is of, when it was made, and its parts with their checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupManifest {
    /// The format, 1.
    pub format: u32,
    /// The id, unique in its target for its tenant.
    pub backup: String,
    /// The tenant.
    pub tenant: TenantId,
    /// The generation of the tenant.
    pub generation: u64,
    /// The time at which it was begun.
    pub began_at: Timestamp,
    /// The time at which it was ended.
    pub ended_at: Timestamp,
    /// The extent to which it shows one moment.
    pub consistency: Consistency,
    /// The encryption; `None` for a backup in plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The share of each surface.
    pub surfaces: Vec<SurfaceShare>,
    /// The parts, in the order in which they are restored.
    pub parts: Vec<Part>,
    /// The SHA-256 of this manifest without this value and the seal, as JSON without white space. It covers the sums of all
    /// parts.
    pub sha256: String,
    /// That sum, encrypted with the tenant's key, where the backup is encrypted: nobody without the key can write a manifest
    /// that is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
}

/// The part that every format has, also those that are not known yet.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl BackupManifest {
    /// Returns the number of bytes as stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Returns the number of bytes before compression.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.content_bytes).sum()
    }

    fn digest(&self) -> Result<String> {
        let plain = Self { sha256: String::new(), seal: None, ..self.clone() };
        Ok(sha256(&to_json(&plain)?))
    }

    pub(super) fn sealed(mut self, key: Option<&BackupKey>) -> Result<Self> {
        self.sha256 = self.digest()?;
        self.seal = match key {
            None => None,
            Some(key) => Some(hex(&seal::encrypt(self.sha256.as_bytes(), key.expose(), &self.bound())?)),
        };
        Ok(self)
    }

    /// Checks that whoever wrote the manifest had the key.
    pub(super) fn check_seal(&self, key: Option<&BackupKey>) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        let sealed = self.seal.as_deref().and_then(unhex).ok_or_else(|| damaged("the manifest has no seal"))?;
        match seal::decrypt(&sealed, key.expose(), &self.bound())? == self.sha256.as_bytes() {
            true => Ok(()),
            false => Err(damaged("the manifest is not the one that was sealed")),
        }
    }

    fn bound(&self) -> String {
        format!("{} {} {} manifest", self.backup, self.tenant, self.generation)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::unexpected("a manifest cannot be written").with_source(e))
    }

    /// Reads a manifest and checks it against its own sum.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let unreadable =
            |e: serde_json::Error| damaged("the manifest cannot be read").with_source(cogniverse_sdk::json_problem(&e));
        let Format { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > FORMAT {
            let message = format!(
                "the backup has format {format} and this release reads up to {FORMAT}; restore it with the release that wrote it, or a newer one"
            );
            return Err(Error::of(ErrorCode::BackupNewer, message));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        if manifest.digest()? != manifest.sha256 {
            return Err(damaged("the manifest is not as it was written"));
        }
        match manifest.parts.iter().zip(1..).all(|(part, number)| part.number == number) {
            true => Ok(manifest),
            false => Err(damaged("the manifest lacks a part")),
        }
    }
}

/// The state of a backup of a backend without snapshots, from which an interrupted one goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) format: u32,
    pub(super) generation: u64,
    pub(super) began_at: Timestamp,
    /// The attempt that makes it: a random number.
    pub(super) attempt: String,
    /// The last sign of life of the process that makes it.
    pub(super) alive_at: Timestamp,
    pub(super) encryption: Option<Encryption>,
    pub(super) surfaces: Vec<SurfaceShare>,
    pub(super) parts: Vec<Part>,
    /// The surface that is being read, and the place where its next page begins.
    pub(super) surface: Option<String>,
    pub(super) next: Option<String>,
}

pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::unexpected("a state of a backup cannot be written").with_source(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> BackupManifest {
        let at = Timestamp::UNIX_EPOCH;
        BackupManifest {
            format: FORMAT,
            backup: "b".to_owned(),
            tenant: TenantId::parse("acme").unwrap(),
            generation: 1,
            began_at: at,
            ended_at: at,
            consistency: Consistency::Snapshot { at },
            encryption: None,
            surfaces: Vec::new(),
            parts: Vec::new(),
            sha256: String::new(),
            seal: None,
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_or_not_at_all() {
        let written = manifest().sealed(None).unwrap();
        assert_eq!(BackupManifest::read(&written.to_bytes().unwrap()).unwrap(), written);
        let other = BackupManifest { generation: 2, ..written.clone() };
        let error = BackupManifest::read(&other.to_bytes().unwrap()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BackupDamaged);
        let newer = br#"{"format": 2, "everything": "else"}"#;
        let error = BackupManifest::read(newer).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BackupNewer);
        assert!(error.to_string().contains("format 2"), "{error}");
    }
}
