//! Video profiles.

use super::segmentation::Segmentation;
use super::versioned::Versioned;
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorCode, MetadataName, MetadataType, Modality, ProfileName, Result, SchemaName, StrategyName,
    metadata::MAX_FIELDS,
};
use std::collections::BTreeMap;

const MAX_DIMENSIONS: usize = 65_536;

/// The configuration of a [`ProfileName`]: how a kind of video content is segmented, encoded and ranked.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BackendProfile {
    /// The base schema of the profile's documents. Required.
    pub schema: SchemaName,
    /// The name of a registered encoder; `None` (the default) restricts the profile to text search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// The segmentation of videos. Required.
    pub segmentation: Segmentation,
    /// The strategy of a search that names none; `None` (the default) lets the agent choose one that the schema
    /// has: words and vectors fused where there is an encoder, else words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_strategy: Option<StrategyName>,
    /// The number of dimensions of a vector, checked against schema and encoder when the profile is loaded; `None`
    /// (the default) skips the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// The kinds of content that searches are routed to this profile for, the main one first; empty (the default) for
    /// those that its segmentation suggests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<Modality>,
    /// The metadata that videos of the profile may have, by name, at most 32 (default: none). Deploying the profile makes
    /// attributes of them, which searches filter, sort and count by. Profiles of one schema agree on the types.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<MetadataName, MetadataType>,
    /// The language of the videos (a code of ISO 639 such as `de`, or a tag such as `pt-BR`), where a request to ingest names
    /// none; `None` (the default) takes that of each transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl BackendProfile {
    /// Creates a profile for text search only.
    #[must_use]
    pub fn new(schema: SchemaName, segmentation: Segmentation) -> Self {
        Self {
            schema,
            encoder: None,
            segmentation,
            default_strategy: None,
            dimensions: None,
            modalities: Vec::new(),
            metadata: BTreeMap::new(),
            language: None,
        }
    }

    /// Sets the name of the registered encoder to use.
    #[must_use]
    pub fn with_encoder(mut self, encoder: impl Into<String>) -> Self {
        self.encoder = Some(encoder.into());
        self
    }

    /// Sets the segmentation.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = segmentation;
        self
    }

    /// Sets the strategy of a search that names none.
    #[must_use]
    pub fn with_default_strategy(mut self, strategy: StrategyName) -> Self {
        self.default_strategy = Some(strategy);
        self
    }

    /// Sets the number of dimensions of a vector.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Sets the kinds of content that searches are routed to this profile for, the main one first.
    #[must_use]
    pub fn with_modalities(mut self, modalities: impl IntoIterator<Item = Modality>) -> Self {
        self.modalities = modalities.into_iter().collect();
        self
    }

    /// Declares a metadata field of videos.
    #[must_use]
    pub fn with_metadata(mut self, name: MetadataName, kind: MetadataType) -> Self {
        self.metadata.insert(name, kind);
        self
    }

    /// Sets the language of the videos.
    #[must_use]
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// Returns the kinds of content that searches are routed to this profile for, the main one first.
    #[must_use]
    pub fn routed_for(&self) -> &[Modality] {
        match &self.segmentation {
            _ if !self.modalities.is_empty() => &self.modalities,
            Segmentation::Chunks { .. } | Segmentation::Shots { .. } => &[Modality::Video, Modality::Audio],
            // A frame is a picture, and a picture of a slide is a page.
            _ => &[Modality::Video, Modality::Image, Modality::Document],
        }
    }

    /// Refuses an encoder whose dimensions differ from the profile's ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
    ///
    /// # Errors
    /// `InvalidInput` that names both dimensions and the remedy.
    pub fn check_encoder(&self, encoder: &EncoderInfo) -> Result<()> {
        match self.dimensions {
            Some(dimensions) if dimensions != encoder.dims => Err(Error::of(
                ErrorCode::EncoderMismatch,
                format!(
                    "the profile has vectors of {dimensions} cells and encoder {} makes {}; register the profile's encoder, or change dimensions",
                    encoder.model, encoder.dims
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Validates every field.
    ///
    /// # Errors
    /// `InvalidInput` that names the field, the value and the remedy.
    pub fn validate(&self) -> Result<()> {
        if self.encoder.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(Error::invalid("encoder is an empty name; name a registered encoder or leave it out"));
        }
        if let Some(dimensions) = self.dimensions.filter(|dims| !(1..=MAX_DIMENSIONS).contains(dims)) {
            return Err(Error::invalid(format!("dimensions is {dimensions}; give 1 to {MAX_DIMENSIONS}")));
        }
        if self.metadata.len() > MAX_FIELDS {
            return Err(Error::invalid(format!(
                "the profile declares {} metadata fields; declare at most {MAX_FIELDS}",
                self.metadata.len()
            )));
        }
        if let Some(language) = self.language.as_ref().filter(|language| !is_language(language)) {
            return Err(Error::invalid(format!(
                "language is \"{language}\"; give a code of ISO 639 such as \"de\", or a tag such as \"pt-BR\""
            )));
        }
        self.segmentation.validate()
    }
}

/// Returns whether a text is a code of two or three letters, with subtags or without.
fn is_language(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    let is_code = |code: &str| (2..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    parts.next().is_some_and(is_code)
        && parts.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The level that defines a profile. A tenant's definition overrides the system's, which overrides the built-in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileLevel {
    /// Built into this release.
    Builtin,
    /// Set for all tenants.
    System,
    /// Set for one tenant.
    Tenant,
}

/// The profile that applies to a tenant.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ResolvedProfile {
    /// The name.
    pub name: ProfileName,
    /// The level that defines it.
    pub level: ProfileLevel,
    /// The profile and its version at that level; version 0 for a built-in one.
    pub config: Versioned<BackendProfile>,
}
