//! Identification of videos by content.

use super::steady::Steady;
use crate::files;
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, VideoId};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    io::Read,
    path::{Path, PathBuf},
};
use unicode_normalization::UnicodeNormalization;

/// The number of skipped entries of a folder that are listed; others are only counted ([invariant 23](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#23)).
const KEPT: usize = 100;
/// The file name extensions of videos, case-insensitive.
const EXTENSIONS: [&str; 18] = [
    "3g2", "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts",
    "webm", "wmv",
];
/// The file name extensions of sounds, which are segments with words and without pictures.
const SOUNDS: [&str; 9] = ["aac", "flac", "m4a", "mka", "mp3", "oga", "ogg", "opus", "wav"];
/// The file name extensions of still pictures, each one segment.
const PICTURES: [&str; 5] = ["gif", "jpeg", "jpg", "png", "webp"];
/// The extensions of transcripts, which are read with their videos.
const TRANSCRIPTS: [&str; 3] = ["json", "srt", "vtt"];
/// The number of hexadecimal digits of the content hash in an id.
const DIGITS: usize = 24;
/// The number of hexadecimal digits that tell two videos of one content apart.
const WORDS: usize = 8;
/// The number of bytes of a video that are read together.
const BUFFER: usize = 1 << 18;

/// A video file with its content hash.
#[derive(Debug, Clone)]
pub(super) struct VideoFile {
    pub(super) path: PathBuf,
    /// The file name without its extension.
    pub(super) title: String,
    /// The id, from the content alone, so that a renamed file is the same video.
    pub(super) id: VideoId,
    /// The content hash.
    pub(super) digest: String,
    /// The file as it was when it was hashed.
    pub(super) stamp: Steady,
}

impl VideoFile {
    /// Hashes a whole file. Blocking.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be read or changes meanwhile; `InvalidInput` where it is not a regular file.
    pub(super) fn identify(path: &Path) -> Result<Self> {
        let (file, size) = files::open_regular("the video", path)?;
        let stamp = Steady::of_file(&file, path)?;
        let (digest, read) = digest(file).map_err(|e| {
            Error::of(ErrorCode::FileUnreadable, format!("the video {} cannot be read; check the file", path.display()))
                .with_source(e)
        })?;
        stamp.check(path)?;
        if read != size {
            return Err(Error::of(
                ErrorCode::FileUnreadable,
                format!("the video {} changes while it is read; ingest it again when it is complete", path.display()),
            ));
        }
        let title = title_of(path);
        let id = VideoId::parse(digest.chars().take(DIGITS).collect::<String>())?;
        Ok(Self { path: path.to_owned(), title, id, digest, stamp })
    }

    /// Tells the video from another file of the same content, by a digest of what is said beside it.
    pub(super) fn told_apart_by(mut self, words: &str) -> Result<Self> {
        self.id = VideoId::parse(format!("{}-{}", self.id, words.chars().take(WORDS).collect::<String>()))?;
        Ok(self)
    }
}

/// Returns the title of a video that nothing else gives one: the name of its file without the extension.
pub(super) fn title_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().nfc().collect()).unwrap_or_default()
}

/// Returns the digest of a file as hexadecimal digits, and the number of bytes read.
pub(super) fn digest(mut file: impl Read) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let (mut buffer, mut total) = (vec![0; BUFFER], 0);
    loop {
        let read = match file.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            break;
        }
        total += read as u64;
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    Ok((hex(hasher), total))
}

/// Returns a digest as hexadecimal digits.
pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The contents of a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The videos, sorted.
    pub(super) videos: Vec<PathBuf>,
    /// The first skipped entries, with the reasons.
    pub(super) passed_over: Vec<(PathBuf, &'static str)>,
    /// The number of skipped entries.
    pub(super) passed_count: usize,
}

impl Found {
    fn pass(&mut self, path: PathBuf, why: &'static str) {
        self.passed_count += 1;
        if self.passed_over.len() < KEPT {
            self.passed_over.push((path, why));
        }
    }
}

/// Finds the video files below a folder. Links to folders are not followed, which avoids loops, and links out of the
/// folder are skipped, as their targets belong to others. Blocking.
pub(super) fn find_videos(folder: &Path) -> Result<Found> {
    let unreadable = |at: &Path, e: std::io::Error| {
        Error::of(
            ErrorCode::FileUnreadable,
            format!("the video folder {} cannot be read; check the path", at.display()),
        )
        .with_source(e)
    };
    let root = folder.canonicalize().map_err(|e| unreadable(folder, e))?;
    let mut found = Found::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(|e| unreadable(&next, e))? {
            let entry = entry.map_err(|e| unreadable(&next, e))?;
            let kind = entry.file_type().map_err(|e| unreadable(&next, e))?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            match why_not(&path, kind.is_symlink(), &root) {
                None => found.videos.push(path),
                Some(BESIDE) => {}
                Some(why) => found.pass(path, why),
            }
        }
    }
    pass_over_covers(&mut found);
    found.passed_over.sort();
    // What is called a video and passed over is in the report, which is then not complete.
    let named = |(path, _): &(PathBuf, _)| EXTENSIONS.contains(&ending(path).as_str());
    if found.videos.is_empty() && !found.passed_over.iter().any(named) {
        return Err(Error::invalid(format!(
            "no video in {}: files that end with {} are looked for, also in folders below it; {} others were passed over",
            folder.display(),
            [&EXTENSIONS[..], &SOUNDS, &PICTURES].concat().join(", "),
            found.passed_count
        )));
    }
    found.videos.sort();
    Ok(found)
}

/// Passes over the pictures that are the covers of videos and sounds: those of the same name beside them.
fn pass_over_covers(found: &mut Found) {
    let named = |path: &Path| {
        let stem: String =
            path.file_stem().unwrap_or_default().to_string_lossy().nfc().flat_map(char::to_lowercase).collect();
        (path.parent().unwrap_or(Path::new("")).to_owned(), stem)
    };
    let is_picture = |path: &Path| PICTURES.contains(&ending(path).as_str());
    let owners: HashSet<_> = found.videos.iter().filter(|path| !is_picture(path)).map(|path| named(path)).collect();
    let is_cover = |path: &Path| is_picture(path) && owners.contains(&named(path));
    let (covers, videos) = std::mem::take(&mut found.videos).into_iter().partition(|path: &PathBuf| is_cover(path));
    found.videos = videos;
    covers.into_iter().for_each(|path: PathBuf| found.pass(path, "the cover of a file of the same name"));
}

fn is_media(ending: &str) -> bool {
    EXTENSIONS.contains(&ending) || SOUNDS.contains(&ending) || PICTURES.contains(&ending)
}

fn ending(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).unwrap_or_default()
}

/// The reason for a transcript, which is not reported as skipped.
const BESIDE: &str = "";

/// Returns why an entry is not a video.
fn why_not(path: &Path, link: bool, root: &Path) -> Option<&'static str> {
    let ending = ending(path);
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    if name.starts_with("._") {
        return Some("a side file of macOS");
    }
    if link {
        match path.canonicalize() {
            Err(_) => return Some("a link to nothing"),
            Ok(real) if !real.starts_with(root) => return Some("a link that leads out of the folder"),
            Ok(real) if real.is_dir() => return Some("a link to a folder"),
            Ok(_) => {}
        }
    }
    if TRANSCRIPTS.contains(&ending.as_str()) {
        return Some(BESIDE);
    }
    if !is_media(&ending) {
        return Some("its name ends as no video's does");
    }
    match files::open_regular("the video", path) {
        // TypeScript has the ending of transport streams, which begin with this byte.
        Ok((mut file, size)) if ending == "ts" && size > 0 => {
            let mut first = [0];
            (file.read_exact(&mut first).is_ok() && first != [0x47]).then_some("no transport stream")
        }
        Err(e) if e.kind() == ErrorKind::InvalidInput => Some("not a regular file"),
        // What cannot be read is a video that fails, by its own report.
        Ok(_) | Err(_) => None,
    }
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
        assert_eq!((&a.id, copy.title.as_str()), (&copy.id, "copy of talk"), "a name is no content");
        let large = vec![7u8; 9 << 20];
        let mut other = large.clone();
        other[3 << 20] = 8;
        assert_ne!(write("large.mkv", &large).digest, write("other.mkv", &other).digest);
        assert_eq!(find_videos(folder.path()).unwrap().videos.len(), 5);
        assert_eq!(write("cafe\u{301}.mp4", b"x").title, "caf\u{e9}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_video_is_passed_over_and_said() {
        use std::os::unix::fs::symlink;
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| folder.path().join(name);
        for name in [
            "a.mp4",
            "old.mpg",
            "CLIP.MTS",
            "b.flv",
            "c.wmv",
            "d.3gp",
            "e.OGV",
            "._a.mp4",
            "notes.txt",
            "a.srt",
            "x.ts",
        ] {
            std::fs::write(at(name), b"x").unwrap();
        }
        std::fs::write(at("cam.ts"), b"\x47x").unwrap();
        std::fs::write(at("empty.mp4"), b"").unwrap();
        std::fs::write(elsewhere.path().join("theirs.mp4"), b"x").unwrap();
        symlink(elsewhere.path().join("theirs.mp4"), at("out.mp4")).unwrap();
        symlink(at("a.mp4"), at("in.mp4")).unwrap();
        symlink(at("nowhere"), at("broken.mp4")).unwrap();
        symlink(folder.path(), at("loop.mp4")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe.mp4")).status().unwrap().success());
        let found = find_videos(folder.path()).unwrap();
        let names = |paths: Vec<&PathBuf>| {
            paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(found.videos.iter().collect()),
            ["CLIP.MTS", "a.mp4", "b.flv", "c.wmv", "cam.ts", "d.3gp", "e.OGV", "empty.mp4", "in.mp4", "old.mpg"]
        );
        let passed = names(found.passed_over.iter().map(|(path, _)| path).collect());
        let expected = ["._a.mp4", "broken.mp4", "loop.mp4", "notes.txt", "out.mp4", "pipe.mp4", "x.ts"];
        assert_eq!((passed.as_slice(), found.passed_count), (expected.map(str::to_owned).as_slice(), 7));
        assert!(VideoFile::identify(&at("pipe.mp4")).unwrap_err().to_string().contains("not a regular file"));
        std::fs::remove_file(at("a.mp4")).unwrap();
        let links = tempfile::tempdir().unwrap();
        symlink(elsewhere.path().join("theirs.mp4"), links.path().join("mine.mp4")).unwrap();
        let found = find_videos(links.path()).unwrap();
        assert_eq!((found.videos.len(), found.passed_count), (0, 1));
        let error = find_videos(elsewhere.path().parent().unwrap().join("nowhere").as_path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
