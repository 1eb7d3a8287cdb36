//! Orders by fields: `order by` of YQL, and the parameter `ranking.sorting`.

use super::{Failure, rank::Scored, request::SearchRequest};
use crate::content::{Running, data_type::DataType, sd::Schema, value::Value};
use std::cmp::Ordering;

/// A field to order by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SortKey {
    pub(crate) field: String,
    pub(crate) descending: bool,
    missing: Missing,
}

/// Where documents without the field stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Before the others of an ascending order of single values, else behind them.
    Default,
    First,
    Last,
}

impl SortKey {
    /// A field as it stands in YQL.
    pub(crate) fn plain(field: &str, descending: bool) -> Self {
        Self { field: field.to_owned(), descending, missing: Missing::Default }
    }

    /// Reads a specification, as far as it orders by plain or raw values.
    pub(super) fn read(specification: &str) -> Result<Vec<Self>, Failure> {
        specification.split(' ').filter(|part| !part.is_empty()).map(Self::read_one).collect()
    }

    fn read_one(part: &str) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::illegal(format!("Could not set 'ranking.sorting' to '{part}': {why}"));
        let descending = part.starts_with('-');
        let rest = part.trim_start_matches(['+', '-']);
        let inside =
            |name: &str, text: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::to_owned);
        let (object, missing) = match inside("missing", rest) {
            None => (rest.to_owned(), Missing::Default),
            Some(arguments) => match arguments.rsplit_once(',') {
                Some((object, "first")) => (object.to_owned(), Missing::First),
                Some((object, "last")) => (object.to_owned(), Missing::Last),
                _ => return Err(wrong("a missing policy that vespa-testkit does not know".to_owned())),
            },
        };
        let field = inside("raw", &object).unwrap_or(object);
        if field.contains(['(', ')', ',']) {
            return Err(wrong(format!("Unknown sort function '{field}'")));
        }
        Ok(Self { field, descending, missing })
    }
}

/// Refuses orders by what is no attribute.
pub(super) fn check(search: &SearchRequest, schema: &Schema) -> Result<(), Failure> {
    let is_known =
        |key: &&SortKey| key.field.starts_with('[') || schema.field(&key.field).is_some_and(|field| field.attribute);
    match search.order.iter().find(|key| !is_known(key)) {
        None => Ok(()),
        Some(key) => Err(Failure::invalid(format!("Cannot sort by '{}': it is no attribute", key.field))),
    }
}

/// Orders the matches, whose scores then say nothing. Equal ones stand in the order of their global ids.
pub(super) fn order(running: &Running, search: &SearchRequest, ranked: &mut [Scored]) {
    if search.order.is_empty() {
        return;
    }
    ranked.sort_by(|a, b| {
        let keys = search.order.iter().filter(|key| !key.field.starts_with('['));
        let compared = keys.map(|key| compare(running, key, a, b)).find(|order| order.is_ne());
        compared.unwrap_or(Ordering::Equal).then_with(|| a.key.1.cmp(&b.key.1))
    });
    ranked.iter_mut().for_each(|scored| scored.score = 0.0);
}

fn compare(running: &Running, key: &SortKey, a: &Scored, b: &Scored) -> Ordering {
    let (a, b) = (value(running, key, a), value(running, key, b));
    let directed = |order: Ordering| if key.descending { order.reverse() } else { order };
    match (a, b) {
        (Some(Value::Text(a)), Some(Value::Text(b))) => directed(a.cmp(b)),
        (Some(Value::Integer(a)), Some(Value::Integer(b))) => directed(a.cmp(b)),
        (Some(a), Some(b)) => directed(a.number().unwrap_or(0.0).total_cmp(&b.number().unwrap_or(0.0))),
        (a, b) => {
            let last = a.is_none().cmp(&b.is_none());
            let is_first = match key.missing {
                Missing::First => true,
                Missing::Last => false,
                Missing::Default => !key.descending,
            };
            if is_first { last.reverse() } else { last }
        }
    }
}

/// The value; none where there is none, which of a flag cannot be.
fn value<'r>(running: &'r Running, key: &SortKey, scored: &Scored) -> Option<&'r Value> {
    const UNSET: &Value = &Value::Bool(false);
    let field = running.package.schemas.get(&scored.document_type)?.field(&key.field)?;
    let stored = running.documents.get(&scored.document_type)?.at(&scored.key)?;
    match stored.fields.get(&key.field) {
        Some(Value::Text(text)) if text.is_empty() => None,
        None if field.data_type == DataType::Bool => Some(UNSET),
        value => value,
    }
}
