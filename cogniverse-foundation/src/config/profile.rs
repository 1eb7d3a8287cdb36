//! How a kind of video content is cut, encoded and ranked.

use super::segmentation::Segmentation;
use super::versioned::Versioned;
use cogniverse_sdk::{EncoderInfo, Error, ProfileName, Result, SchemaName, StrategyName};

const MAX_DIMENSIONS: usize = 65_536;

/// How a kind of video content is cut, encoded and ranked: what a [`ProfileName`] names.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendProfile {
    /// The base schema of its documents. Required.
    pub schema: SchemaName,
    /// The name of a registered encoder; without one only text is searched (default none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// How a video is cut. Required.
    pub segmentation: Segmentation,
    /// The strategy of a search that names none; without one the agent picks it from the schema (default none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_strategy: Option<StrategyName>,
    /// Cells of a vector, checked against schema and encoder when the profile is loaded (default none: not checked here).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

impl BackendProfile {
    /// A profile that searches text only.
    #[must_use]
    pub fn new(schema: SchemaName, segmentation: Segmentation) -> Self {
        Self { schema, encoder: None, segmentation, default_strategy: None, dimensions: None }
    }

    /// Encodes by a registered encoder.
    #[must_use]
    pub fn with_encoder(mut self, encoder: impl Into<String>) -> Self {
        self.encoder = Some(encoder.into());
        self
    }

    /// Cut in another way.
    #[must_use]
    pub fn with_segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = segmentation;
        self
    }

    /// The strategy of a search that names none.
    #[must_use]
    pub fn with_default_strategy(mut self, strategy: StrategyName) -> Self {
        self.default_strategy = Some(strategy);
        self
    }

    /// Cells of a vector.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = Some(dimensions);
        self
    }

    /// Refuses an encoder of other dimensions than the profile names (invariant 17).
    ///
    /// # Errors
    /// `InvalidInput` that names both and the remedy.
    pub fn check_encoder(&self, encoder: &EncoderInfo) -> Result<()> {
        match self.dimensions {
            Some(dimensions) if dimensions != encoder.dims => Err(Error::invalid(format!(
                "the profile has vectors of {dimensions} cells and encoder {} makes {}; register the profile's encoder, or change dimensions",
                encoder.model, encoder.dims
            ))),
            _ => Ok(()),
        }
    }

    /// Checks every field.
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
        self.segmentation.validate()
    }
}

/// Who says what a profile is. A tenant's word goes before the system's, and that before the built-in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileLevel {
    /// This release.
    Builtin,
    /// Set for all tenants.
    System,
    /// Set for the tenant.
    Tenant,
}

/// A profile as it holds for a tenant.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ResolvedProfile {
    /// Its name.
    pub name: ProfileName,
    /// Who says so.
    pub level: ProfileLevel,
    /// What it is, and which version that is at its level; version 0 where it is built in.
    pub config: Versioned<BackendProfile>,
}
