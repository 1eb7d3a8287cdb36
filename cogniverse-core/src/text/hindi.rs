//! Stems of Hindi by its endings, longest first: Ramanathan and Rao, "A Lightweight Stemmer for Hindi" (2003).

use std::borrow::Cow;

/// The endings, by their number of characters.
const ENDINGS: [(usize, &[&str]); 5] = [
    (5, &["ाएंगी", "ाएंगे", "ाऊंगी", "ाऊंगा", "ाइयां", "ाइयों"]),
    (
        4,
        &[
            "ाएगी",
            "ाएगा",
            "ाओगी",
            "ाओगे",
            "एंगी",
            "ेंगी",
            "एंगे",
            "ेंगे",
            "ूंगी",
            "ूंगा",
            "ातीं",
            "नाओं",
            "नाएं",
            "ताओं",
            "ताएं",
            "ियां",
            "ियों",
        ],
    ),
    (
        3,
        &[
            "ाकर",
            "ाइए",
            "ाईं",
            "ाया",
            "ेगी",
            "ेगा",
            "ोगी",
            "ोगे",
            "ाने",
            "ाना",
            "ाते",
            "ाती",
            "ाता",
            "तीं",
            "ाओं",
            "ाएं",
            "ुओं",
            "ुएं",
            "ुआं",
        ],
    ),
    (2, &["कर", "ाओ", "िए", "ाई", "ाए", "ने", "नी", "ना", "ते", "ीं", "ती", "ता", "ां", "ों", "ें"]),
    (1, &["ो", "े", "ू", "ु", "ी", "ि", "ा"]),
];

/// Returns the stem of a folded word. Both signs of a nasal vowel are one, as writers take either.
pub(super) fn stem(word: &str) -> Cow<'_, str> {
    let word = match word.contains('\u{901}') {
        true => Cow::Owned(word.replace('\u{901}', "\u{902}")),
        false => Cow::Borrowed(word),
    };
    let length = word.chars().count();
    let ends = |(of, endings): &(usize, &[&str])| {
        let is_long = length > of + 1;
        endings.iter().filter(|_| is_long).find_map(|ending| word.strip_suffix(ending).map(str::len))
    };
    match ENDINGS.iter().find_map(ends) {
        Some(end) => Cow::Owned(word.get(..end).unwrap_or_default().to_owned()),
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_number_case_and_gender_go() {
        for (length, endings) in ENDINGS {
            assert!(endings.iter().all(|ending| ending.chars().count() == length), "{endings:?}");
        }
        for (stem_of, words) in [
            ("किताब", &["किताब", "किताबें", "किताबों"][..]),
            ("लड़क", &["लड़का", "लड़के", "लड़की", "लड़कियाँ", "लड़कियों"]),
            ("की", &["की"]),
        ] {
            for word in words {
                assert_eq!(stem(word), stem_of, "{word}");
            }
        }
    }
}
