//! Columns of attribute values, and filters on them.

mod order;
mod write;

use super::{
    Places,
    bits::has_bit,
    bytes::{F64s, I64s, Number as OfBytes, Numbers, U32s, U64s},
    format::Sections,
    strings::Strings,
};
use cogniverse_sdk::{
    FieldName, FieldValue, Filter, Result,
    filter::{Number, Range},
    schema::FieldType,
};
pub(crate) use order::{ColumnOrder, ColumnValue, Rank, compare_values};
use std::cmp::Ordering;
pub(super) use write::{build, merge};

/// The attribute fields of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(super) sections: Sections<'a>,
}

/// The values of one attribute.
#[derive(Debug, Clone, Copy)]
enum Column<'a> {
    Text(TextColumn<'a>),
    /// The values, and a bit for each document that has one.
    Integer(I64s<'a>, U64s<'a>),
    Float(F64s<'a>, U64s<'a>),
    /// 0, 1, or [`NO_BOOL`].
    Bool(&'a [u8]),
    Texts(TextsColumn<'a>),
}

/// A dictionary-encoded text column: a video id is stored once, not once per segment.
#[derive(Debug, Clone, Copy)]
struct TextColumn<'a> {
    codes: U32s<'a>,
    texts: Strings<'a>,
}

/// Lists of dictionary-encoded texts.
#[derive(Debug, Clone, Copy)]
struct TextsColumn<'a> {
    /// The start of each document's codes, and the end of the last.
    starts: U32s<'a>,
    codes: U32s<'a>,
    texts: Strings<'a>,
}

const NO_TEXT: u32 = u32::MAX;
const NO_BOOL: u8 = 2;

impl<'a> TextColumn<'a> {
    /// Selects the documents with one of these texts.
    fn among<'t>(self, texts: impl Iterator<Item = &'t str>) -> Places {
        let wanted = wanted(self.texts, texts);
        let mut codes = wanted.iter();
        match (codes.next(), codes.next()) {
            (None, _) => Places::none(self.codes.len()),
            (Some(only), None) => self.codes.places(|code| code == only),
            _ => self.codes.places(|code| wanted.contains(code as usize)),
        }
    }

    fn get(self, place: usize) -> Option<u32> {
        self.codes.get(place).filter(|code| *code != NO_TEXT)
    }
}

impl<'a> TextsColumn<'a> {
    /// Selects the documents that have one of these texts.
    fn among<'t>(self, len: usize, texts: impl Iterator<Item = &'t str>) -> Places {
        let wanted = wanted(self.texts, texts);
        let mut found = Places::none(len);
        if wanted.count() > 0 {
            let has = |place: &u32| self.get(*place as usize).iter().any(|code| wanted.contains(code as usize));
            let mut marks = found.marks();
            (0..).take(len).filter(has).for_each(|place| marks.set(place));
        }
        found
    }

    fn get(self, place: usize) -> U32s<'a> {
        let range = self.starts.get(place).zip(self.starts.get(place + 1));
        range.map_or(U32s::new(&[]), |(start, end)| self.codes.part(start as usize..end as usize))
    }
}

/// Returns the codes of the texts that a dictionary has.
fn wanted<'t>(dictionary: Strings<'_>, texts: impl Iterator<Item = &'t str>) -> Places {
    let mut wanted = Places::none(dictionary.len());
    let codes = texts.filter_map(|text| dictionary.find(text.as_bytes()));
    let mut marks = wanted.marks();
    codes.filter_map(|code| u32::try_from(code).ok()).for_each(|code| marks.set(code));
    wanted
}

impl<T: OfBytes<N>, const N: usize> Numbers<'_, T, N> {
    /// Selects the documents whose number meets a condition.
    fn places(self, met: impl Fn(T) -> bool) -> Places {
        Places::of(self.cells(), |cell| met(T::read(*cell)))
    }
}

/// Returns the set that a bitmap describes.
fn places_of(len: usize, bitmap: U64s<'_>) -> Places {
    Places::of_words(len, bitmap.iter().collect())
}

impl<'a> Columns<'a> {
    /// Selects the documents that match a filter, whose fields are already checked.
    ///
    /// `spend` is charged before each pass over the documents, and aborts the scan with an error.
    pub(crate) fn matching(&self, filter: &Filter, spend: &dyn Fn(usize) -> Result<()>) -> Result<Places> {
        let len = self.sections.len;
        // A pass compares each document once and writes the answer: a few multiply-adds.
        spend(len * 4)?;
        Ok(match filter {
            Filter::Equals(field, value) => self.test(field, |column| column.equal_to(value, len)),
            Filter::In(field, values) => match self.column(field) {
                Some(column) => column.among(values, len, spend)?,
                None => Places::none(len),
            },
            Filter::Range(field, range) => self.test(field, |column| column.within(range, len)),
            Filter::All(parts) => {
                let mut all = Places::all(len);
                for part in parts {
                    all.and(&self.matching(part, spend)?);
                }
                all
            }
            Filter::Any(parts) => {
                let mut any = Places::none(len);
                for part in parts {
                    any.or(&self.matching(part, spend)?);
                }
                any
            }
            Filter::Not(part) => self.matching(part, spend)?.not(),
            // A condition that this version does not know must not let anything through.
            _ => Places::none(len),
        })
    }

    /// Returns the distinct texts of an attribute that holds one text for each document.
    pub(crate) fn texts_of(&self, field: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let index = self.sections.layout.attributes.iter().position(|(name, _)| name.as_str() == field);
        let texts = match index.and_then(|index| self.nth(index)) {
            Some(Column::Text(column)) => Some(column.texts),
            _ => None,
        };
        texts.into_iter().flat_map(Strings::iter).filter_map(|text| std::str::from_utf8(text).ok())
    }

    fn column(&self, field: &FieldName) -> Option<Column<'a>> {
        let index = self.sections.layout.attributes.iter().position(|(name, _)| name == field)?;
        self.nth(index)
    }

    fn nth(&self, index: usize) -> Option<Column<'a>> {
        let (_, of_type) = self.sections.layout.attributes.get(index)?;
        let at = self.sections.plan.column(index);
        let section = |number| self.sections.get(at + number);
        Some(match of_type {
            FieldType::Int | FieldType::Long => Column::Integer(I64s::new(section(0)), U64s::new(section(1))),
            FieldType::Float | FieldType::Double => Column::Float(F64s::new(section(0)), U64s::new(section(1))),
            FieldType::Bool => Column::Bool(section(0)),
            FieldType::StringArray => Column::Texts(TextsColumn {
                starts: U32s::new(section(0)),
                codes: U32s::new(section(1)),
                texts: Strings::new(section(2), section(3)),
            }),
            FieldType::String | FieldType::Tensor(_) => {
                Column::Text(TextColumn { codes: U32s::new(section(0)), texts: Strings::new(section(1), section(2)) })
            }
        })
    }

    /// Returns whether all columns are as written.
    pub(super) fn is_whole(&self) -> bool {
        let len = self.sections.len;
        (0..self.sections.layout.attributes.len())
            .all(|index| self.nth(index).is_some_and(|column| column.is_whole(len)))
    }

    fn test(&self, field: &FieldName, test: impl FnOnce(&Column<'a>) -> Places) -> Places {
        self.column(field).map_or_else(|| Places::none(self.sections.len), |column| test(&column))
    }
}

impl Column<'_> {
    /// Selects the values in a list. Texts are looked up together, as a list of ids is the usual case.
    fn among(&self, values: &[FieldValue], len: usize, spend: &dyn Fn(usize) -> Result<()>) -> Result<Places> {
        spend((values.len() + len) * 8)?;
        match self {
            Self::Text(column) => Ok(column.among(values.iter().filter_map(FieldValue::as_str))),
            Self::Texts(column) => Ok(column.among(len, values.iter().filter_map(FieldValue::as_str))),
            Self::Integer(..) | Self::Float(..) | Self::Bool(_) => {
                let mut any = Places::none(len);
                for value in values {
                    spend(len * 4)?;
                    any.or(&self.equal_to(value, len));
                }
                Ok(any)
            }
        }
    }

    fn equal_to(&self, value: &FieldValue, len: usize) -> Places {
        let number = match value {
            FieldValue::Integer(value) => Some(Number::Integer(*value)),
            FieldValue::Float(value) => Some(Number::Float(*value)),
            _ => None,
        };
        let equal = |found: Number| number.is_some_and(|number| compare(found, number) == Ordering::Equal);
        match self {
            Self::Text(column) => column.among(value.as_str().into_iter()),
            Self::Bool(column) => match value {
                FieldValue::Bool(flag) => Places::of(column, |found| *found == u8::from(*flag)),
                _ => Places::none(len),
            },
            Self::Texts(column) => column.among(len, value.as_str().into_iter()),
            Self::Integer(..) | Self::Float(..) => self.numbers(len, equal),
        }
    }

    fn within(&self, range: &Range, len: usize) -> Places {
        if let (Self::Integer(values, present), Some((least, most))) = (self, integers(range)) {
            let mut places = values.places(|value| (least <= value) & (value <= most));
            places.and(&places_of(len, *present));
            return places;
        }
        self.numbers(len, |found| {
            range.gte.is_none_or(|bound| compare(found, bound).is_ge())
                && range.gt.is_none_or(|bound| compare(found, bound).is_gt())
                && range.lte.is_none_or(|bound| compare(found, bound).is_le())
                && range.lt.is_none_or(|bound| compare(found, bound).is_lt())
        })
    }

    /// Selects the numbers that meet a condition.
    fn numbers(&self, len: usize, met: impl Fn(Number) -> bool) -> Places {
        let (mut places, present) = match self {
            Self::Integer(values, present) => (values.places(|value| met(Number::Integer(value))), present),
            Self::Float(values, present) => (values.places(|value| met(Number::Float(value))), present),
            Self::Text(_) | Self::Bool(_) | Self::Texts(_) => return Places::none(len),
        };
        places.and(&places_of(len, *present));
        places
    }

    fn is_whole(&self, len: usize) -> bool {
        let words = len.div_ceil(64);
        match self {
            Self::Text(TextColumn { codes, texts }) => {
                let known = |code| code == NO_TEXT || (code as usize) < texts.len();
                codes.len() == len && codes.iter().all(known) && texts.is_dictionary()
            }
            Self::Integer(values, present) => values.len() == len && present.len() == words,
            Self::Float(values, present) => values.len() == len && present.len() == words,
            Self::Bool(values) => values.len() == len && values.iter().all(|value| *value <= NO_BOOL),
            Self::Texts(TextsColumn { starts, codes, texts }) => {
                starts.len() == len + 1
                    && starts.first() == Some(0)
                    && starts.is_ascending()
                    && starts.last().map(|end| end as usize) == Some(codes.len())
                    && codes.iter().all(|code| (code as usize) < texts.len())
                    && texts.is_dictionary()
            }
        }
    }
}

/// Returns the least and the greatest integer within a range whose bounds are integers: a comparison of each value without
/// branches. An empty range has a least integer above the greatest.
fn integers(range: &Range) -> Option<(i64, i64)> {
    let integer = |bound: Option<Number>| match bound {
        None => Some(None),
        Some(Number::Integer(value)) => Some(Some(value)),
        Some(Number::Float(_)) => None,
    };
    let (gte, gt, lte, lt) = (integer(range.gte)?, integer(range.gt)?, integer(range.lte)?, integer(range.lt)?);
    let over = gt.map_or(Some(i64::MIN), |bound| bound.checked_add(1));
    let under = lt.map_or(Some(i64::MAX), |bound| bound.checked_sub(1));
    let within = |(over, under): (i64, i64)| (over.max(gte.unwrap_or(i64::MIN)), under.min(lte.unwrap_or(i64::MAX)));
    Some(over.zip(under).map_or((1, 0), within))
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
