//! Tensors as JSON, in the forms of `format.tensors`.

use super::{Cell, Tensor, TensorType};
use serde_json::{Map, Value, json};

/// How tensors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    long: bool,
    hex: bool,
    /// Without the type around it.
    bare: bool,
}

impl Form {
    /// From `format.tensors`; an unknown one is `short`.
    pub(crate) fn named(name: Option<&str>) -> Self {
        let name = name.unwrap_or_default();
        let kind = name.strip_suffix("-value");
        let bare = kind.is_some();
        match kind.unwrap_or(name) {
            "long" => Self { long: true, hex: false, bare },
            "hex" => Self { long: false, hex: true, bare },
            "short" => Self { long: false, hex: false, bare },
            _ => Self { long: false, hex: false, bare: false },
        }
    }
}

/// Writes a tensor.
pub(crate) fn write(tensor: &Tensor, tensor_type: &TensorType, form: Form) -> Value {
    let (name, inner) =
        if form.long { ("cells", cells(tensor, tensor_type)) } else { short(tensor, tensor_type, form) };
    if form.bare { inner } else { json!({"type": tensor_type.to_string(), name: inner}) }
}

fn short(tensor: &Tensor, tensor_type: &TensorType, form: Form) -> (&'static str, Value) {
    let block = |cells: &[f64]| {
        if form.hex { hex(cells, tensor_type.cell) } else { nested(cells, &tensor_type.indexed, tensor_type.cell) }
    };
    match (tensor_type.mapped.as_slice(), tensor_type.indexed.is_empty()) {
        ([], _) => ("values", tensor.blocks.values().next().map_or(Value::Null, |cells| block(cells))),
        ([_], true) => {
            let cell = |cells: &Vec<f64>| value(cells.first().copied().unwrap_or_default(), tensor_type.cell);
            ("cells", labelled(tensor, cell))
        }
        ([_], false) => ("blocks", labelled(tensor, |cells| block(cells))),
        (_, true) => ("cells", cells(tensor, tensor_type)),
        (names, false) => {
            let one = |(labels, cells): (&Vec<String>, &Vec<f64>)| json!({"address": address(names, labels), "values": block(cells)});
            ("blocks", tensor.blocks.iter().map(one).collect())
        }
    }
}

fn labelled(tensor: &Tensor, write: impl Fn(&Vec<f64>) -> Value) -> Value {
    let named = tensor.blocks.iter().map(|(labels, cells)| (labels.first().cloned().unwrap_or_default(), write(cells)));
    Value::Object(named.collect())
}

fn address(names: &[String], labels: &[String]) -> Map<String, Value> {
    names.iter().zip(labels).map(|(name, label)| (name.clone(), Value::from(label.clone()))).collect()
}

fn cells(tensor: &Tensor, tensor_type: &TensorType) -> Value {
    let mut out = Vec::new();
    for (labels, cells) in &tensor.blocks {
        for (place, cell) in cells.iter().enumerate() {
            let mut address = address(&tensor_type.mapped, labels);
            let mut rest = place;
            for (name, size) in tensor_type.indexed.iter().rev() {
                address.insert(name.clone(), Value::from((rest % size).to_string()));
                rest /= size;
            }
            out.push(json!({"address": address, "value": value(*cell, tensor_type.cell)}));
        }
    }
    Value::Array(out)
}

fn nested(cells: &[f64], indexed: &[(String, usize)], cell: Cell) -> Value {
    match indexed {
        [] | [_] => cells.iter().map(|c| value(*c, cell)).collect(),
        [(_, size), rest @ ..] => {
            cells.chunks((cells.len() / size).max(1)).map(|part| nested(part, rest, cell)).collect()
        }
    }
}

fn value(number: f64, cell: Cell) -> Value {
    if cell == Cell::Int8 {
        return Value::from(number as i64);
    }
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::from("NaN"),
        None => Value::from(if number > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

fn hex(cells: &[f64], cell: Cell) -> Value {
    let one = |value: &f64| match cell {
        Cell::Double => format!("{:016X}", value.to_bits()),
        Cell::Float => format!("{:08X}", (*value as f32).to_bits()),
        Cell::BFloat16 => format!("{:04X}", (*value as f32).to_bits() >> 16),
        Cell::Int8 => format!("{:02X}", *value as i8),
    };
    Value::from(cells.iter().map(one).collect::<String>())
}
