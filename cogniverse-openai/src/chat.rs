//! The role [`LanguageModel`].

use crate::{
    client::{Call, OpenAiClient},
    config::TokenLimitField,
    error,
    events::Events,
    wire::{Ask, Chunk, Completion, JsonSchema, ResponseFormat, Said, StreamOptions, Usage, finish_reason},
};
use async_trait::async_trait;
use cogniverse_sdk::{ChatAnswer, ChatRequest, Error, LanguageModel, Result};
use reqwest::header::CONTENT_TYPE;

/// The most text of one answer that is kept.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// A model of a server, as a [`LanguageModel`].
///
/// A prompt that is too long is refused by most servers, with `InvalidInput`. Where it is known that the server cuts it
/// in silence, [`crate::OpenAiConfig::with_context_tokens`] lets a prompt that fills the context be flagged.
#[derive(Debug, Clone)]
pub struct OpenAiModel {
    client: OpenAiClient,
    model: String,
}

/// An answer's text, why it ended, and its counts.
type Raw = (String, String, Option<Usage>);

impl OpenAiModel {
    /// A model by the server's name of it. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidInput` for an empty name.
    pub fn new(client: OpenAiClient, model: impl Into<String>) -> Result<Self> {
        let model = model.into();
        if model.trim().is_empty() {
            return Err(Error::invalid("a model needs a name; OpenAiClient::models lists them"));
        }
        Ok(Self { client, model })
    }

    fn call(&self, request: &ChatRequest, stream: bool) -> Result<Call> {
        request.check()?;
        let limit = self.client.config().token_limit;
        let schema =
            |schema| ResponseFormat::JsonSchema { json_schema: JsonSchema { name: "answer", strict: true, schema } };
        let ask = Ask {
            model: &self.model,
            messages: &request.messages,
            stream,
            stream_options: stream.then_some(StreamOptions { include_usage: true }),
            max_tokens: request.max_tokens.filter(|_| limit == TokenLimitField::MaxTokens),
            max_completion_tokens: request.max_tokens.filter(|_| limit == TokenLimitField::MaxCompletionTokens),
            temperature: request.temperature,
            seed: request.seed,
            response_format: request.schema.as_ref().map(schema),
        };
        Call::post("chat/completions", &ask)
    }

    fn answer(&self, (text, finish, usage): Raw, request: &ChatRequest) -> Result<ChatAnswer> {
        let usage = usage.unwrap_or_default();
        let filled = self.client.config().context_tokens.zip(usage.prompt_tokens).is_some_and(|(n, read)| read >= n);
        ChatAnswer::new(text)
            .with_finish(finish_reason(&finish))
            .with_prompt_cut(filled)
            .with_tokens(usage.prompt_tokens, usage.completion_tokens)
            .checked(request)
    }

    async fn whole(&self, call: &Call) -> Result<Raw> {
        let completion: Completion = self.client.json(call).await?;
        let choice =
            completion.choices.into_iter().next().ok_or_else(|| Error::unexpected("an answer of no choices"))?;
        match choice.message {
            Said { content: Some(text), .. } => Ok((text, choice.finish_reason, completion.usage)),
            Said { refusal: Some(refusal), .. } => Err(refused(&refusal)),
            Said { .. } => {
                Err(Error::unexpected(format!("an answer without a text; it ended by {:?}", choice.finish_reason)))
            }
        }
    }

    async fn streamed(&self, call: &Call, piece: &mut (dyn for<'p> FnMut(&'p str) + Send)) -> Result<Raw> {
        let response = self.client.open(call).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(Error::unexpected(format!("the server answers a stream with {kind:?}; does it know streams?")));
        }
        let mut events = Events::new(response);
        let (mut text, mut finish, mut usage) = (String::new(), None, None);
        while let Some(data) = events.next().await? {
            if data == b"[DONE]" {
                break;
            }
            let chunk: Chunk = serde_json::from_slice(&data).map_err(|_| error::garbled(&data))?;
            if let Some(error) = &chunk.error {
                return Err(error::of_event(error));
            }
            usage = chunk.usage.or(usage);
            // A piece that only counts tokens has no choices.
            for choice in chunk.choices.into_iter().flatten().take(1) {
                if let Some(refusal) = choice.delta.refusal {
                    return Err(refused(&refusal));
                }
                let content = choice.delta.content.unwrap_or_default();
                if text.len() + content.len() > MAX_TEXT_BYTES {
                    return Err(Error::unexpected(format!("the answer is larger than {MAX_TEXT_BYTES} bytes")));
                }
                if !content.is_empty() {
                    text.push_str(&content);
                    piece(&content);
                }
                finish = choice.finish_reason.or(finish);
            }
        }
        match finish {
            Some(finish) => Ok((text, finish, usage)),
            None => {
                Err(Error::unexpected(format!("the stream ended before the answer did, after {} bytes", text.len())))
            }
        }
    }
}

fn refused(refusal: &str) -> Error {
    let shown: String = refusal.chars().take(200).collect();
    Error::unexpected(format!("the model refused to answer: {shown}"))
}

#[async_trait]
impl LanguageModel for OpenAiModel {
    fn model(&self) -> &str {
        &self.model
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer> {
        let call = self.call(&request, false)?;
        let raw = self.client.within(request.timeout, &call, self.whole(&call)).await?;
        self.answer(raw, &request)
    }

    async fn chat_streamed(
        &self,
        request: ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer> {
        let call = self.call(&request, true)?;
        let raw = self.client.within(request.timeout, &call, self.streamed(&call, piece)).await?;
        self.answer(raw, &request)
    }
}
