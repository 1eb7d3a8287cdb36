//! Statistics of tenants' traces in Phoenix: counts, success, durations, outliers, errors.
//!
//! Needs: a Phoenix with traces, such as those of the other examples with `--phoenix-url`. Prints: a table for each tenant;
//! with `--out`, writes a page with charts that opens without a network.
//!
//! `cargo run --example tenant_analytics -- --phoenix-url http://localhost:6006 --tenant-id acme_corp --hours 24 --out acme.html`

mod cli;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cogniverse::{
    Caller, CallerId, Cogniverse, Operation, ShareAccess, TenantId, config::TelemetryConfig, sdk::TimeWindow,
};
use cogniverse_phoenix::{PhoenixAnalytics, PhoenixClient, PhoenixConfig, html_report};
use cogniverse_sdk::{ProjectName, Timestamp};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// How long the access lasts that a look across tenants needs.
const LOOK: Duration = Duration::from_secs(300);

#[derive(Parser)]
#[command(about = "Shows what the traces in Phoenix say of tenants")]
struct Options {
    /// The Phoenix, such as http://localhost:6006
    #[arg(long, value_name = "URL", env = "COGNIVERSE_PHOENIX_URL")]
    phoenix_url: String,
    /// Its API key
    #[arg(long, value_name = "KEY", env = "COGNIVERSE_PHOENIX_API_KEY", hide_env_values = true)]
    phoenix_api_key: Option<String>,
    /// Who; more than one needs --reason
    #[arg(long = "tenant-id", required = true)]
    tenants: Vec<TenantId>,
    /// How the tenants' projects are named
    #[arg(long, default_value = "{tenant}")]
    project_template: String,
    /// The hours before now
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// A page with charts
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// The folder with the tenants, where several are looked at
    #[arg(long, default_value = "cogniverse-data", env = "COGNIVERSE_DATA_DIR")]
    data_dir: PathBuf,
    /// Why several tenants are looked at together; written to their audit logs before the look
    #[arg(long)]
    reason: Option<String>,
    /// Who looks at several tenants
    #[arg(long, default_value = "operator", env = "USER")]
    who: String,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let config = PhoenixConfig::new(&options.phoenix_url);
    let client =
        PhoenixClient::new(options.phoenix_api_key.iter().fold(config, |config, key| config.with_api_key(key)))?;
    let analytics = PhoenixAnalytics::new(client);
    let naming = TelemetryConfig::new().with_project_template(&options.project_template);
    let projects: Vec<ProjectName> = options
        .tenants
        .iter()
        .map(|tenant| ProjectName::parse(naming.project_name(tenant)))
        .collect::<Result<_, _>>()?;
    let window = TimeWindow::last_hours(Timestamp::now(), options.hours)?;
    let reports = match projects.as_slice() {
        [project] => vec![analytics.tenant(project, window).await?],
        _ => across(&options, &analytics, window).await?,
    };
    if options.json {
        println!("{}", serde_json::json!({ "reports": reports }));
    } else {
        reports.iter().for_each(|report| println!("{report}"));
    }
    if let Some(out) = &options.out {
        std::fs::write(out, html_report(&reports)).with_context(|| format!("cannot write {}", out.display()))?;
        eprintln!("charts: {}", out.display());
    }
    Ok(())
}

/// Several tenants, by access that is shared for this look, recorded in each tenant's audit log, and taken back.
async fn across(
    options: &Options,
    analytics: &PhoenixAnalytics,
    window: TimeWindow,
) -> Result<Vec<cogniverse_phoenix::TenantReport>> {
    let reason = options.reason.as_deref().unwrap_or_default();
    ensure!(!reason.is_empty(), "more than one tenant needs --reason; it is written to their audit logs");
    let cogniverse = Cogniverse::builder().data_dir(&options.data_dir).open().await?;
    let who = CallerId::parse(&options.who)?;
    let caller = cogniverse.for_caller(Caller::new(who.clone()));
    let mut grants = Vec::new();
    for tenant in &options.tenants {
        let expires = Timestamp::now().checked_add(LOOK)?;
        let share = ShareAccess::new(who.clone(), reason, expires).with_operation(Operation::ReadTelemetry);
        cogniverse.share_access(tenant, share).await?;
        grants.push(caller.admit(tenant, Operation::ReadTelemetry).await?);
        cogniverse.revoke_access(tenant, &who).await?;
    }
    Ok(analytics.across_tenants(&grants, window).await?)
}
