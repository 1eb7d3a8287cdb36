//! The health of the whole service: its parts, and the tenants in trouble.
//!
//! Needs: nothing. Prints: each part with its answer, those that do not work first. A service that cannot serve is a failure.
//!
//! ```sh
//! cargo run --example health
//! ```

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cogniverse::health::HealthStatus;
use std::{process::ExitCode, sync::Arc};

#[derive(Parser)]
#[command(about = "Asks every part of the service whether it works")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let mut builder = options.common.builder()?;
    if options.common.backend == cli::Backend::Vespa {
        builder =
            options.common.vespa()?.probes().into_iter().fold(builder, |builder, probe| builder.health_probe(probe));
    }
    if let Some(phoenix) = options.common.phoenix()? {
        builder = builder.health_probe(Arc::new(phoenix));
    }
    let cogniverse = options.common.open_with(builder).await?;
    let health = cogniverse.operator().health().await;
    if options.common.json {
        println!("{}", serde_json::to_string(&health)?);
    } else {
        let mut table = cli::plain_table(["part", "answer", "ms", ""]);
        for part in &health.parts {
            let answer = if part.is_ok() { "works" } else { "does not work" };
            let detail = part.error.clone().or_else(|| part.detail.clone()).unwrap_or_default();
            table.add_row([part.name.clone(), answer.to_owned(), part.took_ms.to_string(), detail]);
        }
        println!("{}\n{table}", health.status);
        let states: Vec<String> = health.tenants.iter().map(|(state, count)| format!("{count} {state}")).collect();
        println!("tenants: {}", if states.is_empty() { "none".to_owned() } else { states.join(", ") });
        for found in &health.in_trouble {
            println!("{:<20} {:<22} {}", found.tenant, found.code, found.why);
        }
    }
    if health.status == HealthStatus::Unavailable {
        bail!("the service cannot serve")
    }
    Ok(())
}
