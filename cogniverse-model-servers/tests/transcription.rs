//! OpenAI's transcription route: the contract, the form, and every answer that is not what it should be.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod server;

use cogniverse_model_servers::{OpenAiTranscriber, ServerConfig};
use cogniverse_sdk::{
    ErrorKind,
    contract::transcriber::wav,
    transcriber::{TranscribeRequest, Transcriber},
};
use serde_json::json;
use server::{Answer, Request, Server};
use std::{sync::Arc, time::Duration};

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

/// A server that hears nothing in anything, and knows what is no audio.
fn whisper(request: &Request, _: usize) -> Answer {
    if contains(&request.body, b"RIFF") {
        Answer::json(&json!({"task": "transcribe", "language": "en", "duration": 1.0, "text": "", "segments": []}))
    } else {
        let error = json!({"error": {"message": "the audio could not be decoded", "type": "invalid_request_error"}});
        Answer::new("400 Bad Request", "application/json", error.to_string())
    }
}

fn transcriber(url: &str) -> OpenAiTranscriber {
    let server = ServerConfig::new(url).with_attempts(2).with_timeout(Duration::from_secs(20)).with_api_key("secret");
    OpenAiTranscriber::new(server, "whisper-1").unwrap()
}

mod contract {
    use super::*;
    cogniverse_sdk::transcriber_contract! {
        make: async {
            let server = Server::new(whisper);
            (Arc::new(transcriber(&server.url)) as Arc<dyn Transcriber>, server)
        }, skips: []
    }
}

/// The whole contract on a real Whisper. `COGNIVERSE_WHISPER_URL` says where it is.
/// What an error shows, and what it withholds.
fn heard(error: &cogniverse_sdk::Error) -> String {
    format!("{} {}", error.chain(), error.withheld().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_whisper_keeps_the_contract() {
    use cogniverse_sdk::contract::{Outcome, transcriber as suite};
    let Ok(url) = std::env::var("COGNIVERSE_WHISPER_URL") else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set COGNIVERSE_WHISPER_URL");
        println!("skipped: set COGNIVERSE_WHISPER_URL to a server of OpenAI's transcription route");
        return;
    };
    let real = transcriber(&url);
    assert_eq!(suite::silence_is_no_error(&real).await, Outcome::Ran);
    assert_eq!(suite::a_language_may_be_said(&real).await, Outcome::Ran);
    assert_eq!(suite::a_missing_file_is_an_error(&real).await, Outcome::Ran);
    assert_eq!(suite::what_is_no_audio_is_an_error(&real).await, Outcome::Ran);
}

struct Sound(tempfile::TempDir);

impl Sound {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.wav"), wav(&[1, -1, 300, 4])).unwrap();
        Self(folder)
    }

    fn request(&self) -> TranscribeRequest {
        TranscribeRequest::new(self.0.path().join("a.wav"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_holds_the_file_and_the_answers_times_are_put_in_order() {
    let server = Server::new(|_, _| {
        Answer::json(&json!({"text": "one two", "language": "english", "segments": [
            {"id": 0, "start": 0.0, "end": 2.0, "text": " one"}, {"id": 1, "start": 1.5, "end": 3.0, "text": " two "},
            {"id": 2, "start": 3.0, "end": 3.5, "text": " "}]}))
    });
    let sound = Sound::new();
    let request = sound.request().with_language(Some("en".to_owned()));
    let made = transcriber(&server.url).with_revision("v3").transcribe(&request).await.unwrap();
    let cues: Vec<_> = made.cues.iter().map(|c| (c.range.start(), c.range.end(), c.text.as_str())).collect();
    assert_eq!(cues, [(0.0, 2.0, "one"), (2.0, 3.0, "two")]);
    assert_eq!(made.language.as_deref(), Some("english"));
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "/v1/audio/transcriptions");
    assert_eq!(seen.header("authorization"), Some("Bearer secret"));
    let boundary = seen.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let text = String::from_utf8_lossy(&seen.body);
    assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")));
    for (name, value) in [("model", "whisper-1"), ("response_format", "verbose_json"), ("language", "en")] {
        assert!(
            text.contains(&format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ))
        );
    }
    assert!(contains(&seen.body, &wav(&[1, -1, 300, 4])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_09_every_shape_of_error_is_one() {
    let json = |body: &str| Answer::new("200 OK", "application/json", body);
    let table: [(Answer, ErrorKind, &str, usize); 11] = [
        (
            json(r#"{"error": {"message": "the model is loading"}}"#),
            ErrorKind::Unexpected,
            "not of the expected form",
            1,
        ),
        (json("{}"), ErrorKind::Unexpected, "not of the expected form", 1),
        (json(r#"{"text": "many words", "segments": []}"#), ErrorKind::Unexpected, "verbose_json", 1),
        (json(r#"{"text": "words without times"}"#), ErrorKind::Unexpected, "verbose_json", 1),
        (
            json(r#"{"text": "x", "segments": [{"start": 2.0, "end": 1.0, "text": "x"}]}"#),
            ErrorKind::Unexpected,
            "from 2 to 1",
            1,
        ),
        (json(r#"{"text": "x", "segments": [{"text": "x"}]}"#), ErrorKind::Unexpected, "not of the expected form", 1),
        (Answer::new("200 OK", "text/plain", "just words"), ErrorKind::Unexpected, "just words", 1),
        (
            Answer::new("404 Not Found", "application/json", r#"{"detail": "Not Found"}"#),
            ErrorKind::NotFound,
            "Not Found",
            1,
        ),
        (Answer::new("413 Payload Too Large", "text/plain", "too large"), ErrorKind::InvalidInput, "too large", 1),
        (Answer::new("429 Too Many Requests", "application/json", "{}"), ErrorKind::RateLimited, "slow down", 2),
        (
            Answer::new("500 Internal Server Error", "application/json", r#"{"error": {"message": "CUDA"}}"#),
            ErrorKind::Unavailable,
            "CUDA",
            2,
        ),
    ];
    let sound = Sound::new();
    for (answer, kind, says, requests) in table {
        let server = Server::new(move |_, _| answer.clone());
        let error = transcriber(&server.url).transcribe(&sound.request()).await.unwrap_err();
        assert!(error.kind() == kind && heard(&error).contains(says), "{says}: {error:?}");
        assert_eq!(server.count(), requests, "{error}");
    }
    let server = Server::new(whisper);
    let small = transcriber(&server.url).with_max_bytes(20);
    assert_eq!(small.transcribe(&sound.request()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let injected = sound.request().with_language(Some("en\r\n--x".to_owned()));
    assert_eq!(transcriber(&server.url).transcribe(&injected).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(OpenAiTranscriber::new(ServerConfig::new(&server.url), " ").is_err());
    assert_eq!(server.count(), 0);
}

mod health {
    use super::*;
    use cogniverse_sdk::HealthProbe;

    fn listing(request: &Request, number: usize) -> Answer {
        match request.path.as_str() {
            "/v1/models" => Answer::json(&json!({"data": [{"id": "whisper-1"}]})),
            _ => whisper(request, number),
        }
    }

    cogniverse_sdk::health_probe_contract! {
        make: async {
            let server = Server::new(listing);
            (Arc::new(transcriber(&server.url)) as Arc<dyn HealthProbe>, server)
        }, skips: []
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_refuses_does_not_work() {
        let of =
            |status: &'static str| Server::new(move |_: &Request, _| Answer::new(status, "application/json", "{}"));
        for status in ["401 Unauthorized", "404 Not Found", "500 Internal Server Error"] {
            let server = of(status);
            transcriber(&server.url).probe().await.unwrap_err();
        }
    }
}
