//! Ingests a folder of videos, or a file of ready-made segments, for a tenant.
//!
//! Needs: a tenant with the profile's schema; for videos, ffmpeg. Transcripts lie beside the videos (.srt, .vtt, .json); what is
//! said in videos without one is written down by --transcriber, a server of OpenAI's transcription route, or by
//! --transcriber-command, a program of this machine.
//! Prints: the outcome of each video. A second run does no work, and transcribes nothing.
//!
//! `cargo run --example ingest_videos -- --video-dir D --profile P --tenant-id T [--transcriber http://localhost:8000]`

mod cli;

use anyhow::{Result, ensure};
use clap::Parser;
use cogniverse::{
    IngestRequest, IngestSource, ProfileName, TenantId,
    config::Segmentation,
    ingestion::{CommandScreenReader, CommandTranscriber, Speech, SpeechFailure},
    sdk::{FrameDescriber, Transcriber},
};
use cogniverse_model_servers::{OpenAiTranscriber, ServerConfig};
use cogniverse_ollama::{OllamaClient, OllamaConfig, OllamaDescriber};
use cogniverse_openai::{OpenAiClient, OpenAiConfig, OpenAiDescriber};
use std::{path::PathBuf, process::ExitCode, sync::Arc};

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
    /// A server that writes down what is said, before its /v1/audio/transcriptions
    #[arg(long, value_name = "URL", env = "COGNIVERSE_TRANSCRIBER")]
    transcriber: Option<String>,
    /// Its model
    #[arg(long, value_name = "NAME", default_value = "whisper-1")]
    transcriber_model: String,
    /// Its API key
    #[arg(long, value_name = "KEY", env = "COGNIVERSE_TRANSCRIBER_API_KEY", hide_env_values = true)]
    transcriber_api_key: Option<String>,
    /// A program that writes down what is said, such as "whisper-cli -m M -l {language} -f {audio} -osrt -of {out}"
    #[arg(long, value_name = "LINE", conflicts_with = "transcriber")]
    transcriber_command: Option<String>,
    /// The language that is spoken, such as en (default: the model finds out)
    #[arg(long)]
    language: Option<String>,
    /// Store videos whose speech could not be written down without words, rather than not at all
    #[arg(long)]
    without_words: bool,
    /// Remove the videos that are not in the folder any more
    #[arg(long, requires = "video_dir")]
    prune: bool,
    /// A server of a vision model that describes pictures: an Ollama, or a server of OpenAI's API by its address with /v1
    #[arg(long, value_name = "URL", requires = "describe_model")]
    describe: Option<String>,
    /// Its model, such as gemma3:4b
    #[arg(long, value_name = "NAME")]
    describe_model: Option<String>,
    /// A program that reads text on screen, such as "python3 examples/screen_reader.py" (docs/seeing.md)
    #[arg(long, value_name = "COMMAND")]
    read_screen: Option<String>,
    /// Segments by shots, in place of the profile's segmentation
    #[arg(long)]
    shots: bool,
    /// Videos worked on at once
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let model = options.common.model()?;
    let mut builder = options.common.builder()?;
    if let Some(transcriber) = transcriber(&options)? {
        let speech = Speech::new(transcriber);
        builder = builder.speech(match options.without_words {
            true => speech.with_failure(SpeechFailure::StoreWithoutWords),
            false => speech,
        });
    }
    let (describes, reads) = (options.describe.is_some(), options.read_screen.is_some());
    if let (Some(url), Some(name)) = (&options.describe, &options.describe_model) {
        builder = builder.frame_describer(describer(url, name).await?);
    }
    if let Some(line) = &options.read_screen {
        builder = builder.screen_reader(Arc::new(CommandScreenReader::parse(line)?));
    }
    let cogniverse = options.common.open_with(builder).await?;
    let (tenant, profile) = (options.tenant_id, options.profile);
    let source = match (options.segments, options.video_dir) {
        (Some(file), _) => IngestSource::Segments(file),
        (None, folder) => IngestSource::Folder(folder.unwrap_or_default()),
    };
    let mut request = IngestRequest::new(tenant.clone(), profile.clone(), source).with_concurrency(options.concurrency);
    if let Some(model) = model {
        request = request.with_encoder(model.segments);
    }
    if describes {
        request = request.describing();
    }
    if reads {
        request = request.reading_screens();
    }
    if options.shots {
        request = request.with_segmentation(Segmentation::shots(SHOT_THRESHOLD));
    }
    if options.prune {
        request = request.with_prune();
    }
    if let Some(language) = options.language {
        request = request.with_language(language);
    }
    let report = cli::ingest(&cogniverse, request).await?;
    if options.common.json {
        let json = serde_json::json!({
            "tenant_id": tenant, "profile": profile, "complete": report.is_complete(), "stored": report.stored(),
            "unchanged": report.unchanged(), "refused": report.refused(), "videos": report.videos,
            "passed_over": report.passed_over, "passed_over_count": report.passed_over_count,
            "pruned": report.pruned, "pruned_count": report.pruned_count,
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

/// The share of the picture that changes where a shot ends.
const SHOT_THRESHOLD: f64 = 0.3;

/// The vision model behind an address.
async fn describer(url: &str, name: &str) -> Result<Arc<dyn FrameDescriber>> {
    Ok(match url.trim_end_matches('/').ends_with("/v1") {
        true => Arc::new(OpenAiDescriber::new(OpenAiClient::new(OpenAiConfig::new(url))?, name)?),
        false => Arc::new(OllamaDescriber::connect(OllamaClient::new(OllamaConfig::new(url))?, name).await?),
    })
}

fn transcriber(options: &Options) -> Result<Option<Arc<dyn Transcriber>>> {
    if let Some(line) = &options.transcriber_command {
        return Ok(Some(Arc::new(CommandTranscriber::parse(line)?)));
    }
    let Some(url) = &options.transcriber else { return Ok(None) };
    let server = ServerConfig::new(url);
    let server = options.transcriber_api_key.iter().fold(server, |server, key| server.with_api_key(key));
    Ok(Some(Arc::new(OpenAiTranscriber::new(server, &options.transcriber_model)?)))
}
