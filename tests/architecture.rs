//! The table of layers in ARCHITECTURE.md, checked against what cargo knows.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Package by package, what it depends on outside tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let of = |package: &Value| {
        let normal = |d: &&Value| d["kind"].is_null();
        package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(normal)
            .map(|d| d["name"].as_str().unwrap().to_owned())
            .collect()
    };
    metadata()["packages"].as_array().unwrap().iter().map(|p| (p["name"].as_str().unwrap().to_owned(), of(p))).collect()
}

#[test]
fn layers_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("cogniverse-sdk", &[][..]),
        ("cogniverse-foundation", &["cogniverse-sdk"]),
        ("cogniverse-core", &["cogniverse-sdk", "cogniverse-foundation"]),
        ("cogniverse-agents", &["cogniverse-sdk", "cogniverse-foundation", "cogniverse-core"]),
        ("cogniverse-embedded", &["cogniverse-sdk", "cogniverse-core"]),
        ("cogniverse-encoders", &["cogniverse-sdk"]),
        ("cogniverse-ollama", &["cogniverse-sdk"]),
        ("cogniverse-openai", &["cogniverse-sdk"]),
        ("cogniverse-otlp", &["cogniverse-sdk", "cogniverse-foundation"]),
        ("cogniverse-phoenix", &["cogniverse-sdk", "cogniverse-foundation"]),
        ("cogniverse-vespa", &["cogniverse-sdk", "cogniverse-core"]),
        ("vespa-testkit", &["cogniverse-sdk", "cogniverse-core", "cogniverse-embedded"]),
    ]);
    for (package, dependencies) in dependencies() {
        if package == "cogniverse" {
            continue;
        }
        let allowed = allowed.get(package.as_str()).unwrap_or_else(|| panic!("{package} is not in the table"));
        let own: Vec<_> = dependencies.iter().filter(|d| d.starts_with("cogniverse")).collect();
        assert!(own.iter().all(|d| allowed.contains(&d.as_str())), "{package} uses {own:?}");
    }
}

#[test]
fn lower_layers_know_no_network_and_no_runtime() {
    let dependencies = dependencies();
    for package in ["cogniverse-sdk", "cogniverse-foundation", "cogniverse-core", "cogniverse-agents"] {
        for forbidden in ["reqwest", "hyper", "opentelemetry", "tracing-subscriber"] {
            assert!(!dependencies[package].contains(forbidden), "{package} uses {forbidden}");
        }
    }
    assert!(
        !dependencies["cogniverse-agents"].contains("rusqlite")
            && !dependencies["cogniverse-core"].contains("rusqlite")
    );
}

/// `unsafe` stands in the SIMD files alone, and every source file is of a size that one can hold in mind.
#[test]
fn unsafe_and_file_sizes() {
    fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    sources(&root.join("src"), &mut found);
    for package in dependencies().keys().filter(|p| *p != "cogniverse") {
        sources(&root.join(package).join("src"), &mut found);
    }
    assert!(found.len() > 80);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let simd = path.ends_with("kernel/avx2.rs") || path.ends_with("kernel/avx512.rs");
        let has_unsafe = text.lines().any(|line| line.trim_start().starts_with("unsafe ") || line.contains("unsafe {"));
        assert!(simd || !has_unsafe, "{} has unsafe code", path.display());
        assert!(text.lines().count() <= 600, "{} is longer than 600 lines", path.display());
    }
}
