//! Preparation of queries: checked against the strategy, text analyzed, vectors packed.

use super::{
    bm25::Bm25,
    meter::{Clock, Meter},
    scorer::Scorer,
    vectors::QueryVectors,
};
use crate::{index::Snapshot, tenant_store::TenantStore};
use cogniverse_core::{
    schemas::{Fusion, MatchSet, Schema, Score, Strategy},
    text::Analyzer,
};
use cogniverse_sdk::{BackendQuery, Error, ErrorKind, FieldName, Filter, Result};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

/// A query prepared for one store, independent of any snapshot.
#[derive(Debug)]
pub(crate) struct Prepared {
    schema: Arc<Schema>,
    strategy: Strategy,
    pub(crate) query: BackendQuery,
    /// The distinct words with their counts, in order of first use.
    pub(crate) words: Vec<(String, u32)>,
    vectors: Option<QueryVectors>,
    clock: Clock,
}

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
    let of = (query.schema.clone(), query.strategy.clone());
    let clock = Clock { deadline, cancelled, of };
    Ok(Prepared { schema, strategy, query, words, vectors, clock })
}

impl Prepared {
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.query.filter.as_ref()
    }

    pub(crate) fn matches(&self) -> MatchSet {
        self.strategy.matches()
    }

    /// Returns whether only documents with something to score match: where a vector strategy does not match by words,
    /// a document without vectors is no result.
    pub(crate) fn wants_vectors(&self) -> bool {
        self.matches() == MatchSet::All && self.strategy.inputs().vectors()
    }

    /// Returns the tensor fields whose vectors the first phase compares.
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

    /// Returns the text fields of the default field set, as indexes into the layout.
    pub(crate) fn match_fields(&self, snapshot: &Snapshot) -> Vec<usize> {
        self.schema.text_fields().iter().filter_map(|field| snapshot.layout().text(field)).collect()
    }

    /// Returns the number of hits that the second phase rescores.
    pub(crate) fn rerank_count(&self) -> usize {
        self.strategy.second_phase().map_or(0, |rerank| rerank.count)
    }

    pub(crate) fn first_phase(&self, snapshot: &Snapshot, meter: &Meter<'_>) -> Result<Scorer<'_>> {
        self.scorer(self.strategy.first_phase(), snapshot, meter)
    }

    pub(crate) fn second_phase(&self, snapshot: &Snapshot, meter: &Meter<'_>) -> Result<Option<Scorer<'_>>> {
        self.strategy.second_phase().map(|rerank| self.scorer(&rerank.score, snapshot, meter)).transpose()
    }

    /// Returns the number of hits that any later phase rescores.
    pub(crate) fn rescored(&self) -> usize {
        self.strategy.rescored()
    }

    /// Returns the global phase with the scorers of its signals.
    pub(crate) fn fusion(&self, snapshot: &Snapshot, meter: &Meter<'_>) -> Result<Option<(&Fusion, Vec<Scorer<'_>>)>> {
        let Some(fusion) = self.strategy.fusion() else { return Ok(None) };
        let scorers = fusion.signals.iter().map(|signal| self.scorer(&signal.score, snapshot, meter));
        Ok(Some((fusion, scorers.collect::<Result<_>>()?)))
    }

    fn scorer(&self, score: &Score, snapshot: &Snapshot, meter: &Meter<'_>) -> Result<Scorer<'_>> {
        let layout = snapshot.layout();
        let bug =
            || Error::unexpected(format!("strategy \"{}\" names a field that the index lacks", self.query.strategy));
        let vectors = || self.vectors.as_ref().ok_or_else(bug);
        Ok(match score {
            Score::Constant(value) => Scorer::Constant(*value),
            Score::Bm25(field) => {
                let text = layout.text(field).ok_or_else(bug)?;
                Scorer::Bm25(Bm25::prepare(snapshot, text, &self.words, meter)?)
            }
            Score::MaxSim { field } => {
                Scorer::MaxSim { field: layout.float_field(field).ok_or_else(bug)?, query: vectors()? }
            }
            Score::HammingMaxSim { field } => {
                Scorer::HammingMaxSim { field: layout.bit_field(field).ok_or_else(bug)?, query: vectors()? }
            }
            Score::MaxSimBits { field, signed } | Score::BitsDot { field, signed } => {
                let field = layout.bit_field(field).ok_or_else(bug)?;
                let bytes = layout.bits.get(field).ok_or_else(bug)?.tensor.size();
                Scorer::FloatBits { field, query: vectors()?.bit_floats(bytes, *signed) }
            }
            Score::Dot { field } => {
                Scorer::MaxSim { field: layout.float_field(field).ok_or_else(bug)?, query: vectors()? }
            }
            Score::Closeness { field, metric } => match layout.float_field(field) {
                Some(index) => Scorer::Closeness { field: index, query: vectors()?, metric: *metric },
                None => Scorer::HammingCloseness { field: layout.bit_field(field).ok_or_else(bug)?, query: vectors()? },
            },
            Score::Sum(parts) => {
                Scorer::Sum(parts.iter().map(|part| self.scorer(part, snapshot, meter)).collect::<Result<_>>()?)
            }
            Score::Scaled(factor, part) => Scorer::Scaled(*factor, Box::new(self.scorer(part, snapshot, meter)?)),
        })
    }

    /// Refuses an infinite score, which cannot be ranked. Accepted vectors have finite products, but a strategy's factors
    /// may overflow.
    pub(crate) fn check_score(&self, score: f64) -> Result<()> {
        if score.is_finite() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::FailedPrecondition,
            format!(
                "strategy \"{}\" gives a document the score {score}; lower the factors of its expression, or store vectors of smaller cells",
                self.query.strategy
            ),
        )
        .with_context("schema", &self.query.schema))
    }

    /// Returns a count of the work of one core.
    pub(crate) fn meter(&self) -> Meter<'_> {
        Meter::new(&self.clock)
    }
}
