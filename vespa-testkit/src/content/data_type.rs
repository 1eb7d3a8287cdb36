//! The types of fields.

use super::tensor::TensorType;
use std::fmt;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DataType {
    String,
    Uri,
    Bool,
    Byte,
    Int,
    Long,
    Float,
    Double,
    Array(Box<DataType>),
    Tensor(TensorType),
    /// Weighted sets, maps, positions, structs: kept as the JSON that came.
    Other(String),
}

impl DataType {
    /// From a schema; `structs` are the struct types that it declares.
    pub(crate) fn parse(text: &str, structs: &[String]) -> Result<Self, TypeError> {
        let text = text.trim();
        Ok(match text {
            "string" => Self::String,
            "uri" => Self::Uri,
            "bool" => Self::Bool,
            "byte" => Self::Byte,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" | "float16" => Self::Float,
            "double" => Self::Double,
            "raw" | "position" | "predicate" => Self::Other(text.to_owned()),
            tensor if tensor.starts_with("tensor") => {
                Self::Tensor(TensorType::parse(tensor).map_err(TypeError::Tensor)?)
            }
            other => {
                let inner = |name: &str| other.strip_prefix(name)?.trim().strip_prefix('<')?.strip_suffix('>');
                if let Some(inner) = inner("array") {
                    Self::Array(Box::new(Self::parse(inner, structs)?))
                } else if inner("weightedset").is_some() || inner("map").is_some() || inner("reference").is_some() {
                    Self::Other(other.chars().filter(|c| !c.is_whitespace()).collect())
                } else if structs.iter().any(|name| name == other) {
                    Self::Other(other.to_owned())
                } else {
                    return Err(TypeError::Unknown(other.to_owned()));
                }
            }
        })
    }

    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::String | Self::Uri => true,
            Self::Array(inner) => inner.is_text(),
            _ => false,
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Byte | Self::Int | Self::Long | Self::Float | Self::Double)
    }

    pub(crate) fn tensor(&self) -> Option<&TensorType> {
        if let Self::Tensor(tensor) = self { Some(tensor) } else { None }
    }
}

/// Why a type is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TypeError {
    Unknown(String),
    Tensor(String),
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Uri => f.write_str("uri"),
            Self::Bool => f.write_str("bool"),
            Self::Byte => f.write_str("byte"),
            Self::Int => f.write_str("int"),
            Self::Long => f.write_str("long"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Array(inner) => write!(f, "Array<{inner}>"),
            Self::Tensor(tensor) => write!(f, "{tensor}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
