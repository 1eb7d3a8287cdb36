//! Description of pictures by Ollama's wire: the contract, what is sent, and answers of every form.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

#[path = "../../cogniverse-http/tests/loopback/mod.rs"]
mod loopback;

use cogniverse_ollama::{OllamaClient, OllamaConfig, OllamaDescriber};
use cogniverse_sdk::{
    ErrorKind,
    contract::picture::{PictureFile, png},
    frame_describer::{DescribeRequest, FrameDescriber},
};
use loopback::{Loopback, Reply, json};
use serde_json::{Value, json as j};
use std::sync::Arc;

/// The bytes of [`png`] in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAJUlEQVR42mNgkLEIKehZceTBHwmTgJyOJQfu/BAx8MloYRhaEgC2hlmB/6H99gAAAABJRU5ErkJggg==";

fn said(text: &str, reason: &str) -> Reply {
    json(200, &j!({"message": {"role": "assistant", "content": text}, "done": true, "done_reason": reason}))
}

/// An Ollama with one model, which answers a chat by a rule.
fn ollama(capabilities: Value, chat: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Loopback {
    Loopback::by(move |asked, number| match asked.line.as_str() {
        "POST /api/show" => json(200, &j!({"capabilities": capabilities, "model_info": {}})),
        "GET /api/tags" => json(200, &j!({"models": [{"name": "gemma3:4b", "size": 1, "digest": "0123456789abcdef"}]})),
        _ => chat(number),
    })
}

async fn describer(server: &Loopback) -> OllamaDescriber {
    let client = OllamaClient::new(OllamaConfig::new(&server.url).with_attempts(1)).unwrap();
    OllamaDescriber::connect(client, "ollama/gemma3:4b").await.unwrap()
}

mod contract {
    use super::*;
    cogniverse_sdk::frame_describer_contract! {
        make: async {
            let server = ollama(j!(["completion", "vision"]), |_| said(r#"{"description": "stripes", "tags": []}"#, "stop"));
            let describer = describer(&server).await;
            (Arc::new(describer) as Arc<dyn FrameDescriber>, server)
        }, skips: []
    }
}

#[tokio::test]
async fn pictures_go_beside_the_prompt_and_the_answer_is_read() {
    let answer = r#"{"description": "Coloured stripes", "tags": ["stripes", "colours"]}"#;
    let server = ollama(j!(["completion", "vision"]), move |_| said(answer, "stop"));
    let describer = describer(&server).await.with_max_tokens(99);
    assert_eq!(describer.info().model, "gemma3:4b@0123456789ab");
    let (one, two) = (PictureFile::new(&png()), PictureFile::new(&png()));
    let request = DescribeRequest::new(vec![one.path(), two.path()]).with_language(Some("de".into()));
    let described = describer.describe(&request).await.unwrap();
    assert_eq!(described.to_segment_text(), "Coloured stripes\nstripes, colours");
    let asked = &server.asked()[2];
    assert_eq!(asked.line, "POST /api/chat");
    assert_eq!(
        asked.body,
        j!({
            "model": "gemma3:4b",
            "messages": [{"role": "user", "content": request.prompt(), "images": [PNG, PNG]}],
            "stream": false, "truncate": false, "shift": false, "format": DescribeRequest::schema(),
            "options": {"num_predict": 99, "temperature": 0.0},
        })
    );
}

#[tokio::test]
async fn answers_are_read_liberally_and_a_cut_or_endless_one_is_refused() {
    let endless = "stripes ".repeat(130_000);
    let replies = [
        said("Coloured stripes.", "stop"),
        said("<think>what is it</think>```json\n{\"description\": \"Coloured stripes.\"}\n```", "stop"),
        said("{\"description\": \"Coloured str", "length"),
        said(&endless, "stop"),
        said("", "stop"),
        said("{\"description\": \"", "stop"),
    ];
    let server = ollama(j!(null), move |number| replies[number - 2].clone());
    let describer = describer(&server).await;
    let picture = PictureFile::new(&png());
    let request = DescribeRequest::new(vec![picture.path()]);
    for _ in 0..2 {
        assert_eq!(describer.describe(&request).await.unwrap().text, "Coloured stripes.");
    }
    for part in ["cut after 400 tokens", "1040000 bytes", "neither a description", "cannot be read"] {
        let error = describer.describe(&request).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Unexpected && error.to_string().contains(part), "{part}: {error:?}");
        assert!(!error.chain().contains("str\""), "{error:?}");
    }
    let large = describer.with_max_picture_bytes(20).describe(&request).await.unwrap_err();
    assert!(large.to_string().contains("larger than 20 bytes"), "{large}");
    assert_eq!(server.count(), 8, "a picture that is too large is not sent");
}

#[tokio::test]
async fn a_model_that_does_not_see_is_refused_and_one_that_is_missing_is_named() {
    let server = ollama(j!(["completion"]), |_| said("I see a dog", "stop"));
    let client = OllamaClient::new(OllamaConfig::new(&server.url)).unwrap();
    let error = OllamaDescriber::connect(client, "gemma3:4b").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("does not see"), "{error}");
    let server = Loopback::with(vec![json(404, &j!({"error": "model 'x' not found"}))]);
    let client = OllamaClient::new(OllamaConfig::new(&server.url)).unwrap();
    assert_eq!(OllamaDescriber::connect(client, "x").await.unwrap_err().kind(), ErrorKind::NotFound);
}
