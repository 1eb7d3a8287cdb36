//! Scripts: what a word is written in decides how it is folded and stemmed.

/// The scripts that the analysis tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Greek,
    Cyrillic,
    Arabic,
    Devanagari,
    Tamil,
    Hangul,
    Han,
    Hiragana,
    Katakana,
    /// Scripts that write no blanks between words: Thai, Lao, Khmer, Burmese and their neighbours.
    Unspaced,
    Other,
}

impl Script {
    /// Returns the script of a letter; `Other` for digits and marks as well.
    pub(super) fn of(letter: char) -> Self {
        match letter {
            'A'..='Z' | 'a'..='z' => Self::Latin,
            '\0'..='\u{A9}' => Self::Other,
            '\u{AA}'..='\u{24F}' | '\u{250}'..='\u{2AF}' | '\u{1D00}'..='\u{1DBF}' | '\u{1E00}'..='\u{1EFF}' => {
                Self::Latin
            }
            '\u{2C60}'..='\u{2C7F}' | '\u{A720}'..='\u{A7FF}' | '\u{AB30}'..='\u{AB6F}' | '\u{FB00}'..='\u{FB06}' => {
                Self::Latin
            }
            '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}' => Self::Latin,
            '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => Self::Greek,
            '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8F}' | '\u{2DE0}'..='\u{2DFF}' | '\u{A640}'..='\u{A69F}' => {
                Self::Cyrillic
            }
            '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{870}'..='\u{8FF}' => Self::Arabic,
            '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' => Self::Arabic,
            '\u{900}'..='\u{97F}' | '\u{A8E0}'..='\u{A8FF}' => Self::Devanagari,
            '\u{B80}'..='\u{BFF}' => Self::Tamil,
            '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{A960}'..='\u{A97F}' => Self::Hangul,
            '\u{AC00}'..='\u{D7FF}' | '\u{FFA0}'..='\u{FFDC}' => Self::Hangul,
            '\u{3005}' | '\u{3007}' | '\u{2E80}'..='\u{2FDF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' => {
                Self::Han
            }
            '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => Self::Han,
            '\u{3041}'..='\u{309F}' | '\u{1B001}'..='\u{1B11F}' => Self::Hiragana,
            '\u{30A0}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9F}' => Self::Katakana,
            '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Self::Unspaced,
            '\u{1950}'..='\u{19FF}' | '\u{1A20}'..='\u{1AAF}' | '\u{A9E0}'..='\u{A9FF}' | '\u{AA60}'..='\u{AADF}' => {
                Self::Unspaced
            }
            _ => Self::Other,
        }
    }

    /// Returns the script of a word: that of its first letter that has one.
    pub(super) fn of_word(word: &str) -> Self {
        word.chars().map(Self::of).find(|script| *script != Self::Other).unwrap_or(Self::Other)
    }

    /// Returns whether words of the script are made of grams, as no blank divides them, or not all that a reader looks for.
    pub(super) fn is_in_grams(self) -> bool {
        matches!(self, Self::Han | Self::Hiragana | Self::Hangul | Self::Unspaced)
    }

    /// Returns whether letters of the two scripts stand in one run: kanji and the kana of their endings do.
    pub(super) fn runs_with(self, other: Self) -> bool {
        let kind = |script| if script == Self::Hiragana { Self::Han } else { script };
        kind(self) == kind(other)
    }
}
