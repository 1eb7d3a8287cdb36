//! Numbers, however their thousands are grouped.

use super::language::Language;

/// Returns what a number is found by: without the marks between thousands, with a dot before decimals. `None` for what is no
/// number, or has no mark. A second term follows where `1.000` may be a thousand as well as one.
pub(super) fn readings(word: &str, language: Option<Language>) -> Option<(String, Option<String>)> {
    let is_mark = |c: char| matches!(c, ',' | '.' | '\'');
    let is_plain = |c: char| c.is_ascii_digit() || is_mark(c);
    if !word.chars().all(is_plain) || !word.starts_with(|c: char| c.is_ascii_digit()) || !word.contains(is_mark) {
        return None;
    }
    let comma_is_decimal = language.is_some_and(Language::has_decimal_comma);
    let (decimal, grouping) = if comma_is_decimal { (',', ['.', '\'']) } else { ('.', [',', '\'']) };
    let of = |whole: &str, decimals: Option<&str>| {
        let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
        decimals.map_or(digits.clone(), |decimals| format!("{digits}.{decimals}"))
    };
    let (whole, decimals) = match word.split_once(decimal) {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (word, None),
    };
    let is_number =
        decimals.is_none_or(|decimals| !decimals.is_empty() && decimals.bytes().all(|b| b.is_ascii_digit()));
    if !is_number || !is_grouped(whole, grouping) {
        return None;
    }
    let own = of(whole, decimals);
    // One dot before three digits: a thousand here, one and no more there.
    let dots = word.matches('.').count();
    let is_open = dots == 1 && !word.contains([',', '\'']) && is_grouped(word, ['.', '.']);
    let other = is_open.then(|| match comma_is_decimal {
        true => word.to_owned(),
        false => word.replace('.', ""),
    });
    Some((own, other))
}

/// Returns whether marks stand before each three digits, and one to three digits before the first.
fn is_grouped(whole: &str, marks: [char; 2]) -> bool {
    let mut groups = whole.split(marks);
    let first = groups.next().unwrap_or_default();
    let mut rest = groups.peekable();
    let is_digits = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    is_digits(first)
        && (rest.peek().is_none() || first.len() <= 3)
        && rest.all(|group| group.len() == 3 && is_digits(group))
}

/// Returns the decimal digit that a character stands for in any script.
pub(super) fn digit(c: char) -> Option<char> {
    const ZEROS: [u32; 22] = [
        0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
        0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0,
    ];
    let c = u32::from(c);
    if c < 0x660 {
        return None;
    }
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&c))?;
    char::from_digit(c - zero, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_found_however_they_are_grouped() {
        let read = |word: &str, language: &str| readings(word, Language::of(language));
        let one = |text: &str| Some((text.to_owned(), None));
        let two = |text: &str, other: &str| Some((text.to_owned(), Some(other.to_owned())));
        assert_eq!(read("1,000", ""), one("1000"));
        assert_eq!(read("1,234,567.89", "en"), one("1234567.89"));
        assert_eq!(read("1'000", "de"), one("1000"));
        assert_eq!(read("3.14", ""), one("3.14"));
        assert_eq!(read("3,14", "de"), one("3.14"));
        assert_eq!(read("1.234,5", "fr"), one("1234.5"));
        assert_eq!(read("1.000", "de"), two("1000", "1.000"));
        assert_eq!(read("1.000", ""), two("1.000", "1000"));
        for other in ["1000", "3,14", "1,00,000", "1.2.3", "1,000,", "a.1", "2024.03.01", "1..2"] {
            assert_eq!(read(other, ""), None, "{other}");
        }
        assert_eq!("٣६๓".chars().filter_map(digit).collect::<String>(), "363");
    }
}
