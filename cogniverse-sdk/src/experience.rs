//! Experiences of a tenant's routed searches, from which routing learns.

use crate::{
    Generation, Modality, ProfileName, Result, RouteTier, SearchId, StrategyName, TenantId, Timestamp,
    telemetry_provider::{AnnotatorKind, SpanId},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The largest number of experiences that are kept of a tenant; beyond it the oldest go.
pub const MAX_EXPERIENCES: usize = 5000;

/// The experience of one search: the decision about it, its outcome, and judgements. It holds no text of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Experience {
    /// The id of the search.
    pub id: SearchId,
    /// The moment of the search.
    pub at: Timestamp,
    /// The kind of content that was decided on.
    pub modality: Modality,
    /// The form of the answer that was decided on.
    pub generation: Generation,
    /// The path that decided.
    pub tier: RouteTier,
    /// Its confidence, from 0 to 1.
    pub confidence: f64,
    /// The evidence of the fast path, from which another decision of it can be computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<FastEvidence>,
    /// The verdicts of the other paths that were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathVerdict>,
    /// Whether the slow path was asked and did not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slow_failed: bool,
    /// The profiles that were searched, with the strategy of each.
    pub profiles: BTreeMap<ProfileName, StrategyName>,
    /// The number of results on the first page.
    pub results: u64,
    /// Whether the search failed.
    pub failed: bool,
    /// The time of the whole search, in milliseconds.
    pub took_ms: f64,
    /// The time of the routing in it, in milliseconds.
    pub route_ms: f64,
    /// The span of the search in the trace store, once it was seen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanId>,
    /// The feedback of users.
    #[serde(default)]
    pub feedback: FeedbackCounts,
    /// The judgement of the route by a person or a judge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotation: Option<RouteAnnotation>,
    /// The number of times that a judge was asked and gave no judgement.
    #[serde(default)]
    pub judge_failures: u32,
    /// The word of a check of isolation; such an experience is not a search's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

/// The verdict of one path on a query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PathVerdict {
    /// The path.
    pub tier: RouteTier,
    /// The kind of content.
    pub modality: Modality,
    /// The form of the answer.
    pub generation: Generation,
    /// The confidence, from 0 to 1.
    pub confidence: f64,
}

impl PathVerdict {
    /// Creates the verdict of a path.
    #[must_use]
    pub fn new(tier: RouteTier, modality: Modality, generation: Generation, confidence: f64) -> Self {
        Self { tier, modality, generation, confidence }
    }
}

/// The evidence of the fast path for a query: its scores without corrections, and the features that a correction may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FastEvidence {
    /// The version of the classifier.
    pub classifier: u32,
    /// The score of each label.
    pub scores: Vec<f32>,
    /// The feature numbers with their amounts.
    pub features: Vec<(u32, f32)>,
}

impl FastEvidence {
    /// Creates evidence of a version of the classifier.
    #[must_use]
    pub fn new(classifier: u32, scores: Vec<f32>, features: Vec<(u32, f32)>) -> Self {
        Self { classifier, scores, features }
    }
}

impl Experience {
    /// Creates the experience of a search that was routed so.
    #[must_use]
    pub fn new(id: SearchId, at: Timestamp, (modality, generation): (Modality, Generation), tier: RouteTier) -> Self {
        Self {
            id,
            at,
            modality,
            generation,
            tier,
            confidence: 0.0,
            fast: None,
            paths: Vec::new(),
            slow_failed: false,
            profiles: BTreeMap::new(),
            results: 0,
            failed: false,
            took_ms: 0.0,
            route_ms: 0.0,
            span: None,
            feedback: FeedbackCounts::default(),
            annotation: None,
            judge_failures: 0,
            canary: None,
        }
    }

    /// Adds what was learned of it later. A person's annotation is replaced by a newer one of a person only.
    pub fn note(&mut self, note: &ExperienceNote) {
        match note {
            ExperienceNote::Span(span) => self.span = Some(span.clone()),
            ExperienceNote::SpanGone => self.span = None,
            ExperienceNote::JudgeFailed => self.judge_failures = self.judge_failures.saturating_add(1),
            ExperienceNote::Feedback(feedback, profile) => {
                // A profile that was not searched has found nothing.
                let profile = profile.as_ref().filter(|profile| self.profiles.contains_key(*profile));
                self.feedback.add(*feedback, profile);
            }
            ExperienceNote::Annotation(new) => {
                let rank = |of: &RouteAnnotation| (of.annotator == AnnotatorKind::Human, of.at);
                if self.annotation.as_ref().is_none_or(|known| rank(known) <= rank(new)) {
                    self.annotation = Some(new.clone());
                }
            }
        }
    }
}

/// The reaction of a user to the results of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feedback {
    /// The user watched a result.
    Watched,
    /// The user said that a result was useful.
    Useful,
    /// The user said that a result was not useful.
    NotUseful,
    /// The user left the results without watching any.
    Skipped,
    /// The user asked again in other words.
    AskedAgain,
}

impl Feedback {
    /// Returns whether the user was content.
    #[must_use]
    pub fn is_positive(self) -> bool {
        matches!(self, Self::Watched | Self::Useful)
    }
}

/// The counted reactions of users to the results of a search.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FeedbackCounts {
    /// The number of times that a user was content.
    #[serde(default)]
    pub positive: u32,
    /// The number of times that a user was not.
    #[serde(default)]
    pub negative: u32,
    /// The profiles of the results with which a user was content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<ProfileName, u32>,
}

impl FeedbackCounts {
    fn add(&mut self, feedback: Feedback, profile: Option<&ProfileName>) {
        if !feedback.is_positive() {
            self.negative = self.negative.saturating_add(1);
            return;
        }
        self.positive = self.positive.saturating_add(1);
        if let Some(profile) = profile {
            let count = self.profiles.entry(profile.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// Returns the share of content users, from 0 to 1; `None` without any reaction.
    #[must_use]
    pub fn satisfaction(&self) -> Option<f64> {
        let all = f64::from(self.positive) + f64::from(self.negative);
        (all > 0.0).then(|| f64::from(self.positive) / all)
    }
}

/// A judgement of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RouteLabel {
    /// The query was routed as it should be.
    CorrectRouting,
    /// It was not.
    WrongRouting,
    /// The query can be read in several ways.
    Ambiguous,
    /// The annotator cannot tell.
    InsufficientInfo,
}

impl RouteLabel {
    /// Every label.
    pub const ALL: [Self; 4] = [Self::CorrectRouting, Self::WrongRouting, Self::Ambiguous, Self::InsufficientInfo];

    /// Returns the stored form, such as `"correct_routing"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CorrectRouting => "correct_routing",
            Self::WrongRouting => "wrong_routing",
            Self::Ambiguous => "ambiguous",
            Self::InsufficientInfo => "insufficient_info",
        }
    }
}

impl std::str::FromStr for RouteLabel {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|label| label.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str);
            crate::Error::invalid(crate::Error::unknown("label of a route", text, known).message().to_owned())
        })
    }
}

/// A judgement of a route, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RouteAnnotation {
    /// The judgement.
    pub label: RouteLabel,
    /// The kind of content that would have been right, where the annotator says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggested: Option<Modality>,
    /// The kind of annotator.
    pub annotator: AnnotatorKind,
    /// The moment of the judgement.
    pub at: Timestamp,
}

impl RouteAnnotation {
    /// Creates a judgement.
    #[must_use]
    pub fn new(label: RouteLabel, annotator: AnnotatorKind, at: Timestamp) -> Self {
        Self { label, suggested: None, annotator, at }
    }

    /// Sets the kind of content that would have been right.
    #[must_use]
    pub fn with_suggested(mut self, modality: Option<Modality>) -> Self {
        // Of routes, plain text is a document.
        self.suggested = modality.map(|kind| if kind == Modality::Text { Modality::Document } else { kind });
        self
    }
}

/// An addition to an experience after the search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ExperienceNote {
    /// Its span was seen in the trace store.
    Span(SpanId),
    /// Its span is not in the trace store any more.
    SpanGone,
    /// A judge was asked and gave no judgement.
    JudgeFailed,
    /// A user did something with its results; the profile of the result, where it is one.
    Feedback(Feedback, Option<ProfileName>),
    /// Somebody judged its route.
    Annotation(RouteAnnotation),
}

/// One page of experiences.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ExperiencePage {
    /// The experiences, oldest first.
    pub experiences: Vec<Experience>,
    /// The place from which the next page goes on; `None` at the end.
    pub next: Option<u64>,
}

impl ExperiencePage {
    /// Creates a page; for implementations.
    #[must_use]
    pub fn new(experiences: Vec<Experience>, next: Option<u64>) -> Self {
        Self { experiences, next }
    }
}

/// A store of the experiences of tenants, and of the state of what learns from them.
///
/// # Contract
/// - An experience is stored once, however often it is put; putting it again changes nothing.
/// - After an erasure, what belongs to the erased generation of the tenant or an earlier one is not stored any more, also
///   where it is on its way: `put` drops it, and `replace_state` is `None`.
/// - A note is added at one moment: two at once are both there. A note on an experience that the tenant does not have is
///   `false`, also where another tenant has it.
/// - At most [`MAX_EXPERIENCES`] are kept of a tenant: those that were stored last.
/// - The pages of a listing hold each experience once, in the order in which they were stored.
/// - `replace_state` is compare-and-set over processes; versions never repeat, also not after an erasure.
///
/// # Errors
/// `Unavailable` where the store cannot be read or written, which is never "nothing learned".
#[async_trait]
pub trait ExperienceStore: fmt::Debug + Send + Sync + 'static {
    /// Stores experiences of a generation of a tenant.
    async fn put(&self, tenant: &TenantId, generation: u64, experiences: Vec<Experience>) -> Result<()>;

    /// Adds a note to an experience, and returns whether the tenant has it.
    async fn note(&self, tenant: &TenantId, id: &SearchId, note: ExperienceNote) -> Result<bool>;

    /// Returns one page of at most `limit` experiences after a place.
    async fn page(&self, tenant: &TenantId, after: Option<u64>, limit: usize) -> Result<ExperiencePage>;

    /// Returns one experience.
    async fn get(&self, tenant: &TenantId, id: &SearchId) -> Result<Option<Experience>>;

    /// Removes one experience, and returns whether it was there.
    async fn remove(&self, tenant: &TenantId, id: &SearchId) -> Result<bool>;

    /// Returns the number of experiences of a tenant.
    async fn count(&self, tenant: &TenantId) -> Result<u64>;

    /// Returns the state of what learns from a tenant's experiences, with its version.
    async fn state(&self, tenant: &TenantId) -> Result<Option<(serde_json::Value, u64)>>;

    /// Replaces the state and returns its new version; `None` where the stored version is another one than `expected`,
    /// whose `None` stands for a state that was never stored.
    async fn replace_state(
        &self,
        tenant: &TenantId,
        generation: u64,
        expected: Option<u64>,
        state: &serde_json::Value,
    ) -> Result<Option<u64>>;

    /// Removes everything of a tenant, of whatever generation, remembers the erased one, and returns the number of
    /// experiences and states.
    async fn erase_tenant(&self, tenant: &TenantId, generation: u64) -> Result<u64>;
}

const _: fn(&dyn ExperienceStore) = |_| {};
