//! Health, state and metrics, as both ports give them.

use crate::{
    config_server::VERSION,
    message::Reply,
    server::{Port, Server},
    topology::HOST,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// The answer to a path of this kind; none where it is not one.
pub(crate) fn answer(server: &Server, port: Port, method: &Method, path: &str) -> Option<Reply> {
    let reply = match (path, port) {
        ("/status.html", _) => status_page(server, port),
        ("/state/v1/health", _) => ok(&health(server, port)),
        ("/state/v1/config", _) => ok(&config(server)),
        ("/state/v1/version", _) => ok(&json!({"version": VERSION})),
        ("/state/v1" | "/state/v1/", _) => ok(&json!({"resources": ["config", "health", "metrics", "version"]})),
        ("/state/v1/metrics", _) => ok(&json!({"time": now(), "status": {"code": code(server, port)}, "metrics": {}})),
        ("/ApplicationStatus", Port::Container) => ok(&application_status(server)),
        ("/metrics/v2/values", Port::Container) => ok(&metrics(server)),
        ("/", Port::Container) => ok(&json!({"handlers": handlers()})),
        _ => return None,
    };
    if *method == Method::GET || *method == Method::HEAD {
        return Some(reply);
    }
    Some(Reply::json(StatusCode::METHOD_NOT_ALLOWED, &json!({"message": format!("{method} is not allowed here")})))
}

fn ok(body: &Value) -> Reply {
    Reply::json(StatusCode::OK, body)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A container without an application has nothing to serve; the config server is up from the start.
fn is_up(server: &Server, port: Port) -> bool {
    port == Port::Config || server.config.generation_in_force().is_some()
}

fn code(server: &Server, port: Port) -> &'static str {
    if is_up(server, port) { "up" } else { "initializing" }
}

fn status_page(server: &Server, port: Port) -> Reply {
    if is_up(server, port) {
        Reply::bytes(StatusCode::OK, "text/html", "<title>OK</title>\n")
    } else {
        Reply::bytes(StatusCode::SERVICE_UNAVAILABLE, "text/html", "<title>NOT OK</title>\n")
    }
}

fn health(server: &Server, port: Port) -> Value {
    json!({"time": now(), "status": {"code": code(server, port)}, "metrics": {}})
}

fn config(server: &Server) -> Value {
    let generation = server.config.generation_in_force().unwrap_or(0);
    json!({"config": {"generation": generation, "container": {"generation": generation}}})
}

fn application_status(server: &Server) -> Value {
    let generation = server.config.generation_in_force().unwrap_or(0);
    json!({
        "application": {"vespa": {"version": VERSION}, "meta": {"name": "default", "generation": generation}},
        "abstract-components": [],
        "handlers": handlers(),
        "clients": [],
        "servers": [],
    })
}

fn handlers() -> Value {
    let handler = |class: &str, bundle: &str, paths: &[&str]| {
        let bindings: Vec<String> = paths.iter().map(|path| format!("http://*{path}")).collect();
        json!({"id": class, "class": class, "bundle": bundle, "serverBindings": bindings})
    };
    let state = "com.yahoo.container.jdisc.state.StateHandler";
    let documents = "com.yahoo.document.restapi.resource.DocumentV1ApiHandler";
    json!([
        handler("com.yahoo.search.handler.SearchHandler", "container-search-and-docproc", &["/search/*"]),
        handler(documents, "vespaclient-container-plugin", &["/document/v1/*", "/document/v1/*/"]),
        handler(state, "container-disc", &["/state/v1", "/state/v1/*"]),
        handler("com.yahoo.container.handler.VipStatusHandler", "container-disc", &["/status.html"]),
    ])
}

/// Per document type, how many documents there are.
fn metrics(server: &Server) -> Value {
    let status = json!({"code": code(server, Port::Container), "description": ""});
    let documents: Vec<Value> = server
        .content
        .document_counts()
        .into_iter()
        .map(|(document_type, count)| {
            json!({
                "values": {
                    "content.proton.documentdb.documents.total.last": count,
                    "content.proton.documentdb.documents.ready.last": count,
                    "content.proton.documentdb.documents.active.last": count,
                    "content.proton.documentdb.documents.removed.last": 0,
                },
                "dimensions": {"documenttype": document_type},
            })
        })
        .collect();
    let seconds = now() / 1000;
    let service = |name: &str, metrics: &[Value]| json!({"name": name, "timestamp": seconds, "status": status, "metrics": metrics});
    json!({"nodes": [{
        "hostname": HOST,
        "role": "hosts/localhost",
        "services": [service("vespa.container", &[]), service("vespa.searchnode", &documents)],
    }]})
}
