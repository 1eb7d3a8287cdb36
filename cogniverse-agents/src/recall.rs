//! Recall of users' memories beside a search, and verdicts on results.

use cogniverse_core::{
    memory::{MemoryManager, MemoryQuery, MemoryReport, MemoryService, Remember},
    tenants::TenantGrant,
};
use cogniverse_sdk::{
    AgentId, Error, ErrorCode, Feedback, MemoryId, MemoryReach, MemoryScope, ProfileName, Result, SearchId, SessionId,
    TenantId, TimeRange, UserId,
};
use std::time::Duration;

/// The agent id under which these memories are stored.
pub const AGENT: &str = "video_search";
/// The default number of memories to recall.
const RECALLED: usize = 5;
/// The longest a recall may delay a search.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Options for recalling a user's memories beside a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// The user.
    pub user: UserId,
    /// The session to recall from; `None` for all sessions and memories without one.
    pub session: Option<SessionId>,
    /// The largest number of memories (default 5; from 1 to 100).
    pub top_k: usize,
    /// The smallest cosine (default 0.25).
    pub threshold: f64,
}

impl MemoryOptions {
    /// Recalls memories of a user in any session.
    #[must_use]
    pub fn of_user(user: UserId) -> Self {
        Self { user, session: None, top_k: RECALLED, threshold: 0.25 }
    }

    /// Restricts the recall to one session.
    #[must_use]
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Sets the largest number of memories.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Sets the smallest cosine.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }
}

/// The memories recalled beside a search. They are informative and change no result.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Recall {
    /// The memories, best first.
    pub memories: Vec<Recalled>,
    /// The reason why nothing, or not everything, could be recalled; `None` for a complete recall.
    pub problem: Option<String>,
}

/// A recalled memory.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Recalled {
    /// The id.
    pub id: MemoryId,
    /// The text.
    pub text: String,
    /// The score, from 0 to 1.
    pub score: f64,
}

/// A user's verdict on a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The user watched the video.
    Watched,
    /// The result was useful.
    Useful,
    /// The result was not useful.
    NotUseful,
    /// The user left the results without watching any.
    Skipped,
    /// The user asked again in other words.
    AskedAgain,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Watched => "was watched",
            Self::Useful => "was useful",
            Self::NotUseful => "was not useful",
            Self::Skipped => "was skipped",
            Self::AskedAgain => "was not what was asked for",
        }
    }

    /// Returns the verdict as routing learns from it.
    pub(crate) fn feedback(self) -> Feedback {
        match self {
            Self::Watched => Feedback::Watched,
            Self::Useful => Feedback::Useful,
            Self::NotUseful => Feedback::NotUseful,
            Self::Skipped => Feedback::Skipped,
            Self::AskedAgain => Feedback::AskedAgain,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Useful => "useful",
            Self::NotUseful => "not_useful",
            Self::Skipped => "skipped",
            Self::AskedAgain => "asked_again",
        }
    }
}

/// A user's verdict on one result of a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The tenant of the search.
    pub tenant: TenantId,
    /// The user who searched.
    pub user: UserId,
    /// The session, if there is one.
    pub session: Option<SessionId>,
    /// The query text.
    pub query: String,
    /// The video of the result.
    pub video_id: String,
    /// The time range of the result, if it has one.
    pub time: Option<TimeRange>,
    /// The verdict.
    pub verdict: Verdict,
    /// The search, by which routing learns from the verdict.
    pub search: Option<SearchId>,
    /// The profile of the result.
    pub profile: Option<ProfileName>,
}

/// The report of a recorded verdict.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct OutcomeReport {
    /// The report of its memory; `None` where the agent has no memory service.
    pub memory: Option<MemoryReport>,
    /// Whether it was added to the experience of its search.
    pub learned: bool,
}

impl Outcome {
    /// Creates a verdict on a video that a query found.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        user: UserId,
        query: impl Into<String>,
        video_id: impl Into<String>,
        verdict: Verdict,
    ) -> Self {
        let (query, video_id) = (query.into(), video_id.into());
        Self { tenant, user, session: None, query, video_id, time: None, verdict, search: None, profile: None }
    }

    /// Sets the session.
    #[must_use]
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Names the search, so that routing learns from the verdict, and the profile of the result.
    #[must_use]
    pub fn of_search(mut self, search: SearchId, profile: Option<ProfileName>) -> Self {
        (self.search, self.profile) = (Some(search), profile);
        self
    }

    /// Sets the time range within the video.
    #[must_use]
    pub fn at(mut self, time: TimeRange) -> Self {
        self.time = Some(time);
        self
    }

    fn text(&self) -> String {
        let stretch = self.time.map(|time| format!(" from {} s to {} s", time.start(), time.end()));
        let stretch = stretch.unwrap_or_default();
        format!("For \"{}\" the video {}{stretch} {}.", self.query.trim(), self.video_id, self.verdict.words())
    }
}

fn agent() -> Result<AgentId> {
    Ok(AgentId::parse(AGENT)?)
}

fn absent() -> Error {
    Error::of(ErrorCode::TextEmbedderMissing, "this agent has no memory; give the builder a text_embedder")
}

/// Never an error: a search does not fail because a memory does.
pub(crate) async fn recall(
    memory: Option<&MemoryService>,
    grant: &TenantGrant,
    query: &str,
    options: &MemoryOptions,
) -> Recall {
    let limit = grant.time_left().map_or(TIMEOUT, |left| left.min(TIMEOUT));
    let recalled = tokio::time::timeout(limit, find(memory, grant, query, options)).await;
    let problem = match recalled {
        Ok(Ok(recall)) => return recall,
        Ok(Err(error)) => error.chain(),
        Err(_) => format!("recalling took longer than {limit:?}"),
    };
    tracing::warn!(tenant.id = %grant.tenant(), "nothing is recalled: {problem}");
    Recall { memories: Vec::new(), problem: Some(problem) }
}

async fn find(
    memory: Option<&MemoryService>,
    grant: &TenantGrant,
    query: &str,
    options: &MemoryOptions,
) -> Result<Recall> {
    let service = memory.ok_or_else(absent)?;
    // Nothing is deployed by a search: a tenant without memories has none to recall.
    let Some(memory) = service.find(grant).await? else { return Ok(Recall::default()) };
    let scope = MemoryScope::new(agent()?).of_user(options.user.clone());
    let reach = match &options.session {
        Some(session) => MemoryReach::of(&scope.in_session(session.clone())),
        None => MemoryReach::of(&scope).any_session(),
    };
    let query = MemoryQuery::new(reach, query).with_top_k(options.top_k).with_threshold(options.threshold);
    let found = memory.search(query).await?;
    let memories =
        found.hits.into_iter().map(|hit| Recalled { id: hit.memory.id, text: hit.memory.text, score: hit.score });
    Ok(Recall { memories: memories.collect(), problem: found.partial })
}

pub(crate) async fn record(memory: Option<&MemoryService>, outcome: Outcome) -> Result<MemoryReport> {
    let memory: MemoryManager = memory.ok_or_else(absent)?.open(&outcome.tenant).await?;
    let mut scope = MemoryScope::new(agent()?).of_user(outcome.user.clone());
    scope.session.clone_from(&outcome.session);
    let remember = Remember::text(scope, outcome.text())
        .with_metadata("kind", "outcome")
        .with_metadata("query", outcome.query.as_str())
        .with_metadata("video_id", outcome.video_id.as_str())
        .with_metadata("verdict", outcome.verdict.word())
        .because("what became of a result");
    memory.add(remember).await
}
