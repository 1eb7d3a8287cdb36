//! The `SearchBackend` implementation.

use crate::{
    backend::EmbeddedBackend,
    cores::OwnCore,
    error::corrupt,
    rank::{Prepared, correct, execute, prepare},
    tenant_store::TenantStore,
};
use async_trait::async_trait;
use cogniverse_core::text::highlights;
use cogniverse_sdk::{BackendHit, BackendHits, BackendQuery, Document, Result, SearchBackend};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

#[async_trait]
impl SearchBackend for EmbeddedBackend {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        self.search_within(query).await.map_err(|e| e.with_operation("search"))
    }
}

impl EmbeddedBackend {
    async fn search_within(&self, query: BackendQuery) -> Result<BackendHits> {
        let called = Instant::now();
        let waiting = self.waiting_place(&query.schema)?;
        let store = self.store(&query.schema, query.timeout).await?;
        // What the caller allows counts from the call; a strategy's own limit does not count the opening.
        let (started, limit) = match query.timeout {
            Some(limit) => (called, limit.saturating_sub(called.elapsed())),
            None => (Instant::now(), store.schema().strategy(&query.strategy)?.timeout()),
        };
        let running = self.running_place(&query.schema, limit).await?;
        let cancelled = CancelOnDrop::default();
        let flag = Arc::clone(&cancelled.0);
        let cores = self.cores();
        self.on_store(store, move |store| {
            let _places = (waiting, running);
            let own = cores.enter();
            let prepared = prepare(store, query, started, flag)?;
            prepared.meter().check_time()?;
            let hits = run(store, prepared, &own)?;
            store.check_not_dropped()?;
            Ok(hits)
        })
        .await
    }
}

fn run(store: &TenantStore, mut prepared: Prepared, cores: &OwnCore) -> Result<BackendHits> {
    let moment = store.moment()?;
    let corrections = if prepared.corrects() { correct(&moment.snapshot, &mut prepared)? } else { Vec::new() };
    let words: Vec<&str> = prepared.words.iter().map(|(word, _)| word.as_str()).collect();
    let ranked = execute(&moment, &prepared, cores)?;
    let mut hits = Vec::with_capacity(ranked.hits.len());
    let (connection, meter) = (moment.connection()?, prepared.meter());
    let (record, rows): (_, Vec<i64>) = (store.record(), ranked.hits.iter().map(|hit| hit.row).collect());
    for (ranked, stored) in ranked.hits.iter().zip(record.documents(&connection, &rows)?) {
        meter.check_time()?;
        let missing = || corrupt(record.path(), format!("row {} is in the index and not in the file", ranked.row));
        let stored = stored.ok_or_else(missing)?;
        let document = Document { id: stored.id, fields: stored.fields };
        let layout = store.layout();
        let highlights = highlights(&document, layout.language_of(&document.fields), &layout.texts, &words);
        let mut hit = BackendHit::new(store.name().clone(), document, ranked.score);
        hit.first_phase = ranked.first_phase;
        hit.highlights = highlights;
        hits.push(hit);
    }
    Ok(BackendHits::new(hits, ranked.matched).with_facets(ranked.facets).with_corrections(corrections))
}

/// Tells the working thread, on drop, that its caller has gone.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
