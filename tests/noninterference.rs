//! Random calls of many tenants over one backend: each is answered as if the others had never been there.
//!
//! The number of calls is `COGNIVERSE_ISOLATION_CALLS` (default 4,000; CI makes 100,000).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse::{
    Filter,
    embedded::{Durability, EmbeddedBackend, EmbeddedConfig},
    sdk::{
        BackendQuery, Document, DocumentStore, SearchBackend,
        contract::fixture,
        document::Fields,
        document_store::{DeleteRequest, DocumentUpdate, GetRequest, PutRequest, UpdateRequest, VisitRequest},
    },
};
use std::collections::BTreeMap;

/// Names of which one begins, ends or contains another.
const TENANTS: [&str; 5] = ["acme", "acme_corp", "corp", "me", "acme_corp_2"];
/// The number of documents that each tenant has ids for.
const IDS: u64 = 40;

/// A small generator of numbers, so that a failure can be repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit.max(1)
    }
}

async fn open(folder: &tempfile::TempDir) -> EmbeddedBackend {
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    EmbeddedBackend::open(config).await.unwrap()
}

fn document(random: &mut Random, tenant: &str) -> Document {
    let number = random.below(IDS);
    let words = ["red", "green", "blue", "of", tenant];
    let text: Vec<&str> = (0..3 + random.below(4)).map(|_| words[random.below(5) as usize]).collect();
    fixture::document("v", number as i64, &text.join(" "), fixture::axis(random.below(8) as usize))
}

/// Makes one call and tells its whole answer as a text, without what names the schema.
async fn call(backend: &EmbeddedBackend, tenant: &str, kind: u64, random: &mut Random) -> String {
    let schema = fixture::schema_of(tenant);
    let id = fixture::id(&format!("v/{}", random.below(IDS)));
    let color = ["red", "green", "blue"][random.below(3) as usize];
    let filter = Filter::between(fixture::field("segment_id"), 0, random.below(IDS) as i64 + 1);
    match kind {
        0..=19 => {
            let documents = (0..1 + random.below(3)).map(|_| document(random, tenant)).collect();
            format!("{:?}", backend.put(PutRequest::new(schema, documents)).await.unwrap())
        }
        20..=27 => {
            let assign = Fields::from([(fixture::field("audio_transcript"), color.into())]);
            let update = DocumentUpdate::assign(id, assign);
            let report = backend.update(UpdateRequest::new(schema, vec![update])).await.unwrap();
            format!("{} {}", report.stored(), report.outcomes.len())
        }
        28..=33 => format!("{:?}", backend.delete(DeleteRequest::ids(schema, vec![id])).await.unwrap()),
        34 => format!("{:?}", backend.delete(DeleteRequest::matching(schema, filter)).await.unwrap()),
        35..=49 => {
            let found = backend.get(GetRequest::new(schema, vec![id])).await.unwrap();
            format!("{:?}", found.into_iter().map(|found| found.map(|found| found.document)).collect::<Vec<_>>())
        }
        50..=59 => {
            let page = backend.visit(VisitRequest::new(schema).with_page_size(7).with_filter(filter)).await.unwrap();
            let documents: Vec<Document> = page.documents.into_iter().map(|found| found.document).collect();
            format!("{documents:?} {}", page.continuation.is_some())
        }
        60..=69 => format!("{:?}", backend.count(&schema, Some(&filter)).await.unwrap()),
        _ => {
            let by_words = kind.is_multiple_of(2);
            let strategy = fixture::strategy(if by_words { "bm25_only" } else { "phased" });
            let query = BackendQuery::new(schema, strategy)
                .with_text(color)
                .with_vectors(fixture::row(fixture::axis(random.below(8) as usize)))
                .with_filter((kind > 90).then_some(filter));
            match backend.search(query).await {
                Ok(found) => {
                    let hits: Vec<_> =
                        found.hits.iter().map(|hit| (&hit.document, hit.score.to_bits(), &hit.highlights)).collect();
                    format!("{hits:?} {} {:?}", found.matched, found.coverage)
                }
                Err(error) => error.code().as_str().to_owned(),
            }
        }
    }
}

#[tokio::test]
async fn each_tenant_is_answered_as_if_the_others_had_never_been_there() {
    let calls =
        std::env::var("COGNIVERSE_ISOLATION_CALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4_000_u64);
    let seed = 0x9E37_79B9_7F4A_7C15;
    let shared_folder = tempfile::tempdir().unwrap();
    let shared = open(&shared_folder).await;
    fixture::deploy(&shared, &TENANTS).await;
    let mut alone = BTreeMap::new();
    for tenant in TENANTS {
        let folder = tempfile::tempdir().unwrap();
        let backend = open(&folder).await;
        fixture::deploy(&backend, &[tenant]).await;
        alone.insert(tenant, (backend, folder));
    }
    let mut random = Random(seed);
    for number in 0..calls {
        let tenant = TENANTS[random.below(TENANTS.len() as u64) as usize];
        let kind = random.below(100);
        let place = random.0;
        let among = call(&shared, tenant, kind, &mut random).await;
        let alone = call(&alone[tenant].0, tenant, kind, &mut Random(place)).await;
        assert_eq!(among, alone, "call {number} of kind {kind} for {tenant}");
    }
    println!("{calls} calls");
}
