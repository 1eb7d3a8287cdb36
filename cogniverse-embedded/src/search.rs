//! `SearchBackend`: a search of one tenant schema.

use crate::{
    backend::EmbeddedBackend,
    rank::{Prepared, execute, prepare},
    tenant_store::TenantStore,
};
use async_trait::async_trait;
use cogniverse_core::text::highlights;
use cogniverse_sdk::{
    BackendHit, BackendHits, BackendQuery, Document, Result, SearchBackend,
    search_backend::{Coverage, PartialCause},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// How often a search begins anew because documents of its page changed while it ran.
const ATTEMPTS: usize = 3;

#[async_trait]
impl SearchBackend for EmbeddedBackend {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        let started = Instant::now();
        let _permit = self.search_permit(&query.schema).await?;
        let cancelled = CancelOnDrop::default();
        let flag = Arc::clone(&cancelled.0);
        let schema = query.schema.clone();
        self.with_store("search", schema, move |store| {
            let prepared = prepare(store, query, started, flag)?;
            prepared.check_time()?;
            let hits = run(store, &prepared)?;
            store.check_not_dropped()?;
            Ok(hits)
        })
        .await
    }
}

fn run(store: &TenantStore, prepared: &Prepared) -> Result<BackendHits> {
    let mut attempt = 1;
    let words: Vec<&str> = prepared.words.iter().map(|(word, _)| word.as_str()).collect();
    loop {
        let snapshot = store.snapshot();
        let ranked = execute(store, &snapshot, prepared)?;
        let wanted = ranked.hits.len();
        let mut hits = Vec::with_capacity(wanted);
        store.read(|connection| {
            for ranked in &ranked.hits {
                let Some(stored) = store.record().document(connection, ranked.row)? else { continue };
                let document = Document { id: stored.id, fields: stored.fields };
                let highlights = highlights(&document, &store.layout().texts, &words);
                let mut hit = BackendHit::new(store.name().clone(), document, ranked.score);
                hit.first_phase = ranked.first_phase;
                hit.highlights = highlights;
                hits.push(hit);
            }
            Ok(())
        })?;
        let hits = BackendHits::new(hits, ranked.matched);
        if hits.hits.len() == wanted {
            return Ok(hits);
        }
        if attempt == ATTEMPTS {
            let reason = format!("{} documents changed while the search ran", wanted - hits.hits.len());
            return Ok(hits.with_coverage(Coverage::Partial { cause: PartialCause::Changed, reason }));
        }
        attempt += 1;
    }
}

/// Tells the thread that nobody waits for its answer any more.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
