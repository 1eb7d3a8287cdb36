//! Tensor types in the notation of schema files: `tensor<bfloat16>(patch{}, v[128])`.

use crate::{Error, Result};
use std::fmt;

/// The type of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellType {
    /// A 32-bit float.
    Float,
    /// The upper 16 bits of a 32-bit float.
    BFloat16,
    /// One byte, which always holds eight packed sign bits.
    Int8,
}

/// The number of vectors in a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TensorShape {
    /// A single vector.
    Single,
    /// One vector per label of a mapped dimension (late interaction).
    Multi,
}

/// A tensor type with at most one mapped and exactly one indexed dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TensorType {
    cell: CellType,
    mapped: Option<String>,
    indexed: String,
    size: usize,
}

/// The largest accepted size of the indexed dimension: above any known encoder, and small enough that sizes never
/// overflow.
const MAX_SIZE: usize = 65_536;

impl TensorType {
    /// Parses `tensor<cell>(mapped{}, indexed[size])`.
    ///
    /// # Errors
    /// `InvalidInput` that states the expected notation.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "invalid tensor type \"{text}\": {why}; write tensor<float|bfloat16|int8>(name{{}}, v[N]) or tensor<…>(v[N])"
            ))
        };
        let inner = text.trim().strip_prefix("tensor").ok_or_else(|| wrong("it does not start with \"tensor\""))?;
        let (cell, dims) = match inner.strip_prefix('<') {
            Some(rest) => rest.split_once('>').ok_or_else(|| wrong("\"<\" is never closed"))?,
            None => return Err(wrong("it names no cell type")),
        };
        let cell = match cell.trim() {
            "float" => CellType::Float,
            "bfloat16" => CellType::BFloat16,
            "int8" => CellType::Int8,
            other => return Err(wrong(&format!("unknown cell type \"{other}\""))),
        };
        let dims = dims
            .trim()
            .strip_prefix('(')
            .and_then(|d| d.strip_suffix(')'))
            .ok_or_else(|| wrong("its dimensions are not in parentheses"))?;
        let (mut mapped, mut indexed) = (None, None);
        for dim in dims.split(',').map(str::trim) {
            if let Some(name) = dim.strip_suffix("{}") {
                if mapped.replace(dimension(name).ok_or_else(|| wrong("a dimension has no plain name"))?).is_some() {
                    return Err(wrong("it has more than one mapped dimension"));
                }
            } else {
                let (name, size) = dim
                    .strip_suffix(']')
                    .and_then(|d| d.split_once('['))
                    .ok_or_else(|| wrong("a dimension is neither name{} nor name[N]"))?;
                let name = dimension(name).ok_or_else(|| wrong("a dimension has no plain name"))?;
                let size = size.trim().parse().ok().filter(|n| (1..=MAX_SIZE).contains(n));
                let size: usize = size.ok_or_else(|| wrong("the size is not a number from 1 to 65536"))?;
                if indexed.replace((name, size)).is_some() {
                    return Err(wrong("it has more than one indexed dimension"));
                }
            }
        }
        let (indexed, size) = indexed.ok_or_else(|| wrong("it has no indexed dimension"))?;
        Ok(Self { cell, mapped, indexed, size })
    }

    /// Returns the cell type.
    #[must_use]
    pub fn cell(&self) -> CellType {
        self.cell
    }

    /// Returns the same type with another vector size.
    ///
    /// # Errors
    /// `InvalidInput` for a size outside 1 to 65,536.
    pub fn with_size(&self, size: usize) -> Result<Self> {
        if !(1..=MAX_SIZE).contains(&size) {
            return Err(Error::invalid(format!("vectors of {size} cells; give 1 to {MAX_SIZE}")));
        }
        Ok(Self { size, ..self.clone() })
    }

    /// Returns the shape.
    #[must_use]
    pub fn shape(&self) -> TensorShape {
        if self.mapped.is_some() { TensorShape::Multi } else { TensorShape::Single }
    }

    /// Returns the name of the mapped dimension, such as `patch`.
    #[must_use]
    pub fn mapped(&self) -> Option<&str> {
        self.mapped.as_deref()
    }

    /// Returns the name of the indexed dimension, such as `v`.
    #[must_use]
    pub fn indexed(&self) -> &str {
        &self.indexed
    }

    /// Returns the number of cells in a vector: floats, or bytes of eight bits each.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }
}

fn dimension(name: &str) -> Option<String> {
    let name = name.trim();
    let plain = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    plain.then(|| name.to_owned())
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = match self.cell {
            CellType::Float => "float",
            CellType::BFloat16 => "bfloat16",
            CellType::Int8 => "int8",
        };
        match &self.mapped {
            Some(mapped) => write!(f, "tensor<{cell}>({mapped}{{}}, {}[{}])", self.indexed, self.size),
            None => write!(f, "tensor<{cell}>({}[{}])", self.indexed, self.size),
        }
    }
}

impl TryFrom<String> for TensorType {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<TensorType> for String {
    fn from(tensor: TensorType) -> Self {
        tensor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_what_the_schemas_use() {
        for text in ["tensor<bfloat16>(patch{}, v[128])", "tensor<int8>(v[96])", "tensor<float>(querytoken{}, v[384])"]
        {
            assert_eq!(TensorType::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(TensorType::parse("tensor<float>(v[4], p{})").unwrap().shape(), TensorShape::Multi);
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "tensor",
            "tensor(v[3])",
            "tensor<double>(v[3])",
            "tensor<float>(v[0])",
            "tensor<float>(v[])",
            "tensor<float>(p{})",
            "tensor<float>(v[3],w[4])",
            "tensor<float>(v[99999999])",
            "tensor<float>v[3]",
            "tensor<float>(v[-1])",
        ] {
            let error = TensorType::parse(text).unwrap_err();
            assert!(error.to_string().contains("write tensor<"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn invariant_25_never_panics(text in "\\PC{0,40}", tail in "tensor<[a-z0-9]{0,9}>\\([a-z{}\\[\\]0-9, ]{0,30}\\)") {
            let _ = TensorType::parse(&text);
            if let Ok(parsed) = TensorType::parse(&tail) {
                prop_assert_eq!(TensorType::parse(&parsed.to_string()).unwrap(), parsed);
            }
        }
    }
}
