//! Answers that are not what they should be: each its own error, none read as empty.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_phoenix::{PhoenixClient, PhoenixConfig};
use cogniverse_sdk::{
    ErrorKind,
    telemetry_provider::{ProjectName, Settle, SpanQuery, TelemetryProvider},
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

/// What an error shows, and what it withholds.
fn heard(error: &cogniverse_sdk::Error) -> String {
    format!("{} {}", error.chain(), error.withheld().unwrap_or_default())
}

#[tokio::test]
async fn invariant_09_every_shape_of_error_is_one() {
    let html = "<!doctype html><title>Phoenix</title>";
    let half: Vec<u8> =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"data\":".to_vec();
    let table: [(Vec<u8>, ErrorKind, &str, usize); 13] = [
        (answer("200 OK", "text/html", html), ErrorKind::Unavailable, "web page", 1),
        (answer("200 OK", "application/json", "{\"data\": ["), ErrorKind::Unavailable, "not JSON", 1),
        (answer("200 OK", "application/json", "null"), ErrorKind::Unavailable, "not JSON", 1),
        (
            answer("200 OK", "application/json", "{\"errors\": [{}], \"data\": null}"),
            ErrorKind::Unavailable,
            "not JSON",
            1,
        ),
        (half, ErrorKind::Unavailable, "connection to Phoenix broke", 3),
        (Vec::new(), ErrorKind::Unavailable, "connection to Phoenix broke", 3),
        // The timeout is that of all tries together.
        (b"slow".to_vec(), ErrorKind::Timeout, "did not answer", 1),
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
        assert!(heard(&error).contains(part), "{shown}: {error:?}");
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
    // Nobody listens there, and no other test can come to.
    let free = "127.0.0.1:1";
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

const CANARY: &str = "canary7f3a";

#[tokio::test]
async fn what_phoenix_repeats_of_a_user_is_shown_by_no_error() {
    for status in ["200 OK", "400 X", "401 X", "403 X", "404 X", "409 X", "418 X", "422 X", "429 X", "500 X", "504 X"] {
        for (kind, body) in [
            ("text/plain", CANARY.to_owned()),
            ("text/html", format!("<p>{CANARY}</p>")),
            ("application/json", format!(r#"{{"detail": [{{"loc": ["{CANARY}"], "msg": "{CANARY}"}}]}}"#)),
            ("application/json", format!(r#"{{"error": "{CANARY}"}}"#)),
            ("application/json", format!(r#"{{"data": "{CANARY}"}}"#)),
        ] {
            let (url, _) = server(vec![answer(status, kind, &body)]);
            let client = PhoenixClient::new(PhoenixConfig::new(url).with_attempts(1)).unwrap();
            let query = SpanQuery::new(project()).with_attribute("input.value", serde_json::json!(CANARY));
            for error in
                [client.find_project(&project()).await.unwrap_err(), client.read_spans(query).await.unwrap_err()]
            {
                let shown = format!("{error} {error:?} {error:#?} {} {}", error.chain(), error.message());
                assert!(!shown.contains(CANARY), "{status} {body}: {shown}");
                assert!(
                    kind == "text/html" || error.withheld().is_some_and(|said| said.contains(CANARY)),
                    "{status} {body}"
                );
            }
        }
    }
    let nobody = PhoenixClient::new(PhoenixConfig::new(format!("http://127.0.0.1:9/?token={CANARY}")).with_attempts(1));
    let error = nobody.unwrap().find_project(&project()).await.unwrap_err();
    assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    for wrong in [format!("ftp://host/?token={CANARY}"), format!("http://u:{CANARY}@host")] {
        let config = PhoenixConfig::new(wrong);
        let shown = format!("{config:?} {:?}", PhoenixClient::new(config.clone()).unwrap_err());
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

/// A 404 that a proxy or another server gives is no receipt of erasure, and no absence of anything ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
#[tokio::test]
async fn invariant_09_a_404_in_others_words_erases_nothing() {
    let settle = || Settle::new().with_absent_for(Duration::from_millis(1)).with_poll(Duration::from_millis(1));
    for (kind, body) in [
        ("text/html", "<html>404 Not Found</html>"),
        ("text/html", "Project with name acme not found"),
        ("text/plain", "404 page not found"),
        ("text/plain", "Not Found"),
        ("text/plain", ""),
        ("text/plain", "Project not found"),
        ("application/json", "{}"),
        ("application/json", r#"{"detail":"Not Found"}"#),
    ] {
        let (url, _) = server(vec![answer("404 Not Found", kind, body)]);
        let client = client(&url);
        let errors = [
            client.erase_project(&project(), settle()).await.unwrap_err(),
            client.find_project(&project()).await.unwrap_err(),
            client.read_spans(SpanQuery::new(project())).await.unwrap_err(),
            client.create_project(&project(), "").await.unwrap_err(),
            client.list_projects().await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}: {error:?}");
        }
    }
    let (url, _) =
        server(vec![answer("404 Not Found", "text/plain; charset=utf-8", "Project with name acme not found")]);
    let receipt = client(&url).erase_project(&project(), settle()).await.unwrap();
    assert_eq!((receipt.spans_before, receipt.deletions), (0, 0));
}

#[tokio::test]
async fn a_listing_that_goes_round_ends() {
    let page =
        |cursor: &str| answer("200 OK", "application/json", &format!(r#"{{"data": [], "next_cursor": "{cursor}"}}"#));
    let round = |url: &str| PhoenixClient::new(PhoenixConfig::new(url)).unwrap();
    let pages = vec![page("a"), page("b"), page("a")];
    let listed = async {
        let (url, _) = server(pages.clone());
        let first = round(&url).list_projects().await.map(drop);
        let (url, _) = server(pages.clone());
        let second = round(&url).find_dataset(&project(), "x").await.map(drop);
        [first, second]
    };
    for ended in tokio::time::timeout(Duration::from_secs(60), listed).await.unwrap() {
        let error = ended.unwrap_err();
        assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("goes round"), "{error}");
    }
}

/// Whoever answers `100 Continue` without end answers nothing: all tries together end with the timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_promises_end_with_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
                while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    let begun = std::time::Instant::now();
    let error = client(&url).health().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
}
