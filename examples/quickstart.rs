//! The main job: two tenants, one agent, and neither sees the other.
//!
//! Needs: nothing; with `--videos DIR`, ffmpeg. Without `--data-dir` it works in a folder that goes with it.
//! Prints: what each tenant finds for one query, and that words of one tenant find nothing at the other.
//!
//! `cargo run --release --example quickstart`

mod cli;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use cogniverse::{Cogniverse, IngestRequest, IngestSource, ProfileName, SearchRequest, TenantId};
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(about = "Two tenants, one agent, and neither sees the other")]
struct Options {
    /// Keep what is made in this folder (default: a folder that is removed at the end)
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Two tenants (default: acme_corp and globex_inc)
    #[arg(long = "tenant-id", num_args = 1)]
    tenants: Vec<TenantId>,
    /// How content is cut, encoded and ranked
    #[arg(long, default_value = cli::TEXT_PROFILE)]
    profile: ProfileName,
    /// Videos to ingest for both tenants, in place of the small corpus
    #[arg(long)]
    videos: Option<PathBuf>,
    /// What to look for
    #[arg(default_value = "machine learning")]
    query: String,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
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
    let [first, second] = tenants.as_slice() else { bail!("give --tenant-id twice, or not at all") };
    ensure!(first != second, "give --tenant-id with two different ids");
    let say = |text: String| {
        if !options.json {
            println!("{text}")
        }
    };

    // 1. Two tenants, their schemas, their videos.
    let mut ingested = BTreeMap::new();
    for (tenant, corpus) in tenants.iter().zip(["acme_corp.jsonl", "globex_inc.jsonl"]) {
        cli::ensure_tenant(&cogniverse, tenant).await?;
        cogniverse.deploy(tenant, profile).await?;
        let source = match &options.videos {
            Some(folder) => IngestSource::Folder(folder.clone()),
            None => {
                IngestSource::Segments(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(corpus))
            }
        };
        let report = cli::ingest(&cogniverse, IngestRequest::new(tenant.clone(), profile.clone(), source)).await?;
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
        say(format!("\n{tenant} searches \"{}\":\n{}", options.query, cli::table(&answer)));
        answers.insert(tenant.clone(), cli::answer_json(&answer));
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
    temporary.close().context("removing the temporary folder")
}
