//! Somebody who takes spans over OTLP/HTTP and keeps them, and is out of order as it is told.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test file uses its part; a test asserts"
)]

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{ResourceSpans, Span},
};
use prost::Message;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// What the next requests meet.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Status(u16, &'static str),
    /// Takes the spans, and says so by this status, kind and body.
    Taken(u16, &'static str, &'static str),
    Html,
    /// The connection breaks in the middle of the answer.
    Broken,
    /// The spans are taken, and nobody is told.
    TakenAndBroken,
    Slow(Duration),
}

#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) resources: Vec<ResourceSpans>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) requests: usize,
    pub(crate) authorization: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) url: String,
    taken: Arc<Mutex<Taken>>,
}

impl Sink {
    pub(crate) fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Self { url, taken }
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap()
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.taken().faults.extend(faults);
    }

    /// (project, the spans of its resources), checked: each span's tenant is its resource's.
    pub(crate) fn spans(&self) -> Vec<(String, Span)> {
        let taken = self.taken();
        let mut found = Vec::new();
        for resource in &taken.resources {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let tenant = text(attributes, "tenant.id");
            let project = text(attributes, "openinference.project.name").unwrap();
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                assert_eq!(text(&span.attributes, "tenant.id"), tenant, "a span rides in another tenant's resource");
                found.push((project.clone(), span.clone()));
            }
        }
        found
    }

    pub(crate) fn names_of(&self, project: &str) -> Vec<String> {
        self.spans().into_iter().filter(|(own, _)| own == project).map(|(_, span)| span.name).collect()
    }
}

pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn serve(mut stream: &TcpStream, taken: &Mutex<Taken>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorization, mut first) = (0, None, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if first.is_empty() {
            first = line.to_owned();
        }
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "authorization" => authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    assert!(first.starts_with("POST /v1/traces "), "{first}");
    let fault = {
        let mut taken = taken.lock().unwrap();
        taken.requests += 1;
        taken.authorization = authorization;
        if taken.faults.is_empty() { None } else { Some(taken.faults.remove(0)) }
    };
    let keep = || {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        taken.lock().unwrap().resources.extend(request.resource_spans);
    };
    let answer = |status: u16, kind: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let answer = match fault {
        None => {
            keep();
            answer(200, "application/x-protobuf", "")
        }
        Some(Fault::Slow(pause)) => {
            thread::sleep(pause);
            keep();
            answer(200, "application/x-protobuf", "")
        }
        Some(Fault::Status(status, body)) => answer(status, "text/plain", body),
        Some(Fault::Taken(status, kind, body)) => {
            keep();
            answer(status, kind, body)
        }
        Some(Fault::Html) => answer(200, "text/html", "<!doctype html><title>Phoenix</title>"),
        Some(Fault::Broken) => {
            stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nhal").ok()?;
            return None;
        }
        Some(Fault::TakenAndBroken) => {
            keep();
            return None;
        }
    };
    stream.write_all(answer.as_bytes()).ok()
}
