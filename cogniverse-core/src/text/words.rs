//! Words of a text: where they begin and end, what they are joined of, and signs that belong to them.

use super::{
    fold::{fold, has_dots_between_letters, is_dot, straight},
    script::Script,
};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Words that French and Italian shorten before a vowel: `l'homme` contains the word `homme`.
const ELISIONS: [&str; 24] = [
    "l", "d", "j", "c", "n", "s", "m", "t", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "all", "dall", "dell", "nell",
    "sull", "coll", "un", "quest", "quell", "sant", "gl",
];

/// The length in bytes of the longest one, in full-width letters with combining accents.
const LONGEST_ELISION: usize = 32;

/// A piece of a text.
#[derive(Debug)]
pub(super) enum Piece<'u> {
    /// A word by the rules of Unicode (UAX 29), which may be joined of several.
    Word(Range<usize>),
    /// Letters that no blank divides into words, one range each.
    Run(Script, &'u [Range<usize>]),
}

/// Calls `each` with the pieces of a text, in order.
pub(super) fn pieces(text: &str, mut each: impl FnMut(Piece<'_>)) {
    let (mut run, mut script): (Vec<Range<usize>>, _) = (Vec::new(), Script::Other);
    let mut add = |range: Range<usize>, of: Script, each: &mut dyn FnMut(Piece<'_>)| {
        let ends = !of.is_in_grams() || run.last().is_none_or(|last| last.end != range.start) || !script.runs_with(of);
        if ends && !run.is_empty() {
            each(Piece::Run(script, &run));
            run.clear();
        }
        if !of.is_in_grams() {
            // The empty one at the end of the text ends the last run.
            if !range.is_empty() {
                each(Piece::Word(range));
            }
            return;
        }
        if ends || of == Script::Han {
            script = of;
        }
        run.push(range);
    };
    for (start, word) in text.unicode_word_indices() {
        if word.is_ascii() {
            add(start..start + word.len(), Script::Latin, &mut each);
            continue;
        }
        let script = Script::of_word(word);
        if !word.chars().any(|c| Script::of(c) == Script::Hangul) {
            add(start..start + word.len(), script, &mut each);
            continue;
        }
        // Korean words may be joined with Latin letters and digits.
        let mut other = start..start;
        for (at, letter) in word.grapheme_indices(true) {
            let range = start + at..start + at + letter.len();
            if Script::of_word(letter) == Script::Hangul {
                let before = std::mem::replace(&mut other, range.end..range.end);
                if !before.is_empty() {
                    add(before, Script::Latin, &mut each);
                }
                add(range, Script::Hangul, &mut each);
            } else {
                other.end = range.end;
            }
        }
        if !other.is_empty() {
            add(other, Script::Latin, &mut each);
        }
    }
    add(text.len()..text.len(), Script::Latin, &mut each);
}

/// What stands between two parts of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    Underscore,
    Dot,
    /// An apostrophe or a colon: what it joins is no word of its own.
    Loose,
}

/// Splits a word into its parts, each with what joins it to the part before: file names join words by underscores and dots,
/// French by elisions. Numbers (`3.5`) and abbreviations (`U.S.A`) stay whole.
pub(super) fn parts(word: &str) -> Vec<(Joint, Range<usize>)> {
    let (mut found, mut joint, mut start) = (Vec::new(), Joint::Loose, 0);
    let mut before: Option<char> = None;
    let whole = has_dots_between_letters(word);
    let mut letters = word.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let after = letters.peek().map(|(_, next)| *next);
        let number = before.is_some_and(char::is_numeric) && after.is_some_and(char::is_numeric);
        let ends = match letter {
            _ if is_underscore(letter) => Some(Joint::Underscore),
            _ if is_dot(letter) => (!number && !whole).then_some(Joint::Dot),
            ':' | '\u{FE55}' | '\u{FF1A}' => (!number).then_some(Joint::Loose),
            _ if straight(letter) == '\'' => {
                // A longer part is none, and folding it at each of a word's apostrophes would take the square of its length.
                let part = word.get(start..at).filter(|part| part.len() <= LONGEST_ELISION);
                let elided = part.is_some_and(|part| ELISIONS.contains(&fold(part).as_ref()));
                // `s'il`, and not the `t` of `don't`.
                (elided && after.is_some()).then_some(Joint::Loose)
            }
            _ => None,
        };
        if let Some(next) = ends {
            if start < at {
                found.push((joint, start..at));
            }
            (joint, start) = (next, at + letter.len_utf8());
        }
        before = Some(letter);
    }
    if start < word.len() {
        found.push((joint, start..word.len()));
    }
    found
}

fn is_underscore(c: char) -> bool {
    matches!(
        c,
        '_' | '\u{203F}' | '\u{2040}' | '\u{2054}' | '\u{FE33}' | '\u{FE34}' | '\u{FE4D}'..='\u{FE4F}' | '\u{FF3F}'
    )
}

/// Returns the joined words among the parts of a word that are kept as well: `machine_learning` and
/// `machine_learning.intro` of the latter.
pub(super) fn compounds(parts: &[(Joint, Range<usize>)]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for joins in [&[Joint::Underscore][..], &[Joint::Underscore, Joint::Dot]] {
        for group in parts.chunk_by(|_, (joint, _)| joins.contains(joint)) {
            if let [(_, first), .., (_, last)] = group
                && !found.contains(&(first.start..last.end))
            {
                found.push(first.start..last.end);
            }
        }
    }
    found
}

/// Returns the words that capitals join in a part (`MachineLearning`, `HTMLParser`); none where it is one word, or where one of
/// them would be a single letter: such are ids (`cAcA8dO7kA`), whose pieces are no words, and names (`iPhone`).
pub(super) fn humps(part: &str) -> Vec<Range<usize>> {
    let (mut found, mut start, mut letters) = (Vec::new(), 0, part.char_indices().peekable());
    let mut before: Option<char> = None;
    while let Some((at, letter)) = letters.next() {
        let after = letters.peek().map(|(_, next)| *next);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                let is_word = after.is_some_and(char::is_lowercase);
                before.is_lowercase() || (is_word && (before.is_uppercase() || before.is_numeric()))
            });
        if begins {
            found.push(start..at);
            start = at;
        }
        before = Some(letter);
    }
    let is_word = |hump: &Range<usize>| part.get(hump.clone()).is_some_and(|hump| hump.chars().nth(1).is_some());
    if start > 0 {
        found.push(start..part.len());
    }
    if found.iter().all(is_word) { found } else { Vec::new() }
}

/// A name with signs that no rule takes for letters: `C++`, `F#`, `.NET`.
#[derive(Debug)]
pub(super) struct Signed {
    /// The range with the signs.
    pub(super) range: Range<usize>,
    /// Whether the word without them is another one: `C`, `NET`. Of `Notepad++` it is the same.
    pub(super) apart: bool,
}

/// Returns the name that a word of a text is with the signs beside it.
pub(super) fn signed(text: &str, word: &Range<usize>) -> Option<Signed> {
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied();
    let apart = word.len() == 1;
    let is_latin = || bytes.get(word.clone()).is_some_and(|word| word.iter().all(u8::is_ascii_alphanumeric));
    match at(word.end) {
        Some(b'+')
            if at(word.end + 1) == Some(b'+') && at(word.end + 2) != Some(b'+') && is_letter_last(bytes, word) =>
        {
            is_latin().then(|| Signed { range: word.start..word.end + 2, apart })
        }
        Some(b'#') if is_letter_last(bytes, word) && is_latin() => {
            let after = text.get(word.end + 1..).and_then(|rest| rest.chars().next());
            let ends = after.is_none_or(|after| !after.is_alphanumeric() && after != '#');
            ends.then(|| Signed { range: word.start..word.end + 1, apart })
        }
        _ => {
            let dot = word.start.checked_sub(1).filter(|before| at(*before) == Some(b'.'))?;
            let is_net = bytes.get(word.clone()).is_some_and(|word| word.eq_ignore_ascii_case(b"net"));
            let before = text.get(..dot).filter(|_| is_net)?.chars().next_back();
            before
                .is_none_or(|before| !before.is_alphanumeric() && before != '.')
                .then_some(Signed { range: dot..word.end, apart: true })
        }
    }
}

fn is_letter_last(bytes: &[u8], word: &Range<usize>) -> bool {
    bytes.get(word.clone()).and_then(<[u8]>::last).is_some_and(u8::is_ascii_alphabetic)
}
