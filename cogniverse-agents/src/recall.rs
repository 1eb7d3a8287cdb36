//! What is remembered of users, and what became of results.

use cogniverse_core::memory::{MemoryManager, MemoryQuery, MemoryReport, MemoryService, Remember};
use cogniverse_sdk::{
    AgentId, Error, ErrorKind, MemoryId, MemoryReach, MemoryScope, Result, SessionId, TenantId, TimeRange, UserId,
};
use std::time::Duration;

/// The agent whose memories these are.
pub const AGENT: &str = "video_search";
/// Memories that are recalled where nothing else is said.
const RECALLED: usize = 5;
/// Time that recalling may take from a search.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What to recall of a user beside a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// Of whom.
    pub user: UserId,
    /// Of one session alone; none: of all, and of none.
    pub session: Option<SessionId>,
    /// At most so many memories (default 5; from 1 to 100).
    pub top_k: usize,
    /// The least cosine (default 0.25).
    pub threshold: f64,
}

impl MemoryOptions {
    /// What is remembered of a user, in whatever session.
    #[must_use]
    pub fn of_user(user: UserId) -> Self {
        Self { user, session: None, top_k: RECALLED, threshold: 0.25 }
    }

    /// Of one session alone.
    #[must_use]
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Another number of memories.
    #[must_use]
    pub fn with_top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }

    /// Another least cosine.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }
}

/// What was recalled beside a search. It is told, and changes no result.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Recall {
    /// Best first.
    pub memories: Vec<Recalled>,
    /// Why nothing, or less than there is, was recalled, where that is not because nothing fits.
    pub problem: Option<String>,
}

/// One memory that was recalled.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Recalled {
    /// Which.
    pub id: MemoryId,
    /// What it says.
    pub text: String,
    /// How well it fits, from 0 to 1.
    pub score: f64,
}

/// What a user made of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// They watched it.
    Watched,
    /// It was what they looked for.
    Useful,
    /// It was not.
    NotUseful,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Watched => "was watched",
            Self::Useful => "was useful",
            Self::NotUseful => "was not useful",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Useful => "useful",
            Self::NotUseful => "not_useful",
        }
    }
}

/// What became of one result of a search.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// Whose search it was.
    pub tenant: TenantId,
    /// Who searched.
    pub user: UserId,
    /// In which session, where there is one.
    pub session: Option<SessionId>,
    /// What they looked for.
    pub query: String,
    /// The video of the result.
    pub video_id: String,
    /// Its stretch, where the result has one.
    pub time: Option<TimeRange>,
    /// What they made of it.
    pub verdict: Verdict,
}

impl Outcome {
    /// A user's verdict on a video that a query found.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        user: UserId,
        query: impl Into<String>,
        video_id: impl Into<String>,
        verdict: Verdict,
    ) -> Self {
        let (query, video_id) = (query.into(), video_id.into());
        Self { tenant, user, session: None, query, video_id, time: None, verdict }
    }

    /// In a session.
    #[must_use]
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Of a stretch of the video.
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
    Error::new(ErrorKind::FailedPrecondition, "this agent has no memory; give the builder a text_embedder")
}

/// Never an error: a search does not fail because a memory does.
pub(crate) async fn recall(
    memory: Option<&MemoryService>,
    tenant: &TenantId,
    query: &str,
    options: &MemoryOptions,
) -> Recall {
    let recalled = tokio::time::timeout(TIMEOUT, find(memory, tenant, query, options)).await;
    let problem = match recalled {
        Ok(Ok(recall)) => return recall,
        Ok(Err(error)) => error.chain(),
        Err(_) => format!("recalling took longer than {TIMEOUT:?}"),
    };
    tracing::warn!(tenant.id = %tenant, "nothing is recalled: {problem}");
    Recall { memories: Vec::new(), problem: Some(problem) }
}

async fn find(
    memory: Option<&MemoryService>,
    tenant: &TenantId,
    query: &str,
    options: &MemoryOptions,
) -> Result<Recall> {
    let service = memory.ok_or_else(absent)?;
    // Nothing is deployed by a search: a tenant without memories has none to recall.
    let Some(memory) = service.find(tenant).await? else { return Ok(Recall::default()) };
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
