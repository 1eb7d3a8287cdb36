//! Searches one tenant's videos.
//!
//! Needs: a tenant with ingested videos. Prints: a table of results with times, scores and the words that matched.
//!
//! Without `--profile` the query is routed among the tenant's deployed profiles, and the route is printed. With `--answer` a
//! language model sums the results up, each statement with its moments.
//!
//! `cargo run --example search -- --tenant-id acme_corp machine learning`
//!
//! ```sh
//! cargo run --example search -- --tenant-id acme_corp --answer --ollama-url http://localhost:11434 what is gradient descent
//! ```

mod cli;

use anyhow::{Context, Result};
use clap::Parser;
use cogniverse::{
    AnswerMode, FieldName, Filter, Grouping, Like, MetadataName, PageCursor, ProfileName, SearchEvent, SearchRequest,
    StrategyName, TenantId, TimeRange, VideoId,
    sdk::{FacetRequest, FieldValue, Sort},
};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Searches one tenant's videos")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Who
    #[arg(long)]
    tenant_id: TenantId,
    /// Where; repeat it to fuse several profiles (default: where the query is routed to)
    #[arg(long = "profile")]
    profiles: Vec<ProfileName>,
    /// Sum the results up in a short text with citations (needs --ollama-url)
    #[arg(long)]
    answer: bool,
    /// Reranks the results: signals, language_model or none (default: the tenant's)
    #[arg(long)]
    reranker: Option<String>,
    /// How to rank (default: the profile's)
    #[arg(long)]
    strategy: Option<StrategyName>,
    /// Results a page
    #[arg(long, default_value_t = 10)]
    top_k: usize,
    /// Only segments that meet a condition, as JSON: '{"video_id": "v1", "start_time": {"gte": 3}}'
    #[arg(long)]
    filter: Option<String>,
    /// Only segments that overlap START,END, in seconds
    #[arg(long, value_name = "START,END")]
    time_range: Option<String>,
    /// Merge neighbouring segments into moments
    #[arg(long)]
    moments: bool,
    /// Count the matching segments per video or per value of metadata: video or meta.NAME; repeat it for several
    #[arg(long = "facet", value_name = "FIELD")]
    facets: Vec<String>,
    /// Order by a field in place of the score: a field, video or meta.NAME, with :desc for the reverse
    #[arg(long, value_name = "FIELD")]
    sort: Option<String>,
    /// Read "a phrase", -without and prefix* as operators
    #[arg(long)]
    phrases: bool,
    /// Replace words that no segment has by similar ones
    #[arg(long)]
    typos: bool,
    /// Look for what is like a moment of a video
    #[arg(long, value_name = "VIDEO@SECONDS", conflicts_with = "query")]
    like: Option<String>,
    /// The page after another: what it printed as next
    #[arg(long)]
    cursor: Option<String>,
    /// What to look for
    #[arg(required_unless_present = "like", num_args = 1.., allow_hyphen_values = false)]
    query: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let model = options.common.model()?;
    let builder = options.common.builder()?;
    let builder = model.iter().fold(builder, |builder, model| model.register(builder));
    let cogniverse = options.common.open_with(builder).await?;
    let request = SearchRequest::routed(options.tenant_id, options.query.join(" ")).with_top_k(options.top_k);
    let mut request = options.profiles.into_iter().fold(request, SearchRequest::and_profile);
    if options.answer {
        request = request.with_answer(AnswerMode::Summary);
    }
    if let Some(reranker) = options.reranker {
        request = request.with_reranker(reranker);
    }
    if let Some(model) = &model {
        // Its vectors are those of one profile.
        if request.profiles.is_empty() {
            request = request.and_profile(ProfileName::parse(cli::TEXT_PROFILE)?);
        }
        request = model.ask(request).await?;
    }
    if let Some(strategy) = options.strategy {
        request = request.with_strategy(strategy);
    }
    if let Some(filter) = options.filter {
        request = request.with_filter(Filter::from_json(&serde_json::from_str(&filter)?)?);
    }
    if let Some((start, end)) = options.time_range.as_deref().map(|range| range.split_once(',').unwrap_or((range, "")))
    {
        request = request.with_time_range(TimeRange::new(start.trim().parse()?, end.trim().parse()?)?);
    }
    if options.phrases {
        request = request.with_operators();
    }
    if options.typos {
        request = request.with_typos();
    }
    if let Some(moment) = &options.like {
        let (video, seconds) = moment.rsplit_once('@').context("--like takes VIDEO@SECONDS")?;
        request.like = Some(Like::new(VideoId::parse(video)?, seconds.parse()?));
    }
    for name in &options.facets {
        request = request.with_facet(FacetRequest::new(field(name)?, FACET_VALUES));
    }
    if let Some(order) = &options.sort {
        request = request.sorted_by(match order.strip_suffix(":desc") {
            Some(name) => Sort::descending(field(name)?),
            None => Sort::ascending(field(order)?),
        });
    }
    // All of these are of one profile.
    if request.profiles.is_empty() && (request.like.is_some() || request.sort.is_some()) {
        request = request.and_profile(ProfileName::parse(cli::TEXT_PROFILE)?);
    }
    if options.moments {
        request = request.grouped_by(Grouping::Moments);
    }
    if let Some(cursor) = options.cursor {
        request = request.with_cursor(PageCursor::from_text(cursor));
    }
    let json = options.common.json;
    // The text appears as it is written: below the results, which come first.
    let mut written = 0;
    let answer = cogniverse
        .search_streamed(request, |event| match event {
            SearchEvent::Results(found) if !json => println!("{}", cli::table(found)),
            SearchEvent::Statement(statement) if !json => {
                written += 1;
                println!("• {statement}");
            }
            _ => {}
        })
        .await?;
    if json {
        println!("{}", cli::answer_json(&answer));
        return Ok(());
    }
    if let Some(text) = &answer.answer {
        if let Some(problem) = &text.problem {
            println!("{}: {problem}", if written == 0 { "no text" } else { "the text is incomplete" });
        }
        if text.dropped_statements > 0 {
            println!("{} statements without a source were dropped", text.dropped_statements);
        }
    }
    if let Some(route) = &answer.route {
        println!(
            "routed to {} by {}: {} ({:.2}), {}",
            route.modality, route.tier, route.generation, route.confidence, route.reason
        );
    }
    if let Some(reranking) = &answer.reranking {
        match &reranking.problem {
            Some(problem) => println!("not reranked by {}: {problem}", reranking.reranker),
            None => println!("{} results reranked by {}", reranking.considered, reranking.reranker),
        }
    }
    for profile in &answer.profiles {
        println!("{} segments match in {} by {}", profile.matched, profile.profile, profile.strategy);
        for correction in &profile.corrections {
            println!("  no segment says {}; looked for {}", correction.word, correction.replaced_by.join(", "));
        }
        for facet in &profile.facets {
            let mut table = cli::plain_table([facet.field.as_str(), "segments"]);
            table.add_rows(facet.values.iter().map(|count| [value(&count.value), count.count.to_string()]));
            if facet.others > 0 {
                table.add_row(["others".to_owned(), facet.others.to_string()]);
            }
            println!("{table}");
        }
        if let Some(degraded) = &profile.degraded {
            println!("  in place of {}: {}", degraded.wanted, degraded.reason);
        }
    }
    if let Some(next) = &answer.next {
        println!("next page: --cursor {}", next.as_str());
    }
    Ok(())
}

/// The number of values of a facet that are shown.
const FACET_VALUES: usize = 20;

/// The field that a flag names.
fn field(name: &str) -> Result<FieldName> {
    Ok(match (name, MetadataName::of_written(name)?) {
        ("video", _) => FieldName::parse("video_id")?,
        (_, Some(name)) => name.field()?,
        (other, None) => FieldName::parse(other)?,
    })
}

/// A value for people.
fn value(value: &FieldValue) -> String {
    match value {
        FieldValue::String(text) => text.clone(),
        FieldValue::Integer(number) => number.to_string(),
        FieldValue::Float(number) => number.to_string(),
        FieldValue::Bool(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}
