//! Queries as they are compared: in lower case, without accents, and no longer than anybody writes.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The number of characters that are read from the start of a query.
pub(super) const READ_FIRST: usize = 600;
/// The number of characters that are read from the end of a longer query.
pub(super) const READ_LAST: usize = 200;

/// Returns the start and the end of a query in lower case, without accents.
pub(crate) fn folded(query: &str) -> String {
    let mut ends = query.char_indices().map(|(at, _)| at);
    let text = match ends.nth(READ_FIRST) {
        None => query.to_owned(),
        Some(end) => {
            let last = query.char_indices().rev().nth(READ_LAST - 1).map_or(end, |(at, _)| at.max(end));
            format!("{} {}", query.get(..end).unwrap_or_default(), query.get(last..).unwrap_or_default())
        }
    };
    // Marks of scripts in which they are letters stay: of Latin, Greek and Cyrillic letters they are accents.
    let mut base = ' ';
    let lower = text.nfkd().flat_map(char::to_lowercase);
    let kept = lower.filter(|letter| {
        if is_combining_mark(*letter) {
            return !('a'..='\u{52f}').contains(&base);
        }
        base = *letter;
        true
    });
    kept.nfc().collect()
}
