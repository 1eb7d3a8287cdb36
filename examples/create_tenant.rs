//! Makes a tenant from a template, or shows the one that is there.
//!
//! Needs: nothing. Prints: the tenant's state and configuration, and where each value comes from.
//!
//! `cargo run --example create_tenant -- --tenant-id acme_corp --template startup --set llm_model=deepseek-r1:7b`

mod cli;

use anyhow::{Context, Result};
use clap::Parser;
use cogniverse::{ErrorKind, Template, TenantId, config::SystemConfig};
use serde_json::{Map, Value};
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
    let mut overrides = Map::new();
    for pair in &options.overrides {
        let (name, value) = pair.split_once('=').with_context(|| format!("--set {pair}: write NAME=VALUE"))?;
        // Numbers and booleans as such, everything else as text.
        overrides.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value)));
    }
    let created =
        cogniverse.tenants().create_from_template(cogniverse.config(), tenant, options.template, overrides).await;
    let (record, is_new) = match created {
        Ok(record) => (record, true),
        Err(e) if e.kind() == ErrorKind::Conflict && !options.must_be_new => {
            (cogniverse.tenants().get(tenant).await?, false)
        }
        Err(e) => return Err(e.into()),
    };
    let config = cogniverse.config().get_system_config(tenant).await?;
    let sources = cogniverse.config().field_sources::<SystemConfig>(tenant).await?;
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
