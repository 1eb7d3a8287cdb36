//! The contracts and the errors on a real server: the `/v1` routes of an Ollama.
//!
//! `COGNIVERSE_OLLAMA_URL` says where one is that has `all-minilm` and `gemma3:270m`. The model of answers is a base model:
//! nothing here looks at what it says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_openai::{OpenAiClient, OpenAiConfig, OpenAiEmbedder, OpenAiModel};
use cogniverse_sdk::{
    ChatMessage, ChatRequest, ErrorKind, LanguageModel, TextEmbedder,
    contract::{Outcome, language_model, text_embedder},
};
use serde_json::json;
use std::time::Duration;

fn client() -> Option<OpenAiClient> {
    let Ok(url) = std::env::var("COGNIVERSE_OLLAMA_URL") else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set COGNIVERSE_OLLAMA_URL");
        println!("skipped: set COGNIVERSE_OLLAMA_URL to the address of an Ollama");
        return None;
    };
    Some(OpenAiClient::new(OpenAiConfig::new(url).with_batch(16)).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_language_models() {
    let Some(client) = client() else { return };
    let model = OpenAiModel::new(client, "gemma3:270m").unwrap();
    let model: &dyn LanguageModel = &model;
    assert_eq!(language_model::it_has_a_name(model).await, Outcome::Ran);
    assert_eq!(language_model::invariant_09_pieces_joined_are_the_answer(model).await, Outcome::Ran);
    assert_eq!(language_model::invariant_09_a_cut_answer_says_so(model).await, Outcome::Ran);
    assert_eq!(language_model::a_whole_answer_obeys_its_schema(model).await, Outcome::Ran);
    assert_eq!(language_model::wrong_requests_are_refused(model).await, Outcome::Ran);
    assert_eq!(language_model::a_deadline_is_kept(model).await, Outcome::Ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_text_embedders() {
    let Some(client) = client() else { return };
    // These routes cut in silence, so the model's limit must be told.
    let embedder = OpenAiEmbedder::connect(client.clone(), "all-minilm").await.unwrap().with_max_tokens(512);
    assert_eq!(embedder.info().dims, 384);
    for embedder in [embedder.clone().with_prefixes("query: ", "passage: "), embedder] {
        let embedder: &dyn TextEmbedder = &embedder;
        assert_eq!(text_embedder::rows_are_as_promised(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::batches_equal_single_texts(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::nothing_gives_nothing(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::empty_texts_are_refused(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::invariant_09_long_texts_are_never_cut_in_silence(embedder).await, Outcome::Ran);
    }
    let short = OpenAiEmbedder::connect_with_dimensions(client, "all-minilm", 64).await.unwrap();
    assert_eq!(short.info().dims, 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_09_its_errors_are_ours() {
    let Some(client) = client() else { return };
    let models = client.models().await.unwrap();
    assert!(models.iter().any(|name| name == "gemma3:270m"), "{models:?}");
    let ask = ChatRequest::new(vec![ChatMessage::user("x")]).with_max_tokens(2);
    let model = |name: &str| OpenAiModel::new(client.clone(), name).unwrap();
    for (error, kind) in [
        (model("nope").chat(ask.clone()).await.unwrap_err(), ErrorKind::NotFound),
        (OpenAiEmbedder::connect(client.clone(), "nope").await.unwrap_err(), ErrorKind::NotFound),
        (OpenAiEmbedder::connect(client.clone(), "gemma3:270m").await.unwrap_err(), ErrorKind::Unsupported),
        (model("all-minilm").chat(ask.clone()).await.unwrap_err(), ErrorKind::Unsupported),
        (
            model("gemma3:270m").chat(ask.with_schema(json!({"type": "nonsense"}))).await.unwrap_err(),
            ErrorKind::InvalidInput,
        ),
    ] {
        assert_eq!(error.kind(), kind, "{error:?}");
    }
    let lost = OpenAiConfig::new(format!("{}/v2", std::env::var("COGNIVERSE_OLLAMA_URL").unwrap()));
    let lost = OpenAiClient::new(lost.with_timeout(Duration::from_secs(20))).unwrap();
    assert!(lost.models().await.unwrap_err().to_string().contains("ends in /v1"));
}
