//! Columns being written: from documents, or from the columns of several blocks.

use super::{Column, Columns, NO_BOOL, NO_TEXT, TextColumn, TextsColumn, has_bit};
use crate::index::{
    IndexedDocument,
    bits::bitmap,
    format::BlockWriter,
    merge::Part,
    strings::{Merged, Strings, StringsBuilder},
};
use cogniverse_sdk::{FieldName, FieldValue, schema::FieldType};
use std::collections::HashMap;

/// Writes the column of an attribute, whose field kinds are already checked.
pub(in crate::index) fn build(
    writer: &mut BlockWriter,
    documents: &[IndexedDocument],
    (name, of_type): &(FieldName, FieldType),
) {
    let values = documents.iter().map(|document| document.fields.get(name));
    match of_type {
        FieldType::Int | FieldType::Long => {
            let values = values.map(|value| value.and_then(FieldValue::as_i64));
            numbers(writer, values.map(|value| value.map(i64::to_le_bytes)));
        }
        FieldType::Float | FieldType::Double => {
            let values = values.map(|value| value.and_then(FieldValue::as_f64));
            numbers(writer, values.map(|value| value.map(f64::to_le_bytes)));
        }
        FieldType::Bool => bools(
            writer,
            values.map(|value| match value {
                Some(FieldValue::Bool(flag)) => u8::from(*flag),
                _ => NO_BOOL,
            }),
        ),
        FieldType::StringArray => {
            let mut dictionary = Dictionary::default();
            let (mut codes, mut ends) = (Vec::new(), Vec::with_capacity(documents.len()));
            for value in values {
                if let Some(FieldValue::Strings(texts)) = value {
                    codes.extend(texts.iter().map(|text| dictionary.code(text)));
                }
                ends.push(codes.len());
            }
            let (sorted, moved) = dictionary.sorted();
            texts(writer, ends.into_iter(), codes.into_iter().map(|code| moved_code(&moved, code)), sorted);
        }
        FieldType::String | FieldType::Tensor(_) => {
            let mut dictionary = Dictionary::default();
            let texts = values.map(|value| value.and_then(FieldValue::as_str));
            let codes: Vec<Option<u32>> = texts.map(|text| text.map(|text| dictionary.code(text))).collect();
            let (sorted, moved) = dictionary.sorted();
            text(writer, codes.into_iter().map(|code| code.map(|code| moved_code(&moved, code))), sorted);
        }
    }
}

/// Writes the column of an attribute over the living documents of several blocks.
pub(in crate::index) fn merge(writer: &mut BlockWriter, parts: &[(&Part<'_>, Columns<'_>)], attribute: usize) {
    let columns: Vec<(&Part<'_>, Column<'_>)> =
        parts.iter().filter_map(|(part, columns)| Some((*part, columns.nth(attribute)?))).collect();
    let living = || columns.iter().flat_map(|(part, column)| part.living().map(move |place| (column, place)));
    match columns.first() {
        Some((_, Column::Integer(..))) => numbers(
            writer,
            living().map(|(column, place)| match column {
                Column::Integer(values, present) if has_bit(*present, place) => values.get(place).map(i64::to_le_bytes),
                _ => None,
            }),
        ),
        Some((_, Column::Float(..))) => numbers(
            writer,
            living().map(|(column, place)| match column {
                Column::Float(values, present) if has_bit(*present, place) => values.get(place).map(f64::to_le_bytes),
                _ => None,
            }),
        ),
        Some((_, Column::Bool(_))) => bools(
            writer,
            living().map(|(column, place)| match column {
                Column::Bool(values) => values.get(place).copied().unwrap_or(NO_BOOL),
                _ => NO_BOOL,
            }),
        ),
        Some((_, Column::Texts(_))) => {
            let columns = columns.iter().filter_map(|(part, column)| match column {
                Column::Texts(column) => Some((*part, *column)),
                _ => None,
            });
            merge_texts(writer, &columns.collect::<Vec<_>>());
        }
        Some((_, Column::Text(_))) => {
            let columns = columns.iter().filter_map(|(part, column)| match column {
                Column::Text(column) => Some((*part, *column)),
                _ => None,
            });
            merge_text(writer, &columns.collect::<Vec<_>>());
        }
        None => writer.skip(4),
    }
}

fn merge_text(writer: &mut BlockWriter, columns: &[(&Part<'_>, TextColumn<'_>)]) {
    let used = columns
        .iter()
        .map(|(part, column)| (column.texts, part.living().filter_map(|place| column.get(place)).collect::<Vec<_>>()));
    let (sorted, moved) = merged(used);
    let living = columns.iter().zip(&moved).flat_map(|((part, column), moved)| {
        part.living().map(move |place| column.get(place).map(|code| moved_code(moved, code)))
    });
    text(writer, living, sorted);
}

fn merge_texts(writer: &mut BlockWriter, columns: &[(&Part<'_>, TextsColumn<'_>)]) {
    let used = columns.iter().map(|(part, column)| {
        (column.texts, part.living().flat_map(|place| column.get(place).iter()).collect::<Vec<_>>())
    });
    let (sorted, moved) = merged(used);
    let of_parts = || columns.iter().zip(&moved);
    let lengths = of_parts().flat_map(|((part, column), _)| part.living().map(|place| column.get(place).len()));
    let ends: Vec<usize> = lengths
        .scan(0, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect();
    let codes = of_parts().flat_map(|((part, column), moved)| {
        part.living().flat_map(move |place| column.get(place).iter().map(move |code| moved_code(moved, code)))
    });
    texts(writer, ends.into_iter(), codes, sorted);
}

/// A dictionary in order of first use.
#[derive(Debug, Default)]
struct Dictionary<'a> {
    codes: HashMap<&'a str, u32>,
}

impl<'a> Dictionary<'a> {
    fn code(&mut self, text: &'a str) -> u32 {
        let next = u32::try_from(self.codes.len()).unwrap_or(NO_TEXT);
        *self.codes.entry(text).or_insert(next)
    }

    /// Returns the sorted dictionary, and the sorted code of each.
    fn sorted(self) -> (StringsBuilder, Vec<u32>) {
        let mut moved = vec![NO_TEXT; self.codes.len()];
        let mut entries: Vec<(&str, u32)> = self.codes.into_iter().collect();
        entries.sort_unstable();
        let mut sorted = StringsBuilder::new();
        for (now, (text, code)) in (0..).zip(entries) {
            sorted.push(text.as_bytes());
            if let Some(slot) = moved.get_mut(code as usize) {
                *slot = now;
            }
        }
        (sorted, moved)
    }
}

/// Merges the used entries of sorted dictionaries, and returns the new code of each entry of each.
fn merged<'a>(used: impl Iterator<Item = (Strings<'a>, Vec<u32>)>) -> (StringsBuilder, Vec<Vec<u32>>) {
    let (mut lists, mut moved) = (Vec::new(), Vec::new());
    for (list, codes) in used {
        let mut codes_of_part = vec![NO_TEXT; list.len()];
        for code in codes {
            if let Some(slot) = codes_of_part.get_mut(code as usize) {
                *slot = 0;
            }
        }
        lists.push(list);
        moved.push(codes_of_part);
    }
    let (mut sorted, mut found) = (StringsBuilder::new(), Vec::new());
    let mut all = Merged::new(lists.into_iter());
    while let Some(text) = all.next(&mut found) {
        let code = u32::try_from(sorted.len()).unwrap_or(NO_TEXT);
        let mut is_used = false;
        for (part, entry) in &found {
            if let Some(slot) = moved.get_mut(*part).and_then(|of| of.get_mut(*entry)).filter(|slot| **slot != NO_TEXT)
            {
                *slot = code;
                is_used = true;
            }
        }
        if is_used {
            sorted.push(text);
        }
    }
    (sorted, moved)
}

fn moved_code(moved: &[u32], code: u32) -> u32 {
    moved.get(code as usize).copied().unwrap_or(NO_TEXT)
}

fn numbers(writer: &mut BlockWriter, values: impl Iterator<Item = Option<[u8; 8]>>) {
    let mut present = Vec::new();
    writer.list(values.map(|value| {
        present.push(value.is_some());
        value.unwrap_or_default()
    }));
    writer.list(bitmap(present.into_iter()));
    writer.skip(2);
}

fn bools(writer: &mut BlockWriter, values: impl Iterator<Item = u8>) {
    writer.list(values.map(|value| [value]));
    writer.skip(3);
}

fn text(writer: &mut BlockWriter, codes: impl Iterator<Item = Option<u32>>, dictionary: StringsBuilder) {
    writer.list(codes.map(|code| code.unwrap_or(NO_TEXT).to_le_bytes()));
    dictionary.write(writer);
    writer.skip(1);
}

fn texts(
    writer: &mut BlockWriter,
    ends: impl Iterator<Item = usize>,
    codes: impl Iterator<Item = u32>,
    dictionary: StringsBuilder,
) {
    let starts = std::iter::once(0).chain(ends).map(|start| u32::try_from(start).unwrap_or(u32::MAX));
    writer.list(starts.map(u32::to_le_bytes));
    writer.list(codes.map(u32::to_le_bytes));
    dictionary.write(writer);
}
