//! Execution of a search on one snapshot: match, filter, first phase, second phase, page.

use super::{
    facets,
    float_access::FloatAccess,
    matched::matched,
    meter::Meter,
    prepare::Prepared,
    rescore::{fuse, rescore},
    scorer::{Scorer, Scoring},
    sorted,
    top::{Bar, Candidate, Top},
    word_search,
    words::WordsPhase,
};
use crate::{
    cores::OwnCore,
    index::{BlockView, Places, Snapshot},
    tenant_store::Moment,
};
use cogniverse_core::schemas::MatchSet;
use cogniverse_sdk::{Error, ErrorCode, Facet, Result};
use std::ops::Range;

/// A hit of the requested page, before its document is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RankedHit {
    pub(crate) row: i64,
    pub(crate) score: f64,
    pub(crate) first_phase: Option<f64>,
}

/// The requested page, the number of matches, and their counts by the requested fields.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) hits: Vec<RankedHit>,
    pub(crate) matched: u64,
    pub(crate) facets: Vec<Facet>,
}

/// The number of documents that a core scores together: few where each may have a thousand vectors.
const STRETCH: usize = 64;
const STRETCH_WITHOUT_VECTORS: usize = 2048;

/// Some documents of a block, scored together by one core.
struct Stretch<'p> {
    block: usize,
    /// The documents of the block that are scored, and the words of this set of which each stretch takes a range.
    of_block: &'p Places,
    words: Range<usize>,
    /// The number of documents of the block that are scored, over all stretches.
    count: usize,
}

/// What one core of a search found.
struct Found<'s, 'p> {
    meter: Meter<'p>,
    top: Top<'s>,
    matched: u64,
    passed_over: u64,
    places: Vec<u32>,
    scores: Vec<f64>,
    found: Vec<bool>,
    /// The number of documents that were passed over as they could not be among the best.
    below: u64,
}

impl<'s> Found<'s, '_> {
    /// Scores a stretch and keeps the best. What cannot reach the bar is passed over where the scorer can tell at less cost.
    fn score(
        &mut self,
        prepared: &Prepared,
        scorer: &Scorer<'_>,
        (stretch, view, floats): (&Stretch<'_>, &'s BlockView, FloatAccess<'_>),
        bar: f64,
    ) -> Result<()> {
        let Self { meter, top, matched, passed_over, below, places, scores, found } = self;
        places.clear();
        places.extend(stretch.of_block.iter_in(stretch.words.clone()));
        let places = &**places;
        scores.resize(places.len(), 0.0);
        found.resize(places.len(), false);
        found.fill(!prepared.wants_vectors());
        let scoring = Scoring { view, places, floats, meter };
        let are_ceilings = bar > f64::NEG_INFINITY && scorer.ceilings(&scoring, 1.0, (scores, bar), found)?;
        if !are_ceilings {
            scores.fill(0.0);
            found.fill(!prepared.wants_vectors());
            scorer.add(&scoring, 1.0, scores, found)?;
        }
        for ((place, score), found) in places.iter().zip(scores).zip(found) {
            if !*found {
                *passed_over += 1;
                continue;
            }
            *matched += 1;
            if are_ceilings {
                // An infinite ceiling says nothing: the score itself may be one that is refused.
                if score.is_finite() && *score < top.bar() {
                    *below += 1;
                    continue;
                }
                let mut own = [0.0];
                scorer.add(&Scoring { places: &[*place], ..scoring }, 1.0, &mut own, &mut [false])?;
                [*score] = own;
            }
            prepared.check_score(*score)?;
            if *score >= top.bar()
                && let Some(id) = view.block.id(*place as usize)
            {
                top.offer(Candidate { score: *score, id, block: stretch.block, place: *place });
            }
        }
        Ok(())
    }
}

/// Ranks a snapshot. Blocking.
pub(crate) fn execute(moment: &Moment<'_>, prepared: &Prepared, cores: &OwnCore) -> Result<Ranked> {
    let snapshot = &*moment.snapshot;
    let scorer = prepared.first_phase(snapshot, &prepared.meter())?;
    let filters = filtered(moment, prepared, cores)?;
    let (sort, requests) = (prepared.query.sort.as_ref(), &prepared.query.facets);
    let sets = match sort.is_some() || !requests.is_empty() {
        true => matched(snapshot, prepared, &scorer, &filters, cores)?,
        false => Vec::new(),
    };
    let (hits, matched) = match sort {
        Some(sort) => {
            let count: usize = sets.iter().map(Places::count).sum();
            if count == 0 && prepared.wants_vectors() && passed(snapshot, &filters) {
                require_vectors(moment, prepared)?;
            }
            let (meter, window) = (prepared.meter(), prepared.query.offset + prepared.query.limit);
            let first = sorted::first(snapshot, &sets, sort, (None, window), &|work| meter.spend(work))?;
            let hits = first.into_iter().skip(prepared.query.offset).filter_map(|found| {
                let row = snapshot.blocks().get(found.block)?.block.row(found.place as usize)?;
                Some(RankedHit { row, score: 0.0, first_phase: None })
            });
            (hits.collect(), count as u64)
        }
        None => rank(moment, prepared, cores, (&scorer, &filters))?,
    };
    let facets = requests.iter().map(|request| facets::count(snapshot, prepared, request, &sets, cores));
    Ok(Ranked { hits, matched, facets: facets.collect::<Result<_>>()? })
}

/// Returns the page of the best hits, and the number of matches.
fn rank(
    moment: &Moment<'_>,
    prepared: &Prepared,
    cores: &OwnCore,
    (scorer, filters): (&Scorer<'_>, &[Places]),
) -> Result<(Vec<RankedHit>, u64)> {
    let snapshot = &*moment.snapshot;
    let window = prepared.query.offset + prepared.query.limit;
    let limit = window.max(prepared.rescored());
    let bar = Bar::new();
    let (first, matched) = match prepared.matches() {
        MatchSet::Words => {
            let phase = WordsPhase::of(scorer, prepared, snapshot)
                .ok_or_else(|| Error::unexpected("a strategy that matches by words and compares vectors"))?;
            word_search::search(snapshot, prepared, &phase, filters, cores, (limit, &bar))?
        }
        MatchSet::All => score_all(moment, prepared, cores, (scorer, filters), (limit, &bar))?,
    };
    let ranked = match prepared.second_phase(snapshot, &prepared.meter())? {
        None => first.into_iter().map(|candidate| (candidate, None)).collect(),
        Some(second) => rescore(moment, prepared, cores, &second, first)?,
    };
    let ranked = match prepared.fusion(snapshot, &prepared.meter())? {
        None => ranked,
        Some((fusion, signals)) => fuse(moment, prepared, cores, (fusion, &signals), ranked)?,
    };
    let page = ranked.into_iter().skip(prepared.query.offset).take(prepared.query.limit);
    let hits = page.filter_map(|(candidate, first_phase)| {
        let row = snapshot.blocks().get(candidate.block)?.block.row(candidate.place as usize)?;
        Some(RankedHit { row, score: candidate.score, first_phase })
    });
    Ok((hits.collect(), matched))
}

/// Returns whether any document passes the filter.
fn passed(snapshot: &Snapshot, filters: &[Places]) -> bool {
    snapshot.blocks().iter().enumerate().any(|(number, view)| {
        let mut places = view.live.clone();
        if let Some(filter) = filters.get(number) {
            places.and(filter);
        }
        places.count() > 0
    })
}

/// Scores all documents that pass the filter. Returns the best, and the number of those with something to score.
fn score_all<'s>(
    moment: &'s Moment<'_>,
    prepared: &Prepared,
    cores: &OwnCore,
    (scorer, filters): (&Scorer<'_>, &[Places]),
    (limit, bar): (usize, &'s Bar),
) -> Result<(Vec<Candidate<'s>>, u64)> {
    let snapshot = &*moment.snapshot;
    let mut places: Vec<Places> = snapshot.blocks().iter().map(|view| view.live.clone()).collect();
    for (places, filter) in places.iter_mut().zip(filters) {
        places.and(filter);
    }
    let stretch = if prepared.wants_vectors() { STRETCH } else { STRETCH_WITHOUT_VECTORS };
    let mut stretches = Vec::new();
    for (block, of_block) in places.iter().enumerate() {
        let count = of_block.count();
        let ranges = of_block.stretches(stretch).into_iter();
        stretches.extend(ranges.map(|words| Stretch { block, of_block, words, count }));
    }
    let make = || Found {
        meter: prepared.meter(),
        top: Top::new(limit, bar),
        matched: 0,
        passed_over: 0,
        places: Vec::new(),
        scores: Vec::new(),
        found: Vec::new(),
        below: 0,
    };
    let parts = cores.share(stretches.len(), make, |part, number| {
        let Some(stretch) = stretches.get(number) else { return Ok(()) };
        let Some(view) = snapshot.blocks().get(stretch.block) else { return Ok(()) };
        let floats = FloatAccess::new(moment, stretch.count, view.block.len());
        part.score(prepared, scorer, (stretch, view, floats), bar.get())
    })?;
    let matched = parts.iter().map(|part| part.matched).sum();
    let below: u64 = parts.iter().map(|part| part.below).sum();
    tracing::trace!(matched, below, "scored a first phase");
    if matched == 0 && parts.iter().any(|part| part.passed_over > 0) {
        require_vectors(moment, prepared)?;
    }
    Ok((Top::merge(parts.into_iter().map(|part| part.top).collect()), matched))
}

/// Returns the places that pass the filter and the conditions on words, by block; nothing where there is neither.
fn filtered(moment: &Moment<'_>, prepared: &Prepared, cores: &OwnCore) -> Result<Vec<Places>> {
    let snapshot = &*moment.snapshot;
    if prepared.filter().is_none() && prepared.conditions.is_empty() {
        return Ok(Vec::new());
    }
    let make = || (prepared.meter(), Vec::new());
    let parts = cores.share(snapshot.blocks().len(), make, |(meter, passed), number| {
        meter.check_time()?;
        let Some(view) = snapshot.blocks().get(number) else { return Ok(()) };
        let mut places = match prepared.filter() {
            Some(filter) => view.block.columns().matching(filter, &|work| meter.spend(work))?,
            None => Places::all(view.block.len()),
        };
        if !prepared.conditions.is_empty() {
            places.and(&view.live);
        }
        for condition in &prepared.conditions {
            condition.keep(moment, view, prepared.text_fields(), meter, &mut places)?;
        }
        passed.push((number, places));
        Ok(())
    })?;
    let mut passed: Vec<(usize, Places)> = parts.into_iter().flat_map(|(_, passed)| passed).collect();
    passed.sort_unstable_by_key(|(number, _)| *number);
    Ok(passed.into_iter().map(|(_, places)| places).collect())
}

/// Fails where no document has a vector: an empty result would hide that nothing could match.
fn require_vectors(moment: &Moment<'_>, prepared: &Prepared) -> Result<()> {
    let tensors = prepared.first_phase_tensors();
    if tensors.iter().any(|tensor| moment.snapshot.has_vectors(tensor)) {
        return Ok(());
    }
    let names: Vec<String> = tensors.iter().map(|name| format!("\"{name}\"")).collect();
    Err(Error::of(
        ErrorCode::SegmentsWithoutVectors,
        format!(
            "none of {} documents has vectors in {}; ingest again with an encoder, or search by a strategy of words",
            moment.snapshot.len(),
            names.join(" or ")
        ),
    )
    .with_context("schema", &prepared.query.schema)
    .with_context("strategy", &prepared.query.strategy))
}
