//! What a search asks.

use crate::{cursor::PageCursor, recall::MemoryOptions};
use cogniverse_sdk::{Error, Filter, Matrix, ProfileName, Result, StrategyName, TenantId, TimeRange};
use std::time::Duration;

/// The most results a page may have.
pub const MAX_TOP_K: usize = 1000;
/// The most profiles one search may ask.
pub const MAX_PROFILES: usize = 16;
/// The longest query, in bytes: far beyond what a person writes.
pub const MAX_QUERY: usize = 16_384;

/// A search of one tenant's videos.
///
/// ```
/// use cogniverse_agents::SearchRequest;
/// use cogniverse_sdk::{ProfileName, TenantId};
///
/// let tenant = TenantId::parse("acme_corp")?;
/// let profile = ProfileName::parse("video_text_minilm_mv_segment")?;
/// let request = SearchRequest::new(tenant, profile, "machine learning").with_top_k(5);
/// # Ok::<(), cogniverse_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SearchRequest {
    /// Whose videos.
    pub tenant: TenantId,
    /// In which profiles; several are fused by reciprocal rank.
    pub profiles: Vec<ProfileName>,
    /// The user's words.
    pub query: String,
    /// Results a page (default 10, at most 1,000).
    pub top_k: usize,
    /// How to rank; none for each profile's default.
    pub strategy: Option<StrategyName>,
    /// Only segments that meet it.
    pub filter: Option<Filter>,
    /// Only segments that overlap it.
    pub time_range: Option<TimeRange>,
    /// What a result is (default: a segment).
    pub grouping: Grouping,
    /// Where the page before ended.
    pub cursor: Option<PageCursor>,
    /// The query's vectors, where the caller has them; no encoder is asked then.
    pub query_vectors: Option<Matrix<f32>>,
    /// Whether a search by words may stand in for an encoder that fails (default: no, it is an error).
    pub allow_degraded: bool,
    /// Time to give up after; none: the strategy's own.
    pub timeout: Option<Duration>,
    /// What to recall of a user beside the search (default: nothing). It does not change what is found.
    pub memory: Option<MemoryOptions>,
}

/// What a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Grouping {
    /// A segment, as it is stored.
    #[default]
    Segments,
    /// Overlapping and adjacent segments of one video, merged: what a person wants to watch. Made of the best 500
    /// segments of each profile.
    Moments,
}

/// What to do with a hit that another tenant's schema answered (invariant 5). It is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LeakPolicy {
    /// Fail the search.
    #[default]
    Fail,
    /// Drop the hit, count it and log it.
    Drop,
}

impl SearchRequest {
    /// Ten segments of one profile.
    #[must_use]
    pub fn new(tenant: TenantId, profile: ProfileName, query: impl Into<String>) -> Self {
        Self {
            tenant,
            profiles: vec![profile],
            query: query.into(),
            top_k: 10,
            strategy: None,
            filter: None,
            time_range: None,
            grouping: Grouping::default(),
            cursor: None,
            query_vectors: None,
            allow_degraded: false,
            timeout: None,
            memory: None,
        }
    }

    /// Asks another profile too.
    #[must_use]
    pub fn and_profile(mut self, profile: ProfileName) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Another number of results a page.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Another way to rank.
    #[must_use]
    pub fn with_strategy(mut self, strategy: StrategyName) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Only segments that meet the condition.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Only segments that overlap a stretch of their video.
    #[must_use]
    pub fn with_time_range(mut self, range: TimeRange) -> Self {
        self.time_range = Some(range);
        self
    }

    /// What a result is.
    #[must_use]
    pub fn grouped_by(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// The page after another.
    #[must_use]
    pub fn with_cursor(mut self, cursor: PageCursor) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// Vectors in place of an encoder.
    #[must_use]
    pub fn with_query_vectors(mut self, vectors: Matrix<f32>) -> Self {
        self.query_vectors = Some(vectors);
        self
    }

    /// Lets a search by words stand in for an encoder that fails; the answer says so.
    #[must_use]
    pub fn allowing_degraded(mut self) -> Self {
        self.allow_degraded = true;
        self
    }

    /// Time to give up after.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Recalls what is remembered of a user for this query; the answer says what.
    #[must_use]
    pub fn with_memory(mut self, options: MemoryOptions) -> Self {
        self.memory = Some(options);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.top_k == 0 || self.top_k > MAX_TOP_K {
            return Err(Error::invalid(format!(
                "top_k is {}; give 1 to {MAX_TOP_K} and follow the page cursor",
                self.top_k
            )));
        }
        if self.query.len() > MAX_QUERY {
            return Err(Error::invalid(format!(
                "the query is {} bytes long; give at most {MAX_QUERY}",
                self.query.len()
            )));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = self.profiles.iter().find(|profile| !seen.insert(*profile)) {
            return Err(Error::invalid(format!("profile \"{twice}\" is asked twice")));
        }
        if self.profiles.len() > MAX_PROFILES {
            return Err(Error::invalid(format!(
                "{} profiles are asked; ask at most {MAX_PROFILES}",
                self.profiles.len()
            )));
        }
        Ok(())
    }
}
