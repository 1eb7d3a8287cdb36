//! A process that stores experiences is killed, again and again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use cogniverse_foundation::SqliteExperienceStore;
use cogniverse_sdk::{
    Experience, ExperienceNote, ExperienceStore, Feedback, Generation, Modality, RouteTier, SearchId, TenantId,
    Timestamp,
};
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const FILE: &str = "COGNIVERSE_TEST_EXPERIENCE_FILE";
const FROM: &str = "COGNIVERSE_TEST_EXPERIENCE_FROM";
const ROUNDS: u64 = 12;

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn id(number: u64) -> SearchId {
    SearchId::parse(format!("{number:032x}")).unwrap()
}

/// The body of a child: it stores, notes and changes the state, and says each thing that was acknowledged.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let from: u64 = std::env::var(FROM).unwrap().parse().unwrap();
    let store = SqliteExperienceStore::open(std::path::PathBuf::from(path)).await.unwrap();
    for number in from.. {
        let asked = (Modality::Audio, Generation::Summary);
        let experience = Experience::new(id(number), Timestamp::UNIX_EPOCH, asked, RouteTier::FastPath);
        store.put(&acme(), 1, vec![experience]).await.unwrap();
        println!("put {number}");
        assert!(store.note(&acme(), &id(number), ExperienceNote::Feedback(Feedback::Watched, None)).await.unwrap());
        println!("noted {number}");
        let version = store.state(&acme()).await.unwrap().map(|(_, version)| version);
        assert!(store.replace_state(&acme(), 1, version, &json!({ "n": number })).await.unwrap().is_some());
        println!("state {number}");
    }
}

/// Runs a child, kills it after a while, and returns what it said was done, by kind.
fn killed(path: &Path, from: u64, after: Duration) -> Vec<(String, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(FILE, path)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = |line: String| {
        let (kind, number) = line.split_once(' ')?;
        Some((kind.to_owned(), number.parse().ok()?))
    };
    output.lines().map_while(Result::ok).filter_map(said).collect()
}

#[tokio::test]
async fn invariant_15_a_killed_writer_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("experience.sqlite");
    let (mut next, mut acknowledged) = (0, 0);
    for round in 0..ROUNDS {
        let said = killed(&path, next, Duration::from_millis(150 + 37 * round));
        let store = SqliteExperienceStore::open(path.clone()).await.unwrap();
        for (kind, number) in &said {
            acknowledged += 1;
            let found = store.get(&acme(), &id(*number)).await.unwrap();
            let positive = found.as_ref().map(|found| found.feedback.positive);
            match kind.as_str() {
                "put" => assert!(positive.is_some(), "{number} is lost"),
                "noted" => assert_eq!(positive, Some(1), "{number}"),
                "state" => {
                    let state = store.state(&acme()).await.unwrap().unwrap().0;
                    assert!(state.get("n").and_then(serde_json::Value::as_u64) >= Some(*number), "{state}");
                }
                _ => {}
            }
        }
        // What was on its way may be there or not; the next one begins behind it.
        next = said.iter().map(|(_, number)| number + 2).max().unwrap_or(next);
    }
    assert!(acknowledged > 100, "the children did too little for this to show anything: {acknowledged}");
}
