//! Quotas: what a tenant used of each, and its limits.
//!
//! Needs: a tenant that exists (`tenant create`). Prints: used, limit and the end of the window of each quota.
//!
//! ```sh
//! cargo run --example quotas -- show acme_corp
//! cargo run --example quotas -- set acme_corp documents=100 api_calls=none mode=dry_run weight=2
//! ```

mod cli;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use cogniverse::{Cogniverse, TenantId};
use serde_json::json;
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Shows and sets the quotas of a tenant")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Which tenant; it can also be written first after the command
    #[arg(long, global = true)]
    tenant_id: Option<TenantId>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what is used
    Show {
        /// Which tenant
        tenant: Option<TenantId>,
    },
    /// Sets limits, such as documents=100; `none` removes a limit
    Set {
        /// The tenant, unless it is given by --tenant-id, and the values
        #[arg(required = true, value_name = "TENANT | NAME=VALUE")]
        values: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let tenant = match options.command {
        Command::Show { tenant } => tenant.or(options.tenant_id).context("say which tenant")?,
        Command::Set { values } => {
            let (tenants, values): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| !value.contains('='));
            let tenant = match (tenants.as_slice(), options.tenant_id) {
                ([one], None) => TenantId::parse(one)?,
                ([], Some(given)) => given,
                _ => bail!("say which one tenant, and each value as NAME=VALUE"),
            };
            set(&cogniverse, &tenant, &values).await?;
            tenant
        }
    };
    show(&cogniverse, &tenant, options.common.json).await
}

async fn set(cogniverse: &Cogniverse, tenant: &TenantId, values: &[String]) -> Result<()> {
    let config = cogniverse.operator().config();
    let known = config.get_quota_config(tenant).await?;
    let wanted = cli::changed(&known.value, values)?;
    config.set_quota_config(tenant, wanted).await?;
    Ok(())
}

async fn show(cogniverse: &Cogniverse, tenant: &TenantId, as_json: bool) -> Result<()> {
    let usage = cogniverse.usage(tenant).await?;
    let config = cogniverse.operator().config().get_quota_config(tenant).await?;
    if as_json {
        println!(
            "{}",
            json!({ "tenant_id": tenant, "usage": usage, "config": config.value, "version": config.version })
        );
        return Ok(());
    }
    let mut table = cli::plain_table(["quota", "used", "limit", "window ends"]);
    for quota in usage {
        table.add_row([
            quota.quota.to_string(),
            quota.used.map_or_else(|| "not counted".to_owned(), |used| used.to_string()),
            quota.limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string()),
            quota.window_ends.map(|ends| ends.to_string()).unwrap_or_default(),
        ]);
    }
    println!("{table}");
    println!(
        "weight {}, mode {}",
        config.value.weight,
        serde_json::to_value(config.value.mode)?.as_str().unwrap_or("")
    );
    Ok(())
}
