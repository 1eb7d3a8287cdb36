//! A real Ollama: the contracts, the errors, cancellation, a full queue, and how long models stay.
//!
//! `COGNIVERSE_OLLAMA_URL` says where one is that has `all-minilm` and `gemma3:270m`; `COGNIVERSE_OLLAMA_BUSY_URL`, where
//! one is that lets one request wait (`OLLAMA_MAX_QUEUE=1`, `OLLAMA_NUM_PARALLEL=1`). The model of answers is a base model:
//! nothing here looks at what it says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_ollama::{
    KeepAlive, ModelName, OllamaClient, OllamaConfig, OllamaDescriber, OllamaEmbedder, OllamaModel, OllamaOptions,
    OverlongPrompt, PromptRequest,
};
use cogniverse_sdk::{
    ChatMessage, ChatRequest, ErrorKind, FinishReason, LanguageModel, Retry, TextEmbedder, TextKind, Timestamp,
    contract::{Outcome, language_model, text_embedder},
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, MutexGuard};

const CHAT: &str = "ollama/gemma3:270m";
const LONG: Duration = Duration::from_secs(120);

/// One test at a time: they load and unload the same models.
static TURN: Mutex<()> = Mutex::const_new(());

async fn config(variable: &str) -> Option<(OllamaConfig, MutexGuard<'static, ()>)> {
    let Ok(url) = std::env::var(variable) else {
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must set {variable}");
        println!("skipped: set {variable} to the address of an Ollama");
        return None;
    };
    Some((OllamaConfig::new(url).with_timeout(LONG), TURN.lock().await))
}

fn chat_name() -> ModelName {
    ModelName::parse(CHAT).unwrap()
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user(text)]).with_temperature(0.0).with_seed(7)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_does_not_see_is_refused_as_a_describer() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let error = OllamaDescriber::connect(OllamaClient::new(config).unwrap(), CHAT).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("does not see"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_language_models() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let model = OllamaModel::new(OllamaClient::new(config).unwrap(), CHAT).unwrap();
    let model: &dyn LanguageModel = &model;
    assert_eq!(model.model(), "gemma3:270m");
    assert_eq!(language_model::it_has_a_name(model).await, Outcome::Ran);
    assert_eq!(language_model::invariant_09_pieces_joined_are_the_answer(model).await, Outcome::Ran);
    assert_eq!(language_model::invariant_09_a_cut_answer_says_so(model).await, Outcome::Ran);
    assert_eq!(language_model::a_whole_answer_obeys_its_schema(model).await, Outcome::Ran);
    assert_eq!(language_model::wrong_requests_are_refused(model).await, Outcome::Ran);
    assert_eq!(language_model::a_deadline_is_kept(model).await, Outcome::Ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_text_embedders() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let client = OllamaClient::new(config.with_batch(16)).unwrap();
    let embedder = OllamaEmbedder::connect(client, "all-minilm").await.unwrap();
    assert!(embedder.info().model.starts_with("all-minilm:latest@"), "{:?}", embedder.info());
    assert_eq!(embedder.info().dims, 384);
    for embedder in [embedder.clone().with_prefixes("query: ", "passage: "), embedder.clone()] {
        let embedder: &dyn TextEmbedder = &embedder;
        assert_eq!(text_embedder::rows_are_as_promised(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::batches_equal_single_texts(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::nothing_gives_nothing(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::empty_texts_are_refused(embedder).await, Outcome::Ran);
        assert_eq!(text_embedder::invariant_09_long_texts_are_never_cut_in_silence(embedder).await, Outcome::Ran);
    }
    let texts = ["a cat sits on the mat", "a feline rests on a rug", "the tax return is due"].map(str::to_owned);
    let rows = embedder.embed(&texts, TextKind::Document).await.unwrap();
    let rows: Vec<&[f32]> = rows.rows().collect();
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert!(cosine(rows[0], rows[1]) > 0.4 && cosine(rows[0], rows[2]) < 0.2, "the vectors know what is meant");
    let short = embedder.with_dimensions(64).unwrap().embed(&texts, TextKind::Document).await.unwrap();
    assert_eq!((short.len(), short.width()), (3, 64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_and_the_server_say_what_they_are() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let client = OllamaClient::new(config).unwrap();
    assert!(!client.health().await.unwrap().version.is_empty());
    let names: Vec<_> = client.tags().await.unwrap().into_iter().map(|tag| tag.name).collect();
    assert!(names.contains(&"all-minilm:latest".to_owned()) && names.contains(&"gemma3:270m".to_owned()), "{names:?}");
    let minilm = client.show(&ModelName::parse("all-minilm").unwrap()).await.unwrap();
    assert_eq!((minilm.embedding_length, minilm.context_length), (Some(384), Some(512)));
    let gemma = client.show(&chat_name()).await.unwrap();
    assert_eq!((gemma.embedding_length, gemma.context_length), (Some(640), Some(32_768)));
    assert!(gemma.can("completion") && !gemma.can("embedding") && minilm.can("embedding"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_09_its_errors_are_ours() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let client = OllamaClient::new(config.clone()).unwrap();
    let model = |name: &str| OllamaModel::new(client.clone(), name).unwrap();
    let nope = ModelName::parse("nope").unwrap();
    let schema = ask("x").with_schema(json!({"type": "nonsense"}));
    for (error, kind, part) in [
        (model("nope").chat(ask("x")).await.unwrap_err(), ErrorKind::NotFound, "`ollama pull nope:latest`"),
        (client.show(&nope).await.unwrap_err(), ErrorKind::NotFound, "`ollama pull nope:latest`"),
        (client.embed(&nope, &["x".to_owned()], None).await.unwrap_err(), ErrorKind::NotFound, "`ollama pull nope"),
        (client.unload(&nope).await.unwrap_err(), ErrorKind::NotFound, "`ollama pull nope"),
        (model("all-minilm").chat(ask("x")).await.unwrap_err(), ErrorKind::Unsupported, "does not support chat"),
        (
            OllamaEmbedder::connect(client.clone(), CHAT).await.unwrap_err(),
            ErrorKind::Unsupported,
            "take one that does",
        ),
        (
            client.embed(&chat_name(), &["x".to_owned()], None).await.unwrap_err(),
            ErrorKind::Unsupported,
            "does not support embeddings",
        ),
        (model(CHAT).chat(schema).await.unwrap_err(), ErrorKind::InvalidInput, "JSON schema"),
        (client.pull(&nope, &mut |_| {}).await.unwrap_err(), ErrorKind::Unavailable, "check its network"),
    ] {
        assert_eq!(error.kind(), kind, "{error:?}");
        let heard = format!("{error} {}", error.withheld().unwrap_or_default());
        assert!(heard.contains(part), "{heard}");
    }
    let thinking = OllamaModel::new(OllamaClient::new(config.clone().with_think(true)).unwrap(), CHAT).unwrap();
    let error = thinking.chat(ask("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    // A path below the address where there is no Ollama.
    let lost = OllamaConfig::new(format!("{}/elsewhere", config.url));
    let error = OllamaClient::new(lost).unwrap().tags().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("404"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_09_cuts_are_known() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let config = config.with_options(OllamaOptions::default().with_num_ctx(32));
    let model = OllamaModel::new(OllamaClient::new(config.clone()).unwrap(), CHAT).unwrap();
    // The middle message alone is longer than the context: it is left out whole, so the count of tokens is small.
    let messages = vec![ChatMessage::user("first"), ChatMessage::user("word ".repeat(80)), ChatMessage::user("last")];
    let request = ChatRequest::new(messages).with_max_tokens(2);
    let answer = model.chat(request.clone()).await.unwrap();
    assert!(answer.prompt_cut, "{answer:?}");
    let mut pieces = String::new();
    let streamed = model.chat_streamed(request.clone(), &mut |piece| pieces.push_str(piece)).await.unwrap();
    assert!(streamed.prompt_cut && streamed.text == pieces, "{streamed:?}");
    assert!(!model.chat(ask("last").with_max_tokens(2)).await.unwrap().prompt_cut);
    let strict = OllamaClient::new(config.with_overlong(OverlongPrompt::Refuse)).unwrap();
    let error = strict.chat(&chat_name(), &request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    // An answer that fills the context ends there, and does not go on without its beginning.
    let full = strict.chat(&chat_name(), &ask("Count from one: one, two, three,").with_max_tokens(1000)).await.unwrap();
    let tokens = full.answer.prompt_tokens.unwrap() + full.answer.completion_tokens.unwrap();
    assert!(full.answer.finish == FinishReason::Stop || tokens >= 30, "{full:?}");
    assert!(tokens <= 33, "{full:?}");
    // Half an object is kept and flagged.
    let schema = json!({"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]});
    let half = model.chat(ask("grass:").with_schema(schema).with_max_tokens(3)).await.unwrap();
    assert_eq!(half.finish, FinishReason::Length);
    assert!(serde_json::from_str::<serde_json::Value>(&half.text).is_err(), "{half:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_is_gone_on_with() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let client = OllamaClient::new(config).unwrap();
    let request = PromptRequest::new("The cat").with_raw(true).with_settings_of(&ask("").with_max_tokens(4));
    let whole = client.generate(&chat_name(), &request).await.unwrap();
    let mut pieces = String::new();
    let streamed = client.generate_streamed(&chat_name(), &request, &mut |piece| pieces.push_str(piece)).await.unwrap();
    assert_eq!(streamed.answer.text, pieces);
    assert!(whole.answer.completion_tokens.is_some_and(|tokens| (1..=4).contains(&tokens)), "{whole:?}");
    assert!(whole.tokens_per_second().is_some_and(|speed| speed > 0.0), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_makes_room_soon() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_BUSY_URL").await else { return };
    let client = OllamaClient::new(config).unwrap();
    let model = OllamaModel::new(client, CHAT).unwrap();
    model.chat(ask("one").with_max_tokens(1)).await.unwrap();
    let (came, mut piece) = tokio::sync::mpsc::unbounded_channel();
    let long = model.clone();
    // It would write for a minute, and the server takes one request at a time.
    let task = tokio::spawn(async move {
        let endless = ChatRequest::new(vec![ChatMessage::user("Count: 1 2 3 4")]).with_max_tokens(1900);
        long.chat_streamed(endless, &mut |text| came.send(text.to_owned()).unwrap()).await
    });
    piece.recv().await.unwrap();
    task.abort();
    let begin = Instant::now();
    model.chat(ask("two").with_max_tokens(1)).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_busy() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_BUSY_URL").await else { return };
    let client = OllamaClient::new(config.with_attempts(1)).unwrap();
    let model = Arc::new(OllamaModel::new(client.clone(), CHAT).unwrap());
    // While the model is loaded nothing leaves the queue.
    client.unload(&chat_name()).await.unwrap();
    let asked: Vec<_> = (0..24)
        .map(|_| {
            let model = Arc::clone(&model);
            tokio::spawn(async move { model.chat(ask("Count: 1 2 3").with_max_tokens(32)).await })
        })
        .collect();
    let (mut answered, mut busy) = (0, 0);
    for task in asked {
        match task.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::RateLimited, "{error:?}");
                assert!(error.retry() != Retry::Never && error.to_string().contains("busy"), "{error:?}");
                busy += 1;
            }
        }
    }
    assert!(answered > 0 && busy > 0, "{answered} answered, {busy} sent away");
    model.chat(ask("again").with_max_tokens(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_stay_as_long_as_they_are_told() {
    let Some((config, _turn)) = config("COGNIVERSE_OLLAMA_URL").await else { return };
    let client = OllamaClient::new(config.clone()).unwrap();
    let remaining = || async {
        let loaded = client.ps().await.unwrap().into_iter().find(|model| model.name == "gemma3:270m")?;
        loaded.remaining(Timestamp::now())
    };
    let hour = Duration::from_secs(3600);
    client.load(&chat_name(), Some(KeepAlive::For(hour))).await.unwrap();
    let left = remaining().await.unwrap();
    assert!(left > hour / 2 && left <= hour, "{left:?}");
    client.load(&chat_name(), Some(KeepAlive::Forever)).await.unwrap();
    assert!(remaining().await.unwrap() > 1000 * hour);
    // A call's own time counts from that call on.
    let short = OllamaClient::new(config.with_keep_alive(KeepAlive::For(Duration::from_secs(10 * 60)))).unwrap();
    short.chat(&chat_name(), &ask("x").with_max_tokens(1)).await.unwrap();
    assert!(remaining().await.unwrap() <= Duration::from_secs(10 * 60));
    client.unload(&chat_name()).await.unwrap();
    // The memory is given back a moment after the answer.
    let gone = async {
        while remaining().await.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap();
}
