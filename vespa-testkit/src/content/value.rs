//! Values of fields, from JSON and back.

use super::{
    data_type::DataType,
    tensor::{self, Form, Tensor, TensorError},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Real(f64),
    Bool(bool),
    List(Vec<Value>),
    Tensor(Tensor),
    /// Of a type that is only kept.
    Json(Json),
}

/// The fields of a document.
pub(crate) type Fields = BTreeMap<String, Value>;

impl Value {
    /// Reads a value of a type; none for `null`.
    pub(crate) fn read(json: &Json, data_type: &DataType) -> Result<Option<Self>, TensorError> {
        if json.is_null() {
            return Ok(None);
        }
        let class = match data_type {
            DataType::String | DataType::Uri => "String",
            DataType::Bool => "Bool",
            DataType::Byte => "Byte",
            DataType::Int => "Integer",
            DataType::Long => "Long",
            DataType::Float => "Float",
            DataType::Double => "Double",
            DataType::Array(_) | DataType::Tensor(_) | DataType::Other(_) => "",
        };
        if !class.is_empty() && (json.is_array() || json.is_object()) {
            let got = if json.is_array() { "array" } else { "object" };
            return Err(format!("Expected a com.yahoo.document.datatypes.{class}FieldValue but got an {got}").into());
        }
        let plain = match json {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let wrong = || format!("For input string: \"{plain}\"");
        let whole = |low: i64, high: i64| -> Result<Self, TensorError> {
            let number = plain.parse().ok().filter(|number| (low..=high).contains(number));
            Ok(Self::Integer(number.ok_or_else(wrong)?))
        };
        let real = || -> Result<f64, TensorError> { Ok(plain.trim().parse().map_err(|_| wrong())?) };
        Ok(Some(match data_type {
            DataType::String | DataType::Uri => {
                if let Some(c) = plain.chars().find(|c| !is_text(*c)) {
                    return Err(
                        format!("The string field value contains illegal code point 0x{:X}", u32::from(c)).into()
                    );
                }
                Self::Text(plain)
            }
            DataType::Bool => Self::Bool(match plain.as_str() {
                "true" => true,
                "false" => false,
                other => return Err(format!("Expected a boolean value but got '{other}'").into()),
            }),
            DataType::Byte => whole(i64::from(i8::MIN), i64::from(i8::MAX))?,
            DataType::Int => whole(i64::from(i32::MIN), i64::from(i32::MAX))?,
            DataType::Long => whole(i64::MIN, i64::MAX)?,
            DataType::Float => Self::Real(f64::from(real()? as f32)),
            DataType::Double => Self::Real(real()?),
            DataType::Array(inner) => {
                let items =
                    json.as_array().ok_or_else(|| format!("Expected an array but got {}", tensor_token(json)))?;
                let items = items.iter().map(|item| Self::read(item, inner)).collect::<Result<Vec<_>, _>>()?;
                Self::List(items.into_iter().flatten().collect())
            }
            DataType::Tensor(tensor_type) => Self::Tensor(tensor::read_json(json, tensor_type, true)?),
            DataType::Other(_) => Self::Json(json.clone()),
        }))
    }

    /// As JSON.
    pub(crate) fn write(&self, data_type: &DataType, form: Form) -> Json {
        match (self, data_type) {
            (Self::Text(text), _) => Json::from(text.as_str()),
            (Self::Integer(number), _) => Json::from(*number),
            (Self::Real(number), DataType::Float) => float(shortest(*number)),
            (Self::Real(number), _) => float(*number),
            (Self::Bool(value), _) => Json::from(*value),
            (Self::List(items), DataType::Array(inner)) => items.iter().map(|item| item.write(inner, form)).collect(),
            (Self::List(items), other) => items.iter().map(|item| item.write(other, form)).collect(),
            (Self::Tensor(tensor), DataType::Tensor(tensor_type)) => tensor::write(tensor, tensor_type, form),
            (Self::Tensor(_), _) => Json::Null,
            (Self::Json(json), _) => json.clone(),
        }
    }

    /// Whether it is a value of a type.
    pub(crate) fn fits(&self, data_type: &DataType) -> bool {
        match (self, data_type) {
            (Self::Text(_), DataType::String | DataType::Uri)
            | (Self::Integer(_), DataType::Byte | DataType::Int | DataType::Long)
            | (Self::Real(_), DataType::Float | DataType::Double)
            | (Self::Bool(_), DataType::Bool)
            | (Self::Json(_), DataType::Other(_)) => true,
            (Self::List(items), DataType::Array(inner)) => items.iter().all(|item| item.fits(inner)),
            (Self::Tensor(tensor), DataType::Tensor(tensor_type)) => tensor
                .blocks
                .iter()
                .all(|(labels, cells)| labels.len() == tensor_type.mapped.len() && cells.len() == tensor_type.block()),
            _ => false,
        }
    }

    /// A number; `true` is 1.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            _ => None,
        }
    }
}

fn tensor_token(json: &Json) -> &'static str {
    if json.is_object() { "an object" } else { "a value" }
}

/// The shortest digits of a float of 32 bits, as a number of 64.
fn shortest(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

fn float(number: f64) -> Json {
    match serde_json::Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number.is_nan() => Json::from("NaN"),
        None => Json::from(if number > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// Code points that a string field takes.
fn is_text(c: char) -> bool {
    let code = u32::from(c);
    (code >= 0x20 || matches!(c, '\t' | '\n' | '\r')) && !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}
