//! Searches by words: the documents that match are counted, and those that may be among the best are scored.
//!
//! Each core takes stretches of a block, and goes through them in windows. In a window it marks every document that has a word,
//! to count those that are alive and pass the filter. The greatest count and the least length of each run of postings bound what
//! a list adds to a score. Lists that together cannot lift a document to the bar are left until the others are summed (`MaxScore`:
//! Turtle and Flood, 1995); then only the documents that may still reach the bar are looked up in them. What reaches it is
//! scored anew in the order of the query's fields and words, in which everything is summed where bounds do not help.

use super::{
    meter::{Meter, POSTING},
    prepare::Prepared,
    top::{Bar, Candidate, Top},
    word_list::{Values, WINDOW, WORDS},
    words::{Lists, Part, WordsPhase},
};
use crate::{
    cores::OwnCore,
    index::{BlockView, Places, Snapshot, ones},
};
use cogniverse_sdk::Result;
use std::ops::Range;

/// The number of documents that a core takes at a time.
const STRETCH: u32 = 2 * WINDOW;
/// More than what rounding may lose of a sum of numbers that are not negative, in relation to it.
const SLACK: f64 = 1e-9;
/// The cost of looking a document up in a list, in postings that are summed.
const SEEK: usize = 8;
/// The number of windows that are scored whole after one in which bounds excluded too little.
const WHOLE: usize = 7;

/// Returns the best candidates, and the number of documents that match.
pub(super) fn search<'s>(
    snapshot: &'s Snapshot,
    prepared: &Prepared,
    phase: &WordsPhase<'_>,
    filters: &[Places],
    cores: &OwnCore,
    (limit, bar): (usize, &'s Bar),
) -> Result<(Vec<Candidate<'s>>, u64)> {
    let mut stretches = Vec::new();
    for (block, view) in snapshot.blocks().iter().enumerate() {
        let len = u32::try_from(view.block.len()).unwrap_or(u32::MAX);
        let starts = (0..len).step_by(STRETCH as usize);
        stretches.extend(starts.map(|start| (block, start..len.min(start.saturating_add(STRETCH)))));
    }
    let make = || WordSearch {
        prepared,
        phase,
        meter: prepared.meter(),
        top: Top::new(limit, bar),
        matched: 0,
        scored: 0,
        lists: None,
        buffers: Box::default(),
        order: Vec::new(),
        left: Vec::new(),
        possible: Vec::new(),
        whole: 0,
    };
    let parts = cores.share(stretches.len(), make, |part, number| {
        let Some((block, range)) = stretches.get(number) else { return Ok(()) };
        let Some(view) = snapshot.blocks().get(*block) else { return Ok(()) };
        part.stretch((view, *block), range.clone(), filters.get(*block))
    })?;
    let matched = parts.iter().map(|part| part.matched).sum();
    let scored: usize = parts.iter().map(|part| part.scored).sum();
    tracing::trace!(matched, scored, "scored a first phase of words");
    let tops = parts.into_iter().map(|part| part.top).collect();
    Ok((Top::merge(tops), matched))
}

/// A list that is left until others are summed.
#[derive(Debug, Clone, Copy)]
struct Left {
    list: usize,
    /// No document gets more from the lists of smaller bounds and constants.
    others: f64,
}

/// A document that may reach the bar, with what is summed of its score.
#[derive(Debug, Clone, Copy)]
struct Possible {
    place: u32,
    sum: f64,
}

/// The values of the documents of a window.
#[derive(Debug)]
struct Buffers {
    /// 1 for each document that has a word.
    marks: Values<u8>,
    sums: Values<f64>,
    scores: Values<f64>,
}

impl Default for Buffers {
    fn default() -> Self {
        const LEN: usize = WINDOW as usize;
        Self { marks: [0; LEN], sums: [0.0; LEN], scores: [0.0; LEN] }
    }
}

/// What one core of a search by words does and found.
#[derive(Debug)]
struct WordSearch<'s, 'q> {
    prepared: &'q Prepared,
    phase: &'q WordsPhase<'q>,
    meter: Meter<'q>,
    top: Top<'s>,
    matched: u64,
    scored: usize,
    /// The lists of the block that was read last: its stretches follow each other.
    lists: Option<Lists<'s, 'q>>,
    buffers: Box<Buffers>,
    /// The lists by their bounds.
    order: Vec<(f64, usize)>,
    /// The lists that are left until others are summed, of increasing bound.
    left: Vec<Left>,
    possible: Vec<Possible>,
    /// The number of windows to score whole before bounds are tried again.
    whole: usize,
}

impl<'s> WordSearch<'s, '_> {
    /// Counts the documents of a range of a block that match and pass the filter, and offers the best.
    fn stretch(
        &mut self,
        (view, block): (&'s BlockView, usize),
        range: Range<u32>,
        filter: Option<&Places>,
    ) -> Result<()> {
        let mut lists = match self.lists.take().filter(|lists| lists.block == block) {
            Some(lists) => lists,
            None => self.phase.lists(view, block, &self.meter)?,
        };
        for start in range.clone().step_by(WINDOW as usize) {
            let window = start..range.end.min(start.saturating_add(WINDOW));
            let mut wanted = [0; WORDS];
            for (word, index) in wanted.iter_mut().zip(start as usize / 64..) {
                *word = view.live.word(index) & filter.map_or(u64::MAX, |filter| filter.word(index));
            }
            if wanted != [0; WORDS] {
                self.window(&mut lists, (view, &window), wanted)?;
            }
        }
        self.lists = Some(lists);
        Ok(())
    }

    fn window(
        &mut self,
        lists: &mut Lists<'s, '_>,
        (view, window): (&'s BlockView, &Range<u32>),
        mut wanted: [u64; WORDS],
    ) -> Result<()> {
        lists.lists.iter_mut().for_each(|list| list.enter(window));
        let work: usize = lists.lists.iter().map(|list| list.len).sum();
        self.meter.spend(work * POSTING)?;
        self.buffers.marks.fill(0);
        let bar = self.top.bar();
        let prunes = self.whole == 0 && self.leave(lists, bar);
        if prunes && self.prune(lists, window, &mut wanted, (bar, work)) {
            self.matched += count(&wanted);
            return self.score_possible(lists, view);
        }
        self.whole = if prunes { WHOLE } else { self.whole.saturating_sub(1) };
        self.sum_all(lists, window);
        keep_marked(&mut wanted, &self.buffers.marks);
        self.matched += count(&wanted);
        self.offer_all(lists.block, (view, window), &wanted)
    }

    /// Chooses the lists that together cannot lift a document to the bar. Returns whether there are any.
    fn leave(&mut self, lists: &Lists<'_, '_>, bar: f64) -> bool {
        self.left.clear();
        self.order.clear();
        let scored = lists.lists.iter().enumerate().filter(|(_, list)| list.scored.is_some());
        self.order.extend(scored.map(|(number, list)| (list.bound, number)));
        let most: f64 = self.order.iter().map(|(bound, _)| bound).sum::<f64>() + self.phase.constant;
        // A score that may be infinite has to be computed, to be refused.
        if !self.phase.grows || bar == f64::NEG_INFINITY || !most.is_finite() {
            return false;
        }
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut others = self.phase.constant;
        for (bound, list) in &self.order {
            if !is_below(others + bound, bar) {
                break;
            }
            self.left.push(Left { list: *list, others });
            others += bound;
        }
        !self.left.is_empty()
    }

    /// Finds the documents that may reach the bar, and keeps those that match in `wanted`. Returns `false` where this takes more
    /// than to score all.
    fn prune(
        &mut self,
        lists: &mut Lists<'_, '_>,
        window: &Range<u32>,
        wanted: &mut [u64; WORDS],
        (bar, work): (f64, usize),
    ) -> bool {
        let Buffers { marks, sums, .. } = &mut *self.buffers;
        sums.fill(0.0);
        for (_, number) in self.order.iter().skip(self.left.len()) {
            if let Some(list) = lists.lists.get_mut(*number) {
                list.sum(window, marks, sums);
            }
        }
        // Where many documents may reach the bar, the list that adds most is summed as well.
        let mut least = f64::NEG_INFINITY;
        while let Some(left) = self.left.last() {
            let Some(list) = lists.lists.get_mut(left.list) else { break };
            least = bar * (1.0 - 2.0 * SLACK) - (left.others + list.bound) - f64::MIN_POSITIVE;
            let reach = sums.iter().map(|sum| u32::from(*sum >= least)).sum::<u32>();
            if reach as usize * SEEK <= list.len {
                break;
            }
            least = bar * (1.0 - 2.0 * SLACK) - left.others - f64::MIN_POSITIVE;
            list.sum(window, marks, sums);
            self.left.pop();
        }
        for left in &self.left {
            if let Some(list) = lists.lists.get_mut(left.list) {
                list.mark(window, marks);
            }
        }
        for list in lists.lists.iter_mut().filter(|list| list.scored.is_none()) {
            list.mark(window, marks);
        }
        keep_marked(wanted, marks);
        self.possible.clear();
        for ((index, word), sums) in (0..).zip(&*wanted).zip(sums.as_chunks::<64>().0) {
            // Most often none of them does.
            if sums.iter().fold(false, |any, sum| any | (*sum >= least)) {
                let possible = |bit: u32| {
                    let sum = sums.get((bit % 64) as usize).copied().filter(|sum| *sum >= least)?;
                    Some(Possible { place: window.start + bit, sum })
                };
                self.possible.extend(ones(*word, index * 64).filter_map(possible));
            }
        }
        for left in self.left.iter().rev() {
            let Some(list) = lists.lists.get_mut(left.list) else { continue };
            self.possible.retain_mut(|possible| {
                possible.sum += list.value(possible.place).unwrap_or(0.0);
                !is_below(possible.sum + left.others, bar)
            });
        }
        self.possible.len() * lists.lists.len() * SEEK <= work
    }

    /// Scores the documents that may reach the bar, and offers them.
    fn score_possible(&mut self, lists: &mut Lists<'_, '_>, view: &'s BlockView) -> Result<()> {
        self.scored += self.possible.len();
        for Possible { place, .. } in &self.possible {
            let mut score = 0.0;
            for (part, range) in &lists.of_parts {
                score += match part {
                    Part::Constant(value) => *value,
                    Part::Field(..) => {
                        let of_part = lists.lists.get_mut(range.clone()).unwrap_or_default();
                        of_part.iter_mut().filter_map(|list| list.value(*place)).fold(0.0, |sum, value| sum + value)
                    }
                };
            }
            self.prepared.check_score(score)?;
            offer(&mut self.top, (view, lists.block), *place, score);
        }
        Ok(())
    }

    /// Marks and scores all documents of a window.
    fn sum_all(&mut self, lists: &mut Lists<'_, '_>, window: &Range<u32>) {
        let Buffers { marks, sums, scores } = &mut *self.buffers;
        scores.fill(0.0);
        for (part, range) in &lists.of_parts {
            match part {
                Part::Constant(value) => scores.iter_mut().for_each(|score| *score += value),
                Part::Field(..) => {
                    sums.fill(0.0);
                    for list in lists.lists.get_mut(range.clone()).unwrap_or_default() {
                        list.sum(window, marks, sums);
                    }
                    scores.iter_mut().zip(&*sums).for_each(|(score, sum)| *score += sum);
                }
            }
        }
        for list in lists.lists.iter_mut().filter(|list| list.scored.is_none()) {
            list.mark(window, marks);
        }
    }

    fn offer_all(
        &mut self,
        block: usize,
        (view, window): (&'s BlockView, &Range<u32>),
        wanted: &[u64; WORDS],
    ) -> Result<()> {
        for ((index, word), scores) in (0..).zip(wanted).zip(self.buffers.scores.as_chunks::<64>().0) {
            self.scored += word.count_ones() as usize;
            let bar = self.top.bar();
            // Most often all lie below, and are finite.
            let is_below = |score: &f64| *score < bar && score.abs() < f64::INFINITY;
            if scores.iter().fold(true, |all, score| all & is_below(score)) {
                continue;
            }
            for bit in ones(*word, index * 64) {
                let score = scores.get((bit % 64) as usize).copied().unwrap_or(0.0);
                if !is_below(&score) {
                    self.prepared.check_score(score)?;
                    offer(&mut self.top, (view, block), window.start + bit, score);
                }
            }
        }
        Ok(())
    }
}

/// Offers a document that reaches the bar.
fn offer<'s>(top: &mut Top<'s>, (view, block): (&'s BlockView, usize), place: u32, score: f64) {
    if score >= top.bar()
        && let Some(id) = view.block.id(place as usize)
    {
        top.offer(Candidate { score, id, block, place });
    }
}

/// Returns whether a score of which the parts sum up to this, in any order, lies below the bar.
fn is_below(sum: f64, bar: f64) -> bool {
    sum * (1.0 + SLACK) + f64::MIN_POSITIVE < bar
}

/// Removes what is not marked.
fn keep_marked(wanted: &mut [u64; WORDS], marks: &Values<u8>) {
    for (word, marks) in wanted.iter_mut().zip(marks.as_chunks::<64>().0) {
        let mut marked = 0;
        for (marks, shift) in marks.as_chunks::<8>().0.iter().zip((0..).step_by(8)) {
            // The lowest bits of eight bytes, gathered in the highest byte.
            let bits = u64::from_le_bytes(*marks).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            marked |= bits << shift;
        }
        *word &= marked;
    }
}

fn count(words: &[u64; WORDS]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}
