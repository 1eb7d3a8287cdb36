//! Memories of an agent about a tenant's user: add, search, statistics.
//!
//! Needs: nothing; without `--model` it knows words by their spelling alone. Prints: what was done with the text, what is found
//! and by which signals, and the tenant's statistics.
//!
//! `cargo run --example memory -- --tenant-id acme_corp --add "User prefers technical tutorials" what does the user prefer`

mod cli;

use anyhow::{Result, bail};
use clap::Parser;
use cogniverse::{
    CogniverseBuilder, Template, TenantId,
    encoders::HashEncoder,
    memory::{MemoryQuery, Remember},
    sdk::{AgentId, MemoryReach, MemoryScope, UserId, VectorKind},
};
use std::{path::Path, process::ExitCode, sync::Arc};

/// Cells of a vector, as of all-MiniLM-L6-v2.
const DIMS: usize = 384;

#[derive(Parser)]
#[command(about = "Remembers texts for a tenant's user, and finds them")]
struct Options {
    #[command(flatten)]
    common: cli::Common,
    /// Whose memory
    #[arg(long)]
    tenant_id: TenantId,
    /// Which agent remembers
    #[arg(long, default_value = "video_search_agent")]
    agent: AgentId,
    /// Of which user (default: of none in particular)
    #[arg(long)]
    user: Option<UserId>,
    /// Remember this; repeat it for more
    #[arg(long = "add", value_name = "TEXT")]
    texts: Vec<String>,
    /// Hits, at most
    #[arg(long, default_value_t = 5)]
    top_k: usize,
    /// Embed the tenant's memories anew, after a change of the model
    #[arg(long)]
    reembed: bool,
    /// What to look for
    #[arg(num_args = 0..)]
    query: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    cli::finish(run(Options::parse()).await)
}

/// One vector a text: by the model of a folder, or by spelling alone.
fn embedding(builder: CogniverseBuilder, model: Option<&Path>) -> Result<CogniverseBuilder> {
    let Some(folder) = model else {
        return Ok(builder.text_embedder(Arc::new(HashEncoder::new(DIMS, VectorKind::Single))));
    };
    #[cfg(feature = "local-models")]
    {
        use cogniverse::encoders::{MiniLmEncoder, Pooling};
        Ok(builder.text_embedder(Arc::new(MiniLmEncoder::open(folder, Pooling::Mean)?)))
    }
    #[cfg(not(feature = "local-models"))]
    bail!(
        "this build runs no models; add --features local-models before the --, or leave out --model {}",
        folder.display()
    )
}

async fn run(options: Options) -> Result<()> {
    let Options { common, tenant_id, agent, user, texts, top_k, reembed, query } = options;
    if texts.is_empty() && query.is_empty() && !reembed {
        bail!("say what to remember by --add TEXT, or what to look for");
    }
    let builder = embedding(common.builder()?, common.model.as_deref())?;
    let cogniverse = common.open_with(builder).await?;
    cogniverse.ensure_tenant(&tenant_id, Template::Startup).await?;
    if reembed {
        let report = cogniverse.memories()?.reembed(&tenant_id).await?;
        eprintln!("{} memories were re-embedded", report.embedded);
    }
    let memory = cogniverse.memory(&tenant_id).await?;
    let scope = MemoryScope { user, ..MemoryScope::new(agent) };
    let mut decisions = Vec::new();
    for text in texts {
        decisions.extend(memory.add(Remember::text(scope.clone(), text).because("asked to")).await?.decisions);
    }
    let query = query.join(" ");
    let hits = match query.as_str() {
        "" => Vec::new(),
        query => memory.search(MemoryQuery::new(MemoryReach::of(&scope), query).with_top_k(top_k)).await?.hits,
    };
    let stats = memory.stats().await?;
    if common.json {
        println!("{}", serde_json::json!({"decisions": decisions, "hits": hits, "stats": stats}));
        return Ok(());
    }
    for decision in &decisions {
        println!("{:?}: {} ({})", decision.action, decision.text, decision.reason);
    }
    for (hit, place) in hits.iter().zip(1..) {
        let signals = hit.signals;
        println!("{place}. {:.3}  {}", hit.score, hit.memory.text);
        println!("   meaning {:.3}, words {:.3}, recency {:.3}", signals.semantic, signals.text, signals.recency);
    }
    if !query.is_empty() && hits.is_empty() {
        println!("nothing is remembered that fits \"{query}\"");
    }
    println!("\n{}: {} memories, {} pinned, {} expired", stats.tenant, stats.total, stats.pinned, stats.expired);
    for (agent, memories) in &stats.by_agent {
        println!("  {agent}: {memories}");
    }
    Ok(())
}
