//! The HTTP client.

use crate::{config::OpenAiConfig, error::OpenAi, wire::Models};
use cogniverse_http::{HttpClient, Request};
use cogniverse_sdk::Result;
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// A client of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OpenAiClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: HttpClient<OpenAi>,
    config: OpenAiConfig,
}

impl OpenAiClient {
    /// Creates a client. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self> {
        let http = HttpClient::new(OpenAi, config.endpoint()?, config.api_key(), config.retry_policy())?;
        Ok(Self { inner: Arc::new(Inner { http, config }) })
    }

    /// Lists the names of the models served. A server that answers is ready.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached, or another server answers.
    pub async fn models(&self) -> Result<Vec<String>> {
        let models: Models = self.json(None, &self.http().get(["models"])).await?;
        Ok(models.data.into_iter().map(|model| model.id).collect())
    }

    pub(crate) fn config(&self) -> &OpenAiConfig {
        &self.inner.config
    }

    pub(crate) fn http(&self) -> &HttpClient<OpenAi> {
        &self.inner.http
    }

    /// The time limit of a call.
    pub(crate) fn limit(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.inner.config.timeout)
    }

    /// A request by its route. A generation is costly, so it is repeated unstarted only.
    pub(crate) fn post<'s>(&self, route: impl IntoIterator<Item = &'s str>, body: &impl Serialize) -> Result<Request> {
        self.http().post(route).with_json(body)
    }

    /// A whole answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, limit: Option<Duration>, request: &Request) -> Result<T> {
        self.http().within(self.limit(limit), request, self.http().json(request)).await
    }
}

/// Without it facts are not extracted, and videos are found.
#[async_trait::async_trait]
impl cogniverse_sdk::HealthProbe for OpenAiClient {
    fn name(&self) -> &str {
        "openai"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<String> {
        self.models().await.map(|models| format!("{} models", models.len()))
    }
}
