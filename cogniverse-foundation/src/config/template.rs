//! Named templates of a tenant's configuration.

use cogniverse_sdk::{Error, Result};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr};

/// A named template of a tenant's [`SystemConfig`](super::system::SystemConfig).
///
/// The values of a template never change between releases, as they tell which fields of a stored configuration came
/// from it; new values get a new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Template {
    /// Sets the model `mistral:7b-instruct`.
    Enterprise,
    /// Sets the model `ollama/gemma3:4b`.
    Startup,
    /// Sets the model `ollama/gemma3:4b`.
    Trial,
}

impl Template {
    /// All templates.
    pub const ALL: [Self; 3] = [Self::Enterprise, Self::Startup, Self::Trial];

    /// Returns the name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enterprise => "enterprise",
            Self::Startup => "startup",
            Self::Trial => "trial",
        }
    }

    /// Returns the fields that the template sets; the others have their defaults.
    pub(super) fn system_fields(self) -> Map<String, Value> {
        let llm_model = match self {
            Self::Enterprise => "mistral:7b-instruct",
            Self::Startup | Self::Trial => "ollama/gemma3:4b",
        };
        let fields: [(&str, Value); 4] = [
            ("llm_model", llm_model.into()),
            ("backend_url", "http://localhost".into()),
            ("backend_port", 8080.into()),
            ("telemetry_url", "http://localhost:6006".into()),
        ];
        fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Template {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|template| template.as_str() == text);
        found.ok_or_else(|| Error::unknown("template", text, Self::ALL))
    }
}
