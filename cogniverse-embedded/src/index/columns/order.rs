//! The order of documents by a column, and counts of its values.

use super::{Column, Columns, NO_BOOL, TextColumn, TextsColumn, has_bit};
use crate::index::Places;
use cogniverse_sdk::{FieldName, FieldValue, Sort, schema::FieldType};
use std::{cmp::Ordering, collections::HashMap};

/// A value of a column, in the order of values. Only values of one field are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ColumnValue<'a> {
    /// A number or a flag, as a number of the same order.
    Number(u64),
    /// A text, as UTF-8.
    Text(&'a [u8]),
}

impl ColumnValue<'_> {
    /// Returns the value as one of a field of this type.
    pub(crate) fn to_field_value(self, of_type: &FieldType) -> FieldValue {
        match (self, of_type) {
            (Self::Text(text), _) => FieldValue::String(String::from_utf8_lossy(text).into_owned()),
            (Self::Number(number), FieldType::Bool) => FieldValue::Bool(number == 1),
            (Self::Number(number), FieldType::Float | FieldType::Double) => FieldValue::Float(to_float(number)),
            (Self::Number(number), _) => FieldValue::Integer(to_integer(number)),
        }
    }
}

const SIGN: u64 = 1 << 63;

fn of_integer(value: i64) -> u64 {
    value.cast_unsigned() ^ SIGN
}

fn to_integer(number: u64) -> i64 {
    (number ^ SIGN).cast_signed()
}

/// Returns a number of the same order. -0.0 and 0.0 have the same number, as they compare equal.
fn of_float(value: f64) -> u64 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn to_float(number: u64) -> f64 {
    f64::from_bits(if number & SIGN == 0 { !number } else { number ^ SIGN })
}

impl<'a> Columns<'a> {
    /// Returns the order of the block's documents by a field.
    pub(crate) fn order(&self, sort: &Sort) -> ColumnOrder<'a> {
        let column = self.column(&sort.field);
        let is_none_first = match column {
            Some(Column::Text(column)) => column.has_empty(),
            _ => false,
        };
        ColumnOrder { column, is_none_first, descending: sort.descending }
    }

    /// Returns how many of the given documents have each value of a field. Each value is listed once; of a list, a document counts once
    /// for each distinct element. An empty text is no value.
    pub(crate) fn counts(&self, field: &FieldName, places: &Places) -> Vec<(ColumnValue<'a>, u64)> {
        let ones = || places.iter().map(|place| place as usize);
        match self.column(field) {
            None => Vec::new(),
            Some(Column::Text(column)) => {
                let mut counts = vec![0_u64; column.texts.len()];
                if places.count() == column.codes.len() {
                    column.codes.iter().for_each(|code| add(&mut counts, code));
                } else {
                    ones().filter_map(|place| column.codes.get(place)).for_each(|code| add(&mut counts, code));
                }
                of_dictionary(column.texts, counts)
            }
            Some(Column::Texts(column)) => {
                let mut counts = vec![0_u64; column.texts.len()];
                // The document, plus one, that had each text last.
                let mut last = vec![0_usize; column.texts.len()];
                for place in ones() {
                    for code in column.get(place).iter() {
                        if let Some(last) = last.get_mut(code as usize).filter(|last| **last != place + 1) {
                            *last = place + 1;
                            add(&mut counts, code);
                        }
                    }
                }
                of_dictionary(column.texts, counts)
            }
            Some(Column::Integer(values, present)) => {
                let found = ones().filter(|place| has_bit(present, *place)).filter_map(|place| values.get(place));
                of_numbers(found.map(of_integer).collect())
            }
            Some(Column::Float(values, present)) => {
                let found = ones().filter(|place| has_bit(present, *place)).filter_map(|place| values.get(place));
                of_numbers(found.map(of_float).collect())
            }
            Some(Column::Bool(values)) => {
                let found = ones().filter_map(|place| values.get(place)).filter(|value| **value != NO_BOOL);
                of_numbers(found.map(|value| u64::from(*value)).collect())
            }
        }
    }
}

fn add(counts: &mut [u64], code: u32) {
    if let Some(count) = counts.get_mut(code as usize) {
        *count += 1;
    }
}

fn of_dictionary(texts: crate::index::strings::Strings<'_>, counts: Vec<u64>) -> Vec<(ColumnValue<'_>, u64)> {
    let named = texts.iter().zip(counts).filter(|(text, count)| *count > 0 && !text.is_empty());
    named.map(|(text, count)| (ColumnValue::Text(text), count)).collect()
}

/// Counts numbers: in a list where they lie close together, as numbers of segments do.
fn of_numbers<'a>(numbers: Vec<u64>) -> Vec<(ColumnValue<'a>, u64)> {
    let (Some(least), Some(greatest)) = (numbers.iter().min().copied(), numbers.iter().max().copied()) else {
        return Vec::new();
    };
    match usize::try_from(greatest - least) {
        Ok(range) if range < numbers.len().saturating_mul(4) => {
            let mut counts = vec![0_u64; range + 1];
            for number in numbers {
                let at = usize::try_from(number - least).unwrap_or(usize::MAX);
                if let Some(count) = counts.get_mut(at) {
                    *count += 1;
                }
            }
            let counted = (least..).zip(counts).filter(|(_, count)| *count > 0);
            counted.map(|(number, count)| (ColumnValue::Number(number), count)).collect()
        }
        _ => {
            let mut counts: HashMap<u64, u64> = HashMap::new();
            numbers.into_iter().for_each(|number| *counts.entry(number).or_default() += 1);
            counts.into_iter().map(|(number, count)| (ColumnValue::Number(number), count)).collect()
        }
    }
}

impl TextColumn<'_> {
    /// Returns whether the dictionary has the empty text, which is then its first.
    fn has_empty(self) -> bool {
        self.texts.get(0).is_some_and(<[u8]>::is_empty)
    }
}

impl TextsColumn<'_> {}

/// The order of a block's documents by a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnOrder<'a> {
    /// `None` where the block has no such field.
    column: Option<Column<'a>>,
    /// Whether the dictionary's first text is the empty one, which is no value.
    is_none_first: bool,
    descending: bool,
}

/// The rank of a document in its block's order, without regard to its id. Lower ranks come first.
pub(crate) type Rank = (bool, u64);

/// The rank of documents without a value: the last.
const MISSING: Rank = (true, 0);

impl<'a> ColumnOrder<'a> {
    /// Returns a document's rank, which says nothing of other blocks.
    #[inline]
    pub(crate) fn rank(&self, place: usize) -> Rank {
        self.code(place).map_or(MISSING, |code| (false, if self.descending { !code } else { code }))
    }

    /// Returns the value of a document; `None` where it has none.
    pub(crate) fn value(&self, place: usize) -> Option<ColumnValue<'a>> {
        let code = self.code(place)?;
        match self.column? {
            Column::Text(column) => column.texts.get(usize::try_from(code).ok()?).map(ColumnValue::Text),
            _ => Some(ColumnValue::Number(code)),
        }
    }

    /// Returns a value as a number of the same order: within the block alone for a text.
    #[inline]
    fn code(&self, place: usize) -> Option<u64> {
        match self.column? {
            Column::Text(column) => column.get(place).filter(|code| *code > 0 || !self.is_none_first).map(u64::from),
            Column::Integer(values, present) => values.get(place).filter(|_| has_bit(present, place)).map(of_integer),
            Column::Float(values, present) => values.get(place).filter(|_| has_bit(present, place)).map(of_float),
            Column::Bool(values) => values.get(place).filter(|value| **value != NO_BOOL).map(|value| u64::from(*value)),
            Column::Texts(_) => None,
        }
    }

    /// Returns the rank of a value of another block or moment: the least rank of what does not come before it, and whether documents
    /// of that rank have the value itself.
    pub(crate) fn rank_of(&self, value: Option<ColumnValue<'_>>) -> (Rank, bool) {
        let ranked = |code: u64| (false, if self.descending { !code } else { code });
        match (value, self.column) {
            (None, _) => (MISSING, true),
            (Some(ColumnValue::Number(number)), _) => (ranked(number), true),
            (Some(ColumnValue::Text(text)), Some(Column::Text(column))) => {
                let at = column.texts.partition_point(|known| known < text);
                let is_known = column.texts.get(at) == Some(text);
                let code = match (is_known, self.descending) {
                    (true, _) | (false, false) => at,
                    // The greatest text below it is the first that follows it.
                    (false, true) => match at.checked_sub(1) {
                        Some(below) => below,
                        None => return (MISSING, false),
                    },
                };
                (ranked(code as u64), is_known)
            }
            (Some(ColumnValue::Text(_)), _) => (MISSING, false),
        }
    }
}

/// Compares two values of a field in an order: those that are missing are last in both directions.
pub(crate) fn compare_values(a: Option<ColumnValue<'_>>, b: Option<ColumnValue<'_>>, descending: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if descending => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_keep_their_order(a in any::<i64>(), b in any::<i64>(), x in -1e300f64..1e300, y in -1e3f64..1e3) {
            prop_assert_eq!(of_integer(a).cmp(&of_integer(b)), a.cmp(&b));
            prop_assert_eq!(to_integer(of_integer(a)), a);
            prop_assert_eq!(Some(of_float(x).cmp(&of_float(y))), x.partial_cmp(&y));
            prop_assert_eq!(to_float(of_float(y)), y);
            prop_assert_eq!(of_float(-0.0), of_float(0.0));
        }

        #[test]
        fn numbers_are_counted_wherever_they_lie(near in prop::collection::vec(0u64..9, 0..40), far in prop::collection::vec(any::<u64>(), 0..4)) {
            for numbers in [near.clone(), [near, far].concat()] {
                let mut expected = std::collections::BTreeMap::new();
                numbers.iter().for_each(|number| *expected.entry(ColumnValue::Number(*number)).or_insert(0) += 1);
                let mut found = of_numbers(numbers);
                found.sort_unstable();
                prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
