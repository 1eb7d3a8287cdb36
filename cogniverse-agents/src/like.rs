//! "More like this": a stored segment as the query.

use crate::{plan::join, request::SearchRequest, retrieve::Retriever};
use cogniverse_core::{
    schemas::provenance::{self, EMBEDDING_MODEL},
    tenants::TenantGrant,
};
use cogniverse_sdk::{
    CellType, Document, DocumentStore, Error, ErrorCode, FieldName, FieldValue, Filter, Matrix, Result, StrategyName,
    TenantSchema, Tensor, document_store::VisitRequest, filter::Range, schema::FieldType,
};

/// The largest number of rows of a segment's vectors that make a query.
const ROWS: usize = 64;
/// The longest text of a segment that makes a query, in bytes.
const TEXT: usize = 2_000;
/// The number of segments that may overlap at one time of a video.
const OVERLAPPING: usize = 100;
/// The strategy for a segment without vectors.
const WORDS_ONLY: &str = "bm25_only";

/// Makes the request for what a moment is like: its text and vectors are the query, and it is left out of the results.
pub(crate) async fn resolve(
    retriever: &Retriever,
    grant: &TenantGrant,
    mut request: SearchRequest,
) -> Result<SearchRequest> {
    let (Some(like), [profile]) = (request.like.take(), request.profiles.as_slice()) else { return Ok(request) };
    let target = TenantSchema::new(&request.tenant, &grant.config().profile(profile)?.config.value.schema);
    let schema = retriever.planner.schema(&target).await?;
    let field = |name: &str| FieldName::parse(name);
    let from = Range { lte: Some(like.seconds.into()), ..Range::default() };
    let to = Range { gt: Some(like.seconds.into()), ..Range::default() };
    let at = Filter::equals(field("video_id")?, like.video_id.as_str())
        .and(Filter::Range(field("start_time")?, from))
        .and(Filter::Range(field("end_time")?, to));
    let at = join(Some(at), provenance::of_profile(&schema, profile)?);
    let visit = at.into_iter().fold(VisitRequest::new(target), VisitRequest::with_filter).with_page_size(OVERLAPPING);
    let found = retriever.backend.visit(visit).await?.documents;
    let start = |document: &Document| document.get("start_time").and_then(FieldValue::as_f64).unwrap_or_default();
    let nearest = found.into_iter().map(|found| found.document).max_by(|a, b| start(a).total_cmp(&start(b)));
    let segment = nearest.ok_or_else(|| {
        Error::of(
            ErrorCode::VideoUnknown,
            format!("profile \"{profile}\" has no segment of video \"{}\" at {} s", like.video_id, like.seconds),
        )
    })?;
    request.query = text(&segment);
    let own = Filter::equals(field("video_id")?, like.video_id.as_str()).and(Filter::Equals(
        field("segment_id")?,
        segment.get("segment_id").cloned().unwrap_or(FieldValue::Integer(0)),
    ));
    request.filter = join(request.filter, Some(own.negate()));
    let tensors = schema.fields().iter().filter_map(|field| match &field.field_type {
        FieldType::Tensor(tensor) if tensor.cell() != CellType::Int8 => segment.fields.get(&field.name),
        _ => None,
    });
    let rows = tensors.filter_map(rows).next();
    match rows {
        Some(rows) => {
            if let (true, Some(model)) = (schema.is_attribute(&field(EMBEDDING_MODEL)?), segment.get(EMBEDDING_MODEL)) {
                request.filter = join(request.filter, Some(Filter::Equals(field(EMBEDDING_MODEL)?, model.clone())));
            }
            request.query_vectors = Some(rows);
        }
        None if request.query.trim().is_empty() => {
            return Err(Error::of(
                ErrorCode::SegmentsWithoutVectors,
                "the segment has neither words nor vectors, so nothing is like it; choose another moment",
            ));
        }
        None if request.strategy.is_none() => request.strategy = Some(StrategyName::parse(WORDS_ONLY)?),
        None => {}
    }
    Ok(request)
}

/// Returns what is said and seen in a segment, as far as it makes a query.
fn text(segment: &Document) -> String {
    let parts = ["audio_transcript", "segment_description", "screen_text"].map(|field| segment.text(field));
    let mut text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if text.len() > TEXT {
        let end = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Returns a segment's vectors; of many, some that are spread over it.
fn rows(value: &FieldValue) -> Option<Matrix<f32>> {
    match value {
        FieldValue::Tensor(Tensor::Vector(row)) => Matrix::from_rows(std::slice::from_ref(row)).ok(),
        FieldValue::Tensor(Tensor::Vectors(all)) if all.len() > ROWS => {
            let rows: Vec<Vec<f32>> =
                (0..ROWS).filter_map(|n| all.rows().nth(n * all.len() / ROWS).map(<[f32]>::to_vec)).collect();
            Matrix::from_rows(&rows).ok()
        }
        FieldValue::Tensor(Tensor::Vectors(all)) if !all.is_empty() => Some(all.clone()),
        _ => None,
    }
}
