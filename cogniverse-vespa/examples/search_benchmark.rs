//! Searches a sink with this adapter and with a call written by hand, in turn, on one connection each.
//!
//! The adapter writes a query of 20 vectors x 128 and a text, and makes documents of ten hits. The call by hand sends the
//! same bytes, made beforehand, by `reqwest`, and reads the hits into `serde` structs. Needs: the example `sink`, Linux.
//! Prints: CPU per search of both, their ratio (medians over rounds), and searches per second.
//!
//! `cargo run --release -p cogniverse-vespa --example search_benchmark -- --url http://127.0.0.1:P`

#[path = "measured/corpus.rs"]
mod corpus;
#[path = "measured/usage.rs"]
mod usage;

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::Parser;
use cogniverse_sdk::{BackendQuery, Matrix, SearchBackend, StrategyName};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use corpus::Seeded;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use std::{hint::black_box, path::PathBuf, time::Instant};

const ROWS: usize = 20;
const DIMS: usize = 128;

#[derive(Parser)]
#[command(about = "Searches a sink, with the adapter and by hand")]
struct Options {
    /// The sink
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Searches of a round
    #[arg(long, default_value_t = 500)]
    searches: u32,
    /// Rounds
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How to rank
    #[arg(long, default_value = "phased")]
    strategy: StrategyName,
    /// Write the query's bytes to a file, for another client
    #[arg(long)]
    write_body: Option<PathBuf>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// An answer, as one writes it down for a program of one's own.
#[derive(Deserialize)]
struct Answer {
    root: Root,
}

#[derive(Deserialize)]
struct Root {
    fields: Total,
    coverage: Coverage,
    children: Vec<Child>,
}

#[derive(Deserialize)]
struct Total {
    #[serde(rename = "totalCount")]
    total: u64,
}

#[derive(Deserialize)]
struct Coverage {
    full: bool,
}

#[derive(Deserialize)]
struct Child {
    relevance: f64,
    fields: Segment,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what a program reads is made, whether it is shown or not")]
struct Segment {
    documentid: String,
    video_id: String,
    video_title: String,
    source_url: String,
    creation_timestamp: i64,
    segment_id: i64,
    start_time: f64,
    end_time: f64,
    segment_description: String,
    audio_transcript: String,
}

/// What one search took.
#[derive(Clone, Copy)]
struct Cost {
    cpu_micros: f64,
    per_second: f64,
}

impl Cost {
    /// Of a round that began at a time and with some CPU used.
    fn since(started: Instant, used: std::time::Duration, searches: u32) -> Result<Self> {
        let count = f64::from(searches);
        let cpu_micros = (usage::cpu_time()? - used).as_secs_f64() * 1e6 / count;
        Ok(Self { cpu_micros, per_second: count / started.elapsed().as_secs_f64() })
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let (_, schema) = corpus::schema()?;
    let mut seeded = Seeded(11);
    let cells = (0..ROWS * DIMS).map(|_| (seeded.unit() - 0.5) * 0.2).collect();
    let query = BackendQuery::new(schema, options.strategy.clone())
        .with_text(seeded.text(20))
        .with_vectors(Matrix::new(DIMS, cells)?);
    let backend = VespaBackend::new(VespaConfig::new(&options.url, &options.url))?;
    ensure!(backend.search(query.clone()).await?.hits.len() == 10, "the sink gives ten hits");
    let client = reqwest::Client::builder().tcp_nodelay(true).build()?;
    let body = client.get(format!("{}/sink/search", options.url)).send().await?.bytes().await?;
    if let Some(path) = &options.write_body {
        return Ok(std::fs::write(path, &body)?);
    }
    let url = format!("{}/search/", options.url);
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    // The first round warms both up.
    for round in 0..=options.rounds {
        let (started, used) = (Instant::now(), usage::cpu_time()?);
        for _ in 0..options.searches {
            black_box(backend.search(query.clone()).await?);
        }
        let adapter = Cost::since(started, used, options.searches)?;
        let (started, used) = (Instant::now(), usage::cpu_time()?);
        for _ in 0..options.searches {
            let answer = search_by_hand(&client, &url, &body).await?;
            ensure!(answer.root.coverage.full && answer.root.fields.total == 100 && answer.root.children.len() == 10);
            ensure!(
                answer.root.children.iter().all(|child| child.relevance > 0.0 && !child.fields.video_id.is_empty())
            );
            black_box(answer);
        }
        let hand = Cost::since(started, used, options.searches)?;
        if round > 0 {
            ours.push(adapter);
            by_hand.push(hand);
        }
    }
    let ratio = median(ours.iter().zip(&by_hand).map(|(ours, hand)| ours.cpu_micros / hand.cpu_micros));
    let [ours, by_hand] = [ours, by_hand].map(|costs| Cost {
        cpu_micros: median(costs.iter().map(|cost| cost.cpu_micros)),
        per_second: median(costs.iter().map(|cost| cost.per_second)),
    });
    if options.json {
        println!(
            "{}",
            serde_json::json!({
                "body_bytes": body.len(), "cpu_ratio": ratio, "cpu_micros": ours.cpu_micros,
                "cpu_micros_by_hand": by_hand.cpu_micros, "searches_per_second": ours.per_second,
                "searches_per_second_by_hand": by_hand.per_second,
            })
        );
    } else {
        println!("adapter: {:.1} us of CPU per search, {:.0} per second", ours.cpu_micros, ours.per_second);
        println!("by hand: {:.1} us of CPU per search, {:.0} per second", by_hand.cpu_micros, by_hand.per_second);
        println!("ratio of CPU {ratio:.2}, with a body of {} bytes", body.len());
    }
    Ok(())
}

async fn search_by_hand(client: &reqwest::Client, url: &str, body: &Bytes) -> Result<Answer> {
    let request = client.post(url).header(CONTENT_TYPE, "application/json").body(body.clone());
    Ok(request.send().await?.error_for_status()?.json().await?)
}
