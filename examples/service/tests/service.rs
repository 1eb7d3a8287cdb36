//! The service as its clients meet it: the binary is started, called over HTTP, stopped by SIGTERM and started again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

struct Service {
    process: Child,
    url: String,
    client: Client,
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Service {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_cogniverse-example-service"))
            .args(["--listen", "127.0.0.1:0", "--operator-key", "op"])
            .args(["--customer-key", "acme_corp=a1", "--customer-key", "globex_inc=g1"])
            .arg("--data-dir")
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url, client: Client::new() }
    }

    async fn call(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(key);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn search(&self, key: &str, body: Value) -> (StatusCode, Value) {
        self.call(Method::POST, "/search", key, Some(body)).await
    }

    async fn found(&self, key: &str, query: &str) -> Vec<Value> {
        let (status, answer) = self.search(key, json!({ "query": query, "top_k": 50 })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["results"].as_array().unwrap().clone()
    }

    /// Uploads a file, and gives the events of the answer: their names and data.
    async fn upload(&self, key: &str, name: &str, body: Vec<u8>) -> Vec<(String, Value)> {
        let url = format!("{}/videos?name={name}", self.url);
        let answer = self.client.post(url).bearer_auth(key).body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let text = answer.text().await.unwrap();
        let event = |block: &str| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            Some((field("event:")?.to_owned(), serde_json::from_str(field("data:")?).unwrap()))
        };
        text.split("\n\n").filter_map(event).collect()
    }

    fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn corpus(tenant: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../data/{tenant}.jsonl"))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_customers_are_served_apart_and_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(service.call(Method::GET, path, "", None).await.0, StatusCode::NO_CONTENT, "{path}");
    }

    // A tenant is created by the operator alone, as often as one likes.
    for key in ["op", "op"] {
        for tenant in ["acme_corp", "globex_inc"] {
            let (status, record) = service.call(Method::PUT, &format!("/tenants/{tenant}"), key, None).await;
            assert_eq!((status, record["state"].as_str()), (StatusCode::OK, Some("active")), "{record}");
        }
    }
    for (key, status, code) in [("a1", 403, "permission_denied"), ("wrong", 401, "unauthenticated")] {
        let (answered, error) = service.call(Method::PUT, "/tenants/mine", key, None).await;
        assert_eq!((answered.as_u16(), error["code"].as_str()), (status, Some(code)), "{error}");
    }

    // An ingestion says how far it is, and what came of it.
    for (tenant, key) in [("acme_corp", "a1"), ("globex_inc", "g1")] {
        let events = service.upload(key, "corpus.jsonl", corpus(tenant)).await;
        let (last, report) = events.last().unwrap();
        assert_eq!(last, "report", "{events:?}");
        assert!(report["videos"].as_array().unwrap().iter().all(|video| video["status"] == "done"), "{report}");
        assert!(events.iter().filter(|(name, _)| name == "progress").count() > 2, "{events:?}");
    }
    let again = service.upload("a1", "corpus.jsonl", corpus("acme_corp")).await;
    assert!(again.last().unwrap().1["videos"].as_array().unwrap().iter().all(|video| video["status"] == "unchanged"));

    // Neither sees the other.
    assert!(!service.found("a1", "sourdough").await.is_empty() && service.found("g1", "sourdough").await.is_empty());
    assert!(service.found("a1", "surfer").await.is_empty() && !service.found("g1", "surfer").await.is_empty());

    // Pages join to the whole; a page of one customer is none of another.
    let whole = service.found("a1", "machine learning").await;
    assert!(whole.len() > 2, "{whole:?}");
    let (mut paged, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let body = json!({ "query": "machine learning", "top_k": 1, "cursor": cursor });
        let (status, page) = service.search("a1", body.clone()).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        paged.extend(page["results"].as_array().unwrap().clone());
        if page["next"].is_null() {
            break;
        }
        cursor = page["next"].clone();
        let (status, error) =
            service.search("g1", json!({ "query": "machine learning", "top_k": 1, "cursor": cursor })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    }
    let ids = |results: &[Value]| {
        results.iter().map(|hit| format!("{}/{}", hit["video_id"], hit["start_time"])).collect::<Vec<_>>()
    };
    assert_eq!(ids(&paged), ids(&whole));

    // A filter, and errors as statuses in one form.
    let video = whole[0]["video_id"].as_str().unwrap().to_owned();
    let filter = json!({ "video_id": video });
    let (_, filtered) =
        service.search("a1", json!({ "query": "machine learning", "top_k": 50, "filter": filter })).await;
    assert!(filtered["results"].as_array().unwrap().iter().all(|hit| hit["video_id"] == video.as_str()), "{filtered}");
    for (body, status) in [
        (json!({ "query": "x", "filter": { "no_such_field": 1 } }), 400),
        (json!({ "query": "x", "tenant": "globex_inc" }), 400),
        (json!({ "query": "x", "top_k": 0 }), 400),
        (json!({ "query": "x", "strategy": "fastest" }), 404),
        (json!({ "top_k": "many" }), 400),
    ] {
        let (answered, error) = service.search("a1", body.clone()).await;
        assert_eq!(answered.as_u16(), status, "{body}: {error}");
        assert!(error["code"].is_string() && error["message"].is_string(), "{body}: {error}");
        assert!(!error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }
    for name in ["../escape.jsonl", ".hidden", ""] {
        let url = format!("{}/videos?name={name}", service.url);
        let answer = service.client.post(url).bearer_auth("a1").body("x").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{name}");
    }

    // What is removed is not found; the others stay, also after a restart.
    let (status, removed) = service.call(Method::DELETE, &format!("/videos/{video}"), "a1", None).await;
    assert_eq!(status, StatusCode::OK, "{removed}");
    assert!(removed["removed_segments"].as_u64().unwrap() > 0, "{removed}");
    service.stop();
    let service = Service::start(folder.path());
    let left = service.found("a1", "machine learning").await;
    assert!(left.iter().all(|hit| hit["video_id"] != video.as_str()), "{left:?}");
    let other = service.found("a1", "sourdough").await;
    assert!(!other.is_empty() && other.iter().all(|hit| hit["video_id"] != video.as_str()), "{other:?}");
    service.stop();
}
