//! Documents of several languages: what is sent, and that the wire finds what the embedded backend finds.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse_core::schemas::EmbeddedSchemaLoader;
use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendHits, BackendQuery, BaseSchema, Document, DocumentId, FieldName, SchemaLoader, SchemaName, SearchBackend,
    StrategyName, TenantId, TenantSchema,
    document_store::PutRequest,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::sync::Arc;
use world::world;

const TEXT: &str = "video_text_minilm_mv_segment";
const DOCUMENTS: [(&str, Option<&str>, &str); 6] = [
    ("german", Some("de"), "die Häuser in München"),
    ("french", Some("fr"), "les chevaux de l'école"),
    ("unsaid", None, "running houses"),
    ("japanese", Some("ja"), "東京都の会社"),
    ("chinese", Some("zh-Hant"), "機器學習"),
    ("no_language", Some("klingon"), "running targ"),
];

fn field(name: &str) -> FieldName {
    FieldName::parse(name).unwrap()
}

fn schema() -> TenantSchema {
    TenantSchema::new(&TenantId::parse("acme").unwrap(), &SchemaName::parse(TEXT).unwrap())
}

async fn fill(backend: &dyn SearchBackend, definition: Arc<BaseSchema>) {
    let deployment = SchemaDeployment { schema: schema(), definition };
    backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    let document = |(id, language, text): (&str, Option<&str>, &str)| {
        let document = Document::new(DocumentId::parse(id).unwrap()).with(field("audio_transcript"), text);
        match language {
            Some(language) => document.with(field("language"), language),
            None => document,
        }
    };
    let report = backend.put(PutRequest::new(schema(), DOCUMENTS.map(document).to_vec())).await.unwrap();
    assert_eq!(report.failures().count(), 0);
}

fn ids(hits: &BackendHits) -> Vec<&str> {
    let mut ids: Vec<&str> = hits.hits.iter().map(|hit| hit.document.id.as_str()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_finds_words_by_language_as_the_embedded_backend_does() {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let embedded = EmbeddedBackend::open(config).await.unwrap();
    let (vespa, server) = world().await;
    let definition = EmbeddedSchemaLoader.load(&SchemaName::parse(TEXT).unwrap()).await.unwrap();
    fill(&embedded, Arc::clone(&definition)).await;
    fill(&vespa, definition).await;
    let sd = server.application_files()[&format!("schemas/{}.sd", schema().physical_name())].clone();
    let sd = String::from_utf8(sd.to_vec()).unwrap();
    let place = |text: &str| sd.find(text).unwrap_or_else(|| panic!("{text} is not in {sd}"));
    assert!(place("indexing: set_language | summary | attribute") < place("field video_title"), "{sd}");
    for (query, language, expected) in [
        ("Haus", None, &["german"][..]),
        ("Haus", Some("de"), &["german"]),
        ("Häusern", Some("de"), &["german"]),
        ("Häusern", Some("fr"), &[]),
        ("muenchen", Some("de-AT"), &["german"]),
        ("cheval", None, &["french"]),
        ("house run", Some("de"), &["no_language", "unsaid"]),
        ("会社", Some("ja"), &["japanese"]),
        ("机器", None, &["chinese"]),
        ("社会", None, &[]),
    ] {
        let query = BackendQuery::new(schema(), StrategyName::parse("bm25_only").unwrap())
            .with_text(query)
            .with_language(language.map(str::to_owned));
        let (ours, theirs) =
            (embedded.search(query.clone()).await.unwrap(), vespa.search(query.clone()).await.unwrap());
        assert_eq!(ids(&ours), expected, "{query:?}");
        assert_eq!(ids(&theirs), expected, "{query:?}");
        let highlights = |hits: &BackendHits| {
            let mut all: Vec<_> =
                hits.hits.iter().map(|hit| (hit.document.id.clone(), hit.highlights.clone())).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        assert_eq!(highlights(&ours), highlights(&theirs), "{query:?}");
        assert!(ours.hits.iter().all(|hit| !hit.highlights.is_empty()), "{query:?}");
    }
}
