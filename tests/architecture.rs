//! The table of layers in ARCHITECTURE.md, checked against what cargo knows.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_tests::root;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
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
        ("cogniverse-http", &["cogniverse-sdk"]),
        ("cogniverse-encoders", &["cogniverse-sdk"]),
        ("cogniverse-model-servers", &["cogniverse-sdk", "cogniverse-http"]),
        ("cogniverse-object-store", &["cogniverse-sdk"]),
        ("cogniverse-ollama", &["cogniverse-sdk", "cogniverse-http"]),
        ("cogniverse-openai", &["cogniverse-sdk", "cogniverse-http"]),
        ("cogniverse-otlp", &["cogniverse-sdk", "cogniverse-http", "cogniverse-foundation"]),
        ("cogniverse-phoenix", &["cogniverse-sdk", "cogniverse-http", "cogniverse-foundation", "cogniverse-core"]),
        ("cogniverse-vespa", &["cogniverse-sdk", "cogniverse-http", "cogniverse-core"]),
        ("vespa-testkit", &["cogniverse-sdk", "cogniverse-core", "cogniverse-embedded"]),
        ("cogniverse-compare", &["cogniverse-sdk", "cogniverse-core", "cogniverse-embedded"]),
        ("cogniverse-example-service", &["cogniverse"]),
        (
            "cogniverse-examples",
            &[
                "cogniverse-sdk",
                "cogniverse",
                "cogniverse-model-servers",
                "cogniverse-ollama",
                "cogniverse-openai",
                "cogniverse-otlp",
                "cogniverse-phoenix",
                "cogniverse-vespa",
            ],
        ),
        ("cogniverse-tests", &["cogniverse"]),
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

/// Addresses, keys, bounds, deadlines and retries of HTTP are handled once. OTLP over gRPC is tonic's.
#[test]
fn only_cogniverse_http_speaks_http() {
    let speaks = |d: &str| ["reqwest", "hyper", "ureq", "isahc", "curl", "backon", "secrecy"].contains(&d);
    for (package, dependencies) in dependencies() {
        if matches!(package.as_str(), "cogniverse-http" | "vespa-testkit") {
            continue;
        }
        let found: Vec<_> = dependencies.iter().filter(|d| speaks(d)).collect();
        assert!(found.is_empty(), "{package} uses {found:?}; use cogniverse-http");
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

/// Cargo finds tests and examples by itself in no package that lies in a folder of them: one that nobody names would never run.
#[test]
fn every_test_and_example_is_a_target() {
    let packages = metadata();
    let targets: BTreeSet<String> = packages["packages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap())
        .map(|target| {
            std::fs::canonicalize(target["src_path"].as_str().unwrap()).unwrap().to_string_lossy().into_owned()
        })
        .collect();
    let root = root().canonicalize().unwrap();
    let mut seen = 0;
    for folder in ["tests", "examples", "benches"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "rs") {
                assert!(targets.contains(path.to_str().unwrap()), "{} is in no Cargo.toml", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
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
    let mut found = Vec::new();
    for package in metadata()["packages"].as_array().unwrap() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let src = manifest.parent().unwrap().join("src");
        if src.exists() {
            sources(&src, &mut found);
        }
    }
    assert!(found.len() > 80);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        // Vector instructions, mapped files, and the C library's call that gives memory back.
        let name = path.to_string_lossy();
        let unsafe_rooms =
            ["avx2", "avx512", "neon", "ahead"].map(|room| format!("/cogniverse-embedded/src/kernel/{room}"));
        let allowed =
            ["returned", "mapped"].iter().any(|room| name.ends_with(&format!("/cogniverse-embedded/src/{room}.rs")))
                || unsafe_rooms.iter().any(|room| name.contains(room));
        let has_unsafe = text.lines().any(|line| line.trim_start().starts_with("unsafe ") || line.contains("unsafe {"));
        assert!(allowed || !has_unsafe, "{} has unsafe code", path.display());
        assert!(text.lines().count() <= 600, "{} is longer than 600 lines", path.display());
    }
}
