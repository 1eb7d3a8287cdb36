//! The routes of describers and screen readers: the contracts, what is sent, and every answer that is not what it should be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod server;

use cogniverse_model_servers::{HttpDescriber, HttpScreenReader, ServerConfig};
use cogniverse_sdk::{
    ErrorKind,
    contract::picture::{PictureFile, png},
    frame_describer::{DescribeRequest, FrameDescriber},
    screen_reader::{ReadScreensRequest, ScreenReader},
};
use serde_json::json;
use server::{Answer, Request, Server};
use std::sync::Arc;

fn config(url: &str) -> ServerConfig {
    ServerConfig::new(url).with_attempts(1).with_api_key("secret")
}

/// A server of both routes.
fn both(request: &Request, _: usize) -> Answer {
    let count = request.json()["pictures"].as_array().unwrap().len();
    match request.path.as_str() {
        "/describe" => Answer::json(&json!({"description": format!("{count} pictures"), "tags": ["stripes"]})),
        "/read" => Answer::json(&json!({"screens": vec![json!({"lines": ["Exit", "Ausgang"]}); count]})),
        _ => Answer::new("404 Not Found", "application/json", "{\"detail\": \"no route\"}"),
    }
}

mod describer_contract {
    use super::*;
    cogniverse_sdk::frame_describer_contract! {
        make: async {
            let server = Server::new(both);
            (Arc::new(HttpDescriber::new(config(&server.url), "m").unwrap()) as Arc<dyn FrameDescriber>, server)
        }, skips: []
    }
}

mod reader_contract {
    use super::*;
    cogniverse_sdk::screen_reader_contract! {
        make: async {
            let server = Server::new(both);
            (Arc::new(HttpScreenReader::new(config(&server.url), "m").unwrap()) as Arc<dyn ScreenReader>, server)
        }, skips: []
    }
}

#[tokio::test]
async fn pictures_are_sent_in_base64_with_model_prompt_and_language() {
    let server = Server::new(both);
    let picture = PictureFile::new(&png());
    let describer = HttpDescriber::new(config(&server.url), "seer").unwrap();
    let request = DescribeRequest::new(vec![picture.path(); 2]).with_language(Some("de".into()));
    assert_eq!(describer.describe(&request).await.unwrap().to_segment_text(), "2 pictures\nstripes");
    let reader = HttpScreenReader::new(config(&server.url), "ocr").unwrap();
    let read = reader.read_screens(&ReadScreensRequest::new(vec![picture.path()])).await.unwrap();
    assert_eq!(read[0].lines, ["Exit", "Ausgang"]);
    let seen = server.seen();
    assert_eq!(seen[0].header("authorization"), Some("Bearer secret"));
    let asked = seen[0].json();
    assert_eq!(
        (&asked["model"], &asked["language"], &asked["prompt"]),
        (&json!("seer"), &json!("de"), &json!(request.prompt()))
    );
    assert!(asked["pictures"][1].as_str().unwrap().starts_with("iVBORw0KGgo"), "{asked}");
    let asked = seen[1].json();
    assert_eq!((&asked["model"], asked.get("prompt"), asked.get("language")), (&json!("ocr"), None, None));
    assert!(HttpDescriber::new(config(&server.url), " ").is_err());
}

#[tokio::test]
async fn invariant_09_an_answer_of_another_form_is_an_error() {
    let picture = PictureFile::new(&png());
    for (answer, kind) in [
        (Answer::json(&json!({"screens": []})), ErrorKind::Unexpected),
        (Answer::json(&json!({"error": "out of memory"})), ErrorKind::Unexpected),
        (Answer::json(&json!({"description": "x".repeat(1 << 20)})), ErrorKind::Unexpected),
        (Answer::json(&json!("x".repeat(1 << 20))), ErrorKind::Unexpected),
        (Answer::new("200 OK", "text/html", "<html>"), ErrorKind::Unexpected),
        (Answer::new("422 Unprocessable Entity", "application/json", "{}"), ErrorKind::InvalidInput),
        (Answer::new("503 Service Unavailable", "text/plain", "busy"), ErrorKind::Unavailable),
    ] {
        let server = Server::new(move |_, _| answer.clone());
        let describer = HttpDescriber::new(config(&server.url), "m").unwrap();
        let error = describer.describe(&DescribeRequest::new(vec![picture.path()])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        let reader = HttpScreenReader::new(config(&server.url), "m").unwrap();
        let error = reader.read_screens(&ReadScreensRequest::new(vec![picture.path()])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
    }
}
