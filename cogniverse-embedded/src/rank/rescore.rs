//! The later phases of a search, which score the best hits of the first one anew.

use super::{
    float_access::FloatAccess,
    global::{Rescale, fused},
    prepare::Prepared,
    scorer::{Scorer, Scoring},
    top::Candidate,
};
use crate::{cores::OwnCore, tenant_store::Moment};
use cogniverse_core::schemas::Fusion;
use cogniverse_sdk::Result;

/// The number of documents that a core scores together.
const STRETCH: usize = 8;

/// Hits with their score of the first phase, once another phase has replaced it.
pub(super) type Rescored<'s> = Vec<(Candidate<'s>, Option<f64>)>;

/// Replaces the score of the best `rerank_count` hits with the second phase's. The rest keep their order, with their
/// scores shifted down uniformly so that none ranks above a rescored hit.
pub(super) fn rescore<'s>(
    moment: &'s Moment<'_>,
    prepared: &Prepared,
    cores: &OwnCore,
    second: &Scorer<'_>,
    mut first: Vec<Candidate<'s>>,
) -> Result<Rescored<'s>> {
    let rest = first.split_off(first.len().min(prepared.rerank_count()));
    let scores = scores_of(moment, prepared, cores, second, &first)?;
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
pub(super) fn fuse<'s>(
    moment: &'s Moment<'_>,
    prepared: &Prepared,
    cores: &OwnCore,
    (fusion, signals): (&Fusion, &[Scorer<'_>]),
    mut ranked: Rescored<'s>,
) -> Result<Rescored<'s>> {
    let rest = ranked.split_off(ranked.len().min(fusion.count));
    let candidates: Vec<Candidate<'s>> = ranked.iter().map(|(candidate, _)| *candidate).collect();
    let values: Vec<Vec<f64>> =
        signals.iter().map(|signal| scores_of(moment, prepared, cores, signal, &candidates)).collect::<Result<_>>()?;
    let (before, after): (Vec<f64>, Vec<f64>) =
        (candidates.iter().map(|candidate| candidate.score).collect(), fused(fusion, &values));
    let rescale = Rescale::of(&before, &after);
    for ((candidate, first), score) in ranked.iter_mut().zip(after) {
        prepared.check_score(score)?;
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

/// Returns the score of each candidate, in their order. They are scored by block and place, so that each block's vectors are
/// read in order.
fn scores_of(
    moment: &Moment<'_>,
    prepared: &Prepared,
    cores: &OwnCore,
    scorer: &Scorer<'_>,
    candidates: &[Candidate<'_>],
) -> Result<Vec<f64>> {
    let mut order: Vec<(usize, &Candidate<'_>)> = candidates.iter().enumerate().collect();
    order.sort_unstable_by_key(|(_, candidate)| (candidate.block, candidate.place));
    let of_blocks = order.chunk_by(|(_, a), (_, b)| a.block == b.block);
    let stretches: Vec<&[(usize, &Candidate<'_>)]> = of_blocks.flat_map(|of_block| of_block.chunks(STRETCH)).collect();
    let make = || (prepared.meter(), Vec::new());
    let parts = cores.share(stretches.len(), make, |(meter, scored), number| {
        meter.check_time()?;
        let Some(stretch) = stretches.get(number) else { return Ok(()) };
        let blocks = moment.snapshot.blocks();
        let Some(view) = stretch.first().and_then(|(_, candidate)| blocks.get(candidate.block)) else { return Ok(()) };
        let places: Vec<u32> = stretch.iter().map(|(_, candidate)| candidate.place).collect();
        let mut scores = vec![0.0; places.len()];
        let scoring = Scoring { view, places: &places, floats: FloatAccess::new(moment, 0, 1), meter };
        scorer.add(&scoring, 1.0, &mut scores, &mut vec![true; places.len()])?;
        for ((index, _), score) in stretch.iter().zip(scores) {
            prepared.check_score(score)?;
            scored.push((*index, score));
        }
        Ok(())
    })?;
    let mut all = vec![0.0; candidates.len()];
    for (index, score) in parts.into_iter().flat_map(|(_, scored)| scored) {
        if let Some(slot) = all.get_mut(index) {
            *slot = score;
        }
    }
    Ok(all)
}
