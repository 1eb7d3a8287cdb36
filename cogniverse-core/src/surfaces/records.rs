//! Documents as records of a backup: fields as JSON, vectors as bytes.

use cogniverse_sdk::{
    BackupRecord, Document, DocumentId, Error, ErrorCode, FieldName, FieldValue, Matrix, Result, SchemaName, Tensor,
    document::Fields,
    json_problem,
    quantize::{from_bf16, to_bf16},
};
use serde::{Deserialize, Serialize};

/// The description of a document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The base schema.
    document: SchemaName,
    id: DocumentId,
    /// The fields without vectors.
    fields: Fields,
    /// The fields with vectors, in the order of their bytes.
    tensors: Vec<TensorHead>,
}

/// The shape of vectors, whose cells follow: rows one after another, numbers in little-endian order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorHead {
    field: FieldName,
    form: Form,
    cells: Cells,
    /// The number of cells of a row; for bits of bytes.
    width: usize,
    rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Single,
    Multi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cells {
    /// Half of a 32-bit float, where no cell has more digits than that.
    Bfloat16,
    Float32,
    /// Eight packed bits.
    Bits,
}

/// Writes a document.
pub(super) fn of_document(base: &SchemaName, document: Document) -> Result<BackupRecord> {
    let Document { id, fields } = document;
    let mut head = Head { document: base.clone(), id, fields: Fields::new(), tensors: Vec::new() };
    let mut body = Vec::new();
    for (field, value) in fields {
        let FieldValue::Tensor(tensor) = value else {
            head.fields.insert(field, value);
            continue;
        };
        let (form, cells, width, rows) = match &tensor {
            Tensor::Vector(row) => (Form::Single, floats(row, &mut body), row.len(), 1),
            Tensor::Vectors(rows) => (Form::Multi, floats(rows.cells(), &mut body), rows.width(), rows.len()),
            Tensor::Bits(row) => (Form::Single, bits(row, &mut body), row.len(), 1),
            Tensor::BitRows(rows) => (Form::Multi, bits(rows.cells(), &mut body), rows.width(), rows.len()),
        };
        head.tensors.push(TensorHead { field, form, cells, width, rows });
    }
    let head = serde_json::to_value(head)
        .map_err(|e| Error::unexpected("a document cannot be written to a backup").with_source(e))?;
    Ok(BackupRecord::new(head, body))
}

/// Reads a document with its base schema.
pub(super) fn to_document(record: BackupRecord) -> Result<(SchemaName, Document)> {
    let BackupRecord { head, body, .. } = record;
    let head: Head = serde_json::from_value(head).map_err(|e| damaged().with_source(json_problem(&e)))?;
    let (mut fields, mut rest) = (head.fields, &*body);
    for tensor in head.tensors {
        let size = match tensor.cells {
            Cells::Bfloat16 => 2,
            Cells::Float32 => 4,
            Cells::Bits => 1,
        };
        let length = tensor.width.checked_mul(tensor.rows).and_then(|cells| cells.checked_mul(size));
        let (cells, after) = length.and_then(|length| rest.split_at_checked(length)).ok_or_else(damaged)?;
        rest = after;
        let is_single = tensor.form == Form::Single;
        if is_single && tensor.rows != 1 {
            return Err(damaged());
        }
        let value = match (tensor.cells, is_single) {
            (Cells::Bits, true) => Tensor::Bits(cells.to_vec()),
            (Cells::Bits, false) => Tensor::BitRows(Matrix::new(tensor.width, cells.to_vec()).map_err(|_| damaged())?),
            (kind, true) => Tensor::Vector(read_floats(kind, cells)),
            (kind, false) => {
                Tensor::Vectors(Matrix::new(tensor.width, read_floats(kind, cells)).map_err(|_| damaged())?)
            }
        };
        fields.insert(tensor.field, FieldValue::Tensor(value));
    }
    match rest.is_empty() {
        true => Ok((head.document, Document { id: head.id, fields })),
        false => Err(damaged()),
    }
}

fn floats(cells: &[f32], body: &mut Vec<u8>) -> Cells {
    if cells.iter().all(|cell| cell.to_bits().trailing_zeros() >= 16) {
        body.extend(cells.iter().flat_map(|cell| to_bf16(*cell).to_le_bytes()));
        return Cells::Bfloat16;
    }
    body.extend(cells.iter().flat_map(|cell| cell.to_le_bytes()));
    Cells::Float32
}

fn bits(bytes: &[u8], body: &mut Vec<u8>) -> Cells {
    body.extend_from_slice(bytes);
    Cells::Bits
}

fn read_floats(kind: Cells, bytes: &[u8]) -> Vec<f32> {
    match kind {
        Cells::Bfloat16 => bytes.as_chunks::<2>().0.iter().map(|half| from_bf16(u16::from_le_bytes(*half))).collect(),
        _ => bytes.as_chunks::<4>().0.iter().map(|cell| f32::from_le_bytes(*cell)).collect(),
    }
}

fn damaged() -> Error {
    Error::of(ErrorCode::BackupDamaged, "a document of the backup cannot be read; use another backup")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field(name: &str) -> FieldName {
        FieldName::parse(name).unwrap()
    }

    fn round(document: &Document) -> Document {
        let base = SchemaName::parse("frames").unwrap();
        let (read, document) = to_document(of_document(&base, document.clone()).unwrap()).unwrap();
        assert_eq!(read, base);
        document
    }

    proptest! {
        #[test]
        fn a_document_comes_back_to_the_last_bit(
            text in ".{0,40}", number in any::<i64>(),
            cells in proptest::collection::vec(-1e30_f32..1e30, 1..24), halves in any::<bool>(),
        ) {
            let cells: Vec<f32> =
                cells.into_iter().map(|cell| if halves { from_bf16(to_bf16(cell)) } else { cell }).collect();
            let bytes: Vec<u8> = cells.iter().map(|cell| cell.to_bits() as u8).collect();
            let document = Document::new(DocumentId::parse("v/1").unwrap())
                .with(field("a"), text.as_str())
                .with(field("b"), number)
                .with(field("c"), Tensor::Vector(cells.clone()))
                .with(field("d"), Tensor::Vectors(Matrix::new(1, cells).unwrap()))
                .with(field("e"), Tensor::Bits(bytes.clone()))
                .with(field("f"), Tensor::BitRows(Matrix::new(1, bytes).unwrap()));
            prop_assert_eq!(round(&document), document);
        }
    }

    #[test]
    fn half_precision_takes_half_the_bytes_and_a_cut_is_refused() {
        let base = SchemaName::parse("frames").unwrap();
        let of = |cells: Vec<f32>| {
            let document = Document::new(DocumentId::parse("v").unwrap()).with(field("c"), Tensor::Vector(cells));
            of_document(&base, document).unwrap()
        };
        assert_eq!(of(vec![0.5, -0.0, 1.0]).body.len(), 6);
        let mut record = of(vec![0.1, 1.0]);
        assert_eq!(record.body.len(), 8);
        record.body.pop();
        assert_eq!(to_document(record.clone()).unwrap_err().code(), ErrorCode::BackupDamaged);
        record.body.extend([0, 0]);
        assert_eq!(to_document(record).unwrap_err().code(), ErrorCode::BackupDamaged);
    }
}
