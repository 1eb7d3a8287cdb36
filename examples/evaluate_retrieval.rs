//! Measures how well a strategy finds the expected video of each query.
//!
//! Needs: a JSONL file of segments and one of queries ({"query", "expected_videos": […]}); for strategies on vectors,
//! --features local-models and --model DIR. Videos are ranked by their best segment.
//! With --pool N, one of N vectors of a segment is left.
//! Prints: the queries that are missed, then one line: mean reciprocal rank, the share at rank 1 and among the first 5, and how
//! many vectors are stored.
//!
//! `cargo run --release --features local-models --example evaluate_retrieval -- --segments F --queries F --strategy S`

mod cli;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cogniverse::{
    Cogniverse, IngestRequest, IngestSource, ProfileName, SearchRequest, StrategyName, Template, TenantId,
    sdk::{FieldValue, TenantSchema, Tensor, document_store::VisitRequest},
};
use serde::Deserialize;
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Results a page: every page is followed until the expected video is found.
const PAGE: usize = 500;

#[derive(Parser)]
#[command(about = "Measures how well a strategy finds the expected video of each query")]
struct Options {
    /// Segments, one JSON object a line
    #[arg(long)]
    segments: PathBuf,
    /// Queries, one JSON object a line
    #[arg(long)]
    queries: PathBuf,
    /// How to rank
    #[arg(long, default_value = "bm25_only")]
    strategy: StrategyName,
    /// How content is cut, encoded and ranked
    #[arg(long, default_value = cli::TEXT_PROFILE)]
    profile: ProfileName,
    /// A folder with all-MiniLM-L6-v2
    #[arg(long)]
    model: Option<PathBuf>,
    /// Leave one of so many vectors of a segment
    #[arg(long, default_value_t = 1, requires = "model")]
    pool: usize,
    /// Keep the index in this folder and use it again (default: a folder that is removed at the end)
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Query {
    query: String,
    expected_videos: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = options.data_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let model = options.model.as_deref().map(|folder| cli::Model::open(folder, options.pool)).transpose()?;
    let cogniverse = Cogniverse::builder().data_dir(&folder).open().await?;
    let tenant = TenantId::parse("evaluation")?;
    let profile = &options.profile;
    cogniverse.ensure_tenant(&tenant, Template::Startup).await?;
    cogniverse.deploy(&tenant, profile).await?;
    let started = Instant::now();
    let source = IngestSource::Segments(options.segments);
    let mut request = IngestRequest::new(tenant.clone(), profile.clone(), source);
    if let Some(model) = &model {
        request = request.with_encoder(model.segments.clone());
    }
    let report = cli::ingest(&cogniverse, request).await?;
    ensure!(report.is_complete(), "not everything was ingested:\n{report}");
    eprintln!(
        "{} segments of {} videos in {:.1} s",
        report.stored() + report.unchanged(),
        report.videos.len(),
        started.elapsed().as_secs_f64()
    );

    let file =
        std::fs::File::open(&options.queries).with_context(|| format!("cannot read {}", options.queries.display()))?;
    let (mut reciprocal, mut first, mut fifth, mut count) = (0.0, 0usize, 0usize, 0usize);
    let mut searching = Duration::ZERO;
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let query: Query =
            serde_json::from_str(&line).with_context(|| format!("{}:{number}", options.queries.display()))?;
        let started = Instant::now();
        let rank = rank(&cogniverse, &tenant, profile, &options.strategy, model.as_ref(), &query).await?;
        searching += started.elapsed();
        count += 1;
        first += usize::from(rank == Some(1));
        fifth += usize::from(rank.is_some_and(|rank| rank <= 5));
        reciprocal += rank.map_or(0.0, |rank| 1.0 / rank as f64);
        if rank.is_none() && !options.json {
            println!("not found: \"{}\"", query.query);
        }
    }
    ensure!(count > 0, "{} holds no query", options.queries.display());
    let share = |part: usize| part as f64 / count as f64;
    let mrr = reciprocal / count as f64;
    let vectors = vectors(&cogniverse, &tenant, profile).await?;
    eprintln!("{:.1} ms a query, encoding included", searching.as_secs_f64() * 1000.0 / count as f64);
    if options.json {
        let json = serde_json::json!({"strategy": options.strategy, "mrr": mrr, "r_at_1": share(first), "r_at_5": share(fifth), "n": count, "vectors": vectors});
        println!("{json}");
    } else {
        println!("MRR={mrr:.4} R@1={:.4} R@5={:.4} n={count} vectors={vectors}", share(first), share(fifth));
    }
    Ok(())
}

/// The float vectors that are stored.
async fn vectors(cogniverse: &Cogniverse, tenant: &TenantId, profile: &ProfileName) -> Result<usize> {
    let schema = cogniverse.operator().config().get_profile(tenant, profile).await?.config.value.schema;
    let mut visit = VisitRequest::new(TenantSchema::new(tenant, &schema)).with_page_size(PAGE);
    let mut count = 0;
    loop {
        let page = cogniverse.operator().backend().visit(visit.clone()).await?;
        let fields = page.documents.iter().flat_map(|document| document.fields.values());
        count += fields
            .map(|value| match value {
                FieldValue::Tensor(Tensor::Vectors(rows)) => rows.len(),
                FieldValue::Tensor(Tensor::Vector(_)) => 1,
                _ => 0,
            })
            .sum::<usize>();
        if page.continuation.is_none() {
            return Ok(count);
        }
        visit = visit.with_continuation(page.continuation);
    }
}

/// The rank, from 1, of the first expected video among the videos by their best segment.
async fn rank(
    cogniverse: &Cogniverse,
    tenant: &TenantId,
    profile: &ProfileName,
    strategy: &StrategyName,
    model: Option<&cli::Model>,
    query: &Query,
) -> Result<Option<usize>> {
    let mut videos: Vec<String> = Vec::new();
    let mut request = SearchRequest::new(tenant.clone(), profile.clone(), &query.query)
        .with_strategy(strategy.clone())
        .with_top_k(PAGE)
        .with_timeout(Duration::from_secs(60));
    if let Some(model) = model {
        request = model.ask(request).await?;
    }
    loop {
        let answer = cogniverse.search(request.clone()).await?;
        for result in answer.results {
            if query.expected_videos.contains(&result.video_id) {
                return Ok(Some(videos.len() + 1));
            }
            if !videos.contains(&result.video_id) {
                videos.push(result.video_id);
            }
        }
        match answer.next {
            Some(next) => request = request.with_cursor(next),
            None => return Ok(None),
        }
    }
}
