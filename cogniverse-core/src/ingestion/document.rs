//! Conversion of segments to documents.

use crate::{
    schemas::{
        Schema,
        provenance::{EMBEDDING_MODEL, PROFILE},
    },
    text::{LANGUAGE_FIELD, cleaned},
};
use cogniverse_sdk::{
    CellType, Document, DocumentId, EncoderInfo, Error, ErrorCode, FieldName, FieldValue, Matrix, Metadata,
    MetadataName, ProfileName, Result, SchemaName, Tensor, TensorShape, TensorType, TimeRange, Timestamp, VectorKind,
    VideoId,
    document::Fields,
    quantize::{pack_rows, packed_bytes},
    schema::FieldType,
};

/// A segment of a video, to be stored as a document.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Segment {
    /// The id of the video.
    pub video_id: VideoId,
    /// The number of the segment within the video.
    pub segment_id: i64,
    /// The time range.
    pub range: TimeRange,
    /// The title of the video.
    pub title: String,
    /// The location of the video.
    pub source_url: String,
    /// The description of what is visible.
    pub description: String,
    /// The transcript of what is said.
    pub transcript: String,
    /// The time of recording of the video, where it is known.
    pub recorded_at: Option<Timestamp>,
    /// The metadata of the video.
    pub metadata: Metadata,
    /// The text that stands on screen, one line each.
    pub screen_text: String,
    /// The language of the texts, as a code of ISO 639: by it their words are analyzed. `None` analyzes them by their script.
    pub language: Option<String>,
    /// Vectors supplied with the segment, if any.
    pub vectors: Option<Matrix<f32>>,
    /// What stays as it is stored.
    pub(super) keeps: Keeps,
}

/// What a run did not look at, or could not see: it stays as it is stored of the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keeps {
    pub(super) description: bool,
    pub(super) screen_text: bool,
}

impl Segment {
    /// Returns the description, the transcript and the text on screen, which text encoders read.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = [self.description.as_str(), self.transcript.as_str(), self.screen_text.as_str()];
        parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Takes over from the stored document what it [`Keeps`].
    pub(super) fn keep(&mut self, stored: &Document) {
        let is_at = |field: &str, time: f64| {
            stored.get(field).and_then(FieldValue::as_f64).is_some_and(|stored| (stored - time).abs() < 1e-9)
        };
        if !(is_at("start_time", self.range.start()) && is_at("end_time", self.range.end())) {
            return;
        }
        if self.keeps.description && self.description.is_empty() {
            stored.text("segment_description").clone_into(&mut self.description);
        }
        if self.keeps.screen_text && self.screen_text.is_empty() {
            stored.text("screen_text").clone_into(&mut self.screen_text);
        }
    }

    /// Returns the id of the segment's document.
    ///
    /// # Errors
    /// `InvalidInput` where the id would be too long.
    pub fn document_id(&self) -> Result<DocumentId> {
        segment_document_id(&self.video_id, self.segment_id)
    }
}

/// Returns `<video id>/<segment number>`, the document id in a profile that has the name of its schema.
///
/// # Errors
/// `InvalidInput` where the id would be too long.
pub fn segment_document_id(video: &VideoId, segment: i64) -> Result<DocumentId> {
    Ok(DocumentId::parse(format!("{video}/{segment}"))?)
}

/// The profile that cut the segments, as it appears in their ids and documents: several profiles of one schema store
/// their segments side by side.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    profile: ProfileName,
    /// Whether the profile's name differs from the schema's and is therefore part of the id.
    named: bool,
}

impl Cut {
    pub(super) fn new(profile: ProfileName, schema: &SchemaName) -> Self {
        let named = profile.as_str() != schema.as_str();
        Self { profile, named }
    }

    pub(super) fn profile(&self) -> &ProfileName {
        &self.profile
    }

    /// Returns `<video id>/<segment number>`, with `@<profile>` appended where the profile's name differs from its
    /// schema's.
    pub(super) fn id(&self, video: &VideoId, segment: i64) -> Result<DocumentId> {
        match self.named {
            false => segment_document_id(video, segment),
            true => Ok(DocumentId::parse(format!("{video}/{segment}@{}", self.profile))?),
        }
    }

    /// Parses the segment number of an id, if it is one of this profile for the video.
    pub(super) fn number(&self, video: &VideoId, id: &DocumentId) -> Option<i64> {
        let rest = id.as_str().strip_prefix(video.as_str())?.strip_prefix('/')?;
        let number = match rest.split_once('@') {
            None if !self.named => rest,
            Some((number, profile)) if self.named && profile == self.profile.as_str() => number,
            _ => return None,
        };
        number.parse().ok()
    }
}

/// The field of text on screen.
const SCREEN_TEXT: &str = "screen_text";

/// Fields that hold a video's location, title and language. Those of metadata are alike: nothing is encoded of them.
const NAMES: [&str; 3] = ["source_url", "video_title", LANGUAGE_FIELD];
/// The field of the time of recording, or of storing where that is not known.
const TIME: &str = "creation_timestamp";

/// The tensor fields of a schema that take segment vectors.
#[derive(Debug)]
pub(super) struct TensorFields {
    fields: Vec<(FieldName, TensorType)>,
}

/// Checks whether an encoder's vectors fit every tensor of a schema.
pub(crate) fn check_fit(info: &EncoderInfo, schema: &Schema) -> Result<()> {
    TensorFields::of(schema).check_encoder(info, schema)
}

impl TensorFields {
    pub(super) fn of(schema: &Schema) -> Self {
        let tensor = |field: &cogniverse_sdk::schema::Field| match &field.field_type {
            FieldType::Tensor(tensor) => Some((field.name.clone(), tensor.clone())),
            _ => None,
        };
        Self { fields: schema.fields().iter().filter_map(tensor).collect() }
    }

    /// Checks the kind and dimensions of an encoder's vectors against every tensor of the schema ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
    pub(super) fn check_encoder(&self, info: &EncoderInfo, schema: &Schema) -> Result<()> {
        let misfit = self.fields.iter().find(|(_, tensor)| {
            let shape = if info.kind == VectorKind::Single { TensorShape::Single } else { TensorShape::Multi };
            let size = if tensor.cell() == CellType::Int8 { packed_bytes(info.dims) } else { info.dims };
            tensor.shape() != shape || tensor.size() != size
        });
        match misfit {
            None => Ok(()),
            Some((field, tensor)) => Err(Error::of(
                ErrorCode::EncoderMismatch,
                format!(
                    "encoder {} makes {:?} vectors of {} dimensions and field \"{field}\" of schema {} is {tensor}; choose another encoder or schema",
                    info.model,
                    info.kind,
                    info.dims,
                    schema.name()
                ),
            )),
        }
    }

    /// Returns whether a stored document has all its vectors.
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

/// Converts a segment to a document with the fields that the schema declares. The provenance fields name the profile
/// and the model of the vectors.
pub(super) fn document(
    segment: &Segment,
    schema: &Schema,
    tensors: &TensorFields,
    vectors: Option<&Matrix<f32>>,
    origin: (&Cut, &str),
    now: Timestamp,
) -> Result<Document> {
    // What a file's bytes left there costs no segment.
    let text = |text: &str| FieldValue::from(&*cleaned(text));
    let (cut, model) = origin;
    let known: [(&str, FieldValue); 12] = [
        (PROFILE, text(cut.profile.as_str())),
        (EMBEDDING_MODEL, text(model)),
        ("video_id", text(segment.video_id.as_str())),
        ("video_title", text(&segment.title)),
        ("source_url", text(&segment.source_url)),
        (TIME, FieldValue::Integer(segment.recorded_at.unwrap_or(now).as_millisecond())),
        ("segment_id", FieldValue::Integer(segment.segment_id)),
        ("start_time", FieldValue::Float(segment.range.start())),
        ("end_time", FieldValue::Float(segment.range.end())),
        ("segment_description", text(&segment.description)),
        ("audio_transcript", text(&segment.transcript)),
        (SCREEN_TEXT, text(&segment.screen_text)),
    ];
    let mut fields = Fields::new();
    for (name, value) in known {
        // Documents of before the field was there have none, and are not stored anew for an empty one.
        let is_absent = name == SCREEN_TEXT && segment.screen_text.is_empty();
        if schema.field(name).is_some() && !is_absent {
            fields.insert(FieldName::parse(name)?, value);
        }
    }
    for (name, value) in &segment.metadata {
        let name = name.field()?;
        if schema.field(name.as_str()).is_some() {
            let value = match value.to_field() {
                FieldValue::String(value) => text(&value),
                FieldValue::Strings(values) => {
                    FieldValue::Strings(values.iter().map(|value| cleaned(value).into_owned()).collect())
                }
                value => value,
            };
            fields.insert(name, value);
        }
    }
    if let Some(language) = segment.language.as_deref().filter(|_| schema.field(LANGUAGE_FIELD).is_some()) {
        fields.insert(FieldName::parse(LANGUAGE_FIELD)?, text(language));
    }
    if let Some(rows) = vectors {
        tensors.fill(rows, &mut fields)?;
    }
    Ok(Document { id: cut.id(&segment.video_id, segment.segment_id)?, fields })
}

/// The difference between a stored document and a new one of the same segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Difference {
    None,
    /// Only the location, title, language or metadata differ, so nothing needs encoding. Holds the fields to set and to clear.
    Names {
        assign: Fields,
        clear: Vec<FieldName>,
    },
    Content,
}

/// Compares contents, ignoring times of storing and vectors.
pub(super) fn difference(stored: &Fields, new: &Fields, recorded: bool) -> Difference {
    let is_name = |name: &FieldName| {
        NAMES.contains(&name.as_str())
            || MetadataName::of_field(name).is_some()
            // Where the time of recording is known it is the video's.
            || (recorded && name.as_str() == TIME)
    };
    let said = |fields: &Fields, names: bool| {
        let mut said = fields.clone();
        said.retain(|name, value| {
            is_name(name) == names && (names || name.as_str() != TIME) && !matches!(value, FieldValue::Tensor(_))
        });
        said
    };
    if said(stored, false) != said(new, false) {
        return Difference::Content;
    }
    let (mut before, assign) = (said(stored, true), said(new, true));
    // A language that is not said any more stays: nothing tells that it was wrong.
    before.retain(|name, _| name.as_str() != LANGUAGE_FIELD || assign.contains_key(name));
    if before == assign {
        return Difference::None;
    }
    let clear = before.into_keys().filter(|name| !assign.contains_key(name)).collect();
    Difference::Names { assign, clear }
}
