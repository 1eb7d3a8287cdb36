//! The analysis of texts: from words to the terms that the index has and queries look for.
//!
//! The same code analyzes documents, queries and highlights, so that exactly what matches is highlighted.

use super::{
    fold::{fold, lowered},
    han::simplified,
    language::Language,
    numbers,
    script::Script,
    stems::Stemming,
    words::{self, Piece},
};
use std::{borrow::Cow, ops::Range};

/// The version of the analysis, raised whenever the terms of a text change; stored terms of another version are
/// derived again as a store is opened.
pub const ANALYZER_VERSION: &str = "uax29-nfkd-languages-3";

/// The length in bytes beyond which joined words are not kept whole as well.
const LONGEST_WHOLE: usize = 128;

/// A term of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token<'t> {
    /// The start of the byte range in the text.
    pub start: usize,
    /// The end of the byte range.
    pub end: usize,
    /// The term.
    pub term: &'t str,
    /// Whether the term stands beside others of the same place: another spelling, a part, or the whole of joined words. Those that
    /// are not extra are the words of the text, one after the other.
    pub is_extra: bool,
}

impl Token<'_> {
    /// Returns the byte range in the text.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// An analyzer that splits texts of one language, or of none that is known, into terms. Cheap to create; holds no state between
/// texts.
///
/// ```
/// use cogniverse_core::text::{Analyzer, Language};
///
/// let german = Analyzer::of(Language::of("de"));
/// assert_eq!(german.terms("Haus"), ["haus"]);
/// assert_eq!(german.terms("Häuser"), ["haus", "haeus"]);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Analyzer {
    language: Option<Language>,
    is_query: bool,
}

impl Analyzer {
    /// Creates an analyzer of documents whose language is not known: each word is analyzed by its script, Latin ones as English.
    #[must_use]
    pub fn new() -> Self {
        Self::of(None)
    }

    /// Creates an analyzer of documents in a language.
    #[must_use]
    pub fn of(language: Option<Language>) -> Self {
        Self { language, is_query: false }
    }

    /// Creates an analyzer of queries that are to find documents in a language. It leaves out what documents have only so that
    /// shorter queries find them: of two or more Chinese characters, the single ones.
    #[must_use]
    pub fn of_query(language: Option<Language>) -> Self {
        Self { language, is_query: true }
    }

    /// Calls `each` with the byte range and the term of every token, in order.
    pub fn analyze(&self, text: &str, mut each: impl FnMut(Range<usize>, &str)) {
        self.tokens(text, |token| each(token.range(), token.term));
    }

    /// Returns the terms of a text in order, with repeats.
    #[must_use]
    pub fn terms(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.tokens(text, |token| terms.push(token.term.to_owned()));
        terms
    }

    /// Returns the terms of the words of a text, one for each, in order: what a phrase is compared by.
    #[must_use]
    pub fn sequence(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.tokens(text, |token| {
            if !token.is_extra {
                terms.push(token.term.to_owned());
            }
        });
        terms
    }

    /// Calls `each` with every token of a text, in order of their places.
    pub fn tokens(&self, text: &str, mut each: impl FnMut(Token<'_>)) {
        let mut han = None;
        words::pieces(text, |piece| match piece {
            Piece::Word(range) => self.word(text, range, &mut each),
            Piece::Run(script, units) => {
                let forms = *han.get_or_insert_with(|| self.han_forms(text));
                let forms = if script == Script::Han { forms } else { HanForms::AsWritten };
                self.run(text, units, forms, &mut each);
            }
        });
    }

    fn word(&self, text: &str, range: Range<usize>, each: &mut dyn FnMut(Token<'_>)) {
        let Some(word) = text.get(range.clone()) else { return };
        let signed = words::signed(text, &range);
        if let Some(signed) = &signed
            && let Some(name) = text.get(signed.range.clone())
        {
            let (start, end) = (signed.range.start, signed.range.end);
            each(Token { start, end, term: &fold(name), is_extra: !signed.apart });
            if signed.apart {
                return;
            }
        }
        if word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            self.part(word, range.start, each);
            return;
        }
        if self.number(word, &range, each) {
            return;
        }
        let parts = words::parts(word);
        for (_, part) in &parts {
            if let Some(of_word) = word.get(part.clone()) {
                self.part(of_word, range.start + part.start, each);
            }
        }
        for whole in words::compounds(&parts) {
            if whole.len() <= LONGEST_WHOLE
                && let Some(joined) = word.get(whole.clone())
            {
                let (start, end) = (range.start + whole.start, range.start + whole.end);
                emit(each, (start, end), &fold(joined), true);
            }
        }
    }

    /// Emits a number with marks; `false` for what is none.
    fn number(&self, word: &str, range: &Range<usize>, each: &mut dyn FnMut(Token<'_>)) -> bool {
        if !word.starts_with(char::is_numeric) {
            return false;
        }
        let Some((own, other)) = numbers::readings(&fold(word), self.language) else { return false };
        emit(each, (range.start, range.end), &own, false);
        if let Some(other) = other {
            emit(each, (range.start, range.end), &other, true);
        }
        true
    }

    /// Emits a word that is joined of no others, unless by capitals.
    fn part(&self, part: &str, start: usize, each: &mut dyn FnMut(Token<'_>)) {
        let at = (start, start + part.len());
        let mut forms: [Option<String>; 2] = [None, None];
        let folded = fold(part);
        let is_ascii = part.is_ascii();
        let script = if is_ascii { Script::Latin } else { Script::of_word(&folded) };
        if script == Script::Katakana {
            emit(each, at, without_long_end(&folded), false);
            return;
        }
        let stemming = Stemming::of(self.language, script, &folded);
        let stem = stemming.stem(&folded);
        if !is_ascii && !stem.is_empty() {
            forms = self.other_forms(part, script, stemming);
        }
        emit(each, at, &stem, false);
        let mut before = [Some(&*stem), None];
        for form in forms.iter().flatten() {
            if !before.contains(&Some(form.as_str())) {
                emit(each, at, form, true);
                before[1] = Some(form.as_str());
            }
        }
        let has_capital = part.chars().skip(1).any(char::is_uppercase);
        if has_capital {
            for hump in words::humps(part) {
                if let Some(word) = part.get(hump.clone()) {
                    emit(each, (start + hump.start, start + hump.end), &stemming.stem(&fold(word)), true);
                }
            }
        }
    }

    /// Returns the stem of a word as it is accented, which stemmers cut more of, and that of the spelling that stands for its
    /// accents where keyboards have none (`Haeuser`), both folded.
    fn other_forms(&self, part: &str, script: Script, stemming: Stemming) -> [Option<String>; 2] {
        let accented = || {
            let lower = lowered(part, self.language);
            fold(&stemming.stem(&lower)).into_owned()
        };
        let is_accented = matches!(script, Script::Latin | Script::Greek) && self.language.is_some();
        let of_accents = (is_accented && stemming != Stemming::None).then(accented).filter(|form| !form.is_empty());
        let spelled = self.language.filter(|_| script == Script::Latin).and_then(|language| {
            let lower = lowered(part, self.language);
            let spelled = spelled_out(&lower, language)?;
            Some(stemming.stem(&fold(&spelled)).into_owned())
        });
        [of_accents, spelled]
    }

    /// Emits a run of letters that no blank divides: each two neighbours, and in documents each letter, so that a query of
    /// one finds it.
    fn run(&self, text: &str, units: &[Range<usize>], forms: HanForms, each: &mut dyn FnMut(Token<'_>)) {
        let folded: Vec<(Range<usize>, Cow<'_, str>)> = units
            .iter()
            .filter_map(|unit| Some((unit.clone(), fold(text.get(unit.clone())?))))
            .filter(|(_, letter)| !letter.is_empty())
            .collect();
        let mut gram = |units: &[(Range<usize>, Cow<'_, str>)], is_extra: bool| {
            let (Some((first, _)), Some((last, _))) = (units.first(), units.last()) else { return };
            let term: String = units.iter().map(|(_, letter)| &**letter).collect();
            let at = (first.start, last.end);
            let other: String = match forms {
                HanForms::AsWritten => return emit(each, at, &term, is_extra),
                _ => term.chars().map(|c| simplified(c).unwrap_or(c)).collect(),
            };
            match forms {
                HanForms::Both if other != term => {
                    emit(each, at, &term, is_extra);
                    emit(each, at, &other, true);
                }
                _ => emit(each, at, &other, is_extra),
            }
        };
        if let [_] = folded.as_slice() {
            return gram(&folded, false);
        }
        for (place, unit) in folded.iter().enumerate() {
            if !self.is_query {
                gram(std::slice::from_ref(unit), true);
            }
            if let Some(two) = folded.get(place..place + 2) {
                gram(two, false);
            }
        }
    }

    /// Returns the forms of Chinese characters. Where neither language nor kana tell Chinese from Japanese, a document has both.
    fn han_forms(&self, text: &str) -> HanForms {
        match self.language {
            Some(language) if language.is(&["zh", "yue"]) => HanForms::Simplified,
            Some(language) if language.is(&["ja", "ko"]) => HanForms::AsWritten,
            _ if self.is_query => HanForms::Both,
            _ => {
                let is_kana = |c| matches!(Script::of(c), Script::Hiragana | Script::Katakana);
                if text.chars().any(is_kana) { HanForms::AsWritten } else { HanForms::Both }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HanForms {
    AsWritten,
    Simplified,
    Both,
}

fn emit(each: &mut dyn FnMut(Token<'_>), (start, end): (usize, usize), term: &str, is_extra: bool) {
    if !term.is_empty() {
        each(Token { start, end, term, is_extra });
    }
}

/// Returns a word in katakana without the sign of a long vowel at its end, which writers leave out of longer words.
fn without_long_end(word: &str) -> &str {
    match word.strip_suffix('ー') {
        Some(short) if word.chars().count() >= 4 => short,
        _ => word,
    }
}

/// Returns the spelling of a word without the letters that the language adds to the alphabet; `None` where it has none.
fn spelled_out(lower: &str, language: Language) -> Option<String> {
    let pairs: &[(char, &str)] = match language.code() {
        "de" => &[('ä', "ae"), ('ö', "oe"), ('ü', "ue")],
        "da" | "no" => &[('å', "aa"), ('ø', "oe"), ('ö', "oe"), ('ä', "ae")],
        "sv" | "fi" => &[('å', "aa"), ('ä', "ae"), ('ö', "oe")],
        _ => return None,
    };
    lower.contains(|c| pairs.iter().any(|(letter, _)| *letter == c)).then(|| {
        let mut spelled = String::with_capacity(lower.len() + 4);
        for c in lower.chars() {
            match pairs.iter().find(|(letter, _)| *letter == c) {
                Some((_, pair)) => spelled.push_str(pair),
                None => spelled.push(c),
            }
        }
        spelled
    })
}
