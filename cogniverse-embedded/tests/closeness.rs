//! `closeness(field, F)` in each metric, against values worked out by hand from Vespa's definition: `1 / (1 + distance)`, and the
//! product itself for `dotproduct`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, BaseSchema, Document, DocumentStore, FieldValue, Matrix, SchemaStore, SearchBackend, TenantSchema,
    Tensor,
    contract::fixture::{field, id, strategy, tenant},
    document_store::PutRequest,
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{collections::BTreeMap, sync::Arc};

/// A schema of one vector a document, in a metric; no metric: the default.
fn schema(name: &str, metric: Option<&str>) -> Arc<BaseSchema> {
    let mut embedding = serde_json::json!({
        "name": "embedding", "type": "tensor<float>(v[2])", "indexing": ["attribute"]
    });
    if let Some(metric) = metric {
        embedding["attribute"] = serde_json::json!([format!("distance-metric: {metric}")]);
    }
    let schema = serde_json::json!({
        "name": name,
        "document": {"fields": [
            {"name": "video_id", "type": "string", "indexing": ["summary", "attribute"]},
            embedding,
        ]},
        "rank_profiles": [{
            "name": "near",
            "inputs": [{"name": "query(qt)", "type": "tensor<float>(v[2])"}],
            "first_phase": {"expression": "closeness(field, embedding)"},
        }],
    });
    Arc::new(serde_json::from_value(schema).unwrap())
}

async fn scores(metric: Option<&str>, query: [f32; 2], documents: &[[f32; 2]]) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let backend = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
    let definition = schema("near_video", metric);
    let schema = TenantSchema::new(&tenant("acme"), &definition.name);
    let deployment = SchemaDeployment { schema: schema.clone(), definition };
    backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
    let documents: Vec<Document> = documents
        .iter()
        .enumerate()
        .map(|(n, cells)| {
            Document::new(id(&format!("d{n}")))
                .with(field("video_id"), FieldValue::from(format!("d{n}")))
                .with(field("embedding"), FieldValue::Tensor(Tensor::Vector(cells.to_vec())))
        })
        .collect();
    let count = documents.len();
    assert_eq!(backend.put(PutRequest::new(schema.clone(), documents)).await.unwrap().stored(), count);
    let query = BackendQuery::new(schema, strategy("near")).with_vectors(Matrix::new(2, query.to_vec()).unwrap());
    let found = backend.search(query).await.unwrap();
    let by_id: BTreeMap<String, f64> = found.hits.iter().map(|hit| (hit.document.id.to_string(), hit.score)).collect();
    assert_eq!(by_id.len(), count);
    by_id.into_values().collect()
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(same, "{found:?} and not {expected:?}");
}

#[tokio::test]
async fn each_metric_is_vespas() {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    // (3, 4) is 5 from the origin and 10 from (-3, -4): the root, and not its square.
    let query = [3.0, 4.0];
    let documents = [[3.0, 4.0], [0.0, 0.0], [-3.0, -4.0], [6.0, 8.0]];
    let euclidean = [1.0, 1.0 / 6.0, 1.0 / 11.0, 1.0 / 6.0];
    near(&scores(Some("euclidean"), query, &documents).await, &euclidean);
    near(&scores(None, query, &documents).await, &euclidean);
    // The angle in radians, and not its cosine; lengths do not count.
    let documents = [[2.0, 0.0], [1.0, 1.0], [0.0, 5.0], [-1.0, 0.0]];
    let angular = [1.0, 1.0 / (1.0 + FRAC_PI_4), 1.0 / (1.0 + FRAC_PI_2), 1.0 / (1.0 + PI)];
    near(&scores(Some("angular"), [1.0, 0.0], &documents).await, &angular);
    let half = 0.5_f64.sqrt();
    let prenormalized = [1.0, 1.0 / (2.0 - half), 0.5, 1.0 / 3.0];
    near(&scores(Some("prenormalized-angular"), [1.0, 0.0], &documents).await, &prenormalized);
    near(&scores(Some("dotproduct"), [2.0, 1.0], &documents).await, &[4.0, 3.0, 5.0, -2.0]);
}
