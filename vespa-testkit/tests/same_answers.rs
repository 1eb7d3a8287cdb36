//! The same requests to Vespa's own container and to the test server: status, error code and shape must be equal.
//!
//! The table is `requests.json`, in order, since later requests see what earlier ones wrote. A row with `differs` says why the
//! two cannot agree, and then they must not. Vespa's container is `../shared/vespa-model/run serve`.

#![allow(clippy::unwrap_used, reason = "a test asserts")]

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use vespa_testkit::TestServer;

/// A row of the table.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    method: String,
    path: String,
    /// A text as it is, anything else as JSON.
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    differs: Option<String>,
}

/// What must be equal of two answers.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    /// Of the first error of a search.
    code: Option<i64>,
    /// The paths of the keys; none where the body is no JSON.
    shape: Option<BTreeSet<String>>,
}

impl Answer {
    fn new(status: u16, body: &str) -> Self {
        let lines: Result<Vec<Value>, _> = body.lines().map(serde_json::from_str).collect();
        let json = serde_json::from_str(body).ok().or_else(|| lines.ok().map(Value::Array));
        let code = json.as_ref().and_then(|json| json.pointer("/root/errors/0/code")?.as_i64());
        let mut shape = BTreeSet::new();
        if let Some(json) = &json {
            keys(json, "", &mut shape);
        }
        Self { status, code, shape: json.is_some().then_some(shape) }
    }
}

fn keys(json: &Value, path: &str, into: &mut BTreeSet<String>) {
    match json {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            keys(value, &path, into);
            into.insert(path);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{path}[]"), into)),
        _ => {}
    }
}

async fn send(client: &reqwest::Client, base: &str, row: &Row) -> (Answer, String) {
    let method = reqwest::Method::from_bytes(row.method.as_bytes()).unwrap();
    let mut request = client.request(method, format!("{base}{}", row.path));
    if let Some(body) = &row.body {
        if !row.headers.contains_key("content-type") {
            request = request.header("content-type", "application/json");
        }
        request = request.body(body.as_str().map_or_else(|| body.to_string(), str::to_owned));
    }
    for (name, value) in &row.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    (Answer::new(status, &body), body)
}

/// Vespa's container, ended with the test.
struct Judge(Child);

impl Judge {
    fn start(model: &Path, package: &Path) -> (Self, String) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(model.join("run"))
            .arg("serve")
            .arg(package)
            .arg(port.to_string())
            // It writes its logs where it stands.
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let judge = Self(child);
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.starts_with("listening on"));
        assert!(ready, "Vespa's container did not start");
        // Whatever it says from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        (judge, format!("http://127.0.0.1:{port}"))
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn model() -> Option<PathBuf> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vespa-model");
    if model.join("run").exists() {
        return Some(model);
    }
    let reason = format!("{} is not there", model.display());
    assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "{reason}");
    println!("skipped: {reason}");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_vespas_container() {
    let Some(model) = model() else { return };
    let rows: Vec<Row> = serde_json::from_str(include_str!("requests.json")).unwrap();
    assert!(rows.len() >= 60);
    let package = model.join("fixtures/app");
    let (_judge, vespa) = Judge::start(&model, &package);
    let server = TestServer::start().await.unwrap();
    server.deploy_folder(&package).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut wrong = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        let (expected, of_vespa) = send(&client, &vespa, row).await;
        let (found, ours) = send(&client, server.url(), row).await;
        let equal = expected == found;
        if equal == row.differs.is_some() {
            let what = if equal { "no longer differs" } else { "differs" };
            wrong.push(format!("row {place} {what}: {row:?}\n  Vespa {of_vespa}\n  ours  {ours}"));
        }
    }
    server.stop().await;
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}
