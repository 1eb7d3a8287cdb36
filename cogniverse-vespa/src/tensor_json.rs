//! Tensors on the wire: hexadecimal digits, which are exact, short and quick to write and read.
//!
//! Each cell is its value's bits, big-endian: 2 digits for int8, 4 for bfloat16, 8 for float. One vector is one string; one
//! vector per label is an object of strings. Vespa takes 127 values for `v[128]` and fills up in silence, so lengths are
//! checked before they are sent.

use crate::json_key::Key;
use cogniverse_sdk::{
    CellType, Matrix, Tensor, TensorShape, TensorType,
    quantize::{from_bf16, to_bf16},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

const DIGITS: &[u8; 10] = b"0123456789";

/// Appends a tensor that was checked against its type.
pub(crate) fn write(out: &mut Vec<u8>, tensor: &Tensor, tensor_type: &TensorType) {
    match tensor {
        Tensor::Vector(cells) => write_floats(out, cells, tensor_type.cell()),
        Tensor::Bits(bytes) => write_bytes(out, bytes),
        Tensor::Vectors(rows) => write_rows(out, rows, |out, row| write_floats(out, row, tensor_type.cell())),
        Tensor::BitRows(rows) => write_rows(out, rows, write_bytes),
    }
}

/// Appends one vector of floats.
pub(crate) fn write_floats(out: &mut Vec<u8>, cells: &[f32], cell: CellType) {
    match cell {
        CellType::BFloat16 => {
            write_quoted(out, cells, |value| {
                let [_, _, _, _, rest @ ..] = digits(u32::from(to_bf16(*value)));
                rest
            });
        }
        CellType::Float | CellType::Int8 => write_quoted(out, cells, |value| digits(value.to_bits())),
    }
}

/// Appends one vector of packed bits.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_quoted(out, bytes, |byte| {
        let [.., high, low] = digits(u32::from(*byte));
        [high, low]
    });
}

/// Appends rows labelled from 0.
pub(crate) fn write_rows<T: Copy>(out: &mut Vec<u8>, rows: &Matrix<T>, mut write: impl FnMut(&mut Vec<u8>, &[T])) {
    // The digits of every cell, and a label of up to 5 digits with its quotes for every row.
    out.reserve(size_of_val(rows.cells()) * 2 + rows.len() * 11 + 2);
    out.push(b'{');
    for (label, row) in rows.rows().enumerate() {
        out.extend_from_slice(if label == 0 { b"\"" } else { b",\"" });
        write_number(out, label);
        out.extend_from_slice(b"\":");
        write(out, row);
    }
    out.push(b'}');
}

/// Appends a number in tens: formatting costs more than what it writes.
fn write_number(out: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        write_number(out, number / 10);
    }
    out.extend(DIGITS.get(number % 10));
}

/// Appends every cell's `N` digits, all between quotes. The cells' places are made first, so that no digit asks for room.
fn write_quoted<T, const N: usize>(out: &mut Vec<u8>, cells: &[T], digits: impl Fn(&T) -> [u8; N]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + cells.len() * N, 0);
    let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<N>();
    for (place, cell) in places.iter_mut().zip(cells) {
        *place = digits(cell);
    }
    out.push(b'"');
}

/// The eight digits of a number, all at once: each half-byte in a byte of its own, and then `0` to `9` and `a` to `f`.
fn digits(number: u32) -> [u8; 8] {
    let spread = u64::from(number);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 where a half-byte is above 9: it carries into the fifth bit when 6 is added.
    let letters = ((spread + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let distance = u64::from(b'a' - b'0' - 10);
    (spread + 0x3030_3030_3030_3030 + letters * distance).to_be_bytes()
}

/// Reads a tensor of a type, from strings of digits or lists of numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TensorSeed<'t>(pub(crate) &'t TensorType);

impl<'de> DeserializeSeed<'de> for TensorSeed<'_> {
    type Value = Tensor;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tensor, D::Error> {
        match self.0.shape() {
            TensorShape::Single => {
                let row = deserializer.deserialize_any(RowVisitor(self.0))?;
                Ok(match row {
                    Row::Floats(cells) => Tensor::Vector(cells),
                    Row::Bytes(bytes) => Tensor::Bits(bytes),
                })
            }
            TensorShape::Multi => deserializer.deserialize_map(RowsVisitor(self.0)),
        }
    }
}

enum Row {
    Floats(Vec<f32>),
    Bytes(Vec<u8>),
}

struct RowVisitor<'t>(&'t TensorType);

impl<'de> DeserializeSeed<'de> for RowVisitor<'_> {
    type Value = Row;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowVisitor<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cells as hexadecimal digits or as numbers", self.0.size())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Row, E> {
        let bytes =
            unhex(text).ok_or_else(|| E::custom("a tensor holds something else than pairs of hexadecimal digits"))?;
        let row = match self.0.cell() {
            CellType::Int8 => Row::Bytes(bytes),
            CellType::BFloat16 => {
                Row::Floats(bytes.as_chunks::<2>().0.iter().map(|pair| from_bf16(u16::from_be_bytes(*pair))).collect())
            }
            CellType::Float => {
                Row::Floats(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_be_bytes(*four)).collect())
            }
        };
        let (cells, digits) = match &row {
            Row::Floats(cells) if self.0.cell() == CellType::BFloat16 => (cells.len(), cells.len() * 4),
            Row::Floats(cells) => (cells.len(), cells.len() * 8),
            Row::Bytes(bytes) => (bytes.len(), bytes.len() * 2),
        };
        if cells != self.0.size() || digits != text.len() {
            return Err(E::custom(format!("{} digits do not make a {}", text.len(), self.0)));
        }
        Ok(row)
    }

    #[expect(clippy::cast_possible_truncation, reason = "cells are floats of 32 bits")]
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Row, A::Error> {
        let mut cells = Vec::with_capacity(self.0.size());
        while let Some(cell) = list.next_element::<f64>()? {
            cells.push(cell);
        }
        if cells.len() != self.0.size() {
            return Err(A::Error::custom(format!("{} cells do not make a {}", cells.len(), self.0)));
        }
        Ok(match self.0.cell() {
            CellType::Int8 => Row::Bytes(cells.into_iter().map(|cell| (cell as i8).cast_unsigned()).collect()),
            _ => Row::Floats(cells.into_iter().map(|cell| cell as f32).collect()),
        })
    }
}

struct RowsVisitor<'t>(&'t TensorType);

impl<'de> Visitor<'de> for RowsVisitor<'_> {
    type Value = Tensor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of labelled vectors of {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensor, A::Error> {
        let mut rows: Vec<(u64, Row)> = Vec::new();
        while let Some(Key(label)) = map.next_key()? {
            let number =
                label.parse().map_err(|_| A::Error::custom(format!("the label \"{label}\" is not a number")))?;
            rows.push((number, map.next_value_seed(RowVisitor(self.0))?));
        }
        rows.sort_unstable_by_key(|(label, _)| *label);
        let (mut floats, mut bytes) = (Vec::new(), Vec::new());
        for (_, row) in rows {
            match row {
                Row::Floats(cells) => floats.extend(cells),
                Row::Bytes(cells) => bytes.extend(cells),
            }
        }
        match self.0.cell() {
            CellType::Int8 => Matrix::new(self.0.size(), bytes).map(Tensor::BitRows),
            _ => Matrix::new(self.0.size(), floats).map(Tensor::Vectors),
        }
        .map_err(A::Error::custom)
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn read(text: &str, tensor_type: &str) -> Result<Tensor, serde_json::Error> {
        let tensor_type = TensorType::parse(tensor_type).unwrap();
        TensorSeed(&tensor_type).deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn digits_are_the_bits_of_the_values() {
        let mut out = Vec::new();
        write_floats(&mut out, &[1.0, -2.0], CellType::BFloat16);
        write_floats(&mut out, &[1.0], CellType::Float);
        write_bytes(&mut out, &[0xff, 0x01]);
        assert_eq!(String::from_utf8(out).unwrap(), "\"3f80c000\"\"3f800000\"\"ff01\"");
        assert_eq!(read("\"FF01\"", "tensor<int8>(v[2])").unwrap(), Tensor::Bits(vec![255, 1]));
        assert_eq!(read("[-1, 1.0]", "tensor<int8>(v[2])").unwrap(), Tensor::Bits(vec![255, 1]));
    }

    #[test]
    fn every_byte_is_written_as_its_two_digits() {
        let bytes: Vec<u8> = (0..=255).collect();
        let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut out = Vec::new();
        write_bytes(&mut out, &bytes);
        assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
    }

    #[test]
    fn invariant_17_what_does_not_fit_is_refused() {
        for (text, tensor_type) in [
            ("\"ff\"", "tensor<int8>(v[2])"),
            ("\"fff\"", "tensor<int8>(v[2])"),
            ("\"ffgg\"", "tensor<int8>(v[2])"),
            ("[1]", "tensor<float>(v[2])"),
            ("{\"a\": \"ffff\"}", "tensor<int8>(p{}, v[2])"),
            ("{\"0\": \"ff\"}", "tensor<int8>(p{}, v[2])"),
            ("\"3f8000003f80\"", "tensor<float>(v[2])"),
            ("7", "tensor<float>(v[2])"),
        ] {
            assert!(read(text, tensor_type).is_err(), "{text}");
        }
    }

    /// A query of 20 vectors x 128, both ways. The sizes are asserted always; times mean something in a release build.
    #[test]
    fn digits_are_shorter_than_numbers_and_quicker_to_write() {
        let cells = (0..20 * 128).map(|_| (fastrand::f32() - 0.5) * 0.2).collect();
        let rows = Matrix::new(128, cells).unwrap();
        let by_label: BTreeMap<usize, &[f32]> = rows.rows().enumerate().collect();
        let hex = |out: &mut Vec<u8>| write_rows(out, &rows, |out, row| write_floats(out, row, CellType::Float));
        let json = |out: &mut Vec<u8>| serde_json::to_writer(out, &by_label).unwrap();
        let measured = |write: &dyn Fn(&mut Vec<u8>)| {
            let (mut out, started) = (Vec::new(), std::time::Instant::now());
            for _ in 0..200 {
                out.clear();
                write(&mut out);
            }
            (out.len(), started.elapsed() / 200)
        };
        let ((hex_bytes, hex_time), (json_bytes, json_time)) = (measured(&hex), measured(&json));
        println!("hex: {hex_bytes} bytes in {hex_time:?}; JSON: {json_bytes} bytes in {json_time:?}");
        assert!(hex_bytes * 5 < json_bytes * 4, "{hex_bytes} bytes of hex, {json_bytes} of JSON");
        assert!(cfg!(debug_assertions) || hex_time * 2 < json_time, "hex {hex_time:?}, JSON {json_time:?}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(prop::collection::vec(-1e6f32..1e6, 3), 1..20)) {
            let tensor_type = TensorType::parse("tensor<float>(p{}, v[3])").unwrap();
            let tensor = Tensor::Vectors(Matrix::from_rows(&rows).unwrap());
            let mut out = Vec::new();
            write(&mut out, &tensor, &tensor_type);
            prop_assert_eq!(read(std::str::from_utf8(&out).unwrap(), "tensor<float>(p{}, v[3])").unwrap(), tensor);
        }
    }
}
