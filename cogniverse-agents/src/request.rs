//! Search requests.

use crate::recall::MemoryOptions;
use cogniverse_core::text::Language;
use cogniverse_sdk::{
    Error, ErrorCode, FacetRequest, Filter, Matrix, PageCursor, Picture, ProfileName, Result, Sort, StrategyName,
    TenantId, TimeRange, VideoId, WordCondition,
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
    /// The language of the query (a code of ISO 639 such as `de`, or a tag such as `pt-BR`); `None` (the default) looks for its
    /// words in all languages of the segments.
    pub language: Option<String>,
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
    /// Conditions on the words of segments, all of which must hold (default: none).
    pub words: Vec<WordCondition>,
    /// Whether a query word that no segment has is replaced by similar ones that segments have (default `false`); the response says
    /// each replacement.
    pub typos: bool,
    /// The order of results by an attribute field, in place of the score (default: by score). It needs one profile, and segments.
    pub sort: Option<Sort>,
    /// The fields by which the matched segments are counted, such as `video_id` (default: none, at most 8).
    pub facets: Vec<FacetRequest>,
    /// The moment like which others are looked for, in place of a query (default: none). It needs one profile.
    pub like: Option<Like>,
    /// The picture to look for in place of query vectors (default: none). It needs one profile, whose encoder takes pictures.
    pub picture: Option<Picture>,
    /// Options to recall a user's memories beside the search (default: none). They do not change the results.
    pub memory: Option<MemoryOptions>,
}

/// A moment of a video, like which others are looked for.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Like {
    /// The video.
    pub video_id: VideoId,
    /// The time in seconds from the start of the video.
    pub seconds: f64,
}

impl Like {
    /// Creates a moment.
    #[must_use]
    pub fn new(video_id: VideoId, seconds: f64) -> Self {
        Self { video_id, seconds }
    }
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

    /// Creates a request for ten segments that look like a picture.
    #[must_use]
    pub fn by_picture(tenant: TenantId, profile: ProfileName, picture: Picture) -> Self {
        Self { picture: Some(picture), ..Self::new(tenant, profile, "") }
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
            language: None,
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
            words: Vec::new(),
            typos: false,
            sort: None,
            facets: Vec::new(),
            like: None,
            picture: None,
            memory: None,
        }
    }

    /// Creates a request for ten segments that are like a moment of a video, by their words and vectors.
    ///
    /// ```
    /// use cogniverse_agents::{Like, SearchRequest};
    /// use cogniverse_sdk::{ProfileName, TenantId, VideoId};
    ///
    /// let (tenant, profile) = (TenantId::parse("acme_corp")?, ProfileName::parse("video_text_minilm_mv_segment")?);
    /// let request = SearchRequest::like(tenant, profile, Like::new(VideoId::parse("lecture-42")?, 754.0));
    /// # Ok::<(), cogniverse_sdk::Error>(())
    /// ```
    #[must_use]
    pub fn like(tenant: TenantId, profile: ProfileName, moment: Like) -> Self {
        Self { like: Some(moment), ..Self::new(tenant, profile, "") }
    }

    /// Adds a profile to search.
    #[must_use]
    pub fn and_profile(mut self, profile: ProfileName) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Sets the language of the query.
    #[must_use]
    pub fn with_language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
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

    /// Takes a query apart as a person writes it: `"a phrase"`, `-without` and `prefix*` become conditions, and the rest stays the
    /// query. Without this call all of it is literal.
    #[must_use]
    pub fn with_operators(mut self) -> Self {
        let parsed = cogniverse_sdk::query_words::parse(&self.query);
        self.query = parsed.text;
        self.words.extend(parsed.conditions);
        self
    }

    /// Adds a condition on the words of segments.
    #[must_use]
    pub fn with_words(mut self, condition: WordCondition) -> Self {
        self.words.push(condition);
        self
    }

    /// Replaces query words that no segment has by similar ones.
    #[must_use]
    pub fn with_typos(mut self) -> Self {
        self.typos = true;
        self
    }

    /// Orders the results by a field.
    #[must_use]
    pub fn sorted_by(mut self, sort: Sort) -> Self {
        self.sort = Some(sort);
        self
    }

    /// Counts the matched segments by a field.
    #[must_use]
    pub fn with_facet(mut self, facet: FacetRequest) -> Self {
        self.facets.push(facet);
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
        let of_one =
            [("sort", self.sort.is_some()), ("like", self.like.is_some()), ("a picture", self.picture.is_some())];
        if let Some((what, _)) = of_one.iter().find(|(_, asked)| *asked && self.profiles.len() != 1) {
            return Err(Error::invalid(format!("{what} needs exactly one profile; name it")));
        }
        if self.sort.is_some() && (self.grouping != Grouping::Segments || self.reranker.is_some()) {
            return Err(Error::invalid("an order by a field is of segments that nobody reranks; ask for one of them"));
        }
        if self.picture.is_some() && (self.like.is_some() || self.query_vectors.is_some()) {
            return Err(Error::invalid("a picture makes the query vectors; give no others with it"));
        }
        if let Some(like) = &self.like {
            if !self.query.is_empty() || self.query_vectors.is_some() {
                return Err(Error::invalid("a moment is the query; give no other with it"));
            }
            if !(like.seconds.is_finite() && like.seconds >= 0.0) {
                return Err(Error::invalid(format!(
                    "{} is no time in a video; give seconds from its start",
                    like.seconds
                )));
            }
        }
        if let Some(language) = &self.language {
            Language::parse(language)?;
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
