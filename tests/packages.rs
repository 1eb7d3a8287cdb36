//! What every published package must have, and that its readme shows the code of its documentation.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_tests::root;
use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Packages that are published, with their folders.
fn published() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    // `publish = false` is an empty list of registries.
    packages.filter(|package| package["publish"].is_null()).cloned().collect()
}

#[test]
fn every_package_can_be_found_read_and_licensed() {
    let packages = published();
    assert!(packages.len() >= 15, "{}", packages.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for field in ["description", "license", "repository", "readme", "rust_version"] {
            assert!(package[field].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {field}");
        }
        for (field, most) in [("keywords", 5), ("categories", 5)] {
            let count = package[field].as_array().unwrap().len();
            assert!((1..=most).contains(&count), "{name} has {count} {field}");
        }
        assert!(!package["metadata"]["docs"]["rs"].is_null(), "{name} does not say which features docs.rs shall show");
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let licence = fs::read_to_string(folder.join("LICENSE")).unwrap();
        assert!(licence.contains("Apache License") && licence.contains("END OF TERMS AND CONDITIONS"), "{name}");
    }
}

/// The lines of a piece of code that a reader sees.
fn shown(code: &str) -> Vec<&str> {
    code.lines().filter(|line| !line.starts_with("# ") && *line != "#").map(str::trim_end).collect()
}

/// The first block of Rust in a text that is meant to compile.
fn first_block(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (_, opened) = rest.split_once("```")?;
        let (language, body) = opened.split_once('\n')?;
        let (code, after) = body.split_once("```")?;
        if ["", "no_run", "rust", "rust,no_run", "rust,ignore"].contains(&language.trim()) {
            return Some(code);
        }
        rest = after;
    }
}

#[test]
fn readmes_show_the_code_that_the_documentation_compiles() {
    let mut compared = 0;
    for package in published().iter().filter(|package| package["name"] != "cogniverse") {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap();
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        let docs: Vec<&str> = library
            .lines()
            .filter_map(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        let docs = docs.join("\n");
        let (Some(wanted), Some(given)) = (first_block(&docs), first_block(&readme)) else { continue };
        let trimmed = |code: &str| shown(code).join("\n").trim().to_owned();
        assert_eq!(trimmed(given), trimmed(wanted), "the README and the documentation of {} differ", package["name"]);
        compared += 1;
    }
    assert!(compared >= 12, "{compared}");
}
