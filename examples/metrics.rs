//! Metrics of a tenant's searches by modality: requests, success, percentiles of the last thousand.
//!
//! They are counted in the memory of a process: in a service by `Cogniverse::metrics`. This one is new, and searches first where it
//! is given words. Needs: a tenant that is active. Prints: a table.
//!
//! ```sh
//! cargo run --example metrics -- show --tenant-id acme_corp --times 50 machine learning
//! ```

mod cli;

use anyhow::Result;
use clap::{Parser, Subcommand};
use cogniverse::{ProfileName, SearchRequest, TenantId};
use serde_json::json;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Shows what was counted of a tenant's searches")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows requests, success and times by modality
    Show {
        /// Which tenant
        #[arg(long)]
        tenant_id: TenantId,
        /// How often to search first
        #[arg(long, default_value_t = 20)]
        times: usize,
        /// What to search for
        query: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let Command::Show { tenant_id, times, query } = options.command;
    let query = query.join(" ");
    for _ in 0..if query.is_empty() { 0 } else { times } {
        let profile = ProfileName::parse(cli::TEXT_PROFILE)?;
        // A search that fails is counted as well.
        let _ = cogniverse.search(SearchRequest::new(tenant_id.clone(), profile, &query)).await;
    }
    let found = cogniverse.metrics(&tenant_id).await?;
    if options.common.json {
        println!("{}", json!({ "tenant_id": found.tenant, "modalities": found.modalities }));
    } else {
        println!("{found}");
    }
    Ok(())
}
