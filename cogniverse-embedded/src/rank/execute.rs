//! One search over one snapshot: match, filter, first phase, second phase, page.

use super::{
    float_access::FloatAccess,
    prepare::Prepared,
    top::{Candidate, Top},
};
use crate::{
    index::{BlockView, Snapshot},
    tenant_store::TenantStore,
};
use cogniverse_core::schemas::MatchSet;
use cogniverse_sdk::Result;

/// A hit of the asked-for page, without its document yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RankedHit {
    pub(crate) row: i64,
    pub(crate) score: f64,
    pub(crate) first_phase: Option<f64>,
}

/// The asked-for page and the number of matches.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) hits: Vec<RankedHit>,
    pub(crate) matched: u64,
}

/// Documents scored between two looks at the clock.
const STRETCH: usize = 1024;

/// Ranks a snapshot. Blocking.
pub(crate) fn execute(store: &TenantStore, snapshot: &Snapshot, prepared: &Prepared) -> Result<Ranked> {
    let window = prepared.query.offset + prepared.query.limit;
    let rerank = prepared.rerank_count();
    let mut top = Top::new(window.max(rerank));
    let scorer = prepared.first_phase(snapshot)?;
    let match_fields = prepared.match_fields(snapshot);
    let mut matched = 0;
    let mut scores = Vec::new();
    for (block, view) in snapshot.blocks().iter().enumerate() {
        let places = matching(view, prepared, &match_fields);
        matched += places.len() as u64;
        let floats = FloatAccess::new(store, places.len());
        for stretch in places.chunks(STRETCH) {
            prepared.check_time()?;
            scores.clear();
            scores.resize(stretch.len(), 0.0);
            scorer.add(view, stretch, 1.0, &floats, &mut scores)?;
            for (place, score) in stretch.iter().zip(&scores) {
                if *score >= top.bar()
                    && let Some(id) = view.block.id(*place as usize)
                {
                    top.offer(Candidate { score: *score, id, block, place: *place });
                }
            }
        }
    }
    let first = top.into_sorted();
    let ranked = match prepared.second_phase(snapshot)? {
        None => first.into_iter().map(|candidate| (candidate, None)).collect(),
        Some(second) => rescore(store, snapshot, prepared, &second, first)?,
    };
    let page = ranked.into_iter().skip(prepared.query.offset).take(prepared.query.limit);
    let hits = page.filter_map(|(candidate, first_phase)| {
        let row = snapshot.blocks().get(candidate.block)?.block.row(candidate.place as usize)?;
        Some(RankedHit { row, score: candidate.score, first_phase })
    });
    Ok(Ranked { hits: hits.collect(), matched })
}

/// The places of a block that live, match the words where the strategy matches by words, and meet the filter.
fn matching(view: &BlockView, prepared: &Prepared, match_fields: &[usize]) -> Vec<u32> {
    let mut wanted = match prepared.matches() {
        MatchSet::All => view.live.as_ref().clone(),
        _ => {
            let mut having = vec![false; view.block.len()];
            for index in match_fields.iter().filter_map(|field| view.block.text(*field)) {
                for posting in prepared.words.iter().flat_map(|(word, _)| index.postings(word)) {
                    let place = posting.place as usize;
                    if let Some(slot) = having.get_mut(place) {
                        *slot = view.is_live(place);
                    }
                }
            }
            having
        }
    };
    if let Some(filter) = prepared.filter() {
        let met = view.block.columns().matching(filter);
        wanted.iter_mut().zip(met).for_each(|(wanted, met)| *wanted &= met);
    }
    (0..).zip(wanted).filter_map(|(place, wanted)| wanted.then_some(place)).collect()
}

type Rescored<'s> = Vec<(Candidate<'s>, Option<f64>)>;

/// The second phase's score replaces the first's for the best `rerank_count`. The rest follow in their order; their scores
/// are shifted down, all alike, so that none stands above one that was scored again.
fn rescore<'s>(
    store: &TenantStore,
    snapshot: &'s Snapshot,
    prepared: &Prepared,
    second: &super::scorer::Scorer<'_>,
    mut first: Vec<Candidate<'s>>,
) -> Result<Rescored<'s>> {
    let rest = first.split_off(first.len().min(prepared.rerank_count()));
    // By block and place, so that each block's vectors are read once and in order.
    first.sort_unstable_by_key(|candidate| (candidate.block, candidate.place));
    let mut scored: Rescored<'s> = Vec::with_capacity(first.len() + rest.len());
    for group in first.chunk_by(|a, b| a.block == b.block) {
        prepared.check_time()?;
        let Some(view) = group.first().and_then(|candidate| snapshot.blocks().get(candidate.block)) else { continue };
        let places: Vec<u32> = group.iter().map(|candidate| candidate.place).collect();
        let mut scores = vec![0.0; places.len()];
        second.add(view, &places, 1.0, &FloatAccess::new(store, places.len()), &mut scores)?;
        scored.extend(
            group
                .iter()
                .zip(scores)
                .map(|(candidate, score)| (Candidate { score, ..*candidate }, Some(candidate.score))),
        );
    }
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
