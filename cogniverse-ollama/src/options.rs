//! Model options.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::time::Duration;

/// The time for which a model stays loaded after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// For a duration; zero unloads it at once.
    For(Duration),
    /// Until it is unloaded explicitly.
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

/// Deserializes a number of seconds, negative for [`KeepAlive::Forever`], or Ollama's own form (`"5000ms"`).
impl<'de> Deserialize<'de> for KeepAlive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Seconds(f64),
            Text(String),
        }
        let seconds = match Given::deserialize(deserializer)? {
            Given::Seconds(seconds) => Some(seconds),
            Given::Text(text) => text.strip_suffix("ms").and_then(|ms| ms.parse::<f64>().ok()).map(|ms| ms / 1000.0),
        };
        match seconds {
            Some(seconds) if seconds < 0.0 => Ok(Self::Forever),
            Some(seconds) => Duration::try_from_secs_f64(seconds).map(Self::For).map_err(D::Error::custom),
            None => Err(D::Error::custom("keep_alive is a number of seconds, or a text such as \"5000ms\"")),
        }
    }
}

/// The handling of messages that exceed the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlongPrompt {
    /// Ollama drops the oldest messages; the answer reports it in `prompt_cut`.
    #[default]
    Cut,
    /// The call fails with `InvalidInput`.
    Refuse,
}

/// Options of a model. Each defaults to the model's own.
///
/// Typed, because Ollama ignores an option that it does not know.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OllamaOptions {
    /// The context length in tokens. A change reloads the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_ctx: Option<u32>,
    /// The number of threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_thread: Option<u32>,
    /// The number of layers on the GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpu: Option<u32>,
    /// The number of most likely tokens to sample from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The probability mass of the most likely tokens to sample from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// The penalty of repeated tokens, above 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f32>,
    /// The texts that end an answer.
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
        assert_eq!(to_value(KeepAlive::For(Duration::from_secs(5 * 60))).unwrap(), json!("300000ms"));
        assert_eq!(to_value(KeepAlive::Forever).unwrap(), json!(-1));
    }
}
