//! A tenant's memory on the embedded backend: adding and searching at 10,000 memories, and opening one of many tenants cold.
//!
//! Encoding is left out: the model of this bench gives vectors from a table, in microseconds. `COGNIVERSE_BENCH_MEMORIES` sets the
//! memories (default 10,000), `COGNIVERSE_BENCH_TENANTS` the tenants of 100 memories each (default 1,000).

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where its corpus cannot be made")]

use async_trait::async_trait;
use cogniverse::{
    Cogniverse, Template, TenantId,
    embedded::{Durability, EmbeddedConfig},
    memory::{MemoryManager, MemoryQuery, Remember},
    sdk::{
        AgentId, ChatMessage, EncoderInfo, Matrix, MemoryReach, MemoryScope, Result, TextEmbedder, TextKind, UserId,
        VectorKind,
    },
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    hint::black_box,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

const DIMS: usize = 384;

/// A seeded vector for each text, from its bytes.
#[derive(Debug)]
struct Table(EncoderInfo);

#[async_trait]
impl TextEmbedder for Table {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }

    #[expect(clippy::cast_precision_loss, reason = "24 bits")]
    async fn embed(&self, texts: &[String], _kind: TextKind) -> Result<Matrix<f32>> {
        let mut cells = Vec::with_capacity(texts.len() * DIMS);
        for text in texts {
            let mut state = text.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
            for _ in 0..DIMS {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                cells.push((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0);
            }
        }
        Matrix::new(DIMS, cells)
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn text(number: u64) -> String {
    let word = |salt: u64| {
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ salt.wrapping_mul(0xbf58_476d)) % 2000
    };
    format!(
        "User {number} prefers word{} tutorials about word{} and word{} over word{}, in the word{} language",
        word(1),
        word(2),
        word(3),
        word(4),
        word(5) % 50
    )
}

fn scope(user: u64) -> MemoryScope {
    let agent = AgentId::parse("video_search_agent").unwrap();
    MemoryScope::new(agent).of_user(UserId::parse(format!("user{user}")).unwrap())
}

async fn open(folder: &Path, durability: Durability) -> Cogniverse {
    let config = EmbeddedConfig::new(folder).with_durability(durability);
    let info = EncoderInfo { model: "table".to_owned(), dims: DIMS, kind: VectorKind::Single };
    Cogniverse::builder().embedded(config).text_embedder(Arc::new(Table(info))).open().await.unwrap()
}

async fn tenant(cogniverse: &Cogniverse, name: &str) -> TenantId {
    let tenant = TenantId::parse(name).unwrap();
    cogniverse.create_tenant(&tenant, Template::Enterprise).await.unwrap();
    tenant
}

async fn fill(memory: &MemoryManager, memories: u64, users: u64) {
    for begin in (0..memories).step_by(100) {
        let said = (begin..memories.min(begin + 100)).map(|number| ChatMessage::user(text(number))).collect();
        memory.add(Remember::messages(scope(begin / 100 % users), said)).await.unwrap();
    }
}

fn one_tenant(criterion: &mut Criterion) {
    let (runtime, memories) = (Runtime::new().unwrap(), setting("COGNIVERSE_BENCH_MEMORIES", 10_000));
    for (name, durability) in [("power_loss", Durability::PowerLoss), ("process_crash", Durability::ProcessCrash)] {
        let folder = tempfile::tempdir().unwrap();
        let memory = runtime.block_on(async {
            let cogniverse = open(folder.path(), durability).await;
            let acme = tenant(&cogniverse, "acme_corp").await;
            let memory = cogniverse.memory(&acme).await.unwrap();
            fill(&memory, memories, 10).await;
            memory
        });
        let mut group = criterion.benchmark_group(format!("memory/{memories}/{name}"));
        group.sample_size(50).measurement_time(Duration::from_secs(5));
        let next = AtomicU64::new(1_000_000);
        for (what, reach) in [("tenant", MemoryReach::everything()), ("user", MemoryReach::of(&scope(3)))] {
            group.bench_function(format!("search/{what}"), |bench| {
                bench.iter(|| {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let query = MemoryQuery::new(reach.clone(), text(number % memories)).with_threshold(-1.0);
                    black_box(runtime.block_on(memory.search(query)).unwrap())
                });
            });
        }
        // Last, as it makes the tenant's memory larger.
        group.bench_function("add", |bench| {
            bench.iter(|| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                black_box(runtime.block_on(memory.add(Remember::text(scope(3), text(number)))).unwrap())
            });
        });
        group.finish();
    }
}

fn many_tenants(criterion: &mut Criterion) {
    let (runtime, tenants) = (Runtime::new().unwrap(), setting("COGNIVERSE_BENCH_TENANTS", 1_000));
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let cogniverse = open(folder.path(), Durability::ProcessCrash).await;
        for number in 0..tenants {
            let tenant = tenant(&cogniverse, &format!("tenant{number}")).await;
            fill(&cogniverse.memory(&tenant).await.unwrap(), 100, 1).await;
        }
    });
    let cogniverse = runtime.block_on(open(folder.path(), Durability::ProcessCrash));
    let next = AtomicU64::new(0);
    // More tenants than are kept open, one after the other: each is opened from its files.
    criterion.benchmark_group(format!("memory/{tenants}_tenants")).sample_size(20).bench_function(
        "open_cold",
        |bench| {
            bench.iter(|| {
                runtime.block_on(async {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let tenant = TenantId::parse(format!("tenant{}", number % tenants)).unwrap();
                    let memory = cogniverse.memory(&tenant).await.unwrap();
                    let query = MemoryQuery::new(scope(0), text(number % 100)).with_threshold(-1.0);
                    black_box(memory.search(query).await.unwrap())
                })
            });
        },
    );
}

criterion_group!(benches, one_tenant, many_tenants);
criterion_main!(benches);
