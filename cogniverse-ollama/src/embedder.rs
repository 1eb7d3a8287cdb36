//! The [`TextEmbedder`] implementation.

use crate::{client::OllamaClient, model_name::ModelName};
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorKind, Matrix, Result, TextEmbedder, TextKind, VectorKind,
    text_embedder::{check_texts, checked_rows},
};

/// A [`TextEmbedder`] served by Ollama.
#[derive(Debug, Clone)]
pub struct OllamaEmbedder {
    client: OllamaClient,
    name: ModelName,
    info: EncoderInfo,
    dimensions: Option<usize>,
    query_prefix: String,
    document_prefix: String,
}

impl OllamaEmbedder {
    /// Connects to a model by its name, with or without the prefix `ollama/`. Ollama reports the width of its vectors
    /// and its digest, which becomes part of [`EncoderInfo::model`].
    ///
    /// # Errors
    /// `NotFound`, with the remedy, for a model that is not installed; `Unsupported` for one that does not embed.
    pub async fn connect(client: OllamaClient, model: &str) -> Result<Self> {
        let name = ModelName::parse(model)?;
        let details = client.show(&name).await?;
        if !details.can("embedding") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the model {name} makes no vectors; take one that does, such as all-minilm"),
            ));
        }
        let dims = details.embedding_length.filter(|dims| *dims > 0).ok_or_else(|| {
            Error::unexpected(format!("Ollama does not say how wide the vectors of {name} are; is it up to date?"))
        })?;
        let digest = client.tags().await?.into_iter().find(|tag| tag.name == name.as_str()).map(|tag| tag.digest);
        let revision: String = digest.unwrap_or_default().chars().take(12).collect();
        let model = if revision.is_empty() { name.to_string() } else { format!("{name}@{revision}") };
        let info = EncoderInfo { model, dims, kind: VectorKind::Single };
        Ok(Self { client, name, info, dimensions: None, query_prefix: String::new(), document_prefix: String::new() })
    }

    /// Sets the prefixes of queries and documents for models trained with them, such as `search_query: ` and
    /// `search_document: `. They change the vectors and become part of [`EncoderInfo::model`].
    #[must_use]
    pub fn with_prefixes(mut self, query: impl Into<String>, document: impl Into<String>) -> Self {
        (self.query_prefix, self.document_prefix) = (query.into(), document.into());
        self.info.model = format!("{} [{:?}, {:?}]", self.info.model, self.query_prefix, self.document_prefix);
        self
    }

    /// Shortens the vectors, for models trained for it.
    ///
    /// # Errors
    /// `InvalidInput` for 0, or more than the model's own.
    pub fn with_dimensions(mut self, dimensions: usize) -> Result<Self> {
        if dimensions == 0 || dimensions > self.info.dims {
            let message = format!("{dimensions} cells cannot be had of {}; give 1 to {}", self.name, self.info.dims);
            return Err(Error::invalid(message));
        }
        self.dimensions = Some(dimensions);
        self.info.dims = dimensions;
        Ok(self)
    }
}

#[async_trait]
impl TextEmbedder for OllamaEmbedder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn embed(&self, texts: &[String], kind: TextKind) -> Result<Matrix<f32>> {
        // Before the prefix, behind which an empty text would not look empty.
        check_texts(texts)?;
        let prefix = match kind {
            TextKind::Query => &self.query_prefix,
            TextKind::Document => &self.document_prefix,
        };
        let rows = if prefix.is_empty() {
            self.client.vectors(&self.name, texts, self.dimensions).await?
        } else {
            let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
            self.client.vectors(&self.name, &texts, self.dimensions).await?
        };
        checked_rows(rows, texts.len(), self.info.dims)
    }
}
