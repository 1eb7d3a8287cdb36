//! Schemas, documents and queries of the backend suites.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use crate::{
    BaseSchema, Document, DocumentId, FieldName, Matrix, SchemaName, StrategyName, TenantId, TenantSchema, Tensor,
    quantize::pack_rows,
    schema_store::{DeployRequest, SchemaDeployment},
    search_backend::SearchBackend,
};
use std::sync::Arc;

const SCHEMA: &str = r#"{
  "name": "contract_video",
  "document": {"fields": [
    {"name": "video_id", "type": "string", "indexing": ["summary", "attribute"], "attribute": ["fast-search"]},
    {"name": "video_title", "type": "string", "indexing": ["summary", "index"], "index": "enable-bm25"},
    {"name": "audio_transcript", "type": "string", "indexing": ["summary", "index"], "index": "enable-bm25"},
    {"name": "segment_id", "type": "int", "indexing": ["summary", "attribute"]},
    {"name": "start_time", "type": "double", "indexing": ["summary", "attribute"]},
    {"name": "tags", "type": "array<string>", "indexing": ["summary", "attribute"]},
    {"name": "embedding", "type": "tensor<bfloat16>(patch{}, v[8])", "indexing": ["attribute"]},
    {"name": "embedding_binary", "type": "tensor<int8>(patch{}, v[1])", "indexing": ["attribute"]},
    {"name": "views", "type": "long", "indexing": ["summary", "attribute"]},
    {"name": "is_public", "type": "bool", "indexing": ["summary", "attribute"]}
  ]},
  "fieldsets": [{"name": "default", "fields": ["video_title", "audio_transcript"]}],
  "rank_profiles": [
    {"name": "bm25_only", "first_phase": {"expression": "bm25(video_title) + bm25(audio_transcript)"}},
    {"name": "float_float", "inputs": [{"name": "query(qt)", "type": "tensor<float>(querytoken{}, v[8])"}],
     "functions": [{"name": "max_sim", "expression": "sum(reduce(sum(query(qt) * cell_cast(attribute(embedding), float), v), max, patch), querytoken)"}],
     "first_phase": {"expression": "max_sim"}},
    {"name": "phased", "inputs": [{"name": "query(qtb)", "type": "tensor<int8>(querytoken{}, v[1])"}, {"name": "query(qt)", "type": "tensor<float>(querytoken{}, v[8])"}],
     "functions": [
       {"name": "max_sim_hamming", "expression": "sum(reduce(1/(1+ sum(hamming(query(qtb), attribute(embedding_binary)), v)), max, patch), querytoken)"},
       {"name": "max_sim", "expression": "sum(reduce(sum(query(qt) * cell_cast(attribute(embedding), float), v), max, patch), querytoken)"}],
     "first_phase": {"expression": "max_sim_hamming"}, "second_phase": {"expression": "max_sim", "rerank_count": 2}},
    {"name": "hybrid_fused", "inputs": [{"name": "query(qtb)", "type": "tensor<int8>(querytoken{}, v[1])"}, {"name": "query(qt)", "type": "tensor<float>(querytoken{}, v[8])"}],
     "functions": [
       {"name": "max_sim_hamming", "expression": "sum(reduce(1/(1+ sum(hamming(query(qtb), attribute(embedding_binary)), v)), max, patch), querytoken)"},
       {"name": "max_sim", "expression": "sum(reduce(sum(query(qt) * cell_cast(attribute(embedding), float), v), max, patch), querytoken)"},
       {"name": "text_sim", "expression": "bm25(video_title) + bm25(audio_transcript)"}],
     "first_phase": {"expression": "text_sim + 16 * max_sim_hamming"},
     "global_phase": {"expression": "0.3 * normalize_linear(text_sim) + 0.7 * normalize_linear(max_sim)", "rerank_count": 100}},
    {"name": "hybrid_rrf", "inputs": [{"name": "query(qtb)", "type": "tensor<int8>(querytoken{}, v[1])"}, {"name": "query(qt)", "type": "tensor<float>(querytoken{}, v[8])"}],
     "functions": [
       {"name": "max_sim_hamming", "expression": "sum(reduce(1/(1+ sum(hamming(query(qtb), attribute(embedding_binary)), v)), max, patch), querytoken)"},
       {"name": "max_sim", "expression": "sum(reduce(sum(query(qt) * cell_cast(attribute(embedding), float), v), max, patch), querytoken)"},
       {"name": "text_sim", "expression": "bm25(video_title) + bm25(audio_transcript)"}],
     "first_phase": {"expression": "text_sim + 16 * max_sim_hamming"},
     "global_phase": {"expression": "reciprocal_rank(text_sim) + reciprocal_rank(max_sim)", "rerank_count": 100}}
  ]
}"#;

/// The schema of the backend suites: two text fields, attributes, and an 8-dimensional multi-vector with its sign
/// bits.
#[must_use]
pub fn schema() -> Arc<BaseSchema> {
    Arc::new(serde_json::from_str(SCHEMA).expect("the suite's schema parses"))
}

/// Parses a tenant id.
#[must_use]
pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a literal id")
}

/// Returns the suite's schema for a tenant.
#[must_use]
pub fn schema_of(name: &str) -> TenantSchema {
    TenantSchema::new(&tenant(name), &SchemaName::parse("contract_video").expect("a literal id"))
}

/// Parses a field name.
#[must_use]
pub fn field(name: &str) -> FieldName {
    FieldName::parse(name).expect("a literal id")
}

/// Parses a strategy name.
#[must_use]
pub fn strategy(name: &str) -> StrategyName {
    StrategyName::parse(name).expect("a literal id")
}

/// Parses a document id.
#[must_use]
pub fn id(text: &str) -> DocumentId {
    DocumentId::parse(text).expect("a literal id")
}

/// A matrix of one row.
#[must_use]
pub fn row(cells: [f32; 8]) -> Matrix<f32> {
    Matrix::new(8, cells.to_vec()).expect("eight cells")
}

/// A document of one segment, with a text and one vector.
#[must_use]
pub fn document(video: &str, segment: i64, text: &str, cells: [f32; 8]) -> Document {
    let rows = row(cells);
    let bits = pack_rows(&rows).expect("eight cells");
    Document::new(id(&format!("{video}/{segment}")))
        .with(field("video_id"), video)
        .with(field("audio_transcript"), text)
        .with(field("segment_id"), segment)
        .with(field("start_time"), crate::FieldValue::Integer(segment * 10).as_f64().unwrap_or_default())
        .with(field("embedding"), Tensor::Vectors(rows))
        .with(field("embedding_binary"), Tensor::BitRows(bits))
}

/// A unit vector along one axis, slightly below zero in the other cells.
#[must_use]
pub fn axis(index: usize) -> [f32; 8] {
    let mut cells = [-0.125; 8];
    if let Some(cell) = cells.get_mut(index) {
        *cell = 1.0;
    }
    cells
}

/// Deploys the suite's schema for the given tenants.
pub async fn deploy(backend: &dyn SearchBackend, tenants: &[&str]) {
    let deployments =
        tenants.iter().map(|name| SchemaDeployment { schema: schema_of(name), definition: schema() }).collect();
    backend.deploy(DeployRequest::new(deployments)).await.expect("deploying the suite's schema");
}
