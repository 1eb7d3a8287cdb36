//! Discovery of transcript files beside videos.

use super::{Transcript, json::is_transcript};
use crate::files;
use cogniverse_sdk::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};
use unicode_normalization::UnicodeNormalization;

/// The kinds of transcript files, in order of preference.
const KINDS: [&str; 3] = ["srt", "vtt", "json"];
/// Tags in file names that describe a transcript and are not languages.
const SORTS: [&str; 10] = ["auto", "cc", "captions", "default", "forced", "full", "hi", "orig", "sdh", "subtitles"];

/// The endings of files of metadata after the name of the video and a dot, in order of preference.
const METADATA: [&str; 3] = ["info.json", "meta.json", "json"];
/// The largest file that is looked into for whether it is a transcript, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// The normalized names in a folder, each with its spellings.
type Names = BTreeMap<String, Vec<PathBuf>>;

/// A finder of transcripts beside videos that reads each folder once.
#[derive(Debug, Default)]
pub struct Beside {
    folders: Mutex<HashMap<PathBuf, Arc<Names>>>,
}

/// The transcripts found beside a video.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct FoundTranscript {
    /// The file that was read, with its transcript.
    pub transcript: Option<(PathBuf, Transcript)>,
    /// The names of the other files.
    pub unread: Vec<String>,
}

/// A transcript file by its name.
struct Candidate {
    path: PathBuf,
    kind: usize,
    /// The tags between the video's name and the extension, in lower case.
    tags: Vec<String>,
}

impl Candidate {
    /// Returns the languages that tags name. After another tag, `hi` means "hearing impaired".
    fn languages(&self) -> impl Iterator<Item = &str> {
        let is_sort = |place: usize, tag: &str| SORTS.contains(&tag) && (place > 0 || tag != "hi");
        let tags = self.tags.iter().enumerate();
        tags.filter(move |(place, tag)| !is_sort(*place, tag.as_str())).map(|(_, tag)| tag.as_str())
    }

    fn speaks(&self, language: &str) -> bool {
        self.languages().any(|tag| primary(tag) == language)
    }
}

impl Candidate {
    /// Returns whether `talk.json` says something about the video in place of what is said in it. What cannot be read is no
    /// metadata: reading it as a transcript tells why.
    fn is_metadata(&self, folder: &Path) -> bool {
        let read = |path: &Path| {
            files::read_bounded("the transcript", &files::inside("the transcript", path, folder)?, MAX_FILE)
        };
        self.tags.is_empty()
            && KINDS.get(self.kind) == Some(&"json")
            && read(&self.path).is_ok_and(|bytes| !is_transcript(&bytes))
    }
}

impl Beside {
    /// Finds and reads the transcript of a video `talk.mp4`: `talk.srt`, `talk.vtt` or `talk.json`, else one with a
    /// language in its name, such as `talk.en.vtt`. A transcript in the requested language comes first. Case and
    /// Unicode composition are ignored. Blocking.
    ///
    /// # Errors
    /// Those of [`Transcript::read`]; `InvalidInput` for a link that leads out of the folder. A missing file is not
    /// an error.
    pub fn find(&self, video: &Path, language: Option<&str>) -> Result<FoundTranscript> {
        let folder = video.parent().unwrap_or(Path::new(""));
        let Some(stem) = video.file_stem().and_then(|stem| stem.to_str()) else {
            return Ok(FoundTranscript::default());
        };
        let names = self.names(folder)?;
        let stem = spelled(stem) + ".";
        let from = (Bound::Included(stem.as_str()), Bound::Unbounded);
        let beside = names.range::<str, _>(from).take_while(|(name, _)| name.starts_with(&stem));
        let mut candidates: Vec<Candidate> =
            beside.flat_map(|(name, paths)| paths.iter().filter_map(|path| candidate(name, &stem, path))).collect();
        let asked = language.map(str::to_ascii_lowercase);
        candidates.sort_by_key(|candidate| {
            let speaks = asked.as_ref().is_some_and(|asked| candidate.speaks(primary(asked)));
            // What is forced has the foreign lines of a video alone.
            let forced = candidate.tags.iter().any(|tag| tag == "forced");
            (forced, !speaks, candidate.tags.len(), candidate.kind, candidate.path.clone())
        });
        let mut candidates = candidates.into_iter();
        let transcript = match candidates.find(|candidate| !candidate.is_metadata(folder)) {
            None => None,
            Some(candidate) => {
                let real = files::inside("the transcript", &candidate.path, folder)?;
                let transcript = Transcript::read(&real)?;
                let named = candidate.languages().next().map(str::to_owned);
                let language = named.or(transcript.language.clone());
                Some((candidate.path, Transcript { language, ..transcript }))
            }
        };
        let name = |candidate: Candidate| candidate.path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(FoundTranscript { transcript, unread: candidates.filter_map(name).collect() })
    }

    /// Returns the file beside a video that may hold metadata: `talk.info.json`, `talk.meta.json` or `talk.json`. Blocking.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be read.
    pub(crate) fn metadata(&self, video: &Path) -> Result<Option<PathBuf>> {
        let (names, stem) = match self.of_stem(video)? {
            Some(found) => found,
            None => return Ok(None),
        };
        let found = METADATA.iter().find_map(|ending| names.get(&format!("{stem}{ending}"))?.first().cloned());
        Ok(found)
    }

    /// Returns the files beside a video that are read with it, sorted. Blocking.
    ///
    /// # Errors
    /// `Unavailable` where the folder cannot be read.
    pub(crate) fn belongings(&self, video: &Path) -> Result<Vec<PathBuf>> {
        let Some((names, stem)) = self.of_stem(video)? else { return Ok(Vec::new()) };
        let from = (Bound::Included(stem.as_str()), Bound::Unbounded);
        let beside = names.range::<str, _>(from).take_while(|(name, _)| name.starts_with(&stem));
        let is_read = |name: &str| KINDS.iter().any(|kind| name.rsplit('.').next() == Some(kind));
        Ok(beside.filter(|(name, _)| is_read(name)).flat_map(|(_, paths)| paths.iter().cloned()).collect())
    }

    /// Returns the names in a video's folder, and the beginning of those that belong to it.
    fn of_stem(&self, video: &Path) -> Result<Option<(Arc<Names>, String)>> {
        let Some(stem) = video.file_stem().and_then(|stem| stem.to_str()) else { return Ok(None) };
        Ok(Some((self.names(video.parent().unwrap_or(Path::new("")))?, spelled(stem) + ".")))
    }

    fn names(&self, folder: &Path) -> Result<Arc<Names>> {
        if let Some(known) = self.folders.lock().get(folder) {
            return Ok(Arc::clone(known));
        }
        let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let unreadable = |e: std::io::Error| {
            Error::of(ErrorCode::FileUnreadable, format!("the folder {} cannot be read; check it", shown.display()))
                .with_source(e)
        };
        let mut names = Names::new();
        match std::fs::read_dir(shown) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry.map_err(unreadable)?.path();
                    if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                        names.entry(spelled(name)).or_default().push(path);
                    }
                }
            }
            Err(e) => return Err(unreadable(e)),
        }
        names.values_mut().for_each(|paths| paths.sort());
        let names = Arc::new(names);
        self.folders.lock().insert(folder.to_owned(), Arc::clone(&names));
        Ok(names)
    }
}

/// Normalizes a name: composed and in lower case.
fn spelled(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).collect()
}

/// Parses the name of a transcript, whose tags must all be languages or descriptions.
fn candidate(name: &str, stem: &str, path: &Path) -> Option<Candidate> {
    let mut tags: Vec<String> = name.strip_prefix(stem)?.split('.').map(str::to_owned).collect();
    let kind = tags.pop()?;
    let kind = KINDS.iter().position(|known| *known == kind)?;
    let is_tag = |tag: &String| SORTS.contains(&tag.as_str()) || is_language(tag);
    tags.iter().all(is_tag).then(|| Candidate { path: path.to_owned(), kind, tags })
}

/// Returns whether a tag is a language, such as `en`, `deu`, `pt-br`, `zh-hans` or `en_us`.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split(['-', '_']);
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRT: &str = "1\n00:00:01,000 --> 00:00:03,000\n";

    fn found(folder: &Path, video: &str, language: Option<&str>) -> (Option<String>, Vec<String>) {
        let found = Beside::default().find(&folder.join(video), language).unwrap();
        (found.transcript.map(|(_, transcript)| transcript.cues()[0].text.clone()), found.unread)
    }

    #[test]
    fn transcripts_are_found_by_name_and_language_and_the_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, words: &str| {
            let vtt = if name.to_lowercase().ends_with("vtt") { "WEBVTT\n\n" } else { "" };
            std::fs::write(folder.path().join(name), format!("{vtt}{SRT}{words}\n")).unwrap();
        };
        let at = folder.path();
        assert_eq!(found(at, "talk.mp4", None), (None, vec![]));
        write("talk.en.vtt", "english");
        write("talking.srt", "another video's");
        write("talk.notes.srt", "no language");
        assert_eq!(found(at, "talk.mp4", None), (Some("english".into()), vec![]));
        let language = |video: &str| {
            let (_, transcript) = Beside::default().find(&at.join(video), None).unwrap().transcript.unwrap();
            transcript.language().map(str::to_owned)
        };
        assert_eq!(language("talk.mp4").as_deref(), Some("en"));
        assert_eq!(language("talking.mp4"), None);
        std::fs::write(
            at.join("heard.json"),
            r#"{"segments": [{"start": 0, "end": 1, "text": "ja"}], "language": "de"}"#,
        )
        .unwrap();
        std::fs::write(
            at.join("cpp.json"),
            r#"{"result": {"language": "fr"}, "transcription": [{"offsets": {"from": 0, "to": 900}, "text": "oui"}]}"#,
        )
        .unwrap();
        assert_eq!((language("heard.mp4").as_deref(), language("cpp.mp4").as_deref()), (Some("de"), Some("fr")));
        write("talk.de-AT.SRT", "deutsch");
        assert_eq!(found(at, "TALK.MP4", Some("de")), (Some("deutsch".into()), vec!["talk.en.vtt".into()]));
        assert_eq!(found(at, "talk.mp4", Some("en")).0, Some("english".into()));
        write("talk.vtt", "plain");
        write("talk.en.forced.srt", "forced");
        let (read, unread) = found(at, "talk.mp4", None);
        assert_eq!(read, Some("plain".into()));
        assert_eq!(unread, ["talk.de-AT.SRT", "talk.en.vtt", "talk.en.forced.srt"]);
        // What is forced is not the whole of what is said.
        write("film.srt", "all of it");
        write("film.en.forced.srt", "the foreign lines");
        write("film.en.hi.srt", "english with sounds");
        assert_eq!(found(at, "film.mkv", Some("en")).0, Some("english with sounds".into()));
        assert_eq!(found(at, "film.mkv", Some("hi")).0, Some("all of it".into()));
        std::fs::remove_file(at.join("film.en.hi.srt")).unwrap();
        assert_eq!(found(at, "film.mkv", Some("en")).0, Some("all of it".into()));
        write("SPEECH.SRT", "loud");
        assert_eq!(found(at, "SPEECH.MP4", None).0, Some("loud".into()));
        // Decomposed by one system, composed by another.
        write("cafe\u{301}.srt", "composed");
        assert_eq!(found(at, "caf\u{e9}.mp4", None).0, Some("composed".into()));
    }
}
