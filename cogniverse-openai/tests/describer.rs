//! Description of pictures by OpenAI's wire: the contract, what is sent, and answers of every form.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

#[path = "../../cogniverse-http/tests/loopback/mod.rs"]
mod loopback;

use cogniverse_openai::{OpenAiClient, OpenAiConfig, OpenAiDescriber};
use cogniverse_sdk::{
    ErrorKind,
    contract::picture::{PictureFile, png},
    frame_describer::{DescribeRequest, FrameDescriber},
};
use loopback::{Loopback, Reply, json};
use serde_json::{Value, json as j};
use std::sync::Arc;

fn said(text: &str, finish: Value) -> Reply {
    json(200, &j!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}]}))
}

fn describer(url: &str) -> OpenAiDescriber {
    let client = OpenAiClient::new(OpenAiConfig::new(url).with_attempts(1)).unwrap();
    OpenAiDescriber::new(client, "qwen2.5-vl").unwrap()
}

mod contract {
    use super::*;
    cogniverse_sdk::frame_describer_contract! {
        make: async {
            let server = Loopback::with(vec![said(r#"{"description": "stripes", "tags": []}"#, j!("stop"))]);
            (Arc::new(describer(&server.url)) as Arc<dyn FrameDescriber>, server)
        }, skips: []
    }
}

#[tokio::test]
async fn pictures_are_data_urls_beside_the_prompt() {
    let answer = r#"{"description": "Farbige Streifen", "tags": ["Streifen"]}"#;
    let server = Loopback::with(vec![said(answer, j!("stop"))]);
    let describer = describer(&server.url).with_revision("v2").with_max_tokens(99);
    assert_eq!(describer.info().model, "qwen2.5-vl@v2");
    let picture = PictureFile::new(&png());
    let request = DescribeRequest::new(vec![picture.path(), picture.path()]).with_language(Some("de".into()));
    assert_eq!(describer.describe(&request).await.unwrap().to_segment_text(), "Farbige Streifen\nStreifen");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/chat/completions");
    let content = asked.body["messages"][0]["content"].as_array().unwrap();
    assert_eq!(content[0], j!({"type": "text", "text": request.prompt()}));
    assert_eq!(content.len(), 3);
    for part in &content[1..] {
        let url = part["image_url"]["url"].as_str().unwrap();
        assert!(part["type"] == "image_url" && url.starts_with("data:image/png;base64,iVBORw0KGgo"), "{part}");
    }
    assert_eq!((&asked.body["max_tokens"], &asked.body["stream"]), (&j!(99), &j!(false)));
    assert_eq!(asked.body["response_format"]["json_schema"]["schema"], DescribeRequest::schema());
}

#[tokio::test]
async fn answers_are_read_liberally_and_a_cut_or_endless_one_is_refused() {
    let endless = "stripes ".repeat(130_000);
    let server = Loopback::with(vec![
        said("Coloured stripes.", Value::Null),
        said("<think>hm</think>Here: {\"caption\": \"Coloured stripes.\"}", j!("stop")),
        said("{\"description\": \"Coloured str", j!("length")),
        said(&endless, j!("stop")),
        said(" ", j!("stop")),
        json(400, &j!({"error": {"message": "m does not support images", "type": "x", "code": null}})),
    ]);
    let describer = describer(&server.url);
    let picture = PictureFile::new(&png());
    let request = DescribeRequest::new(vec![picture.path()]);
    for _ in 0..2 {
        assert_eq!(describer.describe(&request).await.unwrap().text, "Coloured stripes.");
    }
    for (kind, part) in [
        (ErrorKind::Unexpected, "cut after 400 tokens"),
        (ErrorKind::Unexpected, "1040000 bytes"),
        (ErrorKind::Unexpected, "neither a description"),
    ] {
        let error = describer.describe(&request).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(part), "{part}: {error:?}");
    }
    let blind = describer.describe(&request).await.unwrap_err();
    assert!(matches!(blind.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput), "{blind:?}");
}
