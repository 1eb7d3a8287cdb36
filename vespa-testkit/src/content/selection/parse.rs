//! The grammar of document selection, as far as it is understood here.

use super::{Operand, Operator, Selection, SelectionError};

/// How deep a selection may nest.
const MAX_DEPTH: usize = 100;

/// Reads a selection; an empty one selects everything.
pub(crate) fn parse(text: &str) -> Result<Selection, SelectionError> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Ok(Selection::Constant(true));
    }
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let selection = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(selection),
        Some((token, column)) => Err(encountered(&token.text(), *column)),
    }
}

fn encountered(text: &str, column: usize) -> SelectionError {
    SelectionError::Syntax(format!("Encountered \" <IDENTIFIER> \"{text}\"\" at line 1, column {column}."))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Word(text) | Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
        }
    }
}

const SYMBOLS: &[&str] = &["==", "!=", "<=", ">=", "=~", "=", "<", ">", "(", ")", ".", "[$", "]"];

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, SelectionError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let column = text.len() - rest.len() + 1;
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        if matches!(first, '"' | '\'') {
            let (value, length) = quoted(rest).ok_or_else(|| encountered(rest, column))?;
            tokens.push((Token::Text(value), column));
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            tokens.push((Token::Symbol(symbol), column));
            rest = rest.get(symbol.len()..).unwrap_or_default();
            continue;
        }
        let number = first.is_ascii_digit()
            || (first == '-' && rest.get(1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
        let end = if number {
            let mut exponent = false;
            let more = |c: char| {
                let part = c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || (exponent && matches!(c, '+' | '-'));
                exponent = matches!(c, 'e' | 'E');
                !part
            };
            rest.get(1..).and_then(|tail| tail.find(more)).map_or(rest.len(), |end| end + 1)
        } else {
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
        };
        let (word, tail) = rest.split_at(end);
        if word.is_empty() {
            return Err(encountered(&first.to_string(), column));
        }
        let token = if number {
            Token::Number(word.parse().map_err(|_| encountered(word, column))?)
        } else {
            Token::Word(word.to_owned())
        };
        tokens.push((token, column));
        rest = tail;
    }
}

/// A text between quotes, and its length with them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut out = String::new();
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, place + c.len_utf8())),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'f' => out.push('\u{c}'),
                'x' => {
                    let digits: String = [chars.next()?.1, chars.next()?.1].iter().collect();
                    out.push(char::from(u8::from_str_radix(&digits, 16).ok()?));
                }
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn wrong(&self) -> SelectionError {
        match self.tokens.get(self.at) {
            Some((token, column)) => encountered(&token.text(), *column),
            None => SelectionError::Syntax("Encountered \"<EOF>\" at the end of the selection.".to_owned()),
        }
    }

    fn or(&mut self) -> Result<Selection, SelectionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SelectionError::Syntax("The selection nests too deep".to_owned()));
        }
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Selection::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Selection, SelectionError> {
        let mut left = self.not()?;
        while self.keyword("and") {
            left = Selection::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Selection, SelectionError> {
        if self.keyword("not") {
            return Ok(Selection::Not(Box::new(self.not()?)));
        }
        if self.symbol("(") {
            let inner = self.or()?;
            return if self.symbol(")") { Ok(inner) } else { Err(self.wrong()) };
        }
        let left = self.operand()?;
        let operator = match self.peek() {
            Some(Token::Symbol(symbol)) => match *symbol {
                "==" => Some(Operator::Equal),
                "=" | "=~" => Some(Operator::Glob),
                "!=" => Some(Operator::Unequal),
                "<" => Some(Operator::Less),
                "<=" => Some(Operator::LessOrEqual),
                ">" => Some(Operator::Greater),
                ">=" => Some(Operator::GreaterOrEqual),
                _ => None,
            },
            _ => None,
        };
        if let Some(operator) = operator {
            self.at += 1;
            let right = self.operand()?;
            return Ok(Selection::Compare(left, operator, right));
        }
        Ok(match left {
            Operand::Bool(value) => Selection::Constant(value),
            Operand::Field { document_type, name, .. } if name.is_empty() => Selection::Type(document_type),
            Operand::Null => Selection::Constant(false),
            field @ Operand::Field { .. } => Selection::Compare(field, Operator::Unequal, Operand::Null),
            Operand::Number(_) | Operand::Text(_) | Operand::Id(_) => Selection::Constant(true),
        })
    }

    fn operand(&mut self) -> Result<Operand, SelectionError> {
        let token = self.peek().cloned().ok_or_else(|| self.wrong())?;
        let word = match token {
            Token::Text(text) => {
                self.at += 1;
                return Ok(Operand::Text(text));
            }
            Token::Number(number) => {
                self.at += 1;
                return Ok(Operand::Number(number));
            }
            Token::Symbol(_) => return Err(self.wrong()),
            Token::Word(word) => word,
        };
        self.at += 1;
        match word.to_ascii_lowercase().as_str() {
            "true" => return Ok(Operand::Bool(true)),
            "false" => return Ok(Operand::Bool(false)),
            "null" => return Ok(Operand::Null),
            "and" | "or" | "not" => {
                self.at -= 1;
                return Err(self.wrong());
            }
            _ => {}
        }
        let mut name = String::new();
        if self.symbol(".") {
            match self.peek().cloned() {
                Some(Token::Word(part)) => name = part,
                _ => return Err(self.wrong()),
            }
            self.at += 1;
        }
        if word == "id" {
            return Ok(Operand::Id(name));
        }
        let mut each = false;
        if self.symbol("[$") {
            self.at += 1;
            if !self.symbol("]") {
                return Err(self.wrong());
            }
            each = true;
        }
        Ok(Operand::Field { document_type: word, name, each })
    }
}
