//! vLLM's pooling route: the contract, the requests, and every answer that is not what it should be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod server;

use cogniverse_encoders::HashEncoder;
use cogniverse_model_servers::{ServerConfig, TextForm, VllmConfig, VllmEncoder};
use cogniverse_sdk::{ErrorKind, QueryEncoder, Retry, SegmentContent, SegmentEncoder, VectorKind};
use serde_json::{Value, json};
use server::{Answer, Request, Server};
use std::{sync::Arc, time::Duration};

const DIMS: usize = 32;

/// Rows of a text's words, as a model of late interaction would make them; of a picture, a row for every four characters.
fn rows(text: &str) -> Value {
    let words = if text.starts_with("data:") {
        text.as_bytes()
            .chunks(4)
            .map(|part| String::from_utf8_lossy(part).replace(|c: char| !c.is_alphanumeric(), "x"))
            .collect::<Vec<_>>()
            .join(" ")
    } else {
        text.to_owned()
    };
    let hash = HashEncoder::new(DIMS, VectorKind::Multi);
    let made = wait(hash.encode_query(&words));
    json!(made.unwrap().rows().collect::<Vec<_>>())
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// What vLLM answers, the last first: the numbers tell the order.
fn vllm(request: &Request, _: usize) -> Answer {
    if request.path == "/v1/models" {
        return Answer::json(&json!({"object": "list", "data": [{"id": "test/colqwen", "object": "model"}]}));
    }
    assert_eq!(request.path, "/pooling");
    let asked = request.json();
    let texts: Vec<String> = match asked.get("input") {
        Some(texts) => texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        None => {
            let part = &asked["messages"][0]["content"][0];
            vec![part.get("text").unwrap_or(&part["image_url"]["url"]).as_str().unwrap().to_owned()]
        }
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .rev()
        .map(|(index, text)| json!({"index": index, "object": "pooling", "data": rows(text)}))
        .collect();
    Answer::json(&json!({"id": "pool-1", "object": "list", "model": asked["model"], "data": data, "usage": {}}))
}

fn config(url: &str) -> VllmConfig {
    let server =
        ServerConfig::new(url).with_attempts(3).with_timeout(Duration::from_millis(1500)).with_api_key("secret");
    VllmConfig::new(server, "test/colqwen").with_batches(5, 3)
}

async fn encoder(change: impl FnOnce(VllmConfig) -> VllmConfig) -> (Arc<VllmEncoder>, Server) {
    let server = Server::new(vllm);
    let encoder = VllmEncoder::connect(change(config(&server.url))).await.unwrap();
    (Arc::new(encoder), server)
}

mod query {
    use super::*;
    cogniverse_sdk::query_encoder_contract! {
        make: async { let (encoder, server) = encoder(|c| c).await; (encoder as Arc<dyn QueryEncoder>, server) }, skips: []
    }
}

/// As servers do, it refuses what it cannot decode: the whole picture ends in its last chunk.
fn decoding(request: &Request, number: usize) -> Answer {
    let url = request.json().pointer("/messages/0/content/0/image_url/url").and_then(Value::as_str).map(str::to_owned);
    match url {
        Some(url) if !url.ends_with("AABJRU5ErkJggg==") => {
            Answer::new("400 Bad Request", "application/json", "{\"error\": \"cannot identify image file\"}")
        }
        _ => vllm(request, number),
    }
}

mod picture {
    use super::*;
    use cogniverse_sdk::PictureEncoder;
    cogniverse_sdk::picture_encoder_contract! {
        make: async {
            let server = Server::new(decoding);
            let encoder = VllmEncoder::connect(config(&server.url)).await.unwrap();
            (Arc::new(encoder) as Arc<dyn PictureEncoder>, server)
        }, skips: []
    }

    #[tokio::test]
    async fn a_query_is_encoded_as_the_picture_of_a_segment_is() {
        let (encoder, _server) = encoder(|c| c).await;
        let file = cogniverse_sdk::contract::picture::PictureFile::new(&cogniverse_sdk::contract::picture::png());
        let picture = cogniverse_sdk::Picture::read(&file.path(), 1000).unwrap();
        let query = encoder.encode_picture(&picture).await.unwrap();
        let segment = SegmentContent::default().with_frames(vec![file.path()]);
        assert_eq!(encoder.encode_segments(&[segment]).await.unwrap(), [query]);
    }
}

mod segment {
    use super::*;
    cogniverse_sdk::segment_encoder_contract! {
        make: async { let (encoder, server) = encoder(|c| c).await; (encoder as Arc<dyn SegmentEncoder>, server) }, skips: []
    }
}

mod segment_by_messages {
    use super::*;
    cogniverse_sdk::segment_encoder_contract! {
        make: async {
            let (encoder, server) = encoder(|c| c.with_text_form(TextForm::Messages)).await;
            (encoder as Arc<dyn SegmentEncoder>, server)
        }, skips: []
    }
}

/// What an error shows, and what it withholds.
fn heard(error: &cogniverse_sdk::Error) -> String {
    format!("{} {}", error.chain(), error.withheld().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_go_in_batches_with_their_prefixes() {
    let (encoder, server) =
        encoder(|c| c.with_prefixes("query: ", "passage: ").with_revision("r2").with_dimensions(DIMS)).await;
    assert_eq!(SegmentEncoder::info(&*encoder).model, "test/colqwen@r2+query:\"query: \"+document:\"passage: \"");
    encoder.encode_query("red car").await.unwrap();
    let texts: Vec<SegmentContent> = (0..7).map(|n| SegmentContent::from_text(format!("text {n}"))).collect();
    let made = encoder.encode_segments(&texts).await.unwrap();
    assert_eq!(made.len(), 7);
    let mut inputs: Vec<Vec<Value>> =
        server.seen().iter().skip(1).map(|request| request.json()["input"].as_array().unwrap().clone()).collect();
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(inputs.remove(0), ["query: red car"]);
    inputs.sort_by_key(Vec::len);
    assert_eq!(inputs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(inputs[1][0], "passage: text 0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_go_as_data_uris_and_come_back_in_order_of_time() {
    let (encoder, server) = encoder(|c| c).await;
    let folder = tempfile::tempdir().unwrap();
    let picture = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let first = picture("a.jpg", &[0xff, 0xd8, 0xff, 1, 2, 3]);
    let second = picture("b.any", &[0x89, b'P', b'N', b'G', 9, 9, 9, 9, 9, 9, 9, 9]);
    let with = |frames: Vec<std::path::PathBuf>| SegmentContent::from_text("words").with_frames(frames);
    let both = encoder.encode_segments(&[with(vec![first.clone(), second.clone()])]).await.unwrap();
    let alone =
        encoder.encode_segments(&[with(vec![first.clone()]), with(vec![]), with(vec![second.clone()])]).await.unwrap();
    assert_eq!(both[0].cells(), [alone[0].cells(), alone[2].cells()].concat());
    assert_ne!(alone[0].cells(), alone[1].cells());
    let message = &server.seen()[1].json()["messages"][0];
    assert_eq!(message["role"], "user");
    let urls: Vec<String> = server.seen()[1..3]
        .iter()
        .map(|r| r.json()["messages"][0]["content"][0]["image_url"]["url"].as_str().unwrap().to_owned())
        .collect();
    assert!(urls.contains(&"data:image/jpeg;base64,/9j/AQID".to_owned()), "{urls:?}");
    assert!(urls.iter().any(|url| url.starts_with("data:image/png;base64,")));
    assert_eq!(message["content"][1], json!({"type": "text", "text": "Describe the image."}));
    // What is no picture, not there or too large is refused before anything is sent.
    let sent = server.count();
    let text = picture("c.jpg", b"not a picture");
    for (frames, kind, says) in [
        (vec![text], ErrorKind::InvalidInput, "no JPEG"),
        (vec![folder.path().join("none.jpg")], ErrorKind::Unavailable, "cannot be read"),
    ] {
        let error = encoder.encode_segments(&[with(frames)]).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
    }
    let mut small = config(&server.url);
    (small.max_picture_bytes, small.max_text_bytes) = (5, 12);
    let small = VllmEncoder::connect(small).await.unwrap();
    let error = small.encode_segments(&[with(vec![first])]).await.unwrap_err();
    assert!(error.to_string().contains("at most 5"), "{error}");
    let error = small.encode_query("a text of more bytes").await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("at most 12"), "{error}");
    assert_eq!(server.count(), sent + 1, "the probe of the second connection alone");
}

fn answers(data: Value) -> Answer {
    Answer::json(&json!({ "data": data }))
}

/// After a good probe: the answer, the kind of the error, what it says, and how many requests it took.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_09_every_shape_of_error_is_one() {
    let row = vec![0.5; DIMS];
    let error = |status: &str, body: &str| Answer::new(status, "application/json", body);
    let openai =
        r#"{"error": {"message": "maximum context length is 4096 tokens", "type": "BadRequestError", "code": 400}}"#;
    let nan = format!("{{\"data\": [{{\"index\": 0, \"data\": [[{}NaN]]}}]}}", "0.5, ".repeat(DIMS - 1));
    let table: [(Answer, ErrorKind, &str, usize); 16] = [
        (error("400 Bad Request", openai), ErrorKind::InvalidInput, "maximum context length", 1),
        (error("401 Unauthorized", r#"{"error": "Unauthorized"}"#), ErrorKind::Unauthenticated, "with_api_key", 1),
        (
            error("404 Not Found", r#"{"object": "error", "message": "The model `x` does not exist."}"#),
            ErrorKind::NotFound,
            "does not exist",
            1,
        ),
        (
            error("422 Unprocessable Entity", r#"{"detail": [{"msg": "field required"}]}"#),
            ErrorKind::InvalidInput,
            "field required",
            1,
        ),
        (error("429 Too Many Requests", "{}").with_header("retry-after: 0"), ErrorKind::RateLimited, "slow down", 3),
        (error("500 Internal Server Error", "oops"), ErrorKind::Unavailable, "oops", 3),
        (error("503 Service Unavailable", "<html>"), ErrorKind::Unavailable, "a web page", 3),
        (error("302 Found", "").with_header("location: http://elsewhere/"), ErrorKind::Unexpected, "302", 1),
        (Answer::new("broken", "", ""), ErrorKind::Unavailable, "broke", 3),
        (Answer::new("200 OK", "text/html", "<html>hello</html>"), ErrorKind::Unexpected, "a web page", 1),
        (error("200 OK", r#"{"data": [{"index": 0, "da"#), ErrorKind::Unexpected, "not of the expected form", 1),
        (error("200 OK", &nan), ErrorKind::Unexpected, "not of the expected form", 1),
        (answers(json!([])), ErrorKind::Unexpected, "0 results for 1", 1),
        (
            answers(json!([{"index": 0, "data": [row.clone(), [1.0]]}])),
            ErrorKind::Unexpected,
            "no rows of one length",
            1,
        ),
        (answers(json!([{"index": 0, "data": [[1.0, 2.0]]}])), ErrorKind::Unexpected, "promised 32", 1),
        (answers(json!([{"index": 3, "data": [row]}])), ErrorKind::Unexpected, "numbers of other inputs", 1),
    ];
    for (answer, kind, says, requests) in table {
        let server = Server::new(move |request, number| if number == 0 { vllm(request, 0) } else { answer.clone() });
        let encoder = VllmEncoder::connect(config(&server.url)).await.unwrap();
        let error = encoder.encode_query("two words").await.unwrap_err();
        assert!(error.kind() == kind && heard(&error).contains(says), "{says}: {error:?}");
        assert_eq!(server.count() - 1, requests, "{error}");
        assert_eq!(error.retry() == Retry::Exhausted, requests > 1, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_in_passing_is_tried_again() {
    let server = Server::new(|request, number| match number {
        1 => Answer::new("503 Service Unavailable", "text/plain", "loading"),
        2 => Answer::new("broken", "", ""),
        _ => vllm(request, number),
    });
    let encoder = VllmEncoder::connect(config(&server.url)).await.unwrap();
    assert_eq!(encoder.encode_query("two words").await.unwrap().len(), 2);
    assert_eq!(server.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_17_a_model_that_does_not_fit_is_refused_on_connecting() {
    let server = Server::new(vllm);
    let error = VllmEncoder::connect(config(&server.url).with_dimensions(320)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("320 are wanted"), "{error}");
    // A model of one vector a text answers no rows.
    let single = Server::new(|_, _| answers(json!([{"index": 0, "data": [0.1, 0.2]}])));
    assert_eq!(VllmEncoder::connect(config(&single.url)).await.unwrap_err().kind(), ErrorKind::Unexpected);
    let slow = Server::new(|_, _| Answer::new("slow", "", ""));
    let mut once = config(&slow.url);
    once.server = once.server.with_attempts(1).with_timeout(Duration::from_millis(100));
    assert_eq!(VllmEncoder::connect(once).await.unwrap_err().kind(), ErrorKind::Timeout);
    for address in ["localhost:8000", "ftp://localhost", "http://user:pass@localhost", "https://localhost"] {
        if address.starts_with("https") && cfg!(feature = "tls") {
            continue;
        }
        assert_eq!(
            VllmEncoder::connect(config(address)).await.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{address}"
        );
    }
    assert!(!format!("{:?}", config("http://x")).contains("secret"));
}

mod health {
    use super::*;
    use cogniverse_sdk::{ErrorCode, HealthProbe};

    cogniverse_sdk::health_probe_contract! {
        make: async {
            let server = Server::new(vllm);
            (Arc::new(VllmEncoder::connect(config(&server.url)).await.unwrap()) as Arc<dyn HealthProbe>, server)
        }, skips: []
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_serves_another_model_or_is_gone_does_not_work() {
        let server = Server::new(|request, number| match request.path.as_str() {
            "/v1/models" => Answer::json(&json!({"data": [{"id": "another/model"}]})),
            _ => vllm(request, number),
        });
        let encoder = VllmEncoder::connect(config(&server.url)).await.unwrap();
        let error = encoder.probe().await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::ModelUnknown);
        assert!(error.to_string().contains("another/model"), "{error}");
        assert!(!encoder.is_required(), "words are found without it");
    }
}
