//! The life of a tenant: create, list, show, suspend, reactivate and erase.
//!
//! Needs: nothing. Prints: the tenant's record, what is in flight, and of an erasure the receipt, surface by surface. An
//! erasure that is not complete is a failure.
//!
//! ```sh
//! cargo run --example tenant -- create --tenant-id acme_corp --template startup --deploy video_text_minilm_mv_segment
//! cargo run --example tenant -- suspend --tenant-id acme_corp --reason "contract ended"
//! cargo run --example tenant -- erase --tenant-id acme_corp --dry-run
//! ```

mod cli;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use cogniverse::{
    Cogniverse, NewTenant, ProfileName, Suspend, Template, TenantId,
    lifecycle::ErasurePlan,
    tenants::{ErasureReceipt, InFlight, TenantRecord},
};
use serde_json::json;
use std::{process::ExitCode, time::Duration};

#[derive(Parser)]
#[command(about = "Creates, suspends, reactivates and erases tenants")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Who
    #[arg(long, global = true)]
    tenant_id: Option<TenantId>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a tenant with its configuration and schemas, or finishes making it
    Create {
        /// enterprise, startup or trial
        #[arg(long, default_value = "startup")]
        template: Template,
        /// Deploy the schema of this profile; repeat it for more, or write `all`
        #[arg(long = "deploy", value_name = "PROFILE")]
        deploy: Vec<String>,
        /// A value of the configuration in place of the template's; repeat it for more
        #[arg(long = "set", value_name = "NAME=VALUE")]
        overrides: Vec<String>,
    },
    /// Lists all tenants, in whatever state
    List,
    /// Shows one tenant: its record, its schemas, its calls in flight
    Show,
    /// Stops serving a tenant and keeps its data
    Suspend {
        /// Why; calls of the tenant are told
        #[arg(long, default_value = "no reason given")]
        reason: String,
        /// How long the data is kept
        #[arg(long, default_value_t = 90)]
        retention_days: u32,
    },
    /// Serves a suspended tenant again
    Reactivate,
    /// Erases everything of a suspended tenant
    Erase {
        /// Count what would be erased, and erase nothing
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Erase it; there is no way back
        #[arg(long)]
        yes: bool,
    },
    /// Lists the suspended tenants whose retention is over, or erases them
    Expired {
        /// Erase them; there is no way back
        #[arg(long)]
        erase: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let as_json = options.common.json;
    let tenant = || options.tenant_id.as_ref().context("say which tenant by --tenant-id");
    match options.command {
        Command::Create { template, deploy, overrides } => {
            let mut new = NewTenant::new(tenant()?.clone(), template).with_overrides(cli::overrides(&overrides)?);
            for profile in deploy {
                new = match profile.as_str() {
                    "all" => new.with_all_schemas(),
                    name => new.with_profile(ProfileName::parse(name)?),
                };
            }
            let record = cogniverse.create(new).await?;
            show(&cogniverse, &record, &[], as_json).await
        }
        Command::List => list(&cogniverse, as_json).await,
        Command::Show => {
            let record = cogniverse.tenant(tenant()?).await?;
            let in_flight = cogniverse.operator().gate().in_flight(tenant()?);
            show(&cogniverse, &record, &in_flight, as_json).await
        }
        Command::Suspend { reason, retention_days } => {
            let retention = Duration::from_secs(u64::from(retention_days) * 24 * 3600);
            let suspension = cogniverse.suspend(tenant()?, Suspend::new(reason).with_retention(retention)).await?;
            show(&cogniverse, &suspension.record, &suspension.in_flight, as_json).await
        }
        Command::Reactivate => {
            let record = cogniverse.reactivate(tenant()?).await?;
            show(&cogniverse, &record, &[], as_json).await
        }
        Command::Erase { dry_run: true, .. } => {
            let plan = cogniverse.plan_erasure(tenant()?).await?;
            if as_json {
                println!("{}", serde_json::to_string(&plan)?);
            } else {
                println!("{}", plan_table(&plan));
            }
            Ok(())
        }
        Command::Erase { yes: true, .. } => {
            let receipt = cogniverse.erase(tenant()?).await?;
            print_receipt(tenant()?, &receipt, as_json)?;
            complete(&receipt)
        }
        Command::Erase { .. } => bail!("an erasure has no way back: look at it by --dry-run, and do it by --yes"),
        Command::Expired { erase: true } => {
            let sweep = cogniverse.operator().erase_expired().await?;
            if as_json {
                println!("{}", serde_json::to_string(&sweep)?);
            } else {
                for (tenant, receipt) in &sweep.receipts {
                    print_receipt(tenant, receipt, false)?;
                }
                sweep.failed.iter().for_each(|(tenant, error)| println!("✗ {tenant}: {error}"));
            }
            sweep.receipts.iter().try_for_each(|(_, receipt)| complete(receipt))?;
            if sweep.failed.is_empty() { Ok(()) } else { bail!("{} tenants could not be erased", sweep.failed.len()) }
        }
        Command::Expired { .. } => {
            let (mut expired, mut after) = (Vec::new(), None);
            loop {
                let (page, next) = cogniverse.operator().expired(after).await?;
                expired.extend(page);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            print_tenants(&expired, as_json);
            Ok(())
        }
    }
}

async fn show(cogniverse: &Cogniverse, record: &TenantRecord, in_flight: &[InFlight], as_json: bool) -> Result<()> {
    let schemas: Vec<String> = match record.state.exists() {
        true => {
            let deployed = cogniverse.operator().schemas().list(&record.tenant).await?;
            deployed.iter().map(|deployed| deployed.schema.to_string()).collect()
        }
        false => Vec::new(),
    };
    if as_json {
        println!("{}", json!({"tenant": record, "schemas": schemas, "in_flight": in_flight}));
        return Ok(());
    }
    println!("tenant      {} (generation {})", record.tenant, record.generation);
    println!("state       {} since {}", record.state, record.changed_at);
    if let Some(reason) = &record.reason {
        println!("reason      {reason}");
    }
    if let Some(until) = record.retain_until {
        println!("kept until  {until}");
    }
    schemas.iter().for_each(|schema| println!("schema      {schema}"));
    for call in in_flight {
        println!("in flight   {} by {} for {:.1?}", call.operation, call.caller, call.running_for);
    }
    Ok(())
}

async fn list(cogniverse: &Cogniverse, as_json: bool) -> Result<()> {
    let (mut tenants, mut after) = (Vec::new(), None);
    loop {
        let page = cogniverse.operator().tenants().list(after, 500).await?;
        tenants.extend(page.tenants);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    print_tenants(&tenants, as_json);
    Ok(())
}

fn print_tenants(tenants: &[TenantRecord], as_json: bool) {
    if as_json {
        println!("{}", json!({ "tenants": tenants }));
        return;
    }
    let mut table = cli::plain_table(["tenant", "state", "since", "kept until", "generation"]);
    for record in tenants {
        table.add_row([
            record.tenant.to_string(),
            record.state.to_string(),
            record.changed_at.to_string(),
            record.retain_until.map(|until| until.to_string()).unwrap_or_default(),
            record.generation.to_string(),
        ]);
    }
    println!("{table}");
}

fn plan_table(plan: &ErasurePlan) -> String {
    let mut table = cli::plain_table(["surface", "items", "bytes", "error"]);
    for surface in &plan.surfaces {
        table.add_row([
            surface.name.clone(),
            surface.items.map(|items| items.to_string()).unwrap_or_default(),
            surface.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
            surface.error.clone().unwrap_or_default(),
        ]);
    }
    format!("tenant {} is {}; an erasure would take:\n{table}", plan.tenant, plan.state)
}

fn print_receipt(tenant: &TenantId, receipt: &ErasureReceipt, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(receipt)?);
        return Ok(());
    }
    let mut table = cli::plain_table(["surface", "erased", "remaining", "retained until", "reason", "error"]);
    for surface in &receipt.surfaces {
        table.add_row([
            surface.name.clone(),
            surface.erased.to_string(),
            surface.remaining.map_or_else(|| "not known".to_owned(), |items| items.to_string()),
            surface.retained_until.map(|until| until.to_string()).unwrap_or_default(),
            surface.reason.clone().unwrap_or_default(),
            surface.error.clone().unwrap_or_default(),
        ]);
    }
    println!("tenant {tenant} is {}\n{table}", receipt.state);
    Ok(())
}

fn complete(receipt: &ErasureReceipt) -> Result<()> {
    if receipt.is_complete() {
        return Ok(());
    }
    bail!("the erasure is not complete; mend what the receipt names, and erase the tenant again")
}
