//! Ranking expressions that the engine does not know: numbers, attributes, `bm25`, `nativeRank`, `closeness`, functions.
//!
//! `nativeRank` is bm25 over all text fields; what is not understood has no value.

use crate::content::{
    analysis::Analysis,
    sd::{RankProfile, Schema},
    store::{Documents, Key, Stored},
    value::Value,
};
use std::collections::{BTreeMap, BTreeSet};

/// How deep functions may call each other.
const MAX_DEPTH: usize = 32;

/// What expressions can refer to, for the matches of one type.
#[derive(Clone, Default)]
pub(super) struct Plain {
    functions: BTreeMap<String, String>,
    attributes: BTreeMap<(String, Key), f64>,
    bm25: BTreeMap<(String, Key), f64>,
    texts: Vec<String>,
    pub(super) closeness: BTreeMap<(String, Key), f64>,
    pub(super) numbers: BTreeMap<String, f64>,
}

impl Plain {
    pub(super) fn new(
        schema: &Schema,
        profile: &RankProfile,
        documents: &Documents,
        matched: &BTreeSet<Key>,
        words: &str,
        analysis: &Analysis,
    ) -> Self {
        let words = analysis.terms(words);
        let mut found = Self { functions: profile.functions.clone(), ..Self::default() };
        for field in &schema.fields {
            for key in matched {
                let value = documents.at(key).and_then(|stored| stored.fields.get(&field.name)).and_then(Value::number);
                if let Some(number) = value {
                    found.attributes.insert((field.name.clone(), *key), number);
                }
            }
            if field.is_text() && !words.is_empty() {
                found.texts.push(field.name.clone());
                found.score_words(&field.name, documents, matched, &words, analysis);
            }
        }
        found
    }

    /// Gives a document an attribute's value.
    pub(super) fn set(&mut self, name: &str, key: Key, value: f64) {
        self.attributes.insert((name.to_owned(), key), value);
    }

    /// Robertson's bm25 with k1 1.2 and b 0.75.
    fn score_words(
        &mut self,
        field: &str,
        documents: &Documents,
        matched: &BTreeSet<Key>,
        words: &[String],
        analysis: &Analysis,
    ) {
        let text = |stored: &Stored| match stored.fields.get(field) {
            Some(Value::Text(text)) => analysis.analyzer(stored).terms(text),
            _ => Vec::new(),
        };
        let all: Vec<(Key, Vec<String>)> = documents.iter().map(|(key, stored)| (*key, text(stored))).collect();
        let total = all.len() as f64;
        let average = (all.iter().map(|(_, terms)| terms.len()).sum::<usize>() as f64 / total.max(1.0)).max(1.0);
        for word in words {
            let having = all.iter().filter(|(_, terms)| terms.contains(word)).count() as f64;
            let rarity = (1.0 + (total - having + 0.5) / (having + 0.5)).ln();
            for (key, terms) in all.iter().filter(|(key, _)| matched.contains(key)) {
                let count = terms.iter().filter(|term| *term == word).count() as f64;
                let length = terms.len() as f64 / average;
                let score = rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length));
                *self.bm25.entry((field.to_owned(), *key)).or_default() += score;
            }
        }
    }

    /// The value for a document; none where something in it is not known here.
    pub(super) fn score(&self, expression: &str, key: &Key, first: f64) -> Option<f64> {
        self.evaluate(expression, key, first, 0)
    }

    fn evaluate(&self, expression: &str, key: &Key, first: f64, depth: usize) -> Option<f64> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut reader = Reader { plain: self, rest: expression, key, first, depth };
        let value = reader.sum()?;
        reader.rest.trim().is_empty().then_some(value)
    }
}

struct Reader<'p> {
    plain: &'p Plain,
    rest: &'p str,
    key: &'p Key,
    first: f64,
    depth: usize,
}

impl<'p> Reader<'p> {
    fn take(&mut self, c: char) -> bool {
        let trimmed = self.rest.trim_start();
        self.rest = trimmed.strip_prefix(c).unwrap_or(trimmed);
        self.rest.len() < trimmed.len()
    }

    fn sum(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > MAX_DEPTH * 2 {
            return None;
        }
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value += self.product()?;
            } else if self.take('-') {
                value -= self.product()?;
            } else {
                self.depth -= 1;
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor()?;
        loop {
            if self.take('*') {
                value *= self.factor()?;
            } else if self.take('/') {
                value /= self.factor()?;
            } else {
                return Some(value);
            }
        }
    }

    fn factor(&mut self) -> Option<f64> {
        if self.take('-') {
            return Some(-self.factor()?);
        }
        if self.take('(') {
            let value = self.sum()?;
            return self.take(')').then_some(value);
        }
        let trimmed = self.rest.trim_start();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let (name, rest) = trimmed.split_at(trimmed.find(|c: char| !word(c)).unwrap_or(trimmed.len()));
        self.rest = rest;
        if name.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return name.parse().ok();
        }
        if name.is_empty() {
            return None;
        }
        if !self.take('(') {
            return self.feature(name, "");
        }
        if matches!(name, "log" | "sqrt" | "exp" | "abs" | "max" | "min" | "pow") {
            let left = self.sum()?;
            let right = if self.take(',') { self.sum()? } else { 0.0 };
            let value = match name {
                "log" => left.ln(),
                "sqrt" => left.sqrt(),
                "exp" => left.exp(),
                "abs" => left.abs(),
                "max" => left.max(right),
                "min" => left.min(right),
                _ => left.powf(right),
            };
            return self.take(')').then_some(value);
        }
        let (arguments, rest) = self.rest.split_once(')')?;
        self.rest = rest;
        self.feature(name, arguments)
    }

    fn feature(&mut self, name: &'p str, arguments: &'p str) -> Option<f64> {
        let argument = arguments.trim();
        let at = |map: &BTreeMap<(String, Key), f64>, field: &str| map.get(&(field.to_owned(), *self.key)).copied();
        match name {
            "firstPhase" => Some(self.first),
            "attribute" => Some(at(&self.plain.attributes, argument).unwrap_or(0.0)),
            "bm25" => Some(at(&self.plain.bm25, argument).unwrap_or(0.0)),
            "query" => self.plain.numbers.get(argument).copied(),
            "closeness" => {
                let field = argument.split(',').nth(1).unwrap_or_default().trim();
                Some(at(&self.plain.closeness, field).unwrap_or(0.0))
            }
            "nativeRank" | "nativeFieldMatch" => {
                let named: Vec<&str> = argument.split(',').map(str::trim).filter(|field| !field.is_empty()).collect();
                let all = self.plain.texts.iter().filter(|field| named.is_empty() || named.contains(&field.as_str()));
                Some(all.map(|field| at(&self.plain.bm25, field).unwrap_or(0.0)).sum())
            }
            function => {
                let body = self.plain.functions.get(function)?;
                self.plain.evaluate(body, self.key, self.first, self.depth + 1)
            }
        }
    }
}
