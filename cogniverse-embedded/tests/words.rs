//! Pages of searches by words are those of a plain computation, to the last bit: whatever bounds let a search pass over.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_precision_loss, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, BaseSchema, Document, DocumentId, DocumentStore, Filter, SchemaName, SchemaStore, SearchBackend,
    TenantSchema,
    contract::fixture::{field, id, strategy, tenant},
    document_store::{DeleteRequest, PutRequest},
    filter::Number,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{collections::BTreeMap, sync::Arc};

const SCHEMA: &str = r#"{
  "name": "words",
  "document": {"fields": [
    {"name": "title", "type": "string", "indexing": ["summary", "index"], "index": "enable-bm25"},
    {"name": "body", "type": "string", "indexing": ["summary", "index"], "index": "enable-bm25"},
    {"name": "note", "type": "string", "indexing": ["summary", "index"], "index": "enable-bm25"},
    {"name": "number", "type": "int", "indexing": ["summary", "attribute"]}
  ]},
  "fieldsets": [{"name": "default", "fields": ["title", "body"]}],
  "rank_profiles": [
    {"name": "plain", "first_phase": {"expression": "bm25(title) + bm25(body)"}},
    {"name": "weighted", "first_phase": {"expression": "0.5 + 2 * bm25(title) + 0.25 * bm25(body) + 3 * bm25(note)"}},
    {"name": "body_twice", "first_phase": {"expression": "bm25(body) + 0.1 * bm25(title) + 0.3 * bm25(body)"}},
    {"name": "unmatched", "first_phase": {"expression": "bm25(note)"}},
    {"name": "nothing", "first_phase": {"expression": "0 * bm25(body)"}}
  ]
}"#;

/// A part of a score: a field with its weight, or a constant.
type Part = (Option<usize>, f64);

/// The parts of each profile.
const PROFILES: [(&str, &[Part]); 5] = [
    ("plain", &[(Some(0), 1.0), (Some(1), 1.0)]),
    ("weighted", &[(None, 0.5), (Some(0), 2.0), (Some(1), 0.25), (Some(2), 3.0)]),
    ("body_twice", &[(Some(1), 1.0), (Some(0), 0.1), (Some(1), 0.3)]),
    ("unmatched", &[(Some(2), 1.0)]),
    ("nothing", &[(Some(1), 0.0)]),
];
const FIELDS: [&str; 3] = ["title", "body", "note"];

/// `SplitMix64`.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// A word of a vocabulary, the low numbers far more often.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the size of a vocabulary")]
    fn word(&mut self, vocabulary: u32) -> u32 {
        f64::from(vocabulary).powf(self.below(1 << 20) as f64 / f64::from(1 << 20)) as u32
    }
}

/// The words of each field of a document.
type Words = [Vec<u32>; 3];

/// What a corpus is made of.
struct Corpus {
    documents: usize,
    batch: usize,
    vocabulary: u32,
    /// The number of words of each field, to which fewer than as many again are added where texts differ in length.
    lengths: [u64; 3],
    vary: bool,
    /// One document of so many is deleted again; 0 for none.
    deleted: u64,
}

fn text(words: &[u32]) -> String {
    words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

/// Computes all hits that a search finds, best first.
fn expected(
    living: &BTreeMap<DocumentId, (i64, Words)>,
    query: &[u32],
    parts: &[Part],
    below: Option<i64>,
) -> Vec<(DocumentId, u64)> {
    let mut words: Vec<(u32, u32)> = Vec::new();
    for word in query {
        match words.iter_mut().find(|(known, _)| known == word) {
            Some((_, times)) => *times += 1,
            None => words.push((*word, 1)),
        }
    }
    let total = living.len() as f64;
    let count = |words: &[u32], word: u32| words.iter().filter(|other| **other == word).count() as f64;
    let idfs: Vec<Vec<f64>> = (0..3)
        .map(|field| {
            let idf = |(word, times): &(u32, u32)| {
                let having = living.values().filter(|(_, words)| words[field].contains(word)).count() as f64;
                (1.0 + (total - having + 0.5) / (having + 0.5)).ln() * f64::from(*times)
            };
            words.iter().map(idf).collect()
        })
        .collect();
    let averages: Vec<f64> = (0..3)
        .map(|field| living.values().map(|(_, words)| words[field].len()).sum::<usize>() as f64 / total)
        .collect();
    let (k1, b) = (1.2, 0.75);
    let mut hits: Vec<(f64, DocumentId)> = Vec::new();
    for (id, (number, document)) in living {
        let matches = query.iter().any(|word| document[..2].iter().any(|field| field.contains(word)));
        if !matches || below.is_some_and(|below| *number >= below) {
            continue;
        }
        let mut score = 0.0;
        for (field, weight) in parts {
            let Some(field) = *field else {
                score += weight;
                continue;
            };
            let mut sum = 0.0;
            for ((word, _), idf) in words.iter().zip(&idfs[field]) {
                let count = count(&document[field], *word);
                if count > 0.0 {
                    let norm = k1 * (1.0 - b + b * document[field].len() as f64 / averages[field]);
                    sum += weight * (idf * count * (k1 + 1.0) / (count + norm));
                }
            }
            score += sum;
        }
        hits.push((score, id.clone()));
    }
    hits.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    hits.into_iter().map(|(score, id)| (id, score.to_bits())).collect()
}

async fn check(corpus: &Corpus, seed: u64) {
    let (folder, mut seeded) = (tempfile::tempdir().unwrap(), Seeded(seed));
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let backend = EmbeddedBackend::open(config).await.unwrap();
    let schema = TenantSchema::new(&tenant("acme"), &SchemaName::parse("words").unwrap());
    let definition: Arc<BaseSchema> = Arc::new(serde_json::from_str(SCHEMA).unwrap());
    let deployment = SchemaDeployment { schema: schema.clone(), definition };
    backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    let mut living: BTreeMap<DocumentId, (i64, Words)> = BTreeMap::new();
    for number in 0..corpus.documents {
        let words = corpus.lengths.map(|length| {
            let length = length + if corpus.vary { seeded.below(length + 2) } else { 0 };
            (0..length).map(|_| seeded.word(corpus.vocabulary)).collect()
        });
        // The order of ids is not that of rows.
        let id = id(&format!("d/{:05}", number * 7_919 % 100_003));
        living.insert(id, (i64::try_from(number).unwrap(), words));
    }
    let mut made: Vec<_> = living.iter().collect();
    made.sort_by_key(|(_, (number, _))| *number);
    for batch in made.chunks(corpus.batch) {
        let document = |(id, (number, words)): &(&DocumentId, &(i64, Words))| {
            let document = Document::new((*id).clone()).with(field("number"), *number);
            FIELDS.iter().zip(words).fold(document, |document, (name, words)| document.with(field(name), text(words)))
        };
        let request = PutRequest::new(schema.clone(), batch.iter().map(document).collect());
        assert_eq!(backend.put(request).await.unwrap().stored(), batch.len());
    }
    if corpus.deleted > 0 {
        let gone: Vec<DocumentId> = living.keys().filter(|_| seeded.below(corpus.deleted) == 0).cloned().collect();
        living.retain(|id, _| !gone.contains(id));
        let deleted = gone.len() as u64;
        assert_eq!(backend.delete(DeleteRequest::ids(schema.clone(), gone)).await.unwrap(), deleted);
    }
    for round in 0..5 {
        let count = [1, 2, 3, 10, 40][round];
        let query: Vec<u32> = (0..count).map(|_| seeded.word(corpus.vocabulary)).collect();
        for (profile, parts) in PROFILES {
            for below in [None, Some(i64::try_from(corpus.documents / 3).unwrap()), Some(3)] {
                let expected = expected(&living, &query, parts, below);
                for limit in [1, 3, 10, 130, 1_000, corpus.documents + 10] {
                    let filter =
                        below.map(|below| Filter::between(field("number"), Number::Integer(0), Number::Integer(below)));
                    let query = BackendQuery::new(schema.clone(), strategy(profile))
                        .with_text(text(&query))
                        .with_filter(filter)
                        .with_page(0, limit);
                    let found = backend.search(query).await.unwrap();
                    assert_eq!(found.matched, expected.len() as u64, "{profile}, seed {seed}, round {round}");
                    let hits: Vec<_> =
                        found.hits.into_iter().map(|hit| (hit.document.id, hit.score.to_bits())).collect();
                    let of_page = expected.len().min(limit);
                    assert_eq!(hits, expected[..of_page], "{profile}, seed {seed}, round {round}, the first {limit}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_those_of_a_plain_computation() {
    let natural = |documents, batch, deleted| Corpus {
        documents,
        batch,
        vocabulary: 2_000,
        lengths: [2, 12, 5],
        vary: true,
        deleted,
    };
    for (documents, batch, deleted) in
        [(1, 1, 0), (127, 200, 0), (128, 200, 9), (300, 7, 0), (2_049, 3_000, 4), (4_500, 5_000, 0), (3_000, 500, 20)]
    {
        check(&natural(documents, batch, deleted), documents as u64).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_scores_are_in_the_order_of_ids() {
    for (documents, deleted) in [(260, 0), (2_300, 7)] {
        check(&Corpus { documents, batch: 5_000, vocabulary: 4, lengths: [1, 3, 0], vary: false, deleted }, 5).await;
    }
}
