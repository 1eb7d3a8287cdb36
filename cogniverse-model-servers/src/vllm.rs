//! ColPali, ColQwen and their like behind vLLM's pooling route.

mod config;
mod wire;

pub use config::{TextForm, VllmConfig};

use crate::{
    client::{Body, Client},
    error::not_of_the_form,
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorCode, Matrix, Picture, PictureEncoder, PictureKind, QueryEncoder, Result, SegmentContent,
    SegmentEncoder, VectorKind,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::path::Path;
use wire::{Answer, Chat, Texts};

/// The largest answer that is read: more than the vectors of a batch as text.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// What is encoded to learn the model's dimensions.
const PROBE: &str = "dimensions";

/// A model of one vector a token or patch, served by vLLM (`vllm serve MODEL --runner pooling`): `POST /pooling`, texts as a
/// list and pictures as data URIs in messages.
///
/// A segment with pictures is encoded by its pictures, one request each, their vectors in order of time; one without is encoded
/// by its text. The vectors of a model are the same whoever asks: they may be kept by `CachedEncoder` of `cogniverse-encoders`.
#[derive(Debug, Clone)]
pub struct VllmEncoder {
    client: Client,
    config: VllmConfig,
    info: EncoderInfo,
}

impl VllmEncoder {
    /// Connects, and encodes a word to learn the model's dimensions.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be used, or where the model has other dimensions than
    /// [`VllmConfig::with_dimensions`] says; `NotFound` where the server lacks the model; `Unavailable` where it cannot be
    /// reached; `Unexpected` where it answers no vectors of tokens.
    pub async fn connect(config: VllmConfig) -> Result<Self> {
        let client = Client::new(config.server.clone())?;
        let info = EncoderInfo { model: config.name(), dims: 0, kind: VectorKind::Multi };
        let mut encoder = Self { client, config, info };
        let rows = encoder.texts(&[PROBE.to_owned()]).await?;
        encoder.info.dims = rows.first().map_or(0, Matrix::width);
        if let Some(wanted) = encoder.config.dimensions.filter(|wanted| *wanted != encoder.info.dims) {
            return Err(Error::invalid(format!(
                "model {} makes vectors of {} cells and {wanted} are wanted; serve another model or use another schema",
                encoder.info.model, encoder.info.dims
            )));
        }
        Ok(encoder)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the model, as the server has it.
    pub(crate) fn model(&self) -> &str {
        &self.config.model
    }

    /// The vectors of each text. Each text is checked already.
    async fn texts(&self, texts: &[String]) -> Result<Vec<Matrix<f32>>> {
        let model = &self.config.model;
        let bodies: Vec<(Body, usize)> = match self.config.text_form {
            TextForm::Input => texts
                .chunks(self.config.batch)
                .map(|part| Ok((Body::json(&Texts::new(model, part))?, part.len())))
                .collect::<Result<_>>()?,
            TextForm::Messages => {
                texts.iter().map(|text| Ok((Body::json(&Chat::text(model, text))?, 1))).collect::<Result<_>>()?
            }
        };
        let parts: Vec<Vec<Matrix<f32>>> = stream::iter(bodies)
            .map(|(body, count)| async move { self.pooling(&body, count).await })
            .buffered(self.config.concurrency)
            .try_collect()
            .await?;
        Ok(parts.into_iter().flatten().collect())
    }

    async fn pooling(&self, body: &Body, count: usize) -> Result<Vec<Matrix<f32>>> {
        const WHAT: &str = "POST /pooling";
        let answer: Answer = self.client.post(&["pooling"], body, MAX_ANSWER_BYTES).await?;
        let mut items = answer.data;
        if items.len() != count {
            return Err(not_of_the_form(WHAT, &format!("{} results for {count} inputs", items.len()), b""));
        }
        items.sort_by_key(|item| item.index);
        if items.iter().zip(0..).any(|(item, place)| item.index != place) {
            return Err(not_of_the_form(WHAT, "results with the numbers of other inputs", b""));
        }
        items
            .into_iter()
            .map(|item| {
                let rows = Matrix::from_rows(&item.data).map_err(|e| {
                    not_of_the_form(WHAT, "no rows of one length: does the model make one vector a token?", b"")
                        .with_source(e)
                })?;
                let dims = if self.info.dims == 0 { rows.width() } else { self.info.dims };
                EncoderInfo { dims, ..self.info.clone() }.check_rows(&rows)?;
                Ok(rows)
            })
            .collect()
    }

    /// A text that may be sent, with what comes before it.
    fn text(&self, prefix: &str, text: &str) -> Result<String> {
        if text.trim().is_empty() {
            return Err(Error::invalid("the text has no word to encode; give at least one"));
        }
        let most = self.config.max_text_bytes;
        if text.len() > most {
            return Err(Error::invalid(format!(
                "the text has {} bytes and at most {most} are sent; shorten it, or raise VllmConfig::max_text_bytes",
                text.len()
            )));
        }
        Ok(format!("{prefix}{text}"))
    }

    async fn pictures(&self, segment: &SegmentContent) -> Result<Matrix<f32>> {
        let pictures: Vec<_> = segment.frames.iter().map(|picture| self.picture(picture)).collect();
        let parts: Vec<Matrix<f32>> = stream::iter(pictures).buffered(self.config.concurrency).try_collect().await?;
        Matrix::new(self.info.dims, parts.iter().flat_map(|rows| rows.cells().iter().copied()).collect())
    }

    async fn picture(&self, path: &Path) -> Result<Matrix<f32>> {
        let bytes = tokio::fs::read(path).await.map_err(|e| {
            Error::of(ErrorCode::FileUnreadable, format!("the picture {} cannot be read", path.display()))
                .with_source(e)
        })?;
        self.picture_bytes(&format!("the picture {}", path.display()), &bytes).await
    }

    async fn picture_bytes(&self, name: &str, bytes: &[u8]) -> Result<Matrix<f32>> {
        let most = self.config.max_picture_bytes;
        if bytes.len() > most {
            return Err(Error::invalid(format!(
                "{name} has {} bytes and at most {most} are sent; make it smaller, or raise VllmConfig::max_picture_bytes",
                bytes.len()
            )));
        }
        let kind = match PictureKind::of(bytes) {
            Some(kind @ (PictureKind::Jpeg | PictureKind::Png | PictureKind::WebP)) => kind.media_type(),
            _ => return Err(Error::invalid(format!("{name} is no JPEG, PNG or WebP picture"))),
        };
        let uri = format!("data:{kind};base64,{}", STANDARD.encode(bytes));
        let body = Body::json(&Chat::picture(&self.config.model, &uri, &self.config.picture_prompt))?;
        let made = self.pooling(&body, 1).await?;
        made.into_iter().next().ok_or_else(|| Error::unexpected("one picture made no vectors"))
    }
}

#[async_trait]
impl QueryEncoder for VllmEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        let made = self.texts(&[self.text(&self.config.query_prefix, text)?]).await?;
        made.into_iter().next().ok_or_else(|| Error::unexpected("one text made no vectors"))
    }
}

/// A picture as a query is encoded as the pictures of segments are: late interaction compares patches with patches.
#[async_trait]
impl PictureEncoder for VllmEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_picture(&self, picture: &Picture) -> Result<Matrix<f32>> {
        self.picture_bytes("the picture", picture.bytes()).await
    }
}

#[async_trait]
impl SegmentEncoder for VllmEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let written: Vec<String> = segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| segment.frames.is_empty())
            .map(|(number, segment)| {
                self.text(&self.config.document_prefix, &segment.text).map_err(|e| e.with_context("segment", number))
            })
            .collect::<Result<_>>()?;
        let mut written = self.texts(&written).await?.into_iter();
        let mut made = Vec::with_capacity(segments.len());
        for (number, segment) in segments.iter().enumerate() {
            let rows = match segment.frames.is_empty() {
                true => written.next().ok_or_else(|| Error::unexpected("a text made no vectors"))?,
                false => self.pictures(segment).await.map_err(|e| e.with_context("segment", number))?,
            };
            made.push(rows);
        }
        Ok(made)
    }
}
