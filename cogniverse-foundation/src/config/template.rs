//! Named starting points of a tenant's configuration.

use cogniverse_sdk::{Error, Result};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr};

/// A named starting point of a tenant's [`SystemConfig`](super::system::SystemConfig).
///
/// The values of a name never change from release to release, as they tell which fields of a stored configuration the
/// template gave; other values come under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Template {
    /// `mistral:7b-instruct`.
    Enterprise,
    /// `ollama/gemma3:4b`.
    Startup,
    /// `ollama/gemma3:4b`.
    Trial,
}

impl Template {
    /// Every template.
    pub const ALL: [Self; 3] = [Self::Enterprise, Self::Startup, Self::Trial];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enterprise => "enterprise",
            Self::Startup => "startup",
            Self::Trial => "trial",
        }
    }

    /// The fields it gives; the rest are defaults.
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
