//! A process that is killed at every step of a tenant's life: what is there opens, and the same call ends what was begun.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    Cogniverse, ErrorCode, IngestRequest, IngestSource, NewTenant, SearchRequest, Suspend, Template,
    encoders::HashEncoder, sdk::VectorKind, tenants::TenantState,
};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};
use world::{TEXT, profile, strategy, tenant};

/// The steps, each as the move and the place at which the process is killed.
const STEPS: &[(&str, &str)] = &[
    ("create", "create.recorded"),
    ("create", "create.configured"),
    ("create", "deploy.recorded"),
    ("create", "create.deployed"),
    ("create", "create.remembering"),
    ("create", "create.active"),
    ("suspend", "suspend.recorded"),
    ("suspend", "suspend.audited"),
    ("reactivate", "reactivate.recorded"),
    ("reactivate", "reactivate.audited"),
    ("erase", "erase.recorded"),
    ("erase", "erase.audited"),
    ("erase", "drop.recorded"),
    ("erase", "drop.removed"),
    ("erase", "drop.ended"),
    ("erase", "erase.telemetry"),
    ("erase", "erase.documents"),
    ("erase", "erase.memories"),
    ("erase", "erase.transcripts"),
    ("erase", "erase.descriptions"),
    ("erase", "erase.screen_texts"),
    ("erase", "erase.files"),
    ("erase", "erase.access"),
    ("erase", "erase.caches"),
    ("erase", "erase.audit"),
    ("erase", "erase.configuration"),
    ("erase", "erase.probed"),
    ("erase", "erase.summed"),
    ("erase", "erase.erased"),
];

async fn open(folder: &Path) -> Cogniverse {
    let embedder = Arc::new(HashEncoder::new(384, VectorKind::Single));
    Cogniverse::builder().data_dir(folder).text_embedder(embedder).open().await.unwrap()
}

fn new(name: &str) -> NewTenant {
    NewTenant::new(tenant(name), Template::Startup).with_profile(profile(TEXT)).with_memories()
}

async fn make(c: &Cogniverse, folder: &Path, name: &str) {
    c.create(new(name)).await.unwrap();
    let lines: String = (0..50)
        .map(|n| format!("{{\"video_id\":\"{name}\",\"segment_id\":{n},\"start_time\":{n},\"end_time\":{},\"audio_transcript\":\"words of {name}\"}}\n", n + 1))
        .collect();
    let file = folder.with_extension(format!("{name}.jsonl"));
    std::fs::write(&file, lines).unwrap();
    c.ingest(IngestRequest::new(tenant(name), profile(TEXT), IngestSource::Segments(file))).await.unwrap();
}

async fn act(c: &Cogniverse, what: &str) -> cogniverse::Result<TenantState> {
    let acme = tenant("acme");
    Ok(match what {
        "create" => c.create(new("acme")).await?.state,
        "suspend" => c.suspend(&acme, Suspend::new("unpaid")).await?.record.state,
        "reactivate" => c.reactivate(&acme).await?.state,
        "erase" => c.erase(&acme).await?.state,
        other => panic!("{other}"),
    })
}

/// The process that is killed: does one move on the folder of its environment.
#[tokio::test]
#[ignore = "run by the test of this file, in a process of its own"]
async fn child() {
    let folder = PathBuf::from(std::env::var_os("LIFECYCLE_FOLDER").unwrap());
    let c = open(&folder).await;
    act(&c, &std::env::var("LIFECYCLE_MOVE").unwrap()).await.unwrap();
}

fn kill_at(folder: &Path, what: &str, place: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("LIFECYCLE_FOLDER", folder)
        .env("LIFECYCLE_MOVE", what)
        .env("COGNIVERSE_FAILPOINT", place)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reached = lines.any(|line| line.unwrap() == format!("failpoint {place}"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "{what} never came to {place}");
}

/// Every file of a tenant's folder.
fn files_of(folder: &Path, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.join("tenants").join(name)];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn ask(of: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), "words").with_strategy(strategy("bm25_only"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_15_a_kill_at_any_step_is_finished_by_the_same_call() {
    let home = tempfile::tempdir().unwrap();
    // What each move starts from, made once.
    for what in ["create", "suspend", "reactivate", "erase"] {
        let folder = home.path().join(what);
        let c = open(&folder).await;
        make(&c, &folder, "neighbour").await;
        if what != "create" {
            make(&c, &folder, "acme").await;
        }
        if matches!(what, "reactivate" | "erase") {
            c.suspend(&tenant("acme"), Suspend::new("unpaid")).await.unwrap();
        }
    }
    for (what, place) in STEPS {
        let folder = home.path().join(format!("{what} at {place}"));
        copy(&home.path().join(what), &folder);
        let neighbour = files_of(&folder, "neighbour");
        kill_at(&folder, what, place);
        let c = open(&folder).await;
        // Until it is finished nobody is served by halves.
        let state = match c.tenant(&tenant("acme")).await {
            Ok(record) => record.state,
            Err(error) => panic!("{place}: {error}"),
        };
        let searched = c.search(ask("acme")).await;
        match state {
            TenantState::Active => drop(searched.unwrap()),
            TenantState::Provisioning => assert_eq!(searched.unwrap_err().code(), ErrorCode::TenantNotReady, "{place}"),
            TenantState::Suspended => assert_eq!(searched.unwrap_err().code(), ErrorCode::TenantSuspended, "{place}"),
            TenantState::Erasing => assert_eq!(searched.unwrap_err().code(), ErrorCode::TenantErasing, "{place}"),
            _ => assert_eq!(searched.unwrap_err().code(), ErrorCode::TenantUnknown, "{place}"),
        }
        let wanted = match *what {
            "create" | "reactivate" => TenantState::Active,
            "suspend" => TenantState::Suspended,
            _ => TenantState::Erased,
        };
        match act(&c, what).await {
            Ok(reached) => assert_eq!(reached, wanted, "{place}"),
            // It was done, and the way back is not what this call asks for.
            Err(error) if *what == "reactivate" => {
                assert_eq!((error.code(), state), (ErrorCode::TenantStateMismatch, wanted), "{place}");
            }
            Err(error) => panic!("{place}: {error}"),
        }
        let checked = c.verify_audit(&tenant("acme")).await.unwrap();
        assert!(checked.is_whole(), "{place}: {checked:?}");
        match wanted {
            TenantState::Active => drop(c.search(ask("acme")).await.unwrap()),
            TenantState::Erased => assert!(!folder.join("tenants/acme").exists(), "{place}"),
            _ => {}
        }
        assert_eq!(c.search(ask("neighbour")).await.unwrap().results.len(), 10, "{place}");
        drop(c);
        let after = files_of(&folder, "neighbour");
        let database = |files: &BTreeMap<PathBuf, Vec<u8>>| -> Vec<Vec<u8>> {
            files
                .iter()
                .filter(|(path, _)| path.ends_with("documents.sqlite"))
                .map(|(_, bytes)| bytes.clone())
                .collect()
        };
        assert_eq!(database(&after), database(&neighbour), "{place}: the neighbour's files");
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!("{} places at which the process was killed", STEPS.len());
}
