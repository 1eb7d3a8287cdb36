//! Answers that are not what they should be: each its own error, none read as empty.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_phoenix::{PhoenixClient, PhoenixConfig};
use cogniverse_sdk::{
    ErrorKind,
    telemetry_provider::{ProjectName, SpanQuery, TelemetryProvider},
};
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What a connection is answered with, one after the other; the last again and again.
fn server(answers: Vec<Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let answer = answers[number.min(answers.len() - 1)].clone();
            thread::spawn(move || drop(serve(stream, &answer)));
        }
    });
    (url, count)
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    if answer == b"slow" {
        thread::sleep(Duration::from_secs(2));
    }
    stream.write_all(answer)
}

fn answer(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}

fn client(url: &str) -> PhoenixClient {
    PhoenixClient::new(PhoenixConfig::new(url).with_attempts(3).with_timeout(Duration::from_millis(700))).unwrap()
}

fn project() -> ProjectName {
    ProjectName::parse("acme").unwrap()
}

#[tokio::test]
async fn invariant_09_every_shape_of_error_is_one() {
    let html = "<!doctype html><title>Phoenix</title>";
    let half: Vec<u8> =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"data\":".to_vec();
    let table: [(Vec<u8>, ErrorKind, &str, usize); 13] = [
        (answer("200 OK", "text/html", html), ErrorKind::Unavailable, "web page", 1),
        (answer("200 OK", "application/json", "{\"data\": ["), ErrorKind::Unavailable, "no JSON", 1),
        (answer("200 OK", "application/json", "null"), ErrorKind::Unavailable, "no JSON", 1),
        (
            answer("200 OK", "application/json", "{\"errors\": [{}], \"data\": null}"),
            ErrorKind::Unavailable,
            "no JSON",
            1,
        ),
        (half, ErrorKind::Unavailable, "connection to Phoenix broke", 3),
        (Vec::new(), ErrorKind::Unavailable, "connection to Phoenix broke", 3),
        (b"slow".to_vec(), ErrorKind::Timeout, "in time", 3),
        (answer("401 X", "text/plain", "Invalid token"), ErrorKind::Unauthenticated, "with_api_key", 1),
        (answer("403 X", "text/plain", "no"), ErrorKind::PermissionDenied, "admin", 1),
        (
            answer("422 X", "application/json", r#"{"detail": [{"loc": ["query", "limit"], "msg": "too many"}]}"#),
            ErrorKind::InvalidInput,
            "too many at [\"query\",\"limit\"]",
            1,
        ),
        (answer("422 X", "text/plain", "Invalid cursor"), ErrorKind::InvalidInput, "Invalid cursor", 1),
        (answer("429 X", "text/plain", "later"), ErrorKind::RateLimited, "slow down", 3),
        (answer("500 X", "text/plain", "Internal Server Error"), ErrorKind::Unavailable, "500", 3),
    ];
    for (reply, kind, part, tries) in table {
        let shown = String::from_utf8_lossy(&reply).into_owned();
        let (url, count) = server(vec![reply]);
        let error = client(&url).find_project(&project()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{shown}: {error:?}");
        assert!(error.chain().contains(part), "{shown}: {error:?}");
        assert_eq!(count.load(Ordering::SeqCst), tries, "{shown}");
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_on_a_fresh_connection() {
    let found = answer("200 OK", "application/json", r#"{"data": {"name": "acme", "description": null, "id": "x"}}"#);
    let (url, count) = server(vec![answer("503 X", "text/plain", "starting"), Vec::new(), found]);
    assert!(client(&url).find_project(&project()).await.unwrap().is_some());
    assert_eq!(count.load(Ordering::SeqCst), 3);
    // A project that answers to the name as an id is not the one that was asked for.
    let other =
        answer("200 OK", "application/json", r#"{"data": {"name": "globex", "description": null, "id": "acme"}}"#);
    let (url, _) = server(vec![other]);
    assert_eq!(client(&url).find_project(&project()).await.unwrap(), None);
}

#[tokio::test]
async fn nobody_there_is_an_error_with_a_remedy() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = client(&format!("http://{free}"));
    for error in [
        client.find_project(&project()).await.unwrap_err(),
        client.read_spans(SpanQuery::new(project())).await.unwrap_err(),
        client.health().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.chain().contains("check the address"), "{error:?}");
    }
    for wrong in ["localhost:6006", "ftp://x", "http://user:secret@host", "https://host"] {
        assert_eq!(
            PhoenixClient::new(PhoenixConfig::new(wrong)).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{wrong}"
        );
    }
    assert!(!format!("{:?}", PhoenixConfig::new("http://x").with_api_key("s3cret")).contains("s3cret"));
}
