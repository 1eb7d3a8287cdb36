//! Sending requests.

use crate::{
    answer::Answer,
    api_key::ApiKey,
    connection::Connection,
    endpoint::Endpoint,
    failure,
    lines::Lines,
    protocol::Protocol,
    request::{Repeat, Request},
    retry_policy::RetryPolicy,
};
use backon::Retryable as _;
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use reqwest::{Client, Method, Response, StatusCode, header::AUTHORIZATION};
use serde::de::DeserializeOwned;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A client of one server. Cheap to clone; clones share their connections.
#[derive(Debug)]
pub struct HttpClient<P> {
    inner: Arc<Inner<P>>,
}

impl<P> Clone for HttpClient<P> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
struct Inner<P> {
    http: Client,
    endpoint: Endpoint,
    policy: RetryPolicy,
    protocol: P,
}

/// A try that failed.
struct Failed {
    error: Error,
    /// Whether the server cannot have begun to work on it.
    unstarted: bool,
}

impl<P: Protocol> HttpClient<P> {
    /// Makes a client. Nothing is sent yet. Redirects are not followed: a redirect would turn a request into another, and
    /// carry the key elsewhere.
    ///
    /// # Errors
    /// `InvalidInput` for a key that a header cannot carry.
    pub fn new(protocol: P, endpoint: Endpoint, key: Option<&ApiKey>, policy: RetryPolicy) -> Result<Self> {
        Self::with_connection(protocol, endpoint, key, policy, &Connection::default())
    }

    /// Creates a client with connection settings.
    ///
    /// # Errors
    /// `InvalidInput` for a key that a header cannot carry, and for certificates that cannot be used.
    pub fn with_connection(
        protocol: P,
        endpoint: Endpoint,
        key: Option<&ApiKey>,
        policy: RetryPolicy,
        connection: &Connection,
    ) -> Result<Self> {
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cogniverse/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = key {
            builder = builder.default_headers([(AUTHORIZATION, key.bearer()?)].into_iter().collect());
        }
        let http = connection.build(builder, endpoint.url().scheme() == "http")?;
        Ok(Self { inner: Arc::new(Inner { http, endpoint, policy, protocol }) })
    }

    /// A client of another part of the same server, which shares key and connections.
    #[must_use]
    pub fn sibling<Q: Protocol>(&self, protocol: Q, endpoint: Endpoint) -> HttpClient<Q> {
        let (http, policy) = (self.inner.http.clone(), self.inner.policy);
        HttpClient { inner: Arc::new(Inner { http, endpoint, policy, protocol }) }
    }

    /// The server's base address.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Returns the adapter's knowledge of its server.
    #[must_use]
    pub fn protocol(&self) -> &P {
        &self.inner.protocol
    }

    /// A request by path segments.
    #[must_use]
    pub fn request<'s>(&self, method: Method, segments: impl IntoIterator<Item = &'s str>) -> Request {
        let segments: Vec<&str> = segments.into_iter().collect();
        Request::new(method, self.inner.endpoint.join(segments.iter().copied())).with_segments(segments)
    }

    /// A GET request by path segments.
    #[must_use]
    pub fn get<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Request {
        self.request(Method::GET, segments)
    }

    /// A POST request by path segments.
    #[must_use]
    pub fn post<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Request {
        self.request(Method::POST, segments)
    }

    /// Sends a request and reads the whole answer, which has a status of success.
    ///
    /// # Errors
    /// As [`HttpClient::answer`], and [`Protocol::refusal`] for any other status.
    pub async fn send(&self, request: &Request) -> Result<Answer> {
        let answer = self.answer(request).await?;
        if answer.is_success() { Ok(answer) } else { Err(self.refusal(request, &answer)) }
    }

    /// Sends a request and reads the whole answer as JSON.
    ///
    /// # Errors
    /// As [`HttpClient::send`], and `Unexpected` for an answer that is not such JSON.
    pub async fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        let answer = self.send(request).await?;
        self.parse(request, answer.body())
    }

    /// Reads a body as JSON.
    ///
    /// # Errors
    /// `Unexpected` for what is not such JSON.
    pub fn parse<T: DeserializeOwned>(&self, request: &Request, body: &[u8]) -> Result<T> {
        let read = serde_json::from_slice(body);
        read.map_err(|e| self.name(request, failure::unreadable(self.inner.protocol.server(), body, &e)))
    }

    /// Sends a request and gives the whole answer of any status, once the server says something that another try would not
    /// change. A conflict is such an answer: it is for the caller to resolve.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached or its answer breaks off or is too large, and [`Protocol::refusal`] for
    /// a refusal that another try may not meet; `Retry::Exhausted` where it was tried as often as the policy says.
    pub async fn answer(&self, request: &Request) -> Result<Answer> {
        self.tries(request, || async {
            let answer = self.once(request).await?;
            if answer.is_success() {
                return Ok(answer);
            }
            let error = self.refusal(request, &answer);
            if !error.is_retryable() || error.kind() == ErrorKind::Conflict {
                return Ok(answer);
            }
            Err(failed(error, answer.status()))
        })
        .await
    }

    /// Sends a request once and reads the whole answer, of any status.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached or its answer breaks off or is too large; see
    /// [`is_unsent`](crate::is_unsent).
    pub async fn answer_once(&self, request: &Request) -> Result<Answer> {
        self.once(request).await.map_err(|failed| failed.error)
    }

    /// Sends a request and gives the lines of its answer, which has a status of success, as they come.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn open(&self, request: &Request) -> Result<Lines> {
        self.tries(request, || async {
            let response = self.start(request).await?;
            if response.status().is_success() {
                return Ok(Lines::new(self.inner.protocol.server(), request.name(), response));
            }
            let answer = self.read(request, response).await?;
            Err(failed(self.refusal(request, &answer), answer.status()))
        })
        .await
    }

    /// Runs work on a request, with all its tries, until `limit` has passed. Dropping the work closes its connection, by which
    /// servers know to stop.
    ///
    /// # Errors
    /// `Timeout` where the time has passed; those of the work.
    pub async fn within<T>(
        &self,
        limit: Duration,
        request: &Request,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let late = |_| Err(self.name(request, failure::late(self.inner.protocol.server(), Some(limit))));
        tokio::time::timeout(limit, work).await.unwrap_or_else(late)
    }

    /// Sends a request as [`HttpClient::answer`] does, until the deadline.
    ///
    /// # Errors
    /// As [`HttpClient::answer`], and `Timeout` where the deadline has passed.
    pub async fn answer_by(&self, deadline: Instant, request: &Request) -> Result<Answer> {
        self.within(deadline.saturating_duration_since(Instant::now()), request, self.answer(request)).await
    }

    /// An error of a refusal, with the name of the request.
    #[must_use]
    pub fn refusal(&self, request: &Request, answer: &Answer) -> Error {
        self.name(request, self.inner.protocol.refusal(request, answer).at_backend())
    }

    fn name(&self, request: &Request, error: Error) -> Error {
        error.with_context("request", request.name())
    }

    async fn tries<T, F>(&self, request: &Request, once: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let policy = &self.inner.policy;
        // How often a try failed in a way that allows another one.
        let mut passing = 0;
        let tried = (|| once())
            .retry(policy.backoff())
            .sleep(tokio::time::sleep)
            .when(|failed| {
                let again = may_repeat(request.repeat, failed);
                passing += u32::from(again);
                again
            })
            .adjust(|failed, pause| match (failed.error.retry(), pause) {
                (Retry::After(Some(asked)), Some(pause)) => (asked <= policy.longest_pause).then(|| asked.max(pause)),
                (_, pause) => pause,
            })
            .notify(|failed, pause| {
                tracing::debug!(?pause, request = request.name(), error = %failed.error.chain(), "trying again");
            })
            .await;
        tried.map_err(|failed| match passing {
            used if used >= policy.attempts => failed.error.with_retry(Retry::Exhausted).with_context("attempts", used),
            // Whoever repeats it blindly may have it carried out twice.
            _ if request.repeat == Repeat::Never && failed.error.is_retryable() => {
                failed.error.with_retry(Retry::Exhausted)
            }
            _ => failed.error,
        })
    }

    async fn once(&self, request: &Request) -> Result<Answer, Failed> {
        let response = self.start(request).await?;
        self.read(request, response).await
    }

    async fn start(&self, request: &Request) -> Result<Response, Failed> {
        let mut builder = self.inner.http.request(request.method.clone(), request.url.clone());
        if !request.headers.is_empty() {
            builder = builder.headers(request.headers.clone());
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(|error| {
            let unstarted = error.is_connect();
            Failed { error: self.name(request, failure::of_transport(self.inner.protocol.server(), error)), unstarted }
        })
    }

    async fn read(&self, request: &Request, response: Response) -> Result<Answer, Failed> {
        let answer = Answer::read(self.inner.protocol.server(), response, request.max_answer_bytes()).await;
        answer.map_err(|error| Failed { error: self.name(request, error), unstarted: false })
    }
}

fn failed(error: Error, status: StatusCode) -> Failed {
    let loaded = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    Failed { unstarted: loaded || error.kind() == ErrorKind::RateLimited, error }
}

fn may_repeat(repeat: Repeat, failed: &Failed) -> bool {
    let allowed = match repeat {
        Repeat::Always => true,
        Repeat::Unstarted => failed.unstarted,
        Repeat::Never => false,
    };
    allowed && failed.error.is_retryable()
}
