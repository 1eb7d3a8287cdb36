//! The parser of ranking expressions: the subset of Vespa's language that schemas use.

use cogniverse_sdk::{Error, Result};
use std::fmt;

/// The most levels of nested parentheses and calls.
const MAX_DEPTH: usize = 64;
/// The most operators in an expression: a chain of them makes a tree as deep as it is long.
const MAX_OPERATORS: usize = 256;
/// The longest expression in bytes.
const MAX_LENGTH: usize = 16_384;

/// A node of the syntax tree, without grouping and white space.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Number(f64),
    Name(String),
    Call(String, Vec<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Negated(Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Symbol(char),
}

/// Parses an expression.
pub(crate) fn parse(text: &str) -> Result<Node> {
    let wrong = |why: String| Error::invalid(format!("cannot read the expression \"{}\": {why}", shortened(text)));
    if text.len() > MAX_LENGTH {
        return Err(wrong(format!("it is longer than {MAX_LENGTH} bytes")));
    }
    let tokens = tokens(text).map_err(wrong)?;
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), depth: 0, operators: 0 };
    let node = parser.sum().map_err(wrong)?;
    match parser.tokens.next() {
        None => Ok(node),
        Some(token) => Err(wrong(format!("{} was not expected", spelled(&token)))),
    }
}

/// Truncates an expression to 200 characters for a message.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if c.is_whitespace() => {
                rest = rest.trim_start();
                continue;
            }
            c if c.is_ascii_digit() || c == '.' => {
                let length = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
                let number = rest.get(..length).unwrap_or_default();
                tokens.push(Token::Number(number.parse().map_err(|_| format!("\"{number}\" is not a number"))?));
                length
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                tokens.push(Token::Name(rest.get(..length).unwrap_or_default().to_owned()));
                length
            }
            c @ ('(' | ')' | ',' | '+' | '-' | '*' | '/') => {
                tokens.push(Token::Symbol(c));
                1
            }
            other => return Err(format!("the character {other:?} means nothing here")),
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(tokens)
}

fn spelled(token: &Token) -> String {
    match token {
        Token::Number(number) => number.to_string(),
        Token::Name(name) => format!("\"{name}\""),
        Token::Symbol(symbol) => format!("\"{symbol}\""),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
    operators: usize,
}

impl Parser {
    fn join(&mut self, operator: Operator, left: Node, right: Node) -> Result<Node, String> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(format!("it has more than {MAX_OPERATORS} operators; say it in fewer"));
        }
        Ok(Node::Binary(operator, Box::new(left), Box::new(right)))
    }

    fn take(&mut self, symbol: char) -> bool {
        self.tokens.next_if_eq(&Token::Symbol(symbol)).is_some()
    }

    fn expect(&mut self, symbol: char) -> Result<(), String> {
        match self.tokens.next() {
            Some(Token::Symbol(found)) if found == symbol => Ok(()),
            Some(token) => Err(format!("\"{symbol}\" was expected, not {}", spelled(&token))),
            None => Err(format!("it ends where \"{symbol}\" was expected")),
        }
    }

    fn sum(&mut self) -> Result<Node, String> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take('+') {
                Operator::Add
            } else if self.take('-') {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = self.join(operator, left, right)?;
        }
    }

    fn product(&mut self) -> Result<Node, String> {
        let mut left = self.atom()?;
        loop {
            let operator = if self.take('*') {
                Operator::Multiply
            } else if self.take('/') {
                Operator::Divide
            } else {
                return Ok(left);
            };
            let right = self.atom()?;
            left = self.join(operator, left, right)?;
        }
    }

    fn atom(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("it nests deeper than {MAX_DEPTH} levels"));
        }
        let node = match self.tokens.next() {
            Some(Token::Number(number)) => Node::Number(number),
            Some(Token::Symbol('-')) => Node::Negated(Box::new(self.atom()?)),
            Some(Token::Symbol('(')) => {
                let inner = self.sum()?;
                self.expect(')')?;
                inner
            }
            Some(Token::Name(name)) if self.take('(') => {
                let mut arguments = Vec::new();
                if !self.take(')') {
                    arguments.push(self.sum()?);
                    while self.take(',') {
                        arguments.push(self.sum()?);
                    }
                    self.expect(')')?;
                }
                Node::Call(name, arguments)
            }
            Some(Token::Name(name)) => Node::Name(name),
            Some(token) => return Err(format!("{} was not expected", spelled(&token))),
            None => return Err("it ends too early".to_owned()),
        };
        self.depth -= 1;
        Ok(node)
    }
}

/// Returns the function of a global phase that a first or second phase may not call.
pub(super) fn global_only(name: &str) -> bool {
    matches!(name, "normalize_linear" | "reciprocal_rank")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn precedence_and_grouping() {
        assert_eq!(parse("a + b * 2").unwrap(), parse("(a) + ((b*2))").unwrap());
        assert_ne!(parse("(a + b) * 2").unwrap(), parse("a + b * 2").unwrap());
        assert_eq!(parse("f(x, 1/(1+ g(y)))").unwrap(), parse("f( x,1 / (1+g(y)) )").unwrap());
    }

    #[test]
    fn errors_say_where() {
        for (text, part) in [
            ("", "too early"),
            ("a +", "too early"),
            ("f(a", "\")\" was expected"),
            ("a b", "\"b\" was not expected"),
            ("a ^ 2", "'^'"),
            ("1.2.3", "not a number"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse(&"(".repeat(10_000)).unwrap_err().to_string().contains("deeper"));
        assert!(parse(&"-".repeat(10_000)).unwrap_err().to_string().contains("deeper"));
        for chain in [["a"; 1_200].join(" + "), ["a"; 8_000].join("*"), ["(a-b)"; 2_000].join("/")] {
            assert!(parse(&chain).unwrap_err().to_string().contains("more than 256 operators"));
        }
        assert!(parse(&["a"; 257].join("+")).is_ok());
    }

    proptest! {
        #[test]
        fn invariant_25_any_text_is_answered(text in "\\PC{0,60}", expression in "[a-z0-9().,+*/ -]{0,80}") {
            let _ = parse(&text);
            let _ = parse(&expression);
        }
    }
}
