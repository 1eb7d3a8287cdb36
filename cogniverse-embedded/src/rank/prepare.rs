//! Preparation of queries: checked against the strategy, text analyzed, vectors packed.

use super::{
    bm25::Bm25,
    conditions::Condition,
    meter::{Clock, Meter},
    scorer::Scorer,
    vectors::QueryVectors,
};
use crate::{index::Snapshot, tenant_store::TenantStore};
use cogniverse_core::{
    schemas::{Fusion, MatchSet, Schema, Score, Strategy},
    text::{Language, query_terms},
};
use cogniverse_sdk::{BackendQuery, Error, ErrorKind, FieldName, Filter, Result};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

/// A query prepared for one store, independent of any snapshot.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) schema: Arc<Schema>,
    strategy: Strategy,
    pub(crate) query: BackendQuery,
    /// The distinct terms with the number of words that each stands for, in order of first use.
    pub(crate) words: Vec<(String, u32)>,
    pub(super) conditions: Vec<Condition>,
    /// The languages by which the query's words are analyzed.
    pub(super) languages: BTreeSet<Language>,
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
    // As documents have them: of the language that the caller names, else of each that documents name. One that a write brings
    // from here on is looked for by the next search.
    let languages: BTreeSet<Language> = match query.language.as_deref().filter(|_| store.layout().languages) {
        Some(language) => Language::of(language).into_iter().collect(),
        None if text.is_empty() && query.words.is_empty() => BTreeSet::new(),
        None => store.snapshot().languages(),
    };
    let words = query_terms(text, languages.iter().copied());
    let conditions = query.words.iter().map(|condition| Condition::of(condition, &languages)).collect();
    let deadline = started.checked_add(query.timeout.unwrap_or(strategy.timeout()));
    let of = (query.schema.clone(), query.strategy.clone());
    let clock = Clock { deadline, cancelled, of };
    Ok(Prepared { schema, strategy, query, words, conditions, languages, vectors, clock })
}

impl Prepared {
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.query.filter.as_ref()
    }

    /// Returns the documents that match. Where a strategy of words is given none, the conditions alone decide, if one of them asks for
    /// a word.
    pub(crate) fn matches(&self) -> MatchSet {
        match self.strategy.matches() {
            MatchSet::Words if self.words.is_empty() && self.conditions.iter().any(|each| !each.is_excluded()) => {
                MatchSet::All
            }
            matches => matches,
        }
    }

    /// Returns whether similar words stand for those that no document has.
    pub(crate) fn corrects(&self) -> bool {
        self.query.typos && self.strategy.inputs().text
    }

    /// Returns the text fields of the default field set.
    pub(crate) fn text_fields(&self) -> &[FieldName] {
        self.schema.text_fields()
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
