//! The cache of transcripts.

use crate::ingestion::kept_files::{KeptFiles, KeptKind, KeptPart, KeptText};
use cogniverse_sdk::{Result, TenantId, transcriber::Transcription};
use std::path::PathBuf;

/// A cache of transcripts in a folder: [`KeptFiles`] of [`KeptKind::Transcripts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTranscripts(KeptFiles);

impl KeptTranscripts {
    /// Creates a cache in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(KeptFiles::new(KeptKind::Transcripts, folder))
    }

    /// Returns the files.
    #[must_use]
    pub fn files(&self) -> &KeptFiles {
        &self.0
    }

    /// Returns the folder of a tenant's transcripts.
    #[must_use]
    pub fn folder_of(&self, tenant: &TenantId) -> PathBuf {
        self.0.folder_of(tenant)
    }

    /// Removes all transcripts of a tenant and returns whether there were any. Part of erasing a tenant.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be removed.
    pub async fn erase(&self, tenant: &TenantId) -> Result<bool> {
        self.0.erase(tenant).await
    }

    /// Returns the number of a tenant's files and their size in bytes.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be read.
    pub async fn size_of(&self, tenant: &TenantId) -> Result<(u64, u64)> {
        self.0.size_of(tenant).await
    }

    /// Returns the cached transcript of a video; `None` where its times cannot be used.
    pub(super) async fn read(&self, tenant: &TenantId, digest: &str, key: &str) -> Result<Option<Transcription>> {
        let Some(kept) = self.0.read(tenant, digest, key).await? else { return Ok(None) };
        let parts = kept.segments.into_iter().map(|part| (part.start, part.end, part.text));
        Ok(Transcription::from_parts(parts).ok().map(|said| said.with_language(kept.language)))
    }

    pub(super) async fn write(
        &self,
        tenant: &TenantId,
        digest: &str,
        key: &str,
        transcription: &Transcription,
    ) -> Result<()> {
        let part = |cue: &cogniverse_sdk::Cue| KeptPart {
            start: cue.range.start(),
            end: cue.range.end(),
            text: cue.text.clone(),
        };
        let segments = transcription.cues.iter().map(part).collect();
        self.0.write(tenant, digest, key, &KeptText { language: transcription.language.clone(), segments }).await
    }
}
