//! The main job: two tenants, one agent, and neither sees the other.
//!
//! Needs: nothing; with `--videos DIR`, ffmpeg. Without `--data-dir` it works in a temporary folder.
//! Prints: what each tenant finds for one query, and that one tenant's words find nothing at the other.
//!
//! `cargo run --release --example quickstart`

#[path = "cli/answer.rs"]
mod answer;

use cogniverse::{
    Cogniverse, IngestRequest, IngestSource, ProfileName, ProgressEvent, ProgressSink, SearchRequest, Template,
    TenantId,
};
use lexopt::prelude::*;
use std::{collections::BTreeMap, error::Error, path::PathBuf, process::ExitCode, sync::Arc};

const HELP: &str = "Two tenants, one agent, and neither sees the other

Usage: quickstart [OPTIONS] [QUERY]

  [QUERY]            What to look for [default: machine learning]
  --data-dir DIR     Keep what is made in this folder [default: a folder that is removed at the end]
  --tenant-id ID     One of two tenants; give it twice [default: acme_corp and globex_inc]
  --profile NAME     How content is cut, encoded and ranked [default: video_text_minilm_mv_segment]
  --videos DIR       Videos to ingest for both tenants, in place of the small corpus
  --json             Print one JSON object on standard output, and nothing else there
  -h, --help         Print this help";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Options {
    data_dir: Option<PathBuf>,
    tenants: Vec<TenantId>,
    profile: ProfileName,
    videos: Option<PathBuf>,
    query: String,
    json: bool,
}

impl Options {
    /// The command line; `None` where it asks for help.
    fn parse() -> Result<Option<Self>> {
        let mut options = Self {
            data_dir: None,
            tenants: Vec::new(),
            profile: ProfileName::parse(answer::TEXT_PROFILE)?,
            videos: None,
            query: String::new(),
            json: false,
        };
        let mut parser = lexopt::Parser::from_env();
        let mut words = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("data-dir") => options.data_dir = Some(parser.value()?.into()),
                Long("tenant-id") => options.tenants.push(TenantId::parse(parser.value()?.string()?)?),
                Long("profile") => options.profile = ProfileName::parse(parser.value()?.string()?)?,
                Long("videos") => options.videos = Some(parser.value()?.into()),
                Long("json") => options.json = true,
                Short('h') | Long("help") => return Ok(None),
                Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        options.query = if words.is_empty() { "machine learning".to_owned() } else { words.join(" ") };
        Ok(Some(options))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Options::parse() {
        Ok(Some(options)) => run(options).await,
        Ok(None) => {
            println!("{HELP}");
            Ok(())
        }
        Err(error) => {
            eprintln!("error: {error}; --help lists the options");
            return ExitCode::from(2);
        }
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    let (mut message, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        message.push_str(&format!(": {next}"));
        cause = next.source();
    }
    eprintln!("error: {message}");
    ExitCode::FAILURE
}

/// Names each video that is begun, on standard error.
#[derive(Debug)]
struct Progress;

impl ProgressSink for Progress {
    fn event(&self, event: &ProgressEvent) {
        if let ProgressEvent::VideoStarted { name, segments } = event {
            eprintln!("  {name} ({segments} segments)");
        }
    }
}

/// Ends the run with a message where a condition does not hold.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => { if !$condition { return Err(format!($($message)+).into()); } };
}

async fn run(options: Options) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = options.data_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let cogniverse = Cogniverse::builder().data_dir(&folder).open().await?;
    let profile = &options.profile;
    let tenants = match options.tenants.as_slice() {
        [] => vec![TenantId::parse("acme_corp")?, TenantId::parse("globex_inc")?],
        given => given.to_vec(),
    };
    let [first, second] = tenants.as_slice() else { return Err("give --tenant-id twice, or not at all".into()) };
    ensure!(first != second, "give --tenant-id with two different ids");
    let say = |text: String| {
        if !options.json {
            println!("{text}")
        }
    };

    // 1. Two tenants, their schemas, their videos.
    let mut ingested = BTreeMap::new();
    for (tenant, corpus) in tenants.iter().zip(["acme_corp.jsonl", "globex_inc.jsonl"]) {
        cogniverse.ensure_tenant(tenant, Template::Startup).await?;
        cogniverse.deploy(tenant, profile).await?;
        let source = match &options.videos {
            Some(folder) => IngestSource::Folder(folder.clone()),
            None => {
                IngestSource::Segments(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(corpus))
            }
        };
        let mut request = IngestRequest::new(tenant.clone(), profile.clone(), source);
        if options.videos.is_some() {
            request = request.with_progress(Arc::new(Progress));
        }
        let report = cogniverse.ingest(request).await?;
        let stored = report.stored() + report.unchanged();
        say(format!("✓ {tenant}: {} videos, {stored} segments", report.videos.len()));
        ensure!(report.is_complete(), "not everything was ingested for {tenant}:\n{report}");
        ingested.insert(tenant.clone(), stored);
    }

    // 2. One agent serves both: tenant and profile come with each call.
    let mut answers = BTreeMap::new();
    for tenant in &tenants {
        let answer = cogniverse
            .search(SearchRequest::new(tenant.clone(), profile.clone(), &options.query).with_top_k(3))
            .await?;
        say(format!("\n{tenant} searches \"{}\":\n{}", options.query, answer::table(&answer.results)));
        answers.insert(tenant.clone(), answer::answer_json(&answer));
    }

    // 3. Neither sees the other: with the small corpus, each has words that the other lacks.
    let mut isolation = Vec::new();
    if options.videos.is_none() {
        for (own, word) in tenants.iter().zip(["sourdough", "surfer"]) {
            for tenant in &tenants {
                let found =
                    cogniverse.search(SearchRequest::new(tenant.clone(), profile.clone(), word)).await?.results.len();
                ensure!(
                    (found > 0) == (tenant == own),
                    "{tenant} finds {found} results for \"{word}\", which is {own}'s"
                );
                say(format!("✓ \"{word}\" at {tenant}: {found} results"));
                isolation.push(serde_json::json!({"tenant_id": tenant, "query": word, "hits": found}));
            }
        }
    }
    if options.json {
        println!("{}", serde_json::json!({"segments": ingested, "answers": answers, "isolation": isolation}));
    } else if options.data_dir.is_none() {
        println!(
            "\nNext: keep it with --data-dir DIR, then `cargo run --example search -- --data-dir DIR --tenant-id {} coffee`",
            first
        );
    }
    drop(cogniverse);
    Ok(temporary.close()?)
}
