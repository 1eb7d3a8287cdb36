//! The grammar of statements and conditions; what stands right of a field is in `terms`.

use super::{
    Item, Nearest, Statement,
    tokens::{Kind, Token, tokens},
};
use std::collections::BTreeMap;

/// How deep conditions may nest.
const MAX_DEPTH: usize = 100;

/// Reads a statement; `parameter` gives the request's own parameters, for `@name`.
///
/// # Errors
/// What is wrong, without "Could not create query from YQL".
pub(crate) fn parse(text: &str, parameter: &dyn Fn(&str) -> Option<String>) -> Result<Statement, String> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err("Index 0 out of bounds for length 0".to_owned());
    }
    let mut parser = Parser { tokens, at: 0, end: text.len(), depth: 0, parameter };
    parser.statement()
}

pub(super) struct Parser<'p> {
    tokens: Vec<Token>,
    at: usize,
    end: usize,
    depth: usize,
    parameter: &'p dyn Fn(&str) -> Option<String>,
}

/// `{name: value}` before an expression.
pub(super) type Annotations = BTreeMap<String, String>;

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn next(&mut self) -> Option<Kind> {
        let kind = self.peek().cloned();
        self.at += 1;
        kind
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Kind::Symbol(found)) if *found == symbol)
    }

    pub(super) fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), String> {
        if self.symbol(symbol) { Ok(()) } else { Err(self.wrong()) }
    }

    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn wrong(&self) -> String {
        match self.tokens.get(self.at) {
            Some(token) => format!("query:L1:{} mismatched input '{}'", token.column, token.kind.text()),
            None => format!("query:L1:{} mismatched input '<EOF>'", self.end),
        }
    }

    pub(super) fn word(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Kind::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.wrong()),
        }
    }

    /// The value of `@name`, after the sign.
    pub(super) fn parameter(&mut self) -> Result<String, String> {
        let name = self.word()?;
        (self.parameter)(&name).ok_or_else(|| format!("Input '{name}' is not set"))
    }

    fn statement(&mut self) -> Result<Statement, String> {
        if !self.keyword("select") {
            return Err(self.wrong().replace("mismatched", "extraneous"));
        }
        let fields = if self.symbol("*") { None } else { Some(self.names()?) };
        if !self.keyword("from") {
            return Err(if fields.is_none() {
                "Argument 0 of FILTER must not be null".to_owned()
            } else {
                self.wrong()
            });
        }
        let sources = if self.keyword("sources") && self.symbol("*") { None } else { Some(self.names()?) };
        if !self.keyword("where") {
            return Err(if self.peek().is_none() {
                "Expected operator FILTER, got SCAN.".to_owned()
            } else {
                self.wrong()
            });
        }
        let condition = self.or()?;
        let mut statement = Statement {
            fields,
            sources,
            condition,
            order: Vec::new(),
            limit: None,
            offset: None,
            groupings: Vec::new(),
        };
        loop {
            if self.keyword("order") {
                if !self.keyword("by") {
                    return Err(self.wrong());
                }
                loop {
                    let field = self.word()?;
                    let descending = self.keyword("desc");
                    self.keyword("asc");
                    statement.order.push((field, descending));
                    if !self.symbol(",") {
                        break;
                    }
                }
            } else if self.keyword("limit") {
                statement.limit = Some(self.whole()?);
            } else if self.keyword("offset") {
                statement.offset = Some(self.whole()?);
            } else if self.keyword("timeout") {
                self.whole()?;
            } else if self.symbol("|") {
                statement.groupings = self.groupings()?;
            } else {
                break;
            }
        }
        self.symbol(";");
        if self.peek().is_some() { Err(self.wrong()) } else { Ok(statement) }
    }

    pub(super) fn whole(&mut self) -> Result<i64, String> {
        match self.next() {
            Some(Kind::Number(text)) => text.parse().map_err(|_| format!("For input string: \"{text}\"")),
            Some(Kind::Symbol("@")) => {
                let text = self.parameter()?;
                text.parse().map_err(|_| format!("For input string: \"{text}\""))
            }
            _ => {
                self.at -= 1;
                Err(self.wrong())
            }
        }
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        loop {
            let mut name = self.word()?;
            // A cluster's name may hold a dash.
            while self.is(".") || self.is("-") {
                let sign = self.next().map_or(String::new(), |kind| kind.text().to_owned());
                name.push_str(&sign);
                name.push_str(&self.word()?);
            }
            names.push(name);
            if !self.symbol(",") {
                return Ok(names);
            }
        }
    }

    pub(super) fn or(&mut self) -> Result<Item, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the condition nests too deep".to_owned());
        }
        let mut parts = vec![self.and()?];
        while self.keyword("or") {
            parts.push(self.and()?);
        }
        self.depth -= 1;
        Ok(one_or(parts, Item::Or))
    }

    fn and(&mut self) -> Result<Item, String> {
        let mut parts = vec![self.unary()?];
        while self.keyword("and") {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Item::And))
    }

    fn unary(&mut self) -> Result<Item, String> {
        if self.symbol("!") {
            return Ok(Item::Not(Box::new(self.unary()?)));
        }
        if self.symbol("(") {
            let inner = self.or()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let annotations = self.annotations()?;
        if self.is("(") {
            return self.unary();
        }
        let name = match self.next() {
            Some(Kind::Word(name)) => name,
            Some(Kind::Text(text) | Kind::Number(text)) => return Err(format!("Expected LITERAL, got {text}.")),
            _ => {
                self.at -= 1;
                return Err(self.wrong());
            }
        };
        if self.symbol("(") {
            return self.call(&name, &annotations);
        }
        match name.to_ascii_lowercase().as_str() {
            "true" => Ok(Item::Constant(true)),
            "false" => Ok(Item::Constant(false)),
            _ => self.comparison(name),
        }
    }

    pub(super) fn annotations(&mut self) -> Result<Annotations, String> {
        let mut found = Annotations::new();
        if !self.symbol("{") {
            return Ok(found);
        }
        while !self.symbol("}") {
            let mut name = self.next().map_or(String::new(), |kind| kind.text().to_owned());
            while self.symbol(".") {
                name = format!("{name}.{}", self.word()?);
            }
            self.expect(":")?;
            let mut value = String::new();
            let mut open = 0usize;
            while open > 0 || !(self.is(",") || self.is("}")) {
                match self.next() {
                    Some(Kind::Symbol(symbol)) => {
                        open = match symbol {
                            "{" | "[" => open + 1,
                            "}" | "]" => open.saturating_sub(1),
                            _ => open,
                        };
                        value.push_str(symbol);
                    }
                    Some(kind) => value.push_str(kind.text()),
                    None => return Err(self.wrong()),
                }
            }
            found.insert(name, value);
            self.symbol(",");
        }
        Ok(found)
    }

    /// A function as a condition, after its parenthesis.
    fn call(&mut self, name: &str, annotations: &Annotations) -> Result<Item, String> {
        let item = match name {
            "rank" | "weakAnd" | "nonEmpty" => {
                let mut parts = vec![self.or()?];
                while self.symbol(",") {
                    parts.push(self.or()?);
                }
                match name {
                    "rank" => Item::Rank(parts),
                    _ => one_or(parts, Item::Or),
                }
            }
            "nearestNeighbor" => {
                let field = self.word()?;
                self.expect(",")?;
                let input = self.word()?;
                let target = annotations.get("targetHits").or_else(|| annotations.get("totalTargetHits"));
                Item::Nearest(Nearest { field, input, target: target.and_then(|target| target.parse().ok()) })
            }
            "userInput" => {
                let text = self.text()?;
                let field = annotations.get("defaultIndex").map_or("default", String::as_str);
                super::terms::user_input(&text, field, annotations)?
            }
            "userQuery" => {
                let text = (self.parameter)("query").ok_or_else(|| "No query".to_owned())?;
                super::terms::user_input(&text, "default", annotations)?
            }
            "range" => self.range()?,
            other => {
                return Err(format!(
                    "Expected userQuery, range, wand, weightedSet, dotProduct, geoBoundingBox, geoLocation, nearestNeighbor, \
                     predicate, rank, weakAnd, userInput or nonEmpty, got {other}."
                ));
            }
        };
        self.expect(")")?;
        Ok(item)
    }

    /// A text, or the parameter that holds one.
    pub(super) fn text(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Kind::Text(text)) => Ok(text),
            Some(Kind::Symbol("@")) => self.parameter(),
            _ => {
                self.at -= 1;
                Err(self.wrong())
            }
        }
    }
}

fn one_or(mut parts: Vec<Item>, many: impl Fn(Vec<Item>) -> Item) -> Item {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => Item::Constant(true),
    }
}
