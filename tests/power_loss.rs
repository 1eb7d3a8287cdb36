//! A loss of power at any moment: what was acknowledged is there, in all three files of a data folder ([invariant 15](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#15)).
//!
//! Killing a process shows nothing of this, as the kernel keeps what the process wrote. Here the process runs on a disk that takes
//! back whatever was not synced (`power_loss/unsynced.c`).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test asserts")]

use cogniverse::{
    Cogniverse, IngestRequest, IngestSource, ProfileName, SchemaName, Template, TenantId,
    embedded::{Durability, EmbeddedConfig},
    sdk::TenantSchema,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const FOLDER: &str = "COGNIVERSE_POWER_LOSS_FOLDER";
const LESS_DURABLE: &str = "COGNIVERSE_POWER_LOSS_PROCESS_CRASH";
const PROFILE: &str = "video_text_minilm_mv_segment";
/// Segments a file of segments; one file is one acknowledged ingestion.
const SEGMENTS: usize = 5;

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn schema() -> TenantSchema {
    TenantSchema::new(&tenant(), &SchemaName::parse(PROFILE).unwrap())
}

async fn open(folder: &Path, durability: Durability) -> Cogniverse {
    Cogniverse::builder().embedded(EmbeddedConfig::new(folder).with_durability(durability)).open().await.unwrap()
}

/// Not a test of its own: the process whose power goes. It says what is acknowledged.
#[tokio::test]
async fn the_process_whose_power_goes() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let durability = match std::env::var_os(LESS_DURABLE) {
        Some(_) => Durability::ProcessCrash,
        None => Durability::PowerLoss,
    };
    let cogniverse = open(&folder, durability).await;
    let profile = ProfileName::parse(PROFILE).unwrap();
    cogniverse.create_tenant(&tenant(), Template::Startup).await.unwrap();
    cogniverse.deploy(&tenant(), &profile).await.unwrap();
    for video in 0..3 {
        let lines: String = (0..SEGMENTS)
            .map(|n| {
                let line = serde_json::json!({
                    "video_id": format!("v{video}"), "segment_id": n, "start_time": n, "end_time": n + 1,
                    "audio_transcript": "some words to index",
                });
                format!("{line}\n")
            })
            .collect();
        let file = folder.with_extension("jsonl");
        std::fs::write(&file, lines).unwrap();
        let request = IngestRequest::new(tenant(), profile.clone(), IngestSource::Segments(file));
        assert!(cogniverse.ingest(request).await.unwrap().is_complete());
        println!("stored {SEGMENTS}");
    }
    std::process::abort();
}

/// The disk without power as a library to preload, or why there is none.
fn disk(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("unsynced.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("power_loss/unsynced.c");
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    let made = made.is_ok_and(|status| status.success());
    assert!(made || std::env::var_os("COGNIVERSE_CI").is_none(), "CI must have a C compiler");
    if !made {
        println!("skipped: there is no C compiler to build the disk that loses its power");
    }
    made.then_some(library)
}

/// Segments that were acknowledged before the power went.
fn lose_power(library: &Path, folder: &Path, less_durable: bool) -> u64 {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process
        .args(["--exact", "the_process_whose_power_goes", "--nocapture"])
        .env(FOLDER, folder)
        .env("UNSYNCED_FOLDER", folder)
        .env("LD_PRELOAD", library);
    if less_durable {
        process.env(LESS_DURABLE, "1");
    }
    let output = process.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(99), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.matches("stored").count() as u64 * SEGMENTS as u64
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_loss_of_power() {
    let home = tempfile::tempdir().unwrap();
    let Some(library) = disk(home.path()) else { return };
    let folder = home.path().join("durable");
    let acknowledged = lose_power(&library, &folder, false);
    assert_eq!(acknowledged, 3 * SEGMENTS as u64);
    let cogniverse = open(&folder, Durability::PowerLoss).await;
    cogniverse.tenant(&tenant()).await.unwrap();
    assert_eq!(cogniverse.operator().backend().count(&schema(), None).await.unwrap(), acknowledged);
}

/// What `ProcessCrash` says of itself; and that this disk does lose what is not synced.
#[tokio::test]
async fn less_durability_may_lose_the_last_batches_and_still_opens() {
    let home = tempfile::tempdir().unwrap();
    let Some(library) = disk(home.path()) else { return };
    let folder = home.path().join("less");
    let acknowledged = lose_power(&library, &folder, true);
    let cogniverse = open(&folder, Durability::ProcessCrash).await;
    cogniverse.tenant(&tenant()).await.unwrap();
    let there = cogniverse.operator().backend().count(&schema(), None).await.unwrap();
    assert!(there < acknowledged, "{there} of {acknowledged}: the disk lost nothing");
    assert_eq!(there % SEGMENTS as u64, 0, "an ingestion is there whole or not at all");
}
