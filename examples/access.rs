//! Access control: callers, their roles, and access across tenants that expires.
//!
//! Needs: tenants that exist (`tenant create`). Prints: whether a caller may search a tenant; who has access to it; with
//! `demo`, what two callers may do before, during and after a shared access.
//!
//! ```sh
//! cargo run --example access -- check --tenant-id acme_corp --caller anna --of acme_corp
//! cargo run --example access -- share --tenant-id acme_corp --caller bob --operation search --reason "support case 7" --expires-in 3600
//! ```

mod cli;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use cogniverse::{
    Caller, CallerId, Cogniverse, ErrorKind, Operation, ProfileName, Role, SearchRequest, ShareAccess, TenantId,
    sdk::Timestamp,
};
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

#[derive(Parser)]
#[command(about = "Shows and changes who may do what in a tenant")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Which tenant; with `demo`, two of them
    #[arg(long = "tenant-id", global = true)]
    tenants: Vec<TenantId>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Reader,
    Member,
    Admin,
    Operator,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Reader => Self::Reader,
            RoleName::Member => Self::Member,
            RoleName::Admin => Self::Admin,
            RoleName::Operator => Self::Operator,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Tries a search as a caller
    Check {
        /// Who asks
        #[arg(long)]
        caller: CallerId,
        /// The caller's own tenant; repeat it for more
        #[arg(long = "of", value_name = "TENANT")]
        of: Vec<TenantId>,
        /// What the caller is there
        #[arg(long, value_enum, default_value = "reader")]
        role: RoleName,
        /// What to search for
        #[arg(num_args = 0..)]
        query: Vec<String>,
    },
    /// Gives a caller read access to a tenant that it does not belong to
    Share {
        /// To whom
        #[arg(long)]
        caller: CallerId,
        /// To do what, such as search or read_telemetry; repeat it for more
        #[arg(long = "operation", required = true)]
        operations: Vec<Operation>,
        /// Why; it is recorded in the audit log
        #[arg(long)]
        reason: String,
        /// For how many seconds
        #[arg(long, default_value_t = 3600)]
        expires_in: u64,
    },
    /// Takes a caller's access back
    Revoke {
        /// From whom
        #[arg(long)]
        caller: CallerId,
    },
    /// Lists who has or had access by sharing
    List,
    /// Two callers of two tenants, and an access that expires
    Demo,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let tenant = || options.tenants.first().context("say which tenant by --tenant-id");
    let shown = match options.command {
        Command::Check { caller, of, role, query } => {
            let caller = of.into_iter().fold(Caller::new(caller), Caller::with_tenant).with_role(role.into());
            let query = if query.is_empty() { "anything".to_owned() } else { query.join(" ") };
            let step = search(&cogniverse, &caller, tenant()?, &query).await?;
            println!("{}", if options.common.json { step.to_string() } else { sentence(&step) });
            return Ok(());
        }
        Command::Share { caller, operations, reason, expires_in } => {
            let expires_at = Timestamp::now().checked_add(Duration::from_secs(expires_in))?;
            let share = ShareAccess::new(caller, reason, expires_at);
            let share = operations.into_iter().fold(share, ShareAccess::with_operation);
            json!({ "shared": cogniverse.share_access(tenant()?, share).await? })
        }
        Command::Revoke { caller } => {
            cogniverse.revoke_access(tenant()?, &caller).await?;
            json!({ "revoked": caller, "tenant": tenant()? })
        }
        Command::List => json!({ "tenant": tenant()?, "shared": cogniverse.shared_access(tenant()?).await? }),
        Command::Demo => {
            let second = options.tenants.get(1).context("the demo needs two tenants: --tenant-id A --tenant-id B")?;
            let steps = demo(&cogniverse, tenant()?, second).await?;
            if !options.common.json {
                steps.iter().for_each(|step| println!("{}", sentence(step)));
                return Ok(());
            }
            json!({ "steps": steps })
        }
    };
    println!("{}", if options.common.json { shown.to_string() } else { serde_json::to_string_pretty(&shown)? });
    Ok(())
}

/// Whether a caller may search a tenant, and what it finds. Being denied is an answer here, any other failure is one.
async fn search(cogniverse: &Cogniverse, caller: &Caller, tenant: &TenantId, query: &str) -> Result<Value> {
    let request = SearchRequest::new(tenant.clone(), ProfileName::parse(cli::TEXT_PROFILE)?, query);
    let step = |allowed: bool, hits: Option<usize>, says: Option<String>| {
        json!({
            "caller": caller.name(), "tenant": tenant, "operation": Operation::Search,
            "allowed": allowed, "hits": hits, "message": says,
        })
    };
    match cogniverse.for_caller(caller.clone()).search(request).await {
        Ok(found) => Ok(step(true, Some(found.results.len()), None)),
        Err(e) if e.code() == cogniverse::ErrorCode::TenantUnknown => {
            Ok(step(false, None, Some(e.message().to_owned())))
        }
        // Admitted, and there is nothing to search.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(step(true, None, Some(e.message().to_owned()))),
        Err(e) => Err(e.into()),
    }
}

fn sentence(step: &Value) -> String {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    match (step["allowed"].as_bool(), step["hits"].as_u64()) {
        (Some(true), Some(hits)) => {
            format!("✓ {} may search {}: {hits} hits", text("caller"), text("tenant"))
        }
        (Some(true), None) => format!("✓ {} may search {}: {}", text("caller"), text("tenant"), text("message")),
        _ => format!("✗ {} may not search {}: {}", text("caller"), text("tenant"), text("message")),
    }
}

async fn demo(cogniverse: &Cogniverse, first: &TenantId, second: &TenantId) -> Result<Vec<Value>> {
    const LASTS: Duration = Duration::from_secs(1);
    let caller = |name: &str, of: &TenantId| -> Result<Caller> {
        Ok(Caller::new(CallerId::parse(name)?).with_tenant(of.clone()).with_role(Role::Reader))
    };
    let (anna, bob) = (caller("anna", first)?, caller("bob", second)?);
    let mut steps = Vec::new();
    for (caller, tenant) in [(&anna, first), (&bob, second), (&bob, first)] {
        steps.push(search(cogniverse, caller, tenant, "anything").await?);
    }
    let expires_at = Timestamp::now().checked_add(LASTS)?;
    let id = bob.id().context("a named caller")?.clone();
    let share = ShareAccess::new(id, "a demonstration", expires_at).with_operation(Operation::Search);
    cogniverse.share_access(first, share).await?;
    steps.push(search(cogniverse, &bob, first, "anything").await?);
    tokio::time::sleep(LASTS).await;
    steps.push(search(cogniverse, &bob, first, "anything").await?);
    Ok(steps)
}
