//! Tensors of queries: JSON, or Vespa's own notation (`{{x:a,y:0}:1.5}`, `{a:[1,2]}`, `[1,2]`, `tensor(x[2]):[1,2]`, digits).

use super::{Tensor, TensorError, TensorType, read_json};
use serde_json::{Map, Value, json};

/// Reads a query's tensor of a type.
pub(crate) fn read_query(text: &str, tensor_type: &TensorType) -> Result<Tensor, String> {
    let wrong = |why: &str| format!("Could not parse '{text}' as a tensor of type {tensor_type}: {why}");
    let mut body = text.trim();
    if body.starts_with("tensor") {
        body = body.split_once(':').map_or("", |(_, rest)| rest).trim();
    }
    let json = serde_json::from_str(body).ok().filter(|json| matches!(json, Value::Object(_) | Value::Array(_)));
    let json = match json {
        Some(json) => json,
        None if body.starts_with(['{', '[']) => {
            let mut reader = Reader { rest: body };
            let json = reader.value(tensor_type).map_err(|why| wrong(&why))?;
            if !reader.rest.trim().is_empty() {
                return Err(wrong("Unexpected text after the tensor"));
            }
            json
        }
        None if tensor_type.mapped.is_empty() && body.chars().all(|c| c.is_ascii_hexdigit()) && !body.is_empty() => {
            Value::from(body)
        }
        None => return Err(wrong("Expected a number, hex string, or a string starting by {, [ or tensor(...)")),
    };
    read_json(&json, tensor_type, false).map_err(|error| match error {
        TensorError::Wrong(why) | TensorError::Broken(why) => wrong(&why),
    })
}

/// Vespa's notation, turned into the JSON that says the same.
struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn take(&mut self, c: char) -> bool {
        let trimmed = self.rest.trim_start();
        self.rest = trimmed.strip_prefix(c).unwrap_or(trimmed);
        self.rest.len() < trimmed.len()
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.take(c) {
            Ok(())
        } else {
            Err(format!("Expected a '{c}' but got '{}'", self.rest.chars().next().unwrap_or(' ')))
        }
    }

    fn word(&mut self) -> Result<String, String> {
        let trimmed = self.rest.trim_start();
        if let Some(quote) = trimmed.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let (word, rest) = trimmed
                .get(1..)
                .and_then(|rest| rest.split_once(quote))
                .ok_or_else(|| "Expected a closing quote".to_owned())?;
            self.rest = rest;
            return Ok(word.to_owned());
        }
        let end = trimmed.find([',', ':', '{', '}', '[', ']']).unwrap_or(trimmed.len());
        let (word, rest) = trimmed.split_at(end);
        self.rest = rest;
        let word = word.trim();
        if word.is_empty() { Err("Expected a label or a number".to_owned()) } else { Ok(word.to_owned()) }
    }

    fn value(&mut self, tensor_type: &TensorType) -> Result<Value, String> {
        if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value(tensor_type)?);
                if !self.take(',') {
                    self.expect(']')?;
                    break;
                }
            }
            return Ok(Value::Array(items));
        }
        if !self.take('{') {
            return self.word().map(Value::from);
        }
        let (mut cells, mut labels) = (Vec::new(), Map::new());
        let names = || tensor_type.mapped.iter().chain(tensor_type.indexed.iter().map(|(name, _)| name));
        let only = (names().count() == 1).then(|| names().next()).flatten();
        while !self.take('}') {
            if self.take('{') {
                let address = self.address()?;
                self.expect(':')?;
                cells.push(cell(address, self.value(tensor_type)?));
            } else {
                let label = self.word()?;
                self.expect(':')?;
                match (self.value(tensor_type)?, only) {
                    (number @ Value::String(_), Some(name)) => {
                        cells.push(cell(Map::from_iter([(name.clone(), Value::from(label))]), number));
                    }
                    // `{x:a,y:0}:1`, the form of one cell without braces around it, does not come here.
                    (block, _) => drop(labels.insert(label, block)),
                }
            }
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        Ok(if labels.is_empty() { json!({"cells": cells}) } else { Value::Object(labels) })
    }

    fn address(&mut self) -> Result<Map<String, Value>, String> {
        let mut address = Map::new();
        while !self.take('}') {
            let name = self.word()?;
            self.expect(':')?;
            let label = self.word()?;
            address.insert(name, Value::from(label));
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        Ok(address)
    }
}

fn cell(address: Map<String, Value>, value: Value) -> Value {
    let key = if value.is_array() { "values" } else { "value" };
    json!({"address": address, key: value})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, tensor_type: &str) -> Result<Vec<(String, Vec<f64>)>, String> {
        let tensor = read_query(text, &TensorType::parse(tensor_type).unwrap())?;
        Ok(tensor.blocks.into_iter().map(|(labels, cells)| (labels.join(","), cells)).collect())
    }

    #[test]
    fn one_tensor_in_every_notation() {
        let mixed = vec![("a".to_owned(), vec![1.0, 2.0])];
        for text in [
            r#"{"a":[1,2]}"#,
            "{a:[1,2]}",
            "{{x:a,y:0}:1,{x:a,y:1}:2}",
            "tensor<float>(x{},y[2]):{a:[1,2]}",
            r#"{"blocks":{"a":[1,2]}}"#,
            r#"{"cells":[{"address":{"x":"a","y":"0"},"value":1},{"address":{"x":"a","y":"1"},"value":2}]}"#,
            r#"{"a":"3f80000040000000"}"#,
        ] {
            assert_eq!(read(text, "tensor<float>(x{},y[2])").unwrap(), mixed, "{text}");
        }
        assert_eq!(read("ff01", "tensor<int8>(y[2])").unwrap(), [(String::new(), vec![-1.0, 1.0])]);
        assert_eq!(read("[1, 2]", "tensor(y[2])").unwrap(), [(String::new(), vec![1.0, 2.0])]);
        assert_eq!(read("{{y:1}:3}", "tensor(y[2])").unwrap(), [(String::new(), vec![0.0, 3.0])]);
        assert_eq!(read("{a:1}", "tensor(x{})").unwrap(), [("a".to_owned(), vec![1.0])]);
        assert_eq!(
            read("[1]", "tensor(y[2])").unwrap(),
            [(String::new(), vec![1.0, 0.0])],
            "in silence, as Vespa does"
        );
        for text in ["zz", "", "[1,2,3]", "{a:", "{\"0\":\"ff\"}", "5"] {
            assert!(read(text, "tensor<int8>(x{},y[2])").is_err(), "{text}");
        }
    }
}
