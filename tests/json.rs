//! The JSON of what a service sends and takes: which types have one, and that its names stay.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

use cogniverse::{
    Filter, Grouping, IngestReport, PageCursor, ProgressEvent, PublicError, SearchParameters, SearchResponse,
    SearchResult, Template, TimeRange,
    agents::{Degradation, Evidence, ProfileAnswer, Recall, Recalled, Snippet, Verdict},
    config::{FieldSource, HistoryPage, ResolvedProfile, Source, SystemConfig, Versioned},
    ingestion::{TranscriptSource, VideoReport, VideoStatus},
    memory::{ImportReport, MemoryDecision, MemoryReport, ReembedReport},
    schemas::{SchemaDescription, SchemaDifference, SchemaHealth},
    sdk::{
        ChatAnswer, ConfigEntry, Cue, EncoderInfo, ErrorCode, ErrorKind, FinishReason, MemoryHit, MemoryHits,
        MemoryPage, MemoryStats, TimeWindow, Transcription,
        config_store::{ConfigPage, ConfigVersions},
        search_backend::Coverage,
    },
    tenants::{TenantPage, TenantRecord, TenantState},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, from_value, json, to_value};

fn both<T: Serialize + DeserializeOwned>() {}

/// Compiles only while each has both directions.
#[test]
fn what_a_service_sends_and_takes_is_serde() {
    both::<(SearchParameters, SearchResponse, SearchResult, ProfileAnswer, Evidence, Snippet, Degradation, Coverage)>();
    both::<(Filter, TimeRange, TimeWindow, Grouping, PageCursor, PublicError, ErrorCode, ErrorKind)>();
    both::<(IngestReport, VideoReport, VideoStatus, TranscriptSource, ProgressEvent)>();
    both::<(TenantRecord, TenantState, TenantPage, Template, ConfigEntry, ConfigPage, ConfigVersions)>();
    both::<(Versioned<SystemConfig>, HistoryPage<SystemConfig>, Source, FieldSource, ResolvedProfile)>();
    both::<(MemoryHit, MemoryHits, MemoryPage, MemoryStats, MemoryDecision, MemoryReport, ReembedReport, ImportReport)>(
    );
    both::<(Recall, Recalled, Verdict, SchemaDescription, SchemaDifference, SchemaHealth)>();
    both::<(ChatAnswer, FinishReason, EncoderInfo, Cue, Transcription)>();
}

#[track_caller]
fn stays<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, wanted: Value) {
    assert_eq!(to_value(value).unwrap(), wanted);
    assert_eq!(from_value::<T>(wanted).unwrap(), *value);
}

#[test]
fn names_stay() {
    stays(&ProgressEvent::Started { videos: 3 }, json!({"event": "started", "videos": 3}));
    stays(&ProgressEvent::Read { bytes: 5, of: 9 }, json!({"event": "read", "bytes": 5, "of": 9}));
    let begun = ProgressEvent::VideoStarted { name: "a.mp4".into(), segments: 2 };
    stays(&begun, json!({"event": "video_started", "name": "a.mp4", "segments": 2}));
    let heard = ProgressEvent::Transcribing { name: "a.mp4".into(), piece: 1, of: 2 };
    stays(&heard, json!({"event": "transcribing", "name": "a.mp4", "piece": 1, "of": 2}));
    stays(&ProgressEvent::SegmentsDone { count: 7 }, json!({"event": "segments_done", "count": 7}));
    let ended = ProgressEvent::VideoFinished { name: "a.mp4".into(), status: VideoStatus::Partial };
    stays(&ended, json!({"event": "video_finished", "name": "a.mp4", "status": "partial"}));
    stays(&IngestReport::default(), json!({"videos": [], "passed_over": [], "passed_over_count": 0}));
    stays(&Grouping::Moments, json!("moments"));
    stays(&TimeRange::new(1.0, 2.5).unwrap(), json!({"start": 1.0, "end": 2.5}));
    stays(&Template::Startup, json!("startup"));
    stays(&Coverage::Full, json!("full"));
    stays(&ErrorCode::TenantSuspended, json!("tenant_suspended"));
    stays(
        &SearchParameters::default(),
        json!({"query": "", "top_k": 10, "grouping": "segments", "allow_degraded": false}),
    );
}

/// What the constructor refuses is refused from JSON too.
#[test]
fn json_is_checked_as_a_constructor_checks() {
    assert!(from_value::<TimeRange>(json!({"start": 3.0, "end": 1.0})).is_err());
    let window = json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"});
    assert!(from_value::<TimeWindow>(window).is_err());
    assert!(from_value::<Filter>(json!({"video_id": {"near": 1}})).is_err());
    assert!(from_value::<SearchParameters>(json!({"tenant": "globex"})).is_err());
}
