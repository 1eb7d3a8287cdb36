//! The client against a server on the loopback that answers what a test wrote down.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod loopback;

use cogniverse_http::{
    Address, Answer, ApiKey, HttpClient, Method, Protocol, Repeat, Request, RetryPolicy, StatusCode, is_unsent,
};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Retry};
use loopback::{Loopback, Reply, answer, broken, json, stream};
use serde_json::{Value, json as j};
use std::time::{Duration, Instant};

/// A server whose statuses mean what they usually do.
#[derive(Debug)]
struct Plain;

impl Protocol for Plain {
    fn server(&self) -> &str {
        "the test server"
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> Error {
        let again = Retry::After(answer.retry_after());
        let (kind, retry) = match answer.status().as_u16() {
            401 => (ErrorKind::Unauthenticated, Retry::Never),
            403 => (ErrorKind::PermissionDenied, Retry::Never),
            404 => (ErrorKind::NotFound, Retry::Never),
            408 => (ErrorKind::Timeout, Retry::Never),
            409 => (ErrorKind::Conflict, again),
            429 => (ErrorKind::RateLimited, again),
            500..=599 => (ErrorKind::Unavailable, again),
            _ => (ErrorKind::InvalidInput, Retry::Never),
        };
        let message = format!("status {} of {:?}", answer.status(), request.subject());
        Error::new(kind, message).with_retry(retry).with_withheld(String::from_utf8_lossy(answer.body()))
    }
}

fn client(server: &Loopback) -> HttpClient<Plain> {
    let policy =
        RetryPolicy::default().with_attempts(3).with_pauses(Duration::from_millis(1), Duration::from_millis(1500));
    let endpoint = Address::from(&server.url).endpoint("the test server").unwrap();
    HttpClient::new(Plain, endpoint, Some(&ApiKey::from("s3cret")), policy).unwrap()
}

fn says(head: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}").into())
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_made() {
    let server = Loopback::with(vec![json(200, &j!({"found": 1}))]);
    let client = client(&server);
    let request = client.post(["v1", "a b/c"]).with_query("q", "x&y").with_queries("n", [1, 2]);
    let found: Value = client.json(&request.with_json(&j!({"sent": true})).unwrap()).await.unwrap();
    assert_eq!(found, j!({"found": 1}));
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/a%20b%2Fc?q=x%26y&n=1&n=2");
    assert_eq!(asked.body, j!({"sent": true}));
    for header in ["authorization: bearer s3cret", "content-type: application/json", "user-agent: cogniverse/"] {
        assert!(asked.headers.contains(header), "{}", asked.headers);
    }
    assert!(!format!("{client:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_as_often_as_the_policy_says() {
    let busy = || says("503 X", "");
    let cases = [
        (Repeat::Always, vec![says("500 X", ""), busy(), says("200 OK", "")], 3, true),
        (Repeat::Always, vec![Reply::Bytes(Vec::new()), says("200 OK", "")], 2, true),
        (Repeat::Always, vec![busy()], 3, false),
        (Repeat::Always, vec![says("404 X", ""), says("200 OK", "")], 1, false),
        (Repeat::Always, vec![says("409 X", ""), says("200 OK", "")], 1, false),
        // What the server may have begun is not sent again.
        (Repeat::Unstarted, vec![says("500 X", ""), says("200 OK", "")], 1, false),
        (Repeat::Unstarted, vec![Reply::Bytes(Vec::new()), says("200 OK", "")], 1, false),
        (Repeat::Unstarted, vec![busy(), says("429 X", ""), says("200 OK", "")], 3, true),
        (Repeat::Never, vec![busy(), says("200 OK", "")], 1, false),
    ];
    for (repeat, replies, sent, succeeds) in cases {
        let shown = format!("{repeat:?} {replies:?}");
        let server = Loopback::with(replies);
        let client = client(&server);
        let request = client.get(["x"]).with_repeat(repeat).with_subject("thing");
        let done = client.send(&request).await;
        assert_eq!((server.count(), done.is_ok()), (sent, succeeds), "{shown}: {done:?}");
        if let Err(error) = done {
            assert_eq!(error.retry() == Retry::Exhausted, sent == 3 || repeat == Repeat::Never, "{shown}: {error:?}");
            assert!(error.to_string().contains("request=GET /x"), "{error}");
        }
        assert_eq!(server.asked().len(), sent);
    }
    // As a stream it is the same.
    let server = Loopback::with(vec![busy(), Reply::Bytes(stream("text/plain", "one\n\ntwo"))]);
    let mut lines = client(&server).open(&client(&server).get(["x"])).await.unwrap();
    assert_eq!(lines.content_type(), "text/plain");
    assert_eq!(lines.next().await.unwrap().unwrap(), b"one\n");
    assert_eq!(lines.next().await.unwrap().unwrap(), b"two");
    assert_eq!((lines.next().await.unwrap(), server.count()), (None, 2));
}

#[tokio::test]
async fn a_refusal_of_the_server_is_not_the_status_that_a_service_answers_its_own_caller() {
    for (refused, code, status) in [
        (401, ErrorCode::BackendUnauthenticated, 502),
        (403, ErrorCode::BackendForbidden, 502),
        (408, ErrorCode::BackendTimeout, 504),
        (429, ErrorCode::BackendOverloaded, 503),
        (500, ErrorCode::BackendUnavailable, 503),
        (404, ErrorCode::NotFound, 404),
    ] {
        let server = Loopback::with(vec![says(&format!("{refused} X"), "canary")]);
        let error = client(&server).send(&client(&server).get(["canary"])).await.unwrap_err();
        assert_eq!((error.code(), error.code().http_status()), (code, status), "{refused}");
        let public = serde_json::to_string(&error.public()).unwrap();
        assert!(!public.contains("canary") && !public.contains("127.0.0.1"), "{public}");
        assert!(!serde_json::to_string(&error).unwrap().contains("s3cret"));
    }
    let server = Loopback::with(vec![Reply::Bytes(Vec::new())]);
    let broken = client(&server).send(&client(&server).get(["x"])).await.unwrap_err();
    assert_eq!(broken.code(), ErrorCode::BackendUnavailable);
    let hangs = Loopback::with(vec![Reply::Hold(Vec::new())]);
    let request = client(&hangs).get(["x"]);
    let late = client(&hangs).within(Duration::from_millis(50), &request, client(&hangs).send(&request)).await;
    assert_eq!(late.unwrap_err().code(), ErrorCode::BackendTimeout);
}

#[tokio::test]
async fn a_server_that_names_a_time_is_given_it() {
    let later = |seconds: u32| says(&format!("429 X\r\nretry-after: {seconds}"), "");
    let server = Loopback::with(vec![later(1), says("200 OK", "")]);
    let begun = Instant::now();
    client(&server).send(&client(&server).get(["x"])).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    // A longer one than the longest pause is the caller's to wait for.
    let server = Loopback::with(vec![later(60), says("200 OK", "")]);
    let error = client(&server).send(&client(&server).get(["x"])).await.unwrap_err();
    assert_eq!((error.retry(), server.count()), (Retry::After(Some(Duration::from_secs(60))), 1));
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_its_bound() {
    let body = "x".repeat(2000);
    for reply in [
        answer(200, "text/plain", &body),
        Reply::Bytes(stream("text/plain", &body)),
        Reply::Pieces(stream("text/plain", &body)),
    ] {
        let server = Loopback::with(vec![reply]);
        let client = client(&server);
        let error = client.send(&client.get(["x"]).with_max_answer_bytes(1999)).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, false), "{error:?}");
        assert!(error.to_string().contains("larger than 1999 bytes"), "{error}");
        let read = client.send(&client.get(["x"]).with_max_answer_bytes(2000)).await.unwrap();
        assert_eq!(read.body(), body.as_bytes());
    }
}

#[tokio::test]
async fn a_redirect_carries_the_key_nowhere() {
    let other = Loopback::with(vec![says("200 OK", "caught")]);
    let server = Loopback::with(vec![says(&format!("307 X\r\nlocation: {}/x", other.url), "")]);
    let answer = client(&server).answer(&client(&server).get(["x"])).await.unwrap();
    assert_eq!((answer.status(), other.count()), (StatusCode::TEMPORARY_REDIRECT, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_tries_end_with_the_deadline_and_their_connection_with_them() {
    let server = Loopback::with(vec![says("503 X", ""), Reply::Hold(Vec::new())]);
    let client = client(&server);
    let request = client.get(["x"]);
    let error = client.within(Duration::from_millis(300), &request, client.send(&request)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(error.to_string().contains("the test server did not answer within 300ms"), "{error}");
    server.gone.recv_timeout(Duration::from_secs(20)).unwrap();
    let passed = client.answer_by(Instant::now(), &request).await.unwrap_err();
    assert_eq!(passed.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn failures_say_whether_anything_arrived_and_show_no_text_of_the_server() {
    let nobody = Address::from("http://127.0.0.1:1/?key=s3cret").endpoint("the test server").unwrap();
    let client_of_nobody = HttpClient::new(Plain, nobody, None, RetryPolicy::default().with_attempts(1)).unwrap();
    let error = client_of_nobody.answer_once(&client_of_nobody.get(["x"])).await.unwrap_err();
    assert!(is_unsent(&error) && error.to_string().contains("check the address"), "{error:?}");
    assert!(!error.chain().contains("s3cret") && !format!("{error:?}").contains("s3cret"), "{error:?}");
    for reply in [broken("application/json", "{\"canary"), Reply::Bytes(Vec::new())] {
        let server = Loopback::with(vec![reply]);
        let error = client(&server).answer_once(&client(&server).get(["x"])).await.unwrap_err();
        assert!(!is_unsent(&error) && error.kind() == ErrorKind::Unavailable, "{error:?}");
    }
    for (reply, part) in
        [(json(200, &j!("canary")), "of another kind"), (answer(200, "text/html", " <html>canary"), "web page")]
    {
        let server = Loopback::with(vec![reply]);
        let error = client(&server).json::<Vec<u32>>(&client(&server).get(["x"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert!(error.to_string().contains(part) && !error.chain().contains("canary"), "{error:?}");
        assert!(error.withheld().unwrap().contains("canary"));
    }
}

#[tokio::test]
async fn a_line_without_end_is_not_kept() {
    let server = Loopback::with(vec![Reply::Bytes(stream("text/plain", &"x".repeat((16 << 20) + 4096)))]);
    let mut lines = client(&server).open(&client(&server).get(["x"])).await.unwrap();
    let error = lines.next().await.unwrap_err();
    assert!(error.to_string().contains("a line of more than"), "{error}");
    assert!(error.to_string().contains("request=GET /x"), "{error}");
}

#[test]
fn invariant_19_a_request_shows_no_secret() {
    let url = || Address::from("http://h").endpoint("x").unwrap().join(["a"]);
    let shown = format!("{:?}", Request::new(Method::POST, url()).with_query("key", "s3cret"));
    assert!(shown.contains("POST /a") && !shown.contains("s3cret"), "{shown}");
}
