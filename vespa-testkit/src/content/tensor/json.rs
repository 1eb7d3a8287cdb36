//! Tensors from JSON, in every form that Vespa takes: cells, values, blocks, the direct forms, and hexadecimal digits.

use super::{Cell, Tensor, TensorError, TensorType};
use serde_json::{Map, Value};

/// Reads a tensor. A document's blocks must be whole; in a query's, missing cells are 0 in silence.
pub(crate) fn read_json(json: &Value, tensor_type: &TensorType, whole: bool) -> Result<Tensor, TensorError> {
    let mut reader = Reader { tensor_type, whole, tensor: Tensor::default() };
    reader.read(json)?;
    if tensor_type.mapped.is_empty() {
        reader.tensor.blocks.entry(Vec::new()).or_insert_with(|| vec![0.0; tensor_type.block()]);
    }
    Ok(reader.tensor)
}

struct Reader<'t> {
    tensor_type: &'t TensorType,
    whole: bool,
    tensor: Tensor,
}

impl Reader<'_> {
    fn read(&mut self, json: &Value) -> Result<(), TensorError> {
        let dense = self.tensor_type.mapped.is_empty();
        match json {
            Value::Object(members) => self.members(members),
            Value::String(_) | Value::Array(_) if dense => self.block(Vec::new(), json),
            Value::Number(_) if dense && self.tensor_type.indexed.is_empty() => self.block(Vec::new(), json),
            Value::Array(entries) => entries.iter().try_for_each(|entry| self.entry(entry)),
            other => Err(format!("Expected one of [START_OBJECT, START_ARRAY] but got {}", token(other)).into()),
        }
    }

    fn members(&mut self, members: &Map<String, Value>) -> Result<(), TensorError> {
        let mut direct = true;
        if let Some(cells @ (Value::Array(_) | Value::Object(_))) = members.get("cells") {
            direct = false;
            match cells {
                Value::Array(entries) => entries.iter().try_for_each(|entry| self.entry(entry))?,
                Value::Object(labels) => self.labelled_cells(labels)?,
                _ => {}
            }
        }
        if let Some(blocks @ (Value::Array(_) | Value::Object(_))) = members.get("blocks") {
            direct = false;
            match blocks {
                Value::Array(entries) => entries.iter().try_for_each(|entry| self.entry(entry))?,
                Value::Object(labels) => self.labelled(labels)?,
                _ => {}
            }
        }
        if let Some(values) = members.get("values").filter(|_| self.tensor_type.mapped.is_empty()) {
            direct = false;
            self.block(Vec::new(), values)?;
        }
        if !direct || members.keys().all(|name| name == "type") {
            return Ok(());
        }
        if self.tensor_type.mapped.is_empty() {
            return Err("Expected a tensor value".to_owned().into());
        }
        let labels =
            members.iter().filter(|(name, _)| *name != "type").map(|(name, value)| (name.clone(), value.clone()));
        self.labelled(&labels.collect())
    }

    /// `{"label": cell}` of a tensor with one dimension, or of its mapped one.
    fn labelled_cells(&mut self, labels: &Map<String, Value>) -> Result<(), TensorError> {
        match (self.tensor_type.mapped.as_slice(), self.tensor_type.indexed.as_slice()) {
            ([_], []) => self.labelled(labels),
            _ => Err(format!("Expected a tensor with a single dimension but got '{}'", self.tensor_type).into()),
        }
    }

    fn labelled(&mut self, labels: &Map<String, Value>) -> Result<(), TensorError> {
        let [_] = self.tensor_type.mapped.as_slice() else {
            return Err(
                format!("Expected a tensor with a single mapped dimension but got '{}'", self.tensor_type).into()
            );
        };
        labels.iter().try_for_each(|(label, block)| self.block(vec![label.clone()], block))
    }

    /// `{"address": {…}, "value": 1}` or `{"address": {…}, "values": […]}`.
    fn entry(&mut self, entry: &Value) -> Result<(), TensorError> {
        let Value::Object(members) = entry else {
            return Err(format!("Expected start of JSON object, got {}", token(entry)).into());
        };
        let empty = Map::new();
        let address = members.get("address").and_then(Value::as_object).unwrap_or(&empty);
        let label = |name: &String| -> Result<String, TensorError> {
            match address.get(name) {
                Some(Value::String(label)) => Ok(label.clone()),
                Some(Value::Number(label)) => Ok(label.to_string()),
                _ => Err(format!("Missing a label for dimension '{name}' for {}", self.tensor_type).into()),
            }
        };
        let labels = self.tensor_type.mapped.iter().map(label).collect::<Result<Vec<_>, _>>()?;
        if let Some(values) = members.get("values") {
            return self.block(labels, values);
        }
        let mut place = 0;
        for (name, size) in &self.tensor_type.indexed {
            let label = label(name)?;
            let index: usize = label.parse().map_err(|_| format!("For input string: \"{label}\""))?;
            if index >= *size {
                return Err(TensorError::Broken(format!("Index {index} out of bounds for length {size}")));
            }
            place = place * size + index;
        }
        let value = members.get("value").ok_or_else(|| "Expected a value in a cell".to_owned())?;
        let value = self.tensor_type.cell.hold(number(value)?);
        let size = self.tensor_type.block();
        let block = self.tensor.blocks.entry(labels).or_insert_with(|| vec![0.0; size]);
        if let Some(slot) = block.get_mut(place) {
            *slot = value;
        }
        Ok(())
    }

    fn block(&mut self, labels: Vec<String>, json: &Value) -> Result<(), TensorError> {
        let size = self.tensor_type.block();
        let mut cells = Vec::with_capacity(size);
        match json {
            Value::String(digits) if !self.tensor_type.indexed.is_empty() => cells = unhex(digits, self.tensor_type)?,
            other => flatten(other, &mut cells)?,
        }
        if cells.len() > size {
            let text = format!("Index {size} out of bounds for length {size}");
            return Err(if self.whole { TensorError::Broken(text) } else { TensorError::Wrong(text) });
        }
        if cells.len() < size && self.whole {
            let names = self.tensor_type.mapped.iter().zip(&labels).map(|(name, label)| format!("{name}:{label}"));
            let address = names.collect::<Vec<_>>().join(",");
            return Err(format!("At {{{address}}}: Expected {size} values, but got {}", cells.len()).into());
        }
        cells.resize(size, 0.0);
        let cells = cells.into_iter().map(|value| self.tensor_type.cell.hold(value)).collect();
        self.tensor.blocks.insert(labels, cells);
        Ok(())
    }
}

fn flatten(json: &Value, cells: &mut Vec<f64>) -> Result<(), TensorError> {
    match json {
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, cells)),
        other => {
            cells.push(number(other)?);
            Ok(())
        }
    }
}

fn number(json: &Value) -> Result<f64, TensorError> {
    match json {
        Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => match text.as_str() {
            "NaN" | "nan" => Ok(f64::NAN),
            "Infinity" | "infinity" | "inf" => Ok(f64::INFINITY),
            "-Infinity" | "-infinity" | "-inf" => Ok(f64::NEG_INFINITY),
            other => other.parse().map_err(|_| format!("For input string: \"{other}\"").into()),
        },
        Value::Null => Ok(f64::NAN),
        other => Err(format!("Expected a number, got {}", token(other)).into()),
    }
}

/// Big-endian bits of each cell's value.
fn unhex(digits: &str, tensor_type: &TensorType) -> Result<Vec<f64>, TensorError> {
    let (width, expected) = (tensor_type.cell.digits(), tensor_type.cell.digits() * tensor_type.block());
    let count = digits.chars().count();
    if count != expected {
        return Err(
            format!("Unexpected hex length: Expected {expected} hex digits for {tensor_type} but got {count}").into()
        );
    }
    let mut nibbles = Vec::with_capacity(count);
    for (place, c) in digits.chars().enumerate() {
        let wrong = || format!("Invalid digit '{c}' at index {place} in input {digits}");
        nibbles.push(u64::from(c.to_digit(16).ok_or_else(wrong)?));
    }
    let bits = nibbles.chunks(width).map(|nibbles| nibbles.iter().fold(0, |bits, nibble| bits << 4 | nibble));
    Ok(bits.map(|bits| from_bits(tensor_type.cell, bits)).collect())
}

fn from_bits(cell: Cell, bits: u64) -> f64 {
    match cell {
        Cell::Double => f64::from_bits(bits),
        Cell::Float => f64::from(f32::from_bits(bits as u32)),
        Cell::BFloat16 => f64::from(f32::from_bits((bits as u32) << 16)),
        Cell::Int8 => f64::from(bits as u8 as i8),
    }
}

/// What Vespa's parser calls a value.
pub(crate) fn token(json: &Value) -> &'static str {
    match json {
        Value::Null => "VALUE_NULL",
        Value::Bool(true) => "VALUE_TRUE",
        Value::Bool(false) => "VALUE_FALSE",
        Value::Number(number) if number.is_f64() => "VALUE_NUMBER_FLOAT",
        Value::Number(_) => "VALUE_NUMBER_INT",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}
