//! Requests, tries and deadlines.

use crate::{
    config::OllamaConfig,
    error::{Failure, Fault},
    model_name::ModelName,
};
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use reqwest::{
    Client, Method, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// The largest answer that is read: 64 vectors of 8,192 numbers stay far below.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The first pause between two tries; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause; who asks for a longer one is not asked again by this code.
const LAST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    base: Url,
    authorization: Option<HeaderValue>,
    attempts: u32,
}

/// A request to make.
pub(crate) struct Call<'a> {
    pub(crate) model: Option<&'a ModelName>,
    method: Method,
    path: &'static str,
    body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    /// Reads.
    pub(crate) fn get(path: &'static str) -> Self {
        Self { model: None, method: Method::GET, path, body: None }
    }

    /// Asks for something of a model.
    pub(crate) fn post(path: &'static str, model: &'a ModelName, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::invalid("the request cannot be written as JSON").with_source(e))?;
        Ok(Self { model: Some(model), method: Method::POST, path, body: Some(body) })
    }

    pub(crate) fn name(&self) -> String {
        format!("{} /{}", self.method, self.path)
    }
}

impl Http {
    pub(crate) fn new(config: &OllamaConfig) -> Result<Self> {
        let base = config.base()?;
        let client = Client::builder()
            // A redirect would turn the request into another.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::unexpected("no HTTP client can be made").with_source(e))?;
        Ok(Self { client, base, authorization: config.authorization()?, attempts: config.attempts })
    }

    /// The beginning of a successful answer.
    pub(crate) async fn open(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let failure = match self.once(call).await {
                Err(failure) if failure.is_passing() && attempt < self.attempts => failure,
                other => return other,
            };
            let wait = failure.after.unwrap_or(pause);
            if wait > LAST_PAUSE {
                return Err(failure);
            }
            // Many that were sent away at one moment shall not come back at one moment.
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(LAST_PAUSE);
            attempt += 1;
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Response, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.path.split('/').filter(|part| !part.is_empty()));
        }
        let mut request = self.client.request(call.method.clone(), url);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await.map_err(Failure::of_transport)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(Failure::of_status(status, after.map(Duration::from_secs), &whole(response).await?))
    }

    /// A whole answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Failure> {
        let body = whole(self.open(call).await?).await?;
        serde_json::from_slice(&body).map_err(|_| Failure::garbled(&body))
    }

    /// A whole answer as text.
    pub(crate) async fn text(&self, call: &Call<'_>) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&whole(self.open(call).await?).await?).into_owned())
    }
}

/// A body to its end.
async fn whole(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Failure::of_transport)? {
        if body.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(Failure::new(Fault::Garbled, format!("more than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What a call gives if it does in time. Dropping it closes the connection, and Ollama ends the generation.
pub(crate) async fn within<T>(
    limit: Duration,
    call: &Call<'_>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(|failure| failure.into_error(call)),
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            format!("Ollama did not answer within {limit:?}; give more time, or look at its load"),
        )
        .with_retry(Retry::After(None))
        .with_context("request", call.name())),
    }
}
