//! Calls of a model server.

use crate::{config::ServerConfig, error::ModelServer};
use bytes::Bytes;
use cogniverse_http::{HttpClient, Repeat, header::HeaderValue};
use cogniverse_sdk::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};

/// The body of a request, and its content type.
pub(crate) struct Body {
    content_type: HeaderValue,
    bytes: Bytes,
}

impl Body {
    pub(crate) fn new(content_type: &str, bytes: impl Into<Bytes>) -> Result<Self> {
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|e| Error::unexpected("the content type is not a valid header value").with_source(e))?;
        Ok(Self { content_type, bytes: bytes.into() })
    }

    pub(crate) fn json(value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value)
            .map_err(|e| Error::unexpected("the request cannot be written as JSON").with_source(e))?;
        Self::new("application/json", bytes)
    }
}

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: HttpClient<ModelServer>,
    config: ServerConfig,
}

impl Client {
    pub(crate) fn new(config: ServerConfig) -> Result<Self> {
        let http = HttpClient::new(ModelServer, config.endpoint()?, config.api_key(), config.retry_policy())?;
        Ok(Self { http, config })
    }

    /// Reads the answer of a path, of at most `most` bytes, as JSON.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str], most: usize) -> Result<T> {
        let request = self.http.get(path.iter().copied()).with_max_answer_bytes(most);
        self.http.within(self.config.timeout, &request, self.http.json(&request)).await
    }

    /// Posts a body and reads the answer, of at most `most` bytes, as JSON. Models answer the same to the same, so every
    /// request may be repeated.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Body, most: usize) -> Result<T> {
        let request = self.http.post(path.iter().copied()).with_repeat(Repeat::Always).with_max_answer_bytes(most);
        let request = request.with_body(body.content_type.clone(), body.bytes.clone());
        self.http.within(self.config.timeout, &request, self.http.json(&request)).await
    }
}
