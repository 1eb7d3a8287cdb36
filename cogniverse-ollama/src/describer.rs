//! The [`FrameDescriber`] implementation.

use crate::{
    client::OllamaClient,
    model_name::ModelName,
    wire::{PictureMessage, Question},
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use cogniverse_sdk::{
    ChatMessage, ChatRequest, Error, ErrorKind, FinishReason, Picture, PictureKind, Result,
    frame_describer::{DescribeRequest, DescriberInfo, FrameDescriber, FrameDescription},
};

/// The default largest picture in bytes.
const MAX_PICTURE_BYTES: usize = 8 << 20;
/// The default largest number of tokens of an answer.
const MAX_TOKENS: u32 = 400;

/// A [`FrameDescriber`] by a model of Ollama that sees, such as `gemma3:4b`, `llava` or `qwen2.5vl`: `POST /api/chat` with
/// `images`.
#[derive(Debug, Clone)]
pub struct OllamaDescriber {
    client: OllamaClient,
    name: ModelName,
    info: DescriberInfo,
    max_tokens: u32,
    max_picture_bytes: usize,
}

impl OllamaDescriber {
    /// Connects to a model by its name, with or without the prefix `ollama/`. Its digest becomes part of
    /// [`DescriberInfo::model`], so that descriptions of another model of that name are not taken for its own.
    ///
    /// # Errors
    /// `NotFound`, with the remedy, for a model that is not installed; `Unsupported` for one that does not see, which
    /// would make up what it was not shown.
    pub async fn connect(client: OllamaClient, model: &str) -> Result<Self> {
        let name = ModelName::parse(model)?;
        let details = client.show(&name).await?;
        if !details.can("vision") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the model {name} does not see; take one that does, such as gemma3:4b"),
            ));
        }
        let digest = client.tags().await?.into_iter().find(|tag| tag.name == name.as_str()).map(|tag| tag.digest);
        let revision: String = digest.unwrap_or_default().chars().take(12).collect();
        let model = if revision.is_empty() { name.to_string() } else { format!("{name}@{revision}") };
        let info = DescriberInfo { model };
        Ok(Self { client, name, info, max_tokens: MAX_TOKENS, max_picture_bytes: MAX_PICTURE_BYTES })
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
impl FrameDescriber for OllamaDescriber {
    fn info(&self) -> &DescriberInfo {
        &self.info
    }

    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription> {
        request.check()?;
        let (paths, most) = (request.pictures.clone(), self.max_picture_bytes);
        let encode = move || paths.iter().map(|path| encoded(&Picture::read(path, most)?)).collect::<Result<Vec<_>>>();
        let images = tokio::task::spawn_blocking(encode)
            .await
            .map_err(|e| Error::unexpected("reading pictures ended early").with_source(e))??;
        let prompt = request.prompt();
        let message = PictureMessage { role: "user", content: &prompt, images: &images };
        // The message is in the question; what is checked here is the rest.
        let settings = ChatRequest::new(vec![ChatMessage::user(prompt.clone())])
            .with_schema(DescribeRequest::schema())
            .with_max_tokens(self.max_tokens)
            .with_temperature(0.0);
        let question = Question::Pictures { messages: [message] };
        let answer = self.client.ask("chat", &self.name, question, &settings, None).await?.answer;
        if answer.prompt_cut {
            return Err(Error::invalid(format!(
                "the pictures do not fit the context of {}; describe fewer or smaller ones, or raise num_ctx",
                self.name
            )));
        }
        FrameDescription::from_answer(&answer.text).map_err(|error| match answer.finish {
            FinishReason::Length => {
                let message = format!("the description was cut after {} tokens; allow more", self.max_tokens);
                Error::unexpected(message).with_withheld(&answer.text)
            }
            _ => error.with_context("model", &self.name),
        })
    }
}

/// Encodes a picture that Ollama's decoders know.
fn encoded(picture: &Picture) -> Result<String> {
    match picture.header().kind {
        PictureKind::Jpeg | PictureKind::Png | PictureKind::WebP => Ok(STANDARD.encode(picture.bytes())),
        _ => Err(Error::invalid("the picture is no JPEG, PNG or WebP; convert it")),
    }
}
