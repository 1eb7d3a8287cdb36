//! Deploys the schema of one profile, or all schemas, for one or more tenants.
//!
//! Needs: tenants that exist (`create_tenant`). Prints: what became of each schema.
//!
//! `cargo run --example deploy_schemas -- --tenant-id acme_corp --tenant-id globex_inc`

mod cli;

use anyhow::Result;
use clap::Parser;
use cogniverse::{ProfileName, TenantId, sdk::schema_store::SchemaAction};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Deploys one schema or all, for one or more tenants")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Who; repeat it for more
    #[arg(long = "tenant-id", required = true)]
    tenants: Vec<TenantId>,
    /// Only this profile's schema
    #[arg(long)]
    profile: Option<ProfileName>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
    /// Describe each deployed schema: fields and strategies
    #[arg(long)]
    describe: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let mut shown = Vec::new();
    for tenant in &options.tenants {
        cogniverse.tenants().require_active(tenant).await?;
        let report = match (&options.profile, options.plan) {
            (Some(profile), false) => cogniverse.deploy(tenant, profile).await?,
            (Some(profile), true) => {
                let base = cogniverse.config().get_profile(tenant, profile).await?.config.value.schema;
                cogniverse.schemas().plan(tenant, &base).await?
            }
            (None, false) => cogniverse.schemas().deploy_all(tenant).await?,
            (None, true) => cogniverse.schemas().plan_all(tenant).await?,
        };
        for (schema, action) in report.schemas {
            let what = match &action {
                SchemaAction::Added => "added".to_owned(),
                SchemaAction::Unchanged => "unchanged".to_owned(),
                SchemaAction::Changed { what } => format!("changed: {}", what.join("; ")),
                SchemaAction::Refeed { what } => format!("needs a refeed: {}", what.join("; ")),
                _ => "unknown".to_owned(),
            };
            if !options.common.json {
                println!("{} {schema}: {what}", if options.plan { "·" } else { "✓" });
                if options.describe && !options.plan {
                    println!("{}", cogniverse.schemas().describe(tenant, schema.base()).await?);
                }
            }
            shown.push(serde_json::json!({"tenant_id": tenant, "schema": schema.physical_name(), "base": schema.base(), "action": what}));
        }
    }
    if options.common.json {
        println!("{}", serde_json::json!({"planned": options.plan, "schemas": shown}));
    }
    Ok(())
}
