//! The operands of comparisons.

use super::{
    Bound, Item, Literal, Number,
    parse::{Annotations, Parser},
    tokens::Kind,
};

impl Parser<'_> {
    /// After the field's name.
    pub(super) fn comparison(&mut self, field: String) -> Result<Item, String> {
        let mut field = field;
        while self.symbol(".") {
            field = format!("{field}.{}", self.word()?);
        }
        if self.keyword("contains") {
            return self.contains(field);
        }
        if self.keyword("in") {
            return self.one_of(field);
        }
        if self.keyword("matches") {
            return Err("regular expressions are not matched by vespa-testkit".to_owned());
        }
        let operator = ["=", "<=", ">=", "<", ">"].into_iter().find(|operator| self.symbol(operator));
        let Some(operator) = operator else {
            return Err(if self.peek().is_none_or(|kind| matches!(kind, Kind::Word(_) | Kind::Symbol(")"))) {
                "Expected AND, OR, EQ, LT, GT, LTEQ, GTEQ, CONTAINS, MATCHES, CALL, LITERAL, NOT or IN, got READ_FIELD."
                    .to_owned()
            } else {
                self.wrong()
            });
        };
        self.annotated(|parser, _| {
            if operator == "=" {
                for (word, value) in [("true", true), ("false", false)] {
                    if parser.keyword(word) {
                        return Ok(Item::Bool { field: field.clone(), value });
                    }
                }
            }
            let number = parser.number()?;
            let bound = |inclusive| Some(Bound { number, inclusive });
            let (low, high) = match operator {
                "=" => (bound(true), bound(true)),
                "<=" => (None, bound(true)),
                "<" => (None, bound(false)),
                ">=" => (bound(true), None),
                _ => (bound(false), None),
            };
            Ok(Item::Range { field: field.clone(), low, high })
        })
    }

    /// `x`, `{…}x` or `({…}x)`.
    fn annotated<T>(&mut self, read: impl FnOnce(&mut Self, &Annotations) -> Result<T, String>) -> Result<T, String> {
        let inside = self.symbol("(");
        let annotations = self.annotations()?;
        let value = read(self, &annotations)?;
        if inside {
            self.expect(")")?;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Number, String> {
        let negative = self.symbol("-");
        self.number_after(negative)
    }

    fn number_after(&mut self, negative: bool) -> Result<Number, String> {
        let text = match self.peek() {
            Some(Kind::Number(text) | Kind::Text(text)) => text.clone(),
            Some(Kind::Symbol("@")) => String::new(),
            _ => return Err(self.wrong()),
        };
        let is_text = !matches!(self.next(), Some(Kind::Number(_)));
        let text = if text.is_empty() { self.parameter()? } else { text };
        let plain = text.trim_end_matches('L');
        let plain = if negative { format!("-{plain}") } else { plain.to_owned() };
        let number = plain.parse().map(Number::Integer).or_else(|_| plain.parse().map(Number::Float));
        number.map_err(|_| {
            if is_text {
                format!(
                    "'{text}' is not an int item expression: Expected NUMBER, '<'NUMBER, '>'NUMBER or \
                     ('['|'<')NUMBER;NUMBER(;NUMBER)?(']'|'>'): For input string: \"{text}\""
                )
            } else {
                format!("For input string: \"{text}\"")
            }
        })
    }

    /// `range(field, low, high)`, after its parenthesis.
    pub(super) fn range(&mut self) -> Result<Item, String> {
        let field = self.word()?;
        let mut bounds = Vec::new();
        for _ in 0..2 {
            self.expect(",")?;
            let negative = self.symbol("-");
            if self.keyword("Infinity") {
                bounds.push(None);
            } else {
                bounds.push(Some(Bound { number: self.number_after(negative)?, inclusive: true }));
            }
        }
        let high = bounds.pop().flatten();
        Ok(Item::Range { field, low: bounds.pop().flatten(), high })
    }

    fn contains(&mut self, field: String) -> Result<Item, String> {
        self.annotated(|parser, annotations| {
            let item = parser.contained(field, annotations)?;
            let is_ranked = annotations.get("ranked").is_none_or(|ranked| ranked == "true");
            Ok(if is_ranked { item } else { Item::Unranked(Box::new(item)) })
        })
    }

    fn contained(&mut self, field: String, annotations: &Annotations) -> Result<Item, String> {
        let name = match self.peek() {
            Some(Kind::Word(name)) => name.clone(),
            _ => {
                let text = self.text()?;
                if text.is_empty() {
                    return Err("The word of a word item cannot be empty".to_owned());
                }
                return Ok(Item::Word { field, text });
            }
        };
        self.next();
        self.expect("(")?;
        let mut words = vec![self.text()?];
        while self.symbol(",") {
            words.push(self.text()?);
        }
        self.expect(")")?;
        Ok(match name.as_str() {
            "text" => {
                let all = annotations.get("grammar.composite").is_some_and(|kind| kind == "and");
                Item::Words { field, text: words.join(" "), all }
            }
            "phrase" | "near" | "onear" => Item::Phrase { field, words },
            "equiv" => Item::Or(words.into_iter().map(|text| Item::Word { field: field.clone(), text }).collect()),
            other => {
                return Err(format!(
                    "Expected phrase, near, onear, equiv, uri, fuzzy, text or sameElement, got {other}."
                ));
            }
        })
    }

    fn one_of(&mut self, field: String) -> Result<Item, String> {
        self.expect("(")?;
        let mut values = Vec::new();
        loop {
            if self.symbol("@") {
                let list = self.parameter()?;
                for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
                    let text = part.trim_matches(['"', '\'']);
                    values.push(text.parse().map_or_else(
                        |_| Literal::Text(text.to_owned()),
                        |number| Literal::Number(Number::Integer(number)),
                    ));
                }
            } else if let Some(Kind::Text(text)) = self.peek().cloned() {
                self.next();
                values.push(Literal::Text(text));
            } else {
                values.push(Literal::Number(self.number()?));
            }
            if !self.symbol(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(Item::OneOf { field, values })
    }
}

/// What a user wrote: words, `field:word`, `-word`, `"a phrase"`.
pub(super) fn user_input(text: &str, field: &str, annotations: &Annotations) -> Result<Item, String> {
    let allow_empty = annotations.get("allowEmpty").is_some_and(|value| value == "true");
    let all = annotations.get("grammar").is_some_and(|grammar| grammar == "all");
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    let mut rest = text.trim();
    while !rest.is_empty() {
        let negative = rest.starts_with('-');
        rest = rest.trim_start_matches(['-', '+']);
        let (mut name, mut term) = (field, rest);
        let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
        if let Some((named, tail)) = rest.split_once(':').filter(|(named, _)| named.len() < end && !named.is_empty()) {
            (name, term) = (named, tail);
        }
        let (words, tail) = match term.strip_prefix('"').and_then(|inner| inner.split_once('"')) {
            Some((phrase, tail)) => (phrase, tail),
            None => {
                let term = term.trim_start_matches('"');
                term.split_at(term.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(term.len()))
            }
        };
        rest = tail.trim_start();
        if words.chars().any(char::is_alphanumeric) {
            let item = Item::Word { field: name.to_owned(), text: words.to_owned() };
            if negative { unwanted.push(item) } else { wanted.push(item) }
        }
    }
    let negated = unwanted.into_iter().map(|item| Item::Not(Box::new(item)));
    Ok(match (wanted.is_empty(), negated.len()) {
        (true, 0) if allow_empty => Item::Constant(true),
        (true, 0) => return Err(format!("Parsing '{text}' only resulted in NullItem.")),
        (true, _) => Item::And(negated.collect()),
        (false, 0) => {
            if all {
                Item::And(wanted)
            } else {
                Item::Or(wanted)
            }
        }
        (false, _) => {
            let wanted = if all { Item::And(wanted) } else { Item::Or(wanted) };
            Item::And(std::iter::once(wanted).chain(negated).collect())
        }
    })
}
