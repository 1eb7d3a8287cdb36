//! The content half without a transport: packages, documents, searches by strategy, and ordered faults.

use super::*;
use cogniverse_sdk::quantize::pack_bits;
use http::{HeaderMap, Method};
use serde_json::json;

const SERVICES: &str = r#"<services version="1.0"><content id="video" version="1.0"><redundancy>1</redundancy>
    <documents><document type="clip" mode="index"/></documents></content></services>"#;

const CLIP: &str = "schema clip {
  document clip {
    field video_id type string {
      indexing: summary | attribute
      match {
        word
        cased
      }
    }
    field place type int { indexing: summary | attribute }
    field tags type array<string> { indexing: summary | attribute }
    field title type string {
      indexing: summary | index
      index: enable-bm25
    }
    field vectors type tensor<float>(p{}, v[8]) { indexing: attribute }
    field bits type tensor<int8>(p{}, v[1]) { indexing: attribute }
    field one type tensor<float>(v[2]) {
      indexing: attribute | index
      attribute { distance-metric: euclidean }
    }
  }
  fieldset default { fields: title }
  rank-profile words { first-phase { expression: bm25(title) } }
  rank-profile phased {
    inputs {
      query(qt) tensor<float>(q{}, v[8])
      query(qtb) tensor<int8>(q{}, v[1])
    }
    function near() { expression: sum(reduce(1/(1 + sum(hamming(query(qtb), attribute(bits)), v)), max, p), q) }
    first-phase { expression: near() }
    second-phase {
      rerank-count: 2
      expression: sum(reduce(sum(query(qt) * attribute(vectors), v), max, p), q)
    }
    match-features { firstPhase }
  }
  rank-profile near {
    inputs { query(x) tensor<float>(v[2]) }
    first-phase { expression: closeness(field, one) }
  }
  rank-profile plain { first-phase { expression: 2 * attribute(place) + 1 } }
}
";

fn files(services: &str, schema: &str) -> Files {
    [("services.xml", services), ("schemas/clip.sd", schema)]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), Bytes::from(text.to_owned())))
        .collect()
}

async fn deployed() -> Content {
    let content = Content::new().unwrap();
    content.check(&files(SERVICES, CLIP), None).unwrap();
    content.activate(&files(SERVICES, CLIP)).await.unwrap();
    content
}

fn request(method: Method, address: &str, body: &Value) -> Request {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Request {
        method,
        path: path.to_owned(),
        query: query.map(|(name, value)| (name.to_owned(), value.replace('+', " "))).collect(),
        headers,
        body: if body.is_null() { Bytes::new() } else { body.to_string().into() },
        origin: "http://127.0.0.1:1".to_owned(),
    }
}

async fn documents(content: &Content, method: Method, address: &str, body: &Value) -> (u16, Value) {
    let address = format!("/document/v1/{address}");
    let reply = content.documents(&request(method, &address, body), &ContentFaults::default()).await;
    (reply.status.as_u16(), serde_json::from_slice(&reply.body).unwrap())
}

async fn put(content: &Content, id: &str, fields: Value) {
    let (status, body) =
        documents(content, Method::POST, &format!("ns/clip/docid/{id}"), &json!({"fields": fields})).await;
    assert_eq!(status, 200, "{body}");
}

async fn search(content: &Content, faults: &ContentFaults, body: &Value) -> Value {
    let reply = content.search(&request(Method::POST, "/search/", body), faults).await;
    serde_json::from_slice(&reply.body).unwrap()
}

/// The ids of the hits and their scores.
async fn found(content: &Content, body: Value) -> Vec<(String, f64)> {
    let answer = search(content, &ContentFaults::default(), &body).await;
    assert!(answer["root"]["errors"].is_null(), "{answer}");
    let hits = answer["root"]["children"].as_array().cloned().unwrap_or_default();
    let id = |hit: &Value| hit["fields"]["documentid"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    hits.iter().map(|hit| (id(hit), hit["relevance"].as_f64().unwrap())).collect()
}

fn hex(row: &[f32]) -> String {
    let mut bytes = Vec::new();
    pack_bits(row, &mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn two_phases_score_only_what_matched() {
    let content = deployed().await;
    let query = [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0];
    // By bits a is best, then b, then c; by floats b is the best of the two that are scored again.
    let rows = [
        ("a", [1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]),
        ("b", [9.0, 9.0, 9.0, 9.0, -1.0, -1.0, -1.0, 1.0]),
        ("c", [99.0, 99.0, 9.0, 9.0, 1.0, 1.0, -1.0, -1.0]),
    ];
    for (place, (id, row)) in rows.iter().enumerate() {
        put(&content, id, json!({"place": place, "vectors": {"0": row}, "bits": {"0": hex(row)}})).await;
    }
    let body = |condition: &str| {
        json!({
            "yql": format!("select * from clip where {condition}"), "model.restrict": "clip", "ranking": "phased",
            "input.query(qt)": {"0": query}, "input.query(qtb)": {"0": hex(&query)},
        })
    };
    let all = found(&content, body("true")).await;
    assert_eq!(all.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b", "a", "c"]);
    assert_eq!((all[0].1, all[1].1), (38.0, 8.0));
    assert!(all[2].1 < 8.0, "not scored again, so it stays below");
    // The filter decides which two are scored again.
    let filtered = found(&content, body("!(place = 0)")).await;
    assert_eq!(filtered.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["c", "b"]);
    let answer = search(&content, &ContentFaults::default(), &body("place = 0")).await;
    assert_eq!(answer["root"]["children"][0]["fields"]["matchfeatures"]["firstPhase"], 1.0);
    // A change is seen by the next search.
    documents(&content, Method::DELETE, "ns/clip/docid/b", &Value::Null).await;
    assert_eq!(found(&content, body("true")).await.len(), 2);
}

#[tokio::test]
async fn words_neighbours_and_plain_expressions_rank() {
    let content = deployed().await;
    put(&content, "a", json!({"title": "red red car", "place": 1, "one": [0, 0], "tags": ["x", "y"], "video_id": "V"}))
        .await;
    put(&content, "b", json!({"title": "a red bicycle on a road", "place": 2, "one": [3, 4]})).await;
    put(&content, "c", json!({"title": "blue", "place": 3, "one": [30, 40]})).await;
    let ids = |found: Vec<(String, f64)>| found.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let words = json!({"yql": "select * from clip where default contains ({grammar.composite:\"or\"}text(@q))", "q": "red", "ranking": "words"});
    assert_eq!(ids(found(&content, words).await), ["a", "b"]);
    let near = json!({"yql": "select * from clip where ({targetHits:2}nearestNeighbor(one,x))", "ranking": "near", "input.query(x)": [0, 0]});
    let near = found(&content, near).await;
    assert_eq!(near[0], ("a".to_owned(), 1.0));
    assert_eq!((near.len(), near[1].0.as_str()), (2, "b"));
    assert!((near[1].1 - 1.0 / 6.0).abs() < 1e-6);
    // Neighbours are looked for among those that the rest leaves.
    let filtered = json!({"yql": "select * from clip where ({targetHits:1}nearestNeighbor(one,x)) and place > 1", "ranking": "near", "input.query(x)": [0, 0]});
    assert_eq!(ids(found(&content, filtered).await), ["b"]);
    let plain = json!({"yql": "select * from clip where true", "ranking": "plain"});
    assert_eq!(found(&content, plain).await, [("c".to_owned(), 7.0), ("b".to_owned(), 5.0), ("a".to_owned(), 3.0)]);
    for (condition, count) in [
        ("tags contains 'y'", 1),
        ("video_id contains 'V'", 1),
        ("video_id contains 'v'", 0),
        ("place in (1, 3)", 2),
        ("place >= 2 and place < 3", 1),
        ("sddocname contains 'clip'", 3),
        ("title contains phrase('red', 'car')", 1),
        ("false", 0),
    ] {
        let body = json!({"yql": format!("select * from clip where {condition}"), "hits": 0});
        let answer = search(&content, &ContentFaults::default(), &body).await;
        assert_eq!(answer["root"]["fields"]["totalCount"], count, "{condition}: {answer}");
    }
}

#[tokio::test]
async fn restrict_decides_and_faults_show() {
    let content = Content::new().unwrap();
    let services = SERVICES.replace("</documents>", r#"<document type="other" mode="index"/></documents>"#);
    let mut both = files(&services, CLIP);
    let other = "schema other {\n document other {\n field name type string { indexing: summary }\n }\n}\n";
    both.insert("schemas/other.sd".to_owned(), other.into());
    content.activate(&both).await.unwrap();
    put(&content, "a", json!({"place": 1})).await;
    documents(&content, Method::POST, "ns/other/docid/o", &json!({"fields": {"name": "n"}})).await;
    let of_other = json!({"yql": "select * from clip where true", "model.restrict": "other"});
    assert_eq!(found(&content, of_other).await[0].0, "o");
    let every = json!({"yql": "select * from sources * where true"});
    assert_eq!(found(&content, every).await.len(), 2);
    let faults = ContentFaults { degraded: true, foreign_hit: Some("other".to_owned()), repeat_visited: true };
    let answer =
        search(&content, &faults, &json!({"yql": "select * from clip where true", "model.restrict": "clip"})).await;
    assert_eq!(answer["root"]["coverage"]["full"], false);
    assert_eq!(answer["root"]["coverage"]["degraded"]["timeout"], true);
    assert_eq!(answer["root"]["children"][1]["fields"]["sddocname"], "other");
    let visit = request(Method::GET, "/document/v1/ns/clip/docid?wantedDocumentCount=10", &Value::Null);
    let reply = content.documents(&visit, &faults).await;
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["documentCount"], 2);
}

#[tokio::test]
async fn a_visit_goes_on_where_it_stopped_and_removals_come_in_chunks() {
    let content = deployed().await;
    for place in 0..100 {
        put(&content, &format!("d{place}"), json!({"place": place})).await;
    }
    let mut seen = Vec::new();
    for slice in 0..2 {
        let mut token = String::new();
        loop {
            let address = format!("ns/clip/docid/?wantedDocumentCount=7&slices=2&sliceId={slice}&fieldSet=[id]{token}");
            let (_, page) = documents(&content, Method::GET, &address, &Value::Null).await;
            seen.extend(page["documents"].as_array().unwrap().iter().map(|document| document["id"].to_string()));
            let Some(next) = page["continuation"].as_str() else { break };
            token = format!("&continuation={next}");
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100);
    assert_eq!(content.document_counts(), [("clip".to_owned(), 100)]);
    let (mut removed, mut calls, mut token) = (0, 0, String::new());
    loop {
        let address = format!("ns/clip/docid?cluster=video&timeChunk=1ms&selection=clip.place<50{token}");
        let (status, page) = documents(&content, Method::DELETE, &address, &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        (removed, calls) = (removed + page["documentCount"].as_u64().unwrap(), calls + 1);
        let Some(next) = page["continuation"].as_str() else { break };
        token = format!("&continuation={next}");
    }
    assert_eq!((removed, calls), (50, 4));
    assert_eq!(content.document_counts(), [("clip".to_owned(), 50)]);
}

#[tokio::test]
async fn a_new_package_keeps_documents_and_drops_types() {
    let content = deployed().await;
    put(&content, "a", json!({"place": 1, "title": "red"})).await;
    let wider =
        CLIP.replace("field place type int", "field more type int { indexing: attribute }\n    field place type int");
    content.activate(&files(SERVICES, &wider)).await.unwrap();
    let body = json!({"yql": "select * from clip where default contains text(@q)", "q": "red", "ranking": "words"});
    assert_eq!(found(&content, body).await.len(), 1, "the engine learns it anew");
    put(&content, "b", json!({"more": 2})).await;
    let none = SERVICES.replace(r#"<document type="clip" mode="index"/>"#, "");
    content.activate(&files(&none, CLIP)).await.unwrap();
    assert_eq!(documents(&content, Method::POST, "ns/clip/docid/c", &json!({"fields": {}})).await.0, 400);
    content.activate(&files(SERVICES, CLIP)).await.unwrap();
    assert_eq!(documents(&content, Method::GET, "ns/clip/docid/a", &Value::Null).await.0, 404);
}

#[test]
fn packages_are_refused_in_vespas_words() {
    let content = Content::new().unwrap();
    let refused = |services: &str, schema: &str| content.check(&files(services, schema), None).unwrap_err();
    for (old, new, text) in [
        ("schema clip", "schema klip", "schema 'klip' can only contain document named 'klip'"),
        ("type int {", "type inn {", "unknown type named 'inn' in context document 'clip'"),
        ("fields: title", "fields: nope", "Field 'nope' in fieldset 'default' does not exist."),
        ("attribute(bits)", "attribute(nope)", "Unknown feature 'attribute(nope)'"),
        (
            "rank-profile near {",
            "rank-profile near inherits nope {",
            "rank-profile 'near' inherits 'nope', but this is not found",
        ),
        ("rank-profile near {", "rank-profile words {", "schema 'clip' error: already has rank-profile words"),
        ("field place", "field Video_ID", "Duplicate (case insensitively) field 'Video_ID'"),
        ("v[2]) {\n      indexing", "v[]) {\n      indexing", "Dense tensor dimensions must have a size"),
        (
            "indexing: summary | attribute }\n    field tags",
            "indexing: summary | attribute attribute: x }\n    field tags",
            "Failed parsing schema from 'clip.sd': Encountered",
        ),
        ("fieldset default", "feldset default", "Failed parsing schema from 'clip.sd': Encountered"),
    ] {
        assert!(CLIP.contains(old), "{old}");
        let message = refused(SERVICES, &CLIP.replace(old, new));
        assert!(message.starts_with("Invalid application package: ") && message.contains(text), "{message}");
    }
    assert!(
        refused(&SERVICES.replace("clip", "gone"), CLIP)
            .contains("Document type 'gone' not found in application package")
    );
    assert!(refused("<services", CLIP).contains("Invalid XML according to XML schema, error in services.xml"));
    assert!(refused(&SERVICES.replace("<redundancy>1</redundancy>", ""), CLIP).contains("must be set"));
}

#[test]
fn changes_are_refused_or_named() {
    let content = Content::new().unwrap();
    let before = files(SERVICES, CLIP);
    let change = |old: &str, new: &str| {
        assert!(CLIP.contains(old), "{old}");
        content.check(&files(SERVICES, &CLIP.replace(old, new)), Some(&before))
    };
    let unchanged = content.check(&before, Some(&before)).unwrap();
    assert_eq!(unchanged.actions, json!({"restart": [], "refeed": [], "reindex": []}));
    let restart = change("distance-metric: euclidean", "distance-metric: hamming").unwrap();
    assert_eq!(
        restart.actions["restart"][0]["messages"][0],
        "Document type 'clip': Field 'one' changed: change property 'distance-metric' from 'EUCLIDEAN' to 'HAMMING'"
    );
    let refused = change("field place type int", "field place type long").unwrap_err();
    assert!(refused.contains(
        "Field type changes: Document type 'clip': Field 'place' changed: data type: 'int' -> 'long'. To allow this add"
    ));
    let refused = change("indexing: summary | index\n", "indexing: summary\n").unwrap_err();
    assert!(refused.contains("remove index aspect") && refused.contains("indexing-change"), "{refused}");
}

#[test]
fn a_schema_is_removed_only_with_a_permission_of_today() {
    let content = Content::new().unwrap();
    let before = files(SERVICES, CLIP);
    let mut after = files(&SERVICES.replace(r#"<document type="clip" mode="index"/>"#, ""), CLIP);
    let refused = content.check(&after, Some(&before)).unwrap_err();
    assert!(refused.contains("Schema 'clip' is removed in content cluster 'video'. This will cause loss of all data in this schema. To allow this add <allow until='yyyy-mm-dd'>schema-removal</allow>"), "{refused}");
    let today = package::today();
    let allow = |days: i32, id: &str| {
        let day = today.checked_add(jiff::Span::new().days(days)).unwrap();
        Bytes::from(format!("<validation-overrides><allow until=\"{day}\">{id}</allow></validation-overrides>"))
    };
    for (days, id, good) in [
        (0, "schema-removal", true),
        (30, "content-type-removal", true),
        (-1, "schema-removal", false),
        (31, "schema-removal", false),
        (5, "field-type-change", false),
    ] {
        after.insert("validation-overrides.xml".to_owned(), allow(days, id));
        assert_eq!(content.check(&after, Some(&before)).is_ok(), good, "{days} {id}");
    }
}
