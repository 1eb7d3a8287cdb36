//! The [`FrameDescriber`] implementation.

use crate::{
    chat::OpenAiModel,
    client::OpenAiClient,
    wire::{AskPart, ImageUrl, PictureMessage},
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use cogniverse_sdk::{
    ChatMessage, ChatRequest, Error, FinishReason, LanguageModel, Picture, Result,
    frame_describer::{DescribeRequest, DescriberInfo, FrameDescriber, FrameDescription},
};

/// The default largest picture in bytes.
const MAX_PICTURE_BYTES: usize = 8 << 20;
/// The default largest number of tokens of an answer.
const MAX_TOKENS: u32 = 400;

/// A [`FrameDescriber`] by a vision model of an OpenAI-compatible server: `POST /v1/chat/completions` with the pictures as
/// data URLs in `image_url` parts.
///
/// The API does not report whether a model sees. Servers refuse pictures for one that does not, with `InvalidInput` or
/// `Unsupported`.
#[derive(Debug, Clone)]
pub struct OpenAiDescriber {
    model: OpenAiModel,
    info: DescriberInfo,
    max_tokens: u32,
    max_picture_bytes: usize,
}

impl OpenAiDescriber {
    /// Selects a model by the server's name for it. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an empty name.
    pub fn new(client: OpenAiClient, model: impl Into<String>) -> Result<Self> {
        let model = OpenAiModel::new(client, model)?;
        let info = DescriberInfo { model: model.model().to_owned() };
        Ok(Self { model, info, max_tokens: MAX_TOKENS, max_picture_bytes: MAX_PICTURE_BYTES })
    }

    /// Names the model's revision, so that descriptions of another are not taken for its own.
    #[must_use]
    pub fn with_revision(mut self, revision: &str) -> Self {
        self.info.model = format!("{}@{revision}", self.model.model());
        self
    }

    /// Sets the largest number of tokens of an answer (default 400), at least 1.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = tokens.max(1);
        self
    }

    /// Sets the largest picture in bytes (default 8 MiB).
    #[must_use]
    pub fn with_max_picture_bytes(mut self, bytes: usize) -> Self {
        self.max_picture_bytes = bytes;
        self
    }
}

#[async_trait]
impl FrameDescriber for OpenAiDescriber {
    fn info(&self) -> &DescriberInfo {
        &self.info
    }

    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription> {
        request.check()?;
        let (paths, most) = (request.pictures.clone(), self.max_picture_bytes);
        let encode =
            move || paths.iter().map(|path| Ok(data_url(&Picture::read(path, most)?))).collect::<Result<Vec<_>>>();
        let pictures = tokio::task::spawn_blocking(encode)
            .await
            .map_err(|e| Error::unexpected("reading pictures ended early").with_source(e))??;
        let prompt = request.prompt();
        let settings = ChatRequest::new(vec![ChatMessage::user(prompt.clone())])
            .with_schema(DescribeRequest::schema())
            .with_max_tokens(self.max_tokens)
            .with_temperature(0.0);
        let mut content = vec![AskPart::Text { text: &prompt }];
        content.extend(pictures.into_iter().map(|url| AskPart::ImageUrl { image_url: ImageUrl { url } }));
        let messages = [PictureMessage { role: "user", content }];
        let call = self.model.call(&messages, &settings, false)?;
        let client = self.model.client();
        let raw = client.http().within(client.limit(None), &call, self.model.whole(&call)).await?;
        let answer = self.model.answer(raw);
        if answer.prompt_cut {
            return Err(Error::invalid(format!(
                "the pictures do not fit the context of {}; describe fewer or smaller ones",
                self.info.model
            )));
        }
        FrameDescription::from_answer(&answer.text).map_err(|error| match answer.finish {
            FinishReason::Length => {
                let message = format!("the description was cut after {} tokens; allow more", self.max_tokens);
                Error::unexpected(message).with_withheld(&answer.text)
            }
            _ => error.with_context("model", &self.info.model),
        })
    }
}

fn data_url(picture: &Picture) -> String {
    format!("data:{};base64,{}", picture.header().kind.media_type(), STANDARD.encode(picture.bytes()))
}
