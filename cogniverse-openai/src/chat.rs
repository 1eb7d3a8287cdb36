//! The [`LanguageModel`] implementation.

use crate::{
    client::OpenAiClient,
    config::TokenLimitField,
    error,
    events::Events,
    wire::{Ask, Chunk, Completion, Content, JsonSchema, ResponseFormat, Said, StreamOptions, Usage, finish_reason},
};
use async_trait::async_trait;
use cogniverse_http::Request;
use cogniverse_sdk::{ChatAnswer, ChatRequest, Error, LanguageModel, Result};
use serde::Serialize;

/// The largest text of one answer, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// A [`LanguageModel`] of an OpenAI-compatible server.
///
/// Most servers refuse a prompt that is too long, with `InvalidInput`. For a server that truncates silently,
/// [`crate::OpenAiConfig::with_context_tokens`] flags answers whose prompt fills the context.
#[derive(Debug, Clone)]
pub struct OpenAiModel {
    client: OpenAiClient,
    model: String,
}

/// An answer's text, why it ended, and its counts.
pub(crate) type Raw = (String, String, Option<Usage>);

impl OpenAiModel {
    /// Selects a model by the server's name for it. Sends nothing yet.
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

    /// Makes a request of messages, which are those of the chat or of another form.
    pub(crate) fn call<M: Serialize>(&self, messages: &[M], request: &ChatRequest, stream: bool) -> Result<Request> {
        request.check()?;
        let limit = self.client.config().token_limit;
        let schema =
            |schema| ResponseFormat::JsonSchema { json_schema: JsonSchema { name: "answer", strict: true, schema } };
        let ask = Ask {
            model: &self.model,
            messages,
            stream,
            stream_options: stream.then_some(StreamOptions { include_usage: true }),
            max_tokens: request.max_tokens.filter(|_| limit == TokenLimitField::MaxTokens),
            max_completion_tokens: request.max_tokens.filter(|_| limit == TokenLimitField::MaxCompletionTokens),
            temperature: request.temperature,
            seed: request.seed,
            response_format: request.schema.as_ref().map(schema),
        };
        self.client.post(["chat", "completions"], &ask)
    }

    pub(crate) fn answer(&self, (text, finish, usage): Raw) -> ChatAnswer {
        let usage = usage.unwrap_or_default();
        let filled = self.client.config().context_tokens.zip(usage.prompt_tokens).is_some_and(|(n, read)| read >= n);
        ChatAnswer::new(text)
            .with_finish(finish_reason(&finish))
            .with_prompt_cut(filled)
            .with_tokens(usage.prompt_tokens, usage.completion_tokens)
    }

    pub(crate) fn client(&self) -> &OpenAiClient {
        &self.client
    }

    pub(crate) async fn whole(&self, call: &Request) -> Result<Raw> {
        let completion: Completion = self.client.http().json(call).await?;
        let choice =
            completion.choices.into_iter().next().ok_or_else(|| Error::unexpected("an answer of no choices"))?;
        let finish = choice.finish_reason.unwrap_or_default();
        match choice.message.unwrap_or_default() {
            Said { content: Some(content), .. } => Ok((content.into_text(), finish, completion.usage)),
            Said { refusal: Some(refusal), .. } => Err(refused(&refusal)),
            Said { .. } => Err(Error::unexpected("an answer without a text").with_withheld(finish)),
        }
    }

    async fn streamed(&self, call: &Request, piece: &mut (dyn for<'p> FnMut(&'p str) + Send)) -> Result<Raw> {
        let lines = self.client.http().open(call).await?;
        let kind = lines.content_type();
        if !kind.starts_with("text/event-stream") {
            return Err(Error::unexpected(format!("the server answers a stream with {kind:?}; does it know streams?")));
        }
        let mut events = Events::new(lines);
        let (mut text, mut finish, mut usage, mut done) = (String::new(), None, None, false);
        while let Some(data) = events.next().await? {
            if data == b"[DONE]" {
                done = true;
                break;
            }
            let chunk: Chunk = self.client.http().parse(call, &data)?;
            if let Some(error) = &chunk.error {
                return Err(error::of_event(error));
            }
            usage = chunk.usage.or(usage);
            // A piece that only counts tokens has no choices.
            for choice in chunk.choices.into_iter().flatten().take(1) {
                let delta = choice.delta.unwrap_or_default();
                if let Some(refusal) = delta.refusal {
                    return Err(refused(&refusal));
                }
                let content = delta.content.map(Content::into_text).unwrap_or_default();
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
            // The stream is whole, and why the answer ended is not said.
            None if done && !text.is_empty() => Ok((text, String::new(), usage)),
            None => {
                Err(Error::unexpected(format!("the stream ended before the answer did, after {} bytes", text.len())))
            }
        }
    }
}

fn refused(refusal: &str) -> Error {
    Error::unexpected("the model refused to answer").with_withheld(refusal)
}

#[async_trait]
impl LanguageModel for OpenAiModel {
    fn model(&self) -> &str {
        &self.model
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer> {
        let call = self.call(&request.messages, &request, false)?;
        let raw = self.client.http().within(self.client.limit(request.timeout), &call, self.whole(&call)).await?;
        self.answer(raw).checked(&request)
    }

    async fn chat_streamed(
        &self,
        request: ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer> {
        let call = self.call(&request.messages, &request, true)?;
        let raw =
            self.client.http().within(self.client.limit(request.timeout), &call, self.streamed(&call, piece)).await?;
        self.answer(raw).checked(&request)
    }
}
