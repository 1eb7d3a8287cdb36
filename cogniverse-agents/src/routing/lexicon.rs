//! Words that name kinds of content and forms of answer, in many languages.

use super::{folded::folded, labels::label_at};
use std::{collections::HashMap, ops::Range, sync::OnceLock};
use unicode_segmentation::UnicodeSegmentation;

const WORDS: &str = include_str!("lexicon.txt");
/// The number of letters from which the beginning or the end of a word is looked up.
const SHORTEST_PART: usize = 3;

/// A set of labels, one bit each.
pub(crate) type Labels = u8;

/// The labels that are modalities, in the order of the classifier.
pub(crate) const ANY_MODALITY: Labels = 0b1_1111;
/// The modalities without the one of several kinds.
pub(crate) const ONE_KIND: Labels = 0b0_1111;

/// A word of a text that is in the lexicon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Its place in the text, in bytes.
    pub(crate) place: Range<usize>,
    /// The labels that it speaks for.
    pub(crate) labels: Labels,
}

/// The lexicon, ready for lookups.
#[derive(Debug, Default)]
pub(crate) struct Lexicon {
    whole: HashMap<String, Labels>,
    beginnings: HashMap<String, Labels>,
    ends: HashMap<String, Labels>,
    /// By their first word: the words that follow.
    phrases: HashMap<String, Vec<(Vec<String>, Labels)>>,
    /// Of scripts that are looked up anywhere.
    anywhere: HashMap<String, Labels>,
    longest: usize,
}

impl Lexicon {
    /// Returns the lexicon that ships with the library.
    pub(crate) fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Lexicon> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::parse(WORDS))
    }

    fn parse(text: &str) -> Self {
        let mut lexicon = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((label, words)) = line.split_once(": ") else { continue };
            let Some(place) = (0..8).find(|place| label_at(*place) == label) else { continue };
            words.split(", ").for_each(|word| lexicon.add(word, 1 << place));
        }
        lexicon
    }

    fn add(&mut self, entry: &str, labels: Labels) {
        let word = folded(entry.trim_matches('*'));
        if !word.chars().all(has_blanks) {
            self.longest = self.longest.max(word.chars().count());
            *self.anywhere.entry(word).or_default() |= labels;
            return;
        }
        let mut words = word.unicode_words().map(str::to_owned);
        let Some(first) = words.next() else { return };
        let rest: Vec<String> = words.collect();
        if !rest.is_empty() {
            self.phrases.entry(first).or_default().push((rest, labels));
        } else if entry.ends_with('*') {
            *self.beginnings.entry(first).or_default() |= labels;
        } else if entry.starts_with('*') {
            *self.ends.entry(first).or_default() |= labels;
        } else {
            *self.whole.entry(first).or_default() |= labels;
        }
    }

    /// Finds the words of a folded text that are in the lexicon, in the order of the text.
    pub(crate) fn find(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        let words: Vec<(usize, &str)> = text.unicode_word_indices().collect();
        for (at, (start, word)) in words.iter().enumerate() {
            let mut labels = self.word(word);
            let mut end = start + word.len();
            for (rest, of_phrase) in self.phrases.get(*word).into_iter().flatten() {
                let next = words.get(at + 1..).unwrap_or_default();
                if rest.len() <= next.len() && rest.iter().zip(next).all(|(a, (_, b))| a == b) {
                    labels |= of_phrase;
                    end = next.get(rest.len() - 1).map_or(end, |(start, word)| end.max(start + word.len()));
                }
            }
            if labels != 0 {
                hits.push(Hit { place: *start..end, labels });
            }
        }
        if !text.chars().all(has_blanks) {
            self.find_anywhere(text, &mut hits);
            hits.sort_by_key(|hit| hit.place.start);
        }
        hits
    }

    fn word(&self, word: &str) -> Labels {
        let mut labels = self.whole.get(word).copied().unwrap_or_default();
        for (letters, (at, letter)) in word.char_indices().enumerate() {
            let end = at + letter.len_utf8();
            if letters + 1 >= SHORTEST_PART {
                labels |= word.get(..end).and_then(|part| self.beginnings.get(part)).copied().unwrap_or_default();
            }
            labels |= word.get(at..).and_then(|part| self.ends.get(part)).copied().unwrap_or_default();
        }
        labels
    }

    /// Finds the longest entry at each place of the scripts that are looked up anywhere.
    fn find_anywhere(&self, text: &str, hits: &mut Vec<Hit>) {
        let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        places.push(text.len());
        let mut at = 0;
        while let Some(start) = places.get(at).copied().filter(|start| *start < text.len()) {
            let mut step = 1;
            if text.get(start..).and_then(|rest| rest.chars().next()).is_some_and(|letter| !has_blanks(letter)) {
                for length in (1..=self.longest).rev() {
                    let Some(end) = places.get(at + length).copied() else { continue };
                    if let Some(labels) = text.get(start..end).and_then(|part| self.anywhere.get(part)) {
                        hits.push(Hit { place: start..end, labels: *labels });
                        step = length;
                        break;
                    }
                }
            }
            at += step;
        }
    }
}

/// Returns whether a letter is of a script whose words are found by their blanks: Latin, Greek, Cyrillic and their
/// additions.
pub(crate) fn has_blanks(letter: char) -> bool {
    letter < '\u{590}' || ('\u{1e00}'..'\u{2100}').contains(&letter)
}

/// Words that join two kinds of content.
const JOINING: [&str; 34] = [
    "and", "or", "with", "plus", "vs", "versus", "und", "oder", "mit", "et", "ou", "avec", "y", "o", "con", "e", "com",
    "ed", "en", "of", "met", "i", "lub", "z", "och", "ve", "ile", "и", "с", "та", "και", "va", "aur", "sowie",
];
/// Letters and signs that do, also where no blank stands beside them.
const JOINING_SIGNS: [char; 19] =
    ['+', '/', '&', ',', '、', '，', '・', '와', '과', '및', '랑', 'と', 'や', '和', '与', '及', '跟', 'و', 'ו'];

/// Returns whether what stands between two words joins them.
pub(crate) fn joins(between: &str) -> bool {
    between.contains(JOINING_SIGNS)
        || between.contains("और")
        || between.unicode_words().any(|word| JOINING.contains(&word))
}
