//! Columns of attribute values, and filters on them.

use crate::layout::Layout;
use cogniverse_sdk::{
    FieldName, FieldValue, Filter, Result,
    document::Fields,
    filter::{Number, Range},
    schema::FieldType,
};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

/// The attribute fields of a run of documents.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    names: Vec<FieldName>,
    columns: Vec<Column>,
    len: usize,
}

#[derive(Debug, Clone)]
enum Column {
    Text(TextColumn),
    Integer(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
    Texts(Vec<Box<[Box<str>]>>),
}

/// A dictionary-encoded text column: a video id is stored once, not once per segment.
#[derive(Debug, Clone, Default)]
struct TextColumn {
    codes: Vec<u32>,
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    /// Whether any document lacks the field.
    absent: bool,
}

const NO_TEXT: u32 = u32::MAX;

impl TextColumn {
    fn push(&mut self, text: Option<&str>) {
        let code = match text {
            None => NO_TEXT,
            Some(text) => self.numbers.get(text).copied().unwrap_or_else(|| {
                let code = u32::try_from(self.texts.len()).unwrap_or(NO_TEXT);
                self.texts.push(text.into());
                self.numbers.insert(text.into(), code);
                code
            }),
        };
        self.absent |= code == NO_TEXT;
        self.codes.push(code);
    }

    /// Selects the documents with one of these texts. A column with a single value for all documents is decided
    /// without a scan.
    fn among<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Vec<bool> {
        let mut wanted = vec![false; self.texts.len()];
        for code in texts.filter_map(|text| self.numbers.get(text)) {
            if let Some(slot) = wanted.get_mut(*code as usize) {
                *slot = true;
            }
        }
        if !wanted.contains(&true) {
            return vec![false; self.codes.len()];
        }
        if !self.absent && !wanted.contains(&false) {
            return vec![true; self.codes.len()];
        }
        self.codes.iter().map(|code| wanted.get(*code as usize).is_some_and(|wanted| *wanted)).collect()
    }

    fn get(&self, place: usize) -> Option<&str> {
        self.codes.get(place).and_then(|code| self.texts.get(*code as usize)).map(|text| &**text)
    }
}

impl Columns {
    pub(crate) fn new(layout: &Layout) -> Self {
        let column = |field_type: &FieldType| match field_type {
            FieldType::Int | FieldType::Long => Column::Integer(Vec::new()),
            FieldType::Float | FieldType::Double => Column::Float(Vec::new()),
            FieldType::Bool => Column::Bool(Vec::new()),
            FieldType::StringArray => Column::Texts(Vec::new()),
            FieldType::String | FieldType::Tensor(_) => Column::Text(TextColumn::default()),
        };
        let (names, columns) = layout.attributes.iter().map(|(name, kind)| (name.clone(), column(kind))).unzip();
        Self { names, columns, len: 0 }
    }

    /// Appends the next document, whose field kinds are already checked.
    pub(crate) fn push(&mut self, fields: &Fields) {
        self.len += 1;
        for (name, column) in self.names.iter().zip(&mut self.columns) {
            let value = fields.get(name);
            match column {
                Column::Text(column) => column.push(value.and_then(FieldValue::as_str)),
                Column::Integer(column) => column.push(value.and_then(FieldValue::as_i64)),
                Column::Float(column) => column.push(value.and_then(FieldValue::as_f64)),
                Column::Bool(column) => column.push(match value {
                    Some(FieldValue::Bool(flag)) => Some(*flag),
                    _ => None,
                }),
                Column::Texts(column) => column.push(match value {
                    Some(FieldValue::Strings(texts)) => texts.iter().map(|text| text.as_str().into()).collect(),
                    _ => Box::default(),
                }),
            }
        }
    }

    /// Appends the kept documents of another run.
    pub(crate) fn append(&mut self, other: &Self, kept: &[Option<u32>]) {
        fn copy<T: Clone>(to: &mut Vec<T>, from: &[T], kept: &[Option<u32>]) {
            to.extend(from.iter().zip(kept).filter(|(_, kept)| kept.is_some()).map(|(value, _)| value.clone()));
        }
        self.len += kept.iter().flatten().count();
        for (to, from) in self.columns.iter_mut().zip(&other.columns) {
            match (to, from) {
                (Column::Text(to), Column::Text(from)) => {
                    for place in kept.iter().enumerate().filter(|(_, kept)| kept.is_some()).map(|(place, _)| place) {
                        to.push(from.get(place));
                    }
                }
                (Column::Integer(to), Column::Integer(from)) => copy(to, from, kept),
                (Column::Float(to), Column::Float(from)) => copy(to, from, kept),
                (Column::Bool(to), Column::Bool(from)) => copy(to, from, kept),
                (Column::Texts(to), Column::Texts(from)) => copy(to, from, kept),
                _ => {}
            }
        }
    }

    /// Selects the documents that match a filter, whose fields are already checked.
    ///
    /// `spend` is charged before each pass over the documents, and aborts the scan with an error.
    pub(crate) fn matching(&self, filter: &Filter, spend: &dyn Fn(usize) -> Result<()>) -> Result<Vec<bool>> {
        // A pass compares each document once and writes the answer: a few multiply-adds.
        spend(self.len * 4)?;
        Ok(match filter {
            Filter::Equals(field, value) => self.test(field, |column| column.equal_to(value)),
            Filter::In(field, values) => match self.column(field) {
                Some(column) => column.among(values, self.len, spend)?,
                None => vec![false; self.len],
            },
            Filter::Range(field, range) => self.test(field, |column| column.within(range)),
            Filter::All(parts) => {
                let mut all = vec![true; self.len];
                for part in parts {
                    join(&mut all, &self.matching(part, spend)?, |a, b| a & b);
                }
                all
            }
            Filter::Any(parts) => {
                let mut any = vec![false; self.len];
                for part in parts {
                    join(&mut any, &self.matching(part, spend)?, |a, b| a | b);
                }
                any
            }
            Filter::Not(part) => self.matching(part, spend)?.into_iter().map(|met| !met).collect(),
            // A condition that this version does not know must not let anything through.
            _ => vec![false; self.len],
        })
    }

    fn column(&self, field: &FieldName) -> Option<&Column> {
        self.names.iter().zip(&self.columns).find(|(name, _)| *name == field).map(|(_, column)| column)
    }

    fn test(&self, field: &FieldName, test: impl FnOnce(&Column) -> Vec<bool>) -> Vec<bool> {
        self.column(field).map_or_else(|| vec![false; self.len], test)
    }
}

fn join(to: &mut [bool], from: &[bool], with: impl Fn(bool, bool) -> bool) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = with(*to, *from));
}

impl Column {
    /// Selects the values in a list. Texts are looked up together, as a list of ids is the usual case.
    fn among(&self, values: &[FieldValue], len: usize, spend: &dyn Fn(usize) -> Result<()>) -> Result<Vec<bool>> {
        spend((values.len() + len) * 8)?;
        match self {
            Self::Text(column) => Ok(column.among(values.iter().filter_map(FieldValue::as_str))),
            Self::Texts(column) => {
                let wanted: HashSet<&str> = values.iter().filter_map(FieldValue::as_str).collect();
                Ok(column.iter().map(|found| found.iter().any(|text| wanted.contains(&**text))).collect())
            }
            Self::Integer(_) | Self::Float(_) | Self::Bool(_) => {
                let mut any = vec![false; len];
                for value in values {
                    spend(len * 4)?;
                    join(&mut any, &self.equal_to(value), |a, b| a | b);
                }
                Ok(any)
            }
        }
    }

    fn equal_to(&self, value: &FieldValue) -> Vec<bool> {
        let number = match value {
            FieldValue::Integer(value) => Some(Number::Integer(*value)),
            FieldValue::Float(value) => Some(Number::Float(*value)),
            _ => None,
        };
        let equal =
            |found: Option<Number>| matches!((found, number), (Some(a), Some(b)) if compare(a, b) == Ordering::Equal);
        match self {
            Self::Text(column) => column.among(value.as_str().into_iter()),
            Self::Integer(column) => column.iter().map(|found| equal(found.map(Number::Integer))).collect(),
            Self::Float(column) => column.iter().map(|found| equal(found.map(Number::Float))).collect(),
            Self::Bool(column) => {
                column.iter().map(|found| matches!((found, value), (Some(a), FieldValue::Bool(b)) if a == b)).collect()
            }
            Self::Texts(column) => {
                let wanted = value.as_str();
                column.iter().map(|found| found.iter().any(|text| Some(&**text) == wanted)).collect()
            }
        }
    }

    fn within(&self, range: &Range) -> Vec<bool> {
        let inside = |found: Option<Number>| {
            found.is_some_and(|found| {
                range.gte.is_none_or(|bound| compare(found, bound).is_ge())
                    && range.gt.is_none_or(|bound| compare(found, bound).is_gt())
                    && range.lte.is_none_or(|bound| compare(found, bound).is_le())
                    && range.lt.is_none_or(|bound| compare(found, bound).is_lt())
            })
        };
        match self {
            Self::Integer(column) => column.iter().map(|found| inside(found.map(Number::Integer))).collect(),
            Self::Float(column) => column.iter().map(|found| inside(found.map(Number::Float))).collect(),
            Self::Text(column) => vec![false; column.codes.len()],
            Self::Bool(column) => vec![false; column.len()],
            Self::Texts(column) => vec![false; column.len()],
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "an integer meets a float: the comparison is in floats, as it is written"
)]
fn compare(a: Number, b: Number) -> Ordering {
    match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => a.cmp(&b),
        (Number::Integer(a), Number::Float(b)) => (a as f64).total_cmp(&b),
        (Number::Float(a), Number::Integer(b)) => a.total_cmp(&(b as f64)),
        // -0.0 and 0.0 are one number to whoever filters.
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_met_whether_all_have_one_some_have_none_or_many() {
        let met = |column: &[Option<&str>], wanted: &[&str]| {
            let mut texts = TextColumn::default();
            column.iter().for_each(|text| texts.push(*text));
            let found = texts.among(wanted.iter().copied());
            let expected: Vec<bool> =
                column.iter().map(|text| text.is_some_and(|text| wanted.contains(&text))).collect();
            assert_eq!(found, expected, "{wanted:?} of {column:?}");
        };
        for column in [
            &[][..],
            &[None],
            &[Some("a"), Some("a")],
            &[Some("a"), None],
            &[Some("a"), Some("b"), Some("a")],
            &[None, Some("b"), Some("c")],
        ] {
            for wanted in [&[][..], &["a"], &["x"], &["a", "b"], &["a", "b", "c", "x"]] {
                met(column, wanted);
            }
        }
    }
}
