//! Kinds of content.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The kind of content that a query asks for, or that a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Modality {
    /// Videos and their segments.
    Video,
    /// Single pictures.
    Image,
    /// Sound and speech.
    Audio,
    /// Documents of pages.
    Document,
    /// Plain text.
    Text,
    /// Several of them.
    Mixed,
}

impl Modality {
    /// All modalities.
    pub const ALL: [Self; 6] = [Self::Video, Self::Image, Self::Audio, Self::Document, Self::Text, Self::Mixed];

    /// Returns the name, such as `"video"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Text => "text",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Modality {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|modality| modality.as_str() == text);
        found.ok_or_else(|| Error::invalid(Error::unknown("modality", text, Self::ALL).message().to_owned()))
    }
}
