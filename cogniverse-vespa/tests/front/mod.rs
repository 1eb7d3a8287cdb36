//! A server that stands before another one: it notes what arrives, by which connection, and passes it on or answers itself.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, Version,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, LOCATION, TRANSFER_ENCODING},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) http2: bool,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// Passes it on to this address.
    Pass(String),
    /// Never answers.
    Silent,
    /// Begins an answer, and sends a byte of it now and then.
    Dripping,
    /// Sends the client elsewhere.
    Redirect(String),
    /// Answers with this text.
    Say(u16, Bytes),
    /// Answers with a text of so many MiB.
    Flood(usize),
}

#[derive(Debug)]
struct State {
    manner: Mutex<Manner>,
    seen: Mutex<Vec<Seen>>,
    accepted: Mutex<usize>,
    client: reqwest::Client,
}

/// It runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            manner: Mutex::new(manner),
            seen: Mutex::default(),
            accepted: Mutex::default(),
            client: reqwest::Client::new(),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { url, state, task }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The connections that brought some of the requests.
    pub(crate) fn connections(&self, which: impl Fn(&Seen) -> bool) -> usize {
        self.seen().iter().filter(|seen| which(seen)).map(|seen| seen.connection).collect::<BTreeSet<_>>().len()
    }

    pub(crate) fn accepted(&self) -> usize {
        *self.state.accepted.lock().unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = {
            let mut accepted = state.accepted.lock().unwrap();
            *accepted += 1;
            *accepted
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { answer(&state, connection, request).await }
            });
            // How a connection ends is its client's business.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Outgoing = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(state: &State, connection: usize, request: Request<Incoming>) -> Result<Outgoing, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let (http2, path) = (parts.version == Version::HTTP_2, parts.uri.path().to_owned());
    state.seen.lock().unwrap().push(Seen { connection, http2, path, authorization });
    let manner = state.manner.lock().unwrap().clone();
    Ok(match manner {
        Manner::Pass(target) => {
            let path = parts.uri.path_and_query().unwrap();
            let body = body.collect().await.unwrap().to_bytes();
            let mut headers = parts.headers;
            for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
                headers.remove(name);
            }
            let request = state.client.request(parts.method, format!("{target}{path}")).headers(headers).body(body);
            let mut answer = request.send().await?;
            let mut response = whole(answer.status().as_u16(), Bytes::new());
            std::mem::swap(response.headers_mut(), answer.headers_mut());
            for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
                response.headers_mut().remove(name);
            }
            *response.body_mut() = pieces(stream::iter([answer.bytes().await?]));
            response
        }
        Manner::Silent => std::future::pending().await,
        Manner::Dripping => {
            let drip = |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Bytes::from_static(b" "), ()))
            };
            let mut response = whole(200, Bytes::new());
            *response.body_mut() = pieces(stream::unfold((), drip));
            response
        }
        Manner::Redirect(target) => {
            let mut response = whole(307, Bytes::new());
            response.headers_mut().insert(LOCATION, target.parse().unwrap());
            response
        }
        Manner::Say(status, text) => whole(status, text),
        Manner::Flood(mebibytes) => {
            let mut response = whole(200, Bytes::new());
            *response.body_mut() = pieces(stream::iter(vec![Bytes::from(vec![b' '; 1 << 20]); mebibytes]));
            response
        }
    })
}

fn whole(status: u16, text: Bytes) -> Outgoing {
    Response::builder().status(status).body(pieces(stream::iter([text]))).unwrap()
}

fn pieces(pieces: impl Stream<Item = Bytes> + Send + 'static) -> UnsyncBoxBody<Bytes, Infallible> {
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()
}
