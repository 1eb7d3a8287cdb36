//! Languages, and what the analysis of each differs by.

use cogniverse_sdk::{Error, Result};
use rust_stemmers::Algorithm;

/// A language: an ISO 639 code, such as `de`. Regions and scripts (`pt-BR`, `zh-Hant`) make no other language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language([u8; 3]);

/// Three-letter codes and English names, as transcripts and media files write them, with the two-letter code.
const OTHER_NAMES: [(&str, &str); 118] = [
    ("afrikaans", "af"),
    ("alb", "sq"),
    ("ara", "ar"),
    ("arabic", "ar"),
    ("arm", "hy"),
    ("baq", "eu"),
    ("ben", "bn"),
    ("bengali", "bn"),
    ("bul", "bg"),
    ("bulgarian", "bg"),
    ("bur", "my"),
    ("cat", "ca"),
    ("catalan", "ca"),
    ("ces", "cs"),
    ("chi", "zh"),
    ("chinese", "zh"),
    ("cmn", "zh"),
    ("croatian", "hr"),
    ("cze", "cs"),
    ("czech", "cs"),
    ("dan", "da"),
    ("danish", "da"),
    ("deu", "de"),
    ("dut", "nl"),
    ("dutch", "nl"),
    ("ell", "el"),
    ("eng", "en"),
    ("english", "en"),
    ("est", "et"),
    ("estonian", "et"),
    ("fas", "fa"),
    ("fin", "fi"),
    ("finnish", "fi"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("french", "fr"),
    ("geo", "ka"),
    ("ger", "de"),
    ("german", "de"),
    ("gre", "el"),
    ("greek", "el"),
    ("heb", "he"),
    ("hebrew", "he"),
    ("hin", "hi"),
    ("hindi", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hungarian", "hu"),
    ("ice", "is"),
    ("icelandic", "is"),
    ("ind", "id"),
    ("indonesian", "id"),
    ("isl", "is"),
    ("ita", "it"),
    ("italian", "it"),
    ("iw", "he"),
    ("japanese", "ja"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("khm", "km"),
    ("kor", "ko"),
    ("korean", "ko"),
    ("lao", "lo"),
    ("latvian", "lv"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("lithuanian", "lt"),
    ("malay", "ms"),
    ("mandarin", "zh"),
    ("mar", "mr"),
    ("marathi", "mr"),
    ("may", "ms"),
    ("mya", "my"),
    ("nb", "no"),
    ("nld", "nl"),
    ("nn", "no"),
    ("nor", "no"),
    ("norwegian", "no"),
    ("per", "fa"),
    ("persian", "fa"),
    ("pol", "pl"),
    ("polish", "pl"),
    ("por", "pt"),
    ("portuguese", "pt"),
    ("romanian", "ro"),
    ("ron", "ro"),
    ("rum", "ro"),
    ("rus", "ru"),
    ("russian", "ru"),
    ("serbian", "sr"),
    ("slk", "sk"),
    ("slo", "sk"),
    ("slovak", "sk"),
    ("slovenian", "sl"),
    ("slv", "sl"),
    ("spa", "es"),
    ("spanish", "es"),
    ("sqi", "sq"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("swedish", "sv"),
    ("tagalog", "tl"),
    ("tam", "ta"),
    ("tamil", "ta"),
    ("tel", "te"),
    ("telugu", "te"),
    ("tha", "th"),
    ("thai", "th"),
    ("tur", "tr"),
    ("turkish", "tr"),
    ("ukr", "uk"),
    ("ukrainian", "uk"),
    ("urd", "ur"),
    ("urdu", "ur"),
    ("vie", "vi"),
    ("vietnamese", "vi"),
    ("welsh", "cy"),
    ("zho", "zh"),
];

/// Languages that are written in other letters than Latin ones: their Latin words are mostly English.
const NOT_LATIN: &str = " am ar be bg bn bo ckb dv el fa gu he hi hy ja ka km kk kn ko ky lo mk ml mn mr my ne or pa ps ru sa sd si ta te tg th ti ug uk ur yi yue zh ";

/// Languages that write 3,14 for 3.14, and 1.000 for a thousand.
const DECIMAL_COMMA: &str =
    " be bg bs ca cs da de el es et fi fr hr hu hy id is it ka kk lt lv mk nl no pl pt ro ru sk sl sq sr sv tr uk vi ";

impl Language {
    /// Parses a code of ISO 639 (`de`, `deu`, `ger`), a tag of BCP 47 (`de-AT`, `pt_BR`), or the English name of a common
    /// language (`German`).
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(text).ok_or_else(|| {
            Error::invalid(format!(
                "\"{text}\" is not a language; give a code of ISO 639 such as \"de\", or a tag such as \"pt-BR\""
            ))
        })
    }

    /// Behaves as [`Language::parse`], with `None` for what is no language. `und`, `mul` and `zxx` stand for none as well.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let lower = text.split(['-', '_']).next()?.to_ascii_lowercase();
        let is_tag = text
            .split(['-', '_'])
            .skip(1)
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        if !is_tag || matches!(lower.as_str(), "und" | "mul" | "zxx" | "mis") {
            return None;
        }
        let other = OTHER_NAMES.binary_search_by_key(&lower.as_str(), |(name, _)| name).ok();
        let code = other.and_then(|at| OTHER_NAMES.get(at)).map_or(lower.as_str(), |(_, code)| code);
        let mut own = [0; 3];
        if !(2..=3).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        own.iter_mut().zip(code.bytes()).for_each(|(to, from)| *to = from);
        Some(Self(own))
    }

    /// Returns the code: two letters where ISO 639-1 has the language, else three.
    #[must_use]
    pub fn code(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..end).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or_default()
    }

    fn is_in(self, list: &str) -> bool {
        list.split(' ').any(|code| code == self.code())
    }

    /// Returns the stems of the language's Latin words.
    pub(super) fn latin_stems(self) -> Option<Algorithm> {
        Some(match self.code() {
            "da" => Algorithm::Danish,
            "nl" => Algorithm::Dutch,
            "en" => Algorithm::English,
            "fi" => Algorithm::Finnish,
            "fr" => Algorithm::French,
            "de" => Algorithm::German,
            "hu" => Algorithm::Hungarian,
            "it" => Algorithm::Italian,
            "no" => Algorithm::Norwegian,
            "pt" => Algorithm::Portuguese,
            "ro" => Algorithm::Romanian,
            "es" => Algorithm::Spanish,
            "sv" => Algorithm::Swedish,
            "tr" => Algorithm::Turkish,
            _ if self.is_in(NOT_LATIN) => Algorithm::English,
            _ => return None,
        })
    }

    pub(super) fn has_decimal_comma(self) -> bool {
        self.is_in(DECIMAL_COMMA)
    }

    /// Returns whether the language is one of these codes.
    pub(super) fn is(self, codes: &[&str]) -> bool {
        codes.contains(&self.code())
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::str::FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tags_and_names_are_one_language() {
        assert!(OTHER_NAMES.is_sorted_by(|a, b| a.0 < b.0), "they are searched by halves");
        for (text, code) in [
            ("de", "de"),
            ("DE", "de"),
            ("de-AT", "de"),
            ("deu", "de"),
            ("ger", "de"),
            ("German", "de"),
            ("pt_BR", "pt"),
            ("zh-Hant-TW", "zh"),
            ("nb", "no"),
            ("yue", "yue"),
        ] {
            assert_eq!(Language::parse(text).unwrap().code(), code, "{text}");
        }
        for text in ["", "d", "de-", "de ch", "klingon", "und", "12", "дe", "de-ÄÖ", "de-abcdefghi"] {
            assert_eq!(Language::of(text), None, "{text}");
        }
        let error = Language::parse("klingon").unwrap_err().to_string();
        assert!(error.contains("klingon") && error.contains("ISO 639"), "{error}");
    }
}
