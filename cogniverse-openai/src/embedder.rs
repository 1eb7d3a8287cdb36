//! The [`TextEmbedder`] implementation.

use crate::{
    client::OpenAiClient,
    error::is_overlong,
    wire::{Embed, Embedded},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Result, TextEmbedder, TextKind, VectorKind,
    text_embedder::{check_texts, checked_rows},
};

/// A [`TextEmbedder`] of an OpenAI-compatible server.
///
/// vLLM, llama.cpp and OpenAI refuse a text that is too long. For a server that truncates silently, as Ollama's `/v1`
/// does, set [`Self::with_max_tokens`].
#[derive(Debug, Clone)]
pub struct OpenAiEmbedder {
    client: OpenAiClient,
    model: String,
    info: EncoderInfo,
    dimensions: Option<usize>,
    max_tokens: Option<u64>,
    query_prefix: String,
    document_prefix: String,
}

impl OpenAiEmbedder {
    /// Connects to a model by the server's name for it. A first text determines the width of its vectors.
    ///
    /// # Errors
    /// `NotFound` for a model that is not served; `Unsupported` for one that does not embed.
    pub async fn connect(client: OpenAiClient, model: impl Into<String>) -> Result<Self> {
        Self::probe(client, model.into(), None).await
    }

    /// Connects to a model with a given number of cells, for models that support fewer than their own.
    ///
    /// # Errors
    /// Those of [`Self::connect`]; `Unexpected` where the server returns another number.
    pub async fn connect_with_dimensions(client: OpenAiClient, model: impl Into<String>, cells: usize) -> Result<Self> {
        let embedder = Self::probe(client, model.into(), Some(cells)).await?;
        if embedder.info.dims != cells {
            let message = format!("vectors of {cells} cells were asked for and {} came", embedder.info.dims);
            return Err(Error::unexpected(message));
        }
        Ok(embedder)
    }

    async fn probe(client: OpenAiClient, model: String, dimensions: Option<usize>) -> Result<Self> {
        let info = EncoderInfo { model: model.clone(), dims: 0, kind: VectorKind::Single };
        let (query_prefix, document_prefix) = (String::new(), String::new());
        let mut embedder = Self { client, model, info, dimensions, max_tokens: None, query_prefix, document_prefix };
        let rows = embedder.request(&["a"]).await?.0;
        embedder.info.dims = rows.first().map_or(0, Vec::len);
        if embedder.info.dims == 0 {
            return Err(Error::unexpected(format!("the model {:?} gives a vector without cells", embedder.model)));
        }
        Ok(embedder)
    }

    /// Sets the prefixes of queries and documents for models trained with them, such as `query: ` and `passage: `.
    /// They change the vectors and become part of [`EncoderInfo::model`].
    #[must_use]
    pub fn with_prefixes(mut self, query: impl Into<String>, document: impl Into<String>) -> Self {
        (self.query_prefix, self.document_prefix) = (query.into(), document.into());
        self.info.model = format!("{} [{:?}, {:?}]", self.model, self.query_prefix, self.document_prefix);
        self
    }

    /// Sets the model's token limit. A text that may exceed it, by its bytes, is sent alone and refused where the
    /// server counted that many tokens: it was truncated, or was within one token of it.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u64) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Whether a text may have more tokens than the model takes; each is a byte at least, and two may be added around it.
    fn may_be_cut(&self, text: &str) -> bool {
        self.max_tokens.is_some_and(|max| u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(2) >= max)
    }

    /// The vectors in order, and the tokens of them all.
    async fn request(&self, texts: &[&str]) -> Result<(Vec<Vec<f32>>, Option<u64>)> {
        let body = Embed { model: &self.model, input: texts, encoding_format: "float", dimensions: self.dimensions };
        let call = self.client.post(["embeddings"], &body)?;
        let embedded: Embedded = self.client.json(None, &call).await?;
        // Where no place is said, it is that in the list.
        let mut data: Vec<(usize, Vec<f32>)> = embedded
            .data
            .into_iter()
            .enumerate()
            .map(|(place, row)| (row.index.unwrap_or(place), row.embedding))
            .collect();
        data.sort_by_key(|(index, _)| *index);
        if data.len() != texts.len() || data.iter().enumerate().any(|(place, (index, _))| *index != place) {
            let places: Vec<_> = data.iter().map(|(index, _)| index).take(20).collect();
            let message = format!("vectors came back for the places {places:?} of {} texts", texts.len());
            return Err(Error::unexpected(message));
        }
        let tokens = embedded.usage.and_then(|usage| usage.prompt_tokens);
        Ok((data.into_iter().map(|(_, row)| row).collect(), tokens))
    }

    /// The vectors of a part of the texts, which begins at a place.
    async fn part(&self, texts: &[&str], begin: usize, count: usize) -> Result<Vec<Vec<f32>>> {
        let too_long = |index: usize| {
            Error::invalid(format!("text {index} of {count} is longer than the model {:?} takes; split it", self.model))
        };
        match self.request(texts).await {
            Ok((_, Some(tokens))) if texts.len() == 1 && self.max_tokens.is_some_and(|max| tokens >= max) => {
                Err(too_long(begin))
            }
            Ok((rows, _)) => Ok(rows),
            Err(error) if texts.len() == 1 && is_overlong(&error) => Err(too_long(begin).with_source(error)),
            // The server says that there is such a text, and not which.
            Err(error) if is_overlong(&error) => {
                let mut rows = Vec::new();
                for (place, text) in texts.iter().enumerate() {
                    match self.request(&[text]).await {
                        Err(error) if is_overlong(&error) => return Err(too_long(begin + place).with_source(error)),
                        other => rows.extend(other?.0),
                    }
                }
                Ok(rows)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl TextEmbedder for OpenAiEmbedder {
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
        let whole: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let mut rest: Vec<&str> = whole.iter().map(String::as_str).collect();
        let mut rows = Vec::with_capacity(texts.len());
        while let Some(first) = rest.first() {
            let together =
                rest.iter().take(self.client.config().batch).take_while(|text| !self.may_be_cut(text)).count();
            let size = if self.may_be_cut(first) { 1 } else { together };
            let later = rest.split_off(size);
            rows.extend(self.part(&rest, rows.len(), texts.len()).await?);
            rest = later;
        }
        checked_rows(rows, texts.len(), self.info.dims)
    }
}
