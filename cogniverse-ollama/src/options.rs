//! What models run with.

use serde::{Serialize, Serializer};
use std::time::Duration;

/// How long a model stays in memory after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// For a time; zero unloads it at once.
    For(Duration),
    /// Until it is unloaded.
    Forever,
}

impl Serialize for KeepAlive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // In words, as a bare number is a duration to some versions and seconds to others.
            Self::For(time) => serializer.serialize_str(&format!("{}ms", time.as_millis())),
            Self::Forever => serializer.serialize_i64(-1),
        }
    }
}

/// What becomes of messages that are longer than the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverlongPrompt {
    /// Ollama leaves out the oldest; the answer says so in `prompt_cut`.
    #[default]
    Cut,
    /// `InvalidInput`.
    Refuse,
}

/// Settings of a run. Each is the model's own unless it is set here.
///
/// Typed, because Ollama ignores an option that it does not know.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OllamaOptions {
    /// Tokens of context. A change loads the model anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_ctx: Option<u32>,
    /// Threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_thread: Option<u32>,
    /// Layers on the graphics card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpu: Option<u32>,
    /// The next word is one of the so many likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The next word is one of the likeliest that have this probability together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Above 1: words that were said are less likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f32>,
    /// Texts that end an answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

impl OllamaOptions {
    /// Sets [`Self::num_ctx`].
    #[must_use]
    pub fn with_num_ctx(mut self, tokens: u32) -> Self {
        self.num_ctx = Some(tokens);
        self
    }

    /// Sets [`Self::num_thread`].
    #[must_use]
    pub fn with_num_thread(mut self, threads: u32) -> Self {
        self.num_thread = Some(threads);
        self
    }

    /// Sets [`Self::num_gpu`].
    #[must_use]
    pub fn with_num_gpu(mut self, layers: u32) -> Self {
        self.num_gpu = Some(layers);
        self
    }

    /// Sets [`Self::top_k`].
    #[must_use]
    pub fn with_top_k(mut self, words: u32) -> Self {
        self.top_k = Some(words);
        self
    }

    /// Sets [`Self::top_p`].
    #[must_use]
    pub fn with_top_p(mut self, probability: f32) -> Self {
        self.top_p = Some(probability);
        self
    }

    /// Sets [`Self::repeat_penalty`].
    #[must_use]
    pub fn with_repeat_penalty(mut self, penalty: f32) -> Self {
        self.repeat_penalty = Some(penalty);
        self
    }

    /// Sets [`Self::stop`].
    #[must_use]
    pub fn with_stop(mut self, texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.stop = texts.into_iter().map(Into::into).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn what_is_not_set_is_not_sent() {
        assert_eq!(to_value(OllamaOptions::default()).unwrap(), json!({}));
        let options = OllamaOptions::default().with_num_ctx(2048).with_stop(["\n"]);
        assert_eq!(to_value(options).unwrap(), json!({"num_ctx": 2048, "stop": ["\n"]}));
        assert_eq!(to_value(KeepAlive::For(Duration::ZERO)).unwrap(), json!("0ms"));
        assert_eq!(to_value(KeepAlive::For(Duration::from_mins(5))).unwrap(), json!("300000ms"));
        assert_eq!(to_value(KeepAlive::Forever).unwrap(), json!(-1));
    }
}
