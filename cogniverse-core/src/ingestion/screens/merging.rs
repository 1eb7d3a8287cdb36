//! Merging of the texts of neighbouring pictures.
//!
//! A slide that stands for a minute is in every picture of it, each time read a little otherwise: `Machine Iearning`,
//! `Machine learning.` Lines are the same where their letters and digits differ by a fifth or less, and of the spellings
//! of a line the most frequent one is kept.

/// The number of lines of one picture that are compared, and of different lines that are kept of a segment.
const MOST_LINES: usize = 200;
/// The longest line that is compared by edits, in letters; longer ones are the same where they are equal.
const COMPARED: usize = 200;
/// The number of buckets of letters.
const BUCKETS: usize = 32;

/// A line with its spellings.
struct Line {
    letters: Vec<char>,
    counts: [u8; BUCKETS],
    spellings: Vec<(String, usize)>,
}

impl Line {
    fn new(text: &str) -> Self {
        let letters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let mut counts = [0u8; BUCKETS];
        for letter in &letters {
            if let Some(count) = counts.get_mut(u32::from(*letter) as usize % BUCKETS) {
                *count = count.saturating_add(1);
            }
        }
        Self { letters, counts, spellings: vec![(text.to_owned(), 1)] }
    }

    fn is_same(&self, other: &Self) -> bool {
        if self.letters == other.letters {
            return true;
        }
        let longest = self.letters.len().max(other.letters.len());
        // Short ones differ by what they say: "Step 1" and "Step 2". Numbers are never misread into each other here.
        let allowed = longest / 5;
        if allowed == 0 || longest > COMPARED || longest - self.letters.len().min(other.letters.len()) > allowed {
            return false;
        }
        let digits = |line: &Self| line.letters.iter().filter(|c| c.is_ascii_digit()).copied().collect::<Vec<_>>();
        let apart: usize = self.counts.iter().zip(&other.counts).map(|(a, b)| usize::from(a.abs_diff(*b))).sum();
        apart <= allowed * 2 && digits(self) == digits(other) && within(&self.letters, &other.letters, allowed)
    }

    fn spell(&mut self, text: &str) {
        match self.spellings.iter_mut().find(|(known, _)| known == text) {
            Some((_, count)) => *count += 1,
            None => self.spellings.push((text.to_owned(), 1)),
        }
    }

    /// Returns the most frequent spelling, the first of several.
    fn text(self) -> String {
        let most = self.spellings.iter().map(|(_, count)| *count).max().unwrap_or_default();
        self.spellings.into_iter().find(|(_, count)| *count == most).map(|(text, _)| text).unwrap_or_default()
    }
}

/// Returns whether one text becomes the other by at most `most` insertions, deletions and replacements.
fn within(a: &[char], b: &[char], most: usize) -> bool {
    let beyond = most + 1;
    let mut before: Vec<usize> = (0..=b.len()).map(|at| at.min(beyond)).collect();
    for (row, letter) in a.iter().enumerate() {
        let mut now = vec![beyond; b.len() + 1];
        let from = (row + 1).saturating_sub(most);
        if from == 0
            && let Some(first) = now.first_mut()
        {
            *first = row + 1;
        }
        let mut least = beyond;
        for at in from.max(1)..=(row + 1 + most).min(b.len()) {
            let cell = |list: &[usize], at: usize| list.get(at).copied().unwrap_or(beyond);
            let replaced = cell(&before, at - 1) + usize::from(b.get(at - 1) != Some(letter));
            let value = replaced.min(cell(&before, at) + 1).min(cell(&now, at - 1) + 1).min(beyond);
            least = least.min(value);
            if let Some(slot) = now.get_mut(at) {
                *slot = value;
            }
        }
        if least > most && now.first().is_none_or(|first| *first > most) {
            return false;
        }
        before = now;
    }
    before.last().is_some_and(|edits| *edits <= most)
}

/// Merges the lines of pictures in time order: each line once, in the order in which it appears first.
pub(super) fn merged<'s>(screens: impl Iterator<Item = &'s [String]>) -> Vec<String> {
    let mut lines: Vec<Line> = Vec::new();
    let mut last: Option<&[String]> = None;
    for screen in screens {
        // The same text as before counts for the spelling, and needs no comparison.
        let again = last == Some(screen);
        last = Some(screen);
        for text in screen.iter().take(MOST_LINES) {
            let known = match again {
                true => lines.iter_mut().find(|line| line.spellings.iter().any(|(known, _)| known == text)),
                false => None,
            };
            if let Some(known) = known {
                known.spell(text);
                continue;
            }
            let new = Line::new(text);
            // A bullet or a rule between others says nothing.
            if new.letters.is_empty() {
                continue;
            }
            if let Some(line) = lines.iter_mut().find(|line| line.is_same(&new)) {
                line.spell(text);
            } else if lines.len() < MOST_LINES {
                lines.push(new);
            }
        }
    }
    lines.into_iter().map(Line::text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(screens: &[&[&str]]) -> Vec<String> {
        let screens: Vec<Vec<String>> =
            screens.iter().map(|lines| lines.iter().map(|line| (*line).to_owned()).collect()).collect();
        merged(screens.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_slide_that_stands_is_said_once_and_noise_is_outvoted() {
        let slide = of(&[
            &["Machine Iearning basics", "Loss functions", "•"],
            &["Machine learning basics", "Loss functions"],
            &["Machine learning basics", "Loss functlons", "New bullet appears"],
            &["Machine learning basics.", "Loss functions", "New bullet appears"],
        ]);
        assert_eq!(slide, ["Machine learning basics", "Loss functions", "New bullet appears"]);
        // What differs by what it says stays apart: short lines, and numbers.
        assert_eq!(of(&[&["Step 1", "Revenue 2023: 14 million"], &["Step 2", "Revenue 2024: 14 million"]]).len(), 4);
        assert_eq!(of(&[&["東京駅"], &["東京駅"], &["大阪駅"]]), ["東京駅", "大阪駅"]);
        assert!(of(&[&["---", ""], &[]]).is_empty());
    }

    #[test]
    fn what_an_adversary_shows_is_merged_in_good_time() {
        let lines: Vec<String> =
            (0..1000).map(|n| format!("{}{n}", "abcdefghij".repeat(19)).chars().rev().collect()).collect();
        let screens: Vec<Vec<String>> =
            (0..10).map(|screen| lines.iter().skip(screen * 90).cloned().collect()).collect();
        let began = std::time::Instant::now();
        assert!(merged(screens.iter().map(Vec::as_slice)).len() <= MOST_LINES);
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn edits_are_counted_as_the_plain_rule_does(a in "[abc]{0,12}", b in "[abc]{0,12}", most in 1usize..5) {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let mut table: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
            for row in 1..=a.len() {
                let mut now = vec![row];
                for at in 1..=b.len() {
                    let replaced = table[row - 1][at - 1] + usize::from(a[row - 1] != b[at - 1]);
                    now.push(replaced.min(table[row - 1][at] + 1).min(now[at - 1] + 1));
                }
                table.push(now);
            }
            prop_assert_eq!(within(&a, &b, most), table[a.len()][b.len()] <= most);
        }

        #[test]
        fn each_line_is_there_and_none_twice(screens in prop::collection::vec(prop::collection::vec("[a-z]{1,3} [0-9]{1,3}", 0..5), 0..5)) {
            let made = merged(screens.iter().map(Vec::as_slice));
            for line in screens.iter().flatten() {
                let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
                prop_assert_eq!(made.iter().filter(|known| letters(known) == letters(line)).count(), 1);
            }
        }
    }
}
