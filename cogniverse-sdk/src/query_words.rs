//! Parsing of the operators that people write into a search field: `"a phrase"`, `-without`, `prefix*`.
//!
//! Backends never parse a query's text, which is always literal. Whoever wants these operators parses what was written and hands on
//! both parts.
//!
//! ```
//! use cogniverse_sdk::{WordCondition, query_words};
//!
//! let parsed = query_words::parse(r#"sailing "open sea" -harbour boat*"#);
//! assert_eq!(parsed.text, "sailing open sea");
//! let phrase = WordCondition::Phrase("open sea".to_owned());
//! assert_eq!(parsed.conditions.first(), Some(&phrase));
//! assert_eq!(parsed.conditions.len(), 3);
//! ```

use crate::WordCondition;

/// The parts of what a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ParsedWords {
    /// The words to rank by, for [`crate::BackendQuery::text`]: all but the excluded words and the prefixes.
    pub text: String,
    /// The conditions, for [`crate::BackendQuery::words`], in their order.
    pub conditions: Vec<WordCondition>,
}

/// Takes apart what a person wrote.
///
/// An operator begins a word: a quotation mark inside a word is literal, as is one without a second, a hyphen alone or inside a word, and an
/// asterisk that does not end a word. What could not be a condition, such as an empty phrase, stays literal.
#[must_use]
pub fn parse(written: &str) -> ParsedWords {
    let mut parsed = ParsedWords::default();
    let mut rest = written.trim_start();
    while !rest.is_empty() {
        let without = rest.strip_prefix('-');
        let (part, after) = match quoted(without.unwrap_or(rest)) {
            Some((phrase, after)) => {
                parsed.add_phrase(phrase, without.is_some());
                rest = after.trim_start();
                continue;
            }
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        parsed.add_word(part);
        rest = after.trim_start();
    }
    parsed
}

impl ParsedWords {
    fn add_phrase(&mut self, phrase: &str, is_excluded: bool) {
        if is_excluded {
            self.conditions.push(WordCondition::Without(phrase.to_owned()));
        } else {
            self.conditions.push(WordCondition::Phrase(phrase.to_owned()));
            self.add_text(phrase);
        }
    }

    fn add_word(&mut self, word: &str) {
        if let Some(excluded) = word.strip_prefix('-').filter(|word| begins_with_letter(word)) {
            self.conditions.push(WordCondition::Without(excluded.to_owned()));
        } else if let Some(prefix) = word.strip_suffix('*').filter(|word| begins_with_letter(word)) {
            self.conditions.push(WordCondition::Prefix(prefix.to_owned()));
        } else {
            self.add_text(word);
        }
    }

    fn add_text(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }
}

fn begins_with_letter(word: &str) -> bool {
    word.starts_with(char::is_alphanumeric)
}

/// Splits a phrase between quotation marks off the begin of a text; `None` where there is none, or it has no word.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = [('"', '"'), ('\u{201c}', '\u{201d}'), ('\u{201e}', '\u{201c}')];
    let (phrase, after) = inner.iter().find_map(|(open, close)| text.strip_prefix(*open)?.split_once(*close))?;
    phrase.contains(char::is_alphanumeric).then_some((phrase.trim(), after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use WordCondition::{Phrase, Prefix, Without};
    use proptest::prelude::*;

    #[test]
    fn operators_are_taken_out_and_all_else_is_literal() {
        let table: [(&str, &str, Vec<WordCondition>); 17] = [
            ("plain words", "plain words", vec![]),
            ("  \"open sea\" boat ", "open sea boat", vec![Phrase("open sea".into())]),
            ("“open sea”", "open sea", vec![Phrase("open sea".into())]),
            ("boat -\"open sea\"", "boat", vec![Without("open sea".into())]),
            ("boat -harbour", "boat", vec![Without("harbour".into())]),
            ("sail* boat", "boat", vec![Prefix("sail".into())]),
            ("\"a\"\"b\"", "a b", vec![Phrase("a".into()), Phrase("b".into())]),
            ("an \"unbalanced quote", "an \"unbalanced quote", vec![]),
            ("19\" rack", "19\" rack", vec![]),
            ("state-of-the-art", "state-of-the-art", vec![]),
            ("a - b --c", "a - b --c", vec![]),
            ("* ** a*b", "* ** a*b", vec![]),
            ("\"\" \" \"", "\"\" \" \"", vec![]),
            ("-", "-", vec![]),
            ("", "", vec![]),
            ("C++ -C#", "C++", vec![Without("C#".into())]),
            ("東京*", "", vec![Prefix("東京".into())]),
        ];
        for (written, text, conditions) in table {
            let parsed = parse(written);
            assert_eq!((parsed.text.as_str(), parsed.conditions), (text, conditions), "{written}");
        }
    }

    proptest! {
        #[test]
        fn no_letter_is_lost_or_made_up(written in "[a-c\"\\-* \u{201c}\u{201d}é]{0,40}") {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<_>>();
            let parsed = parse(&written);
            let mut found = letters(&parsed.text);
            // A phrase's words are in the text as well.
            let apart = parsed.conditions.iter().filter(|condition| !matches!(condition, Phrase(_)));
            found.extend(apart.flat_map(|condition| letters(condition.text())));
            let mut all = letters(&written);
            found.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(found, all);
        }
    }
}
