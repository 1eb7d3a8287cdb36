//! A wired library in a folder of its own, and what the tests put into it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part; a test asserts")]

pub(crate) mod leaky;

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, CogniverseBuilder, IngestReport, IngestRequest, IngestSource, ProfileName, Result, StrategyName,
    Template, TenantId,
    embedded::{Durability, EmbeddedConfig},
    encoders::HashEncoder,
    sdk::{EncoderInfo, Error, ErrorKind, Matrix, QueryEncoder, SegmentContent, SegmentEncoder, VectorKind},
};
use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;

pub(crate) const TEXT: &str = "video_text_minilm_mv_segment";

pub(crate) struct World {
    pub(crate) cogniverse: Cogniverse,
    pub(crate) folder: TempDir,
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn profile(name: &str) -> ProfileName {
    ProfileName::parse(name).unwrap()
}

pub(crate) fn strategy(name: &str) -> StrategyName {
    StrategyName::parse(name).unwrap()
}

impl World {
    /// Tenants with the schema of the text profile.
    pub(crate) async fn with(tenants: &[&str], change: impl FnOnce(CogniverseBuilder) -> CogniverseBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
        let cogniverse = change(Cogniverse::builder().embedded(config)).open().await.unwrap();
        for name in tenants {
            cogniverse.create_tenant(&tenant(name), Template::Startup).await.unwrap();
            cogniverse.deploy(&tenant(name), &profile(TEXT)).await.unwrap();
        }
        Self { cogniverse, folder }
    }

    /// Ingests (video, start, end, transcript) as ready-made segments.
    pub(crate) async fn ingest(&self, of: &str, segments: &[(&str, f64, f64, &str)]) -> IngestReport {
        let mut lines = String::new();
        for (number, (video, start, end, transcript)) in segments.iter().enumerate() {
            let line = serde_json::json!({
                "video_id": video, "segment_id": number, "start_time": start, "end_time": end,
                "segment_description": "", "audio_transcript": transcript,
            });
            writeln!(lines, "{line}").unwrap();
        }
        let file = self.file("segments.jsonl", &lines);
        self.cogniverse
            .ingest(IngestRequest::new(tenant(of), profile(TEXT), IngestSource::Segments(file)))
            .await
            .unwrap()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Makes an encoder the text profile's for a tenant.
    pub(crate) async fn set_encoder(&self, of: &str, name: &str) {
        let config = self.cogniverse.operator().config();
        let known = config.get_profile(&tenant(of), &profile(TEXT)).await.unwrap().config.value;
        config.set_profile(&tenant(of), &profile(TEXT), known.with_encoder(name)).await.unwrap();
    }
}

/// Counts what it encodes, and fails on demand.
#[derive(Debug)]
pub(crate) struct Probe {
    inner: HashEncoder,
    pub(crate) queries: AtomicUsize,
    pub(crate) segments: AtomicUsize,
    pub(crate) broken: AtomicBool,
}

impl Probe {
    pub(crate) fn new(dims: usize) -> Arc<Self> {
        let inner = HashEncoder::new(dims, VectorKind::Multi);
        Arc::new(Self {
            inner,
            queries: AtomicUsize::new(0),
            segments: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        })
    }

    fn check(&self) -> Result<()> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the model server is away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl QueryEncoder for Probe {
    fn info(&self) -> &EncoderInfo {
        QueryEncoder::info(&self.inner)
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        self.check()?;
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.inner.encode_query(text).await
    }
}

#[async_trait]
impl SegmentEncoder for Probe {
    fn info(&self) -> &EncoderInfo {
        SegmentEncoder::info(&self.inner)
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        self.check()?;
        if segments.iter().any(|segment| segment.text.contains("unencodable")) {
            return Err(Error::invalid("a text that no model takes"));
        }
        self.segments.fetch_add(segments.len(), Ordering::SeqCst);
        self.inner.encode_segments(segments).await
    }
}

/// Whether ffmpeg is there; where it must be and is not, the test fails.
pub(crate) fn ffmpeg_is_there() -> bool {
    let there = std::process::Command::new("ffmpeg").arg("-version").output().is_ok()
        && std::process::Command::new("ffprobe").arg("-version").output().is_ok();
    assert!(there || std::env::var_os("COGNIVERSE_CI").is_none(), "CI must install ffmpeg");
    if !there {
        println!("skipped: ffmpeg is not installed");
    }
    there
}

/// A second profile, whose schema is deployed for a tenant on demand.
pub(crate) const FRAMES: &str = "video_colpali_smol500_mv_frame";

impl World {
    /// Deploys a profile and ingests (video, start, end, transcript) into it.
    pub(crate) async fn ingest_into(&self, of: &str, into: &str, segments: &[(&str, f64, f64, &str)]) {
        self.cogniverse.deploy(&tenant(of), &profile(into)).await.unwrap();
        let mut lines = String::new();
        for (number, (video, start, end, transcript)) in segments.iter().enumerate() {
            let line = serde_json::json!({
                "video_id": video, "segment_id": number, "start_time": start, "end_time": end,
                "audio_transcript": transcript,
            });
            writeln!(lines, "{line}").unwrap();
        }
        let file = self.file(&format!("{into}.jsonl"), &lines);
        let request = IngestRequest::new(tenant(of), profile(into), IngestSource::Segments(file));
        self.cogniverse.ingest(request).await.unwrap();
    }
}

/// A test picture of some seconds, its index at the front or at the end.
pub(crate) fn clip(folder: &std::path::Path, name: &str, seconds: u32, front: bool) -> PathBuf {
    let path = folder.join(name);
    let source = format!("testsrc=duration={seconds}:size=160x120:rate=10");
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p"]);
    if front {
        command.args(["-movflags", "+faststart"]);
    }
    assert!(command.arg(&path).status().unwrap().success());
    path
}
