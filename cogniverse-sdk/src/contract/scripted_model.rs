//! A language model with scripted answers, for tests.

use crate::{ChatAnswer, ChatRequest, Error, ErrorKind, FinishReason, LanguageModel, Result};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

type Rule = Box<dyn Fn(&ChatRequest) -> Result<ChatAnswer> + Send + Sync>;

/// A [`LanguageModel`] for tests: returns given answers and errors in order, or computes them from the request, with
/// an optional delay.
///
/// Words count as tokens: an answer longer than [`ChatRequest::max_tokens`] is truncated there and says so. Streams
/// yield word by word. Scripted text is returned unchanged, even where it is not JSON although the request has a
/// schema, as callers must handle that.
///
/// ```
/// use cogniverse_sdk::{ChatAnswer, ChatMessage, ChatRequest, Error, LanguageModel, contract::ScriptedModel};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let model = ScriptedModel::new([Ok(ChatAnswer::new("blue")), Err(Error::unexpected("out of order"))]);
/// let request = ChatRequest::new(vec![ChatMessage::user("the sky?")]);
/// assert_eq!(model.chat(request.clone()).await.unwrap().text, "blue");
/// assert!(model.chat(request).await.is_err());
/// assert_eq!(model.requests().len(), 2);
/// # }
/// ```
pub struct ScriptedModel {
    model: String,
    rule: Rule,
    delay: Duration,
    requests: Mutex<Vec<ChatRequest>>,
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel").field("model", &self.model).field("delay", &self.delay).finish_non_exhaustive()
    }
}

impl ScriptedModel {
    /// Returns the given answers and errors in order; after the last one, every call is an error.
    #[must_use]
    pub fn new(answers: impl IntoIterator<Item = Result<ChatAnswer>>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::from_fn(move |_| {
            lock(&answers).pop_front().unwrap_or_else(|| Err(Error::unexpected("the script of the model has ended")))
        })
    }

    /// Returns the given texts in order, each as a complete answer.
    #[must_use]
    pub fn of_texts<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Self {
        Self::new(texts.into_iter().map(|text| Ok(ChatAnswer::new(text))))
    }

    /// Computes each answer from the request.
    #[must_use]
    pub fn from_fn(rule: impl Fn(&ChatRequest) -> Result<ChatAnswer> + Send + Sync + 'static) -> Self {
        Self { model: "scripted".to_owned(), rule: Box::new(rule), delay: Duration::ZERO, requests: Mutex::default() }
    }

    /// Sets the model name (default `scripted`).
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>) -> Self {
        self.model = name.into();
        self
    }

    /// Delays each answer; a request with a shorter timeout fails with `Timeout`.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Returns the requests received so far, oldest first, without those that [`ChatRequest::check`] refused.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        lock(&self.requests).clone()
    }

    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer> {
        request.check()?;
        lock(&self.requests).push(request.clone());
        let limit = request.timeout.unwrap_or(Duration::MAX);
        let wait = self.delay.min(limit);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if limit.is_zero() || self.delay > limit {
            return Err(Error::new(ErrorKind::Timeout, format!("the scripted model did not answer in {limit:?}")));
        }
        (self.rule)(request).map(|answer| cut(answer, request.max_tokens))
    }
}

/// Truncates an answer to the words that the request allows.
fn cut(mut answer: ChatAnswer, max_tokens: Option<u32>) -> ChatAnswer {
    let most = max_tokens.and_then(|tokens| usize::try_from(tokens).ok()).unwrap_or(usize::MAX);
    if answer.text.split_inclusive(' ').count() > most {
        answer.text = answer.text.split_inclusive(' ').take(most).collect();
        answer.finish = FinishReason::Length;
    }
    answer
}

/// Locks a mutex even where a panicking test poisoned it: the script is still valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl LanguageModel for ScriptedModel {
    fn model(&self) -> &str {
        &self.model
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatAnswer> {
        self.answer(&request).await
    }

    async fn chat_streamed(
        &self,
        request: ChatRequest,
        piece: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer> {
        let answer = self.answer(&request).await?;
        for word in answer.text.split_inclusive(' ') {
            piece(word);
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChatMessage;
    use serde_json::json;
    use std::sync::Arc;

    fn ask() -> ChatRequest {
        ChatRequest::new(vec![ChatMessage::user("x")])
    }

    fn made() -> (Arc<dyn LanguageModel>, ()) {
        let rule = |request: &ChatRequest| match &request.schema {
            Some(_) => Ok(ChatAnswer::new(json!({"color": "green"}).to_string())),
            None => Ok(ChatAnswer::new("six seven  eight")),
        };
        (Arc::new(ScriptedModel::from_fn(rule)), ())
    }
    crate::language_model_contract! { make: async { made() }, skips: [] }

    #[tokio::test]
    async fn the_script_is_said_in_turn_and_ends() {
        let script = [Ok(ChatAnswer::new("one")), Err(Error::new(ErrorKind::RateLimited, "busy"))];
        let model = ScriptedModel::new(script).with_model("m");
        assert_eq!(model.model(), "m");
        assert_eq!(model.chat(ask()).await.unwrap().text, "one");
        assert_eq!(model.chat(ask()).await.unwrap_err().kind(), ErrorKind::RateLimited);
        assert!(model.chat(ask()).await.unwrap_err().to_string().contains("ended"));
        assert!(model.chat(ChatRequest::new(Vec::new())).await.is_err());
        assert_eq!(model.requests(), vec![ask(), ask(), ask()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_waited_for_or_times_out() {
        let model = ScriptedModel::of_texts(["late"]).with_delay(Duration::from_secs(60));
        let begin = tokio::time::Instant::now();
        let error = model.chat(ask().with_timeout(Duration::from_secs(5))).await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed()), (ErrorKind::Timeout, Duration::from_secs(5)));
        assert_eq!(model.chat(ask()).await.unwrap().text, "late", "the script went on after a timeout");
        assert_eq!(begin.elapsed(), Duration::from_secs(65));
    }

    #[test]
    fn an_answer_that_is_no_json_is_refused_unless_it_was_cut() {
        let request = ask().with_schema(json!({"type": "object"}));
        for wrong in ["", "{\"a\":", "no {json}"] {
            let error = ChatAnswer::new(wrong).checked(&request).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unexpected, "{wrong}");
            assert!(ChatAnswer::new(wrong).with_finish(FinishReason::Length).checked(&request).is_ok());
            assert!(ChatAnswer::new(wrong).checked(&ask()).is_ok());
        }
        assert!(ChatAnswer::new(" {\"a\": 1}\n ").checked(&request).is_ok());
    }
}
