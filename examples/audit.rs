//! The audit log of a tenant: show, verify, export.
//!
//! Needs: a tenant that something was done to. Prints: who did what and when; whether every entry follows from the one
//! before, and the first that does not; with `export`, the entries as JSON lines. A broken log is a failure.
//!
//! `cargo run --example audit -- show --tenant-id acme_corp`

mod cli;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use cogniverse::{Cogniverse, TenantId, sdk::AuditEntry};
use std::{
    io::{BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

/// The number of entries that are read together.
const PAGE: usize = 500;

#[derive(Parser)]
#[command(about = "Shows, verifies and exports a tenant's audit log")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Whose log
    #[arg(long, global = true)]
    tenant_id: Option<TenantId>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the entries, oldest first
    Show,
    /// Checks that every entry follows from the one before
    Verify,
    /// Writes the entries as JSON lines
    Export {
        /// The file (default: standard output)
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    let cogniverse = options.common.open().await?;
    let tenant = options.tenant_id.as_ref().context("say whose log by --tenant-id")?;
    match options.command {
        Command::Show => {
            let mut entries = Vec::new();
            each(&cogniverse, tenant, |entry| {
                entries.push(entry);
                Ok(())
            })
            .await?;
            if options.common.json {
                println!("{}", serde_json::json!({ "tenant": tenant, "entries": entries }));
                return Ok(());
            }
            let mut table = cli::plain_table(["", "at", "who", "what"]);
            for entry in entries {
                let what = serde_json::to_string(&entry.event)?;
                table.add_row([entry.sequence.to_string(), entry.at.to_string(), entry.actor, what]);
            }
            println!("{table}");
            Ok(())
        }
        Command::Verify => {
            let checked = cogniverse.verify_audit(tenant).await?;
            if options.common.json {
                println!("{}", serde_json::to_string(&checked)?);
            } else {
                println!("{} entries hold; the last one's hash is {}", checked.entries, checked.head);
            }
            match checked.broken {
                None => Ok(()),
                Some(broken) => bail!("entry {} is broken: {}", broken.sequence, broken.reason),
            }
        }
        Command::Export { out } => {
            let mut out: BufWriter<Box<dyn Write + Send>> = BufWriter::new(match &out {
                Some(path) => {
                    Box::new(std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
                }
                None => Box::new(std::io::stdout()),
            });
            each(&cogniverse, tenant, |entry| Ok(writeln!(out, "{}", serde_json::to_string(&entry)?)?)).await?;
            out.flush()?;
            Ok(())
        }
    }
}

async fn each(
    cogniverse: &Cogniverse,
    tenant: &TenantId,
    mut take: impl FnMut(AuditEntry) -> Result<()>,
) -> Result<()> {
    let mut after = Some(0);
    while let Some(from) = after {
        let page = cogniverse.audit(tenant, from, PAGE).await?;
        page.entries.into_iter().try_for_each(&mut take)?;
        after = page.next;
    }
    Ok(())
}
