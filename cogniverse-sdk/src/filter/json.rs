//! The JSON form of filters.

use super::{Filter, MAX_DEPTH, Number, Range, invalid};
use crate::{Error, ErrorCode, FieldName, FieldValue, MetadataName, MetadataType, MetadataValue, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Map, Value, json};

/// Members of a JSON filter that are connectives instead of fields.
const CONNECTIVES: [&str; 3] = ["all", "any", "not"];

impl Filter {
    /// Parses the JSON form: `{"video_id": "v1", "start_time": {"gte": 3, "lt": 9}, "segment_id": {"in": [1, 2]},
    /// "not": {…}, "any": [{…}, {…}], "all": […]}`. All members of an object must hold. `meta.<name>` is a metadata field of
    /// the profile; the bounds of a date may be texts such as `"2026-11-28"` or `"2026-11-28T09:30:00Z"`.
    ///
    /// # Errors
    /// `InvalidInput` that names an unknown operator and lists the known ones, or names a value that no field can
    /// have.
    pub fn from_json(json: &Value) -> Result<Self> {
        let filter = Self::from_json_at(json, 0)?;
        filter.check()?;
        Ok(filter)
    }

    fn from_json_at(json: &Value, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(invalid(format!("the filter nests deeper than {MAX_DEPTH} levels; flatten it")));
        }
        let members =
            json.as_object().ok_or_else(|| invalid(format!("a filter is a JSON object, not {}", kind(json))))?;
        let list = |value: &Value| -> Result<Vec<Self>> {
            let parts = value
                .as_array()
                .ok_or_else(|| invalid(format!("\"all\" and \"any\" take a list of filters, not {}", kind(value))))?;
            parts.iter().map(|part| Self::from_json_at(part, depth + 1)).collect()
        };
        let mut parts = Vec::with_capacity(members.len());
        for (key, value) in members {
            parts.push(match key.as_str() {
                "all" => Self::All(list(value)?),
                "any" => Self::Any(list(value)?),
                "not" => Self::from_json_at(value, depth + 1)?.negate(),
                field => condition(named(field)?, value)?,
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

    /// Returns a JSON form that identifies the filter, for binding page cursors. Every filter has one, it is stable across
    /// releases, and it is not parsed.
    #[must_use]
    pub fn canonical(&self) -> Value {
        let value = |value: &FieldValue| match value {
            FieldValue::String(text) => json!(["s", text]),
            FieldValue::Integer(number) => json!(["i", number]),
            FieldValue::Float(number) => json!(["f", number.to_bits()]),
            FieldValue::Bool(flag) => json!(["b", flag]),
            FieldValue::Strings(texts) => json!(["l", texts]),
            // No filter compares with one.
            FieldValue::Tensor(_) => json!(["t"]),
        };
        let number = |bound: Option<Number>| match bound {
            None => Value::Null,
            Some(Number::Integer(number)) => json!(["i", number]),
            Some(Number::Float(number)) => json!(["f", number.to_bits()]),
        };
        let list = |parts: &[Self]| parts.iter().map(Self::canonical).collect::<Vec<_>>();
        match self {
            Self::Equals(field, wanted) => json!(["eq", field, value(wanted)]),
            Self::In(field, values) => json!(["in", field, values.iter().map(value).collect::<Vec<_>>()]),
            Self::Range(field, range) => {
                json!(["range", field, number(range.gte), number(range.gt), number(range.lte), number(range.lt)])
            }
            Self::All(parts) => json!(["all", list(parts)]),
            Self::Any(parts) => json!(["any", list(parts)]),
            Self::Not(part) => json!(["not", part.canonical()]),
        }
    }

    /// Returns the JSON form, which [`Filter::from_json`] parses back to the same filter.
    ///
    /// # Errors
    /// `InvalidInput` for a field named `all`, `any` or `not`, which the form cannot express, and for a value that no filter
    /// compares with.
    pub fn to_json(&self) -> Result<Value> {
        let member = |name: &str, value: Value| Value::Object(Map::from_iter([(name.to_owned(), value)]));
        let of_field = |field: &FieldName, value: Value| match CONNECTIVES.contains(&field.as_str()) {
            true => Err(invalid(format!("a filter on the field \"{field}\" has no JSON form"))),
            false => Ok(member(field.as_str(), value)),
        };
        let list = |parts: &[Self]| parts.iter().map(Self::to_json).collect::<Result<Vec<_>>>().map(Value::Array);
        match self {
            Self::Equals(field, value) => of_field(field, written(field, value)?),
            Self::In(field, values) => {
                let values = values.iter().map(|value| written(field, value)).collect::<Result<Vec<_>>>()?;
                of_field(field, member("in", Value::Array(values)))
            }
            Self::Range(field, range) => {
                let bounds = [("gte", range.gte), ("gt", range.gt), ("lte", range.lte), ("lt", range.lt)];
                let bounds = bounds.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), bound?)));
                let number = |bound| match bound {
                    Number::Integer(number) => json!(number),
                    Number::Float(number) => json!(number),
                };
                of_field(field, Value::Object(bounds.map(|(name, bound)| (name, number(bound))).collect()))
            }
            Self::All(parts) => Ok(member("all", list(parts)?)),
            Self::Any(parts) => Ok(member("any", list(parts)?)),
            Self::Not(part) => Ok(member("not", part.to_json()?)),
        }
    }
}

/// The form of [`Filter::to_json`].
impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// The form of [`Filter::from_json`].
impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn written(field: &FieldName, value: &FieldValue) -> Result<Value> {
    match value {
        FieldValue::String(text) => Ok(json!(text)),
        FieldValue::Integer(number) => Ok(json!(number)),
        FieldValue::Float(number) if number.is_finite() => Ok(json!(number)),
        FieldValue::Bool(flag) => Ok(json!(flag)),
        other => Err(invalid(format!("field \"{field}\" cannot be compared with a {}", other.kind()))),
    }
}

/// Returns the field of a member: `meta.speaker` is the metadata field `meta_speaker`.
fn named(member: &str) -> Result<FieldName> {
    match MetadataName::of_written(member)? {
        Some(name) => name.field(),
        None => Ok(FieldName::parse(member)?),
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
            // Times are stored in milliseconds.
            FieldValue::String(text) if MetadataType::Date.read(operand).is_ok() => {
                match MetadataType::Date.read(&Value::String(text))? {
                    MetadataValue::Date(at) => Ok(Some(Number::Integer(at.as_millisecond()))),
                    _ => Err(invalid(format!("field \"{field}\" is compared with no date"))),
                }
            }
            other => Err(invalid(format!(
                "operator \"{operator}\" on field \"{field}\" takes a number, not a {}",
                other.kind()
            ))),
        };
        match operator.as_str() {
            "eq" => parts.push(Filter::Equals(field.clone(), scalar(&field, operand)?)),
            "in" => {
                let values = operand.as_array().ok_or_else(|| {
                    invalid(format!("operator \"in\" on field \"{field}\" takes a list, not {operand}"))
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
                return Err(error.with_code(ErrorCode::FilterInvalid).with_context("field", &field));
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
        (None, _) => Err(invalid(format!("field \"{field}\" has no operator; use one of: {}", OPERATORS.join(", ")))),
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
            .ok_or_else(|| invalid(format!("{number} on field \"{field}\" is out of range"))),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(invalid(format!("field \"{field}\" cannot be compared with {value}; give a string, number or bool")))
        }
    }
}

/// Returns the name of a JSON value's type, without its content.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_forms() {
        let filter = Filter::from_json(
            &json!({"video_id": "v1", "start_time": {"gte": 3, "lt": 9.5}, "not": {"segment_id": {"in": [1, 2]}}}),
        );
        let fields: Vec<String> = filter.unwrap().fields().iter().map(ToString::to_string).collect();
        assert_eq!(fields, ["segment_id", "start_time", "video_id"]);
        assert_eq!(Filter::from_json(&json!({})).unwrap(), Filter::All(vec![]));
        let of_metadata = json!({"meta.held": {"gte": "2026-11-28", "lt": "2026-11-29T00:00:00Z"}});
        let day = 86_400_000;
        let from = 20_785 * day;
        let held = FieldName::parse("meta_held").unwrap();
        assert_eq!(Filter::from_json(&of_metadata).unwrap(), Filter::between(held, from, from + day));
        assert!(Filter::from_json(&json!({"meta.Held": 1})).is_err());
        assert!(Filter::from_json(&json!({"start_time": {"gte": "soon"}})).is_err());
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

    fn filters() -> impl Strategy<Value = Filter> {
        let field = prop_oneof!["[a-z]{1,6}_", "video_id"].prop_map(|name| FieldName::parse(&name).unwrap());
        let value = prop_oneof![
            "\\PC{0,8}".prop_map(FieldValue::String),
            any::<i64>().prop_map(FieldValue::Integer),
            (-1e300..1e300).prop_map(FieldValue::Float),
            Just(FieldValue::Float(3.0)),
            any::<bool>().prop_map(FieldValue::Bool),
        ];
        let number = prop_oneof![any::<i64>().prop_map(Number::Integer), (-1e9..1e9).prop_map(Number::Float)];
        let leaf = prop_oneof![
            (field.clone(), value.clone()).prop_map(|(field, value)| Filter::Equals(field, value)),
            (field.clone(), prop::collection::vec(value, 0..3)).prop_map(|(field, values)| Filter::In(field, values)),
            (field, number.clone(), prop::option::of(number)).prop_map(|(field, from, to)| Filter::Range(
                field,
                Range { gte: Some(from), lt: to, ..Range::default() }
            )),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::All),
                prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Any),
                inner.prop_map(Filter::negate),
            ]
        })
    }

    #[test]
    fn a_field_that_the_form_cannot_name_is_an_error_and_no_other_filter() {
        for name in CONNECTIVES {
            let filter = Filter::equals(FieldName::parse(name).unwrap(), "x");
            assert!(filter.to_json().is_err() && serde_json::to_string(&filter).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_filter_is_the_same_after_a_trip_as_json(filter in filters()) {
            let text = serde_json::to_string(&filter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter, "{}", text);
        }

        #[test]
        fn invariant_25_any_json_text_is_answered(key in "\\PC{0,12}", value in "\\PC{0,12}") {
            let _ = Filter::from_json(&json!({key: {value: 1}}));
        }
    }
}
