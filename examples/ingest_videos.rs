//! Ingests a folder of videos, or a file of ready-made segments, for a tenant.
//!
//! Needs: a tenant with the profile's schema; for videos, ffmpeg. Transcripts lie beside the videos (.srt, .vtt, .json).
//! Prints: what became of each video. A second run does no work.
//!
//! `cargo run --example ingest_videos -- --video-dir D --profile P --tenant-id T`

mod cli;

use anyhow::{Result, ensure};
use clap::Parser;
use cogniverse::{IngestRequest, IngestSource, ProfileName, TenantId};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "Ingests videos or ready-made segments for a tenant")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Who
    #[arg(long)]
    tenant_id: TenantId,
    /// How content is cut, encoded and ranked
    #[arg(long, default_value = cli::TEXT_PROFILE)]
    profile: ProfileName,
    /// A folder of videos; those in folders below it too
    #[arg(long, required_unless_present = "segments")]
    video_dir: Option<PathBuf>,
    /// A JSONL file of segments, in place of videos
    #[arg(long, conflicts_with = "video_dir")]
    segments: Option<PathBuf>,
    /// Videos worked on at once
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let (tenant, profile) = (options.tenant_id, options.profile);
    options.common.use_model(&cogniverse, &tenant, &profile).await?;
    let source = match (options.segments, options.video_dir) {
        (Some(file), _) => IngestSource::Segments(file),
        (None, folder) => IngestSource::Folder(folder.unwrap_or_default()),
    };
    let request = IngestRequest::new(tenant.clone(), profile.clone(), source).with_concurrency(options.concurrency);
    let report = cli::ingest(&cogniverse, request).await?;
    if options.common.json {
        let json = serde_json::json!({
            "tenant_id": tenant, "profile": profile, "complete": report.is_complete(), "stored": report.stored(),
            "unchanged": report.unchanged(), "refused": report.refused(), "videos": report.videos,
        });
        println!("{json}");
    } else {
        println!("{report}");
    }
    ensure!(
        report.is_complete(),
        "not everything is stored; what failed is named above, and a second run tries only that again"
    );
    Ok(())
}
