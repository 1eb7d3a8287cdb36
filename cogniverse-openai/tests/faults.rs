//! Servers that differ, and answers that are not what they should be: each its own error, none read as success.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

#[path = "../../cogniverse-http/tests/loopback/mod.rs"]
mod loopback;

use cogniverse_openai::{OpenAiClient, OpenAiConfig, OpenAiEmbedder, OpenAiModel, TokenLimitField};
use cogniverse_sdk::{ChatMessage, ChatRequest, ErrorKind, FinishReason, LanguageModel, Retry, TextEmbedder, TextKind};
use loopback::{CANARY, Loopback, Reply, answer, broken, echoes, json, shows, stream};
use serde_json::{Value, json as j};
use std::time::Duration;

const SSE: &str = "text/event-stream; charset=utf-8";

fn client(url: &str) -> OpenAiClient {
    OpenAiClient::new(OpenAiConfig::new(url).with_attempts(2).with_timeout(Duration::from_secs(20))).unwrap()
}

fn model(url: &str) -> OpenAiModel {
    OpenAiModel::new(client(url), "m").unwrap()
}

fn ask() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::system("be short"), ChatMessage::user("hi")])
}

fn said(text: &str, finish: &str) -> Value {
    j!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}})
}

/// What an error shows, and what it withholds.
fn heard(error: &cogniverse_sdk::Error) -> String {
    format!("{} {}", error.chain(), error.withheld().unwrap_or_default())
}

#[tokio::test]
async fn a_chat_is_sent_as_configured_and_read_with_its_counters() {
    let server = Loopback::with(vec![json(200, &said("{\"a\": 1}", "stop"))]);
    let schema = j!({"type": "object"});
    let request = ask().with_max_tokens(9).with_temperature(0.5).with_seed(3).with_schema(schema.clone());
    let config = OpenAiConfig::new(&server.url).with_api_key("k").with_context_tokens(4);
    let answer = OpenAiModel::new(OpenAiClient::new(config).unwrap(), "m").unwrap().chat(request).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("{\"a\": 1}", FinishReason::Stop));
    assert_eq!((answer.prompt_tokens, answer.completion_tokens), (Some(4), Some(2)));
    assert!(answer.prompt_cut, "the prompt filled the context that was configured");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/chat/completions", "without a path, /v1 is meant");
    assert!(asked.headers.contains("authorization: bearer k"));
    let expected = j!({"model": "m", "stream": false, "max_tokens": 9, "temperature": 0.5, "seed": 3,
        "messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}}});
    assert_eq!(asked.body, expected);

    let server = Loopback::with(vec![json(200, &said("a", "content_filter"))]);
    let config =
        OpenAiConfig::new(format!("{}/openai/v9/", server.url)).with_token_limit(TokenLimitField::MaxCompletionTokens);
    let model = OpenAiModel::new(OpenAiClient::new(config).unwrap(), "m").unwrap();
    assert_eq!(model.chat(ask().with_max_tokens(9)).await.unwrap().finish, FinishReason::Other);
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /openai/v9/chat/completions");
    assert_eq!((&asked.body["max_completion_tokens"], asked.body.get("max_tokens")), (&j!(9), None));
}

#[tokio::test]
async fn a_stream_is_read_in_whatever_pieces_it_comes() {
    let chunk = |content: &str, finish: Value| {
        format!("data: {}\r\n\r\n", j!({"choices": [{"delta": {"content": content}, "finish_reason": finish}]}))
    };
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n";
    let begin = format!(
        ": a comment\n\nevent: x\ndata:{}\n\n{}{}{}",
        j!({"choices": [{"delta": {"role": "assistant", "content": null}}]}),
        chunk("caf\u{e9} ", Value::Null),
        chunk("\u{6771}\u{4eac}", Value::Null),
        chunk("", j!("length")),
    );
    for (end, tokens) in [(format!("{usage}data: [DONE]\n\ndata: nonsense\n\n"), Some(2)), (String::new(), None)] {
        let body = format!("{begin}{end}");
        for reply in [Reply::Bytes(stream(SSE, &body)), Reply::Pieces(stream(SSE, &body))] {
            let server = Loopback::with(vec![reply]);
            let mut pieces = Vec::new();
            let answer =
                model(&server.url).chat_streamed(ask(), &mut |piece| pieces.push(piece.to_owned())).await.unwrap();
            assert_eq!(pieces, ["caf\u{e9} ", "\u{6771}\u{4eac}"]);
            assert_eq!((answer.text, answer.finish), (pieces.concat(), FinishReason::Length));
            assert_eq!(answer.completion_tokens, tokens);
            assert_eq!(server.asked()[0].body["stream_options"], j!({"include_usage": true}));
        }
    }
}

#[tokio::test]
async fn invariant_09_every_shape_of_error_is_one() {
    use ErrorKind::{
        InvalidInput, NotFound, PermissionDenied, RateLimited, Timeout, Unauthenticated, Unavailable, Unexpected,
        Unsupported,
    };
    let openai =
        |message: &str, code: &str| j!({"error": {"message": message, "type": "x", "param": null, "code": code}});
    let ollama = |message: &str| j!({"error": {"message": message, "type": "api_error", "param": null, "code": null}});
    let vllm = |message: &str| j!({"object": "error", "message": message, "type": "BadRequestError", "code": 400});
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"choices\":";
    let table: Vec<(Reply, ErrorKind, &str, usize)> = vec![
        (json(401, &openai("Incorrect API key", "invalid_api_key")), Unauthenticated, "with_api_key", 1),
        (json(403, &openai("no", "x")), PermissionDenied, "use another", 1),
        (json(404, &openai("The model `m` does not exist", "model_not_found")), NotFound, "that it serves", 1),
        (json(404, &ollama("model 'm' not found")), NotFound, "'m'", 1),
        (json(404, &j!({"detail": "Not Found"})), Unavailable, "ends in /v1", 1),
        (answer(404, "text/plain", "404 page not found"), Unavailable, "ends in /v1", 1),
        (answer(405, "text/plain", ""), Unavailable, "no reason given", 1),
        (
            json(400, &openai("This model's maximum context length is 8", "context_length_exceeded")),
            InvalidInput,
            "shorten it",
            1,
        ),
        (json(400, &vllm("This model's maximum context length is 8")), InvalidInput, "shorten it", 1),
        (json(400, &openai("the request exceeds the available context size", "y")), InvalidInput, "shorten it", 1),
        (json(500, &openai("input is too large to process", "y")), InvalidInput, "shorten it", 1),
        (json(400, &ollama("\"m\" does not support chat")), Unsupported, "take one that can", 1),
        (json(501, &ollama("this model does not support embeddings")), Unsupported, "take one that can", 1),
        (json(500, &ollama("invalid JSON schema in format")), InvalidInput, "schema", 1),
        (json(400, &j!({"error": "a bare text"})), InvalidInput, "a bare text", 1),
        (json(422, &j!({"detail": [{"loc": ["body"], "msg": "field required"}]})), InvalidInput, "field required", 1),
        (json(429, &openai("slow down", "rate_limit_exceeded")), RateLimited, "slow down", 2),
        (json(429, &openai("pay", "insufficient_quota")), RateLimited, "no quota", 1),
        (json(503, &ollama("server busy, please try again")), RateLimited, "busy", 2),
        (json(503, &openai("Loading model", "unavailable_error")), Unavailable, "not ready", 2),
        (answer(502, "text/html", "<html>"), Unavailable, "a web page", 1),
        (answer(504, "text/plain", "late"), Timeout, "late", 1),
        (answer(302, "text/plain", ""), Unexpected, "302", 1),
        (Reply::Bytes(half.into()), Unavailable, "connection to the server broke", 1),
        (Reply::Bytes(Vec::new()), Unavailable, "connection to the server broke", 1),
    ];
    for (reply, kind, part, tries) in table {
        let shown = format!("{reply:?}");
        let server = Loopback::with(vec![reply]);
        let failed = model(&server.url).chat(ask()).await.unwrap_err();
        assert_eq!(failed.kind(), kind, "{shown}: {failed:?}");
        assert!(heard(&failed).contains(part), "{shown}: {failed:?}");
        assert_eq!(server.count(), tries, "{shown}");
        let failed = model(&server.url).chat_streamed(ask(), &mut |_| panic!("a piece of an error")).await;
        assert!(failed.is_err(), "{shown}");
    }
    // What says 200 and is none.
    for body in [
        "null",
        "<html>",
        "{}",
        r#"{"choices": []}"#,
        r#"{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}"#,
        r#"{"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]}"#,
        r#"{"choices": [{"message": {"content": null, "refusal": "I will not"}, "finish_reason": "stop"}]}"#,
    ] {
        let server = Loopback::with(vec![answer(200, "application/json", body)]);
        let failed = model(&server.url).chat(ask()).await.unwrap_err();
        assert_eq!(failed.kind(), Unexpected, "{body}: {failed:?}");
        let failed = model(&server.url).chat_streamed(ask(), &mut |_| {}).await.unwrap_err();
        assert!(failed.to_string().contains("does it know streams"), "{failed:?}");
    }
    let half = Loopback::with(vec![json(200, &said("{\"a\":", "length")), json(200, &said("{\"a\":", "stop"))]);
    let request = ask().with_schema(j!({"type": "object"}));
    assert_eq!(model(&half.url).chat(request.clone()).await.unwrap().finish, FinishReason::Length);
    assert_eq!(model(&half.url).chat(request).await.unwrap_err().kind(), Unexpected);
}

#[tokio::test]
async fn invariant_09_a_stream_that_breaks_is_an_error() {
    let first = "data: {\"choices\":[{\"delta\":{\"content\":\"one \"}}]}\n\n";
    let table = [
        (Reply::Bytes(stream(SSE, first)), ErrorKind::Unexpected, "ended before the answer did"),
        (broken(SSE, first), ErrorKind::Unavailable, "broke"),
        (
            Reply::Bytes(stream(
                SSE,
                &format!("{first}data: {{\"error\":{{\"message\":\"it fell\",\"code\":500}}}}\n\n"),
            )),
            ErrorKind::Unavailable,
            "it fell",
        ),
        (
            Reply::Bytes(stream(SSE, &format!("{first}data: {{\"error\":{{\"message\":\"odd\",\"code\":400}}}}\n\n"))),
            ErrorKind::InvalidInput,
            "odd",
        ),
        (Reply::Bytes(stream(SSE, &format!("{first}{{\"error\":\"bare\"}}\n"))), ErrorKind::Unavailable, "bare"),
        (Reply::Bytes(stream(SSE, &format!("{first}data: nonsense\n\n"))), ErrorKind::Unexpected, "nonsense"),
        (
            Reply::Bytes(stream(
                SSE,
                &format!("{first}data: {{\"choices\":[{{\"delta\":{{\"refusal\":\"no\"}}}}]}}\n\n"),
            )),
            ErrorKind::Unexpected,
            "refused",
        ),
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

/// An embedder of three cells, and a server that gives a text `[its length, 1, 1]` and, as some do, the last one first.
async fn embedder(change: impl Fn(&[&str]) -> Option<Reply> + Send + Sync + 'static) -> (OpenAiEmbedder, Loopback) {
    let server = Loopback::by(move |asked, number| {
        let texts: Vec<&str> = asked.body["input"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
        let row = |(index, text): (usize, &&str)| j!({"index": index, "embedding": [text.len(), 1, 1]});
        let rows: Vec<Value> = texts.iter().enumerate().rev().map(row).collect();
        let tokens: usize = texts.iter().map(|text| text.len().min(512)).sum();
        let plain = || json(200, &j!({"data": rows, "usage": {"prompt_tokens": tokens}}));
        if number == 0 { plain() } else { change(&texts).unwrap_or_else(plain) }
    });
    let client = OpenAiClient::new(OpenAiConfig::new(&server.url).with_batch(3)).unwrap();
    (OpenAiEmbedder::connect(client, "e").await.unwrap(), server)
}

#[tokio::test]
async fn vectors_are_in_the_order_of_the_texts() {
    let (embedder, server) = embedder(|_| None).await;
    assert_eq!((embedder.info().model.as_str(), embedder.info().dims), ("e", 3));
    let texts = ["a", "bb", "ccc", "dddd"].map(str::to_owned);
    let rows = embedder.embed(&texts, TextKind::Query).await.unwrap();
    assert_eq!(rows.rows().map(|row| row[0]).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    let embedder = embedder.with_prefixes("query: ", "passage: ");
    embedder.embed(&texts[..1], TextKind::Document).await.unwrap();
    assert!(embedder.info().model.contains("passage: "));
    let bodies: Vec<Value> = server.asked()[1..].iter().map(|asked| asked.body.clone()).collect();
    assert_eq!(bodies[0], j!({"model": "e", "input": ["a", "bb", "ccc"], "encoding_format": "float"}));
    assert_eq!((&bodies[1]["input"], &bodies[2]["input"]), (&j!(["dddd"]), &j!(["passage: a"])));
}

#[tokio::test]
async fn invariant_09_embeddings_that_are_none_are_errors() {
    for (body, part) in [
        (r#"{"data": []}"#, "of 2 texts"),
        (r#"{"data": [{"index": 0, "embedding": [1, 2, 3]}]}"#, "of 2 texts"),
        (r#"{"data": [{"index": 0, "embedding": [1, 2, 3]}, {"index": 0, "embedding": [1, 2, 3]}]}"#, "[0, 0]"),
        (r#"{"data": [{"index": 1, "embedding": [1, 2, 3]}, {"index": 2, "embedding": [1, 2, 3]}]}"#, "[1, 2]"),
        (r#"{"data": [{"index": 0, "embedding": [1, 2, 3]}, {"index": 1, "embedding": [1, 2]}]}"#, "vector 1 has 2"),
        (r#"{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1, 2]}]}"#, "the model makes 3"),
        (
            r#"{"data": [{"index": 0, "embedding": [1, 2, 3]}, {"index": 1, "embedding": [1, null, 3]}]}"#,
            "expected form",
        ),
        (
            r#"{"data": [{"index": 0, "embedding": "AACAPw=="}, {"index": 1, "embedding": "AACAPw=="}]}"#,
            "expected form",
        ),
        ("<html>", "a web page"),
    ] {
        let (embedder, _server) = embedder(move |_| Some(answer(200, "application/json", body))).await;
        let failed = embedder.embed(&["a".to_owned(), "b".to_owned()], TextKind::Query).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unexpected, "{body}: {failed:?}");
        assert!(heard(&failed).contains(part), "{body}: {failed:?}");
    }
    let server = Loopback::with(vec![json(200, &j!({"data": [{"index": 0, "embedding": []}]}))]);
    assert!(OpenAiEmbedder::connect(client(&server.url), "e").await.unwrap_err().to_string().contains("without cells"));
    let server = Loopback::with(vec![json(200, &j!({"data": [{"index": 0, "embedding": [1, 2]}]}))]);
    let failed = OpenAiEmbedder::connect_with_dimensions(client(&server.url), "e", 1).await.unwrap_err();
    assert!(failed.to_string().contains("1 cells were asked for and 2 came"), "{failed}");
}

#[tokio::test]
async fn invariant_09_a_text_that_is_too_long_is_named_by_its_place() {
    let mut texts = vec!["short".to_owned(); 6];
    texts[4] = "x".repeat(2000);
    // A server that refuses it.
    let (refusing, _server) = embedder(|texts| {
        let long = texts.iter().any(|text| text.len() > 1000);
        long.then(|| json(400, &j!({"error": {"message": "maximum context length is 512"}})))
    })
    .await;
    // A server that cuts it, and counts what was left.
    let (cutting, _server) = embedder(|_| None).await;
    for embedder in [refusing, cutting.clone().with_max_tokens(512)] {
        let failed = embedder.embed(&texts, TextKind::Document).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InvalidInput, "{failed:?}");
        assert!(failed.to_string().contains("text 4 of 6"), "{failed}");
    }
    texts[4] = "x".repeat(511);
    assert_eq!(cutting.with_max_tokens(512).embed(&texts, TextKind::Document).await.unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_left_in_time_and_a_dropped_stream_is_closed() {
    let first = "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n";
    let server = Loopback::with(vec![Reply::Hold(stream(SSE, first))]);
    let model = model(&server.url);
    let request = ask().with_timeout(Duration::from_millis(200));
    assert_eq!(model.chat(request.clone()).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(model.chat_streamed(request, &mut |_| {}).await.unwrap_err().kind(), ErrorKind::Timeout);
    let (came, mut piece) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        model.chat_streamed(ask(), &mut |piece| came.send(piece.to_owned()).unwrap()).await.unwrap();
    });
    assert_eq!(piece.recv().await.unwrap(), "one");
    task.abort();
    for _ in 0..3 {
        server.gone.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}

#[tokio::test]
async fn nobody_there_is_an_error_with_a_remedy() {
    // Nobody listens there, and no other test can come to.
    let free = "127.0.0.1:1";
    let client = client(&format!("http://{free}"));
    for failed in [
        client.models().await.unwrap_err(),
        OpenAiModel::new(client.clone(), "x").unwrap().chat(ask()).await.unwrap_err(),
        OpenAiEmbedder::connect(client.clone(), "x").await.unwrap_err(),
    ] {
        assert_eq!(failed.kind(), ErrorKind::Unavailable, "{failed:?}");
        assert!(failed.retry() != Retry::Never && failed.to_string().contains("check the address"), "{failed:?}");
    }
    let later = "HTTP/1.1 429 X\r\nretry-after: 60\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Loopback::with(vec![Reply::Bytes(later.into())]);
    let failed = model(&server.url).chat(ask()).await.unwrap_err();
    assert_eq!((failed.retry(), server.count()), (Retry::After(Some(Duration::from_secs(60))), 1));
    for wrong in ["localhost:8000", "ftp://x", "http://user:secret@host", "https://host"] {
        assert_eq!(OpenAiClient::new(OpenAiConfig::new(wrong)).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
    }
    assert!(OpenAiModel::new(client.clone(), " ").is_err());
    let config = OpenAiConfig::new("http://x").with_api_key("s3cret");
    assert!(!format!("{config:?}{:?}", OpenAiClient::new(config.clone()).unwrap()).contains("s3cret"));
    let unfit = OpenAiConfig::new("http://x").with_api_key("line\nbreak");
    assert_eq!(OpenAiClient::new(unfit).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_a_server_repeats_of_a_user_is_shown_by_no_error() {
    let ask = || ChatRequest::new(vec![ChatMessage::user(CANARY)]).with_schema(j!({"type": "object"}));
    let mut withheld = 0;
    for body in echoes() {
        for status in [200, 400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 501, 503, 504] {
            for kind in ["application/json", SSE] {
                let server = Loopback::with(vec![answer(status, kind, &format!("data: {body}\n\n{body}"))]);
                let plain = Loopback::with(vec![answer(status, kind, &body)]);
                for url in [&server.url, &plain.url] {
                    let client = OpenAiClient::new(OpenAiConfig::new(url).with_attempts(1)).unwrap();
                    let model = OpenAiModel::new(client.clone(), "m").unwrap();
                    let errors = [
                        model.chat(ask()).await.unwrap_err(),
                        model.chat_streamed(ask(), &mut |_| {}).await.unwrap_err(),
                        OpenAiEmbedder::connect(client, "m").await.unwrap_err(),
                    ];
                    for error in errors {
                        assert!(!shows(&error).contains(CANARY), "{status} {body}: {error:?}");
                        withheld += usize::from(error.withheld().is_some_and(|said| said.contains(CANARY)));
                    }
                }
            }
        }
    }
    assert!(withheld > 1000, "a developer finds it: {withheld}");
    for said in [
        said(&format!("no JSON: {CANARY}"), "stop"),
        said(&format!("{{\"a\": {CANARY}}}"), "stop"),
        j!({"choices": [{"message": {"refusal": CANARY}, "finish_reason": "stop"}]}),
        j!({"choices": [{"message": {"content": null}, "finish_reason": CANARY}]}),
    ] {
        let error = model(&Loopback::with(vec![json(200, &said)]).url).chat(ask()).await.unwrap_err();
        assert!(!shows(&error).contains(CANARY) && error.withheld().unwrap().contains(CANARY), "{error:?}");
    }
}

/// Servers that answer a little otherwise, where the meaning is plain.
#[tokio::test]
async fn what_is_plain_is_read_from_servers_that_answer_a_little_otherwise() {
    let facts = "{\"facts\": [\"Name is Ann\"]}";
    let asked = || ask().with_schema(j!({"type": "object"}));
    for text in [
        format!("```json\n{facts}\n```"),
        format!("Here they are:\n```\n{facts}\n```\nAnything else?"),
        format!("Here are the facts I extracted:\n{facts}"),
        format!("As said in [1], they are {facts} [2]"),
        format!("<think>\nlet me see {{facts}}, or [1] {facts}\n</think>\n{facts}"),
        format!("\u{feff}\n {facts} "),
    ] {
        let server = Loopback::with(vec![json(200, &said(&text, "stop"))]);
        assert_eq!(model(&server.url).chat(asked()).await.unwrap().text, facts, "{text}");
    }
    for text in
        ["I cannot.", "```json\nno\n```", "{facts}", "", "{\"facts\": [{}, ", "<think>maybe {\"facts\": []} or not"]
    {
        let server = Loopback::with(vec![json(200, &said(text, "stop"))]);
        assert_eq!(model(&server.url).chat(asked()).await.unwrap_err().kind(), ErrorKind::Unexpected, "{text}");
    }
    // No reason why it ended, and parts in place of a text.
    for message in
        [j!({"content": "hello"}), j!({"content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]})]
    {
        for choice in [j!({"message": message, "finish_reason": null}), j!({"message": message})] {
            let server = Loopback::with(vec![json(200, &j!({"choices": [choice]}))]);
            let answer = model(&server.url).chat(ask()).await.unwrap();
            assert_eq!((answer.text.as_str(), answer.finish), ("hello", FinishReason::Other));
        }
    }
    let begin = "data: {\"choices\": [{\"delta\": null}]}\n\ndata: {\"choices\": [{\"delta\": {\"content\": \"hello\"}, \"finish_reason\": null}]}\n\n";
    let server = Loopback::with(vec![Reply::Bytes(stream(SSE, &format!("{begin}data: [DONE]\n\n")))]);
    let answer = model(&server.url).chat_streamed(ask(), &mut |_| {}).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.finish), ("hello", FinishReason::Other));
    // Without either, it broke off.
    let server = Loopback::with(vec![Reply::Bytes(stream(SSE, begin))]);
    assert_eq!(model(&server.url).chat_streamed(ask(), &mut |_| {}).await.unwrap_err().kind(), ErrorKind::Unexpected);
}

#[tokio::test]
async fn vectors_without_a_place_stand_in_their_order() {
    for indices in [[j!(null), j!(1)], [j!(null), j!(null)], [j!(0), j!(1)]] {
        let (embedder, _server) = embedder(move |texts| {
            let row = |(place, text): (usize, &&str)| {
                let mut row = j!({"embedding": [text.len(), 1, 1]});
                if !indices[place.min(1)].is_null() {
                    row["index"] = j!(place);
                }
                row
            };
            Some(json(200, &j!({"data": texts.iter().enumerate().map(row).collect::<Vec<_>>()})))
        })
        .await;
        let rows = embedder.embed(&["a".to_owned(), "bcd".to_owned()], TextKind::Document).await.unwrap();
        assert_eq!((rows.cells()[0], rows.cells()[3]), (1.0, 3.0));
    }
}
