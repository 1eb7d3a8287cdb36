//! Execution of a search on one snapshot: match, filter, first phase, second phase, global phase, page.

use super::{
    float_access::FloatAccess,
    global::{Rescale, fused},
    prepare::{LOOKUP, POSTING, Prepared},
    scorer::{Scorer, Scoring},
    top::{Candidate, Top},
};
use crate::{index::BlockView, tenant_store::Moment};
use cogniverse_core::schemas::{Fusion, MatchSet};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result};

/// A hit of the requested page, before its document is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RankedHit {
    pub(crate) row: i64,
    pub(crate) score: f64,
    pub(crate) first_phase: Option<f64>,
}

/// The requested page and the number of matches.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) hits: Vec<RankedHit>,
    pub(crate) matched: u64,
}

/// The number of documents scored together.
const STRETCH: usize = 1024;

/// Ranks a snapshot. Blocking.
pub(crate) fn execute(moment: &Moment<'_>, prepared: &Prepared) -> Result<Ranked> {
    let snapshot = &*moment.snapshot;
    let window = prepared.query.offset + prepared.query.limit;
    let mut top = Top::new(window.max(prepared.rescored()));
    let scorer = prepared.first_phase(snapshot)?;
    let match_fields = prepared.match_fields(snapshot);
    let wants_vectors = prepared.wants_vectors();
    let (mut matched, mut passed_over) = (0_u64, 0_u64);
    let (mut scores, mut found) = (Vec::new(), Vec::new());
    for (block, view) in snapshot.blocks().iter().enumerate() {
        prepared.check_time()?;
        let places = matching(view, prepared, &match_fields)?;
        let floats = FloatAccess::new(moment, prepared, places.len());
        for stretch in places.chunks(STRETCH) {
            scores.clear();
            scores.resize(stretch.len(), 0.0);
            found.clear();
            found.resize(stretch.len(), !wants_vectors);
            let scoring = Scoring { view, places: stretch, floats: &floats, prepared };
            scorer.add(&scoring, 1.0, &mut scores, &mut found)?;
            for ((place, score), found) in stretch.iter().zip(&scores).zip(&found) {
                if !found {
                    passed_over += 1;
                    continue;
                }
                matched += 1;
                check_score(prepared, *score)?;
                if *score >= top.bar()
                    && let Some(id) = view.block.id(*place as usize)
                {
                    top.offer(Candidate { score: *score, id, block, place: *place });
                }
            }
        }
    }
    if matched == 0 && passed_over > 0 {
        require_vectors(moment, prepared)?;
    }
    let first = top.into_sorted();
    let ranked = match prepared.second_phase(snapshot)? {
        None => first.into_iter().map(|candidate| (candidate, None)).collect(),
        Some(second) => rescore(moment, prepared, &second, first)?,
    };
    let ranked = match prepared.fusion(snapshot)? {
        None => ranked,
        Some((fusion, signals)) => fuse(moment, prepared, fusion, &signals, ranked)?,
    };
    let page = ranked.into_iter().skip(prepared.query.offset).take(prepared.query.limit);
    let hits = page.filter_map(|(candidate, first_phase)| {
        let row = snapshot.blocks().get(candidate.block)?.block.row(candidate.place as usize)?;
        Some(RankedHit { row, score: candidate.score, first_phase })
    });
    Ok(Ranked { hits: hits.collect(), matched })
}

/// Refuses an infinite score, which cannot be ranked. Accepted vectors have finite products, but a strategy's factors
/// may overflow.
fn check_score(prepared: &Prepared, score: f64) -> Result<()> {
    if score.is_finite() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::FailedPrecondition,
        format!(
            "strategy \"{}\" gives a document the score {score}; lower the factors of its expression, or store vectors of smaller cells",
            prepared.query.strategy
        ),
    )
    .with_context("schema", &prepared.query.schema))
}

/// Fails where no document has a vector: an empty result would hide that nothing could match.
fn require_vectors(moment: &Moment<'_>, prepared: &Prepared) -> Result<()> {
    let tensors = prepared.first_phase_tensors();
    for tensor in &tensors {
        if moment.store.record().has_cells(moment.connection()?, tensor)? {
            return Ok(());
        }
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

/// Selects the documents of a block that are alive, match the words where the strategy needs it, and pass the filter.
fn matching(view: &BlockView, prepared: &Prepared, match_fields: &[usize]) -> Result<Vec<u32>> {
    let mut wanted = match prepared.matches() {
        MatchSet::All => view.live.as_ref().clone(),
        _ => {
            let mut having = vec![false; view.block.len()];
            for index in match_fields.iter().filter_map(|field| view.block.text(*field)) {
                for (word, _) in &prepared.words {
                    let postings = index.postings(word);
                    prepared.spend(LOOKUP + postings.len() * POSTING)?;
                    for place in postings.iter().map(|posting| posting.place as usize) {
                        if let Some(slot) = having.get_mut(place) {
                            *slot = view.is_live(place);
                        }
                    }
                }
            }
            having
        }
    };
    if let Some(filter) = prepared.filter() {
        let met = view.block.columns().matching(filter, &|work| prepared.spend(work))?;
        wanted.iter_mut().zip(met).for_each(|(wanted, met)| *wanted &= met);
    }
    Ok((0..).zip(wanted).filter_map(|(place, wanted)| wanted.then_some(place)).collect())
}

type Rescored<'s> = Vec<(Candidate<'s>, Option<f64>)>;

/// Replaces the score of the best `rerank_count` hits with the second phase's. The rest keep their order, with their
/// scores shifted down uniformly so that none ranks above a rescored hit.
fn rescore<'s>(
    moment: &'s Moment<'_>,
    prepared: &Prepared,
    second: &Scorer<'_>,
    mut first: Vec<Candidate<'s>>,
) -> Result<Rescored<'s>> {
    let rest = first.split_off(first.len().min(prepared.rerank_count()));
    let scores = scores_of(moment, prepared, second, &first)?;
    let mut scored: Rescored<'s> = Vec::with_capacity(first.len() + rest.len());
    scored.extend(
        first.iter().zip(scores).map(|(candidate, score)| (Candidate { score, ..*candidate }, Some(candidate.score))),
    );
    scored.sort_by(|(a, _), (b, _)| a.rank(b));
    if let (Some((worst, _)), Some(best)) = (scored.last(), rest.first()) {
        let shift = (worst.score - best.score).min(0.0);
        scored.extend(
            rest.iter()
                .map(|candidate| (Candidate { score: candidate.score + shift, ..*candidate }, Some(candidate.score))),
        );
    }
    Ok(scored)
}

/// Replaces the score of the best hits with the global phase's. The rest keep their order, below.
fn fuse<'s>(
    moment: &'s Moment<'_>,
    prepared: &Prepared,
    fusion: &Fusion,
    signals: &[Scorer<'_>],
    mut ranked: Rescored<'s>,
) -> Result<Rescored<'s>> {
    let rest = ranked.split_off(ranked.len().min(fusion.count));
    let candidates: Vec<Candidate<'s>> = ranked.iter().map(|(candidate, _)| *candidate).collect();
    let values: Vec<Vec<f64>> =
        signals.iter().map(|signal| scores_of(moment, prepared, signal, &candidates)).collect::<Result<_>>()?;
    let (before, after): (Vec<f64>, Vec<f64>) =
        (candidates.iter().map(|candidate| candidate.score).collect(), fused(fusion, &values));
    let rescale = Rescale::of(&before, &after);
    for ((candidate, first), score) in ranked.iter_mut().zip(after) {
        check_score(prepared, score)?;
        first.get_or_insert(candidate.score);
        candidate.score = score;
    }
    ranked.sort_by(|(a, _), (b, _)| a.rank(b));
    ranked.extend(rest.into_iter().map(|(candidate, first)| {
        let score = rescale.apply(candidate.score);
        (Candidate { score, ..candidate }, first.or(Some(candidate.score)))
    }));
    Ok(ranked)
}

/// Returns the score of each candidate, in their order. By block and place, so that each block's vectors are read once
/// and in order.
fn scores_of(
    moment: &Moment<'_>,
    prepared: &Prepared,
    scorer: &Scorer<'_>,
    candidates: &[Candidate<'_>],
) -> Result<Vec<f64>> {
    let mut order: Vec<(usize, &Candidate<'_>)> = candidates.iter().enumerate().collect();
    order.sort_unstable_by_key(|(_, candidate)| (candidate.block, candidate.place));
    let mut all = vec![0.0; candidates.len()];
    for group in order.chunk_by(|(_, a), (_, b)| a.block == b.block) {
        prepared.check_time()?;
        let blocks = moment.snapshot.blocks();
        let Some(view) = group.first().and_then(|(_, candidate)| blocks.get(candidate.block)) else { continue };
        let places: Vec<u32> = group.iter().map(|(_, candidate)| candidate.place).collect();
        let mut scores = vec![0.0; places.len()];
        let floats = FloatAccess::new(moment, prepared, places.len());
        let scoring = Scoring { view, places: &places, floats: &floats, prepared };
        scorer.add(&scoring, 1.0, &mut scores, &mut vec![true; places.len()])?;
        for ((index, _), score) in group.iter().zip(scores) {
            check_score(prepared, score)?;
            if let Some(slot) = all.get_mut(*index) {
                *slot = score;
            }
        }
    }
    Ok(all)
}
