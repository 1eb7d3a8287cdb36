//! Model names.

use cogniverse_sdk::{Error, Result};
use std::{fmt, str::FromStr};

/// The prefix for Ollama's models in configurations that name models of several servers.
const PREFIX: &str = "ollama/";
/// The tag of a name without one.
const DEFAULT_TAG: &str = "latest";

/// A model's name with its tag: `all-minilm`, `all-minilm:latest` and `ollama/all-minilm` are one model.
///
/// ```
/// use cogniverse_ollama::ModelName;
///
/// assert_eq!(ModelName::parse("ollama/gemma3:4b")?.as_str(), "gemma3:4b");
/// assert_eq!(ModelName::parse("all-minilm")?, ModelName::parse("all-minilm:latest")?);
/// # Ok::<(), cogniverse_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(String);

impl ModelName {
    /// Removes the prefix and adds the default tag.
    ///
    /// # Errors
    /// `InvalidInput` for an empty name, an empty tag, and invalid characters.
    pub fn parse(name: &str) -> Result<Self> {
        let bare = name.strip_prefix(PREFIX).unwrap_or(name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
        // A colon before the last slash belongs to a registry's port.
        let last = bare.rsplit('/').next().unwrap_or_default();
        let well_formed = match last.split_once(':') {
            Some((model, tag)) => !model.is_empty() && !tag.is_empty(),
            None => !last.is_empty(),
        };
        if !well_formed || !bare.chars().all(allowed) {
            return Err(Error::invalid(format!(
                "{name:?} is not the name of an Ollama model; give one such as gemma3:4b"
            )));
        }
        let tag = if last.contains(':') { String::new() } else { format!(":{DEFAULT_TAG}") };
        Ok(Self(format!("{bare}{tag}")))
    }

    /// Returns the name with its tag and without the prefix, as Ollama lists it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::parse(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_form() {
        for (given, meant) in [
            ("gemma3:270m", "gemma3:270m"),
            ("ollama/gemma3:4b", "gemma3:4b"),
            ("all-minilm", "all-minilm:latest"),
            ("ollama/all-minilm:latest", "all-minilm:latest"),
            ("hf.co/unsloth/Qwen3-0.6B-GGUF:Q4_K_M", "hf.co/unsloth/Qwen3-0.6B-GGUF:Q4_K_M"),
            ("localhost:5000/me/model", "localhost:5000/me/model:latest"),
        ] {
            assert_eq!(ModelName::parse(given).unwrap().as_str(), meant);
        }
        for wrong in ["", "ollama/", ":4b", "gemma3:", "a b", "a\n", "mod\u{e9}l", "x/"] {
            assert!(ModelName::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
