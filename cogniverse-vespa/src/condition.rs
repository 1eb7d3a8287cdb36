//! Filters as conditions in one of Vespa's two languages: YQL for searches, document selection for visits and removals.
//!
//! Field names are words of the schema, numbers are written by this code, and a text stands inside quotes with every
//! character that could end them escaped: nothing of a caller becomes syntax ([invariant 21](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#21)).

use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{
    FieldName, FieldValue, Filter, Result,
    filter::{Number, Range},
    schema::FieldType,
};

/// The languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language<'s> {
    /// Of `/search/`.
    Yql,
    /// Of `/document/v1`, on documents of a type.
    Selection(&'s str),
}

/// A comparison of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    AtLeast,
    Above,
    AtMost,
    Below,
}

/// A filter that the schema accepts, as a condition.
///
/// # Errors
/// `InvalidInput` for a filter that the schema does not accept.
pub(crate) fn condition(language: Language<'_>, schema: &Schema, filter: &Filter) -> Result<String> {
    schema.check_filter(filter)?;
    Ok(language.filter(schema, filter))
}

impl Language<'_> {
    fn filter(self, schema: &Schema, filter: &Filter) -> String {
        match filter {
            Filter::Equals(field, value) => self.equals(schema, field, value),
            Filter::In(field, values) => {
                self.join(values.iter().map(|value| self.equals(schema, field, value)), " or ", false)
            }
            Filter::Range(field, range) => self.range(schema, field, range),
            Filter::All(parts) => self.join(parts.iter().map(|part| self.filter(schema, part)), " and ", true),
            Filter::Any(parts) => self.join(parts.iter().map(|part| self.filter(schema, part)), " or ", false),
            Filter::Not(part) => self.negated(schema, part),
            // The schema refused what this version does not know.
            _ => self.constant(false),
        }
    }

    /// A document without the field meets no condition on it, so it meets every negated one.
    fn negated(self, schema: &Schema, part: &Filter) -> String {
        match (self, part) {
            (Self::Yql, part) => format!("(true and !({}))", self.filter(schema, part)),
            // A comparison with a missing field is neither true nor false there, and negating it changes nothing:
            // negation is carried inwards, and missing fields are asked for.
            (Self::Selection(_), Filter::Not(inner)) => self.filter(schema, inner),
            (Self::Selection(_), Filter::All(parts)) => {
                self.join(parts.iter().map(|part| self.negated(schema, part)), " or ", false)
            }
            (Self::Selection(_), Filter::Any(parts)) => {
                self.join(parts.iter().map(|part| self.negated(schema, part)), " and ", true)
            }
            (Self::Selection(kind), Filter::Equals(field, _) | Filter::In(field, _) | Filter::Range(field, _)) => {
                format!("({kind}.{field} == null or not {})", self.filter(schema, part))
            }
            _ => self.constant(false),
        }
    }

    fn constant(self, value: bool) -> String {
        if value { "true" } else { "false" }.to_owned()
    }

    fn join(self, parts: impl Iterator<Item = String>, with: &str, empty: bool) -> String {
        let parts: Vec<String> = parts.collect();
        match parts.as_slice() {
            [] => self.constant(empty),
            [only] => only.clone(),
            parts => format!("({})", parts.join(with)),
        }
    }

    fn equals(self, schema: &Schema, field: &FieldName, value: &FieldValue) -> String {
        match value {
            FieldValue::String(text) if !storable(text) => self.constant(false),
            FieldValue::String(text) => match self {
                Self::Yql => format!("{field} contains ({{implicitTransforms:false}}{})", quoted(text)),
                Self::Selection(kind) => {
                    let list =
                        schema.field(field.as_str()).is_some_and(|field| field.field_type == FieldType::StringArray);
                    let any = if list { "[$x]" } else { "" };
                    format!("({kind}.{field}{any} == {})", quoted(text))
                }
            },
            FieldValue::Integer(number) => self.compare(schema, field, Comparison::Equal, Number::Integer(*number)),
            FieldValue::Float(number) => self.compare(schema, field, Comparison::Equal, Number::Float(*number)),
            FieldValue::Bool(value) => match self {
                Self::Yql => format!("{field} = {value}"),
                Self::Selection(kind) => format!("({kind}.{field} == {value})"),
            },
            FieldValue::Strings(_) | FieldValue::Tensor(_) => self.constant(false),
        }
    }

    fn range(self, schema: &Schema, field: &FieldName, range: &Range) -> String {
        let bounds = [
            (Comparison::AtLeast, range.gte),
            (Comparison::Above, range.gt),
            (Comparison::AtMost, range.lte),
            (Comparison::Below, range.lt),
        ];
        let bounds = bounds.into_iter().filter_map(|(comparison, bound)| Some((comparison, bound?)));
        self.join(bounds.map(|(comparison, bound)| self.compare(schema, field, comparison, bound)), " and ", true)
    }

    fn compare(self, schema: &Schema, field: &FieldName, comparison: Comparison, number: Number) -> String {
        let whole = schema
            .field(field.as_str())
            .is_some_and(|field| matches!(field.field_type, FieldType::Int | FieldType::Long));
        match (number, whole) {
            (Number::Integer(number), _) => self.written(field, comparison, &number.to_string()),
            (Number::Float(number), false) => self.written(field, comparison, &format!("{number:?}")),
            (Number::Float(number), true) => match whole_bound(comparison, number) {
                Ok((comparison, number)) => self.written(field, comparison, &number.to_string()),
                Err(always) if always => self.present(field),
                Err(_) => self.constant(false),
            },
        }
    }

    fn written(self, field: &FieldName, comparison: Comparison, number: &str) -> String {
        let sign = match comparison {
            Comparison::Equal if self == Self::Yql => "=",
            Comparison::Equal => "==",
            Comparison::AtLeast => ">=",
            Comparison::Above => ">",
            Comparison::AtMost => "<=",
            Comparison::Below => "<",
        };
        match self {
            Self::Yql => format!("{field} {sign} {number}"),
            Self::Selection(kind) => format!("({kind}.{field} {sign} {number})"),
        }
    }

    /// The field has a value.
    fn present(self, field: &FieldName) -> String {
        match self {
            Self::Yql => format!("{field} >= {}", i64::MIN + 1),
            Self::Selection(kind) => format!("(not {kind}.{field} == null)"),
        }
    }
}

/// A bound on a whole number as a whole number; else whether it always holds.
#[expect(clippy::cast_possible_truncation, reason = "checked to lie within the range")]
fn whole_bound(comparison: Comparison, number: f64) -> Result<(Comparison, i64), bool> {
    // 2^63, the first number above every i64.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    let inside = |number: f64| (-ABOVE..ABOVE).contains(&number);
    let (comparison, bound) = match comparison {
        Comparison::Equal if number.fract() != 0.0 || !inside(number) => return Err(false),
        Comparison::Equal => (comparison, number),
        Comparison::AtLeast => (comparison, number.ceil()),
        Comparison::Below => (comparison, number.ceil()),
        Comparison::Above => (comparison, number.floor()),
        Comparison::AtMost => (comparison, number.floor()),
    };
    if inside(bound) {
        return Ok((comparison, bound as i64));
    }
    let below = bound < 0.0;
    Err(matches!(comparison, Comparison::AtLeast | Comparison::Above) == below)
}

/// Whether an attribute can hold a text: Vespa refuses documents with other control characters and with code points that
/// are none, and an empty text is no value to it.
fn storable(text: &str) -> bool {
    let none = |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    let control = |c: char| u32::from(c) < 0x20 && !matches!(c, '\t' | '\n' | '\r');
    !text.is_empty() && !text.chars().any(|c| none(c) || control(c))
}

/// A text between double quotes, for both languages.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::contract::fixture::{field, schema};

    fn both(filter: &Filter) -> (String, String) {
        let schema = Schema::compile(schema()).unwrap();
        let say = |language| condition(language, &schema, filter).unwrap();
        (say(Language::Yql), say(Language::Selection("t")))
    }

    #[test]
    fn conditions_read_as_they_mean() {
        let f = field;
        for (filter, yql, selection) in [
            (
                Filter::equals(f("video_id"), "a\"b\\"),
                r#"video_id contains ({implicitTransforms:false}"a\"b\\")"#,
                r#"(t.video_id == "a\"b\\")"#,
            ),
            (
                Filter::equals(f("tags"), "y"),
                r#"tags contains ({implicitTransforms:false}"y")"#,
                r#"(t.tags[$x] == "y")"#,
            ),
            (Filter::equals(f("segment_id"), 7.0), "segment_id = 7", "(t.segment_id == 7)"),
            (Filter::equals(f("segment_id"), 7.5), "false", "false"),
            (
                Filter::between(f("segment_id"), 2.5, 1e300),
                "(segment_id >= 3 and segment_id >= -9223372036854775807)",
                "((t.segment_id >= 3) and (not t.segment_id == null))",
            ),
            (
                Filter::between(f("start_time"), 3, 4.5),
                "(start_time >= 3 and start_time < 4.5)",
                "((t.start_time >= 3) and (t.start_time < 4.5))",
            ),
            (Filter::In(f("video_id"), vec![]), "false", "false"),
            (Filter::All(vec![]), "true", "true"),
            (
                Filter::equals(f("segment_id"), 1).negate(),
                "(true and !(segment_id = 1))",
                "(t.segment_id == null or not (t.segment_id == 1))",
            ),
            (
                Filter::equals(f("segment_id"), 1).and(Filter::equals(f("tags"), "x")).negate(),
                r#"(true and !((segment_id = 1 and tags contains ({implicitTransforms:false}"x"))))"#,
                r#"((t.segment_id == null or not (t.segment_id == 1)) or (t.tags == null or not (t.tags[$x] == "x")))"#,
            ),
        ] {
            assert_eq!(both(&filter), (yql.to_owned(), selection.to_owned()));
        }
    }

    #[test]
    fn invariant_21_no_text_ends_its_quotes() {
        for text in ["\"", "\\", "\\\"", "\" or true or \"", "\n\r\t", "'; drop", "@x", "é\u{1F600}"] {
            let out = quoted(text);
            let inner = out.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
            let mut escaped = false;
            for c in inner.chars() {
                assert!(escaped || c != '"', "{text:?} gives {out}");
                escaped = !escaped && c == '\\';
            }
            assert!(!escaped && !inner.contains('\n'), "{text:?} gives {out}");
        }
    }
}
