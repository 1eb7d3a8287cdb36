//! A query made ready: checked against its strategy, its words analysed, its vectors packed.

use super::{bm25::Bm25, scorer::Scorer, vectors::QueryVectors};
use crate::{index::Snapshot, tenant_store::TenantStore};
use cogniverse_core::{
    schemas::{MatchSet, Schema, Score, Strategy},
    text::Analyzer,
};
use cogniverse_sdk::{BackendQuery, Error, FieldName, Filter, Result};
use std::{
    cell::Cell,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// A query made ready for one store. It speaks of no snapshot yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    schema: Arc<Schema>,
    strategy: Strategy,
    pub(crate) query: BackendQuery,
    /// Each distinct word with its number of times in the query, in order of first use.
    pub(crate) words: Vec<(String, u32)>,
    vectors: Option<QueryVectors>,
    /// None: as long as it takes.
    deadline: Option<Instant>,
    cancelled: Arc<AtomicBool>,
    /// Multiply-adds until the next look at the clock.
    left: Cell<usize>,
}

/// Multiply-adds between two looks at the clock: about a millisecond of one core.
const STRIDE: usize = 4 << 20;
/// What looking up a word in one block costs, in multiply-adds.
pub(super) const LOOKUP: usize = 256;
/// What one document that has a word costs, in multiply-adds.
pub(super) const POSTING: usize = 16;

/// Checks a query against the store's schema.
pub(crate) fn prepare(
    store: &TenantStore,
    query: BackendQuery,
    started: Instant,
    cancelled: Arc<AtomicBool>,
) -> Result<Prepared> {
    let schema = store.schema();
    let strategy = schema.check_query(&query)?.clone();
    let vectors = match &query.vectors {
        Some(rows) if strategy.inputs().vectors() => Some(QueryVectors::new(rows)?),
        _ => None,
    };
    let text = query.text.as_deref().unwrap_or_default();
    let mut words: Vec<(String, u32)> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for word in Analyzer::new().terms(text) {
        let number = *numbers.entry(word.clone()).or_insert(words.len());
        match words.get_mut(number) {
            Some((_, times)) => *times += 1,
            None => words.push((word, 1)),
        }
    }
    let deadline = started.checked_add(query.timeout.unwrap_or(strategy.timeout()));
    Ok(Prepared { schema, strategy, query, words, vectors, deadline, cancelled, left: Cell::new(STRIDE) })
}

impl Prepared {
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.query.filter.as_ref()
    }

    pub(crate) fn matches(&self) -> MatchSet {
        self.strategy.matches()
    }

    /// Whether a document must have something to score by: where a strategy that compares vectors names no words to match,
    /// a document without vectors is no answer.
    pub(crate) fn wants_vectors(&self) -> bool {
        self.matches() == MatchSet::All && self.strategy.inputs().vectors()
    }

    /// The tensor fields whose vectors the first phase compares.
    pub(crate) fn first_phase_tensors(&self) -> Vec<&FieldName> {
        fn collect<'s>(score: &'s Score, found: &mut Vec<&'s FieldName>) {
            match score {
                Score::Constant(_) | Score::Bm25(_) => {}
                Score::MaxSim { field }
                | Score::HammingMaxSim { field }
                | Score::MaxSimBits { field, .. }
                | Score::BitsDot { field, .. }
                | Score::Dot { field }
                | Score::Closeness { field, .. } => found.push(field),
                Score::Sum(parts) => parts.iter().for_each(|part| collect(part, found)),
                Score::Scaled(_, part) => collect(part, found),
            }
        }
        let mut found = Vec::new();
        collect(self.strategy.first_phase(), &mut found);
        found
    }

    /// The text fields of the default field set, by their place in the layout.
    pub(crate) fn match_fields(&self, snapshot: &Snapshot) -> Vec<usize> {
        self.schema.text_fields().iter().filter_map(|field| snapshot.layout().text(field)).collect()
    }

    /// How many the second phase scores again.
    pub(crate) fn rerank_count(&self) -> usize {
        self.strategy.second_phase().map_or(0, |rerank| rerank.count)
    }

    pub(crate) fn first_phase(&self, snapshot: &Snapshot) -> Result<Scorer<'_>> {
        self.scorer(self.strategy.first_phase(), snapshot)
    }

    pub(crate) fn second_phase(&self, snapshot: &Snapshot) -> Result<Option<Scorer<'_>>> {
        self.strategy.second_phase().map(|rerank| self.scorer(&rerank.score, snapshot)).transpose()
    }

    fn scorer(&self, score: &Score, snapshot: &Snapshot) -> Result<Scorer<'_>> {
        let layout = snapshot.layout();
        let bug =
            || Error::unexpected(format!("strategy \"{}\" names a field that the index lacks", self.query.strategy));
        let vectors = || self.vectors.as_ref().ok_or_else(bug);
        Ok(match score {
            Score::Constant(value) => Scorer::Constant(*value),
            Score::Bm25(field) => Scorer::Bm25(Bm25::prepare(snapshot, layout.text(field).ok_or_else(bug)?, self)?),
            Score::MaxSim { field } => {
                Scorer::MaxSim { field: layout.float_field(field).ok_or_else(bug)?, query: vectors()? }
            }
            Score::HammingMaxSim { field } => {
                Scorer::HammingMaxSim { field: layout.bit_field(field).ok_or_else(bug)?, query: vectors()? }
            }
            Score::MaxSimBits { field, signed } | Score::BitsDot { field, signed } => Scorer::FloatBits {
                field: layout.bit_field(field).ok_or_else(bug)?,
                query: vectors()?,
                signed: *signed,
            },
            Score::Dot { field } => {
                Scorer::MaxSim { field: layout.float_field(field).ok_or_else(bug)?, query: vectors()? }
            }
            Score::Closeness { field, metric } => match layout.float_field(field) {
                Some(index) => Scorer::Closeness { field: index, query: vectors()?, metric: *metric },
                None => Scorer::HammingCloseness { field: layout.bit_field(field).ok_or_else(bug)?, query: vectors()? },
            },
            Score::Sum(parts) => {
                Scorer::Sum(parts.iter().map(|part| self.scorer(part, snapshot)).collect::<Result<_>>()?)
            }
            Score::Scaled(factor, part) => Scorer::Scaled(*factor, Box::new(self.scorer(part, snapshot)?)),
        })
    }

    /// Counts work, in multiply-adds, and looks at the clock as often as it takes to end soon after the deadline.
    #[inline]
    pub(crate) fn spend(&self, work: usize) -> Result<()> {
        match self.left.get().checked_sub(work) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(STRIDE);
                self.check_time()?;
            }
        }
        Ok(())
    }

    /// Refuses to go on past the deadline, or when nobody waits any more.
    pub(crate) fn check_time(&self) -> Result<()> {
        let gave_up = self.cancelled.load(Ordering::Relaxed);
        if gave_up || self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let kind = cogniverse_sdk::ErrorKind::Timeout;
            return Err(Error::new(
                kind,
                "the search took longer than its timeout; narrow it by a filter, or give it more time",
            )
            .with_context("schema", &self.query.schema)
            .with_context("strategy", &self.query.strategy));
        }
        Ok(())
    }
}
