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

use anyhow::Result;
use clap::Parser;
use cogniverse::{
    AnswerMode, Filter, Grouping, PageCursor, ProfileName, SearchEvent, SearchRequest, StrategyName, TenantId,
    TimeRange,
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
    /// The page after another: what it printed as next
    #[arg(long)]
    cursor: Option<String>,
    /// What to look for
    #[arg(required = true, num_args = 1..)]
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
        if let Some(degraded) = &profile.degraded {
            println!("  in place of {}: {}", degraded.wanted, degraded.reason);
        }
    }
    if let Some(next) = &answer.next {
        println!("next page: --cursor {}", next.as_str());
    }
    Ok(())
}
