//! Chat and generation, and the [`LanguageModel`] implementation.

use crate::{
    client::OllamaClient,
    error::{self, Fault, Ollama, is_overlong},
    generation::{Generation, PromptRequest, Timings, finish_reason},
    model_name::ModelName,
    options::OverlongPrompt,
    wire::{Ask, AskOptions, Part, Question},
};
use async_trait::async_trait;
use cogniverse_http::{HttpClient, Lines, Request};
use cogniverse_sdk::{ChatAnswer, ChatRequest, Error, FinishReason, LanguageModel, Result};
use std::time::Duration;

/// The callback for pieces of an answer.
type Pieces<'a> = &'a mut (dyn for<'p> FnMut(&'p str) + Send);

/// The largest text of one answer, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// A [`LanguageModel`] served by Ollama.
#[derive(Debug, Clone)]
pub struct OllamaModel {
    client: OllamaClient,
    model: ModelName,
}

impl OllamaModel {
    /// Selects a model by its name, with or without the prefix `ollama/`. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed name.
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
    /// Answers a conversation.
    ///
    /// # Errors
    /// Those of [`LanguageModel`].
    pub async fn chat(&self, model: &ModelName, request: &ChatRequest) -> Result<Generation> {
        self.ask("chat", model, Question::Messages { messages: &request.messages }, request, None).await
    }

    /// Answers a conversation, passing on pieces of the answer as they arrive.
    ///
    /// # Errors
    /// Those of [`LanguageModel`], possibly after pieces were delivered.
    pub async fn chat_streamed(
        &self,
        model: &ModelName,
        request: &ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<Generation> {
        self.ask("chat", model, Question::Messages { messages: &request.messages }, request, Some(piece)).await
    }

    /// Continues a text.
    ///
    /// # Errors
    /// Those of [`LanguageModel`]; `InvalidInput` for an empty text.
    pub async fn generate(&self, model: &ModelName, request: &PromptRequest) -> Result<Generation> {
        self.ask("generate", model, prompt(request)?, &request.as_chat(), None).await
    }

    /// Continues a text, passing on pieces of it as they arrive.
    ///
    /// # Errors
    /// Those of [`Self::generate`], possibly after pieces were delivered.
    pub async fn generate_streamed(
        &self,
        model: &ModelName,
        request: &PromptRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<Generation> {
        self.ask("generate", model, prompt(request)?, &request.as_chat(), Some(piece)).await
    }

    pub(crate) async fn ask(
        &self,
        route: &'static str,
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
            self.post(route, model, &ask)
        };
        let (whole, cut) = (call(false)?, call(true)?);
        let work = async {
            let (lines, was_cut) = match self.http().open(&whole).await {
                // Only Ollama can count its tokens: it is asked to refuse first, so that a cut is known and not guessed.
                Err(error) if is_overlong(&error) && config.overlong == OverlongPrompt::Cut => {
                    (self.http().open(&cut).await?, true)
                }
                other => (other?, false),
            };
            read(self.http(), &whole, lines, pieces).await.map(|(text, last)| (text, last, was_cut))
        };
        let limit = settings.timeout.unwrap_or(config.timeout);
        let (text, last, was_cut) = self.http().within(limit, &whole, work).await?;
        // Versions that know no `truncate` fill the context to its end.
        let filled = config.options.num_ctx.zip(last.prompt_eval_count).is_some_and(|(n, read)| read >= u64::from(n));
        let answer = ChatAnswer::new(text)
            .with_finish(finish_reason(last.done_reason.as_deref()))
            .with_prompt_cut(was_cut || filled)
            .with_tokens(last.prompt_eval_count, last.eval_count);
        // A describer reads its answers itself, and more liberally.
        let answer = if matches!(question, Question::Pictures { .. }) { answer } else { answer.checked(settings)? };
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
        return Err(Error::invalid("the prompt is empty; give a text, or use OllamaClient::load"));
    }
    Ok(Question::Prompt { prompt: &request.prompt, system: request.system.as_deref(), raw: request.raw })
}

/// Reads the text and the final part. A plain response is a stream of one line.
async fn read(
    http: &HttpClient<Ollama>,
    request: &Request,
    mut lines: Lines,
    mut pieces: Option<Pieces<'_>>,
) -> Result<(String, Part)> {
    let garbled = |why: &str| Err(error::of_answer(request, Fault::Garbled, why));
    let mut text = String::new();
    while let Some(line) = lines.next().await? {
        let part: Part = http.parse(request, &line)?;
        if let Some(said) = &part.error {
            return Err(error::of_line(request, said));
        }
        let Some(piece) = part.text() else {
            return garbled("a part without a text");
        };
        if text.len() + piece.len() > MAX_TEXT_BYTES {
            return garbled(&format!("more than {MAX_TEXT_BYTES} bytes"));
        }
        text.push_str(piece);
        if let Some(pieces) = pieces.as_deref_mut().filter(|_| !piece.is_empty()) {
            pieces(piece);
        }
        if part.done {
            return match (part.done_reason.as_deref(), finish_reason(part.done_reason.as_deref())) {
                // The model was loaded or unloaded, and asked nothing.
                (Some("load" | "unload"), FinishReason::Other) => garbled("the model was loaded and did not answer"),
                _ => Ok((text, part)),
            };
        }
    }
    Err(error::of_answer(request, Fault::Ended, &format!("{} bytes came", text.len())).with_withheld(text))
}
