//! Feeds documents of 1 KB to a sink, and says how fast, at what cost and in how much memory.
//!
//! Needs: the example `sink`, Linux. Prints: documents per second, seconds of CPU per 100,000 documents, the peak of memory.
//! `--write FILE` writes the same documents for `vespa feed` instead, and `--input FILE` feeds such a file.
//!
//! `cargo run --release -p cogniverse-vespa --example feed_benchmark -- --url http://127.0.0.1:P --documents 100000`

#[path = "measured/corpus.rs"]
mod corpus;
#[path = "measured/peak.rs"]
mod peak;
#[path = "measured/usage.rs"]
mod usage;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cogniverse_sdk::{Document, DocumentId, FieldName, document_store::OutcomeStatus};
use cogniverse_vespa::{FeedOperation, VespaBackend, VespaConfig};
use corpus::Seeded;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    time::Instant,
};

#[derive(Parser)]
#[command(about = "Feeds documents of 1 KB to a sink")]
struct Options {
    /// The sink
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// How many
    #[arg(long, default_value_t = 100_000)]
    documents: u64,
    /// HTTP/2 connections (default: the adapter's)
    #[arg(long)]
    connections: Option<usize>,
    /// Threads of the runtime
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Feed this file of JSON lines in place of documents made here
    #[arg(long)]
    input: Option<PathBuf>,
    /// Write such a file, and feed nothing
    #[arg(long)]
    write: Option<PathBuf>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// Makes documents: names parsed once, words from a pool.
struct Maker {
    names: [FieldName; 6],
    texts: Vec<String>,
}

impl Maker {
    fn new() -> Result<Self> {
        let name = |name: &str| FieldName::parse(name);
        let names = [
            name("video_id")?,
            name("segment_id")?,
            name("start_time")?,
            name("end_time")?,
            name("segment_description")?,
            name("audio_transcript")?,
        ];
        let mut seeded = Seeded(7);
        Ok(Self { names, texts: (0..256).map(|_| seeded.text(440)).collect() })
    }

    /// About 1 KB as JSON.
    fn line(&self, number: u64) -> Result<Line> {
        let text = |place: u64| {
            let place = usize::try_from(place % 256)?;
            self.texts.get(place).cloned().context("the pool has 256 texts")
        };
        let segment = i64::try_from(number % 50)?;
        let start = f64::from(u32::try_from(segment * 10)?);
        let fields = Values {
            video_id: format!("v{}", number / 50),
            segment_id: segment,
            start_time: start,
            end_time: start + 10.0,
            segment_description: text(number)?,
            audio_transcript: text(number / 256)?,
        };
        Ok(Line { put: format!("v{}/{segment}", number / 50), fields })
    }

    fn document(&self, line: Line) -> Result<Document> {
        let [video, segment, start, end, description, transcript] = self.names.clone();
        let Line { put, fields } = line;
        Ok(Document::new(DocumentId::parse(put)?)
            .with(video, fields.video_id)
            .with(segment, fields.segment_id)
            .with(start, fields.start_time)
            .with(end, fields.end_time)
            .with(description, fields.segment_description)
            .with(transcript, fields.audio_transcript))
    }
}

/// One line of a feed file.
#[derive(Deserialize, serde::Serialize)]
struct Line {
    put: String,
    fields: Values,
}

#[derive(Deserialize, serde::Serialize)]
struct Values {
    video_id: String,
    segment_id: i64,
    start_time: f64,
    end_time: f64,
    segment_description: String,
    audio_transcript: String,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let maker = Maker::new()?;
    if let Some(path) = &options.write {
        return write(&maker, path, options.documents);
    }
    let runtime = match options.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    match &options.input {
        Some(path) => {
            let lines = BufReader::with_capacity(1 << 16, File::open(path)?).lines();
            let prefix = prefix()?;
            let documents = lines.map(|line| {
                let mut line: Line = serde_json::from_str(&line?)?;
                line.put = line.put.strip_prefix(&prefix).context("a document of another schema")?.to_owned();
                maker.document(line)
            });
            runtime.block_on(feed(&options, documents))
        }
        None => {
            let documents = (0..options.documents).map(|number| maker.document(maker.line(number)?));
            runtime.block_on(feed(&options, documents))
        }
    }
}

fn prefix() -> Result<String> {
    Ok(format!("id:cogniverse:{}::", corpus::schema()?.1.physical_name()))
}

fn write(maker: &Maker, path: &PathBuf, documents: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let prefix = prefix()?;
    for number in 0..documents {
        let mut line = maker.line(number)?;
        line.put.insert_str(0, &prefix);
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

async fn feed(options: &Options, documents: impl Iterator<Item = Result<Document>>) -> Result<()> {
    let (_, schema) = corpus::schema()?;
    let mut config = VespaConfig::new(&options.url, &options.url);
    if let Some(connections) = options.connections {
        let max = config.max_in_flight;
        config = config.with_feed(connections, max);
    }
    let backend = VespaBackend::new(config)?;
    let (started, used) = (Instant::now(), usage::cpu_time()?);
    let mut broken = None;
    // What cannot be read ends the feed, and is told after it.
    let operations = documents.map_while(|document| match document {
        Ok(document) => Some(FeedOperation::put(document)),
        Err(error) => {
            broken = Some(error);
            None
        }
    });
    let mut fed = 0_u32;
    {
        let feed = backend.feed(&schema, stream::iter(operations)).await?;
        let mut feed = std::pin::pin!(feed);
        while let Some(outcome) = feed.next().await {
            ensure!(outcome.status == OutcomeStatus::Stored, "{}: {:?}", outcome.id, outcome.error);
            fed += 1;
        }
    }
    if let Some(error) = broken {
        return Err(error);
    }
    let (seconds, cpu) = (started.elapsed().as_secs_f64(), (usage::cpu_time()? - used).as_secs_f64());
    let (count, peak) = (f64::from(fed), peak::peak_mib()?);
    let (per_second, per_100k) = (count / seconds, cpu / count * 100_000.0);
    if options.json {
        println!(
            "{}",
            serde_json::json!({
                "documents": fed, "seconds": seconds, "documents_per_second": per_second,
                "cpu_seconds_per_100k": per_100k, "peak_mib": peak,
            })
        );
    } else {
        println!("{fed} documents in {seconds:.2} s: {per_second:.0} per second");
        println!("{per_100k:.2} s of CPU per 100,000; {peak:.0} MiB at most");
    }
    Ok(())
}
