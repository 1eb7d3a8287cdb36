//! Command lines of programs that people name.

use cogniverse_sdk::{Error, Result};
use std::ffi::OsString;

/// Replaces the placeholders of a word, without expanding the replacements again.
pub(super) fn fill(word: &str, values: &[(&str, OsString)]) -> OsString {
    let mut filled = OsString::new();
    let mut rest = word;
    while let Some((at, (name, value))) =
        values.iter().filter_map(|value| rest.find(value.0).map(|at| (at, value))).min_by_key(|(at, _)| *at)
    {
        filled.push(rest.get(..at).unwrap_or_default());
        filled.push(value);
        rest = rest.get(at + name.len()..).unwrap_or_default();
    }
    filled.push(rest);
    filled
}

/// Splits a command line at blanks outside quotes. No shell is involved: no other character is special.
///
/// # Errors
/// `InvalidInput` for a line without a program, and for an open quote.
pub(super) fn words(what: &str, line: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(Error::invalid(format!("{what}'s command {line:?} has a quote without its end; close it")));
    }
    words.extend(word);
    if words.is_empty() {
        return Err(Error::invalid(format!("{what}'s command is empty; give a program and its arguments")));
    }
    Ok(words)
}

/// Returns the last line that is not empty, cut to 300 characters.
pub(super) fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no reason given")
        .trim()
        .chars()
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_group_words() {
        assert_eq!(words("it", "a 'b c'\"d\" '' e").unwrap(), ["a", "b cd", "", "e"]);
        for line in ["", "  ", "a 'b"] {
            assert!(words("it", line).is_err(), "{line:?}");
        }
    }
}
