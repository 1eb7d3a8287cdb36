//! Partial updates: `{"field": {"assign": …}}`.

use super::Refusal;
use crate::content::{
    data_type::DataType,
    sd::{Field, Schema},
    tensor::{self, Cell, Tensor, TensorError},
    value::{Fields, Value},
};
use http::StatusCode;
use serde_json::{Map, Value as Json};

/// One change of one field.
pub(super) struct Change {
    field: String,
    action: Action,
}

enum Action {
    Assign(Option<Value>),
    Arithmetic(fn(f64, f64) -> f64, f64, DataType),
    /// Appends to an array.
    Append(Vec<Value>),
    /// Takes out of an array.
    TakeOut(Vec<Value>),
    AddBlocks(Tensor),
    RemoveBlocks(Vec<Vec<String>>),
    Modify(fn(f64, f64) -> f64, Tensor, Cell),
}

/// Reads the changes of a body.
pub(super) fn read(fields: &Map<String, Json>, schema: &Schema) -> Result<Vec<Change>, Refusal> {
    let mut changes = Vec::new();
    for (name, json) in fields {
        let Json::Object(operations) = json else {
            return Err(Refusal::bad(format!("Expected start of JSON object, got {}", token(json))));
        };
        let field = schema.document_field(name).ok_or_else(|| {
            Refusal::bad(format!("Error in '{name}': No field named '{name}' in document type '{}'", schema.name))
        })?;
        for (operation, operand) in operations {
            let action = action(field, operation, operand)?;
            changes.push(Change { field: name.clone(), action });
        }
    }
    Ok(changes)
}

fn broken(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

fn action(field: &Field, operation: &str, operand: &Json) -> Result<Action, Refusal> {
    let name = &field.name;
    let wrong = |why: &str| Refusal::bad(format!("Error in '{name}': {why}"));
    let refused = |error: TensorError| match error {
        TensorError::Wrong(why) => wrong(&why),
        TensorError::Broken(why) => broken(why),
    };
    let arithmetic = |apply: fn(f64, f64) -> f64| {
        if !field.data_type.is_number() {
            return Err(broken(format!("Expected numeric type, got {}.", field.data_type)));
        }
        let number = match operand {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.parse().ok(),
            _ => None,
        };
        let text = operand.as_str().map_or_else(|| operand.to_string(), str::to_owned);
        let number = number.ok_or_else(|| wrong(&format!("For input string: \"{text}\"")))?;
        Ok(Action::Arithmetic(apply, number, field.data_type.clone()))
    };
    match (operation, &field.data_type) {
        ("assign", data_type) => Ok(Action::Assign(Value::read(operand, data_type).map_err(refused)?)),
        ("increment", _) => arithmetic(|old, new| old + new),
        ("decrement", _) => arithmetic(|old, new| old - new),
        ("multiply", _) => arithmetic(|old, new| old * new),
        ("divide", _) => arithmetic(|old, new| old / new),
        ("add" | "remove", DataType::Array(_)) => {
            let Some(Value::List(items)) = Value::read(operand, &field.data_type).map_err(refused)? else {
                return Err(broken("Expected start of composite, got VALUE_NULL"));
            };
            Ok(if operation == "add" { Action::Append(items) } else { Action::TakeOut(items) })
        }
        ("add", DataType::Tensor(tensor_type)) => {
            Ok(Action::AddBlocks(tensor::read_json(operand, tensor_type, true).map_err(refused)?))
        }
        ("remove", DataType::Tensor(tensor_type)) => {
            let addresses = operand.get("addresses").and_then(Json::as_array);
            let addresses = addresses.ok_or_else(|| wrong("Expected 'addresses' to contain mapped dimensions"))?;
            let labels = |address: &Json| {
                tensor_type.mapped.iter().map(|name| Some(address.get(name)?.as_str()?.to_owned())).collect()
            };
            let labels: Option<Vec<Vec<String>>> = addresses.iter().map(labels).collect();
            Ok(Action::RemoveBlocks(labels.ok_or_else(|| wrong("Missing a label of a mapped dimension"))?))
        }
        ("modify", DataType::Tensor(tensor_type)) => {
            let apply: fn(f64, f64) -> f64 = match operand.get("operation").and_then(Json::as_str) {
                Some("replace") => |_, new| new,
                Some("add") => |old, new| old + new,
                Some("multiply") => |old, new| old * new,
                other => {
                    return Err(wrong(&format!("Unknown operation '{}' in modify update", other.unwrap_or_default())));
                }
            };
            // Cells that are not named are marked, and left as they are.
            let mut marked = operand.clone();
            if let Some(members) = marked.as_object_mut() {
                members.remove("operation");
            }
            let named = named_cells(&marked, tensor_type).map_err(refused)?;
            Ok(Action::Modify(apply, named, tensor_type.cell))
        }
        ("add" | "remove", _) => Err(broken(format!("Expected start of composite, got {}", token(operand)))),
        ("match", data_type) => Err(wrong(&format!("Container type {data_type} not supported for match update."))),
        _ => Err(wrong(&format!("Operation '{operation}' not implemented."))),
    }
}

/// The cells that a modification names; the others are NaN.
fn named_cells(json: &Json, tensor_type: &tensor::TensorType) -> Result<Tensor, TensorError> {
    let mut found = tensor::read_json(json, tensor_type, true)?;
    if let Some(entries) = json.get("cells").and_then(Json::as_array) {
        let mut all = Tensor::default();
        for entry in entries {
            let one = tensor::read_json(&serde_json::json!({"cells": [entry]}), tensor_type, true)?;
            let marker = serde_json::json!({"cells": [{"address": entry.get("address"), "value": 1}]});
            let marker = tensor::read_json(&marker, tensor_type, true)?;
            for ((labels, cells), mark) in one.blocks.into_iter().zip(marker.blocks.into_values()) {
                let block = all.blocks.entry(labels).or_insert_with(|| vec![f64::NAN; cells.len()]);
                let named = block.iter_mut().zip(cells).zip(mark).filter(|(_, mark)| *mark != 0.0);
                named.for_each(|((slot, cell), _)| *slot = cell);
            }
        }
        found = all;
    }
    Ok(found)
}

impl Change {
    /// Changes a document's fields.
    pub(super) fn apply(self, fields: &mut Fields) {
        let name = self.field;
        match self.action {
            Action::Assign(Some(value)) => drop(fields.insert(name, value)),
            Action::Assign(None) => drop(fields.remove(&name)),
            Action::Arithmetic(apply, operand, data_type) => {
                let number = fields.get(&name).and_then(Value::number).unwrap_or(0.0);
                let result = apply(number, operand);
                let value = match data_type {
                    DataType::Float => Value::Real(f64::from(result as f32)),
                    DataType::Double => Value::Real(result),
                    _ => Value::Integer(result as i64),
                };
                fields.insert(name, value);
            }
            Action::Append(items) => match fields.get_mut(&name) {
                Some(Value::List(list)) => list.extend(items),
                _ => drop(fields.insert(name, Value::List(items))),
            },
            Action::TakeOut(items) => {
                if let Some(Value::List(list)) = fields.get_mut(&name) {
                    list.retain(|item| !items.contains(item));
                }
            }
            Action::AddBlocks(added) => match fields.get_mut(&name) {
                Some(Value::Tensor(tensor)) => tensor.blocks.extend(added.blocks),
                _ => drop(fields.insert(name, Value::Tensor(added))),
            },
            Action::RemoveBlocks(labels) => {
                if let Some(Value::Tensor(tensor)) = fields.get_mut(&name) {
                    tensor.blocks.retain(|label, _| !labels.contains(label));
                }
            }
            Action::Modify(apply, named, cell) => {
                let Some(Value::Tensor(tensor)) = fields.get_mut(&name) else { return };
                for (labels, cells) in named.blocks {
                    let Some(block) = tensor.blocks.get_mut(&labels) else { continue };
                    let changed = block.iter_mut().zip(cells).filter(|(_, new)| !new.is_nan());
                    changed.for_each(|(slot, new)| *slot = cell.hold(apply(*slot, new)));
                }
            }
        }
    }
}

pub(super) use tensor::token;
