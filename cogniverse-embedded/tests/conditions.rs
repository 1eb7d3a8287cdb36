//! Conditions on words against a plain reading of every document's texts, in memory and from block files.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_core::text::Analyzer;
use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, Correction, Document, DocumentStore, ErrorCode, SearchBackend,
    WordCondition::{self, Phrase, Prefix, Without},
    contract::fixture::{axis, deploy, document, field, schema_of, strategy},
    document_store::{DeleteRequest, PutRequest},
};
use std::{collections::BTreeSet, time::Duration};

const DOCUMENTS: i64 = 900;
/// Among them such as stemming shortens, changes or doubles.
const WORDS: [&str; 20] = [
    "run",
    "running",
    "runner",
    "runs",
    "rune",
    "happy",
    "happiness",
    "happily",
    "sail",
    "sailing",
    "nation",
    "nationalization",
    "Café",
    "cafés",
    "the",
    "sea",
    "seas",
    "die",
    "boats",
    "東京",
];
const PREFIXES: [&str; 16] = [
    "run",
    "runn",
    "runni",
    "RUNNER",
    "r",
    "ha",
    "happ",
    "happy",
    "happin",
    "nationali",
    "cafe",
    "café",
    "sailin",
    "seas",
    "zz",
    "東",
];

/// Numbers of an `xorshift` generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn text(&mut self) -> String {
        let count = self.below(7);
        (0..count).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }
}

fn texts(document: &Document) -> [&str; 2] {
    [document.text("video_title"), document.text("audio_transcript")]
}

/// Without accents and case, of the words here.
fn plain(word: &str) -> String {
    word.to_lowercase().replace('é', "e")
}

/// What a condition means, read off the texts.
fn holds(condition: &WordCondition, document: &Document) -> bool {
    let terms = |text: &str| Analyzer::new().terms(text);
    let has = |text: &str| {
        let wanted = terms(text);
        texts(document).iter().any(|text| terms(text).windows(wanted.len()).any(|window| window == wanted))
    };
    match condition {
        Phrase(text) => has(text),
        Without(text) => !has(text),
        Prefix(prefix) => {
            let begins = |word: &str| plain(word).starts_with(&plain(prefix));
            texts(document).iter().any(|text| text.split(' ').any(begins))
        }
        other => unreachable!("{other:?}"),
    }
}

async fn open(folder: &std::path::Path, block_documents: usize) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash);
    EmbeddedBackend::open(config.with_block_documents(block_documents)).await.unwrap()
}

fn query(conditions: Vec<WordCondition>) -> BackendQuery {
    let query = BackendQuery::new(schema_of("acme"), strategy("float_float"));
    let vectors = cogniverse_sdk::contract::fixture::row(axis(0));
    query.with_vectors(vectors).with_words(conditions).with_page(0, 1_000).with_timeout(Some(Duration::from_secs(60)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_mean_what_a_reader_of_the_texts_sees() {
    let mut random = Random(9);
    let mut documents: Vec<Document> = (0..DOCUMENTS)
        .map(|n| document("v", n, &random.text(), axis(0)).with(field("video_title"), random.text()))
        .collect();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backends = [open(folder.path(), 64).await, open(other.path(), usize::MAX).await];
    for backend in &backends {
        deploy(backend, &["acme"]).await;
        for batch in documents.chunks(150) {
            backend.put(PutRequest::new(schema_of("acme"), batch.to_vec())).await.unwrap();
        }
        let gone = documents.iter().step_by(9).map(|document| document.id.clone()).collect();
        backend.delete(DeleteRequest::ids(schema_of("acme"), gone)).await.unwrap();
    }
    let mut number = 0;
    documents.retain(|_| {
        number += 1;
        number % 9 != 1
    });
    let mut conditions: Vec<Vec<WordCondition>> =
        PREFIXES.iter().map(|prefix| vec![Prefix((*prefix).to_owned())]).collect();
    for _ in 0..40 {
        let words: Vec<&str> = (0..1 + random.below(3)).map(|_| WORDS[random.below(WORDS.len())]).collect();
        let text = words.join(" ");
        let other = WORDS[random.below(WORDS.len())].to_owned();
        conditions.push(vec![Phrase(text.clone())]);
        conditions.push(vec![Without(text.clone()), Without(other.clone())]);
        conditions.push(vec![Phrase(text), Without(other), Prefix(PREFIXES[random.below(PREFIXES.len())].to_owned())]);
    }
    let mut found_any = 0;
    for conditions in conditions {
        let expected: BTreeSet<_> = documents
            .iter()
            .filter(|document| conditions.iter().all(|condition| holds(condition, document)))
            .map(|document| document.id.clone())
            .collect();
        found_any += usize::from(!expected.is_empty() && expected.len() < documents.len());
        for backend in &backends {
            let found = backend.search(query(conditions.clone())).await.unwrap();
            let ids: BTreeSet<_> = found.hits.iter().map(|hit| hit.document.id.clone()).collect();
            assert_eq!(found.matched, expected.len() as u64, "{conditions:?}");
            assert_eq!(ids, expected, "{conditions:?}");
        }
    }
    assert!(found_any > 60, "{found_any} conditions tell documents apart");
    // What must be read is read within the time limit, or not at all.
    let late = query(vec![Phrase("the sea".to_owned())]).with_timeout(Some(Duration::from_nanos(1)));
    let error = backends[0].search(late).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SearchTimeout);
}

/// A word stands for what was meant, also where its stem is far from it; a deleted document's words stand for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrected_word_finds_and_marks_what_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path(), usize::MAX).await;
    deploy(&backend, &["acme", "globex"]).await;
    let texts = ["lifting heavy weights", "a documentary of harbours", "gone weighty words"];
    let documents = texts.iter().zip(0..).map(|(text, n)| document("v", n, text, axis(0))).collect();
    backend.put(PutRequest::new(schema_of("acme"), documents)).await.unwrap();
    let gone = DeleteRequest::ids(schema_of("acme"), vec![document("v", 2, "", axis(0)).id]);
    backend.delete(gone).await.unwrap();
    let search = async |tenant: &str, text: &str| {
        let query = BackendQuery::new(schema_of(tenant), strategy("bm25_only")).with_text(text).with_typos(true);
        backend.search(query).await.unwrap()
    };
    let found = search("acme", "liftng documnetary").await;
    let correction = |word: &str, term: &str| Correction::new(word, vec![term.to_owned()]);
    assert_eq!(found.corrections, [correction("liftng", "lift"), correction("documnetary", "documentari")]);
    assert_eq!(found.matched, 2);
    let marked: Vec<&str> = found
        .hits
        .iter()
        .flat_map(|hit| hit.highlights.iter().map(move |mark| (hit, mark)))
        .flat_map(|(hit, mark)| {
            mark.ranges.iter().map(move |range| &hit.document.text(mark.field.as_str())[range.clone()])
        })
        .collect();
    assert_eq!(BTreeSet::from_iter(marked), BTreeSet::from(["lifting", "documentary"]));
    assert_eq!(search("acme", "wordss").await.corrections, []);
    // Another tenant's words correct nothing.
    assert_eq!(search("globex", "liftng").await.corrections, []);
}
