//! Calls: connections, deadlines, retries with jitter.

use crate::{
    config::VespaConfig,
    error::{self, Call},
};
use bytes::Bytes;
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use reqwest::{
    Client, ClientBuilder, Method, RequestBuilder, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// The first pause between two tries; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Connections to one Vespa.
#[derive(Debug)]
pub(crate) struct VespaClient {
    pub(crate) config: VespaConfig,
    container: Url,
    config_server: Url,
    search: Url,
    /// HTTP/1.1 with kept connections: searches, single documents, deployment.
    calls: Client,
    /// One HTTP/2 connection each.
    feeds: Vec<Client>,
    next_feed: AtomicUsize,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub(crate) fn error(&self, call: Call) -> Error {
        error::classify(call, self.status.as_u16(), &self.body)
    }

    /// Whether Vespa itself says that there is no such thing.
    ///
    /// # Errors
    /// `Unavailable` for a 404 in other words, such as a proxy's or another server's: that is no absence (invariant 9).
    pub(crate) fn is_absence(&self, call: Call) -> Result<bool> {
        if self.status != StatusCode::NOT_FOUND {
            return Ok(false);
        }
        if error::says_absent(call, &self.body) {
            return Ok(true);
        }
        let what = "404 in words that are not Vespa's: a proxy, or another server, is at this address; check it";
        Err(Error::new(ErrorKind::Unavailable, what).with_retry(Retry::After(None)).with_context("status", 404))
    }

    /// The body as JSON, where the status is a success.
    pub(crate) fn json<'a, T: serde::Deserialize<'a>>(&'a self, call: Call) -> Result<T> {
        if !self.is_success() {
            return Err(self.error(call));
        }
        serde_json::from_slice(&self.body).map_err(|e| unreadable(&self.body, e))
    }
}

pub(crate) fn unreadable(body: &[u8], cause: serde_json::Error) -> Error {
    let shown = error::quote(&String::from_utf8_lossy(body.get(..200.min(body.len())).unwrap_or_default()));
    // Its text repeats what it did not expect, however long that is.
    let cause = error::quote(&cause.to_string());
    Error::new(ErrorKind::Unexpected, format!("the answer is not what Vespa answers: \"{shown}\"")).with_source(cause)
}

impl VespaClient {
    pub(crate) fn new(config: VespaConfig) -> Result<Self> {
        let (container, config_server) = config.check()?;
        let search = join(&container, "/search/")?;
        let calls = build(&config, Client::builder())?;
        let feeds = (0..config.connections)
            .map(|_| {
                let builder = Client::builder().http2_adaptive_window(true);
                // In the clear there is nothing to agree on the version by; with TLS the handshake does it.
                let builder = if container.scheme() == "http" { builder.http2_prior_knowledge() } else { builder };
                build(&config, builder)
            })
            .collect::<Result<_>>()?;
        Ok(Self { config, container, config_server, search, calls, feeds, next_feed: AtomicUsize::new(0) })
    }

    /// A request to the container. `path` is percent-encoded and begins with `/`; it may hold a query.
    pub(crate) fn container(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        Ok(self.calls.request(method, join(&self.container, path)?))
    }

    /// A search.
    pub(crate) fn search(&self, body: Bytes) -> RequestBuilder {
        self.calls.post(self.search.clone()).body(body)
    }

    /// A request to the config server.
    pub(crate) fn config_server(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        Ok(self.calls.request(method, join(&self.config_server, path)?))
    }

    /// A request to the container on the next of the feed's connections.
    pub(crate) fn feed(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let turn = self.next_feed.fetch_add(1, Ordering::Relaxed) % self.feeds.len().max(1);
        let client = self.feeds.get(turn).unwrap_or(&self.calls);
        Ok(client.request(method, join(&self.container, path)?))
    }

    pub(crate) fn config_server_address(&self) -> &Url {
        &self.config_server
    }

    /// Sends once and reads the whole answer, of whatever status.
    pub(crate) async fn send_once(request: RequestBuilder) -> Result<Answer> {
        let mut response = request.send().await.map_err(error::transport)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        // Most answers come whole, in one piece that need not be copied.
        let mut body = response.chunk().await.map_err(error::transport)?.unwrap_or_default();
        let mut joined = None::<Vec<u8>>;
        while let Some(chunk) = response.chunk().await.map_err(error::transport)? {
            let all = joined.get_or_insert_with(|| body.to_vec());
            if all.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                let limit = MAX_ANSWER_BYTES >> 20;
                return Err(Error::unexpected(format!("the answer is longer than {limit} MiB; ask for less at once")));
            }
            all.extend_from_slice(&chunk);
        }
        if let Some(all) = joined {
            body = all.into();
        }
        Ok(Answer { status, headers, body })
    }

    /// Sends until an answer is no reason to try again, the tries are used up, or the deadline has passed.
    ///
    /// Only for what may be repeated: reads, and writes that end the same when done twice.
    pub(crate) async fn send(
        &self,
        call: Call,
        deadline: Instant,
        request: impl Fn() -> Result<RequestBuilder>,
    ) -> Result<Answer> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let error = match Self::send_once(request()?.timeout(left)).await {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) => match answer.error(call) {
                    error if error.is_retryable() && error.kind() != ErrorKind::Conflict => error,
                    _ => return Ok(answer),
                },
                Err(error) => error,
            };
            let wait = jittered(pause);
            if !error.is_retryable()
                || attempt >= self.config.attempts
                || deadline.saturating_duration_since(Instant::now()) <= wait
            {
                return Err(if error.is_retryable() { error.with_retry(Retry::Exhausted) } else { error }
                    .with_context("attempts", attempt));
            }
            tracing::debug!(attempt, error = %error.chain(), "trying again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        Err(Error::new(ErrorKind::Timeout, "no time was left to ask Vespa; give the call more"))
    }
}

/// Between half and the whole of a pause, so that many callers do not come back at once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn build(config: &VespaConfig, builder: ClientBuilder) -> Result<Client> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = config.bearer() {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Error::invalid("the bearer token holds a character that no header can"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let builder = builder
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5).min(config.timeout))
        .tcp_nodelay(true)
        .user_agent(concat!("cogniverse/", env!("CARGO_PKG_VERSION")));
    config.secure(builder)?.build().map_err(|e| {
        if config.has_certificates() {
            Error::invalid("the certificates cannot be used; check that the key belongs to its certificate")
                .with_source(e)
        } else {
            Error::unexpected("no HTTP client can be made").with_source(e)
        }
    })
}

fn join(base: &Url, path: &str) -> Result<Url> {
    base.join(path).map_err(|e| Error::unexpected(format!("\"{path}\" is no path")).with_source(e))
}
