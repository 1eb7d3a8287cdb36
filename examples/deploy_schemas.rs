//! Deploys the schema of one profile, or all schemas, for one or more tenants.
//!
//! Needs: tenants that exist (`create_tenant`). Prints: the effect on each schema; with `--plan`, without deploying; with
//! `--package-out`, the plan of a deployment to Vespa, whose package it writes.
//!
//! `cargo run --example deploy_schemas -- --tenant-id acme_corp --tenant-id globex_inc`

mod cli;

use anyhow::{Context, Result};
use clap::Parser;
use cogniverse::{
    Cogniverse, Operation, ProfileName, TenantId,
    sdk::schema_store::{DeployRequest, SchemaAction},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
    /// With --backend vespa: write the application package that would be deployed to this folder, and deploy nothing
    #[arg(long, value_name = "DIR")]
    package_out: Option<PathBuf>,
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
    if let Some(folder) = &options.package_out {
        return write_package(&cogniverse, &options, folder).await;
    }
    let mut shown = Vec::new();
    for tenant in &options.tenants {
        let report = match (&options.profile, options.plan) {
            (Some(profile), false) => cogniverse.deploy(tenant, profile).await?,
            (Some(profile), true) => {
                let base = cogniverse.get_profile(tenant, profile).await?.config.value.schema;
                cogniverse.operator().schemas().plan(tenant, &base).await?
            }
            (None, false) => cogniverse.deploy_all(tenant).await?,
            (None, true) => {
                let _served = cogniverse.admit(tenant, Operation::ReadSchemas).await?;
                cogniverse.operator().schemas().plan_all(tenant).await?
            }
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
                    println!("{}", cogniverse.describe_schema(tenant, schema.base()).await?);
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

/// Writes the whole package as it would be, and says what Vespa's own check finds.
async fn write_package(cogniverse: &Cogniverse, options: &Options, folder: &Path) -> Result<()> {
    anyhow::ensure!(options.common.backend == cli::Backend::Vespa, "--package-out needs --backend vespa");
    let mut deployments = Vec::new();
    for tenant in &options.tenants {
        let grant = cogniverse.admit(tenant, Operation::ReadSchemas).await?;
        let base = match &options.profile {
            Some(profile) => Some(grant.config().profile(profile)?.config.value.schema.clone()),
            None => None,
        };
        deployments.extend(cogniverse.operator().schemas().request(tenant, base.as_ref()).await?.deployments);
    }
    let (vespa, request) = (options.common.vespa()?, DeployRequest::new(deployments));
    let plan = vespa.plan_deployment(&request).await?;
    for (path, content) in vespa.package(&request).await? {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if options.common.json {
        println!("{}", serde_json::json!({"planned": true, "files": plan.files, "schemas": plan.schemas}));
    } else {
        println!("{plan}\nthe package is in {}", folder.display());
    }
    Ok(())
}
