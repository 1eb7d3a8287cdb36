//! The documents of a type that a condition matches. Sets, not documents one by one: neighbours are looked for among those
//! that the other parts of an `and` left.

use super::{
    analysis::Analysis,
    nearest,
    sd::{Field, Schema},
    store::{Documents, Key, Stored},
    tensor::Tensor,
    value::Value,
    yql::{Bound, Item, Literal, Number},
};
use std::collections::{BTreeMap, BTreeSet};

/// A condition's documents.
pub(crate) struct Matching<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) documents: &'s Documents,
    pub(crate) inputs: &'s BTreeMap<String, Tensor>,
    pub(crate) analysis: &'s Analysis,
}

impl Matching<'_> {
    /// The matches among some documents.
    pub(crate) fn matches(&self, item: &Item, among: &BTreeSet<Key>) -> BTreeSet<Key> {
        match item {
            Item::Constant(true) => among.clone(),
            Item::Constant(false) => BTreeSet::new(),
            Item::And(parts) => {
                let (late, early): (Vec<&Item>, Vec<&Item>) = parts.iter().partition(|part| !part.nearest().is_empty());
                early.into_iter().chain(late).fold(among.clone(), |left, part| self.matches(part, &left))
            }
            Item::Or(parts) => parts.iter().flat_map(|part| self.matches(part, among)).collect(),
            Item::Not(part) => {
                let out = self.matches(part, among);
                among.difference(&out).copied().collect()
            }
            Item::Unranked(part) => self.matches(part, among),
            Item::Rank(parts) => parts.first().map_or_else(BTreeSet::new, |part| self.matches(part, among)),
            Item::Nearest(nearest) => {
                let field = self.schema.field(&nearest.field);
                let (Some(field), Some(query)) = (field, self.inputs.get(&nearest.input)) else {
                    return BTreeSet::new();
                };
                let mut found: Vec<(f64, Key)> = Vec::new();
                for key in among {
                    let Some(Value::Tensor(stored)) =
                        self.documents.at(key).and_then(|stored| stored.fields.get(&field.name))
                    else {
                        continue;
                    };
                    let distance =
                        nearest::distance(stored, query, field.distance_metric.as_deref().unwrap_or("euclidean"));
                    found.extend(distance.map(|distance| (distance, *key)));
                }
                found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                found.into_iter().take(nearest.target.unwrap_or(0)).map(|(_, key)| key).collect()
            }
            leaf => {
                let meets = |key: &&Key| self.documents.at(key).is_some_and(|stored| self.meets(leaf, stored));
                among.iter().filter(meets).copied().collect()
            }
        }
    }

    fn meets(&self, item: &Item, stored: &Stored) -> bool {
        let Some(name) = item.field() else { return false };
        if name == "sddocname" {
            return matches!(item, Item::Word { text, .. } if *text == self.schema.name);
        }
        self.schema.searched(name).into_iter().any(|field| {
            stored.fields.get(&field.name).is_some_and(|value| self.field_meets(item, field, (stored, value)))
        })
    }

    fn field_meets(&self, item: &Item, field: &Field, (stored, value): (&Stored, &Value)) -> bool {
        match item {
            Item::Word { text, .. } => self.word(field, (stored, value), text),
            Item::Words { text, all, .. } if field.is_text() => {
                let found = self.terms(stored, value);
                if *all {
                    let mut words = self.analysis.words(text).into_iter();
                    words.all(|word| word.terms.iter().any(|term| found.contains(term)))
                } else {
                    self.analysis.terms(text).iter().any(|term| found.contains(term))
                }
            }
            Item::Words { text, .. } => self.word(field, (stored, value), text),
            Item::Phrase { words, .. } => self.row(stored, value, &words.join(" ")),
            Item::Range { low, high, .. } => {
                each(value).any(|value| number(value).is_some_and(|number| within(number, low, high)))
            }
            Item::Bool { value: wanted, .. } => *value == Value::Bool(*wanted),
            Item::OneOf { values, .. } => values.iter().any(|wanted| match wanted {
                Literal::Text(text) => self.word(field, (stored, value), text),
                Literal::Number(wanted) => each(value).any(|value| {
                    number(value).is_some_and(|number| number.compare(*wanted).is_some_and(|order| order.is_eq()))
                }),
            }),
            _ => false,
        }
    }

    fn word(&self, field: &Field, (stored, value): (&Stored, &Value), text: &str) -> bool {
        if field.is_text() {
            // What is cut into several words stands for those words in a row.
            return self.row(stored, value, text);
        }
        each(value).any(|value| match value {
            Value::Text(stored) if field.match_cased => stored == text,
            Value::Text(stored) => stored.to_lowercase() == text.to_lowercase(),
            Value::Bool(stored) => stored.to_string() == text,
            other => text.parse().is_ok_and(|wanted: f64| other.number() == Some(wanted)),
        })
    }

    /// Whether words stand in a row.
    fn row(&self, stored: &Stored, value: &Value, text: &str) -> bool {
        let wanted = self.analysis.words(text);
        let analyzer = self.analysis.analyzer(stored);
        let found: Vec<String> = texts(value).flat_map(|text| analyzer.sequence(text)).collect();
        let is_row = |row: &[String]| wanted.iter().zip(row).all(|(word, found)| word.terms.contains(found));
        !wanted.is_empty() && found.windows(wanted.len()).any(is_row)
    }

    fn terms(&self, stored: &Stored, value: &Value) -> Vec<String> {
        let analyzer = self.analysis.analyzer(stored);
        texts(value).flat_map(|text| analyzer.terms(text)).collect()
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    each(value).filter_map(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match value {
        Value::List(items) => (items.as_slice(), None),
        one => (&[][..], Some(one)),
    };
    list.iter().chain(one)
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Integer(number) => Some(Number::Integer(*number)),
        Value::Real(number) => Some(Number::Float(*number)),
        _ => None,
    }
}

fn within(number: Number, low: &Option<Bound>, high: &Option<Bound>) -> bool {
    let holds = |bound: &Option<Bound>, above: bool| {
        bound.is_none_or(|bound| {
            number.compare(bound.number).is_some_and(|order| {
                (bound.inclusive && order.is_eq()) || (if above { order.is_gt() } else { order.is_lt() })
            })
        })
    };
    holds(low, true) && holds(high, false)
}
