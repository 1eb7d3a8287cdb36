//! Requests, tries and deadlines.

use crate::{config::OpenAiConfig, error, wire::Models};
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use reqwest::{
    Client, Method, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// The largest answer that is read: 64 vectors of 8,192 numbers stay far below.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The first pause between two tries; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause; who asks for a longer one is not asked again by this code.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A connection to one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenAiClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: Client,
    base: Url,
    authorization: Option<HeaderValue>,
    config: OpenAiConfig,
}

/// A request to make.
pub(crate) struct Call {
    method: Method,
    path: &'static str,
    body: Option<Vec<u8>>,
}

impl Call {
    pub(crate) fn post(path: &'static str, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::invalid("the request cannot be written as JSON").with_source(e))?;
        Ok(Self { method: Method::POST, path, body: Some(body) })
    }
}

impl OpenAiClient {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self> {
        let (base, authorization) = (config.base()?, config.authorization()?);
        let http = Client::builder()
            // A redirect would carry the key elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::unexpected("no HTTP client can be made").with_source(e))?;
        Ok(Self { inner: Arc::new(Inner { http, base, authorization, config }) })
    }

    /// The names of the models that are served. It answers where the server is ready.
    ///
    /// # Errors
    /// `Unavailable` where nobody answers, or somebody else.
    pub async fn models(&self) -> Result<Vec<String>> {
        let call = Call { method: Method::GET, path: "models", body: None };
        let models: Models = self.within(None, &call, self.json(&call)).await?;
        Ok(models.data.into_iter().map(|model| model.id).collect())
    }

    pub(crate) fn config(&self) -> &OpenAiConfig {
        &self.inner.config
    }

    /// What a call gives if it does in time. Dropping it closes the connection, by which servers know to stop.
    pub(crate) async fn within<T>(
        &self,
        limit: Option<Duration>,
        call: &Call,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = limit.unwrap_or(self.inner.config.timeout);
        let done = tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let message = format!("the server did not answer within {limit:?}; give more time, or look at its load");
            Err(Error::new(ErrorKind::Timeout, message).with_retry(Retry::After(None)))
        });
        done.map_err(|error| error.with_context("request", format!("{} /{}", call.method, call.path)))
    }

    /// A whole answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        let body = whole(self.open(call).await?).await?;
        serde_json::from_slice(&body).map_err(|_| error::garbled(&body))
    }

    /// The beginning of a successful answer.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let failed = match self.once(call).await? {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let wait = match failed.retry() {
                Retry::After(after) => after.unwrap_or(pause),
                Retry::Never | Retry::Exhausted => return Err(failed),
            };
            if attempt >= self.inner.config.attempts || wait > LAST_PAUSE {
                return Err(failed);
            }
            // Many that were sent away at one moment shall not come back at one moment.
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(LAST_PAUSE);
            attempt += 1;
        }
    }

    /// One try: an answer, or what another try may not meet; anything else is the error of both.
    async fn once(&self, call: &Call) -> Result<Result<Response>> {
        let mut url = self.inner.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.path.split('/'));
        }
        let mut request = self.inner.http.request(call.method.clone(), url);
        if let Some(authorization) = &self.inner.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(failed) if failed.is_connect() => return Ok(Err(error::of_transport(failed))),
            Err(failed) => return Err(error::of_transport(failed)),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(Ok(response));
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let failed = error::classify(status, after.map(Duration::from_secs), &whole(response).await?);
        if matches!(status.as_u16(), 429 | 503) { Ok(Err(failed)) } else { Err(failed) }
    }
}

/// A body to its end.
async fn whole(mut response: Response) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(error::of_transport)? {
        if body.len() + piece.len() > MAX_ANSWER_BYTES {
            return Err(Error::unexpected(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
