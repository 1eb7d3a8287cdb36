//! Features of a query's text: numbers of words, word pairs and parts of words.

use super::folded::folded;
use super::lexicon::{ANY_MODALITY, Hit, Labels, Lexicon, ONE_KIND, has_blanks, joins};
use std::hash::Hasher;
use unicode_segmentation::UnicodeSegmentation;

/// The number of features, a power of two: features are hashed, and a few share a number.
pub(crate) const FEATURES: usize = 1 << 16;
/// The feature that every query has.
pub(crate) const BIAS: u32 = 0;
/// The length of the parts of words, in characters.
const PARTS: std::ops::RangeInclusive<usize> = 3..=5;
/// The largest number of features of one query.
const MAX: usize = 2048;
/// The largest number of them that stand for words.
const MAX_LEARNABLE: usize = 192;

/// The features of one query, each with its amount.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Features {
    /// Feature numbers in ascending order, with their amounts.
    pub(crate) amounts: Vec<(u32, f32)>,
    /// The words, with their feature numbers.
    pub(crate) words: Vec<(String, u32)>,
    /// The features that stand for words and what the lexicon says of them, without the parts of words, of which there
    /// are many: those that a tenant's own corrections are about.
    pub(crate) learnable: Vec<(u32, f32)>,
}

impl Features {
    /// Reads a query. Case, width and accents make no difference.
    pub(crate) fn of(query: &str) -> Self {
        let text = folded(query);
        let words: Vec<&str> = text.unicode_words().collect();
        let mut found: Vec<(u32, f32)> = vec![(BIAS, 1.0)];
        lexical(&text, words.len(), &mut found);
        let mut named = Vec::with_capacity(words.len());
        // A long query has many features, and no more weight than a short one.
        #[expect(clippy::cast_precision_loss, reason = "a few hundred words")]
        let amount = 1.0 / (words.len().max(1) as f32).sqrt();
        for (at, word) in words.iter().enumerate() {
            let number = numbered("w", &[word]);
            named.push(((*word).to_owned(), number));
            found.push((number, amount));
            if let Some(next) = words.get(at + 1) {
                found.push((numbered("b", &[word, next]), amount));
            }
            if let (Some(next), Some(last)) = (words.get(at + 1), words.get(at + 2)) {
                found.push((numbered("t", &[word, next, last]), amount));
            }
        }
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            found.push((numbered("f", &[first]), amount));
            found.push((numbered("l", &[last]), amount));
        }
        let mut learnable = found.clone();
        learnable.truncate(MAX_LEARNABLE);
        merge(&mut learnable);
        for word in &words {
            parts(word, |part| found.push((numbered("c", &[part]), amount * PART_AMOUNT)));
        }
        found.truncate(MAX);
        merge(&mut found);
        Self { amounts: found, words: named, learnable }
    }
}

/// The largest number of bytes between two kinds of content that are asked for together.
const NEAR: usize = 60;

/// Adds what the words of the lexicon say: which kinds are named, the first and the last of them, and whether two are
/// joined. In most scripts the first names what is looked for (\"a photo of the podcast\"), in some the last.
fn lexical(text: &str, words: usize, found: &mut Vec<(u32, f32)>) {
    let hits = Lexicon::shipped().find(text);
    let script = match text.chars().find(|letter| letter.is_alphabetic()) {
        Some(letter) if has_blanks(letter) => "blanks",
        Some(letter) if letter >= '\u{1100}' => "east",
        Some(_) => "other",
        None => "none",
    };
    let mut counts = [0_u8; 8];
    let mut all: Labels = 0;
    for hit in &hits {
        all |= hit.labels;
        for (label, count) in counts.iter_mut().enumerate() {
            *count = count.saturating_add(hit.labels >> label & 1);
        }
    }
    let kinds: Vec<&Hit> = hits.iter().filter(|hit| hit.labels & ONE_KIND != 0).collect();
    let of = |hit: Option<&&Hit>| hit.map_or(0, |hit| hit.labels & ONE_KIND);
    let (first, last) = (of(kinds.first()), of(kinds.last()));
    let mut add = |kind: &str, values: &[&str], amount: f32| found.push((numbered(kind, values), amount));
    let number = |labels: Labels| labels.to_string();
    add("kinds", &[&number(all & ANY_MODALITY)], LEXICAL);
    add("forms", &[&number(all & !ANY_MODALITY)], LEXICAL);
    add("first", &[&number(first), script], LEXICAL);
    add("last", &[&number(last), script], LEXICAL);
    add("ends", &[&number(first), &number(last), script], LEXICAL);
    for (label, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        add("label", &[&label.to_string(), if *count > 1 { "many" } else { "one" }], LEXICAL);
    }
    let mut joined: Labels = 0;
    for pair in kinds.windows(2) {
        let [before, after] = pair else { continue };
        let (a, b) = (before.labels & ONE_KIND, after.labels & ONE_KIND);
        let between = text.get(before.place.end..after.place.start).unwrap_or_default();
        if a & b == 0 && between.len() <= NEAR {
            if joins(between) {
                joined |= a | b;
            } else {
                add("beside", &[&number(a), &number(b), script], LEXICAL);
            }
        }
    }
    add("joined", &[&number(joined)], LEXICAL);
    add("joined", &[if joined == 0 { "none" } else { "some" }, &kinds.len().min(4).to_string()], LEXICAL);
    let length = match words {
        0..=2 => "few",
        3..=5 => "some",
        6..=12 => "many",
        _ => "long",
    };
    add("length", &[length], LEXICAL);
}

/// The amount of what the lexicon says.
const LEXICAL: f32 = 0.5;
/// Orders features by their numbers, and adds up the amounts of equal ones.
fn merge(features: &mut Vec<(u32, f32)>) {
    features.sort_unstable_by_key(|(number, _)| *number);
    features.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

/// The amount of a part of a word, of which a word has many.
const PART_AMOUNT: f32 = 0.35;

/// Calls back with the parts of a word, whose ends are marked. Words of scripts without blanks are single characters
/// here, and their pairs are features already.
fn parts(word: &str, mut each: impl FnMut(&str)) {
    let marked = format!("<{word}>");
    let mut places: Vec<usize> = marked.char_indices().map(|(at, _)| at).collect();
    places.push(marked.len());
    for length in PARTS {
        for window in places.windows(length + 1) {
            if let (Some(start), Some(end)) = (window.first(), window.last())
                && let Some(part) = marked.get(*start..*end)
            {
                each(part);
            }
        }
    }
}

/// Returns the number of a feature, never [`BIAS`].
fn numbered(kind: &str, words: &[&str]) -> u32 {
    let mut hash = Fnv::default();
    hash.write(kind.as_bytes());
    for word in words {
        hash.write(word.as_bytes());
        hash.write(&[0xff]);
    }
    let folded = hash.0 ^ (hash.0 >> 32);
    u32::try_from(folded % (FEATURES as u64 - 1) + 1).unwrap_or(1)
}

/// FNV-1a: the numbers of features are stored in configurations, and must be the same in every release.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::folded::{READ_FIRST, READ_LAST};

    #[test]
    fn case_width_and_accents_make_no_difference_and_marks_that_are_letters_do() {
        assert_eq!(Features::of("Résumé DES Vidéos"), Features::of("resume des videos"));
        assert_eq!(Features::of("ｐｄｆ"), Features::of("pdf"));
        assert_eq!(Features::of("Über"), Features::of("uber"));
        assert_ne!(Features::of("कि"), Features::of("क"));
        assert_ne!(Features::of("バス"), Features::of("ハス"));
    }

    #[test]
    fn invariant_23_a_query_of_any_length_has_a_bounded_number_of_features() {
        for query in ["", " ", "\u{301}", "🦀", &"x".repeat(100_000), &"ab cd ".repeat(20_000), &"語".repeat(30_000)]
        {
            let features = Features::of(query);
            assert!(features.amounts.len() <= MAX && features.words.len() <= READ_FIRST + READ_LAST);
            assert!(
                features.amounts.iter().all(|(number, amount)| (*number as usize) < FEATURES && amount.is_finite())
            );
            assert_eq!(features.amounts[0].0, BIAS);
        }
        let long = format!("{} summarize it", "word ".repeat(5_000));
        assert!(Features::of(&long).words.iter().any(|(word, _)| word == "summarize"), "the end is read too");
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let features = Features::of("podcast");
        assert_eq!(features.words, [("podcast".to_owned(), numbered("w", &["podcast"]))]);
        assert_eq!(numbered("w", &["podcast"]), 21_284);
    }
}
