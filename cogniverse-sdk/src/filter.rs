//! Which documents are meant: conditions on declared fields, applied before ranking.

use crate::{Error, FieldName, FieldValue, Result};
use serde_json::Value;

/// How deep conditions may nest: past any honest filter, and far from the end of a thread's stack.
const MAX_DEPTH: usize = 32;
/// The most conditions and list values that one filter may have.
pub const MAX_SIZE: usize = 10_000;

/// A condition on a document's declared attribute fields.
///
/// A document without the field meets no condition on it, so `Not(Eq(f, v))` holds for it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// The field is this value; for an `array<string>`, one element is.
    Equals(FieldName, FieldValue),
    /// The field is one of these.
    In(FieldName, Vec<FieldValue>),
    /// The number lies in the range.
    Range(FieldName, Range),
    /// All hold. None given: true.
    All(Vec<Filter>),
    /// At least one holds. None given: false.
    Any(Vec<Filter>),
    /// It does not hold.
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
    /// A whole number.
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
    /// The field is this value.
    #[must_use]
    pub fn equals(field: FieldName, value: impl Into<FieldValue>) -> Self {
        Self::Equals(field, value.into())
    }

    /// `from <= field < to`.
    #[must_use]
    pub fn between(field: FieldName, from: impl Into<Number>, to: impl Into<Number>) -> Self {
        Self::Range(field, Range { gte: Some(from.into()), lt: Some(to.into()), ..Range::default() })
    }

    /// Both hold.
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

    /// It does not hold.
    #[must_use]
    pub fn negate(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Every field that is named, with repeats.
    #[must_use]
    pub fn fields(&self) -> Vec<&FieldName> {
        match self {
            Self::Equals(field, _) | Self::In(field, _) | Self::Range(field, _) => vec![field],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(part) => part.fields(),
        }
    }

    /// Refuses what would be compared to nothing, or nest without end.
    ///
    /// # Errors
    /// `InvalidInput` for NaN, infinities, a range without a bound, more than 32 levels, or more than [`MAX_SIZE`] conditions and values.
    pub fn check(&self) -> Result<()> {
        self.check_at(0)?;
        match self.size() {
            size if size > MAX_SIZE => Err(Error::invalid(format!(
                "the filter has {size} conditions and values; give at most {MAX_SIZE}, or ask in several calls"
            ))),
            _ => Ok(()),
        }
    }

    /// Conditions, and values of lists. Asked after the depth.
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
            return Err(Error::invalid(format!("the filter nests deeper than {MAX_DEPTH} levels; flatten it")));
        }
        let finite = |field: &FieldName, value: &FieldValue| match value {
            FieldValue::Float(number) if !number.is_finite() => Err(Error::invalid(format!(
                "the filter compares field \"{field}\" with {number}; give a finite number"
            ))),
            FieldValue::Tensor(_) | FieldValue::Strings(_) => Err(Error::invalid(format!(
                "the filter compares field \"{field}\" with a {}; give one value",
                value.kind()
            ))),
            _ => Ok(()),
        };
        match self {
            Self::Equals(field, value) => finite(field, value),
            Self::In(field, values) => values.iter().try_for_each(|value| finite(field, value)),
            Self::Range(field, range) => {
                let bounds = [range.gte, range.gt, range.lte, range.lt];
                if bounds.iter().all(Option::is_none) {
                    return Err(Error::invalid(format!(
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

    /// Reads the JSON form: `{"video_id": "v1", "start_time": {"gte": 3, "lt": 9}, "segment_id": {"in": [1, 2]},
    /// "not": {…}, "any": [{…}, {…}], "all": […]}`. Members of one object must all hold.
    ///
    /// # Errors
    /// `InvalidInput` that names an unknown operator and lists the known ones, or a value that no field can have.
    pub fn from_json(json: &Value) -> Result<Self> {
        let filter = Self::from_json_at(json, 0)?;
        filter.check()?;
        Ok(filter)
    }

    fn from_json_at(json: &Value, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!("the filter nests deeper than {MAX_DEPTH} levels; flatten it")));
        }
        let members =
            json.as_object().ok_or_else(|| Error::invalid(format!("a filter is a JSON object, not {json}")))?;
        let list = |value: &Value| -> Result<Vec<Self>> {
            let parts = value
                .as_array()
                .ok_or_else(|| Error::invalid(format!("\"all\" and \"any\" take a list of filters, not {value}")))?;
            parts.iter().map(|part| Self::from_json_at(part, depth + 1)).collect()
        };
        let mut parts = Vec::with_capacity(members.len());
        for (key, value) in members {
            parts.push(match key.as_str() {
                "all" => Self::All(list(value)?),
                "any" => Self::Any(list(value)?),
                "not" => Self::from_json_at(value, depth + 1)?.negate(),
                field => condition(FieldName::parse(field)?, value)?,
            });
        }
        Ok(match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only,
            (Some(last), false) => {
                parts.push(last);
                Self::All(parts)
            }
            (None, _) => Self::All(parts),
        })
    }
}

const OPERATORS: [&str; 6] = ["eq", "gt", "gte", "in", "lt", "lte"];

fn condition(field: FieldName, value: &Value) -> Result<Filter> {
    let Some(operators) = value.as_object() else { return Ok(Filter::Equals(field.clone(), scalar(&field, value)?)) };
    let mut range = Range::default();
    let mut parts = Vec::new();
    for (operator, operand) in operators {
        let number = || match scalar(&field, operand)? {
            FieldValue::Integer(value) => Ok(Some(Number::Integer(value))),
            FieldValue::Float(value) => Ok(Some(Number::Float(value))),
            other => Err(Error::invalid(format!(
                "operator \"{operator}\" on field \"{field}\" takes a number, not a {}",
                other.kind()
            ))),
        };
        match operator.as_str() {
            "eq" => parts.push(Filter::Equals(field.clone(), scalar(&field, operand)?)),
            "in" => {
                let values = operand.as_array().ok_or_else(|| {
                    Error::invalid(format!("operator \"in\" on field \"{field}\" takes a list, not {operand}"))
                })?;
                let values = values.iter().map(|value| scalar(&field, value)).collect::<Result<_>>()?;
                parts.push(Filter::In(field.clone(), values));
            }
            "gte" => range.gte = number()?,
            "gt" => range.gt = number()?,
            "lte" => range.lte = number()?,
            "lt" => range.lt = number()?,
            unknown => {
                let error = Error::unknown("filter operator", unknown, OPERATORS);
                return Err(Error::invalid(error.message()).with_context("field", &field));
            }
        }
    }
    if range != Range::default() {
        parts.push(Filter::Range(field.clone(), range));
    }
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            parts.push(last);
            Ok(Filter::All(parts))
        }
        (None, _) => {
            Err(Error::invalid(format!("field \"{field}\" has no operator; use one of: {}", OPERATORS.join(", "))))
        }
    }
}

fn scalar(field: &FieldName, value: &Value) -> Result<FieldValue> {
    match value {
        Value::String(text) => Ok(FieldValue::String(text.clone())),
        Value::Bool(flag) => Ok(FieldValue::Bool(*flag)),
        Value::Number(number) => number
            .as_i64()
            .map(FieldValue::Integer)
            .or_else(|| number.as_f64().map(FieldValue::Float))
            .ok_or_else(|| Error::invalid(format!("{number} on field \"{field}\" is out of range"))),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Error::invalid(format!(
            "field \"{field}\" cannot be compared with {value}; give a string, number or bool"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn json_forms() {
        let filter = Filter::from_json(
            &json!({"video_id": "v1", "start_time": {"gte": 3, "lt": 9.5}, "not": {"segment_id": {"in": [1, 2]}}}),
        );
        let fields: Vec<String> = filter.unwrap().fields().iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["segment_id", "start_time", "video_id"]);
        assert_eq!(Filter::from_json(&json!({})).unwrap(), Filter::All(vec![]));
    }

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

    #[test]
    fn invariant_16_unknown_operators_are_refused() {
        let error = Filter::from_json(&json!({"start_time": {"near": 3}})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown filter operator \"near\"; there are: eq, gt, gte, in, lt, lte (field=start_time)"
        );
        for bad in [
            json!([]),
            json!({"a b": 1}),
            json!({"a": null}),
            json!({"a": {}}),
            json!({"a": {"lt": "x"}}),
            json!({"a": {"in": 3}}),
            json!({"any": 1}),
        ] {
            assert!(Filter::from_json(&bad).is_err(), "{bad}");
        }
        let deep = (0..100).fold(json!({"a": 1}), |inner, _| json!({"not": inner}));
        assert!(Filter::from_json(&deep).unwrap_err().to_string().contains("flatten"));
    }

    proptest! {
        #[test]
        fn invariant_25_any_json_text_is_answered(key in "\\PC{0,12}", value in "\\PC{0,12}") {
            let _ = Filter::from_json(&json!({key: {value: 1}}));
        }
    }
}
