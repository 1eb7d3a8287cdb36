//! Writing a backup: parts of records, each stored while the next is being read.

use super::{
    frame,
    manifest::{PROGRESS, Part, Progress, SurfaceShare, to_json},
    seal::{self, sha256},
};
use crate::{failpoint, worker::blocking};
use cogniverse_sdk::{BackupKey, BackupRecord, BackupTarget, Clock, Error, ErrorCode, Result};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// The interval of the signs of life of a backup.
const BEAT: Duration = Duration::from_secs(15);

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

/// Where a later attempt goes on after a part.
#[derive(Debug, Clone)]
pub(super) enum Position {
    /// With the next surface.
    Done,
    /// In the same surface, at the page that begins here; `None` for the first one.
    At(Option<String>),
}

/// What a later attempt begins with after a part.
pub(super) struct Mark {
    surface: String,
    position: Position,
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
    pub(super) existing: Arc<BTreeSet<String>>,
    /// What was written down last.
    pub(super) known: Progress,
    pub(super) noted_at: Instant,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether a later attempt reads everything again.
    pub(super) starts_over: bool,
    pub(super) on_progress: Option<OnProgress>,
    pub(super) part_bytes: usize,
}

impl Writer {
    pub(super) fn push(&mut self, record: &BackupRecord) -> Result<()> {
        frame::write(&mut self.content, record)?;
        self.records += 1;
        Ok(())
    }

    /// Stores what was pushed as a part. `surfaces` is what the parts up to this one hold.
    pub(super) async fn store(
        &mut self,
        surface: &str,
        position: Position,
        surfaces: Vec<SurfaceShare>,
        progress: &mut Progress,
    ) -> Result<()> {
        if self.records == 0 {
            return self.beat().await;
        }
        self.settle(progress).await?;
        let number = progress.parts.len() as u64 + 1;
        let content = std::mem::take(&mut self.content);
        let records = std::mem::take(&mut self.records);
        let (target, backup, key) = (Arc::clone(&self.target), self.backup.clone(), self.key.clone());
        let (bound, existing) = (format!("{} {number}", self.bound), Arc::clone(&self.existing));
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
        let mark = Mark { surface: surface.to_owned(), position, surfaces };
        self.pending = Some((stored, mark));
        Ok(())
    }

    /// Waits until the part before is stored, and says so.
    pub(super) async fn settle(&mut self, progress: &mut Progress) -> Result<()> {
        let Some((mut stored, Mark { surface, position, surfaces })) = self.pending.take() else { return Ok(()) };
        // A part may take long to a place that is far: signs of life go on.
        let part = loop {
            match tokio::time::timeout(BEAT, &mut stored).await {
                Ok(part) => {
                    break part.map_err(|e| Error::unexpected("storing a part ended early").with_source(e))??;
                }
                Err(_) => self.beat().await?,
            }
        };
        failpoint::reach("backup.part");
        progress.parts.push(part);
        let (at, next) = match position {
            Position::Done => (None, None),
            Position::At(next) => (Some(surface.clone()), next),
        };
        // Where reading starts over anyway, the list of parts would be written again and again for nothing.
        let parts = if self.starts_over { Vec::new() } else { progress.parts.clone() };
        let head = Progress { parts: Vec::new(), surfaces: Vec::new(), surface: None, next: None, ..progress.clone() };
        self.known = Progress { parts, surfaces, surface: at, next, ..head };
        self.note().await?;
        failpoint::reach("backup.noted");
        if let Some(listener) = &self.on_progress {
            let content_bytes = progress.parts.iter().map(|part| part.content_bytes).sum();
            listener(&BackupProgress { surface, parts: progress.parts.len() as u64, content_bytes });
        }
        Ok(())
    }

    /// Gives a sign of life, unless one was given a moment ago.
    pub(super) async fn beat(&mut self) -> Result<()> {
        match self.noted_at.elapsed() < BEAT {
            true => Ok(()),
            false => self.note().await,
        }
    }

    /// Writes down how far it is, unless another attempt took the backup over.
    pub(super) async fn note(&mut self) -> Result<()> {
        self.require_mine().await?;
        self.write_down().await
    }

    /// Writes down how far it is.
    pub(super) async fn write_down(&mut self) -> Result<()> {
        let known = Progress { alive_at: self.clock.now(), ..self.known.clone() };
        self.target.put(&format!("{}/{PROGRESS}", self.backup), to_json(&known)?).await?;
        self.noted_at = Instant::now();
        Ok(())
    }

    /// Fails where another attempt took the backup over.
    pub(super) async fn require_mine(&self) -> Result<()> {
        let found = self.target.get(&format!("{}/{PROGRESS}", self.backup)).await?;
        let found = found.and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok());
        match found.is_some_and(|found| found.attempt == self.known.attempt) {
            true => Ok(()),
            false => {
                Err(Error::of(ErrorCode::BackupRunning, "another process took this backup over; leave it to that one"))
            }
        }
    }
}
