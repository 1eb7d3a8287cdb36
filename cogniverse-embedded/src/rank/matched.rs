//! The documents that a query matches, as sets and without scores: what an order by a field and counts by fields go by.

use super::{
    meter::{LOOKUP, Meter, POSTING},
    prepare::Prepared,
    scorer::Scorer,
};
use crate::{
    cores::OwnCore,
    index::{BlockView, Places, Snapshot},
};
use cogniverse_core::schemas::MatchSet;
use cogniverse_sdk::Result;

/// Returns the matched documents of each block: those that a ranked search counts. `filters` are the places that pass the filter, by
/// block; none where there is no filter.
pub(super) fn matched(
    snapshot: &Snapshot,
    prepared: &Prepared,
    scorer: &Scorer<'_>,
    filters: &[Places],
    cores: &OwnCore,
) -> Result<Vec<Places>> {
    let matching = Matching::of(snapshot, prepared, scorer);
    let make = || (prepared.meter(), Vec::new());
    let parts = cores.share(snapshot.blocks().len(), make, |(meter, found), number| {
        meter.check_time()?;
        let Some(view) = snapshot.blocks().get(number) else { return Ok(()) };
        let mut places = view.live.clone();
        if let Some(filter) = filters.get(number) {
            places.and(filter);
        }
        if let Some(matching) = &matching {
            places.and(&matching.places(view, prepared, meter)?);
        }
        found.push((number, places));
        Ok(())
    })?;
    let mut found: Vec<(usize, Places)> = parts.into_iter().flat_map(|(_, found)| found).collect();
    found.sort_unstable_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, places)| places).collect())
}

/// What a document must have to match, as indexes into the layout: a word in one of the texts, or vectors in one of the others.
#[derive(Debug, Default)]
struct Matching {
    texts: Vec<usize>,
    bits: Vec<usize>,
    floats: Vec<usize>,
}

impl Matching {
    /// Returns `None` where every document matches.
    fn of(snapshot: &Snapshot, prepared: &Prepared, scorer: &Scorer<'_>) -> Option<Self> {
        match prepared.matches() {
            MatchSet::Words => Some(Self { texts: prepared.match_fields(snapshot), ..Self::default() }),
            MatchSet::All if prepared.wants_vectors() => {
                let mut found = Self::default();
                found.collect(scorer, 1.0);
                Some(found)
            }
            MatchSet::All => None,
        }
    }

    /// Adds what a scorer marks as found.
    fn collect(&mut self, scorer: &Scorer<'_>, weight: f64) {
        match scorer {
            Scorer::Constant(_) => {}
            Scorer::Sum(parts) => parts.iter().for_each(|part| self.collect(part, weight)),
            Scorer::Scaled(factor, part) => self.collect(part, weight * factor),
            Scorer::Bm25(bm25) => {
                if weight != 0.0 {
                    self.texts.push(bm25.text());
                }
            }
            Scorer::MaxSim { field, .. } | Scorer::Closeness { field, .. } => self.floats.push(*field),
            Scorer::HammingMaxSim { field, .. }
            | Scorer::HammingCloseness { field, .. }
            | Scorer::FloatBits { field, .. } => self.bits.push(*field),
        }
    }

    fn places(&self, view: &BlockView, prepared: &Prepared, meter: &Meter<'_>) -> Result<Places> {
        let len = view.block.len();
        let mut found = Places::none(len);
        let mut marks = found.marks();
        for index in self.texts.iter().filter_map(|text| view.block.text(*text)) {
            for (word, _) in &prepared.words {
                meter.spend(LOOKUP)?;
                if let Some(postings) = index.find(word) {
                    meter.spend(postings.len() * POSTING)?;
                    postings.for_each_place(|place| marks.set(place));
                }
            }
        }
        let all = || (0_u32..).zip(0..len);
        for arena in self.bits.iter().filter_map(|bits| view.block.bits(*bits)) {
            meter.spend(len * 4)?;
            all().filter(|(_, place)| arena.has(*place)).for_each(|(mark, _)| marks.set(mark));
        }
        for floats in &self.floats {
            meter.spend(len * 4)?;
            let has = |place: usize| view.block.cells_at(*floats, place).is_some();
            all().filter(|(_, place)| has(*place)).for_each(|(mark, _)| marks.set(mark));
        }
        Ok(found)
    }
}
