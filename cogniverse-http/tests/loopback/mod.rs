//! A server on the loopback that answers what a test wrote down, and remembers what it was asked.

#![allow(dead_code, reason = "each test file uses a part")]

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Such as `POST /api/chat`.
    pub(crate) line: String,
    /// The header lines, in lower case.
    pub(crate) headers: String,
    /// The body, where it is JSON.
    pub(crate) body: Value,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// These bytes in pieces of three, which end within a character and a line.
    Pieces(Vec<u8>),
    /// These bytes, and then nothing until the client goes away.
    Hold(Vec<u8>),
}

/// The server.
pub(crate) struct Loopback {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Says each time that a client went away from a [`Reply::Hold`].
    pub(crate) gone: mpsc::Receiver<()>,
}

impl Loopback {
    /// Answers by a rule, which is given the request and how many were before it.
    pub(crate) fn by(rule: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (left, gone) = mpsc::channel();
        let (log, count, rule) = (Arc::clone(&asked), Arc::new(AtomicUsize::new(0)), Arc::new(rule));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, count, rule, left) = (Arc::clone(&log), Arc::clone(&count), Arc::clone(&rule), left.clone());
                thread::spawn(move || {
                    let asked = read(&stream)?;
                    log.lock().unwrap().push(asked.clone());
                    let reply = rule(&asked, count.fetch_add(1, Ordering::SeqCst));
                    write(stream, &reply, &left)
                });
            }
        });
        Self { url, asked, gone }
    }

    /// Answers one after the other; the last again and again.
    pub(crate) fn with(replies: Vec<Reply>) -> Self {
        Self::by(move |_, number| replies[number.min(replies.len() - 1)].clone())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut headers) = (String::new(), String::new());
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        headers.push_str(&header.to_lowercase());
    }
    let length = headers.lines().find_map(|header| header.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    Ok(Asked { line, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

fn write(mut stream: TcpStream, reply: &Reply, left: &mpsc::Sender<()>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    match reply {
        Reply::Bytes(bytes) => stream.write_all(bytes),
        Reply::Pieces(bytes) => bytes.chunks(3).try_for_each(|piece| stream.write_all(piece)),
        Reply::Hold(bytes) => {
            stream.write_all(bytes)?;
            while matches!(stream.read(&mut [0; 64]), Ok(count) if count > 0) {}
            left.send(()).ok();
            Ok(())
        }
    }
}

/// An answer of a length.
pub(crate) fn answer(status: u16, kind: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}");
    Reply::Bytes(format!("{head}\r\n\r\n{body}").into())
}

pub(crate) fn json(status: u16, body: &Value) -> Reply {
    answer(status, "application/json; charset=utf-8", &body.to_string())
}

/// The bytes of an answer that is as long as the connection.
pub(crate) fn stream(kind: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\n\r\n{body}").into()
}

/// An answer in chunks that breaks off after one.
pub(crate) fn broken(kind: &str, body: &str) -> Reply {
    let size = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    Reply::Bytes(format!("{head}{size:x}\r\n{body}\r\n").into())
}

/// What no error may show.
pub(crate) const CANARY: &str = "canary7f3a";

/// Everything that a log or a span may show of an error.
pub(crate) fn shows(error: &cogniverse_sdk::Error) -> String {
    format!("{error} {error:?} {error:#?} {} {}", error.chain(), error.message())
}

/// Bodies that repeat what was sent, in every shape that servers have.
pub(crate) fn echoes() -> Vec<String> {
    let mut bodies = vec![
        CANARY.to_owned(),
        format!("<html>{CANARY}</html>"),
        format!("\"{CANARY}\""),
        format!("[\"{CANARY}\"]"),
        format!("{{\"{CANARY}\": \"{CANARY}\"}}"),
    ];
    for key in [
        "error",
        "message",
        "detail",
        "data",
        "choices",
        "embeddings",
        "response",
        "done",
        "text",
        "segments",
        "models",
    ] {
        for value in [
            format!("\"{CANARY}\""),
            format!("{{\"message\": \"{CANARY}\", \"code\": \"{CANARY}\", \"type\": \"{CANARY}\"}}"),
            format!("[{{\"msg\": \"{CANARY}\", \"loc\": [\"{CANARY}\"], \"input\": \"{CANARY}\"}}]"),
        ] {
            bodies.push(format!("{{\"{key}\": {value}}}"));
        }
    }
    bodies
}
