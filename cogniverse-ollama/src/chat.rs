//! Asking a model, and the role [`LanguageModel`].

use crate::{
    client::OllamaClient,
    error::{Failure, Fault},
    generation::{Generation, PromptRequest, Timings, finish_reason},
    http::{Call, within},
    lines::Lines,
    model_name::ModelName,
    options::OverlongPrompt,
    wire::{Ask, AskOptions, Part, Question},
};
use async_trait::async_trait;
use cogniverse_sdk::{ChatAnswer, ChatRequest, Error, FinishReason, LanguageModel, Result};
use std::time::Duration;

/// Where pieces of an answer go.
type Pieces<'a> = &'a mut (dyn for<'p> FnMut(&'p str) + Send);

/// The most text of one answer that is kept.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// A model of an Ollama, as a [`LanguageModel`].
#[derive(Debug, Clone)]
pub struct OllamaModel {
    client: OllamaClient,
    model: ModelName,
}

impl OllamaModel {
    /// A model by its name, with or without `ollama/` before it. Nothing is sent yet.
    ///
    /// # Errors
    /// `InvalidInput` for what is no name.
    pub fn new(client: OllamaClient, model: &str) -> Result<Self> {
        Ok(Self { client, model: ModelName::parse(model)? })
    }
}

#[async_trait]
impl LanguageModel for OllamaModel {
    fn model(&self) -> &str {
        self.model.as_str()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer> {
        Ok(self.client.chat(&self.model, &request).await?.answer)
    }

    async fn chat_streamed(
        &self,
        request: ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer> {
        Ok(self.client.chat_streamed(&self.model, &request, piece).await?.answer)
    }
}

impl OllamaClient {
    /// The answer to a conversation.
    ///
    /// # Errors
    /// Those of [`LanguageModel`].
    pub async fn chat(&self, model: &ModelName, request: &ChatRequest) -> Result<Generation> {
        self.ask("api/chat", model, Question::Messages { messages: &request.messages }, request, None).await
    }

    /// The answer to a conversation, piece by piece.
    ///
    /// # Errors
    /// Those of [`LanguageModel`], also after pieces were given.
    pub async fn chat_streamed(
        &self,
        model: &ModelName,
        request: &ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<Generation> {
        self.ask("api/chat", model, Question::Messages { messages: &request.messages }, request, Some(piece)).await
    }

    /// How a model goes on with a text.
    ///
    /// # Errors
    /// Those of [`LanguageModel`]; `InvalidInput` for an empty text.
    pub async fn generate(&self, model: &ModelName, request: &PromptRequest) -> Result<Generation> {
        self.ask("api/generate", model, prompt(request)?, &request.as_chat(), None).await
    }

    /// How a model goes on with a text, piece by piece.
    ///
    /// # Errors
    /// Those of [`Self::generate`], also after pieces were given.
    pub async fn generate_streamed(
        &self,
        model: &ModelName,
        request: &PromptRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<Generation> {
        self.ask("api/generate", model, prompt(request)?, &request.as_chat(), Some(piece)).await
    }

    async fn ask(
        &self,
        path: &'static str,
        model: &ModelName,
        question: Question<'_>,
        settings: &ChatRequest,
        pieces: Option<Pieces<'_>>,
    ) -> Result<Generation> {
        settings.check()?;
        let (config, stream) = (self.config(), pieces.is_some());
        let call = |truncate: bool| {
            let options = AskOptions {
                own: &config.options,
                num_predict: settings.max_tokens,
                temperature: settings.temperature,
                seed: settings.seed,
            };
            let ask = Ask {
                model: model.as_str(),
                question,
                stream,
                format: settings.schema.as_ref(),
                options,
                keep_alive: config.keep_alive,
                think: config.think,
                truncate,
                shift: false,
            };
            Call::post(path, model, &ask)
        };
        let (whole, cut) = (call(false)?, call(true)?);
        let work = async {
            let (response, was_cut) = match self.http().open(&whole).await {
                // Only Ollama can count its tokens: it is asked to refuse first, so that a cut is known and not guessed.
                Err(failure) if failure.fault == Fault::Overlong && config.overlong == OverlongPrompt::Cut => {
                    (self.http().open(&cut).await?, true)
                }
                other => (other?, false),
            };
            read(Lines::new(response), pieces).await.map(|(text, last)| (text, last, was_cut))
        };
        let (text, last, was_cut) = within(settings.timeout.unwrap_or(config.timeout), &whole, work).await?;
        // Versions that know no `truncate` fill the context to its end.
        let filled = config.options.num_ctx.zip(last.prompt_eval_count).is_some_and(|(n, read)| read >= u64::from(n));
        let answer = ChatAnswer::new(text)
            .with_finish(finish_reason(last.done_reason.as_deref()))
            .with_prompt_cut(was_cut || filled)
            .with_tokens(last.prompt_eval_count, last.eval_count)
            .checked(settings)?;
        let timings = Timings {
            total: Duration::from_nanos(last.total_duration),
            load: Duration::from_nanos(last.load_duration),
            prompt: Duration::from_nanos(last.prompt_eval_duration),
            answer: Duration::from_nanos(last.eval_duration),
        };
        Ok(Generation { answer, timings })
    }
}

fn prompt(request: &PromptRequest) -> Result<Question<'_>> {
    if request.prompt.is_empty() {
        return Err(Error::invalid("there is no text to go on with; give one, or use OllamaClient::load"));
    }
    Ok(Question::Prompt { prompt: &request.prompt, system: request.system.as_deref(), raw: request.raw })
}

/// The text, and the part that ended it. A whole answer is a stream of one line.
async fn read(mut lines: Lines, mut pieces: Option<Pieces<'_>>) -> Result<(String, Part), Failure> {
    let mut text = String::new();
    while let Some(part) = lines.next::<Part>().await? {
        if let Some(said) = &part.error {
            return Err(Failure::of_line(said));
        }
        let Some(piece) = part.text() else {
            return Err(Failure::new(Fault::Garbled, "a part without a text"));
        };
        if text.len() + piece.len() > MAX_TEXT_BYTES {
            return Err(Failure::new(Fault::Garbled, format!("more than {MAX_TEXT_BYTES} bytes")));
        }
        text.push_str(piece);
        if let Some(pieces) = pieces.as_deref_mut().filter(|_| !piece.is_empty()) {
            pieces(piece);
        }
        if part.done {
            return match (part.done_reason.as_deref(), finish_reason(part.done_reason.as_deref())) {
                // The model was loaded or unloaded, and asked nothing.
                (Some("load" | "unload"), FinishReason::Other) => {
                    Err(Failure::new(Fault::Garbled, "the model was loaded and did not answer"))
                }
                _ => Ok((text, part)),
            };
        }
    }
    let end: String = text.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    Err(Failure::new(Fault::Ended, format!("{} bytes came, the last of them {end:?}", text.len())))
}
