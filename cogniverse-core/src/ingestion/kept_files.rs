//! The files in which texts that models made of videos are kept, per tenant.

use crate::worker::blocking;
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// A kind of kept text. Each has a folder and a surface of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeptKind {
    /// Transcripts of what is said.
    Transcripts,
    /// Descriptions of what is seen.
    Descriptions,
    /// Texts on screen.
    ScreenTexts,
}

impl KeptKind {
    /// Returns the name of the folder and the surface, such as `transcripts`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcripts => "transcripts",
            Self::Descriptions => "descriptions",
            Self::ScreenTexts => "screen_texts",
        }
    }

    /// Returns the name of one of them, such as `transcript`.
    pub(crate) fn one(self) -> &'static str {
        match self {
            Self::Transcripts => "transcript",
            Self::Descriptions => "description",
            Self::ScreenTexts => "screen_text",
        }
    }
}

/// A cache of texts of one kind in a folder: `<folder>/<tenant>/<digest of the video's content>.<key>.json`. Each tenant
/// has its own, even for the same video; the key covers model, language and settings. Files are written atomically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFiles {
    kind: KeptKind,
    folder: PathBuf,
}

/// The digest and the key of a file that is planted to check the isolation of tenants.
const CANARY: &str = "canary";

/// Returns whether a name is that of a kept file, and not of something that leads elsewhere or was left by a write.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    name.ends_with(".json") && !name.starts_with('.') && name.bytes().all(plain)
}

/// The content of a file, which matches `.json` transcripts beside videos.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptText {
    #[serde(default)]
    pub(super) language: Option<String>,
    pub(super) segments: Vec<KeptPart>,
}

/// A text and its time, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptPart {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) text: String,
}

impl KeptFiles {
    /// Creates a cache in a folder, which need not exist yet.
    #[must_use]
    pub fn new(kind: KeptKind, folder: impl Into<PathBuf>) -> Self {
        Self { kind, folder: folder.into() }
    }

    /// Returns what is kept.
    #[must_use]
    pub fn kind(&self) -> KeptKind {
        self.kind
    }

    /// Returns the folder of a tenant's files.
    #[must_use]
    pub fn folder_of(&self, tenant: &TenantId) -> PathBuf {
        self.folder.join(tenant.file_name())
    }

    /// Removes all files of a tenant and returns whether there were any. Part of erasing a tenant.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be removed.
    pub async fn erase(&self, tenant: &TenantId) -> Result<bool> {
        let (folder, kind) = (self.folder_of(tenant), self.kind);
        blocking(move || match fs::remove_dir_all(&folder) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(unusable(kind, &folder, e)),
        })
        .await
    }

    /// Returns the number of a tenant's files and their size in bytes.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be read.
    pub async fn size_of(&self, tenant: &TenantId) -> Result<(u64, u64)> {
        let (folder, kind) = (self.folder_of(tenant), self.kind);
        blocking(move || {
            let sum = || -> std::io::Result<(u64, u64)> {
                let (mut files, mut bytes) = (0, 0);
                for entry in fs::read_dir(&folder)? {
                    let entry = entry?;
                    if !entry.file_name().to_string_lossy().starts_with(CANARY) {
                        (files, bytes) = (files + 1, bytes + entry.metadata()?.len());
                    }
                }
                Ok((files, bytes))
            };
            match sum() {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((0, 0)),
                sum => sum.map_err(|e| unusable(kind, &folder, e)),
            }
        })
        .await
    }

    /// Returns the names of a tenant's files after a name, in order, without what is planted to check isolation.
    pub(crate) async fn names_after(&self, tenant: &TenantId, after: &str, limit: usize) -> Result<Vec<String>> {
        let (folder, after, kind) = (self.folder_of(tenant), after.to_owned(), self.kind);
        blocking(move || {
            let mut names = Vec::new();
            let mut list = || -> std::io::Result<()> {
                for entry in fs::read_dir(&folder)? {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    if is_name(&name) && name > after && !name.starts_with(CANARY) {
                        names.push(name);
                    }
                }
                Ok(())
            };
            match list() {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unusable(kind, &folder, e)),
                _ => {}
            }
            names.sort_unstable();
            names.truncate(limit);
            Ok(names)
        })
        .await
    }

    /// Reads a file; `None` where it is not there.
    pub(crate) async fn read_file(&self, tenant: &TenantId, name: &str) -> Result<Option<Vec<u8>>> {
        let (path, kind) = (self.folder_of(tenant).join(name), self.kind);
        blocking(move || match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unusable(kind, &path, e)),
        })
        .await
    }

    /// Writes a file that [`KeptFiles::read_file`] read.
    pub(crate) async fn write_file(&self, tenant: &TenantId, name: &str, bytes: Vec<u8>) -> Result<()> {
        if !is_name(name) {
            return Err(Error::invalid(format!("{name:?} is no name of a {}", self.kind.one())));
        }
        let (path, kind) = (self.folder_of(tenant).join(name), self.kind);
        blocking(move || replace(&path, &bytes).map_err(|e| unusable(kind, &path, e))).await
    }

    /// Keeps a word where a text of a video that nobody has would be.
    pub(crate) async fn plant(&self, tenant: &TenantId, word: &str) -> Result<()> {
        let part = KeptPart { start: 0.0, end: 1.0, text: word.to_owned() };
        self.write(tenant, CANARY, CANARY, &KeptText { language: None, segments: vec![part] }).await
    }

    /// Returns the word that was planted.
    pub(crate) async fn canary(&self, tenant: &TenantId) -> Result<Option<String>> {
        let found = self.read(tenant, CANARY, CANARY).await?;
        Ok(found.and_then(|said| said.segments.into_iter().next()).map(|part| part.text))
    }

    /// Removes the word that was planted, and the tenant's folder where nothing else is in it.
    pub(crate) async fn remove_canary(&self, tenant: &TenantId) -> Result<bool> {
        let (path, folder) = (self.path(tenant, CANARY, CANARY), self.folder_of(tenant));
        let kind = self.kind;
        blocking(move || {
            let removed = match fs::remove_file(&path) {
                Ok(()) => true,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
                Err(e) => return Err(unusable(kind, &path, e)),
            };
            // It stays where files are in it, or where a video is at work.
            let _ = fs::remove_dir(&folder);
            Ok(removed)
        })
        .await
    }

    fn path(&self, tenant: &TenantId, digest: &str, key: &str) -> PathBuf {
        self.folder_of(tenant).join(format!("{digest}.{key}.json"))
    }

    /// Returns the cached text of a video. A damaged file counts as absent and is replaced.
    pub(super) async fn read(&self, tenant: &TenantId, digest: &str, key: &str) -> Result<Option<KeptText>> {
        let (path, kind) = (self.path(tenant, digest, key), self.kind);
        blocking(move || {
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(unusable(kind, &path, e)),
            };
            let read = serde_json::from_slice::<KeptText>(&bytes).ok();
            if read.is_none() {
                tracing::warn!("the kept {} {} cannot be read and is replaced", kind.one(), path.display());
            }
            Ok(read)
        })
        .await
    }

    /// Writes the text of a video.
    pub(super) async fn write(&self, tenant: &TenantId, digest: &str, key: &str, text: &KeptText) -> Result<()> {
        let (path, kind) = (self.path(tenant, digest, key), self.kind);
        let bytes = serde_json::to_vec(text)
            .map_err(|e| Error::unexpected("a kept text cannot be written as JSON").with_source(e))?;
        blocking(move || replace(&path, &bytes).map_err(|e| unusable(kind, &path, e))).await
    }
}

/// Writes a temporary file and renames it, so that no reader sees a partial file.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match replace_once(path, bytes) {
        // A check of isolation removed the folder, as nothing was in it yet.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => replace_once(path, bytes),
        done => done,
    }
}

fn replace_once(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

fn unusable(kind: KeptKind, path: &Path, e: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{} cannot be used for {}; check the space and rights of the folder", path.display(), kind.as_str()),
    )
    .with_source(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn kept_per_tenant_and_key_and_never_in_half() {
        let folder = tempfile::tempdir().unwrap();
        let kept = KeptFiles::new(KeptKind::Descriptions, folder.path().join("descriptions"));
        let tenant = |name: &str| TenantId::parse(name).unwrap();
        let part = KeptPart { start: 0.5, end: 1.25, text: "one two".to_owned() };
        let said = KeptText { language: Some("en".to_owned()), segments: vec![part] };
        assert_eq!(kept.read(&tenant("acme"), "d1", "k1").await.unwrap(), None);
        kept.write(&tenant("acme"), "d1", "k1", &said).await.unwrap();
        assert_eq!(kept.read(&tenant("acme"), "d1", "k1").await.unwrap(), Some(said.clone()));
        for (of, digest, key) in [("Acme", "d1", "k1"), ("acme", "d2", "k1"), ("acme", "d1", "k2")] {
            assert_eq!(kept.read(&tenant(of), digest, key).await.unwrap(), None, "{of} {digest} {key}");
        }
        // Half a file, as a crash of another program could leave it: made anew, not taken for silence.
        let path = kept.path(&tenant("acme"), "d1", "k1");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(kept.read(&tenant("acme"), "d1", "k1").await.unwrap(), None);
        kept.write(&tenant("acme"), "d1", "k1", &said).await.unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        assert!(kept.erase(&tenant("acme")).await.unwrap());
        assert!(!kept.erase(&tenant("acme")).await.unwrap());
        assert_eq!(kept.read(&tenant("acme"), "d1", "k1").await.unwrap(), None);
    }
}
