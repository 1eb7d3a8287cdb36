use super::{Judge, compiled};
use crate::search_request;
use cogniverse_core::schemas::{Schema, Strategy};
use cogniverse_sdk::{
    BackendQuery, FacetRequest, FieldValue, Filter, Matrix, TenantId, TenantSchema, TensorShape, WordCondition,
    contract::fixture,
    schema::{FieldType, Indexing},
};
use serde_json::Value;
use std::time::Duration;

/// A query that a strategy can answer, with vectors of all the same cell.
pub(super) fn query(schema: &Schema, strategy: &Strategy, tenant: &str, text: &str) -> BackendQuery {
    let name = TenantSchema::new(&TenantId::parse(tenant).unwrap(), schema.name());
    let query = BackendQuery::new(name, strategy.name().clone()).with_text(text);
    let inputs = strategy.inputs();
    let Some(tensor) = inputs.float.as_ref().or(inputs.binary.as_ref()) else { return query };
    let width = if inputs.float.is_some() { tensor.size() } else { tensor.size() * 8 };
    let rows = if tensor.shape() == TensorShape::Single { 1 } else { 3 };
    query.with_vectors(Matrix::new(width, vec![0.5; width * rows]).unwrap())
}

fn body(schema: &Schema, query: &BackendQuery) -> Option<Value> {
    let strategy = schema.check_query(query).unwrap();
    let request = search_request::search(schema, query, strategy).unwrap()?;
    Some(serde_json::from_slice(&request.body).unwrap())
}

fn yql(body: &Value) -> String {
    body["yql"].as_str().unwrap().to_owned()
}

/// Filters of every kind on the fields that a schema has.
fn filters(schema: &Schema) -> Vec<Filter> {
    let mut filters = vec![Filter::All(vec![]), Filter::Any(vec![])];
    for field in schema.fields().iter().filter(|field| field.has(Indexing::Attribute)) {
        let name = field.name.clone();
        match field.field_type {
            FieldType::String if !field.has(Indexing::Index) => {
                filters.push(Filter::equals(name.clone(), "a \"quoted\" \\ {}[]"));
                filters.push(Filter::In(name, vec!["a".into(), "b".into()]).negate());
            }
            FieldType::StringArray => filters.push(Filter::equals(name, "x")),
            FieldType::Int | FieldType::Long => {
                filters.push(Filter::between(name.clone(), -3, 7));
                filters.push(Filter::between(name, 2.5, 1e300).negate());
            }
            FieldType::Float | FieldType::Double => filters.push(Filter::between(name, 0.1, 1e22)),
            FieldType::Bool => filters.push(Filter::equals(name, FieldValue::Bool(true))),
            _ => {}
        }
    }
    filters.push(Filter::All(filters.clone()));
    filters
}

#[tokio::test]
async fn every_query_is_one_that_vespa_parses() {
    let Some(judge) = Judge::find() else { return };
    let mut statements = Vec::new();
    for schema in compiled().await {
        for strategy in schema.strategies() {
            for text in ["", "red bicycle"] {
                let query = query(&schema, strategy, "acme:prod", text);
                statements.extend(body(&schema, &query).map(|body| yql(&body)));
                for filter in filters(&schema) {
                    let query = query.clone().with_filter(Some(filter)).with_page(5, 20);
                    statements.extend(body(&schema, &query).map(|body| yql(&body)));
                }
                let words = ["red \"bicycle", "open", "l'eau"].map(str::to_owned);
                let conditions = words
                    .iter()
                    .cloned()
                    .flat_map(|text| [WordCondition::Phrase(text.clone()), WordCondition::Without(text)]);
                let counted = schema.fields().iter().filter(|field| {
                    field.has(Indexing::Attribute) && !matches!(field.field_type, FieldType::Tensor(_))
                });
                let facets = counted.take(8).map(|field| FacetRequest::new(field.name.clone(), 1_000));
                let query = query.with_words(conditions.collect()).with_facets(facets.collect());
                statements.extend(body(&schema, &query).map(|body| yql(&body)));
            }
        }
        for filter in filters(&schema) {
            let count = search_request::count(&schema, "video_acme", Some(&filter), Duration::from_secs(1)).unwrap();
            statements.push(yql(&serde_json::from_slice(&count).unwrap()));
        }
    }
    assert!(statements.len() > 300);
    let trees = judge.run(&["yql"], &statements.join("\n"));
    assert_eq!(trees.len(), statements.len());
    for tree in trees {
        assert!(tree["error"].is_null() && tree["tree"].is_string(), "{tree}");
        assert!(tree["hits"].is_null() && tree["timeout_ms"].is_null(), "only parameters set these: {tree}");
    }
}

/// Two hundred texts made of what means something in YQL, JSON, SQL and URLs.
pub(super) fn hostile_texts() -> Vec<String> {
    let parts = [
        "\"",
        "'",
        "\\",
        "\\\"",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "@",
        "@q",
        "@query",
        ";",
        "--",
        "/*",
        "*/",
        "*",
        "%22",
        "\\u0022",
        " or true",
        " and false",
        "select * from sources *",
        "where",
        "userInput(@x)",
        "rank(",
        "!",
        "#",
        "{targetHits:1}",
        "nearestNeighbor(a,b)",
        "true",
        "\t",
        "\r",
        "limit 400",
        "\u{202e}",
        "\u{2028}",
        "é",
        "日本語",
        "\u{1F600}",
        "video_id:x",
        "sddocname contains \"x\"",
        "$",
        "`",
        "<x>",
        "&hits=400",
        "null",
        "\u{7f}",
    ];
    fastrand::seed(21);
    let mut texts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    while texts.len() < 200 {
        texts.push((0..fastrand::usize(2..7)).map(|_| parts[fastrand::usize(..parts.len())]).collect());
    }
    texts
}

/// User text stands in a parameter of its own: the statement is the same whatever it is. A filter's text stands in the
/// statement, and is one word of its tree.
#[tokio::test]
async fn invariant_21_no_text_changes_the_shape_of_a_query() {
    let Some(judge) = Judge::find() else { return };
    let schema = Schema::compile(fixture::schema()).unwrap();
    let strategy = schema.strategy(&fixture::strategy("bm25_only")).unwrap();
    let plain = body(&schema, &query(&schema, strategy, "acme", "red bicycle")).unwrap();
    let texts = hostile_texts();
    let filtered = |text: &str| {
        let filter = Filter::equals(fixture::field("video_id"), text);
        let filter = filter.and(Filter::equals(fixture::field("tags"), "x"));
        let query = query(&schema, strategy, "acme", "red").with_filter(Some(filter));
        yql(&body(&schema, &query).unwrap())
    };
    let mut statements = vec![filtered("harmless")];
    for text in &texts {
        if let Some(hostile) = body(&schema, &query(&schema, strategy, "acme", text)) {
            assert_eq!(yql(&hostile), yql(&plain));
            assert_eq!(hostile["q"].as_str(), Some(text.as_str()));
            let keys = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&hostile), keys(&plain));
        }
        statements.push(filtered(text));
    }
    assert!(statements.iter().all(|statement| !statement.contains('\n')));
    let trees = judge.run(&["yql"], &statements.join("\n"));
    assert_eq!(trees.len(), statements.len());
    let harmless = trees[0]["tree"].as_str().unwrap();
    assert!(harmless.contains("harmless"), "{harmless}");
    for (tree, text) in trees[1..].iter().zip(&texts) {
        assert_eq!(tree["tree"].as_str(), Some(&*harmless.replace("harmless", text)), "{text:?}: {tree}");
    }
}
