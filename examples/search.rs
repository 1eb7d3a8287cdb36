//! Searches one tenant's videos.
//!
//! Needs: a tenant with ingested videos. Prints: a table of results with times, scores and the words that matched.
//!
//! `cargo run --example search -- --tenant-id acme_corp machine learning`

mod cli;

use anyhow::Result;
use clap::Parser;
use cogniverse::{Filter, Grouping, PageCursor, ProfileName, SearchRequest, StrategyName, TenantId, TimeRange};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Searches one tenant's videos")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Who
    #[arg(long)]
    tenant_id: TenantId,
    /// Where; repeat it to fuse several profiles
    #[arg(long = "profile", default_value = cli::TEXT_PROFILE)]
    profiles: Vec<ProfileName>,
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
    let mut profiles = options.profiles.into_iter();
    let first = profiles.next().unwrap_or(ProfileName::parse(cli::TEXT_PROFILE)?);
    let mut request = SearchRequest::new(options.tenant_id, first, options.query.join(" ")).with_top_k(options.top_k);
    request = profiles.fold(request, SearchRequest::and_profile);
    if let Some(model) = &model {
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
    let answer = cogniverse.search(request).await?;
    if options.common.json {
        println!("{}", cli::answer_json(&answer));
        return Ok(());
    }
    println!("{}", cli::table(&answer));
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
