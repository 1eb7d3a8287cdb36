//! Videos by their content.

use cogniverse_sdk::{Error, ErrorKind, Result, VideoId};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Files up to this size are read whole; of larger ones the first, middle and last MiB count, with the size.
const WHOLE: u64 = 8 << 20;
const PART: u64 = 1 << 20;
/// What a video's file name may end with.
const EXTENSIONS: [&str; 6] = ["avi", "m4v", "mkv", "mov", "mp4", "webm"];
/// Characters of the file's name that stand in its id.
const NAME: usize = 80;

/// A video file and what its content says.
#[derive(Debug, Clone)]
pub(super) struct VideoFile {
    pub(super) path: PathBuf,
    /// The file's name without its ending.
    pub(super) title: String,
    /// `<name>-<12 hex digits of the content's SHA-256>`: readable, and another for another content of the same name.
    pub(super) id: VideoId,
    /// The content alone.
    pub(super) digest: String,
}

impl VideoFile {
    /// Reads what identifies a file. Blocking.
    pub(super) fn identify(path: &Path) -> Result<Self> {
        let digest = digest(path).map_err(|e| {
            Error::new(ErrorKind::Unavailable, format!("the video {} cannot be read; check the file", path.display()))
                .with_source(e)
        })?;
        let title = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let slug: String =
            title.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).take(NAME).collect();
        let hex: String = digest.chars().take(12).collect();
        // Eighty characters of up to four bytes could be too long for an id; the ASCII of it never is.
        let id = VideoId::parse(format!("{slug}-{hex}")).or_else(|_| VideoId::parse(format!("video-{hex}")))?;
        Ok(Self { path: path.to_owned(), title, id, digest })
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hasher = Sha256::new();
    hasher.update(size.to_le_bytes());
    let starts =
        if size <= WHOLE { vec![(0, size)] } else { vec![(0, PART), ((size - PART) / 2, PART), (size - PART, PART)] };
    let mut buffer = vec![0; 1 << 16];
    for (start, length) in starts {
        file.seek(SeekFrom::Start(start))?;
        let mut part = Read::by_ref(&mut file).take(length);
        loop {
            let read = part.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The video files below a folder, sorted. Links to folders are not followed, so that a loop of them has an end. Blocking.
pub(super) fn find_videos(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let unreadable = |e: std::io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the video folder {} cannot be read; check the path", next.display()),
            )
            .with_source(e)
        };
        for entry in std::fs::read_dir(&next).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if is_video(&entry.path()) {
                found.push(entry.path());
            }
        }
    }
    if found.is_empty() {
        return Err(Error::invalid(format!(
            "no video in {}: files that end with {} are looked for, also in folders below it",
            folder.display(),
            EXTENSIONS.join(", ")
        )));
    }
    found.sort();
    Ok(found)
}

fn is_video(path: &Path) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            VideoFile::identify(&path).unwrap()
        };
        let (a, b, copy) =
            (write("a/talk.mp4", b"one"), write("b/talk.mp4", b"two"), write("c/copy of talk.MP4", b"one"));
        assert_ne!(a.id, b.id);
        assert_eq!(a.digest, copy.digest);
        assert!(a.id.as_str().starts_with("talk-") && copy.id.as_str().starts_with("copy-of-talk-"));
        let large = vec![7u8; 9 << 20];
        let mut other = large.clone();
        other[(9 << 20) - 5] = 8;
        assert_ne!(write("large.mkv", &large).digest, write("other.mkv", &other).digest);
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert_eq!(find_videos(folder.path()).unwrap().len(), 5);
    }
}
