//! Backups of a tenant in a folder: made while it is served, verified without restoring, restored to the same or another tenant.
//!
//! Needs: for `create` a tenant that exists; for the others a folder with backups. With `--backup-key` backups are encrypted.
//! Prints: the backup with its parts and what it carries, what is wrong with it, or the restored tenant.
//!
//! ```sh
//! cargo run --example backup -- create --tenant-id acme_corp --out backups
//! cargo run --example backup -- verify --from backups
//! cargo run --example backup -- restore --from backups --tenant-id acme_copy
//! cargo run --example backup -- list --from backups
//! ```

mod cli;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use cogniverse::{
    TenantId,
    backup::{
        BackupManifest, BackupService, Consistency, CreateBackup, FolderTarget, ListedBackup, OnProgress, OperatorKey,
        RestoreBackup,
    },
    sdk::BackupTarget,
};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

#[derive(Parser)]
#[command(about = "Makes, verifies, restores and lists backups of tenants")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a backup, or finishes one that was interrupted
    Create {
        /// Which tenant
        #[arg(long)]
        tenant_id: TenantId,
        /// The folder of backups
        #[arg(long)]
        out: PathBuf,
    },
    /// Reads a whole backup and checks it
    Verify {
        /// The folder of backups
        #[arg(long)]
        from: PathBuf,
        /// Which backup (default: the newest in the folder)
        #[arg(long)]
        backup: Option<String>,
    },
    /// Restores a backup to a tenant that does not exist
    Restore {
        /// The folder of backups
        #[arg(long)]
        from: PathBuf,
        /// Which backup (default: the newest in the folder)
        #[arg(long)]
        backup: Option<String>,
        /// Which tenant (default: that of the backup)
        #[arg(long)]
        tenant_id: Option<TenantId>,
        /// Why a tenant that was erased since is brought back
        #[arg(long, value_name = "REASON")]
        although_erased: Option<String>,
    },
    /// Makes a key of the operator's, for --backup-key
    Key {
        /// The file to write, which must not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// Lists the backups in a folder
    List {
        /// The folder of backups
        #[arg(long)]
        from: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

async fn run(options: Options) -> Result<()> {
    if let Command::Key { out } = &options.command {
        return make_key(out);
    }
    let cogniverse = options.common.open().await?;
    let (backups, json) = (cogniverse.backups(), options.common.json);
    match options.command {
        Command::Create { tenant_id, out } => {
            let manifest =
                backups.create(&tenant_id, &folder(out), CreateBackup::new().on_progress(progress())).await?;
            show(json, manifest_json(&manifest), || describe(&manifest));
        }
        Command::Verify { from, backup } => {
            let target = folder(from);
            let backup = chosen(&backups, &target, backup).await?;
            let found = backups.verify(&target, &backup).await?;
            let value = json!({
                "backup": backup, "whole": found.is_whole(), "problems": found.problems, "content_read": found.content_read,
            });
            show(json, value, || {
                println!("{}", if found.is_whole() { "the backup is whole" } else { "the backup is damaged" });
                found.problems.iter().for_each(|problem| println!("  {problem}"));
                if !found.content_read {
                    println!("  its key is not here: the sums of its parts were checked, and not what is in them");
                }
            });
            if !found.is_whole() {
                bail!("{backup} cannot be restored as it is; use another backup");
            }
        }
        Command::Restore { from, backup, tenant_id, although_erased } => {
            let target = folder(from);
            let backup = chosen(&backups, &target, backup).await?;
            let mut request = RestoreBackup::new(&backup).on_progress(progress());
            (request.into, request.although_erased) = (tenant_id, although_erased);
            let report = backups.restore(&target, request).await?;
            let record = &report.record;
            show(json, json!({ "backup": backup, "tenant": record }), || {
                println!(
                    "{} is {} (generation {}), restored from {backup}",
                    record.tenant, record.state, record.generation
                );
            });
        }
        Command::Key { .. } => {}
        Command::List { from } => {
            let listed = backups.list(&folder(from)).await?;
            let each = |listed: &ListedBackup| match &listed.manifest {
                Some(manifest) => manifest_json(manifest),
                None => json!({ "backup": listed.backup, "problem": listed.problem }),
            };
            show(json, json!({ "backups": listed.iter().map(each).collect::<Vec<_>>() }), || {
                let mut table = cli::plain_table(["backup", "tenant", "ended", "size", ""]);
                for listed in &listed {
                    let (tenant, ended, size, note) = match &listed.manifest {
                        Some(manifest) => (
                            manifest.tenant.to_string(),
                            manifest.ended_at.to_string(),
                            HumanBytes(manifest.bytes()).to_string(),
                            if manifest.encryption.is_some() { "encrypted" } else { "" }.to_owned(),
                        ),
                        None => {
                            (String::new(), String::new(), String::new(), listed.problem.clone().unwrap_or_default())
                        }
                    };
                    table.add_row([listed.backup.clone(), tenant, ended, size, note]);
                }
                println!("{table}");
            });
        }
    }
    Ok(())
}

/// Writes a new key to a file that only its owner can read.
fn make_key(path: &Path) -> Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "{}", OperatorKey::generate()?)?;
    Ok(())
}

fn folder(path: PathBuf) -> Arc<dyn BackupTarget> {
    Arc::new(FolderTarget::new(path))
}

/// The backup that was named, or the newest.
async fn chosen(backups: &BackupService, target: &Arc<dyn BackupTarget>, named: Option<String>) -> Result<String> {
    if let Some(named) = named {
        return Ok(named);
    }
    let listed = backups.list(target).await?;
    let finished = listed.into_iter().filter_map(|listed| listed.manifest);
    let newest = finished.max_by_key(|manifest| manifest.ended_at);
    let newest = newest.with_context(|| format!("there is no finished backup in {}", target.location()))?;
    Ok(newest.backup)
}

fn show(json: bool, value: Value, text: impl FnOnce()) {
    if json { println!("{value}") } else { text() }
}

fn manifest_json(manifest: &BackupManifest) -> Value {
    json!({
        "backup": manifest.backup, "tenant_id": manifest.tenant, "generation": manifest.generation,
        "began_at": manifest.began_at, "ended_at": manifest.ended_at, "consistency": manifest.consistency,
        "encrypted": manifest.encryption.is_some(), "parts": manifest.parts.len(), "bytes": manifest.bytes(),
        "content_bytes": manifest.content_bytes(), "surfaces": manifest.surfaces, "sha256": manifest.sha256,
    })
}

fn describe(manifest: &BackupManifest) {
    let kind = if manifest.encryption.is_some() { ", encrypted" } else { "" };
    println!("{}: {} in {} parts{kind}", manifest.backup, HumanBytes(manifest.bytes()), manifest.parts.len());
    match &manifest.consistency {
        Consistency::Snapshot { at } => println!("everything as it was at {at}"),
        Consistency::Window { from, to, reason } => println!("as it was between {from} and {to}: {reason}"),
        _ => {}
    }
    let mut table = cli::plain_table(["surface", "items", "not carried"]);
    for share in &manifest.surfaces {
        let reason = share.not_carried.clone().unwrap_or_default();
        let items = if reason.is_empty() { share.items.to_string() } else { String::new() };
        table.add_row([share.name.clone(), items, reason]);
    }
    println!("{table}");
}

/// A line on a terminal that says how far it is.
fn progress() -> OnProgress {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    Arc::new(move |progress| {
        bar.set_message(format!(
            "{}: {} parts, {}",
            progress.surface,
            progress.parts,
            HumanBytes(progress.content_bytes)
        ));
        bar.tick();
    })
}
