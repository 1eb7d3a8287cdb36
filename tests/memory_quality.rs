//! What a memory is good for: questions find the fact that answers them, in other words than the fact's.
//!
//! `COGNIVERSE_MINILM_DIR` names a folder with all-MiniLM-L6-v2; run it with `--release --features local-models`.

#![cfg(feature = "local-models")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_precision_loss, reason = "a test asserts")]

use cogniverse::{
    Cogniverse, Template, TenantId,
    encoders::{MiniLmEncoder, Pooling},
    memory::{MemoryQuery, Remember},
    sdk::{AgentId, ChatMessage, MemoryScope},
};
use std::sync::Arc;

/// One fact a line.
const FACTS: &str = include_str!("data/memory_facts.txt");
/// One question a line, after the number of the fact that answers it, from 0.
const QUESTIONS: &str = include_str!("data/memory_questions.txt");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recall_at_5_of_100_facts_and_50_questions() {
    let Some(folder) = std::env::var_os("COGNIVERSE_MINILM_DIR") else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set COGNIVERSE_MINILM_DIR");
        println!("skipped: set COGNIVERSE_MINILM_DIR to a folder with all-MiniLM-L6-v2");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let model = Arc::new(MiniLmEncoder::open(folder, Pooling::Mean).unwrap());
    let cogniverse = Cogniverse::builder().data_dir(data.path()).text_embedder(model).open().await.unwrap();
    let tenant = TenantId::parse("acme_corp").unwrap();
    cogniverse.create_tenant(&tenant, Template::Startup).await.unwrap();
    let memory = cogniverse.memory(&tenant).await.unwrap();
    let scope = MemoryScope::new(AgentId::parse("video_search_agent").unwrap());
    let facts: Vec<&str> = FACTS.lines().collect();
    let said = facts.iter().map(|fact| ChatMessage::user(*fact)).collect();
    assert_eq!(memory.add(Remember::messages(scope.clone(), said)).await.unwrap().decisions.len(), 100);
    let (mut asked, mut first, mut found) = (0, 0, 0);
    for line in QUESTIONS.lines() {
        let (number, question) = line.split_once('\t').unwrap();
        let wanted = facts[number.parse::<usize>().unwrap()];
        let hits = memory.search(MemoryQuery::new(&scope, question)).await.unwrap().hits;
        let place = hits.iter().position(|hit| hit.memory.text == wanted);
        if place.is_none() {
            let texts: Vec<&str> = hits.iter().map(|hit| hit.memory.text.as_str()).collect();
            println!("missed: {question} -> {wanted}\n  found: {texts:?}");
        }
        asked += 1;
        first += usize::from(place == Some(0));
        found += usize::from(place.is_some());
    }
    let recall = f64::from(u32::try_from(found).unwrap()) / f64::from(asked);
    println!("recall@5={recall:.3} recall@1={:.3} over {asked} questions", first as f64 / f64::from(asked));
    assert_eq!(asked, 50);
    assert!(recall >= 0.9, "recall@5 is {recall:.3}");
}
