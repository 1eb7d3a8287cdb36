//! Lets routing learn from a simulated company's searches, and draws what it gains.
//!
//! The simulator is in this example: people of the company use words in their own way ("a keynote" is a slide deck there),
//! and change them halfway. Two tenants get the same searches; one is optimized each night, the other keeps its thresholds.
//!
//! Needs: nothing. Prints: the rewards and what was changed; writes a plot. Fails where the optimized tenant does not win by
//! 10 %, or where the other's configuration changed.
//!
//! `cargo run --example optimize`

mod plot;
mod simulation;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cogniverse::{
    Cogniverse, IngestRequest, IngestSource, ProfileName, SearchRequest, Template, TenantId,
    agents::{
        OptimizationOptions,
        optimization::{OptimizationOutcome, reward},
    },
    config::{InMemoryExperienceStore, RoutingConfig},
    sdk::{ExperienceStore, ManualClock, RouteLabel, Timestamp},
};
use plot::{Day, Plot};
use serde_json::json;
use simulation::{Company, TOPICS};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

const TEXT: &str = "video_text_minilm_mv_segment";

#[derive(Parser)]
#[command(about = "Lets routing learn from a simulated company's searches")]
struct Options {
    /// How many days are simulated
    #[arg(long, default_value_t = 30)]
    days: usize,
    /// How many searches a day
    #[arg(long, default_value_t = 60)]
    searches: usize,
    /// Where the plot goes
    #[arg(long, default_value = "optimization.svg")]
    out: PathBuf,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_790_000_000)?));
    let store = Arc::new(InMemoryExperienceStore::new());
    let cogniverse = Cogniverse::builder()
        .data_dir(folder.path())
        .clock(clock.clone())
        .experience_store(store.clone())
        .open()
        .await?;
    let (optimized, fixed) = (TenantId::parse("optimized")?, TenantId::parse("static")?);
    for tenant in [&optimized, &fixed] {
        prepare(&cogniverse, tenant, folder.path()).await?;
    }
    let untouched = configuration(&cogniverse, &fixed).await?;
    let orchestrator = cogniverse.optimizer(optimized.clone(), OptimizationOptions::new());
    let mut plot = Plot { drift: options.days / 2, ..Plot::default() };
    for number in 0..options.days {
        let mut means = BTreeMap::new();
        for tenant in [&optimized, &fixed] {
            let since = store.count(tenant).await?;
            let mut company = Company::new(number, number >= plot.drift);
            for _ in 0..options.searches {
                search(&cogniverse, tenant, &mut company).await?;
            }
            cogniverse.close().await?;
            means.insert(tenant.clone(), mean_reward(&store, tenant, since).await?);
        }
        clock.advance(Duration::from_secs(86_400));
        let outcome = orchestrator.run_once().await?.outcome;
        let config = cogniverse.get_config::<RoutingConfig>(&optimized).await?.value;
        let day = Day {
            optimized: means.get(&optimized).copied().unwrap_or_default(),
            fixed: means.get(&fixed).copied().unwrap_or_default(),
            fast_threshold: config.fast_path_confidence_threshold,
            slow_threshold: config.slow_path_confidence_threshold,
            changed: matches!(outcome, OptimizationOutcome::Changed { .. }),
            rolled_back: matches!(outcome, OptimizationOutcome::RolledBack { .. }),
        };
        if !options.json {
            println!("day {number:2}: {:.3} optimized, {:.3} static; {outcome:?}", day.optimized, day.fixed);
        }
        plot.days.push(day);
    }
    std::fs::write(&options.out, plot.to_svg()).with_context(|| format!("cannot write {}", options.out.display()))?;
    let (mean_optimized, mean_fixed) = plot.means();
    let gain = mean_optimized / mean_fixed - 1.0;
    let status = orchestrator.status().await?;
    if options.json {
        println!(
            "{}",
            json!({
                "reward_optimized": mean_optimized, "reward_static": mean_fixed, "gain": gain,
                "optimizations": status.counts.optimizations, "rollbacks": status.counts.rollbacks,
                "plot": options.out,
            })
        );
    } else {
        println!("{status}");
        println!("reward {mean_optimized:.3} optimized, {mean_fixed:.3} static: {:.1} % more", gain * 100.0);
        println!("plot: {}", options.out.display());
    }
    ensure!(configuration(&cogniverse, &fixed).await? == untouched, "the other tenant's configuration has changed");
    ensure!(gain >= 0.10, "the optimized tenant gained {:.1} %, and 10 % are wanted", gain * 100.0);
    Ok(())
}

/// Makes a tenant with a video for each topic.
async fn prepare(cogniverse: &Cogniverse, tenant: &TenantId, folder: &std::path::Path) -> Result<()> {
    let profile = ProfileName::parse(TEXT)?;
    cogniverse.create_tenant(tenant, Template::Enterprise).await?;
    cogniverse.deploy(tenant, &profile).await?;
    let lines: Vec<String> = TOPICS
        .iter()
        .map(|topic| {
            let text = format!("all about {topic}");
            json!({"video_id": topic, "segment_id": 0, "start_time": 0.0, "end_time": 30.0, "audio_transcript": text})
                .to_string()
        })
        .collect();
    let file = folder.join(format!("{tenant}.jsonl"));
    std::fs::write(&file, lines.join("\n"))?;
    cogniverse.ingest(IngestRequest::new(tenant.clone(), profile, IngestSource::Segments(file))).await?;
    Ok(())
}

/// One search of somebody at the company, and what they do with its results.
async fn search(cogniverse: &Cogniverse, tenant: &TenantId, company: &mut Company) -> Result<()> {
    let asked = company.ask();
    let found = cogniverse.search(SearchRequest::routed(tenant.clone(), &asked.query)).await?;
    let decided = found.route.context("a search without a profile is routed")?.modality;
    let feedback = company.react(decided == asked.means);
    if let Some(feedback) = feedback {
        cogniverse.record_feedback(tenant, &found.search_id, feedback, Some(ProfileName::parse(TEXT)?)).await?;
    }
    // Of some a person in charge says what would have been right; of the other tenant nobody reads it.
    if company.is_annotated() {
        let label = if decided == asked.means { RouteLabel::CorrectRouting } else { RouteLabel::WrongRouting };
        let orchestrator = cogniverse.optimizer(tenant.clone(), OptimizationOptions::new());
        orchestrator.annotate(&found.search_id, label, Some(asked.means)).await?;
    }
    Ok(())
}

async fn mean_reward(store: &InMemoryExperienceStore, tenant: &TenantId, since: u64) -> Result<f64> {
    let (mut rewards, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(tenant, after, 1000).await?;
        rewards.extend(page.experiences.iter().map(reward));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let of_today = rewards.get(usize::try_from(since)?..).unwrap_or_default();
    Ok(of_today.iter().sum::<f64>() / (of_today.len().max(1) as f64))
}

/// A tenant's whole configuration, to the byte.
async fn configuration(cogniverse: &Cogniverse, tenant: &TenantId) -> Result<String> {
    let exported = cogniverse.operator().config().export_tenant(tenant).await?;
    Ok(serde_json::to_value(exported)?.get("entries").map(ToString::to_string).unwrap_or_default())
}
