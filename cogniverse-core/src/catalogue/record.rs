//! Records of videos.

use crate::ingestion::{TranscriptSource, VideoReport, VideoStatus};
use cogniverse_sdk::{Error, ErrorKind, Metadata, MetadataName, ProfileName, Result, Timestamp, VideoId, json_problem};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// The state of a video in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VideoState {
    /// An ingest is working on it, or was interrupted: ingesting it again finishes it.
    Ingesting,
    /// All its segments are stored.
    Done,
    /// Some of its segments are stored; the reason says why not all.
    Partial,
    /// None of its segments is stored; the reason says why.
    Failed,
    /// It is being deleted, or the deletion was interrupted: deleting it again finishes it.
    Deleting,
}

impl VideoState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ingesting => "ingesting",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

impl fmt::Display for VideoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A video of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VideoRecord {
    /// The id.
    pub video_id: VideoId,
    /// The profile that it was ingested into.
    pub profile: ProfileName,
    /// The title.
    pub title: String,
    /// The absolute path of the file, or of the segments file; `None` for a video that came as a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The address at which people find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The time of recording, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
    /// The time at which its last ingest that changed anything ended.
    pub ingested_at: Timestamp,
    /// The length in seconds; `None` for a video of a segments file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// The number of segments that its last ingest stored or found.
    pub segments: usize,
    /// The source of the transcript.
    pub transcript: TranscriptSource,
    /// The name of the transcript file that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_file: Option<String>,
    /// The spoken language, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The model of its vectors; `None` without vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The state.
    pub state: VideoState,
    /// The reason of a state other than `done`, or why it was stored without a transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The metadata.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The digest of the file's content; `None` while it is not known which content is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The names of a video that people set, which the next ingest keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct SetByHand {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) title: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) url: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) recorded_at: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) metadata: BTreeSet<MetadataName>,
}

/// How a file and the run looked when the video was ingested. Where both look the same again, so is the video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// The size of the file, its time of change, and its number in the file system.
    pub(crate) file: (u64, i128, u64),
    /// A digest of the names, sizes and times of the files beside it that belong to it.
    pub(crate) beside: String,
    /// A digest of everything else that decides what is stored: profile, schema, encoder, options.
    pub(crate) plan: String,
}

/// Where the segments of a video came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    #[default]
    File,
    Stream,
    Segments,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredVideo {
    #[serde(flatten)]
    pub(crate) video: VideoRecord,
    #[serde(default)]
    pub(crate) origin: Origin,
    /// Whether the id is the caller's: other content under it replaces the video.
    #[serde(default)]
    pub(crate) is_id_given: bool,
    #[serde(default)]
    pub(crate) by_hand: SetByHand,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stamp: Option<Stamp>,
    /// The report of the last ingest, which a run that finds nothing changed repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<VideoReport>,
}

impl StoredVideo {
    pub(crate) fn new(profile: ProfileName, video_id: VideoId, now: Timestamp) -> Self {
        Self {
            video: VideoRecord {
                video_id,
                profile,
                title: String::new(),
                source: None,
                url: None,
                recorded_at: None,
                ingested_at: now,
                duration: None,
                segments: 0,
                transcript: TranscriptSource::None,
                transcript_file: None,
                language: None,
                model: None,
                state: VideoState::Ingesting,
                reason: None,
                metadata: Metadata::new(),
                digest: None,
            },
            origin: Origin::File,
            is_id_given: false,
            by_hand: SetByHand::default(),
            stamp: None,
            report: None,
        }
    }

    /// Takes over the outcome of an ingest; the time is given where it changed anything.
    pub(crate) fn settle(&mut self, report: &VideoReport, changed: Option<Timestamp>) {
        let video = &mut self.video;
        video.state = match report.status {
            VideoStatus::Done | VideoStatus::Unchanged => VideoState::Done,
            VideoStatus::Partial => VideoState::Partial,
            _ => VideoState::Failed,
        };
        let refused = report.refused.first().map(|(what, why)| format!("{what}: {why}"));
        video.reason = report.reason.clone().or(refused);
        video.segments = report.stored + report.unchanged;
        video.transcript = report.transcript;
        video.transcript_file.clone_from(&report.transcript_file);
        if let Some(now) = changed {
            video.ingested_at = now;
        }
        self.report = Some(report.clone());
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::unexpected("a video's record cannot be written").with_source(e))
    }

    pub(super) fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("a video's record cannot be read: {}", json_problem(&e)))
        })
    }
}
