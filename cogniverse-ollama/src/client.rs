//! The client of Ollama's API, except for chat and generation.

use crate::{
    config::OllamaConfig,
    error::{self, Fault, Ollama, is_overlong},
    model_name::ModelName,
    models::{LoadedModel, ModelDetails, StoredModel},
    options::KeepAlive,
    pull::PullProgress,
    wire::{Embed, Embedded, Models, Named, Part, PullLine, Running, Shown, Tag, Version},
};
use cogniverse_http::{HttpClient, Request};
use cogniverse_sdk::{
    Error, Matrix, Result,
    text_embedder::{check_texts, checked_rows},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{cmp::Reverse, sync::Arc, time::Duration};

/// A client of one Ollama server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OllamaClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: HttpClient<Ollama>,
    config: OllamaConfig,
}

/// The health of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The version; `0.0.0` for a build without one.
    pub version: String,
}

impl OllamaClient {
    /// Creates a client. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OllamaConfig) -> Result<Self> {
        let http = HttpClient::new(Ollama, config.endpoint()?, config.api_key(), config.retry_policy())?;
        Ok(Self { inner: Arc::new(Inner { http, config }) })
    }

    /// Checks that Ollama answers, and returns its version.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached or is not Ollama.
    pub async fn health(&self) -> Result<Health> {
        let call = self.http().get([""]);
        let answer = self.http().within(self.config().timeout, &call, self.http().send(&call)).await?;
        if answer.body().trim_ascii() != b"Ollama is running" {
            let said = String::from_utf8_lossy(answer.body()).into_owned();
            return Err(error::of_answer(&call, Fault::NoOllama, "another greeting").with_withheld(said));
        }
        Ok(Health { version: self.version().await? })
    }

    /// Returns Ollama's version.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached.
    pub async fn version(&self) -> Result<String> {
        Ok(self.json::<Version>(&self.http().get(["api", "version"])).await?.version)
    }

    /// Lists the models on disk.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached.
    pub async fn tags(&self) -> Result<Vec<StoredModel>> {
        let tags: Models<Tag> = self.json(&self.http().get(["api", "tags"])).await?;
        Ok(tags.models.into_iter().map(StoredModel::from).collect())
    }

    /// Lists the models in memory.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached.
    pub async fn ps(&self) -> Result<Vec<LoadedModel>> {
        let running: Models<Running> = self.json(&self.http().get(["api", "ps"])).await?;
        Ok(running.models.into_iter().map(LoadedModel::from).collect())
    }

    /// Returns details of a model, including the width of its vectors and its context length.
    ///
    /// # Errors
    /// `NotFound`, with the remedy, for a model that is not installed.
    pub async fn show(&self, model: &ModelName) -> Result<ModelDetails> {
        let body = Named { model: model.as_str(), keep_alive: None, stream: None };
        let shown: Shown = self.json(&self.post("show", model, &body)?).await?;
        Ok(ModelDetails::new(model.clone(), shown))
    }

    /// Pulls a model from the registry and reports progress. Dropping the future stops it; a later pull resumes.
    ///
    /// # Errors
    /// `NotFound` where the registry lacks the model, `Unavailable` where it cannot be reached, `Timeout` without
    /// progress.
    pub async fn pull(&self, model: &ModelName, progress: &mut (dyn FnMut(&PullProgress) + Send)) -> Result<()> {
        let body = Named { model: model.as_str(), keep_alive: None, stream: Some(true) };
        let call = self.post("pull", model, &body)?;
        let limit = self.config().timeout;
        let mut lines = self.http().within(limit, &call, self.http().open(&call)).await?;
        let mut done = false;
        while let Some(line) = self.http().within(limit, &call, lines.next()).await? {
            let line: PullLine = self.http().parse(&call, &line)?;
            if let Some(said) = &line.error {
                return Err(error::of_line(&call, said));
            }
            done = line.status == "success";
            progress(&PullProgress::from(line));
        }
        if done { Ok(()) } else { Err(error::of_answer(&call, Fault::Ended, "a pull without success")) }
    }

    /// Loads a model ahead of its use, and sets how long it stays loaded.
    ///
    /// # Errors
    /// `NotFound`, with the remedy, for a model that is not installed.
    pub async fn load(&self, model: &ModelName, keep_alive: Option<KeepAlive>) -> Result<()> {
        let body = Named { model: model.as_str(), keep_alive, stream: Some(false) };
        let call = self.post("generate", model, &body)?;
        let part: Part = self.json(&call).await?;
        if part.done && part.error.is_none() { Ok(()) } else { Err(error::of_answer(&call, Fault::Ended, "a load")) }
    }

    /// Unloads a model once it is idle.
    ///
    /// # Errors
    /// `NotFound` for a model that is not installed.
    pub async fn unload(&self, model: &ModelName) -> Result<()> {
        self.load(model, Some(KeepAlive::For(Duration::ZERO))).await
    }

    /// Embeds texts in batches of [`OllamaConfig::batch`], with `dimensions` cells where the model supports fewer.
    ///
    /// # Errors
    /// `InvalidInput`, with the index, for an empty text and one longer than the model's context; `Unexpected` for a
    /// response with the wrong number of vectors or with vectors of different widths.
    pub async fn embed(&self, model: &ModelName, texts: &[String], dimensions: Option<usize>) -> Result<Matrix<f32>> {
        let rows = self.vectors(model, texts, dimensions).await?;
        let width = rows.first().map_or(dimensions.unwrap_or(1), Vec::len);
        checked_rows(rows, texts.len(), width.max(1))
    }

    /// Embeds texts and returns the vectors in order.
    pub(crate) async fn vectors(
        &self,
        model: &ModelName,
        texts: &[String],
        dimensions: Option<usize>,
    ) -> Result<Vec<Vec<f32>>> {
        check_texts(texts)?;
        let mut rows = Vec::with_capacity(texts.len());
        for (number, batch) in texts.chunks(self.config().batch).enumerate() {
            let call = self.embed_call(model, batch, dimensions)?;
            let work = async {
                match self.http().json::<Embedded>(&call).await {
                    Err(error) if is_overlong(&error) => Ok(Err(self.overlong(model, batch, dimensions).await)),
                    other => other.map(Ok),
                }
            };
            match self.http().within(self.config().timeout, &call, work).await? {
                Ok(given) if given.embeddings.len() == batch.len() => rows.extend(given.embeddings),
                Ok(given) => {
                    let message = format!("{} vectors came back for {} texts", given.embeddings.len(), batch.len());
                    return Err(Error::unexpected(message).with_context("request", call.name()));
                }
                Err(place) => {
                    let index = place.map(|place| number * self.config().batch + place);
                    let text = index.map_or_else(|| "a text".to_owned(), |index| format!("text {index}"));
                    return Err(Error::invalid(format!(
                        "{text} of {} is longer than the context of the model {model}; split it",
                        texts.len()
                    )));
                }
            }
        }
        Ok(rows)
    }

    fn embed_call(&self, model: &ModelName, input: &[String], dimensions: Option<usize>) -> Result<Request> {
        let config = self.config();
        let body = Embed {
            model: model.as_str(),
            input,
            truncate: false,
            dimensions,
            keep_alive: config.keep_alive,
            options: &config.options,
        };
        self.post("embed", model, &body)
    }

    /// Finds the text of a batch that is too long, longest first, as Ollama only reports that there is one.
    async fn overlong(&self, model: &ModelName, batch: &[String], dimensions: Option<usize>) -> Option<usize> {
        let mut places: Vec<_> = batch.iter().enumerate().collect();
        places.sort_by_key(|(_, text)| Reverse(text.len()));
        for (place, text) in places {
            let call = self.embed_call(model, std::slice::from_ref(text), dimensions).ok()?;
            match self.http().json::<Embedded>(&call).await {
                Err(error) if is_overlong(&error) => return Some(place),
                Err(_) => return None,
                Ok(_) => {}
            }
        }
        None
    }

    async fn json<T: DeserializeOwned>(&self, call: &Request) -> Result<T> {
        self.http().within(self.config().timeout, call, self.http().json(call)).await
    }

    /// A request about a model, by the last segment of its route. A generation is costly, so it is repeated unstarted only.
    pub(crate) fn post(&self, route: &str, model: &ModelName, body: &impl Serialize) -> Result<Request> {
        self.http().post(["api", route]).with_subject(model.as_str()).with_json(body)
    }

    pub(crate) fn http(&self) -> &HttpClient<Ollama> {
        &self.inner.http
    }

    pub(crate) fn config(&self) -> &OllamaConfig {
        &self.inner.config
    }
}

/// Without it facts are not extracted, and videos are found.
#[async_trait::async_trait]
impl cogniverse_sdk::HealthProbe for OllamaClient {
    fn name(&self) -> &str {
        "ollama"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<String> {
        self.health().await.map(|health| health.version)
    }
}
