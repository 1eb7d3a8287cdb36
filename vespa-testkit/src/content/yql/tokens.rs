//! The tokens of YQL.

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) column: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Word(String),
    Text(String),
    /// As it was written.
    Number(String),
    Symbol(&'static str),
}

impl Kind {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Text(text) | Self::Number(text) => text,
            Self::Symbol(symbol) => symbol,
        }
    }
}

const SYMBOLS: &[&str] =
    &["<=", ">=", "!=", "=", "<", ">", "(", ")", "{", "}", "[", "]", ",", ":", ";", "*", "!", "@", "|", "-", "."];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let (kind, length) = if matches!(first, '"' | '\'') {
            let (value, length) =
                quoted(rest).ok_or_else(|| format!("query:L1:{column} token recognition error at: '{rest}'"))?;
            (Kind::Text(value), length)
        } else if first.is_ascii_digit() {
            let length = number(rest);
            (Kind::Number(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_'))).unwrap_or(rest.len());
            (Kind::Word(rest.get(..length).unwrap_or_default().to_owned()), length)
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            let symbol = symbol.ok_or_else(|| format!("query:L1:{column} token recognition error at: '{first}'"))?;
            (Kind::Symbol(symbol), symbol.len())
        };
        found.push(Token { kind, column });
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn number(text: &str) -> usize {
    let mut before = ' ';
    let more = |c: char| {
        let part = c.is_ascii_digit()
            || matches!(c, '.' | 'e' | 'E' | 'L')
            || (matches!(before, 'e' | 'E') && matches!(c, '+' | '-'));
        before = c;
        !part
    };
    text.find(more).unwrap_or(text.len())
}

fn quoted(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut out = String::new();
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, place + c.len_utf8())),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'u' => {
                    let digits: String = (0..4).filter_map(|_| chars.next()).map(|(_, c)| c).collect();
                    out.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?).unwrap_or('\u{fffd}'));
                }
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}
