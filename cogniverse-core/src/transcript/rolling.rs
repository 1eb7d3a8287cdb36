//! Removal of repetition in rolling captions, where each cue repeats the previous line.

use super::reading::RawCue;

/// The largest gap in seconds between rolling cues.
const GAP: f64 = 0.5;
/// The largest number of lines shown at once.
const MOST: usize = 16;

/// Removes what cues repeat of the previous one, if the file has rolling captions: at least half of the adjacent cues
/// start with the end of the previous one, and some extend it.
pub(super) fn say_once(cues: &mut [RawCue]) {
    let mut repeats = vec![Repeat::None; cues.len()];
    let (mut touching, mut repeating, mut saying_more, mut long) = (0usize, 0usize, false, false);
    for (place, pair) in cues.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        if before.said().next().is_none() || after.said().next().is_none() || after.start > before.end + GAP {
            continue;
        }
        touching += 1;
        let repeat = repeat(before, after);
        if repeat != Repeat::None {
            repeating += 1;
            long |= repeated_words(after, repeat) >= 3;
            saying_more |= repeat != Repeat::Lines(after.said().count());
        }
        if let Some(slot) = repeats.get_mut(place + 1) {
            *slot = repeat;
        }
    }
    if saying_more && repeating * 2 >= touching && (repeating > 1 || long) {
        for (cue, repeat) in cues.iter_mut().zip(repeats) {
            cue.forget(repeat);
        }
    }
}

/// The repeated beginning of a cue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    None,
    /// A number of lines.
    Lines(usize),
    /// A number of words of a single line.
    Words(usize),
}

fn repeat(before: &RawCue, after: &RawCue) -> Repeat {
    let (shown, now): (Vec<String>, Vec<String>) = (before.said().collect(), after.said().collect());
    let lines = (1..=shown.len().min(now.len()).min(MOST))
        .rev()
        .find(|n| shown.iter().rev().take(*n).rev().eq(now.iter().take(*n)));
    if let Some(lines) = lines {
        return Repeat::Lines(lines);
    }
    // A line that grows: all that was shown begins it.
    let (shown, now) = (shown.join(" "), now.join(" "));
    match now.strip_prefix(&shown) {
        Some(more) if more.starts_with(' ') => Repeat::Words(shown.split(' ').count()),
        _ => Repeat::None,
    }
}

fn repeated_words(cue: &RawCue, repeat: Repeat) -> usize {
    match repeat {
        Repeat::None => 0,
        Repeat::Words(words) => words,
        Repeat::Lines(lines) => cue.said().take(lines).map(|line| line.split(' ').count()).sum(),
    }
}

impl RawCue {
    /// Returns the non-empty lines, with white space collapsed.
    fn said(&self) -> impl Iterator<Item = String> {
        self.lines
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.is_empty())
    }

    fn forget(&mut self, repeat: Repeat) {
        let said: Vec<String> = self.said().collect();
        self.lines = match repeat {
            Repeat::None => return,
            Repeat::Lines(lines) => said.into_iter().skip(lines).collect(),
            Repeat::Words(words) => {
                let text = said.join(" ");
                vec![text.split(' ').skip(words).collect::<Vec<_>>().join(" ")]
            }
        };
    }
}
