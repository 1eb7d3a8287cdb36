//! Search requests.

use crate::recall::MemoryOptions;
use cogniverse_sdk::{
    Error, ErrorCode, Filter, Matrix, PageCursor, ProfileName, Result, StrategyName, TenantId, TimeRange,
};
use std::time::Duration;

/// The largest number of results in a page.
pub const MAX_TOP_K: usize = 1000;
/// The largest number of profiles in one search.
pub const MAX_PROFILES: usize = 16;
/// The longest query in bytes, far beyond what a person writes.
pub const MAX_QUERY: usize = 16_384;

/// A request to search one tenant's videos.
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
    /// The tenant to search.
    pub tenant: TenantId,
    /// The profiles to search; the results of several are fused by reciprocal rank. Without any, the query is routed among
    /// the tenant's deployed profiles, and the response says to which and why.
    pub profiles: Vec<ProfileName>,
    /// The query text, required where a strategy ranks by words or an encoder makes the query vectors.
    pub query: String,
    /// The number of results per page (default 10, at most 1,000).
    pub top_k: usize,
    /// The strategy; `None` uses each profile's default.
    pub strategy: Option<StrategyName>,
    /// A filter on the segments.
    pub filter: Option<Filter>,
    /// The time range that segments must overlap.
    pub time_range: Option<TimeRange>,
    /// The unit of results (default: segments).
    pub grouping: Grouping,
    /// The cursor of the page to return; `None` for the first.
    pub cursor: Option<PageCursor>,
    /// Query vectors to use instead of an encoder.
    pub query_vectors: Option<Matrix<f32>>,
    /// Whether a text search may replace an encoder that fails (default `false`: the search fails).
    pub allow_degraded: bool,
    /// The timeout; `None` uses the strategy's own.
    pub timeout: Option<Duration>,
    /// The reranker (default: the tenant's, which has none by default). The first 100 results are scored anew; of several
    /// profiles and of moments there are the best 500 of each profile.
    pub reranker: Option<String>,
    /// Whether a text is made from the results (default: where the query is routed and asks for one).
    pub answer: AnswerMode,
    /// Options to recall a user's memories beside the search (default: none). They do not change the results.
    pub memory: Option<MemoryOptions>,
}

/// Whether a text is made from the results of a search, by the tenant's language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerMode {
    /// As the route of the query says; none where the request names its profiles.
    #[default]
    Routed,
    /// No text.
    Off,
    /// A short text.
    Summary,
    /// A long text.
    Report,
}

/// The unit of search results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grouping {
    /// Segments, as they are stored.
    #[default]
    Segments,
    /// Moments: overlapping and adjacent segments of one video, merged. Made of the best 500 segments of each
    /// profile.
    Moments,
}

impl SearchRequest {
    /// Creates a request for ten segments of one profile.
    #[must_use]
    pub fn new(tenant: TenantId, profile: ProfileName, query: impl Into<String>) -> Self {
        Self { profiles: vec![profile], ..Self::routed(tenant, query) }
    }

    /// Creates a request for ten segments that is routed: the query decides which of the tenant's deployed profiles are
    /// searched, and whether a text is made from what they find.
    ///
    /// ```
    /// use cogniverse_agents::SearchRequest;
    /// use cogniverse_sdk::TenantId;
    ///
    /// let request = SearchRequest::routed(TenantId::parse("acme_corp")?, "summarize the talks on machine learning");
    /// assert!(request.profiles.is_empty());
    /// # Ok::<(), cogniverse_sdk::Error>(())
    /// ```
    #[must_use]
    pub fn routed(tenant: TenantId, query: impl Into<String>) -> Self {
        Self {
            tenant,
            profiles: Vec::new(),
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
            reranker: None,
            answer: AnswerMode::default(),
            memory: None,
        }
    }

    /// Adds a profile to search.
    #[must_use]
    pub fn and_profile(mut self, profile: ProfileName) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Sets the number of results per page.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Sets the strategy.
    #[must_use]
    pub fn with_strategy(mut self, strategy: StrategyName) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets the filter on the segments.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Sets the time range that segments must overlap.
    #[must_use]
    pub fn with_time_range(mut self, range: TimeRange) -> Self {
        self.time_range = Some(range);
        self
    }

    /// Sets the unit of results.
    #[must_use]
    pub fn grouped_by(mut self, grouping: Grouping) -> Self {
        self.grouping = grouping;
        self
    }

    /// Sets the cursor of the page to return.
    #[must_use]
    pub fn with_cursor(mut self, cursor: PageCursor) -> Self {
        self.cursor = Some(cursor);
        self
    }

    /// Sets query vectors to use instead of an encoder.
    #[must_use]
    pub fn with_query_vectors(mut self, vectors: Matrix<f32>) -> Self {
        self.query_vectors = Some(vectors);
        self
    }

    /// Allows a text search to replace an encoder that fails; the response says so.
    #[must_use]
    pub fn allowing_degraded(mut self) -> Self {
        self.allow_degraded = true;
        self
    }

    /// Sets the timeout.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the reranker: `signals`, `language_model`, `none`, or one that the service registered.
    #[must_use]
    pub fn with_reranker(mut self, name: impl Into<String>) -> Self {
        self.reranker = Some(name.into());
        self
    }

    /// Sets whether a text is made from the results.
    #[must_use]
    pub fn with_answer(mut self, answer: AnswerMode) -> Self {
        self.answer = answer;
        self
    }

    /// Recalls a user's memories for this query; the response lists them.
    #[must_use]
    pub fn with_memory(mut self, options: MemoryOptions) -> Self {
        self.memory = Some(options);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.top_k == 0 || self.top_k > MAX_TOP_K {
            let message = format!("top_k is {}; give 1 to {MAX_TOP_K} and follow the page cursor", self.top_k);
            return Err(Error::invalid(message).with_public_message("The number of results asked for is out of range."));
        }
        if self.query.len() > MAX_QUERY {
            let message = format!("the query is {} bytes long; give at most {MAX_QUERY}", self.query.len());
            return Err(Error::of(ErrorCode::TextTooLong, message));
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
