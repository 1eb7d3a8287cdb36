//! The configuration of a tenant: show, set, history and rollback of its sections.
//!
//! Needs: a tenant that exists (`tenant create`). Prints: each value with its source, or the versions.
//!
//! ```sh
//! cargo run --example config -- show --tenant-id acme_corp
//! cargo run --example config -- set --tenant-id acme_corp --section routing_config routing_mode=hybrid
//! cargo run --example config -- history --tenant-id acme_corp --section routing_config
//! cargo run --example config -- rollback --tenant-id acme_corp --section routing_config --version 1
//! ```

mod cli;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use cogniverse::{
    Cogniverse, TenantId,
    config::{ConfigManager, ConfigSection, QuotaConfig, Recorded, RoutingConfig, SystemConfig, TelemetryConfig},
    sdk::Expected,
};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Shows and changes the configuration of a tenant")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Which tenant
    #[arg(long, global = true)]
    tenant_id: Option<TenantId>,
    /// Which section; all where a command can show all
    #[arg(long, value_enum, global = true)]
    section: Option<Section>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum Section {
    #[value(name = "system_config")]
    System,
    #[value(name = "routing_config")]
    Routing,
    #[value(name = "telemetry_config")]
    Telemetry,
    #[value(name = "quota_config")]
    Quota,
}

#[derive(Subcommand)]
enum Command {
    /// Shows values and where they come from
    Show,
    /// Sets values of one section, if nobody changed it meanwhile
    Set {
        /// The values
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<String>,
        /// Why; it is recorded in the audit log
        #[arg(long, default_value = "no reason given")]
        reason: String,
    },
    /// Lists the versions of one section, newest first
    History {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Makes an older version the newest again
    Rollback {
        /// Which version
        #[arg(long)]
        version: u64,
        /// Why; it is recorded in the audit log
        #[arg(long, default_value = "no reason given")]
        reason: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let tenant = options.tenant_id.as_ref().context("say which tenant by --tenant-id")?;
    cogniverse.tenant(tenant).await?;
    let of_all = [Section::System, Section::Routing, Section::Telemetry, Section::Quota];
    let sections = match (options.section, &options.command) {
        (Some(section), _) => vec![section],
        (None, Command::Show) => of_all.to_vec(),
        (None, _) => anyhow::bail!("say which section by --section, such as quota_config"),
    };
    let mut shown = Vec::new();
    for section in sections {
        let call = (&cogniverse, tenant, &options.command);
        shown.push(match section {
            Section::System => act::<SystemConfig>(call).await?,
            Section::Routing => act::<RoutingConfig>(call).await?,
            Section::Telemetry => act::<TelemetryConfig>(call).await?,
            Section::Quota => act::<QuotaConfig>(call).await?,
        });
    }
    if options.common.json {
        println!("{}", json!({ "tenant_id": tenant, "sections": shown }));
    } else {
        shown.iter().for_each(print);
    }
    Ok(())
}

async fn act<T: ConfigSection>((cogniverse, tenant, command): (&Cogniverse, &TenantId, &Command)) -> Result<Value> {
    let config = cogniverse.operator().config();
    match command {
        Command::Show => {}
        Command::Set { values, reason } => {
            let known = config.get::<T>(tenant).await?;
            let expected = if known.is_set() { Expected::Version(known.version) } else { Expected::Absent };
            let wanted = cli::changed(&known.value, values)?;
            config.because(reason).compare_and_set(tenant, wanted, expected).await?;
        }
        Command::Rollback { version, reason } => {
            config.because(reason).rollback::<T>(tenant, *version).await?;
        }
        Command::History { limit } => return history::<T>(config, tenant, *limit).await,
    }
    let found = match (config.get::<T>(tenant).await, command) {
        // One that cannot be used hides no other.
        (Err(error), Command::Show) => return Ok(json!({ "section": T::KEY, "problem": error.to_string() })),
        (found, _) => found?,
    };
    let sources = config.field_sources::<T>(tenant).await?;
    Ok(json!({
        "section": T::KEY, "version": found.version, "source": found.source, "value": found.value, "fields": sources,
    }))
}

async fn history<T: ConfigSection>(config: &ConfigManager, tenant: &TenantId, limit: usize) -> Result<Value> {
    let page = config.history::<T>(tenant, None, limit).await?;
    let versions = page.entries.into_iter().map(|entry| {
        let (value, problem) = match entry.recorded {
            Recorded::Value(value) => (json!(value), None),
            Recorded::Deleted => (Value::Null, None),
            Recorded::Unreadable(problem) => (Value::Null, Some(problem)),
            _ => (Value::Null, Some("of a kind that this release does not know".to_owned())),
        };
        json!({ "version": entry.version, "source": entry.origin, "created_at": entry.created_at, "value": value, "problem": problem })
    });
    Ok(json!({ "section": T::KEY, "versions": versions.collect::<Vec<_>>() }))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn print(section: &Value) {
    let name = text(&section["section"]);
    if let Some(versions) = section["versions"].as_array() {
        let mut table = cli::plain_table([&name, "created at", "source", "value"]);
        for version in versions {
            let shown = [&version["version"], &version["created_at"], &version["source"], &version["value"]];
            table.add_row(shown.map(text));
        }
        println!("{table}");
        return;
    }
    if let Some(problem) = section["problem"].as_str() {
        println!("{name} cannot be used: {problem}");
        return;
    }
    let mut table = cli::plain_table([&name, "value", "source"]);
    for (field, value) in section["value"].as_object().into_iter().flatten() {
        table.add_row([
            field.clone(),
            text(value),
            section.pointer(&format!("/fields/{field}/source")).map(text).unwrap_or_default(),
        ]);
    }
    println!("{table}");
}
