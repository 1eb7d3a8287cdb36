//! Division of audio into pieces to transcribe.

use cogniverse_sdk::{Cue, TimeRange};

/// The margin around a sound in seconds, so that no word is clipped.
const AROUND: f64 = 0.3;
/// The gap in seconds below which sounds share a piece if they fit.
const NEAR: f64 = 5.0;
/// The overlap in seconds of consecutive pieces of one long sound, at most a quarter of a piece.
const SHARED: f64 = 10.0;

/// A range of audio to transcribe, and the range within it whose words count: overlapping pieces of a long sound each
/// contribute the words on their side of the overlap's middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    pub(super) from: f64,
    pub(super) to: f64,
    counts_from: f64,
    counts_to: f64,
}

impl Piece {
    fn new(from: f64, to: f64) -> Self {
        Self { from, to, counts_from: from, counts_to: to }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.to - self.from
    }

    /// Maps the cues of the piece to (start, end, words) of the whole. The words of a cue share its time evenly, as
    /// in [`crate::transcript::Transcript::text_within`].
    pub(super) fn place(&self, cues: &[Cue]) -> Vec<(f64, f64, String)> {
        let mut placed = Vec::with_capacity(cues.len());
        for cue in cues {
            // Models round to whole windows: what begins behind the end was not said.
            let (start, end) = (self.from + cue.range.start(), (self.from + cue.range.end()).min(self.to));
            if start >= self.to {
                continue;
            }
            let words: Vec<&str> = cue.text.split_whitespace().collect();
            #[expect(clippy::cast_precision_loss, reason = "words of one cue")]
            let begins = |word: usize| start + (end - start) * word as f64 / words.len() as f64;
            let of_here: Vec<usize> =
                (0..words.len()).filter(|word| (self.counts_from..self.counts_to).contains(&begins(*word))).collect();
            let (Some(first), Some(last)) = (of_here.first(), of_here.last()) else { continue };
            let said = words.get(*first..=*last).unwrap_or_default().join(" ");
            placed.push((begins(*first), begins(last + 1).max(begins(*first)), said));
        }
        placed
    }
}

/// Plans the pieces of audio of a length in seconds: the non-silent ranges, with close sounds joined, each at most
/// `longest`. A longer sound is divided into overlapping pieces.
pub(super) fn plan(seconds: f64, silences: &[TimeRange], longest: f64) -> Vec<Piece> {
    let mut sounds: Vec<(f64, f64)> = Vec::new();
    let mut from = 0.0f64;
    let ends = silences.iter().map(|silence| (silence.start(), silence.end())).chain([(seconds, seconds)]);
    for (start, end) in ends {
        if start > from {
            let (start, end) = ((from - AROUND).max(0.0), (start + AROUND).min(seconds));
            match sounds.last_mut() {
                Some(before) if before.1 >= start => before.1 = end,
                _ => sounds.push((start, end)),
            }
        }
        from = from.max(end);
    }
    let mut joined: Vec<(f64, f64)> = Vec::new();
    for (start, end) in sounds {
        match joined.last_mut() {
            Some(before) if start - before.1 <= NEAR && end - before.0 <= longest => before.1 = end,
            _ => joined.push((start, end)),
        }
    }
    joined.into_iter().flat_map(|(from, to)| cut(from, to, longest)).collect()
}

fn cut(from: f64, to: f64, longest: f64) -> Vec<Piece> {
    if to - from <= longest {
        return vec![Piece::new(from, to)];
    }
    let shared = SHARED.min(longest / 4.0);
    let step = longest - shared;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut start = from;
    while pieces.last().is_none_or(|last| last.to < to) {
        let mut piece = Piece::new(start, (start + longest).min(to));
        if let Some(before) = pieces.last_mut() {
            let middle = f64::midpoint(start, before.to);
            (before.counts_to, piece.counts_from) = (middle, middle);
        }
        pieces.push(piece);
        start += step;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(start: f64, end: f64) -> TimeRange {
        TimeRange::new(start, end).unwrap()
    }

    fn spans(seconds: f64, silences: &[(f64, f64)], longest: f64) -> Vec<(f64, f64)> {
        let silences: Vec<TimeRange> = silences.iter().map(|(start, end)| range(*start, *end)).collect();
        plan(seconds, &silences, longest).iter().map(|piece| (piece.from, piece.to)).collect()
    }

    #[test]
    fn silence_is_skipped_and_near_sounds_go_together() {
        assert_eq!(spans(60.0, &[], 600.0), [(0.0, 60.0)]);
        assert_eq!(spans(60.0, &[(0.0, 60.0)], 600.0), []);
        assert_eq!(spans(0.0, &[], 600.0), []);
        assert_eq!(spans(60.0, &[(0.0, 10.0), (12.0, 14.0), (20.0, 50.0)], 600.0), [(9.7, 20.3), (49.7, 60.0)]);
        // Near each other, and too long together: cut where it is silent.
        assert_eq!(spans(60.0, &[(29.0, 31.0)], 40.0), [(0.0, 29.3), (30.7, 60.0)]);
    }

    #[test]
    fn a_long_sound_is_cut_into_pieces_that_share_some_seconds() {
        let pieces = plan(1500.0, &[], 600.0);
        let said: Vec<_> = pieces.iter().map(|p| (p.from, p.to, p.counts_from, p.counts_to)).collect();
        assert_eq!(said, [(0.0, 600.0, 0.0, 595.0), (590.0, 1190.0, 595.0, 1185.0), (1180.0, 1500.0, 1185.0, 1500.0)]);
        // A cue across the middle is heard by both, and each gives its side of the words.
        let cue = |start, end, text: &str| Cue { range: range(start, end), text: text.to_owned() };
        let before = pieces[0].place(&[cue(592.0, 598.0, "one two three four five six")]);
        let after = pieces[1].place(&[cue(2.0, 8.0, "one two three four five six"), cue(700.0, 701.0, "nobody said")]);
        assert_eq!(before, [(592.0, 595.0, "one two three".to_owned())]);
        assert_eq!(after, [(595.0, 598.0, "four five six".to_owned())]);
    }

    proptest! {
        #[test]
        fn every_sound_is_sent_and_counts_once(
            seconds in 1.0f64..4000.0, gaps in prop::collection::vec((0.0f64..1.0, 1.0f64..60.0), 0..12), longest in 1.0f64..700.0
        ) {
            let mut silences: Vec<(f64, f64)> =
                gaps.iter().map(|(place, long)| (place * seconds, (place * seconds + long).min(seconds))).collect();
            silences.sort_by(|a, b| a.0.total_cmp(&b.0));
            let ranges: Vec<TimeRange> = silences.iter().map(|(a, b)| range(*a, *b)).collect();
            let pieces = plan(seconds, &ranges, longest);
            for piece in &pieces {
                prop_assert!(piece.seconds() <= longest + 1e-6 && piece.from >= 0.0 && piece.to <= seconds);
                prop_assert!(piece.from <= piece.counts_from && piece.counts_from <= piece.counts_to && piece.counts_to <= piece.to);
            }
            for step in 0..200 {
                let time = seconds * f64::from(step) / 200.0;
                let silent = silences.iter().any(|(a, b)| (*a..=*b).contains(&time));
                let counted = pieces.iter().filter(|p| (p.counts_from..p.counts_to).contains(&time)).count();
                prop_assert!(counted == 1 || (silent && counted <= 1), "{time} counts {counted} times");
            }
        }
    }
}
