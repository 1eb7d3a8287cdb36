//! Tensors: types and values.

mod json;
mod text;
mod types;
mod write;

pub(crate) use json::{read_json, token};
pub(crate) use text::read_query;
pub(crate) use types::{Cell, TensorType};
pub(crate) use write::{Form, write};

use std::collections::BTreeMap;

/// A tensor: one dense block for each combination of labels; a tensor without mapped dimensions has one, without labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tensor {
    pub(crate) blocks: BTreeMap<Vec<String>, Vec<f64>>,
}

/// Why a text or JSON is no tensor of its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TensorError {
    /// Refused as the caller's mistake.
    Wrong(String),
    /// Vespa fails on it: a 500.
    Broken(String),
}

impl From<String> for TensorError {
    fn from(text: String) -> Self {
        Self::Wrong(text)
    }
}
