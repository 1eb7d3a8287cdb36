//! Document filters: conditions on declared fields, applied before ranking.

use crate::{Error, ErrorCode, FieldName, FieldValue, Result};

mod json;

/// The most levels a filter may nest: more than any practical filter, and far from exhausting a thread's stack.
const MAX_DEPTH: usize = 32;
/// The largest number of conditions and list values in one filter.
pub const MAX_SIZE: usize = 10_000;

/// A condition on a document's declared attribute fields.
///
/// A document without the field meets no condition on it, so `Not(Eq(f, v))` holds for it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// The field equals the value; for an `array<string>`, one element does.
    Equals(FieldName, FieldValue),
    /// The field equals one of the values.
    In(FieldName, Vec<FieldValue>),
    /// The number lies within the range.
    Range(FieldName, Range),
    /// Every filter holds; `true` where there is none.
    All(Vec<Filter>),
    /// At least one filter holds; `false` where there is none.
    Any(Vec<Filter>),
    /// The filter does not hold.
    Not(Box<Filter>),
}

/// Bounds on a number; at least one is set. Integers are compared as integers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Range {
    /// `>=`
    pub gte: Option<Number>,
    /// `>`
    pub gt: Option<Number>,
    /// `<=`
    pub lte: Option<Number>,
    /// `<`
    pub lt: Option<Number>,
}

/// A bound of a [`Range`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// An integer.
    Integer(i64),
    /// A finite number.
    Float(f64),
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl Filter {
    /// Creates a filter on the value of a field.
    #[must_use]
    pub fn equals(field: FieldName, value: impl Into<FieldValue>) -> Self {
        Self::Equals(field, value.into())
    }

    /// Creates the filter `from <= field < to`.
    #[must_use]
    pub fn between(field: FieldName, from: impl Into<Number>, to: impl Into<Number>) -> Self {
        Self::Range(field, Range { gte: Some(from.into()), lt: Some(to.into()), ..Range::default() })
    }

    /// Combines both filters with AND.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut all) => {
                all.push(other);
                Self::All(all)
            }
            first => Self::All(vec![first, other]),
        }
    }

    /// Negates the filter.
    #[must_use]
    pub fn negate(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Returns every field that the filter names, with repeats.
    #[must_use]
    pub fn fields(&self) -> Vec<&FieldName> {
        match self {
            Self::Equals(field, _) | Self::In(field, _) | Self::Range(field, _) => vec![field],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(part) => part.fields(),
        }
    }

    /// Refuses filters that compare with NaN, exceed the size bound or nest too deep.
    ///
    /// # Errors
    /// `InvalidInput` for NaN, infinities, a range without a bound, more than 32 levels, or more than [`MAX_SIZE`] conditions and values.
    pub fn check(&self) -> Result<()> {
        self.check_at(0)?;
        match self.size() {
            size if size > MAX_SIZE => Err(invalid(format!(
                "the filter has {size} conditions and values; give at most {MAX_SIZE}, or ask in several calls"
            ))),
            _ => Ok(()),
        }
    }

    /// Counts conditions and list values. Called after the depth check, as it recurses.
    fn size(&self) -> usize {
        match self {
            Self::Equals(..) | Self::Range(..) => 1,
            Self::In(_, values) => values.len().saturating_add(1),
            Self::All(parts) | Self::Any(parts) => parts.iter().fold(1, |sum, part| sum.saturating_add(part.size())),
            Self::Not(part) => part.size().saturating_add(1),
        }
    }

    fn check_at(&self, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(invalid(format!("the filter nests deeper than {MAX_DEPTH} levels; flatten it")));
        }
        let finite = |field: &FieldName, value: &FieldValue| match value {
            FieldValue::Float(number) if !number.is_finite() => {
                Err(invalid(format!("the filter compares field \"{field}\" with {number}; give a finite number")))
            }
            FieldValue::Tensor(_) | FieldValue::Strings(_) => {
                Err(invalid(format!("the filter compares field \"{field}\" with a {}; give one value", value.kind())))
            }
            _ => Ok(()),
        };
        match self {
            Self::Equals(field, value) => finite(field, value),
            Self::In(field, values) => values.iter().try_for_each(|value| finite(field, value)),
            Self::Range(field, range) => {
                let bounds = [range.gte, range.gt, range.lte, range.lt];
                if bounds.iter().all(Option::is_none) {
                    return Err(invalid(format!(
                        "the range on field \"{field}\" has no bound; give gte, gt, lte or lt"
                    )));
                }
                bounds.iter().flatten().try_for_each(|bound| match bound {
                    Number::Float(number) => finite(field, &FieldValue::Float(*number)),
                    Number::Integer(_) => Ok(()),
                })
            }
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(|part| part.check_at(depth + 1)),
            Self::Not(part) => part.check_at(depth + 1),
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::of(ErrorCode::FilterInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_of_a_size_that_can_be_checked() {
        let field = || FieldName::parse("video_id").unwrap();
        let list = |values: usize| Filter::In(field(), vec![FieldValue::from("x"); values]);
        list(MAX_SIZE - 1).check().unwrap();
        let many = Filter::Any((0..200).map(|_| list(100)).collect());
        for wrong in [list(MAX_SIZE), many.negate()] {
            let error = wrong.check().unwrap_err();
            assert!(error.to_string().contains("at most 10000"), "{error}");
        }
        let deep = (0..40).fold(list(1), |inner, _| inner.negate());
        assert!(deep.check().unwrap_err().to_string().contains("flatten"));
    }
}
