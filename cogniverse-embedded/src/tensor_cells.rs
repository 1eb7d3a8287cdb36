//! Stored cells of tensors: bfloat16 and float32 little-endian, packed bits unchanged.

use crate::layout::TensorField;
use cogniverse_sdk::{
    CellType, Matrix, Tensor,
    quantize::{from_bf16, to_bf16},
};

/// Encodes a tensor, already checked against its type; floats as bfloat16 where `half`.
pub(crate) fn encode(tensor: &Tensor, half: bool) -> Vec<u8> {
    let floats = |cells: &[f32]| -> Vec<u8> {
        if half {
            cells.iter().flat_map(|cell| to_bf16(*cell).to_le_bytes()).collect()
        } else {
            cells.iter().flat_map(|cell| cell.to_le_bytes()).collect()
        }
    };
    match tensor {
        Tensor::Vector(cells) => floats(cells),
        Tensor::Vectors(rows) => floats(rows.cells()),
        Tensor::Bits(bytes) => bytes.clone(),
        Tensor::BitRows(rows) => rows.cells().to_vec(),
    }
}

/// Decodes a tensor; `None` where the bytes are not whole rows.
pub(crate) fn decode(bytes: &[u8], field: &TensorField) -> Option<Tensor> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(field.row_bytes()) {
        return None;
    }
    let width = field.tensor.size();
    let cells: Vec<f32> = match field.tensor.cell() {
        CellType::Int8 => {
            return Some(if field.is_single() {
                Tensor::Bits(bytes.to_vec())
            } else {
                Tensor::BitRows(Matrix::new(width, bytes.to_vec()).ok()?)
            });
        }
        CellType::BFloat16 => {
            bytes.as_chunks::<2>().0.iter().map(|cell| from_bf16(u16::from_le_bytes(*cell))).collect()
        }
        CellType::Float => bytes.as_chunks::<4>().0.iter().map(|cell| f32::from_le_bytes(*cell)).collect(),
    };
    Some(if field.is_single() { Tensor::Vector(cells) } else { Tensor::Vectors(Matrix::new(width, cells).ok()?) })
}
