//! One request, tried again where it failed in passing.

use super::{
    config::ServerConfig,
    error::{classify, not_of_the_form, of_transport},
};
use bytes::Bytes;
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// The largest answer that is read: 64 texts of 8,000 tokens in 128 cells stay below.
const MAX_ANSWER_BYTES: usize = 1 << 30;
/// The first pause between two tries; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, whatever the server asks for.
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// What is sent, of which kind.
pub(crate) struct Body {
    pub(crate) kind: String,
    pub(crate) bytes: Bytes,
}

impl Body {
    pub(crate) fn json(value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value)
            .map_err(|e| Error::unexpected("the request cannot be written as JSON").with_source(e))?;
        Ok(Self { kind: "application/json".to_owned(), bytes: bytes.into() })
    }
}

/// A connection to one server. Models answer the same to the same, so every request may be repeated.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    config: ServerConfig,
}

impl Client {
    pub(crate) fn new(config: ServerConfig) -> Result<Self> {
        let base = config.base()?;
        let http = reqwest::Client::builder()
            .timeout(config.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::unexpected("no HTTP client can be made").with_source(e))?;
        Ok(Self { http, base, config })
    }

    /// Posts, and reads the JSON of the answer.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Body) -> Result<T> {
        let what = format!("POST /{}", path.join("/"));
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        let answer = loop {
            match self.once(&what, path, body).await {
                Ok(answer) => break answer,
                Err(error) if !error.is_retryable() => return Err(error),
                Err(error) if attempt >= self.config.attempts => return Err(error.with_retry(Retry::Exhausted)),
                Err(error) => {
                    let asked = if let Retry::After(Some(time)) = error.retry() { time } else { pause };
                    // Up to a quarter more, so that many clients do not come back at once.
                    let jitter = pause.mul_f64(fastrand::f64() / 4.0);
                    tokio::time::sleep(asked.min(LAST_PAUSE) + jitter).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                    attempt += 1;
                }
            }
        };
        serde_json::from_slice(&answer).map_err(|e| not_of_the_form(&what, "no such JSON", &answer).with_source(e))
    }

    async fn once(&self, what: &str, path: &[&str], body: &Body) -> Result<Vec<u8>> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("the model server's address cannot have a path"))?
            .pop_if_empty()
            .extend(path);
        let mut request =
            self.http.request(Method::POST, url).header(CONTENT_TYPE, &body.kind).body(body.bytes.clone());
        if let Some(authorization) = self.config.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = request.send().await.map_err(|e| of_transport(what, e))?;
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let status = response.status();
        let mut read = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| of_transport(what, e))? {
            if read.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the model server's answer is too large; send less at once",
                )
                .with_context("request", what));
            }
            read.extend_from_slice(&piece);
        }
        if status.is_success() { Ok(read) } else { Err(classify(what, status, after, &read)) }
    }
}
