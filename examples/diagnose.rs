//! The doctor: everything that is wrong with a tenant, each with its remedy.
//!
//! Needs: a tenant that exists (`tenant create`), in whatever state. Prints: the findings, the worst first. A finding of severity
//! `error` is a failure.
//!
//! ```sh
//! cargo run --example diagnose -- --tenant-id acme_corp
//! ```

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cogniverse::TenantId;
use serde_json::json;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Examines a tenant and says what is wrong with it")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Which tenant
    #[arg(long)]
    tenant_id: TenantId,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let builder = options.common.builder()?;
    let builder = match options.common.model()? {
        Some(model) => model.register(builder),
        None => builder,
    };
    let cogniverse = options.common.open_with(builder).await?;
    let found = cogniverse.diagnose(&options.tenant_id).await?;
    if options.common.json {
        println!(
            "{}",
            json!({
                "tenant_id": found.tenant, "state": found.state, "generation": found.generation,
                "healthy": found.is_healthy(), "findings": found.findings,
            })
        );
    } else {
        println!("{} is {} (generation {})", found.tenant, found.state, found.generation);
        let mut table = cli::plain_table(["severity", "code", "finding", "remedy"]);
        for finding in &found.findings {
            table.add_row([&finding.severity.to_string(), &finding.code, &finding.message, &finding.remedy]);
        }
        println!("{table}");
    }
    if found.is_healthy() { Ok(()) } else { bail!("something does not work; see the findings of severity error") }
}
