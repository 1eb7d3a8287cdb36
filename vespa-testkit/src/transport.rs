//! HTTP/1.1 and HTTP/2 in the clear on one port: bodies collected and unpacked, answers sent, or broken off.

use crate::{
    faults::Ending,
    message::{Reply, Request},
    request_log::SeenRequest,
    server::{Port, Server},
    stop::Stop,
};
use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    fmt,
    io::Read,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The largest body, packed or unpacked: Vespa's own bound.
pub(crate) const MAX_BODY_BYTES: usize = 100 << 20;
/// How much of a body that is too large is read and thrown away, so that its sender gets to the answer.
const MAX_DISCARDED_BYTES: usize = 300 << 20;
/// How long requests under way may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);
/// HTTP/2 windows: a feeder should not wait for them.
const WINDOW_BYTES: u32 = 4 << 20;

/// Takes connections until told to stop, then lets those under way finish.
pub(crate) async fn serve(listener: TcpListener, port: Port, server: Arc<Server>, mut stop: Stop) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.told() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, port, Arc::clone(&server), stop.clone()));
                }
                // Too many open files, most likely: others will close.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, port: Port, server: Arc<Server>, mut stop: Stop) {
    let Ok(local) = stream.local_addr() else { return };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES * 4)
        .max_concurrent_streams(1024);
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { answer(&server, port, local, request).await }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // How a connection ends is its client's business.
        _ = connection.as_mut() => return,
        () = stop.told() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACE, connection).await;
}

type Outgoing = Either<Full<Bytes>, BrokenOff>;

async fn answer(
    server: &Server,
    port: Port,
    local: SocketAddr,
    request: http::Request<Incoming>,
) -> Result<Response<Outgoing>, Lost> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().map(decode_query).unwrap_or_default();
    let (body, wire_bytes) = match collect(&parts.headers, body).await {
        Ok(collected) => collected,
        Err(Unreadable::Gone) => return Err(Lost),
        Err(unreadable) => return Ok(respond(server.refuse(port, &path, unreadable), Ending::Whole)),
    };
    server.log.push(SeenRequest {
        method: parts.method.clone(),
        path: path.clone(),
        query: query.clone(),
        http2: parts.version == Version::HTTP_2,
        wire_bytes,
        body_bytes: body.len(),
    });
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(parts.uri.authority().map(http::uri::Authority::as_str));
    let origin = host.map_or_else(|| format!("http://{local}"), |host| format!("http://{host}"));
    let request = Request { method: parts.method, path, query, headers: parts.headers, body, origin };
    let (reply, ending) = server.answer(port, &request).await;
    if ending == Ending::Lost { Err(Lost) } else { Ok(respond(reply, ending)) }
}

/// Why a body can not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Its sender went away.
    Gone,
    TooLarge,
    /// A `content-encoding` that is not known here.
    Encoding,
    /// It says gzip and is not.
    Gzip,
}

async fn collect(headers: &http::HeaderMap, mut body: Incoming) -> Result<(Bytes, usize), Unreadable> {
    let mut collected = BytesMut::new();
    let mut seen = 0usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Unreadable::Gone) };
        let Ok(data) = frame.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= MAX_BODY_BYTES {
            collected.extend_from_slice(&data);
        } else if seen > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if seen > MAX_BODY_BYTES {
        return Err(Unreadable::TooLarge);
    }
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok((collected.freeze(), seen)),
        Some(b"gzip") => Ok((unpack(&collected, MAX_BODY_BYTES)?, seen)),
        Some(_) => Err(Unreadable::Encoding),
    }
}

fn unpack(packed: &[u8], bound: usize) -> Result<Bytes, Unreadable> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(packed).take(limit).read_to_end(&mut unpacked).map_err(|_| Unreadable::Gzip)?;
    if unpacked.len() > bound { Err(Unreadable::TooLarge) } else { Ok(unpacked.into()) }
}

fn decode_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect()
}

fn respond(reply: Reply, ending: Ending) -> Response<Outgoing> {
    let body = match ending {
        Ending::Whole | Ending::Lost => Either::Left(Full::new(reply.body)),
        Ending::Reset => Either::Right(BrokenOff::after_half_of(&reply.body)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => drop(response.headers_mut().append(name, value)),
            _ => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
    response
}

/// A body that stops in the middle.
#[derive(Debug)]
struct BrokenOff {
    half: Option<Bytes>,
    /// The first half must reach the wire before the connection breaks.
    flushed: bool,
}

impl BrokenOff {
    fn after_half_of(body: &Bytes) -> Self {
        Self { half: Some(body.slice(..body.len() / 2)), flushed: false }
    }
}

impl Body for BrokenOff {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.flushed {
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Lost)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The connection breaks here.
#[derive(Debug, Clone, Copy)]
struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is broken off")
    }
}

impl std::error::Error for Lost {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_small_body_may_not_unpack_to_a_large_one() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[b' '; 1001]).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 100);
        assert_eq!(unpack(&packed, 1000), Err(Unreadable::TooLarge));
        assert_eq!(unpack(&packed, 1001).unwrap().len(), 1001);
        assert_eq!(unpack(&packed[..20], 1001), Err(Unreadable::Gzip), "cut off");
    }

    #[test]
    fn queries_are_decoded() {
        let decoded = decode_query("yql=select+%2A&a=1%2B1&&flag&a=2=3");
        let pairs: Vec<_> = decoded.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("yql", "select *"), ("a", "1+1"), ("flag", ""), ("a", "2=3")]);
    }
}
