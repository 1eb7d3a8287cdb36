//! Creates a tenant from a template, or shows an existing one.
//!
//! Needs: nothing. Prints: the tenant's state and configuration, and where each value comes from.
//!
//! `cargo run --example create_tenant -- --tenant-id acme_corp --template startup --set llm_model=deepseek-r1:7b`

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cogniverse::{ErrorKind, NewTenant, Template, TenantId, config::SystemConfig, tenants::TenantState};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Makes a tenant from a template")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Who
    #[arg(long)]
    tenant_id: TenantId,
    /// enterprise, startup or trial
    #[arg(long, default_value = "startup")]
    template: Template,
    /// A value of the configuration in place of the template's, as name=value; repeat it for more
    #[arg(long = "set", value_name = "NAME=VALUE")]
    overrides: Vec<String>,
    /// Fail where the tenant exists, in place of showing it
    #[arg(long)]
    must_be_new: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let tenant = &options.tenant_id;
    let known = cogniverse.operator().tenants().find(tenant).await?.filter(|found| found.record.state.exists());
    if let Some(found) = known.as_ref().filter(|_| options.must_be_new) {
        bail!("tenant \"{tenant}\" exists already and is {}; choose another id", found.record.state);
    }
    let is_new = known.as_ref().is_none_or(|found| found.record.state == TenantState::Provisioning);
    let new = NewTenant::new(tenant.clone(), options.template).with_overrides(cli::overrides(&options.overrides)?);
    let record = match (cogniverse.create(new).await, known) {
        (Ok(record), _) => record,
        (Err(e), Some(found)) if e.kind() == ErrorKind::Conflict => found.record,
        (Err(e), _) => return Err(e.into()),
    };
    let config = cogniverse.operator().config().get_system_config(tenant).await?;
    let sources = cogniverse.operator().config().field_sources::<SystemConfig>(tenant).await?;
    if options.common.json {
        println!("{}", serde_json::json!({"tenant": record, "created": is_new, "config": config, "sources": sources}));
        return Ok(());
    }
    println!("{} tenant {tenant} ({})", if is_new { "✓ created" } else { "= exists:" }, record.state);
    for (name, value) in serde_json::to_value(&config.value)?.as_object().into_iter().flatten() {
        let source = sources.get(name).map(|source| format!("{:?}", source.source).to_lowercase()).unwrap_or_default();
        println!("  {name:14} {:32} {source}", value.to_string().trim_matches('"'));
    }
    println!("\nNext, on {}: cargo run --example deploy_schemas -- --tenant-id {tenant}", options.common.place());
    Ok(())
}
