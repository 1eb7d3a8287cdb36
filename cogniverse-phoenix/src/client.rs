//! The HTTP client of Phoenix.

use crate::{
    config::PhoenixConfig,
    error::{self, Phoenix},
};
use cogniverse_http::{Answer, HttpClient, Method, Repeat, Request, StatusCode};
use cogniverse_sdk::{Result, json_problem};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// The largest answer that is read: a page of 1,000 spans with long attributes stays far below.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A client of one Phoenix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PhoenixClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: HttpClient<Phoenix>,
    config: PhoenixConfig,
}

/// The health that Phoenix reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Its version, where it reports one.
    pub version: Option<String>,
}

impl PhoenixClient {
    /// Creates a client. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: PhoenixConfig) -> Result<Self> {
        let http = HttpClient::new(Phoenix, config.endpoint()?, config.api_key(), config.retry_policy())?;
        Ok(Self { inner: Arc::new(Inner { http, config }) })
    }

    /// Checks that Phoenix answers.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached, or another server answers.
    pub async fn health(&self) -> Result<Health> {
        let call = self.get(["healthz"]);
        let answer = self.send(&call).await?;
        if answer.status() == StatusCode::OK && is_page(&answer) {
            return Err(error::no_json(&call, &answer, "a page"));
        }
        self.success(&call, &answer)?;
        let version = Some(answer.header("x-phoenix-server-version")).filter(|version| !version.is_empty());
        Ok(Health { version: version.map(str::to_owned) })
    }

    pub(crate) fn get<'s>(&self, path: impl IntoIterator<Item = &'s str>) -> Request {
        self.inner.http.get(path).with_max_answer_bytes(MAX_ANSWER_BYTES)
    }

    pub(crate) fn delete<'s>(&self, path: impl IntoIterator<Item = &'s str>) -> Request {
        self.inner.http.request(Method::DELETE, path)
    }

    /// A write. One that Phoenix might carry out twice is not repeated: it answers 500 and resets the connection also for
    /// what will never work.
    pub(crate) fn post<'s>(
        &self,
        path: impl IntoIterator<Item = &'s str>,
        body: &impl Serialize,
        repeat: Repeat,
    ) -> Result<Request> {
        let request = self.inner.http.post(path).with_repeat(repeat).with_max_answer_bytes(MAX_ANSWER_BYTES);
        request.with_json(body)
    }

    /// The JSON of an answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: Request) -> Result<T> {
        let answer = self.send(&call).await?;
        self.success(&call, &answer)?;
        Self::read(&call, &answer)
    }

    /// The JSON of an answer; `None` where Phoenix reports that the thing does not exist.
    pub(crate) async fn find<T: DeserializeOwned>(&self, call: Request) -> Result<Option<T>> {
        let answer = self.send(&call).await?;
        if is_absence(&call, &answer) {
            return Ok(None);
        }
        self.success(&call, &answer)?;
        Self::read(&call, &answer).map(Some)
    }

    /// Whether the thing existed: false where Phoenix reports that it does not.
    pub(crate) async fn done(&self, call: Request) -> Result<bool> {
        let answer = self.send(&call).await?;
        if is_absence(&call, &answer) {
            return Ok(false);
        }
        self.success(&call, &answer)?;
        if is_page(&answer) {
            return Err(error::no_json(&call, &answer, "a page"));
        }
        Ok(true)
    }

    async fn send(&self, call: &Request) -> Result<Answer> {
        self.inner.http.within(self.inner.config.timeout, call, self.inner.http.answer(call)).await
    }

    fn success(&self, call: &Request, answer: &Answer) -> Result<()> {
        if answer.is_success() { Ok(()) } else { Err(self.inner.http.refusal(call, answer)) }
    }

    fn read<T: DeserializeOwned>(call: &Request, answer: &Answer) -> Result<T> {
        if !answer.content_type().starts_with("application/json") {
            return Err(error::no_json(call, answer, "it does not call itself JSON"));
        }
        serde_json::from_slice(answer.body()).map_err(|e| error::no_json(call, answer, &json_problem(&e)))
    }
}

fn is_page(answer: &Answer) -> bool {
    answer.content_type().starts_with("text/html")
}

/// Whether Phoenix itself reports that the thing does not exist.
fn is_absence(call: &Request, answer: &Answer) -> bool {
    answer.status() == StatusCode::NOT_FOUND && error::is_absence(call, answer)
}

/// Traces are lost without it for a time, and tenants are served.
#[async_trait::async_trait]
impl cogniverse_sdk::HealthProbe for PhoenixClient {
    fn name(&self) -> &str {
        "phoenix"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<String> {
        self.health().await.map(|health| health.version.unwrap_or_default())
    }
}
