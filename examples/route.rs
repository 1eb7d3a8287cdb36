//! Shows where a query would be searched and why, without searching.
//!
//! Needs: a tenant with a deployed profile. Prints: what the query asks for, by whom that was decided, and the profiles.
//!
//! ```sh
//! cargo run --example route -- --tenant-id acme_corp summarize the podcast about interest rates
//! ```

mod cli;

use anyhow::Result;
use clap::Parser;
use cogniverse::TenantId;
use serde_json::json;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Shows where a query would be searched and why")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Whose query it is
    #[arg(long)]
    tenant_id: TenantId,
    /// The query
    #[arg(required = true, num_args = 1..)]
    query: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let route = cogniverse.route(&options.tenant_id, &options.query.join(" ")).await?;
    if options.common.json {
        let (modality, generation) = (route.modality, route.generation);
        println!(
            "{}",
            json!({
                "modality": modality, "generation": generation, "profiles": route.profiles,
                "confidence": route.confidence, "tier": route.tier, "reason": route.reason,
            })
        );
        return Ok(());
    }
    let mut table = cli::plain_table(["", ""]);
    table.add_row(["asks for", route.modality.as_str()]);
    table.add_row(["answer", route.generation.as_str()]);
    table.add_row(["decided by", &format!("{} in {:.2} ms", route.tier, route.took_ms)]);
    table.add_row(["confidence", &format!("{:.2}", route.confidence)]);
    table.add_row(["reason", &route.reason]);
    let profiles: Vec<&str> = route.profiles.iter().map(|profile| profile.as_str()).collect();
    table.add_row(["profiles", &profiles.join("\n")]);
    for left_out in &route.left_out {
        table.add_row(["left out", &format!("{}: {}", left_out.profile, left_out.reason)]);
    }
    println!("{table}");
    Ok(())
}
