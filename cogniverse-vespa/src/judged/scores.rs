use super::{Judge, Package, compiled, queries::query};
use crate::{document_json::put_body, search_request};
use cogniverse_core::schemas::{MatchSet, Metric, Schema, Score, Strategy};
use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, CellType, Document, DocumentId, DocumentStore, FieldName, FieldValue, Matrix, SchemaStore,
    SearchBackend, Tensor, TensorShape, TensorType, document_store::PutRequest, quantize::pack_rows, schema::FieldType,
};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

const DOCUMENTS: usize = 12;

/// Signed so that no bit is a matter of rounding.
fn cell() -> f32 {
    let size = 0.1 + fastrand::f32();
    if fastrand::bool() { size } else { -size }
}

fn tensor(tensor_type: &TensorType) -> Tensor {
    let rows = if tensor_type.shape() == TensorShape::Single { 1 } else { fastrand::usize(2..6) };
    let width = tensor_type.size();
    if tensor_type.cell() == CellType::Int8 {
        let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(rows * width).collect();
        return match tensor_type.shape() {
            TensorShape::Single => Tensor::Bits(bytes),
            TensorShape::Multi => Tensor::BitRows(Matrix::new(width, bytes).unwrap()),
        };
    }
    let cells: Vec<f32> = std::iter::repeat_with(cell).take(rows * width).collect();
    match tensor_type.shape() {
        TensorShape::Single => Tensor::Vector(cells),
        TensorShape::Multi => Tensor::Vectors(Matrix::new(width, cells).unwrap()),
    }
}

fn documents(schema: &Schema) -> Vec<Document> {
    let words = ["red bicycle", "a red car", "blue bicycle red", "nothing of it"];
    (0..DOCUMENTS)
        .map(|number| {
            let mut document = Document::new(DocumentId::parse(format!("d/{number}")).unwrap());
            for field in schema.fields() {
                let value = match &field.field_type {
                    FieldType::Tensor(tensor_type) => FieldValue::Tensor(tensor(tensor_type)),
                    // One text field, so that the sum of the words' scores is the one score.
                    FieldType::String if schema.text_fields().first() == Some(&field.name) => {
                        FieldValue::String(words[number % words.len()].to_owned())
                    }
                    _ => continue,
                };
                document.fields.insert(field.name.clone(), value);
            }
            document
        })
        .collect()
}

fn random_query(schema: &Schema, strategy: &Strategy) -> BackendQuery {
    let mut query = query(schema, strategy, "acme", "red bicycle").with_page(0, DOCUMENTS);
    if let Some(rows) = &query.vectors {
        let cells = std::iter::repeat_with(cell).take(rows.cells().len()).collect();
        query.vectors = Some(Matrix::new(rows.width(), cells).unwrap());
    }
    query
}

fn closeness_of(score: &Score) -> Option<(&FieldName, Metric)> {
    match score {
        Score::Closeness { field, metric } => Some((field, *metric)),
        Score::Sum(parts) => parts.iter().find_map(closeness_of),
        Score::Scaled(_, part) => closeness_of(part),
        _ => None,
    }
}

/// `closeness(field, …)` as Vespa defines it for each metric.
fn closeness(document: &Document, field: &FieldName, metric: Metric, query: &BackendQuery) -> f64 {
    let rows = query.vectors.as_ref().unwrap();
    let row = rows.rows().next().unwrap();
    let distance = match &document.fields[field] {
        FieldValue::Tensor(Tensor::Vector(cells)) => {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            match metric {
                Metric::DotProduct => return dot(row, cells),
                Metric::Angular => {
                    (dot(row, cells) / (dot(row, row) * dot(cells, cells)).sqrt()).clamp(-1.0, 1.0).acos()
                }
                Metric::Euclidean => row.iter().zip(cells).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt(),
                other => panic!("no shipped schema has {other:?}"),
            }
        }
        FieldValue::Tensor(Tensor::Bits(bytes)) => {
            let packed = pack_rows(rows).unwrap();
            let query = packed.rows().next().unwrap();
            f64::from(query.iter().zip(bytes).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>())
        }
        other => panic!("{other:?}"),
    };
    1.0 / (1.0 + distance)
}

fn has_bits(score: &Score) -> bool {
    matches!(score, Score::HammingMaxSim { .. })
}

/// Every formula of the shipped schemas: Vespa's evaluator and the embedded engine score the same documents alike, to the
/// last bit of a distance where only bits are compared, and in the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_strategy_scores_as_vespa_does() {
    let Some(judge) = Judge::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    let embedded = EmbeddedBackend::open(config).await.unwrap();
    let mut compared = HashSet::new();
    for schema in compiled().await {
        fastrand::seed(77);
        let base = schema.base();
        embedded.deploy(super::request(&[("acme", base)])).await.unwrap();
        let name = super::tenant_schema("acme", base);
        let documents = documents(&schema);
        let report = embedded.put(PutRequest::new(name.clone(), documents.clone())).await.unwrap();
        assert_eq!(report.stored(), DOCUMENTS, "{report:?}");
        let package = Package::with(&[("acme", base)]).written();
        let words = words_scores(&embedded, &schema, &name).await;
        for strategy in schema.strategies() {
            // Schemas of models that differ in dimensions alone share their formulas: each is judged once.
            let single = strategy.inputs().float.as_ref().map(TensorType::shape);
            let formula = format!(
                "{:?} {:?} {:?} {single:?}",
                strategy.first_phase(),
                strategy.second_phase(),
                strategy.fusion()
            );
            if !compared.insert(formula) {
                continue;
            }
            let query = random_query(&schema, strategy);
            let request = search_request::search(&schema, &query, strategy).unwrap().unwrap();
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let query_file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(query_file.path(), inputs(&body, &schema, strategy).to_string()).unwrap();
            let lines: Vec<String> = documents
                .iter()
                .map(|document| {
                    let mut line: Value = serde_json::from_slice(&put_body(&schema, &document.fields)).unwrap();
                    line["put"] = json!(format!("id:cogniverse:{}::{}", name.physical_name(), document.id));
                    line["features"] = features(&schema, strategy, document, &query, &words);
                    line.to_string()
                })
                .collect();
            let arguments = [
                "rank",
                package.path().to_str().unwrap(),
                name.physical_name(),
                strategy.name().as_str(),
                query_file.path().to_str().unwrap(),
            ];
            let judged = judge.run(&arguments, &lines.join("\n"));
            let ours = embedded.search(query.clone()).await.unwrap();
            assert!(!ours.hits.is_empty());
            let theirs: HashMap<&str, &Value> = documents.iter().map(|d| d.id.as_str()).zip(&judged).collect();
            let reranked = strategy.second_phase().map_or(0, |second| second.count);
            let mut last = (true, f64::INFINITY);
            for (place, hit) in ours.hits.iter().enumerate() {
                let verdict = theirs[hit.document.id.as_str()];
                let what = format!("{} {} {}: {verdict} {hit:?}", schema.name(), strategy.name(), hit.document.id);
                let second = place < reranked;
                // Those below a second phase are shifted. The evaluator has no container: the global phase is judged by
                // `tests/differential.rs`, and here the phase before.
                let mut hit = hit.clone();
                hit.score = hit.first_phase.filter(|_| !second).unwrap_or(hit.score);
                let score = verdict[if second { "second_phase" } else { "first_phase" }].as_f64().expect(&what);
                let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-3 * theirs.abs().max(1e-3);
                assert!(near(hit.score, score), "{what}");
                if !second && has_bits(strategy.first_phase()) {
                    // The engine adds in 32 bits; one bit of difference would count a thousand times more.
                    assert!((hit.score - score).abs() <= 4.0 * f64::from(f32::EPSILON) * score, "{what}");
                }
                if second {
                    assert!(near(hit.first_phase.unwrap(), verdict["first_phase"].as_f64().unwrap()), "{what}");
                }
                let ordered = score <= last.1 * (1.0 + 1e-6) + 1e-9;
                assert!(ordered || last.0 != second || strategy.fusion().is_some(), "the order is another: {what}");
                last = (second, score);
            }
        }
    }
    assert!(compared.len() > 15, "{compared:?}");
}

/// The words' score of each document, by the embedded engine: proton alone computes it, so it is given.
async fn words_scores(
    embedded: &EmbeddedBackend,
    schema: &Schema,
    name: &cogniverse_sdk::TenantSchema,
) -> HashMap<DocumentId, f64> {
    let words = schema.strategies().find(|strategy| strategy.matches() == MatchSet::Words);
    let Some(strategy) = words else { return HashMap::new() };
    let query =
        BackendQuery::new(name.clone(), strategy.name().clone()).with_text("red bicycle").with_page(0, DOCUMENTS);
    embedded.search(query).await.unwrap().hits.into_iter().map(|hit| (hit.document.id, hit.score)).collect()
}

fn features(
    schema: &Schema,
    strategy: &Strategy,
    document: &Document,
    query: &BackendQuery,
    words: &HashMap<DocumentId, f64>,
) -> Value {
    let mut features = serde_json::Map::new();
    for (number, field) in schema.text_fields().iter().enumerate() {
        let score = if number == 0 { words.get(&document.id).copied().unwrap_or(0.0) } else { 0.0 };
        features.insert(format!("bm25({field})"), json!(score));
    }
    for (field, metric) in strategy.scores().filter_map(closeness_of) {
        features.insert(format!("closeness(field,{field})"), json!(closeness(document, field, metric, query)));
    }
    Value::Object(features)
}

/// The request's tensors, without those that only ask the graph.
fn inputs(body: &Value, schema: &Schema, strategy: &Strategy) -> Value {
    let profile = schema.base().rank_profiles.iter().find(|profile| profile.name == *strategy.name()).unwrap();
    let inputs = body.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("input."));
    let declared =
        inputs.filter(|(key, _)| profile.inputs.iter().any(|input| **key == format!("input.{}", input.name)));
    Value::Object(declared.map(|(key, value)| (key.clone(), value.clone())).collect())
}
