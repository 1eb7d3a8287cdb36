//! JSON files beside videos: title, address, metadata.

use super::input::VideoInput;
use crate::{
    files,
    transcript::{Beside, is_transcript_json},
};
use cogniverse_foundation::BackendProfile;
use cogniverse_sdk::{Error, ErrorCode, Metadata, MetadataName, MetadataType, Result, Timestamp, json_problem};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path};

/// The largest file that is read, in bytes: those of downloaders list every form of a video.
const LARGEST: u64 = 16 << 20;
/// The number of undeclared names that are listed in a report.
const LISTED: usize = 32;
/// The ending of the files that yt-dlp writes. They say far more than anybody declares.
const DOWNLOADED: &str = ".info.json";
/// The ending of files that hold nothing but metadata.
const OURS: &str = ".meta.json";
/// The keys that are not metadata.
const OWN: [&str; 8] = ["title", "url", "webpage_url", "recorded_at", "upload_date", "metadata", "language", "id"];

/// The statements about a video of a file beside it and of the caller, who is right.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sidecar {
    pub(super) title: Option<String>,
    pub(super) url: Option<String>,
    pub(super) recorded_at: Option<Timestamp>,
    pub(super) metadata: Metadata,
    /// The name of the file that was read.
    pub(super) file: Option<String>,
    /// The names that were given and that the profile does not declare, and values of another type, for the report.
    pub(super) left_out: Vec<String>,
}

impl Sidecar {
    /// Reads the file beside a video: `talk.info.json`, `talk.meta.json`, or `talk.json` where it is no transcript. Blocking.
    pub(super) fn beside(beside: &Beside, video: &Path, profile: &BackendProfile) -> Result<Self> {
        let Some(path) = beside.metadata(video)? else { return Ok(Self::default()) };
        let real = files::inside("the metadata", &path, video.parent().unwrap_or(Path::new("")))?;
        let bytes = files::read_bounded("the metadata", &real, LARGEST)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_named_so = [DOWNLOADED, OURS].iter().any(|ending| name.to_lowercase().ends_with(ending));
        if !is_named_so && is_transcript_json(&bytes) {
            return Ok(Self::default());
        }
        let object: Map<String, Value> = serde_json::from_slice(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes))
            .map_err(|e| {
                Error::of(
                    ErrorCode::MetadataInvalid,
                    format!("{name} beside the video cannot be read ({}); write an object such as {{\"title\": \"…\", \"metadata\": {{…}}}}", json_problem(&e)),
                )
            })?;
        let mut sidecar = Self::of_object(&object, profile, !name.to_lowercase().ends_with(DOWNLOADED));
        sidecar.file = Some(name);
        Ok(sidecar)
    }

    fn of_object(object: &Map<String, Value>, profile: &BackendProfile, is_ours: bool) -> Self {
        let text = |keys: &[&str]| {
            keys.iter()
                .find_map(|key| object.get(*key)?.as_str())
                .filter(|text| !text.trim().is_empty())
                .map(str::to_owned)
        };
        let date = |key: &str| match MetadataType::Date.read(object.get(key)?) {
            Ok(cogniverse_sdk::MetadataValue::Date(at)) => Some(at),
            _ => None,
        };
        let mut sidecar = Self {
            title: text(&["title"]),
            url: text(&["url", "webpage_url"]).filter(|_| is_ours).or_else(|| text(&["webpage_url"])),
            recorded_at: date("recorded_at").or_else(|| date("upload_date")),
            ..Self::default()
        };
        let inner = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
        let outer = object.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
        let values: BTreeMap<&String, &Value> = outer.chain(inner).filter(|(_, value)| !value.is_null()).collect();
        for (key, value) in values {
            sidecar.take(key, value, profile, is_ours);
        }
        sidecar
    }

    fn take(&mut self, key: &str, value: &Value, profile: &BackendProfile, tells: bool) {
        let declared = MetadataName::parse(key).ok().and_then(|name| Some((profile.metadata.get(&name)?, name)));
        match declared.map(|(kind, name)| (kind.read(value), name)) {
            Some((Ok(value), name)) => drop(self.metadata.insert(name, value)),
            Some((Err(error), _)) => self.leave_out(format!("{key}: {}", error.message())),
            None if tells => self.leave_out(format!("{key}: the profile does not declare it")),
            None => {}
        }
    }

    fn leave_out(&mut self, what: String) {
        if self.left_out.len() < LISTED {
            self.left_out.push(what);
        }
    }

    /// Takes over what the caller says.
    pub(super) fn overridden_by(mut self, input: &VideoInput, profile: &BackendProfile) -> Self {
        self.title = input.title.clone().or(self.title);
        self.url = input.url.clone().or(self.url);
        self.recorded_at = input.recorded_at.or(self.recorded_at);
        self.admit(&input.metadata, profile);
        self
    }

    fn admit(&mut self, metadata: &Metadata, profile: &BackendProfile) {
        for (name, value) in metadata {
            match profile.metadata.get(name).map(|kind| kind.admit(value)) {
                Some(Ok(value)) => drop(self.metadata.insert(name.clone(), value)),
                Some(Err(error)) => self.leave_out(format!("{name}: {}", error.message())),
                None => self.leave_out(format!("{name}: the profile does not declare it")),
            }
        }
    }

    /// Reads the `metadata` of a line of a segments file.
    pub(super) fn of_line(values: &BTreeMap<String, Value>, profile: &BackendProfile) -> Self {
        let mut sidecar = Self::default();
        for (key, value) in values.iter().filter(|(_, value)| !value.is_null()) {
            sidecar.take(key, value, profile, true);
        }
        sidecar
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_foundation::Segmentation;
    use cogniverse_sdk::{MetadataValue, SchemaName};

    fn profile() -> BackendProfile {
        let name = |name: &str| MetadataName::parse(name).unwrap();
        BackendProfile::new(SchemaName::parse("s").unwrap(), Segmentation::frames(1.0))
            .with_metadata(name("speaker"), MetadataType::String)
            .with_metadata(name("views"), MetadataType::Number)
            .with_metadata(name("tags"), MetadataType::List)
            .with_metadata(name("held"), MetadataType::Date)
    }

    fn beside(files: &[(&str, &str)]) -> Result<Sidecar> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Sidecar::beside(&Beside::default(), &folder.path().join("talk.mp4"), &profile())
    }

    #[test]
    fn a_file_of_ones_own_is_read_and_what_is_not_declared_is_said() {
        let text = r#"{"title": "On heat", "url": "https://v.example/1", "recorded_at": "2026-01-02",
            "speaker": "Ada", "metadata": {"views": "12", "tags": ["a", "b"], "mood": "calm", "held": "soon"}}"#;
        let read = beside(&[("talk.json", text)]).unwrap();
        assert_eq!((read.title.as_deref(), read.url.as_deref()), (Some("On heat"), Some("https://v.example/1")));
        assert_eq!(read.recorded_at.unwrap().to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(read.metadata.len(), 3);
        assert_eq!(read.metadata[&MetadataName::parse("views").unwrap()], MetadataValue::Number(12.0));
        assert_eq!(read.left_out.len(), 2, "{:?}", read.left_out);
        assert!(read.left_out[0].starts_with("held: ") && read.left_out[1] == "mood: the profile does not declare it");
        let input = VideoInput::file("talk.mp4")
            .with_title("Mine")
            .with_metadata(MetadataName::parse("speaker").unwrap(), "Grace")
            .with_metadata(MetadataName::parse("room").unwrap(), "7");
        let joined = read.overridden_by(&input, &profile());
        assert_eq!((joined.title.as_deref(), joined.url.as_deref()), (Some("Mine"), Some("https://v.example/1")));
        assert_eq!(joined.metadata[&MetadataName::parse("speaker").unwrap()], MetadataValue::from("Grace"));
        assert_eq!(joined.left_out.len(), 3);
    }

    #[test]
    fn what_a_downloader_wrote_is_read_without_complaints() {
        let text = r#"{"id": "x", "title": "Clip", "url": "https://cdn.example/a.mp4", "webpage_url": "https://v.example/x",
            "upload_date": "20240229", "tags": ["x"], "views": 3, "formats": [{"a": 1}], "speaker": null}"#;
        let read = beside(&[("talk.info.json", text), ("talk.json", r#"{"segments": []}"#)]).unwrap();
        assert_eq!((read.title.as_deref(), read.url.as_deref()), (Some("Clip"), Some("https://v.example/x")));
        assert_eq!(read.recorded_at.unwrap().to_string(), "2024-02-29T00:00:00Z");
        assert_eq!((read.metadata.len(), read.left_out.len()), (2, 0));
        assert_eq!(beside(&[("talk.json", r#"{"segments": []}"#)]).unwrap(), Sidecar::default(), "a transcript");
        assert_eq!(beside(&[("talking.json", "{}")]).unwrap(), Sidecar::default(), "another video's");
        let broken = beside(&[("talk.meta.json", "{\"title\": ")]).unwrap_err();
        assert!(broken.to_string().contains("talk.meta.json"), "{broken}");
    }
}
