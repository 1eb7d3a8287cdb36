//! Configuration of encoders on a vLLM server.

use crate::config::ServerConfig;

/// The form in which texts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextForm {
    /// As a list, many a request, without the model's chat template: as vLLM's own example for ColQwen3 does.
    Input,
    /// As a message, one a request, within the model's chat template.
    Messages,
}

/// The configuration of an encoder on a vLLM server. Only server and model are required.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VllmConfig {
    /// The server.
    pub server: ServerConfig,
    /// The model's name on the server.
    pub model: String,
    /// The revision of the model, which becomes part of [`cogniverse_sdk::EncoderInfo::model`] (default none).
    pub revision: Option<String>,
    /// Cells of a vector that are wanted; another number is refused on connecting (default: whatever the model makes).
    pub dimensions: Option<usize>,
    /// The form in which texts are sent (default [`TextForm::Input`]).
    pub text_form: TextForm,
    /// The prefix of query texts (default: none).
    pub query_prefix: String,
    /// The prefix of segment texts (default: none).
    pub document_prefix: String,
    /// The prompt that accompanies a picture (default `Describe the image.`, on which these models are trained).
    pub picture_prompt: String,
    /// Texts of one request (default 32).
    pub batch: usize,
    /// Requests at once for one call (default 4).
    pub concurrency: usize,
    /// The longest text that is sent (default 1 MB). The model's own limit lies lower, and is an error of the server.
    pub max_text_bytes: usize,
    /// The largest picture that is sent (default 20 MB).
    pub max_picture_bytes: usize,
}

impl VllmConfig {
    /// The defaults for a model of a server.
    #[must_use]
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Self {
        Self {
            server,
            model: model.into(),
            revision: None,
            dimensions: None,
            text_form: TextForm::Input,
            query_prefix: String::new(),
            document_prefix: String::new(),
            picture_prompt: "Describe the image.".to_owned(),
            batch: 32,
            concurrency: 4,
            max_text_bytes: 1 << 20,
            max_picture_bytes: 20 << 20,
        }
    }

    /// Sets [`Self::revision`].
    #[must_use]
    pub fn with_revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// Sets [`Self::dimensions`].
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Sets [`Self::text_form`].
    #[must_use]
    pub fn with_text_form(mut self, form: TextForm) -> Self {
        self.text_form = form;
        self
    }

    /// Sets [`Self::query_prefix`] and [`Self::document_prefix`].
    #[must_use]
    pub fn with_prefixes(mut self, query: impl Into<String>, document: impl Into<String>) -> Self {
        (self.query_prefix, self.document_prefix) = (query.into(), document.into());
        self
    }

    /// Sets [`Self::picture_prompt`]; an empty one sends the picture alone.
    #[must_use]
    pub fn with_picture_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.picture_prompt = prompt.into();
        self
    }

    /// Sets [`Self::batch`] and [`Self::concurrency`].
    #[must_use]
    pub fn with_batches(mut self, texts: usize, concurrency: usize) -> Self {
        (self.batch, self.concurrency) = (texts.max(1), concurrency.max(1));
        self
    }

    /// The name under which its vectors are known: what changes a vector is part of it.
    pub(crate) fn name(&self) -> String {
        let mut name = self.model.clone();
        if let Some(revision) = &self.revision {
            name.push_str(&format!("@{revision}"));
        }
        if self.text_form == TextForm::Messages {
            name.push_str("+messages");
        }
        for (what, text) in [("query", &self.query_prefix), ("document", &self.document_prefix)] {
            if !text.is_empty() {
                name.push_str(&format!("+{what}:{text:?}"));
            }
        }
        if self.picture_prompt != "Describe the image." {
            name.push_str(&format!("+picture:{:?}", self.picture_prompt));
        }
        name
    }
}
