//! Text analysis: Unicode word segmentation, folding, and Snowball's English stemming.
//!
//! The same code analyzes documents, queries and highlights, so that exactly what matches is highlighted.

use rust_stemmers::{Algorithm, Stemmer};
use std::{borrow::Cow, ops::Range};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

/// The version of the analysis, raised whenever the terms of a text change; stored terms of another version are
/// derived again on open.
pub const ANALYZER_VERSION: &str = "uax29-nfkd-snowball-english-2";

/// Words that French and Italian shorten before a vowel: `l'homme` contains the word `homme`.
const ELISIONS: [&str; 24] = [
    "l", "d", "j", "c", "n", "s", "m", "t", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "all", "dall", "dell", "nell",
    "sull", "coll", "un", "quest", "quell", "sant", "gl",
];

/// The length in bytes of the longest one, in full-width letters with combining accents.
const LONGEST_ELISION: usize = 32;

/// An analyzer that splits text into terms. Cheap to create; holds no state between texts.
pub struct Analyzer {
    stemmer: Stemmer,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").finish_non_exhaustive()
    }
}

impl Default for Analyzer {
    fn default() -> Self {
        Self::new()
    }
}

impl Analyzer {
    /// Creates an analyzer with English rules.
    #[must_use]
    pub fn new() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English) }
    }

    /// Calls `each` with the byte range and the term of every word, in order.
    pub fn analyze(&self, text: &str, mut each: impl FnMut(Range<usize>, &str)) {
        for (start, word) in text.unicode_word_indices() {
            parts(word, |part| {
                let Some(of_word) = word.get(part.clone()) else { return };
                let folded = fold(of_word);
                if !folded.is_empty() {
                    each(start + part.start..start + part.end, &self.stemmer.stem(&folded));
                }
            });
        }
    }

    /// Returns the terms of a text in order, with repeats.
    #[must_use]
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.analyze(text, |_, term| terms.push(term.to_owned()));
        terms
    }
}

/// Splits a word into its parts: file names join words by underscores and dots, French by elisions. Numbers (`3.5`)
/// and abbreviations (`U.S.A`) stay whole.
fn parts(word: &str, mut each: impl FnMut(Range<usize>)) {
    let mut start = 0;
    let mut before: Option<char> = None;
    let whole = has_dots_between_letters(word);
    let mut letters = word.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let after = letters.peek().map(|(_, next)| *next);
        let number = before.is_some_and(char::is_numeric) && after.is_some_and(char::is_numeric);
        let ends = match letter {
            '_'
            | '\u{203F}'
            | '\u{2040}'
            | '\u{2054}'
            | '\u{FE33}'
            | '\u{FE34}'
            | '\u{FE4D}'..='\u{FE4F}'
            | '\u{FF3F}' => true,
            _ if is_dot(letter) => !number && !whole,
            ':' | '\u{FE55}' | '\u{FF1A}' => !number,
            _ if straight(letter) == '\'' => {
                // A longer part is none, and folding it at each of a word's apostrophes would take the square of its length.
                let part = word.get(start..at).filter(|part| part.len() <= LONGEST_ELISION);
                let elided = part.is_some_and(|part| ELISIONS.contains(&fold(part).as_ref()));
                // `s'il`, and not the `t` of `don't`.
                elided && after.is_some()
            }
            _ => false,
        };
        if ends {
            if start < at {
                each(start..at);
            }
            start = at + letter.len_utf8();
        }
        before = Some(letter);
    }
    if start < word.len() {
        each(start..word.len());
    }
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{FE52}' | '\u{FF0E}')
}

/// Returns whether the word is single letters separated by dots, such as `U.S.A`.
fn has_dots_between_letters(word: &str) -> bool {
    let mut parts = word.split(is_dot).map(|part| {
        let mut letters = part.chars().filter(|c| !is_combining_mark(*c));
        letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
    });
    word.contains(is_dot) && parts.all(|single| single)
}

/// Folds a word to lower case without accents, strokes, ligatures, full-width and other compatibility forms. Marks
/// that form another letter (kana, Indic vowels, Thai) stay.
fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() && !word.contains('.') {
        return if word.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(word.to_ascii_lowercase())
        } else {
            Cow::Borrowed(word)
        };
    }
    let acronym = has_dots_between_letters(word);
    let mut folded = String::with_capacity(word.len());
    let mut base = ' ';
    for c in word.nfkd().flat_map(char::to_lowercase) {
        if is_combining_mark(c) {
            if !is_accent(base, c) {
                folded.push(c);
            }
            continue;
        }
        base = c;
        match plain(c) {
            Some(plain) => folded.push_str(plain),
            None if is_unseen(c) || (acronym && is_dot(c)) => {}
            None => folded.push(straight(c)),
        }
    }
    Cow::Owned(folded.nfc().collect())
}

/// Returns whether a mark is an accent. On kana, Indic and Thai letters a mark forms another letter, as do the breve
/// and the dots of Cyrillic, except for \u{451}, which is often written without them.
fn is_accent(base: char, mark: char) -> bool {
    match mark {
        '\u{306}' | '\u{308}' if matches!(base, '\u{400}'..='\u{52F}') => base == '\u{435}' && mark == '\u{308}',
        // Of Latin, Greek and Cyrillic; variation selectors.
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' => true,
        '\u{20D0}'..='\u{20FF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}' | '\u{E0100}'..='\u{E01EF}' => true,
        // The points of Hebrew, the vowels of Arabic and of Syriac, which are mostly left out.
        '\u{591}'..='\u{5C7}' | '\u{610}'..='\u{61A}' | '\u{64B}'..='\u{65F}' | '\u{670}' => true,
        '\u{6D6}'..='\u{6ED}' | '\u{730}'..='\u{74A}' | '\u{8CA}'..='\u{8FF}' => true,
        _ => false,
    }
}

/// Returns whether a character is invisible: soft hyphens, joiners, direction marks and the Arabic tatweel.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{640}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
    )
}

/// Returns the plain spelling of a lower-case letter that normalization does not decompose.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ð' | 'đ' | 'ɖ' | 'ɗ' => "d",
        'ø' | 'ɵ' => "o",
        'ł' | 'ƚ' | 'ɫ' => "l",
        'ı' | 'ɨ' => "i",
        'ħ' => "h",
        'ŧ' | 'ⱦ' | 'ƭ' => "t",
        'ŋ' => "n",
        'ĸ' => "k",
        'ƀ' | 'ɓ' => "b",
        'ȼ' => "c",
        'ɇ' | 'ə' | 'ǝ' => "e",
        'ƒ' => "f",
        'ǥ' | 'ɠ' => "g",
        'ɉ' => "j",
        'ƙ' => "k",
        'ɍ' => "r",
        'ʉ' => "u",
        'ɏ' => "y",
        'ƶ' => "z",
        'ⱥ' => "a",
        'ς' => "σ",
        _ => return None,
    })
}

fn straight(c: char) -> char {
    if matches!(c, '\u{2019}' | '\u{2018}' | '\u{2BC}' | '\u{FF07}') { '\'' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_stemmed() {
        let analyzer = Analyzer::new();
        assert_eq!(
            analyzer.terms("The Runner's cafés RUNNING, (lifting) 3.5"),
            ["the", "runner", "cafe", "run", "lift", "3.5"]
        );
        assert_eq!(analyzer.terms(""), Vec::<String>::new());
        assert_eq!(analyzer.terms("東京 video"), ["東", "京", "video"]);
        assert_eq!(analyzer.terms("don\u{2019}t"), analyzer.terms("don't"));
    }

    /// Returns whether the text contains all words of the query.
    fn finds(query: &str, text: &str) -> bool {
        let (words, terms) = (Analyzer::new().terms(query), Analyzer::new().terms(text));
        !words.is_empty() && words.iter().all(|word| terms.contains(word))
    }

    #[test]
    fn a_mark_that_makes_another_letter_is_not_removed() {
        let apart = [
            ("カラス", "ガラスの修理を説明します"),
            ("ぱぱ", "はは"),
            ("ぱぱ", "ばば"),
            ("カラス", "カ\u{3099}ラス"),
            ("किताब", "कताब"),
            ("की", "का"),
            ("ขาว", "ข่าว"),
            ("май", "маи"),
        ];
        for (query, text) in apart {
            assert!(!finds(query, text), "{query} finds {text}");
        }
        let same = [
            ("ガラス", "カ\u{3099}ラス"),
            ("ガラス", "ｶﾞﾗｽ"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
            ("שלום", "שָׁלוֹם"),
            ("كتاب", "كِتَابٌ"),
            ("кот еще", "кот ещё"),
            ("ข่าว", "อ่านข่าว"),
            ("καλημερα", "Καλημέρα"),
            ("ΛΟΓΟΣ", "λόγος"),
        ];
        for (query, text) in same {
            assert!(finds(query, text), "{query} does not find {text}");
        }
    }

    #[test]
    fn strokes_and_case_are_folded() {
        let same = [
            ("Lodz", "Wycieczka do Łodzi i Łódź"),
            ("Kobenhavn Aero", "København og Ærø"),
            ("STRASSE", "Straße der Gärten"),
            ("straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("istanbul irmak", "İstanbul ırmak"),
            ("ISTANBUL", "İSTANBUL"),
            ("Da Nang", "Đà Nẵng"),
            ("oeuvre thor", "Œuvre Þór"),
            ("file", "ＦＩＬＥ ﬁle"),
            ("cooperation", "co\u{ad}operation"),
            ("smorgasbord", "smo\u{308}rga\u{30a}sbord"),
        ];
        for (query, text) in same {
            assert!(finds(query, text), "{query} does not find {text}");
        }
    }

    #[test]
    fn what_joins_words_in_file_names_splits_them() {
        let terms = |text| Analyzer::new().terms(text);
        assert_eq!(terms("machine_learning_intro"), terms("machine learning intro"));
        assert_eq!(terms("2024_03_01_board_meeting"), ["2024", "03", "01", "board", "meet"]);
        assert_eq!(terms("intro_to_ml.final.v2"), ["intro", "to", "ml", "final", "v2"]);
        assert_eq!(terms("ｍｌ．final＿cut"), ["ml", "final", "cut"]);
        assert_eq!(terms("__init__"), ["init"]);
        assert_eq!(terms("3.5 1,000 10:30"), ["3.5", "1,000", "10", "30"]);
        assert_eq!(terms("U.S.A."), terms("USA"));
        assert_eq!(terms("l\u{2019}homme"), ["l", "homm"]);
        assert_eq!(terms("don't o'clock"), ["don't", "o'clock"]);
        let mut ranges = Vec::new();
        Analyzer::new().analyze("ein_Wort.mp4", |range, _| ranges.push(range));
        assert_eq!(ranges, [0..3, 4..8, 9..12]);
    }

    /// Time is linear in the length of the text, whatever joins its letters.
    #[test]
    fn a_long_word_takes_no_more_than_its_length() {
        let analyzer = Analyzer::new();
        for joined in ["b'", "l'", "bb\u{2019}", "a.", "ab.", "b_", "1.", "e\u{301}'", "カ\u{3099}", "b:"] {
            let took = |letters: usize| {
                let text = joined.repeat(letters);
                let begun = std::time::Instant::now();
                analyzer.analyze(&text, |_, _| ());
                begun.elapsed()
            };
            took(1000);
            let (short, long) = (took(10_000).max(std::time::Duration::from_millis(2)), took(100_000));
            assert!(long < short * 40, "{joined}: {short:?} and {long:?}");
        }
    }

    #[test]
    fn invariant_21_query_syntax_is_only_words() {
        let analyzer = Analyzer::new();
        assert_eq!(analyzer.terms("\" OR 1=1; DROP TABLE -- title:(x)"), ["or", "1", "1", "drop", "tabl", "titl", "x"]);
    }
}
