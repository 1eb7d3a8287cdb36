//! Lists, shows, changes and deletes a tenant's ingested videos, and lists the jobs that ingested them.
//!
//! Needs: a tenant with ingested videos. Prints: a table of videos, one video with its transcript, or what was changed.
//!
//! `cargo run --example videos -- list --tenant-id acme_corp`
//!
//! ```sh
//! cargo run --example videos -- update --tenant-id acme_corp v1 --set title="A better title" --set meta.speaker="Ada"
//! ```

mod cli;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use cogniverse::{
    Cogniverse, MetadataName, MetadataType, PageCursor, ProfileName, TenantId, VideoId,
    catalogue::{VideoQuery, VideoRecord, VideoSort, VideoUpdate},
};
use serde_json::json;
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "Lists, shows, changes and deletes a tenant's ingested videos")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    #[command(subcommand)]
    what: What,
}

#[derive(Args)]
struct Of {
    /// Who
    #[arg(long)]
    tenant_id: TenantId,
    /// Where
    #[arg(long, default_value = cli::TEXT_PROFILE)]
    profile: ProfileName,
}

#[derive(Subcommand)]
enum What {
    /// Lists videos
    List {
        #[command(flatten)]
        of: Of,
        /// The order
        #[arg(long, value_enum, default_value = "title")]
        sort: Order,
        /// In reverse
        #[arg(long)]
        descending: bool,
        /// Videos a page
        #[arg(long, default_value_t = 100)]
        page_size: usize,
        /// The page after another: what it printed as next
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Shows a video with its transcript
    Show {
        #[command(flatten)]
        of: Of,
        /// The id of the video
        id: VideoId,
    },
    /// Deletes a video with its segments
    Delete {
        #[command(flatten)]
        of: Of,
        /// The id of the video
        id: VideoId,
    },
    /// Changes what is said about a video; the next ingest keeps it
    Update {
        #[command(flatten)]
        of: Of,
        /// The id of the video
        id: VideoId,
        /// title=…, url=…, recorded_at=2026-11-28 or meta.NAME=…; an empty value removes metadata
        #[arg(long = "set", value_name = "NAME=VALUE", required = true)]
        set: Vec<String>,
    },
    /// Writes a picture of a video to a JPEG file
    Thumbnail {
        #[command(flatten)]
        of: Of,
        /// The id of the video
        id: VideoId,
        /// The time in seconds
        #[arg(long, default_value_t = 0.0)]
        at: f64,
        /// The file to write
        #[arg(long)]
        out: PathBuf,
    },
    /// Lists the ingest jobs, the newest first
    Jobs {
        /// Who
        #[arg(long)]
        tenant_id: TenantId,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Order {
    Title,
    Ingested,
    Recorded,
    Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let json = options.common.json;
    match options.what {
        What::List { of, sort, descending, page_size, cursor } => {
            let mut query = VideoQuery::new(of.tenant_id, of.profile)
                .sorted_by(match sort {
                    Order::Title => VideoSort::Title,
                    Order::Ingested => VideoSort::IngestedAt,
                    Order::Recorded => VideoSort::RecordedAt,
                    Order::Duration => VideoSort::Duration,
                })
                .with_page_size(page_size)
                .with_cursor(cursor.map(PageCursor::from_text));
            if descending {
                query = query.descending();
            }
            let page = cogniverse.catalogue().videos(query).await?;
            if json {
                println!("{}", serde_json::to_string(&page)?);
                return Ok(());
            }
            let header = ["id", "title", "length", "segments", "transcript", "state", "ingested"];
            let mut table = cli::plain_table(header);
            table.add_rows(page.videos.iter().map(row));
            println!("{table}");
            if let Some(next) = &page.next {
                println!("next page: --cursor {}", next.as_str());
            }
        }
        What::Show { of, id } => {
            let found = cogniverse.catalogue().video(&of.tenant_id, &of.profile, &id).await?;
            if json {
                println!("{}", serde_json::to_string(&found)?);
                return Ok(());
            }
            show(&found.video, found.stored_segments);
            for spoken in &found.spoken {
                println!("{} {}", cli::clock(spoken.start_time), spoken.text);
            }
        }
        What::Delete { of, id } => {
            let removed = cogniverse.catalogue().delete_video(&of.tenant_id, &of.profile, &id).await?;
            match json {
                true => println!("{}", json!({"video_id": id, "removed_segments": removed})),
                false => println!("{id} is deleted with {removed} segments"),
            }
        }
        What::Update { of, id, set } => {
            let update = update(&cogniverse, &of, &set).await?;
            let changed = cogniverse.catalogue().update_video(&of.tenant_id, &of.profile, &id, update).await?;
            match json {
                true => println!("{}", serde_json::to_string(&changed)?),
                false => show(&changed, changed.segments),
            }
        }
        What::Thumbnail { of, id, at, out } => {
            let picture = cogniverse.catalogue().thumbnail(&of.tenant_id, &of.profile, &id, at).await?;
            std::fs::write(&out, &picture).with_context(|| format!("cannot write {}", out.display()))?;
            match json {
                true => println!("{}", json!({"file": out, "bytes": picture.len()})),
                false => println!("{} has {} bytes", out.display(), picture.len()),
            }
        }
        What::Jobs { tenant_id } => {
            let page = cogniverse.catalogue().jobs(&tenant_id, 100, None).await?;
            if json {
                println!("{}", serde_json::to_string(&page)?);
                return Ok(());
            }
            let header = ["job", "state", "started", "profile", "source", "videos", "failed", "segments"];
            let rows = page.jobs.iter().map(|job| {
                let videos = format!("{} of {}", job.finished, job.videos);
                let (state, started, failed) = (job.state.to_string(), minute(job.started_at), job.failed.to_string());
                let (id, profile) = (job.id.to_string(), job.profile.to_string());
                vec![id, state, started, profile, job.source.clone(), videos, failed, job.segments.to_string()]
            });
            let mut table = cli::plain_table(header);
            table.add_rows(rows);
            println!("{table}");
        }
    }
    Ok(())
}

fn minute(at: cogniverse::sdk::Timestamp) -> String {
    at.strftime("%F %H:%M").to_string()
}

fn row(video: &VideoRecord) -> Vec<String> {
    vec![
        video.video_id.to_string(),
        video.title.clone(),
        video.duration.map(cli::clock).unwrap_or_default(),
        video.segments.to_string(),
        json!(video.transcript).as_str().unwrap_or_default().to_owned(),
        video.state.to_string(),
        minute(video.ingested_at),
    ]
}

fn show(video: &VideoRecord, segments: usize) {
    println!("{}  {}", video.video_id, video.title);
    let told = [
        ("source", video.source.clone()),
        ("address", video.url.clone()),
        ("recorded", video.recorded_at.map(minute)),
        ("length", video.duration.map(cli::clock)),
        ("language", video.language.clone()),
        ("transcript", video.transcript_file.clone()),
        ("model", video.model.clone()),
        ("reason", video.reason.clone()),
    ];
    for (name, value) in told.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        println!("  {name}: {value}");
    }
    for (name, value) in &video.metadata {
        println!("  meta.{name}: {value}");
    }
    println!("  {segments} segments, {}, ingested {}", video.state, minute(video.ingested_at));
}

/// Makes an update of `NAME=VALUE`.
async fn update(cogniverse: &Cogniverse, of: &Of, set: &[String]) -> Result<VideoUpdate> {
    let profile = cogniverse.get_profile(&of.tenant_id, &of.profile).await?.config.value;
    let mut update = VideoUpdate::default();
    for part in set {
        let (name, value) = part.split_once('=').with_context(|| format!("{part:?} is no NAME=VALUE"))?;
        update = match (name, MetadataName::of_written(name)?) {
            ("title", _) => update.with_title(value),
            ("url", _) => update.with_url(value),
            ("recorded_at", _) => match MetadataType::Date.read(&json!(value))? {
                cogniverse::MetadataValue::Date(at) => update.with_recorded_at(at),
                _ => bail!("{value:?} is no date"),
            },
            (_, Some(name)) if value.is_empty() => update.without_metadata(name),
            (_, Some(name)) => {
                let kind = profile.metadata.get(&name).with_context(|| {
                    let declared: Vec<&str> = profile.metadata.keys().map(MetadataName::as_str).collect();
                    format!("profile {} declares no metadata {name}; it declares: {}", of.profile, declared.join(", "))
                })?;
                let parts = || value.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
                let value = if *kind == MetadataType::List { json!(parts()) } else { json!(value) };
                update.with_metadata(name, kind.read(&value)?)
            }
            (other, None) => bail!("{other} cannot be set; set title, url, recorded_at or meta.NAME"),
        };
    }
    Ok(update)
}
