//! Answers that are not what they should be: each its own error, none read as success.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

#[path = "../../cogniverse-http/tests/loopback/mod.rs"]
mod loopback;

use cogniverse_ollama::{ModelName, OllamaClient, OllamaConfig, OllamaEmbedder, OllamaModel};
use cogniverse_sdk::{ChatMessage, ChatRequest, ErrorKind, LanguageModel, Retry, TextEmbedder, TextKind};
use loopback::{CANARY, Loopback, Reply, answer, broken, echoes, json, shows, stream};
use serde_json::json as j;
use std::time::Duration;

const NDJSON: &str = "application/x-ndjson";

fn client(url: &str) -> OllamaClient {
    OllamaClient::new(OllamaConfig::new(url).with_attempts(2).with_timeout(Duration::from_secs(20))).unwrap()
}

fn model(url: &str) -> OllamaModel {
    OllamaModel::new(client(url), "ollama/gemma3:4b").unwrap()
}

fn ask() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user("hi")])
}

fn error(status: u16, said: &str) -> Reply {
    json(status, &j!({ "error": said }))
}

/// What an error shows, and what it withholds.
fn heard(error: &cogniverse_sdk::Error) -> String {
    format!("{} {}", error.chain(), error.withheld().unwrap_or_default())
}

#[tokio::test]
async fn invariant_09_every_shape_of_error_is_one() {
    use ErrorKind::{
        InvalidInput, NotFound, PermissionDenied, RateLimited, Timeout, Unauthenticated, Unavailable, Unexpected,
        Unsupported,
    };
    let busy = "server busy, please try again.  maximum pending requests exceeded";
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"done\":";
    let table: Vec<(Reply, ErrorKind, &str, usize)> = vec![
        (error(404, "model 'gemma3:4b' not found"), NotFound, "`ollama pull gemma3:4b`", 1),
        (error(404, "model \"x\" not found, try pulling it first"), NotFound, "`ollama pull gemma3:4b`", 1),
        (error(400, "registry.ollama.ai/library/x does not support tools"), Unsupported, "does not support tools", 1),
        (error(400, "\"all-minilm\" does not support chat"), Unsupported, "use one that can", 1),
        (error(501, "this model does not support embeddings"), Unsupported, "use one that can", 1),
        (error(500, "invalid JSON schema in format"), InvalidInput, "invalid JSON schema", 1),
        (error(500, "invalid format: \"5\"; expected \"json\""), InvalidInput, "invalid format", 1),
        (error(500, "option \"num_predict\" must be of type integer"), InvalidInput, "num_predict", 1),
        (error(400, "unexpected EOF"), InvalidInput, "unexpected EOF", 1),
        (error(400, "invalid input type"), InvalidInput, "invalid input type", 1),
        (error(503, busy), RateLimited, "pending requests", 2),
        (error(500, "llama runner process has terminated"), Unavailable, "terminated", 1),
        (answer(404, "text/plain", "404 page not found"), Unavailable, "address of Ollama itself", 1),
        (answer(405, "text/plain", "405 method not allowed"), Unavailable, "address of Ollama itself", 1),
        (answer(502, "text/html", "<html>bad gateway"), Unavailable, "a web page", 1),
        (answer(504, "text/plain", ""), Timeout, "no reason given", 1),
        (answer(401, "text/plain", "who"), Unauthenticated, "with_api_key", 1),
        (json(403, &j!({"error": {"message": "not yours"}})), PermissionDenied, "not yours", 1),
        (answer(200, "text/html", "<html>hello"), Unexpected, "a web page", 1),
        (answer(200, "application/json", "null"), Unexpected, "expected form", 1),
        (answer(200, "application/json", ""), Unexpected, "ended before", 1),
        (json(200, &j!({})), Unexpected, "without a text", 1),
        (json(200, &j!({"message": {"content": 5}, "done": true})), Unexpected, "expected form", 1),
        (json(200, &j!({"message": {"content": "a"}, "done": false})), Unexpected, "ended before", 1),
        (json(200, &j!({"message": {"content": ""}, "done": true, "done_reason": "load"})), Unexpected, "loaded", 1),
        (error(200, "an error that says 200"), Unavailable, "says 200", 1),
        (Reply::Bytes(half.into()), Unavailable, "connection to Ollama broke", 1),
        (Reply::Bytes(Vec::new()), Unavailable, "connection to Ollama broke", 1),
    ];
    for (reply, kind, part, tries) in table {
        let shown = format!("{reply:?}");
        let server = Loopback::with(vec![reply]);
        let failed = model(&server.url).chat(ask()).await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{shown}: {failed:?}");
        assert!(heard(&failed).contains(part), "{shown}: {failed:?}");
        assert_eq!(server.count(), tries, "{shown}");
        // Asked as a stream it is the same error, and no piece was given for it.
        let mut pieces = Vec::new();
        let failed = model(&server.url).chat_streamed(ask(), &mut |piece| pieces.push(piece.to_owned())).await;
        assert_eq!(failed.unwrap_err().kind(), kind, "{shown}");
        assert!(pieces.concat().len() <= 1, "{shown}: {pieces:?}");
    }
}

#[tokio::test]
async fn invariant_09_a_stream_that_breaks_is_an_error() {
    let first = "{\"message\":{\"content\":\"one \"},\"done\":false}\n";
    let table: Vec<(Reply, ErrorKind, &str)> = vec![
        (Reply::Bytes(stream(NDJSON, first)), ErrorKind::Unexpected, "ended before it was done"),
        (broken(NDJSON, first), ErrorKind::Unavailable, "broke"),
        (
            Reply::Bytes(stream(NDJSON, &format!("{first}{{\"error\":\"it fell\"}}\n"))),
            ErrorKind::Unavailable,
            "it fell",
        ),
        (
            Reply::Bytes(stream(NDJSON, &format!("{first}{{\"error\":\"server busy\"}}\n"))),
            ErrorKind::RateLimited,
            "server busy",
        ),
        (Reply::Bytes(stream(NDJSON, &format!("{first}no JSON\n"))), ErrorKind::Unexpected, "no JSON"),
        (Reply::Bytes(stream(NDJSON, &format!("{first}{{\"done\":tr"))), ErrorKind::Unexpected, "expected form"),
        (Reply::Bytes(stream(NDJSON, &format!("{first}{{\"done\":true}}"))), ErrorKind::Unexpected, "without a text"),
    ];
    for (reply, kind, part) in table {
        let shown = format!("{reply:?}");
        let server = Loopback::with(vec![reply]);
        let mut pieces = String::new();
        let failed = model(&server.url).chat_streamed(ask(), &mut |piece| pieces.push_str(piece)).await.unwrap_err();
        assert_eq!((failed.kind(), pieces.as_str()), (kind, "one "), "{shown}: {failed:?}");
        assert!(heard(&failed).contains(part), "{shown}: {failed:?}");
        assert_eq!(server.count(), 1, "what gave a piece is not asked again");
    }
}

fn show() -> Reply {
    let info = j!({"general.architecture": "bert", "bert.embedding_length": 3, "bert.context_length": 512});
    json(200, &j!({"capabilities": ["embedding"], "model_info": info}))
}

fn tags() -> Reply {
    json(200, &j!({"models": [{"name": "all-minilm:latest", "size": 1, "digest": "0123456789abcdef"}]}))
}

/// A server with an embedding model of three cells, and its answer to `/api/embed`.
async fn embedder(embed: impl Fn(&loopback::Asked) -> Reply + Send + Sync + 'static) -> (OllamaEmbedder, Loopback) {
    let server = Loopback::by(move |asked, _| match asked.line.as_str() {
        "POST /api/show" => show(),
        "GET /api/tags" => tags(),
        _ => embed(asked),
    });
    (OllamaEmbedder::connect(client(&server.url), "all-minilm").await.unwrap(), server)
}

#[tokio::test]
async fn invariant_09_embeddings_that_are_none_are_errors() {
    let bodies = [
        (r#"{"embeddings": []}"#, "0 vectors came back for 2 texts"),
        (r#"{"embeddings": [[1, 2, 3]]}"#, "1 vectors came back for 2 texts"),
        (r#"{"embeddings": [[1, 2, 3], [1, 2, 3], [1, 2, 3]]}"#, "3 vectors came back for 2 texts"),
        (r#"{"embeddings": [[1, 2, 3], [1, 2]]}"#, "vector 1 has 2 cells"),
        (r#"{"embeddings": [[1, 2], [1, 2]]}"#, "the model makes 3"),
        (r#"{"embeddings": [[1, 2, 3], [1, 1e300, 3]]}"#, "expected form"),
        (r#"{"embeddings": [[1, 2, 3], [1, null, 3]]}"#, "expected form"),
        (r#"{"embeddings": [[1, 2, 3], [1, NaN, 3]]}"#, "expected form"),
        (r#"{"embedding": [1, 2, 3]}"#, "expected form"),
        ("<html>", "a web page"),
    ];
    for (body, part) in bodies {
        let (embedder, _server) = embedder(move |_| answer(200, "application/json", body)).await;
        let texts = ["a".to_owned(), "b".to_owned()];
        let failed = embedder.embed(&texts, TextKind::Document).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unexpected, "{body}: {failed:?}");
        assert!(heard(&failed).contains(part), "{body}: {failed:?}");
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_named_by_its_place() {
    let (embedder, server) = embedder(|asked| {
        assert_eq!(asked.body["truncate"], false);
        let texts = asked.body["input"].as_array().unwrap();
        match texts.iter().any(|text| text.as_str().unwrap().len() > 100) {
            true => error(400, "the input length exceeds the context length"),
            false => json(200, &j!({"embeddings": vec![[1, 2, 3]; texts.len()]})),
        }
    })
    .await;
    let mut texts = vec!["short".to_owned(); 70];
    texts[66] = "x".repeat(101);
    let failed = embedder.embed(&texts, TextKind::Query).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::InvalidInput);
    assert!(failed.to_string().contains("text 66 of 70"), "{failed}");
    let sizes: Vec<_> =
        server.asked().iter().filter_map(|asked| asked.body["input"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [64, 6, 1], "a batch, the batch with the long text, and the longest alone");
}

#[tokio::test]
async fn models_that_make_no_vectors_are_refused_at_once() {
    for (body, kind, part) in [
        (j!({"capabilities": ["completion"], "model_info": {}}), ErrorKind::Unsupported, "makes no vectors"),
        (j!({"capabilities": ["embedding"], "model_info": {}}), ErrorKind::Unexpected, "how wide"),
        (j!({"capabilities": ["embedding"]}), ErrorKind::Unexpected, "expected form"),
    ] {
        let server = Loopback::with(vec![json(200, &body)]);
        let failed = OllamaEmbedder::connect(client(&server.url), "x").await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{failed:?}");
        assert!(failed.to_string().contains(part), "{failed:?}");
    }
    let server = Loopback::with(vec![error(404, "model 'x' not found")]);
    let failed = OllamaEmbedder::connect(client(&server.url), "ollama/x").await.unwrap_err();
    assert!(failed.to_string().contains("`ollama pull x:latest`"), "{failed}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_nothing_else_is() {
    let done = json(200, &j!({"message": {"content": "yes"}, "done": true, "done_reason": "stop"}));
    let server = Loopback::with(vec![error(503, "server busy"), error(503, "server busy"), done]);
    let config = OllamaConfig::new(&server.url).with_attempts(3);
    let model = OllamaModel::new(OllamaClient::new(config).unwrap(), "x").unwrap();
    assert_eq!(model.chat(ask()).await.unwrap().text, "yes");
    assert_eq!(server.count(), 3);
    // Who asks for a longer pause than this code waits is not asked again.
    let later = "HTTP/1.1 503 X\r\nretry-after: 60\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Loopback::with(vec![Reply::Bytes(later.into())]);
    let failed = OllamaModel::new(client(&server.url), "x").unwrap().chat(ask()).await.unwrap_err();
    assert_eq!(failed.retry(), Retry::After(Some(Duration::from_secs(60))));
    assert_eq!(server.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_left_in_time() {
    let first = "{\"message\":{\"content\":\"one\"},\"done\":false}\n";
    for hold in [Reply::Hold(Vec::new()), Reply::Hold(stream(NDJSON, first))] {
        let server = Loopback::with(vec![hold]);
        let model = model(&server.url);
        let request = ask().with_timeout(Duration::from_millis(200));
        let failed = model.chat(request.clone()).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Timeout, "{failed:?}");
        assert_eq!(model.chat_streamed(request, &mut |_| {}).await.unwrap_err().kind(), ErrorKind::Timeout);
        // The connections are closed, by which Ollama knows to stop.
        for _ in 0..2 {
            server.gone.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        let short = OllamaConfig::new(&server.url).with_timeout(Duration::from_millis(200));
        let stuck = OllamaClient::new(short).unwrap().pull(&ModelName::parse("x").unwrap(), &mut |_| {}).await;
        assert_eq!(stuck.unwrap_err().kind(), ErrorKind::Timeout, "a pull without progress");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_stream_closes_its_connection() {
    let first = "{\"message\":{\"content\":\"one\"},\"done\":false}\n";
    let server = Loopback::with(vec![Reply::Hold(stream(NDJSON, first))]);
    let model = model(&server.url);
    let (came, mut piece) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        model.chat_streamed(ask(), &mut |piece| came.send(piece.to_owned()).unwrap()).await.unwrap();
    });
    assert_eq!(piece.recv().await.unwrap(), "one");
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    server.gone.recv_timeout(Duration::from_secs(20)).unwrap();
}

#[tokio::test]
async fn nobody_there_is_an_error_with_a_remedy() {
    // Nobody listens there, and no other test can come to.
    let free = "127.0.0.1:1";
    let client = client(&format!("http://{free}"));
    for failed in [
        client.health().await.unwrap_err(),
        client.tags().await.unwrap_err(),
        OllamaModel::new(client.clone(), "x").unwrap().chat(ask()).await.unwrap_err(),
        OllamaEmbedder::connect(client.clone(), "x").await.unwrap_err(),
    ] {
        assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed:?}");
        assert!(failed.retry() != Retry::Never && failed.to_string().contains("check the address"), "{failed:?}");
    }
    let other = Loopback::with(vec![answer(200, "text/html", "<html>a router")]);
    let failed = OllamaClient::new(OllamaConfig::new(&other.url)).unwrap().health().await.unwrap_err();
    assert!(failed.to_string().contains("address of Ollama"), "{failed:?}");
    for wrong in ["localhost:11434", "ftp://x", "http://user:secret@host", "https://host"] {
        let failed = OllamaClient::new(OllamaConfig::new(wrong)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InvalidInput, "{wrong}");
    }
    let config = OllamaConfig::new("http://x").with_api_key("s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(!format!("{:?}", OllamaClient::new(config).unwrap().clone()).contains("s3cret"), "nor in what holds it");
}

#[tokio::test]
async fn what_a_server_repeats_of_a_user_is_shown_by_no_error() {
    let ask = || ChatRequest::new(vec![ChatMessage::user(CANARY)]).with_schema(j!({"type": "object"}));
    let name = ModelName::parse("x").unwrap();
    let mut withheld = 0;
    for body in echoes() {
        for status in [200, 400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 501, 503, 504] {
            let server = Loopback::with(vec![answer(status, "application/json", &body)]);
            let client = OllamaClient::new(OllamaConfig::new(&server.url).with_attempts(1)).unwrap();
            let errors = [
                client.chat(&name, &ask()).await.err(),
                client.chat_streamed(&name, &ask(), &mut |_| {}).await.err(),
                client.embed(&name, &[CANARY.to_owned()], None).await.err(),
                client.pull(&name, &mut |_| {}).await.err(),
                client.health().await.err(),
            ];
            for error in errors.into_iter().flatten() {
                assert!(!shows(&error).contains(CANARY), "{status} {body}: {error:?}");
                withheld += usize::from(error.withheld().is_some_and(|said| said.contains(CANARY)));
            }
        }
    }
    assert!(withheld > 1000, "a developer finds it: {withheld}");
    for said in [
        j!({"message": {"content": format!("no JSON: {CANARY}")}, "done": true, "done_reason": "stop"}),
        j!({"message": {"content": CANARY}, "done": false}),
    ] {
        let client = OllamaClient::new(OllamaConfig::new(&Loopback::with(vec![json(200, &said)]).url)).unwrap();
        let error = client.chat(&name, &ask()).await.unwrap_err();
        assert!(!shows(&error).contains(CANARY) && error.withheld().unwrap().contains(CANARY), "{error:?}");
    }
}

/// Ollama answers a batch by 500 where the model makes NaN of one of its texts: the text is at fault, and asking again is of no use.
#[tokio::test]
async fn a_text_that_a_model_makes_nan_of_is_an_error_of_the_text() {
    let (embedder, server) = embedder(|asked| {
        let texts = asked.body["input"].as_array().unwrap();
        match texts.iter().any(|text| text.as_str().unwrap().contains("poison")) {
            true => json(500, &j!({"error": "failed to encode response: json: unsupported value: NaN"})),
            false => json(200, &j!({"embeddings": vec![[1, 2, 3]; texts.len()]})),
        }
    })
    .await;
    let before = server.asked().len();
    let texts = ["fine".to_owned(), "poison".to_owned()];
    let error = embedder.embed(&texts, TextKind::Document).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("leave that text out"), "{error}");
    assert_eq!(server.asked().len(), before + 1);
    assert!(embedder.embed(&texts[..1], TextKind::Document).await.is_ok());
}
