//! Decisions about queries.

use cogniverse_sdk::{Generation, Modality, PathVerdict, ProfileName, RouteTier};
use serde::{Deserialize, Serialize};

/// The route of a query: what it asks for, and where it is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Route {
    /// The kind of content that the query asks for.
    pub modality: Modality,
    /// The form of the answer that it asks for.
    pub generation: Generation,
    /// The profiles to search, in the order of their names.
    pub profiles: Vec<ProfileName>,
    /// The confidence in modality and generation, from 0 to 1.
    pub confidence: f64,
    /// The path that decided.
    pub tier: RouteTier,
    /// The reason, for people.
    pub reason: String,
    /// The time that the decision took, in milliseconds; near 0 where it was cached.
    pub took_ms: f64,
    /// The tenant's deployed profiles that would fit and cannot be searched here, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A profile that a route leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// The profile.
    pub profile: ProfileName,
    /// The reason.
    pub reason: String,
}

/// A decision of one path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) modality: Modality,
    pub(crate) generation: Generation,
    pub(crate) confidence: f64,
    pub(crate) tier: RouteTier,
    pub(crate) reason: String,
}

/// Returns a verdict in the form in which it is kept, without its reason, which may hold words of the query.
pub(crate) fn as_path(verdict: &Verdict) -> PathVerdict {
    PathVerdict::new(verdict.tier, verdict.modality, verdict.generation, verdict.confidence)
}

/// Returns the verdict of a path as it was kept.
pub(crate) fn of_path(path: &PathVerdict) -> Verdict {
    let PathVerdict { tier, modality, generation, confidence, .. } = *path;
    Verdict { modality, generation, confidence, tier, reason: String::new() }
}
