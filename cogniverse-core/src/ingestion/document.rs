//! Segments as documents of a schema.

use crate::schemas::Schema;
use cogniverse_sdk::{
    CellType, Document, DocumentId, EncoderInfo, Error, FieldName, FieldValue, Matrix, Result, Tensor, TensorShape,
    TensorType, TimeRange, Timestamp, VectorKind, VideoId,
    document::Fields,
    quantize::{pack_rows, packed_bytes},
    schema::FieldType,
};

/// A stretch of a video, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Segment {
    /// The video.
    pub video_id: VideoId,
    /// Its number in the video.
    pub segment_id: i64,
    /// When.
    pub range: TimeRange,
    /// The video's title.
    pub title: String,
    /// Where the video is.
    pub source_url: String,
    /// What is seen.
    pub description: String,
    /// What is said.
    pub transcript: String,
    /// Its vectors, where they came with it.
    pub vectors: Option<Matrix<f32>>,
}

impl Segment {
    /// Description and transcript: what a text encoder reads.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = [self.description.as_str(), self.transcript.as_str()];
        parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Its document's id.
    ///
    /// # Errors
    /// `InvalidInput` where the id would be too long.
    pub fn document_id(&self) -> Result<DocumentId> {
        segment_document_id(&self.video_id, self.segment_id)
    }
}

/// `<video id>/<segment number>`.
///
/// # Errors
/// `InvalidInput` where the id would be too long.
pub fn segment_document_id(video: &VideoId, segment: i64) -> Result<DocumentId> {
    Ok(DocumentId::parse(format!("{video}/{segment}"))?)
}

/// What a schema wants of segments' vectors.
#[derive(Debug)]
pub(super) struct TensorFields {
    fields: Vec<(FieldName, TensorType)>,
}

impl TensorFields {
    pub(super) fn of(schema: &Schema) -> Self {
        let tensor = |field: &cogniverse_sdk::schema::Field| match &field.field_type {
            FieldType::Tensor(tensor) => Some((field.name.clone(), tensor.clone())),
            _ => None,
        };
        Self { fields: schema.fields().iter().filter_map(tensor).collect() }
    }

    /// Kind and dimensions of an encoder's vectors against every tensor of the schema (invariant 17).
    pub(super) fn check_encoder(&self, info: &EncoderInfo, schema: &Schema) -> Result<()> {
        let misfit = self.fields.iter().find(|(_, tensor)| {
            let shape = if info.kind == VectorKind::Single { TensorShape::Single } else { TensorShape::Multi };
            let size = if tensor.cell() == CellType::Int8 { packed_bytes(info.dims) } else { info.dims };
            tensor.shape() != shape || tensor.size() != size
        });
        match misfit {
            None => Ok(()),
            Some((field, tensor)) => Err(Error::invalid(format!(
                "encoder {} makes {:?} vectors of {} dimensions and field \"{field}\" of schema {} is {tensor}; choose another encoder or schema",
                info.model,
                info.kind,
                info.dims,
                schema.name()
            ))),
        }
    }

    /// Whether a stored document has all its vectors.
    pub(super) fn are_in(&self, fields: &Fields) -> bool {
        self.fields.iter().all(|(name, _)| fields.contains_key(name))
    }

    fn fill(&self, rows: &Matrix<f32>, fields: &mut Fields) -> Result<()> {
        for (name, tensor) in &self.fields {
            let value = match (tensor.cell(), tensor.shape()) {
                (CellType::Int8, TensorShape::Multi) => Tensor::BitRows(pack_rows(rows)?),
                (CellType::Int8, TensorShape::Single) => Tensor::Bits(pack_rows(only(rows)?)?.cells().to_vec()),
                (_, TensorShape::Multi) => Tensor::Vectors(rows.clone()),
                (_, TensorShape::Single) => Tensor::Vector(only(rows)?.cells().to_vec()),
            };
            fields.insert(name.clone(), FieldValue::Tensor(value));
        }
        Ok(())
    }
}

fn only(rows: &Matrix<f32>) -> Result<&Matrix<f32>> {
    match rows.len() {
        1 => Ok(rows),
        count => Err(Error::invalid(format!("{count} vectors for a field that holds one"))),
    }
}

/// Makes documents of segments, with those fields that the schema declares.
pub(super) fn document(
    segment: &Segment,
    schema: &Schema,
    tensors: &TensorFields,
    vectors: Option<&Matrix<f32>>,
    now: Timestamp,
) -> Result<Document> {
    let text = |text: &str| FieldValue::from(text);
    let known: [(&str, FieldValue); 9] = [
        ("video_id", text(segment.video_id.as_str())),
        ("video_title", text(&segment.title)),
        ("source_url", text(&segment.source_url)),
        ("creation_timestamp", FieldValue::Integer(now.as_millisecond())),
        ("segment_id", FieldValue::Integer(segment.segment_id)),
        ("start_time", FieldValue::Float(segment.range.start())),
        ("end_time", FieldValue::Float(segment.range.end())),
        ("segment_description", text(&segment.description)),
        ("audio_transcript", text(&segment.transcript)),
    ];
    let mut fields = Fields::new();
    for (name, value) in known {
        if schema.field(name).is_some() {
            fields.insert(FieldName::parse(name)?, value);
        }
    }
    if let Some(rows) = vectors {
        tensors.fill(rows, &mut fields)?;
    }
    Ok(Document { id: segment.document_id()?, fields })
}

/// Whether a stored document says the same as a new one, whenever either was made. Vectors are not compared.
pub(super) fn says_the_same(stored: &Fields, new: &Fields) -> bool {
    let said = |fields: &Fields| {
        let mut said = fields.clone();
        said.retain(|name, value| name.as_str() != "creation_timestamp" && !matches!(value, FieldValue::Tensor(_)));
        said
    };
    said(stored) == said(new)
}
