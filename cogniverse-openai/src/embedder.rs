//! The role [`TextEmbedder`].

use crate::{
    client::{Call, OpenAiClient},
    error::is_overlong,
    wire::{Embed, Embedded},
};
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Result, TextEmbedder, TextKind, VectorKind,
    text_embedder::{check_texts, checked_rows},
};

/// A model of a server, as a [`TextEmbedder`].
///
/// vLLM, llama.cpp and OpenAI refuse a text that is too long. For a server that cuts it in silence, as Ollama's `/v1`
/// does, give [`Self::with_max_tokens`].
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
    /// A model by the server's name of it. How wide its vectors are is seen at a first text.
    ///
    /// # Errors
    /// `NotFound` for a model that is not served; `Unsupported` for one that makes no vectors.
    pub async fn connect(client: OpenAiClient, model: impl Into<String>) -> Result<Self> {
        Self::probe(client, model.into(), None).await
    }

    /// The same with vectors of so many cells, for models that can give fewer than they have.
    ///
    /// # Errors
    /// Those of [`Self::connect`]; `Unexpected` where the server gives another number.
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

    /// What stands before each query and each document, for models that are trained so, such as `query: ` and
    /// `passage: `. As they change the vectors, they become a part of [`EncoderInfo::model`].
    #[must_use]
    pub fn with_prefixes(mut self, query: impl Into<String>, document: impl Into<String>) -> Self {
        (self.query_prefix, self.document_prefix) = (query.into(), document.into());
        self.info.model = format!("{} [{:?}, {:?}]", self.model, self.query_prefix, self.document_prefix);
        self
    }

    /// Tokens that the model takes. A text that may be longer, as it has more bytes, is sent alone, and is refused where
    /// the server counted as many tokens: it was cut, or was within one of being so.
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
        let call = Call::post("embeddings", &body)?;
        let embedded: Embedded = self.client.within(None, &call, self.client.json(&call)).await?;
        let mut data = embedded.data;
        data.sort_by_key(|row| row.index);
        if data.len() != texts.len() || data.iter().enumerate().any(|(place, row)| row.index != place) {
            let places: Vec<_> = data.iter().map(|row| row.index).take(20).collect();
            let message = format!("vectors came back for the places {places:?} of {} texts", texts.len());
            return Err(Error::unexpected(message));
        }
        let tokens = embedded.usage.and_then(|usage| usage.prompt_tokens);
        Ok((data.into_iter().map(|row| row.embedding).collect(), tokens))
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
