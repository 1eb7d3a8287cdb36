//! Metadata of videos: values of one's own under names that a profile declares.

use crate::{Error, ErrorCode, FieldName, FieldValue, Result, id::string_id, schema::FieldType};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// The largest number of metadata fields of a profile.
pub const MAX_FIELDS: usize = 32;
/// The longest text of a value, or of one element of a list, in bytes.
pub const MAX_TEXT: usize = 4096;
/// The largest number of elements of a list.
pub const MAX_LIST: usize = 256;
/// The beginning of the document fields that hold metadata.
const PREFIX: &str = "meta_";
/// The beginning of the same names as people write them: `meta.speaker`.
const WRITTEN: &str = "meta.";

string_id! {
    /// The name of a metadata field: 1 to 48 of `[a-z0-9_]`, starting with a letter.
    MetadataName, name
}

fn name(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 48 {
        return Err("it must have 1 to 48 characters");
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err("it has a character outside [a-z0-9_]");
    }
    if text.starts_with(|c: char| c.is_ascii_lowercase()) { Ok(()) } else { Err("it must start with a letter") }
}

impl MetadataName {
    /// Returns the document field that holds the values: `meta_` and the name.
    ///
    /// # Errors
    /// None for a valid name.
    pub fn field(&self) -> Result<FieldName> {
        Ok(FieldName::parse(format!("{PREFIX}{self}"))?)
    }

    /// Returns the name that a document field holds the values of; `None` for another field.
    #[must_use]
    pub fn of_field(field: &FieldName) -> Option<Self> {
        Self::parse(field.as_str().strip_prefix(PREFIX)?).ok()
    }

    /// Returns the name in `meta.<name>`; `None` for a text that does not begin so.
    ///
    /// # Errors
    /// `InvalidInput` where it begins so and what follows is no name.
    pub fn of_written(text: &str) -> Result<Option<Self>> {
        text.strip_prefix(WRITTEN).map(|name| Ok(Self::parse(name)?)).transpose()
    }
}

/// The type of a metadata field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetadataType {
    /// A text of up to 4,096 bytes.
    String,
    /// A finite number.
    Number,
    /// A moment, to the millisecond.
    Date,
    /// True or false.
    Boolean,
    /// Up to 256 texts.
    List,
}

impl fmt::Display for MetadataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Date => "date",
            Self::Boolean => "boolean",
            Self::List => "list",
        })
    }
}

/// The value of a metadata field.
///
/// Its JSON is the plain value: `"Ada"`, `3.5`, `true`, `["a", "b"]`; a date is a text such as `2026-11-28T09:30:00Z`, which is
/// read back as a text: [`MetadataType::read`] makes a date of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetadataValue {
    /// A text.
    String(String),
    /// A finite number.
    Number(f64),
    /// A moment.
    Date(Timestamp),
    /// True or false.
    Boolean(bool),
    /// A list of texts.
    List(Vec<String>),
}

/// The metadata of a video.
pub type Metadata = BTreeMap<MetadataName, MetadataValue>;

impl fmt::Display for MetadataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Date(moment) => write!(f, "{moment}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(texts) => f.write_str(&texts.join(", ")),
        }
    }
}

impl Serialize for MetadataValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Date(moment) => serializer.collect_str(moment),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::List(texts) => texts.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let kind = match &value {
            Value::Bool(_) => MetadataType::Boolean,
            Value::Number(_) => MetadataType::Number,
            Value::Array(_) => MetadataType::List,
            _ => MetadataType::String,
        };
        kind.read(&value).map_err(|e| serde::de::Error::custom(e.message()))
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for MetadataValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<f64> for MetadataValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for MetadataValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Timestamp> for MetadataValue {
    fn from(moment: Timestamp) -> Self {
        Self::Date(moment)
    }
}

impl From<Vec<String>> for MetadataValue {
    fn from(texts: Vec<String>) -> Self {
        Self::List(texts)
    }
}

impl MetadataType {
    /// Returns the type of the document field that holds the values.
    #[must_use]
    pub fn field_type(self) -> FieldType {
        match self {
            Self::String => FieldType::String,
            Self::Number => FieldType::Double,
            Self::Date => FieldType::Long,
            Self::Boolean => FieldType::Bool,
            Self::List => FieldType::StringArray,
        }
    }

    /// Reads a value of this type from JSON. A number and a boolean may be texts; a date is RFC 3339, `2026-11-28`, `20261128`
    /// or seconds since 1970; one text may stand for a list of one.
    ///
    /// # Errors
    /// `InvalidInput` for a value of another kind or out of bounds.
    pub fn read(self, value: &Value) -> Result<MetadataValue> {
        let read = match (self, value) {
            (Self::String, Value::String(text)) => Some(MetadataValue::String(text.clone())),
            (Self::String, Value::Number(number)) => Some(MetadataValue::String(number.to_string())),
            (Self::String, Value::Bool(value)) => Some(MetadataValue::String(value.to_string())),
            (Self::Number, Value::Number(number)) => number.as_f64().map(MetadataValue::Number),
            (Self::Number, Value::String(text)) => text.trim().parse().ok().map(MetadataValue::Number),
            (Self::Boolean, Value::Bool(value)) => Some(MetadataValue::Boolean(*value)),
            (Self::Boolean, Value::String(text)) => text.trim().parse().ok().map(MetadataValue::Boolean),
            (Self::Date, Value::String(text)) => date(text.trim()).map(MetadataValue::Date),
            (Self::Date, Value::Number(number)) => number.as_f64().and_then(since_1970).map(MetadataValue::Date),
            (Self::List, Value::String(text)) => Some(MetadataValue::List(vec![text.clone()])),
            (Self::List, Value::Array(texts)) => {
                let text = |text: &Value| match text {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                };
                texts.iter().map(text).collect::<Option<Vec<String>>>().map(MetadataValue::List)
            }
            _ => None,
        };
        let value = read.ok_or_else(|| {
            let form = match self {
                Self::Date => "a date such as 2026-11-28 or 2026-11-28T09:30:00Z",
                Self::List => "a list of texts",
                Self::String => "a text",
                Self::Number => "a number",
                Self::Boolean => "true or false",
            };
            Error::of(ErrorCode::MetadataInvalid, format!("the value is not of type {self}; give {form}"))
        })?;
        value.check()?;
        Ok(value)
    }

    /// Makes a value one of this type, as [`MetadataType::read`] does.
    ///
    /// # Errors
    /// Those of [`MetadataType::read`].
    pub fn admit(self, value: &MetadataValue) -> Result<MetadataValue> {
        match (self, value) {
            (Self::Date, MetadataValue::Date(_)) => Ok(value.clone()),
            _ => {
                let json = serde_json::to_value(value)
                    .map_err(|e| Error::of(ErrorCode::MetadataInvalid, "the value cannot be written").with_source(e))?;
                self.read(&json)
            }
        }
    }

    /// Returns the value that a document field holds; `None` where the field has another kind.
    #[must_use]
    pub fn of_field(self, value: &FieldValue) -> Option<MetadataValue> {
        match (self, value) {
            (Self::String, FieldValue::String(text)) => Some(MetadataValue::String(text.clone())),
            (Self::Number, value) => value.as_f64().map(MetadataValue::Number),
            (Self::Date, FieldValue::Integer(at)) => Timestamp::from_millisecond(*at).ok().map(MetadataValue::Date),
            (Self::Boolean, FieldValue::Bool(value)) => Some(MetadataValue::Boolean(*value)),
            (Self::List, FieldValue::Strings(texts)) => Some(MetadataValue::List(texts.clone())),
            _ => None,
        }
    }
}

impl MetadataValue {
    /// Refuses a value that is out of bounds.
    ///
    /// # Errors
    /// `InvalidInput` for NaN and infinities, a text above 4,096 bytes, and a list of more than 256 texts.
    pub fn check(&self) -> Result<()> {
        let texts = match self {
            Self::Number(number) if !number.is_finite() => {
                return Err(Error::of(ErrorCode::MetadataInvalid, format!("{number} is no finite number")));
            }
            Self::Number(_) | Self::Date(_) | Self::Boolean(_) => return Ok(()),
            Self::String(text) => std::slice::from_ref(text),
            Self::List(texts) => texts.as_slice(),
        };
        if texts.len() > MAX_LIST {
            let message = format!("the list has {} texts; give at most {MAX_LIST}", texts.len());
            return Err(Error::of(ErrorCode::MetadataInvalid, message));
        }
        match texts.iter().find(|text| text.len() > MAX_TEXT) {
            None => Ok(()),
            Some(text) => Err(Error::of(
                ErrorCode::MetadataInvalid,
                format!("the text has {} bytes; give at most {MAX_TEXT}", text.len()),
            )),
        }
    }

    /// Returns the value as the field of a document.
    #[must_use]
    pub fn to_field(&self) -> FieldValue {
        match self {
            Self::String(text) => FieldValue::String(text.clone()),
            Self::Number(number) => FieldValue::Float(*number),
            Self::Date(moment) => FieldValue::Integer(moment.as_millisecond()),
            Self::Boolean(value) => FieldValue::Bool(*value),
            Self::List(texts) => FieldValue::Strings(texts.clone()),
        }
    }
}

fn date(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    let day = match text.len() {
        8 if text.bytes().all(|b| b.is_ascii_digit()) => Date::strptime("%Y%m%d", text),
        _ => text.parse(),
    };
    TimeZone::UTC.to_timestamp(day.ok()?.at(0, 0, 0, 0)).ok()
}

fn since_1970(seconds: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be within the range of timestamps")]
    let milliseconds = (seconds.abs() < 1e11).then_some((seconds * 1000.0).round() as i64)?;
    Timestamp::from_millisecond(milliseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_people_write_them() {
        let date = |value: Value| MetadataType::Date.read(&value).unwrap().to_string();
        assert_eq!(date(json!("2026-11-28")), "2026-11-28T00:00:00Z");
        assert_eq!(date(json!("20261128")), "2026-11-28T00:00:00Z");
        assert_eq!(date(json!("2026-11-28T09:30:00+01:00")), "2026-11-28T08:30:00Z");
        assert_eq!(date(json!(1_700_000_000.5)), "2023-11-14T22:13:20.5Z");
        assert_eq!(MetadataType::Number.read(&json!("3.5")).unwrap(), MetadataValue::Number(3.5));
        assert_eq!(MetadataType::Boolean.read(&json!("true")).unwrap(), MetadataValue::Boolean(true));
        assert_eq!(MetadataType::List.read(&json!(["a", 2])).unwrap().to_string(), "a, 2");
        assert_eq!(MetadataType::String.read(&json!(7)).unwrap(), MetadataValue::from("7"));
        for (kind, wrong) in [
            (MetadataType::Date, json!("yesterday")),
            (MetadataType::Date, json!(1e300)),
            (MetadataType::Number, json!("many")),
            (MetadataType::Number, json!("inf")),
            (MetadataType::Boolean, json!(1)),
            (MetadataType::List, json!([[1]])),
            (MetadataType::String, json!({"a": 1})),
            (MetadataType::String, json!("x".repeat(MAX_TEXT + 1))),
        ] {
            let error = kind.read(&wrong).unwrap_err();
            assert_eq!(error.code(), ErrorCode::MetadataInvalid, "{kind}: {wrong}");
        }
    }

    #[test]
    fn values_come_back_from_documents_and_json() {
        for (kind, value) in [
            (MetadataType::String, MetadataValue::from("Ada")),
            (MetadataType::Number, MetadataValue::from(2.5)),
            (MetadataType::Date, MetadataValue::from(Timestamp::UNIX_EPOCH)),
            (MetadataType::Boolean, MetadataValue::from(false)),
            (MetadataType::List, MetadataValue::from(vec!["a".to_owned()])),
        ] {
            assert_eq!(kind.of_field(&value.to_field()), Some(value.clone()));
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(kind.admit(&serde_json::from_str(&text).unwrap()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn names_are_those_of_fields() {
        let speaker = MetadataName::parse("speaker").unwrap();
        assert_eq!(MetadataName::of_field(&speaker.field().unwrap()), Some(speaker.clone()));
        assert_eq!(MetadataName::of_written("meta.speaker").unwrap(), Some(speaker));
        assert_eq!(MetadataName::of_written("video_id").unwrap(), None);
        assert!(MetadataName::of_written("meta.Speaker").is_err());
        assert!(MetadataName::parse("9").is_err() && MetadataName::parse("x".repeat(49)).is_err());
    }
}
