//! Requests to the container and the config server.

use crate::{
    config::VespaConfig,
    error::{self, Api},
};
use bytes::Bytes;
use cogniverse_http::{Endpoint, HttpClient, Method, Request, StatusCode, header::HeaderValue, unreadable};
use cogniverse_sdk::{Error, Result};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use url::Url;

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// Clients of one Vespa.
#[derive(Debug)]
pub(crate) struct VespaClient {
    pub(crate) config: VespaConfig,
    /// HTTP/1.1 with kept connections: searches, single documents, deployment.
    searches: HttpClient<Api>,
    documents: HttpClient<Api>,
    deployments: HttpClient<Api>,
    search_url: Url,
    /// One HTTP/2 connection each.
    feeds: Vec<HttpClient<Api>>,
    next_feed: AtomicUsize,
}

/// A whole answer of one of Vespa's interfaces.
#[derive(Debug)]
pub(crate) struct Answer {
    api: Api,
    answer: cogniverse_http::Answer,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.answer.status()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.answer.is_success()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.answer.header(name)
    }

    pub(crate) fn body(&self) -> &Bytes {
        self.answer.body()
    }

    pub(crate) fn error(&self) -> Error {
        error::classify(self.api, self.status().as_u16(), self.body())
    }

    /// Whether Vespa itself reports that the thing does not exist.
    ///
    /// # Errors
    /// `Unavailable` for a 404 in other words, such as a proxy's or another server's: that is no absence ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
    pub(crate) fn is_absence(&self) -> Result<bool> {
        if self.status() != StatusCode::NOT_FOUND {
            return Ok(false);
        }
        if error::says_absent(self.api, self.body()) {
            return Ok(true);
        }
        Err(self.error())
    }

    /// The body as JSON, where the status is one of success.
    pub(crate) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T> {
        if !self.is_success() {
            return Err(self.error());
        }
        serde_json::from_slice(self.body()).map_err(|e| unreadable("Vespa", self.body(), &e))
    }
}

impl VespaClient {
    pub(crate) fn new(config: VespaConfig) -> Result<Self> {
        let (container, config_server) = config.check()?;
        let connection = config.connection();
        let client = |connection: &_| {
            let (key, policy) = (config.bearer(), config.retry_policy());
            HttpClient::with_connection(Api::Document, container.clone(), key, policy, connection)
        };
        let documents = client(&connection)?;
        let searches = documents.sibling(Api::Search, container.clone());
        let deployments = documents.sibling(Api::Deploy, config_server);
        let connection = connection.with_http2();
        let feeds = (0..config.connections).map(|_| client(&connection)).collect::<Result<_>>()?;
        let search_url = container.join_encoded("/search/")?;
        Ok(Self { config, searches, documents, deployments, search_url, feeds, next_feed: AtomicUsize::new(0) })
    }

    /// A request for documents. `path` is percent-encoded and begins with `/`; it may hold a query.
    pub(crate) fn document(&self, method: Method, path: &str) -> Result<Request> {
        request(self.documents.endpoint(), method, path)
    }

    /// A search by a body of JSON.
    pub(crate) fn search(&self, body: Bytes) -> Request {
        let request = Request::new(Method::POST, self.search_url.clone());
        with_json(request, body).with_repeat(cogniverse_http::Repeat::Always).with_max_answer_bytes(MAX_ANSWER_BYTES)
    }

    /// A request to the config server.
    pub(crate) fn deployment(&self, method: Method, path: &str) -> Result<Request> {
        request(self.deployments.endpoint(), method, path)
    }

    pub(crate) fn config_server(&self) -> &Endpoint {
        self.deployments.endpoint()
    }

    fn client(&self, api: Api) -> &HttpClient<Api> {
        match api {
            Api::Search => &self.searches,
            Api::Document => &self.documents,
            Api::Deploy => &self.deployments,
        }
    }

    /// Sends once on the next of the feed's connections, and reads the whole answer, of any status.
    pub(crate) async fn feed_once(&self, request: &Request, limit: Duration) -> Result<Answer> {
        let turn = self.next_feed.fetch_add(1, Ordering::Relaxed) % self.feeds.len().max(1);
        once(self.feeds.get(turn).unwrap_or(&self.documents), request, limit).await
    }

    /// Sends once and reads the whole answer, of any status.
    pub(crate) async fn send_once(&self, api: Api, request: &Request, limit: Duration) -> Result<Answer> {
        once(self.client(api), request, limit).await
    }

    /// Sends until the answer is none that another try may change, the tries are used up, or the deadline has passed.
    ///
    /// Only for what may be repeated: reads, and writes that end the same when done twice.
    pub(crate) async fn send(&self, api: Api, deadline: Instant, request: &Request) -> Result<Answer> {
        let answer = self.client(api).answer_by(deadline, request).await?;
        Ok(Answer { api, answer })
    }
}

async fn once(client: &HttpClient<Api>, request: &Request, limit: Duration) -> Result<Answer> {
    let answer = client.within(limit, request, client.answer_once(request)).await?;
    Ok(Answer { api: *client.protocol(), answer })
}

fn request(endpoint: &Endpoint, method: Method, path: &str) -> Result<Request> {
    let request = Request::new(method, endpoint.join_encoded(path)?).with_max_answer_bytes(MAX_ANSWER_BYTES);
    Ok(request.with_repeat(cogniverse_http::Repeat::Always))
}

pub(crate) fn with_json(request: Request, body: Bytes) -> Request {
    request.with_body(HeaderValue::from_static("application/json"), body)
}

/// Between half and the whole of a pause, so that many callers do not come back at once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}
