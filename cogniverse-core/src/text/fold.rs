//! Folding: one spelling for what readers take for the same word.

use super::{language::Language, numbers};
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Folds a word to lower case without accents, strokes, ligatures, full-width and other compatibility forms; Arabic letters to
/// one form each, digits of all scripts to 0 to 9. Marks that form another letter (kana, Indic vowels, Thai) stay.
pub(super) fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() && !word.contains('.') {
        return match word.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(word.to_ascii_lowercase()),
            false => Cow::Borrowed(word),
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
            None => folded.push(one_form(c)),
        }
    }
    Cow::Owned(folded.nfc().collect())
}

/// Returns a word in lower case with its accents, as stemmers of its language expect it.
pub(super) fn lowered(word: &str, language: Option<Language>) -> String {
    let is_turkish = language.is_some_and(|language| language.is(&["tr", "az"]));
    let lower = |c: char| match c {
        'I' if is_turkish => Cow::Borrowed("ı"),
        'İ' if is_turkish => Cow::Borrowed("i"),
        c => Cow::Owned(c.to_lowercase().collect::<String>()),
    };
    let mut text = String::with_capacity(word.len());
    word.nfkc().filter(|c| !is_unseen(*c)).for_each(|c| text.push_str(&lower(straight(c))));
    text
}

/// Returns whether the word is single letters separated by dots, such as `U.S.A`.
pub(super) fn has_dots_between_letters(word: &str) -> bool {
    let mut parts = word.split(is_dot).map(|part| {
        let mut letters = part.chars().filter(|c| !is_combining_mark(*c));
        letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none()
    });
    word.contains(is_dot) && parts.all(|single| single)
}

pub(super) fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{2024}' | '\u{FE52}' | '\u{FF0E}')
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
        // The dot of sounds that Hindi borrowed is mostly left out; that of its own letters is not.
        '\u{93C}' => matches!(base, '\u{915}' | '\u{916}' | '\u{917}' | '\u{91C}' | '\u{92B}' | '\u{92F}'),
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
    if c.is_ascii() {
        return None;
    }
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
        // Arabic letters that are typed for each other: alef, yeh, teh marbuta and heh, kaf.
        'ٱ' | 'ٲ' | 'ٳ' => "ا",
        'ى' | 'ی' | 'ې' => "ي",
        'ة' | 'ہ' | 'ھ' | 'ە' => "ه",
        'ک' | 'ڪ' => "ك",
        '\u{66B}' => ".",
        '\u{66C}' => ",",
        _ => return None,
    })
}

fn one_form(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    numbers::digit(c).unwrap_or_else(|| straight(c))
}

pub(super) fn straight(c: char) -> char {
    if matches!(c, '\u{2019}' | '\u{2018}' | '\u{2BC}' | '\u{FF07}') { '\'' } else { c }
}
