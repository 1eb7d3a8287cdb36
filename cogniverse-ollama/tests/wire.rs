//! What is sent, and answers of success in every form that a server and a network give them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

#[path = "../../cogniverse-http/tests/loopback/mod.rs"]
mod loopback;

use cogniverse_ollama::{
    KeepAlive, ModelName, OllamaClient, OllamaConfig, OllamaEmbedder, OllamaModel, OllamaOptions, OverlongPrompt,
    PromptRequest,
};
use cogniverse_sdk::{
    ChatMessage, ChatRequest, ErrorKind, FinishReason, LanguageModel, TextEmbedder, TextKind, Timestamp,
};
use loopback::{Loopback, Reply, json, stream};
use serde_json::json as j;
use std::time::Duration;

const NDJSON: &str = "application/x-ndjson";

fn client(url: &str) -> OllamaClient {
    OllamaClient::new(OllamaConfig::new(url)).unwrap()
}

fn name() -> ModelName {
    ModelName::parse("ollama/gemma3:4b").unwrap()
}

fn done(text: &str, reason: &str) -> Reply {
    let message = j!({"role": "assistant", "content": text});
    let counters = j!({"total_duration": 5_000_000_000_u64, "load_duration": 1_000_000_000, "eval_duration": 2_000_000_000,
        "prompt_eval_duration": 7, "prompt_eval_count": 4, "eval_count": 10});
    let mut body = j!({"model": "gemma3:4b", "message": message, "done": true, "done_reason": reason});
    body.as_object_mut().unwrap().extend(counters.as_object().unwrap().clone());
    json(200, &body)
}

fn ask() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::system("be short"), ChatMessage::user("hi")])
}

#[tokio::test]
async fn a_chat_is_sent_as_configured_and_read_with_its_counters() {
    let server = Loopback::with(vec![done("hello", "stop")]);
    let options = OllamaOptions::default().with_num_ctx(2048).with_top_k(5).with_stop(["END"]);
    let config = OllamaConfig::new(format!("{}/behind/a/gate/", server.url))
        .with_options(options)
        .with_keep_alive(KeepAlive::Forever)
        .with_think(false)
        .with_api_key("k");
    let request = ask().with_max_tokens(9).with_temperature(0.5).with_seed(3);
    let generation = OllamaClient::new(config).unwrap().chat(&name(), &request).await.unwrap();
    assert_eq!(generation.answer.text, "hello");
    assert_eq!(generation.answer.finish, FinishReason::Stop);
    assert_eq!((generation.answer.prompt_tokens, generation.answer.completion_tokens), (Some(4), Some(10)));
    assert_eq!(generation.tokens_per_second(), Some(5.0));
    assert_eq!(generation.timings.load, Duration::from_secs(1));
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /behind/a/gate/api/chat");
    assert!(asked.headers.contains("authorization: bearer k"), "{}", asked.headers);
    let expected = j!({
        "model": "gemma3:4b",
        "messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}],
        "stream": false, "truncate": false, "shift": false, "think": false, "keep_alive": -1,
        "options": {"num_ctx": 2048, "top_k": 5, "stop": ["END"], "num_predict": 9, "temperature": 0.5, "seed": 3},
    });
    assert_eq!(asked.body, expected);
}

#[tokio::test]
async fn a_generation_is_sent_with_its_system_and_schema() {
    let server = Loopback::with(vec![json(200, &j!({"response": "{\"a\": 1}", "done": true}))]);
    let schema = j!({"type": "object"});
    let request = PromptRequest::new("a =").with_system("count").with_settings_of(&ask().with_schema(schema.clone()));
    let generation = client(&server.url).generate(&name(), &request).await.unwrap();
    assert_eq!((generation.answer.text.as_str(), generation.tokens_per_second()), ("{\"a\": 1}", None));
    let expected = j!({"model": "gemma3:4b", "prompt": "a =", "system": "count", "raw": false, "stream": false,
        "truncate": false, "shift": false, "format": schema, "options": {}});
    assert_eq!(server.asked()[0].body, expected);
    let empty = client(&server.url).generate(&name(), &PromptRequest::new("")).await.unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::InvalidInput, "which would only load the model");
}

#[tokio::test]
async fn a_stream_is_read_in_whatever_pieces_it_comes() {
    let lines = "{\"message\":{\"role\":\"assistant\",\"content\":\"caf\u{e9} \"},\"done\":false}\r\n\n\
        {\"message\":{\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n\
        {\"message\":{\"content\":\"\u{6771}\u{4eac}\"},\"done\":false}\n\
        {\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"length\",\"eval_count\":2}";
    for reply in [Reply::Bytes(stream(NDJSON, lines)), Reply::Pieces(stream(NDJSON, lines))] {
        let server = Loopback::with(vec![reply]);
        let model = OllamaModel::new(client(&server.url), "gemma3:4b").unwrap();
        let mut pieces = Vec::new();
        let answer = model.chat_streamed(ask(), &mut |piece| pieces.push(piece.to_owned())).await.unwrap();
        assert_eq!(pieces, ["caf\u{e9} ", "\u{6771}\u{4eac}"]);
        assert_eq!((answer.text, answer.finish), (pieces.concat(), FinishReason::Length));
        assert_eq!(server.asked()[0].body["stream"], true);
    }
}

#[tokio::test]
async fn invariant_09_half_an_object_is_flagged_or_an_error() {
    let schema = j!({"type": "object"});
    let server =
        Loopback::with(vec![done("{\"a\": ", "length"), done("{\"a\": ", "stop"), done("sure: {\"a\": [{}", "stop")]);
    let model = OllamaModel::new(client(&server.url), "x").unwrap();
    let answer = model.chat(ask().with_schema(schema.clone())).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("{\"a\": ", FinishReason::Length));
    for _ in 0..2 {
        let error = model.chat(ask().with_schema(schema.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{error:?}");
    }
    assert_eq!(server.asked()[0].body["format"], schema);
}

#[tokio::test]
async fn invariant_09_a_cut_prompt_is_flagged_or_refused() {
    let refused = json(400, &j!({"error": "the input length exceeds the context length"}));
    let server = Loopback::with(vec![refused.clone(), done("late", "stop")]);
    let model = OllamaModel::new(client(&server.url), "x").unwrap();
    let answer = model.chat(ask()).await.unwrap();
    assert!(answer.prompt_cut && answer.text == "late", "{answer:?}");
    let truncate: Vec<_> = server.asked().iter().map(|asked| asked.body["truncate"].clone()).collect();
    assert_eq!(truncate, [false, true], "cut only after it is known that it must be");

    let server = Loopback::with(vec![refused]);
    let strict = OllamaConfig::new(&server.url).with_overlong(OverlongPrompt::Refuse);
    let model = OllamaModel::new(OllamaClient::new(strict).unwrap(), "x").unwrap();
    let error = model.chat(ask()).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (ErrorKind::InvalidInput, 1));
    assert!(error.to_string().contains("num_ctx"), "{error}");

    // A version that knows no `truncate` cuts, and its count of tokens is the whole context.
    let server = Loopback::with(vec![done("x", "stop")]);
    for (num_ctx, cut) in [(4, true), (5, false)] {
        let config = OllamaConfig::new(&server.url).with_options(OllamaOptions::default().with_num_ctx(num_ctx));
        let model = OllamaModel::new(OllamaClient::new(config).unwrap(), "x").unwrap();
        assert_eq!(model.chat(ask()).await.unwrap().prompt_cut, cut);
    }
}

#[tokio::test]
async fn texts_are_sent_in_batches_behind_their_prefix() {
    let info = j!({"general.architecture": "nomic-bert", "nomic-bert.embedding_length": 2});
    let server = Loopback::by(move |asked, _| match asked.line.as_str() {
        "POST /api/show" => json(200, &j!({"model_info": info, "details": {"family": "nomic-bert"}})),
        "GET /api/tags" => {
            json(200, &j!({"models": [{"name": "nomic:latest", "size": 1, "digest": "0123456789abcdef"}]}))
        }
        _ => {
            // The length of each text, so that the order can be seen.
            let texts = asked.body["input"].as_array().unwrap();
            let rows: Vec<_> = texts.iter().map(|text| [text.as_str().unwrap().len(), 1]).collect();
            json(200, &j!({ "embeddings": rows }))
        }
    });
    let client = OllamaClient::new(OllamaConfig::new(&server.url).with_batch(2)).unwrap();
    let embedder = OllamaEmbedder::connect(client, "nomic").await.unwrap();
    assert_eq!((embedder.info().model.as_str(), embedder.info().dims), ("nomic:latest@0123456789ab", 2));
    assert!(embedder.clone().with_dimensions(3).is_err());
    let embedder = embedder.with_prefixes("q: ", "doc: ");
    assert_eq!(embedder.info().model, "nomic:latest@0123456789ab [\"q: \", \"doc: \"]");
    let texts = ["a", "bb", "ccc"].map(str::to_owned);
    let rows = embedder.embed(&texts, TextKind::Query).await.unwrap();
    assert_eq!(rows.cells(), [4.0, 1.0, 5.0, 1.0, 6.0, 1.0]);
    embedder.embed(&texts[..1], TextKind::Document).await.unwrap();
    let inputs: Vec<_> = server.asked()[2..].iter().map(|asked| asked.body["input"].clone()).collect();
    assert_eq!(inputs, [j!(["q: a", "q: bb"]), j!(["q: ccc"]), j!(["doc: a"])]);
    assert!(embedder.embed(&[" ".to_owned()], TextKind::Query).await.is_err(), "a prefix alone is no text");
}

#[tokio::test]
async fn what_models_are_is_read_whatever_their_architecture() {
    let server = Loopback::with(vec![
        json(
            200,
            &j!({"capabilities": ["completion", "vision"], "model_info": {
            "gemma3.vision.embedding_length": 1152, "gemma3.embedding_length": 2560, "gemma3.context_length": 131_072,
            "general.architecture": "gemma3", "tokenizer.ggml.tokens": null}}),
        ),
        json(200, &j!({"model_info": {"odd.embedding_length": 7}})),
        json(
            200,
            &j!({"models": [{"name": "a:latest", "model": "a:latest", "size": 9, "size_vram": 0,
            "digest": "d", "context_length": 2048, "expires_at": "2026-11-25T02:37:22.926685742Z"}]}),
        ),
        json(
            200,
            &j!({"models": [{"name": "a:latest", "size": 9, "digest": "d", "modified_at":
            "2026-11-25T03:37:22+01:00", "details": {"family": "bert", "parameter_size": "22M", "quantization_level": "F16"}}]}),
        ),
    ]);
    let client = client(&server.url);
    let gemma = client.show(&name()).await.unwrap();
    assert_eq!((gemma.embedding_length, gemma.context_length), (Some(2560), Some(131_072)));
    assert!(gemma.can("vision") && !gemma.can("embedding"));
    let odd = client.show(&name()).await.unwrap();
    assert_eq!((odd.embedding_length, odd.context_length, odd.can("anything")), (Some(7), None, true));
    let loaded = &client.ps().await.unwrap()[0];
    let now: Timestamp = "2026-11-25T02:37:12.926685742Z".parse().unwrap();
    assert_eq!((loaded.context_length, loaded.remaining(now)), (Some(2048), Some(Duration::from_secs(10))));
    let stored = &client.tags().await.unwrap()[0];
    assert_eq!((stored.family.as_str(), stored.quantization.as_str(), stored.size), ("bert", "F16", 9));
    assert_eq!(stored.modified_at, Some("2026-11-25T02:37:22Z".parse().unwrap()));
}

#[tokio::test]
async fn a_pull_says_how_far_it_is_and_whether_it_was_done() {
    let part = "{\"status\":\"pulling abc\",\"digest\":\"sha256:abc\",\"total\":10,\"completed\":4}\n";
    let start = "{\"status\":\"pulling manifest\"}\n";
    let dial = "pull model manifest: Get \\\"https://registry.ollama.ai/\\\": dial tcp: no such host";
    let replies = [
        format!("{start}{part}{{\"status\":\"success\"}}\n"),
        format!("{start}{part}"),
        format!("{start}{{\"error\":\"{dial}\"}}\n"),
        format!("{start}{{\"error\":\"pull model manifest: file does not exist\"}}\n"),
    ];
    let server = Loopback::with(replies.iter().map(|body| Reply::Bytes(stream(NDJSON, body))).collect());
    let client = client(&server.url);
    let mut seen = Vec::new();
    client.pull(&name(), &mut |progress| seen.push((progress.status.clone(), progress.completed))).await.unwrap();
    let expected = [("pulling manifest", None), ("pulling abc", Some(4)), ("success", None)];
    assert_eq!(seen, expected.map(|(status, completed)| (status.to_owned(), completed)));
    for (kind, part) in [
        (ErrorKind::Unexpected, "without success"),
        (ErrorKind::Unavailable, "check its network"),
        (ErrorKind::NotFound, "check its name"),
    ] {
        let error = client.pull(&name(), &mut |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn models_are_loaded_and_unloaded_by_name() {
    let server = Loopback::with(vec![json(200, &j!({"response": "", "done": true, "done_reason": "load"}))]);
    let client = client(&server.url);
    client.load(&name(), Some(KeepAlive::For(Duration::from_secs(90)))).await.unwrap();
    client.unload(&name()).await.unwrap();
    let bodies: Vec<_> = server.asked().iter().map(|asked| asked.body["keep_alive"].clone()).collect();
    assert_eq!(bodies, [j!("90000ms"), j!("0ms")]);
}
