//! Every call by name; those that ask a model are in `chat`.

use crate::{
    config::OllamaConfig,
    error::{Failure, Fault},
    http::{Call, Http, within},
    lines::Lines,
    model_name::ModelName,
    models::{LoadedModel, ModelDetails, StoredModel},
    options::KeepAlive,
    pull::PullProgress,
    wire::{Embed, Embedded, Models, Named, Part, PullLine, Running, Shown, Tag, Version},
};
use cogniverse_sdk::{
    Error, Matrix, Result,
    text_embedder::{check_texts, checked_rows},
};
use serde::de::DeserializeOwned;
use std::{cmp::Reverse, sync::Arc, time::Duration};

/// A connection to one Ollama. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OllamaClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: Http,
    config: OllamaConfig,
}

/// Ollama is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Its version; `0.0.0` for one that was built without.
    pub version: String,
}

impl OllamaClient {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OllamaConfig) -> Result<Self> {
        Ok(Self { inner: Arc::new(Inner { http: Http::new(&config)?, config }) })
    }

    /// Whether Ollama is there, and its version.
    ///
    /// # Errors
    /// `Unavailable` where it is not, or where somebody else answers.
    pub async fn health(&self) -> Result<Health> {
        let call = Call::get("");
        let greeting = async {
            let text = self.http().text(&call).await?;
            if text.trim() == "Ollama is running" { Ok(()) } else { Err(Failure::new(Fault::NoOllama, shown(&text))) }
        };
        within(self.config().timeout, &call, greeting).await?;
        Ok(Health { version: self.version().await? })
    }

    /// Ollama's version.
    ///
    /// # Errors
    /// `Unavailable` where nobody answers.
    pub async fn version(&self) -> Result<String> {
        Ok(self.json::<Version>(&Call::get("api/version")).await?.version)
    }

    /// The models on its disk.
    ///
    /// # Errors
    /// `Unavailable` where nobody answers.
    pub async fn tags(&self) -> Result<Vec<StoredModel>> {
        let tags: Models<Tag> = self.json(&Call::get("api/tags")).await?;
        Ok(tags.models.into_iter().map(StoredModel::from).collect())
    }

    /// The models in its memory.
    ///
    /// # Errors
    /// `Unavailable` where nobody answers.
    pub async fn ps(&self) -> Result<Vec<LoadedModel>> {
        let running: Models<Running> = self.json(&Call::get("api/ps")).await?;
        Ok(running.models.into_iter().map(LoadedModel::from).collect())
    }

    /// What a model is: the width of its vectors, and its context.
    ///
    /// # Errors
    /// `NotFound` for a model that is not there, with how to get it.
    pub async fn show(&self, model: &ModelName) -> Result<ModelDetails> {
        let body = Named { model: model.as_str(), keep_alive: None, stream: None };
        let shown: Shown = self.json(&Call::post("api/show", model, &body)?).await?;
        Ok(ModelDetails::new(model.clone(), shown))
    }

    /// Fetches a model from the registry, and says how far it is. Dropping the future stops it; a second pull goes on there.
    ///
    /// # Errors
    /// `NotFound` where the registry lacks it, `Unavailable` where it cannot be reached, `Timeout` where nothing moves.
    pub async fn pull(&self, model: &ModelName, progress: &mut (dyn FnMut(&PullProgress) + Send)) -> Result<()> {
        let body = Named { model: model.as_str(), keep_alive: None, stream: Some(true) };
        let call = Call::post("api/pull", model, &body)?;
        let limit = self.config().timeout;
        let mut lines = Lines::new(within(limit, &call, self.http().open(&call)).await?);
        let mut done = false;
        while let Some(line) = within(limit, &call, lines.next::<PullLine>()).await? {
            if let Some(said) = &line.error {
                return Err(Failure::of_line(said).into_error(&call));
            }
            done = line.status == "success";
            progress(&PullProgress::from(line));
        }
        if done { Ok(()) } else { Err(Failure::new(Fault::Ended, "a pull without success").into_error(&call)) }
    }

    /// Loads a model before it is needed, and says how long it stays.
    ///
    /// # Errors
    /// `NotFound` for a model that is not there, with how to get it.
    pub async fn load(&self, model: &ModelName, keep_alive: Option<KeepAlive>) -> Result<()> {
        let body = Named { model: model.as_str(), keep_alive, stream: Some(false) };
        let call = Call::post("api/generate", model, &body)?;
        let part: Part = self.json(&call).await?;
        if part.done && part.error.is_none() {
            Ok(())
        } else {
            Err(Failure::new(Fault::Ended, "a load").into_error(&call))
        }
    }

    /// Unloads a model, as soon as nobody uses it.
    ///
    /// # Errors
    /// `NotFound` for a model that is not there.
    pub async fn unload(&self, model: &ModelName) -> Result<()> {
        self.load(model, Some(KeepAlive::For(Duration::ZERO))).await
    }

    /// The vectors of texts, in batches of [`OllamaConfig::batch`]; of `dimensions` cells, where the model can give fewer.
    ///
    /// # Errors
    /// `InvalidInput` for an empty text and one longer than the model's context, with its place; `Unexpected` for an answer
    /// with another number of vectors, or vectors of several widths.
    pub async fn embed(&self, model: &ModelName, texts: &[String], dimensions: Option<usize>) -> Result<Matrix<f32>> {
        let rows = self.vectors(model, texts, dimensions).await?;
        let width = rows.first().map_or(dimensions.unwrap_or(1), Vec::len);
        checked_rows(rows, texts.len(), width.max(1))
    }

    /// The vectors as they came, one a text.
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
                    Err(failure) if failure.fault == Fault::Overlong => {
                        Ok(Err(self.overlong(model, batch, dimensions).await))
                    }
                    other => other.map(Ok),
                }
            };
            match within(self.config().timeout, &call, work).await? {
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

    fn embed_call<'a>(&self, model: &'a ModelName, input: &[String], dimensions: Option<usize>) -> Result<Call<'a>> {
        let config = self.config();
        let body = Embed {
            model: model.as_str(),
            input,
            truncate: false,
            dimensions,
            keep_alive: config.keep_alive,
            options: &config.options,
        };
        Call::post("api/embed", model, &body)
    }

    /// Which text of a batch is too long: Ollama only says that there is one. The longest is asked for first.
    async fn overlong(&self, model: &ModelName, batch: &[String], dimensions: Option<usize>) -> Option<usize> {
        let mut places: Vec<_> = batch.iter().enumerate().collect();
        places.sort_by_key(|(_, text)| Reverse(text.len()));
        for (place, text) in places {
            let call = self.embed_call(model, std::slice::from_ref(text), dimensions).ok()?;
            match self.http().json::<Embedded>(&call).await {
                Err(failure) if failure.fault == Fault::Overlong => return Some(place),
                Err(_) => return None,
                Ok(_) => {}
            }
        }
        None
    }

    async fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T> {
        within(self.config().timeout, call, self.http().json(call)).await
    }

    pub(crate) fn http(&self) -> &Http {
        &self.inner.http
    }

    pub(crate) fn config(&self) -> &OllamaConfig {
        &self.inner.config
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
