//! The check that tenants are apart: canaries of each are planted wherever something of tenants is kept, and looked for from the
//! other.
//!
//! Needs: two tenants or more, in whatever state, also while they are served. Prints: each way that was tried, with the evidence. It
//! fails where anything was reached, and where a check could not be made.
//!
//! ```sh
//! cargo run --example verify_isolation -- --tenant-id acme_corp --tenant-id globex_inc
//! ```

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cogniverse::TenantId;
use serde_json::json;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Checks that tenants cannot reach each other's data")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Which tenants: two
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    tenant_id: Vec<TenantId>,
    /// All tenants, each with its neighbours by id
    #[arg(long)]
    all: bool,
    /// Show every check, and not only those that failed
    #[arg(long)]
    verbose: bool,
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
    let report = match options.tenant_id.as_slice() {
        [] => cogniverse.operator().verify_isolation_of_all().await?,
        [a, b] => cogniverse.verify_isolation(a, b).await?,
        _ => bail!("give --tenant-id twice, or --all"),
    };
    if options.common.json {
        println!(
            "{}",
            json!({
                "isolated": report.isolated, "checks": report.checks, "not_checked": report.not_checked,
                "not_listed": report.not_listed, "began_at": report.began_at, "ended_at": report.ended_at,
            })
        );
    } else {
        let mut table = cli::plain_table(["", "surface", "attack", "of", "from", "evidence"]);
        for check in report.checks.iter().filter(|check| options.verbose || !check.ok) {
            let (from, to) = (check.from.as_str(), check.to.as_str());
            let mark = if check.ok { "held" } else { "FAILED" };
            table.add_row([mark, &check.surface, &check.attack, from, to, &check.evidence]);
        }
        if !table.is_empty() {
            println!("{table}");
        }
        for surface in &report.not_checked {
            println!("not checked: {} ({})", surface.surface, surface.reason);
        }
        let held = report.checks.iter().filter(|check| check.ok).count() as u64 + report.not_listed;
        println!("{held} checks held, {} failed", report.failed().count());
    }
    if report.isolated { Ok(()) } else { bail!("a tenant could reach another's data, or a check could not be made") }
}
