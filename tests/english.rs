//! Rules of our English that a machine can hold: what the first sentence of a public item's documentation looks like, and
//! that no documentation cites what is not in the repository.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Sources of the crates, without tests beside them.
fn sources() -> Vec<PathBuf> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&root).unwrap() {
        let source = entry.unwrap().path().join("src");
        if source.is_dir() {
            collect(&source, &mut found);
        }
    }
    collect(&root.join("src"), &mut found);
    assert!(found.len() > 200, "{} files", found.len());
    found
}

/// The first paragraph of a public item's documentation, with its place.
struct Doc {
    place: String,
    paragraph: String,
}

fn public_docs() -> Vec<Doc> {
    let mut docs = Vec::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        let mut at = 0;
        while at < lines.len() {
            let is_doc = |line: &&&str| line.starts_with("///") || line.starts_with("//!");
            let length = lines[at..].iter().take_while(is_doc).count();
            if length == 0 {
                at += 1;
                continue;
            }
            let body = &lines[at..at + length];
            let item = lines[at + length..].iter().find(|line| !line.starts_with('#') && !line.starts_with("//"));
            let is_module = body[0].starts_with("//!");
            if is_module || item.is_some_and(|item| is_public(item)) {
                let words = |line: &&&str| !line[3..].trim().is_empty();
                let paragraph =
                    body.iter().take_while(words).map(|line| line[3..].trim()).collect::<Vec<_>>().join(" ");
                docs.push(Doc { place: format!("{}:{}", path.display(), at + 1), paragraph });
            }
            at += length;
        }
    }
    assert!(docs.len() > 2000, "{} docs", docs.len());
    docs
}

/// Public items, fields and variants of the crates' types alike: a variant and a trait's method have no `pub`.
fn is_public(item: &str) -> bool {
    let private = ["pub(", "const ", "static ", "struct ", "enum ", "trait ", "type ", "mod ", "use ", "impl", "let "];
    !private.iter().any(|start| item.starts_with(start))
}

fn assert_none(rule: &str, broken: impl Fn(&str) -> bool) {
    let found: Vec<String> = public_docs()
        .into_iter()
        .filter(|doc| broken(&doc.paragraph))
        .map(|doc| format!("{}: {}", doc.place, doc.paragraph))
        .collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn a_first_paragraph_is_sentences() {
    assert_none("the first paragraph ends with a full stop", |paragraph| {
        !paragraph.is_empty() && !paragraph.starts_with("```") && !paragraph.ends_with(['.', ':', '`', ')', '|'])
    });
}

#[test]
fn a_doc_is_more_than_a_word() {
    assert_none("a doc says what the item is or does", |paragraph| {
        !paragraph.is_empty() && !paragraph.starts_with('`') && paragraph.split_whitespace().count() < 2
    });
}

#[test]
fn a_first_sentence_is_no_riddle() {
    let questions = ["Whose", "Whoever", "Who ", "What ", "Which ", "Where ", "When ", "Why ", "How ", "As ["];
    assert_none("the first sentence is a noun phrase or starts with a verb in the third person", |paragraph| {
        questions.iter().any(|question| paragraph.starts_with(question))
    });
}

/// Phrases that were translated word for word, each found in our documentation before.
#[test]
fn no_phrase_is_a_translation() {
    let phrases = [
        "what became of",
        "what becomes of",
        "to embed memories by",
        "nobody knows",
        "whoever ",
        "is had ",
        "by which is",
        "what is left",
        "begins anew",
        "is let be",
        "its time is over",
        "at most so many",
        "so many seconds",
    ];
    assert_none("plain technical English", |paragraph| {
        let lower = paragraph.to_lowercase();
        phrases.iter().any(|phrase| lower.contains(phrase))
    });
}

/// `[invariant 9](https://…/docs/invariants.md#9)`: the number is a link, and the page has the number.
#[test]
fn invariants_are_links_and_no_doc_cites_a_missing_document() {
    let page = std::fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let mut links = 0;
    for path in sources() {
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let text = line.trim_start();
            if !text.starts_with("///") && !text.starts_with("//!") {
                continue;
            }
            let place = format!("{}:{}: {text}", path.display(), number + 1);
            for cited in ["design.md", "design §", "facts/", "house-style"] {
                assert!(!text.contains(cited), "cites a document that is not in the repository: {place}");
            }
            let mut rest = text;
            while let Some(at) =
                rest.find("nvariant ").filter(|at| rest[at + 9..].starts_with(|c: char| c.is_ascii_digit()))
            {
                let (before, after) = (&rest[..at], &rest[at + 9..]);
                let digits = &after[..after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())];
                let link =
                    format!("](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#{digits})");
                assert!(before.ends_with("[i") && after[digits.len()..].starts_with(&link), "no link: {place}");
                assert!(page.contains(&format!("\n### {digits}\n")), "the page lacks it: {place}");
                links += 1;
                rest = &after[digits.len()..];
            }
        }
    }
    assert!(links > 40, "{links} links");
}
