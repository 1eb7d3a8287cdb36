//! Calls.

use crate::{config::PhoenixConfig, error};
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// The largest answer that is read: a page of 1,000 spans with long attributes stays far below.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// The first pause between two tries; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A connection to one Phoenix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PhoenixClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: Client,
    base: Url,
    config: PhoenixConfig,
}

/// Whether Phoenix is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Its version, where it says one.
    pub version: Option<String>,
}

/// Whether a call may be repeated where it is not known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Yes,
    No,
}

/// An answer of any status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    kind: String,
    after: Option<Duration>,
    pub(crate) version: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A call to make.
pub(crate) struct Call<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    repeat: Repeat,
}

impl<'a> Call<'a> {
    /// Reads.
    pub(crate) fn get(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            method: Method::GET,
            path: path.into_iter().collect(),
            query: Vec::new(),
            body: None,
            repeat: Repeat::Yes,
        }
    }

    /// Deletes; again: 404.
    pub(crate) fn delete(path: impl IntoIterator<Item = &'a str>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// Writes JSON.
    pub(crate) fn post(path: impl IntoIterator<Item = &'a str>, body: &impl Serialize, repeat: Repeat) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::invalid("the request cannot be written as JSON").with_source(e))?;
        Ok(Self { method: Method::POST, body: Some(body), repeat, ..Self::get(path) })
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(crate) fn with_all(mut self, name: &'static str, values: impl IntoIterator<Item = impl ToString>) -> Self {
        self.query.extend(values.into_iter().map(|value| (name, value.to_string())));
        self
    }

    fn name(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

impl PhoenixClient {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: PhoenixConfig) -> Result<Self> {
        let base = config.base()?;
        let http = Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::unexpected("no HTTP client can be made").with_source(e))?;
        Ok(Self { inner: Arc::new(Inner { http, base, config }) })
    }

    /// Whether Phoenix is there, and its version.
    ///
    /// # Errors
    /// `Unavailable` where it is not, or where somebody else answers.
    pub async fn health(&self) -> Result<Health> {
        let call = Call::get(["healthz"]);
        let answer = self.send(&call).await?;
        if answer.status == StatusCode::OK && answer.kind.starts_with("text/html") {
            return Err(error::no_json(&call.name(), &answer.kind, &answer.body));
        }
        answer.success(&call)?;
        Ok(Health { version: answer.version })
    }

    /// The JSON of an answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T> {
        let answer = self.send(&call).await?;
        answer.success(&call)?;
        answer.json(&call)
    }

    /// The JSON of an answer; none where Phoenix says that there is no such thing.
    pub(crate) async fn find<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<Option<T>> {
        let answer = self.send(&call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.success(&call)?;
        answer.json(&call).map(Some)
    }

    /// Whether something was there to do it with: false for 404.
    pub(crate) async fn done(&self, call: Call<'_>) -> Result<bool> {
        let answer = self.send(&call).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        answer.success(&call)?;
        Ok(true)
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let (error, after) = match self.once(call).await {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => (error::of_status(&call.name(), answer.status, answer.after, &answer.body), answer.after),
                Err(error) => (error, None),
            };
            // Phoenix answers 500 and resets the connection also for what will never work; a write is not repeated blindly.
            if attempt >= self.inner.config.attempts || call.repeat == Repeat::No {
                return Err(error.with_retry(Retry::Exhausted));
            }
            tokio::time::sleep(after.unwrap_or(pause).min(LAST_PAUSE) + jitter(pause)).await;
            pause = (pause * 2).min(LAST_PAUSE);
            attempt += 1;
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer> {
        let mut url = self.inner.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("the Phoenix address cannot have a path"))?
            .pop_if_empty()
            .extend(&call.path);
        let mut request = self.inner.http.request(call.method.clone(), url);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(authorization) = self.inner.config.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let broke = |e| error::of_transport(&call.name(), e);
        let mut response = request.send().await.map_err(broke)?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (kind, version) = (header(CONTENT_TYPE.as_str()).unwrap_or_default(), header("x-phoenix-server-version"));
        let after = header(RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broke)? {
            if body.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(Error::new(ErrorKind::Unavailable, "the answer is too large; ask for smaller pages")
                    .with_context("request", call.name()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, kind, after, version, body })
    }
}

/// Statuses that another try may not meet.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Up to a quarter more, by the clock's last digits, so that many clients do not come back at once.
fn jitter(pause: Duration) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    pause.mul_f64(f64::from(now.subsec_nanos() % 1024) / 4096.0)
}

impl Answer {
    fn success(&self, call: &Call<'_>) -> Result<()> {
        if self.status.is_success() {
            return Ok(());
        }
        Err(error::of_status(&call.name(), self.status, self.after, &self.body))
    }

    fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        if !self.kind.starts_with("application/json") {
            return Err(error::no_json(&call.name(), &self.kind, &self.body));
        }
        serde_json::from_slice(&self.body)
            .map_err(|e| error::no_json(&call.name(), &self.kind, &self.body).with_source(e))
    }
}
