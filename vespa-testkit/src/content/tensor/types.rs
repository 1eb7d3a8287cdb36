//! `tensor<int8>(patch{},v[16])`

use std::fmt;

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    Double,
    Float,
    BFloat16,
    Int8,
}

impl Cell {
    /// Hexadecimal digits of a cell.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Double => 16,
            Self::Float => 8,
            Self::BFloat16 => 4,
            Self::Int8 => 2,
        }
    }

    /// The value as such a cell holds it: what does not fit is cut, without a word.
    pub(crate) fn hold(self, value: f64) -> f64 {
        match self {
            Self::Double => value,
            Self::Float => f64::from(value as f32),
            Self::BFloat16 => f64::from(f32::from_bits((value as f32).to_bits() & 0xffff_0000)),
            Self::Int8 => f64::from(value as i32 as i8),
        }
    }
}

/// A tensor's type; dimensions are in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TensorType {
    pub(crate) cell: Cell,
    pub(crate) mapped: Vec<String>,
    pub(crate) indexed: Vec<(String, usize)>,
}

impl TensorType {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("Illegal tensor type '{text}'");
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let rest = plain.strip_prefix("tensor").ok_or_else(wrong)?;
        let (cell, rest) = match rest.strip_prefix('<') {
            None => (Cell::Double, rest),
            Some(rest) => {
                let (cell, rest) = rest.split_once('>').ok_or_else(wrong)?;
                let cell = match cell {
                    "double" => Cell::Double,
                    "float" => Cell::Float,
                    "bfloat16" => Cell::BFloat16,
                    "int8" => Cell::Int8,
                    _ => return Err(wrong()),
                };
                (cell, rest)
            }
        };
        let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(wrong)?;
        let mut found = Self { cell, mapped: Vec::new(), indexed: Vec::new() };
        for dimension in inner.split(',').filter(|dimension| !dimension.is_empty()) {
            let end = dimension.find(['{', '[']).ok_or_else(wrong)?;
            let (name, kind) = dimension.split_at(end);
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(wrong());
            }
            match kind {
                "{}" => found.mapped.push(name.to_owned()),
                "[]" => return Err("Dense tensor dimensions must have a size".to_owned()),
                size => {
                    let size = size.strip_prefix('[').and_then(|size| size.strip_suffix(']')).ok_or_else(wrong)?;
                    let size = size.parse().ok().filter(|size| (1..=1 << 24).contains(size)).ok_or_else(wrong)?;
                    found.indexed.push((name.to_owned(), size));
                }
            }
        }
        found.mapped.sort();
        found.indexed.sort();
        Ok(found)
    }

    /// Cells of one dense block.
    pub(crate) fn block(&self) -> usize {
        self.indexed.iter().map(|(_, size)| size).product()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = match self.cell {
            Cell::Double => "",
            Cell::Float => "<float>",
            Cell::BFloat16 => "<bfloat16>",
            Cell::Int8 => "<int8>",
        };
        let mapped = self.mapped.iter().map(|name| (name, format!("{name}{{}}")));
        let indexed = self.indexed.iter().map(|(name, size)| (name, format!("{name}[{size}]")));
        let mut dimensions: Vec<(&String, String)> = mapped.chain(indexed).collect();
        dimensions.sort();
        let dimensions: Vec<String> = dimensions.into_iter().map(|(_, text)| text).collect();
        write!(f, "tensor{cell}({})", dimensions.join(","))
    }
}
