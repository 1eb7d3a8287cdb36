//! Stems by language and script.

use super::{arabic, hindi, language::Language, script::Script};
use rust_stemmers::{Algorithm, Stemmer};
use std::borrow::Cow;

/// The length in bytes beyond which a word has no stem: no language has such words.
const LONGEST: usize = 128;

/// The least number of letters of a Russian stem.
const LEAST_RUSSIAN: usize = 3;

/// How words of one script in one language are stemmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stemming {
    /// Words are their own stems.
    None,
    Snowball(Algorithm),
    Arabic,
    Hindi,
}

impl Stemming {
    /// Returns the stemming of a folded word: by its language where that is written in the word's script, else by what the
    /// script is most used for. Latin words of unknown language are taken for English.
    pub(super) fn of(language: Option<Language>, script: Script, folded: &str) -> Self {
        let is_other = |codes: &[&str]| language.is_some_and(|language| language.is(codes));
        match script {
            Script::Latin => {
                let stems = language.map_or(Some(Algorithm::English), Language::latin_stems);
                stems.map_or(Self::None, Self::Snowball)
            }
            Script::Greek => Self::Snowball(Algorithm::Greek),
            Script::Tamil => Self::Snowball(Algorithm::Tamil),
            Script::Cyrillic if is_other(&["ru"]) || (!is_other(&OTHER_CYRILLIC) && folded.chars().all(is_russian)) => {
                Self::Snowball(Algorithm::Russian)
            }
            Script::Arabic if is_other(&["ar"]) || (!is_other(&OTHER_ARABIC) && folded.chars().all(is_arabic)) => {
                Self::Arabic
            }
            Script::Devanagari if !is_other(&["mr", "ne", "sa", "mai", "bho", "kok"]) => Self::Hindi,
            _ => Self::None,
        }
    }

    /// Returns the stem of a word in lower case.
    pub(super) fn stem(self, word: &str) -> Cow<'_, str> {
        match self {
            _ if word.len() > LONGEST => Cow::Borrowed(word),
            Self::None => Cow::Borrowed(word),
            // Snowball leaves them; many words of a text are as short.
            Self::Snowball(Algorithm::English) if word.len() <= 2 => Cow::Borrowed(word),
            Self::Snowball(algorithm) => match Stemmer::create(algorithm).stem(word) {
                // A word of nothing but endings stays what it is; of a Russian word as short as `май`, so does what looks like one.
                stem if stem.is_empty() => Cow::Borrowed(word),
                stem if algorithm == Algorithm::Russian && stem.len() < 2 * LEAST_RUSSIAN => Cow::Borrowed(word),
                stem => stem,
            },
            Self::Arabic => Cow::Borrowed(arabic::stem(word)),
            Self::Hindi => hindi::stem(word),
        }
    }
}

/// Languages in Cyrillic and Arabic letters that have endings of their own.
const OTHER_CYRILLIC: [&str; 11] = ["uk", "be", "bg", "mk", "sr", "kk", "ky", "mn", "tg", "tt", "ba"];
const OTHER_ARABIC: [&str; 7] = ["fa", "ur", "ps", "ckb", "ku", "ug", "sd"];

fn is_russian(c: char) -> bool {
    matches!(c, 'а'..='я') || !c.is_alphabetic()
}

/// Returns whether Arabic itself has the letter; those of Persian and Urdu are folded into it or left.
fn is_arabic(c: char) -> bool {
    matches!(c, '\u{621}'..='\u{64A}') || !c.is_alphabetic()
}
