//! Writing a backup: parts of records, each stored while the next is being read.

use super::{
    frame,
    manifest::{PROGRESS, Part, Progress, SurfaceShare, to_json},
    seal::{self, sha256},
};
use crate::{failpoint, worker::blocking};
use cogniverse_sdk::{BackupKey, BackupRecord, BackupTarget, Error, Result, Timestamp};
use std::{collections::BTreeSet, sync::Arc};
use tokio::task::JoinHandle;

/// The progress of a backup or a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// The surface whose records were moved last.
    pub surface: String,
    /// The number of parts that are stored.
    pub parts: u64,
    /// The number of bytes in them, before compression.
    pub content_bytes: u64,
}

/// A listener to the progress of backups.
pub type OnProgress = Arc<dyn Fn(&BackupProgress) + Send + Sync>;

/// Where a part ends: what a later attempt begins with.
pub(super) struct Mark {
    surface: String,
    next: Option<String>,
    surfaces: Vec<SurfaceShare>,
}

/// Makes parts of records, and stores each while the next is being read.
pub(super) struct Writer {
    pub(super) target: Arc<dyn BackupTarget>,
    pub(super) backup: String,
    /// What every part is bound to, before its number.
    pub(super) bound: String,
    pub(super) key: Option<BackupKey>,
    pub(super) content: Vec<u8>,
    pub(super) records: u64,
    pub(super) pending: Option<(JoinHandle<Result<Part>>, Mark)>,
    pub(super) existing: BTreeSet<String>,
    pub(super) on_progress: Option<OnProgress>,
    pub(super) part_bytes: usize,
}

impl Writer {
    pub(super) fn push(&mut self, record: &BackupRecord) -> Result<()> {
        frame::write(&mut self.content, record)?;
        self.records += 1;
        Ok(())
    }

    /// Stores what was pushed as a part, after which `next` follows in the surface.
    pub(super) async fn store(
        &mut self,
        surface: &str,
        next: Option<String>,
        progress: &mut Progress,
        now: Timestamp,
    ) -> Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        self.settle(progress, now).await?;
        let number = progress.parts.len() as u64 + 1;
        let content = std::mem::take(&mut self.content);
        let records = std::mem::take(&mut self.records);
        let (target, backup, key) = (Arc::clone(&self.target), self.backup.clone(), self.key.clone());
        let (bound, existing) = (format!("{} {number}", self.bound), self.existing.clone());
        let of = surface.to_owned();
        let stored = tokio::spawn(async move {
            let content_bytes = content.len() as u64;
            let (bytes, sum) = blocking(move || {
                let bytes = seal::seal(&content, key.as_ref(), &bound)?;
                let sum = sha256(&bytes);
                Ok((bytes, sum))
            })
            .await?;
            let part = Part { number, surface: of, records, content_bytes, bytes: bytes.len() as u64, sha256: sum };
            let path = part.path(&backup);
            if !existing.contains(&path) {
                target.put(&path, bytes).await?;
            }
            Ok(part)
        });
        let mark = Mark { surface: surface.to_owned(), next, surfaces: progress.surfaces.clone() };
        self.pending = Some((stored, mark));
        Ok(())
    }

    /// Waits until the part before is stored, and says so.
    pub(super) async fn settle(&mut self, progress: &mut Progress, now: Timestamp) -> Result<()> {
        let Some((stored, Mark { surface, next, surfaces })) = self.pending.take() else { return Ok(()) };
        let part = stored.await.map_err(|e| Error::unexpected("storing a part ended early").with_source(e))??;
        failpoint::reach("backup.part");
        progress.parts.push(part);
        // As it was when this part ended: what was read since is read again.
        let known = Progress { surface: next.as_ref().map(|_| surface.clone()), next, surfaces, ..progress.clone() };
        self.note(&known, now).await?;
        failpoint::reach("backup.noted");
        if let Some(listener) = &self.on_progress {
            let content_bytes = progress.parts.iter().map(|part| part.content_bytes).sum();
            listener(&BackupProgress { surface, parts: progress.parts.len() as u64, content_bytes });
        }
        Ok(())
    }

    pub(super) async fn note(&self, progress: &Progress, now: Timestamp) -> Result<()> {
        let progress = Progress { alive_at: now, ..progress.clone() };
        self.target.put(&format!("{}/{PROGRESS}", self.backup), to_json(&progress)?).await
    }
}
