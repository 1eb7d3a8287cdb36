//! The record of one search, from which spans, metrics and experience are made.

use crate::{response::SearchResponse, route::Routed, routing::Decision};
use cogniverse_sdk::{
    ErrorCode, Generation, Modality, PathVerdict, ProfileName, RouteTier, SearchId, StrategyName, TenantId, Timestamp,
};
use serde::Serialize;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// The times of the stages of a search, in milliseconds; 0 for a stage that did not run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct StageTimes {
    /// Of deciding which profiles are searched.
    pub route_ms: f64,
    /// Of finding schemas, strategies and encoders.
    pub plan_ms: f64,
    /// Of encoding the query and asking the backend.
    pub retrieve_ms: f64,
    /// Of fusing, reranking and paging.
    pub arrange_ms: f64,
    /// Of writing a text.
    pub answer_ms: f64,
    /// Of everything, admission not included.
    pub total_ms: f64,
}

/// The routing of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RouteRecord {
    /// The kind of content.
    pub modality: Modality,
    /// The form of the answer.
    pub generation: Generation,
    /// The path that decided.
    pub tier: RouteTier,
    /// The confidence, from 0 to 1.
    pub confidence: f64,
    /// The fast path's confidence, also where another path decided; `None` where it is off.
    pub fast_confidence: Option<f64>,
}

/// The record of one search. It holds no text of users unless the tenant allows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SearchRecord {
    /// The id of the search.
    pub id: SearchId,
    /// The tenant.
    pub tenant: TenantId,
    /// The moment at which it began.
    pub at: Timestamp,
    /// The route; `None` where the request names its profiles, or the search failed before.
    pub route: Option<RouteRecord>,
    /// The profiles that were searched.
    pub profiles: Vec<ProfileName>,
    /// The strategy of each profile.
    pub strategies: Vec<StrategyName>,
    /// The times of its stages.
    pub times: StageTimes,
    /// Whether it is the first page.
    pub is_first_page: bool,
    /// The number of results on the page.
    pub results: usize,
    /// The number of segments that matched, over all profiles.
    pub matched: u64,
    /// Whether a lesser search replaced the requested one.
    pub degraded: bool,
    /// Whether the answer covers only part of the segments.
    pub partial: bool,
    /// Whether a text was written.
    pub answered: bool,
    /// The code of the error; `None` for a success.
    pub error: Option<ErrorCode>,
    /// The query, where the tenant allows its texts in telemetry.
    pub query: Option<String>,
    /// The verdicts of the paths besides the fast one that were asked.
    #[serde(skip)]
    pub(crate) paths: Vec<PathVerdict>,
    /// Whether the slow path was asked and did not answer.
    #[serde(skip)]
    pub(crate) slow_failed: bool,
}

impl SearchRecord {
    pub(crate) fn begin(id: SearchId, tenant: TenantId, at: Timestamp) -> Self {
        Self {
            id,
            tenant,
            at,
            route: None,
            profiles: Vec::new(),
            strategies: Vec::new(),
            times: StageTimes::default(),
            is_first_page: true,
            results: 0,
            matched: 0,
            degraded: false,
            partial: false,
            answered: false,
            error: None,
            query: None,
            paths: Vec::new(),
            slow_failed: false,
        }
    }

    /// Returns the kind of content that was asked for: a video where the request names its profiles.
    #[must_use]
    pub fn modality(&self) -> Modality {
        self.route.map_or(Modality::Video, |route| route.modality)
    }

    pub(crate) fn decided(&mut self, decision: &Decision) {
        self.route = Some(RouteRecord {
            modality: decision.verdict.modality,
            generation: decision.verdict.generation,
            tier: decision.verdict.tier,
            confidence: decision.verdict.confidence,
            fast_confidence: decision.fast_confidence,
        });
        self.paths.clone_from(&decision.paths);
        self.slow_failed = decision.slow_failed;
    }

    /// Takes over the profiles that a request names, or the route of the first page.
    pub(crate) fn pinned(&mut self, routed: &Routed) {
        self.profiles.clone_from(&routed.profiles);
        self.route = routed.route.as_ref().map(|route| RouteRecord {
            modality: route.modality,
            generation: route.generation,
            tier: route.tier,
            confidence: route.confidence,
            fast_confidence: None,
        });
    }

    pub(crate) fn answered(&mut self, response: &SearchResponse) {
        self.strategies = response.profiles.iter().map(|answer| answer.strategy.clone()).collect();
        self.results = response.results.len();
        self.matched = response.profiles.iter().map(|answer| answer.matched).sum();
        (self.degraded, self.partial) = (response.is_degraded(), response.is_partial());
        self.answered = response.answer.as_ref().is_some_and(|answer| !answer.statements.is_empty());
    }
}

/// A clock of stages: each lap is the time since the one before.
#[derive(Debug)]
pub(crate) struct Laps(Instant);

impl Laps {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn lap(&mut self) -> f64 {
        let now = Instant::now();
        milliseconds(now.duration_since(std::mem::replace(&mut self.0, now)))
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Told of every search of an agent once it has ended, whether it succeeded or not.
///
/// The call delays the search's answer: an observer that stores or sends anything does so in a task of its own.
pub trait SearchObserver: fmt::Debug + Send + Sync + 'static {
    /// Takes note of a search.
    fn observe(&self, record: &SearchRecord);
}
