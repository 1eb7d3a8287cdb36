//! YQL, as far as the adapter, Vespa's command line and pyvespa write it: select, conditions, order, limit, offset, counts by fields.

mod grouping;
mod parse;
mod terms;
mod tokens;

pub(crate) use grouping::Grouping;
pub(crate) use parse::parse;

use std::cmp::Ordering;

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    /// None for `*`.
    pub(crate) fields: Option<Vec<String>>,
    /// None for `sources *`.
    pub(crate) sources: Option<Vec<String>>,
    pub(crate) condition: Item,
    /// Fields, and whether the largest is first.
    pub(crate) order: Vec<(String, bool)>,
    pub(crate) limit: Option<i64>,
    pub(crate) offset: Option<i64>,
    pub(crate) groupings: Vec<Grouping>,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Constant(bool),
    And(Vec<Item>),
    Or(Vec<Item>),
    Not(Box<Item>),
    /// `{ranked:false}`: it matches, and does not score.
    Unranked(Box<Item>),
    /// The first decides; the others only score.
    Rank(Vec<Item>),
    /// A word, or a whole value.
    Word {
        field: String,
        text: String,
    },
    /// Words of a text; none is no query at all.
    Words {
        field: String,
        text: String,
        all: bool,
    },
    Phrase {
        field: String,
        words: Vec<String>,
    },
    Range {
        field: String,
        low: Option<Bound>,
        high: Option<Bound>,
    },
    Bool {
        field: String,
        value: bool,
    },
    OneOf {
        field: String,
        values: Vec<Literal>,
    },
    Nearest(Nearest),
}

/// `nearestNeighbor(field, input)`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nearest {
    pub(crate) field: String,
    pub(crate) input: String,
    pub(crate) target: Option<usize>,
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bound {
    pub(crate) number: Number,
    pub(crate) inclusive: bool,
}

/// A number; whole ones are compared as such.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    pub(crate) fn float(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(Number),
}

impl Item {
    /// Calls for every part.
    pub(crate) fn walk<'i>(&'i self, each: &mut dyn FnMut(&'i Item)) {
        each(self);
        match self {
            Self::And(parts) | Self::Or(parts) | Self::Rank(parts) => parts.iter().for_each(|part| part.walk(each)),
            Self::Not(part) | Self::Unranked(part) => part.walk(each),
            _ => {}
        }
    }

    /// The field that it names itself.
    pub(crate) fn field(&self) -> Option<&str> {
        match self {
            Self::Word { field, .. }
            | Self::Words { field, .. }
            | Self::Phrase { field, .. }
            | Self::Range { field, .. }
            | Self::Bool { field, .. }
            | Self::OneOf { field, .. } => Some(field),
            _ => None,
        }
    }

    /// The neighbours that are looked for.
    pub(crate) fn nearest(&self) -> Vec<&Nearest> {
        let mut found = Vec::new();
        self.walk(&mut |item| {
            if let Self::Nearest(nearest) = item {
                found.push(nearest);
            }
        });
        found
    }

    /// The words that score, as one text.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        self.collect_words(&mut words);
        words.join(" ")
    }

    fn collect_words(&self, words: &mut Vec<String>) {
        match self {
            Self::And(parts) | Self::Or(parts) | Self::Rank(parts) => {
                parts.iter().for_each(|part| part.collect_words(words));
            }
            Self::Word { text, .. } | Self::Words { text, .. } => words.push(text.clone()),
            Self::Phrase { words: phrase, .. } => words.extend(phrase.iter().cloned()),
            _ => {}
        }
    }
}
