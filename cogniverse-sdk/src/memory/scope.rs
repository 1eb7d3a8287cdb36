//! Whose a memory is, within its tenant.

use crate::id::string_id;

string_id! {
    /// An agent that remembers: 1 to 128 bytes without control characters, not beginning or ending with white space, and not
    /// beginning with `(`, which stores keep for themselves.
    AgentId, owner
}
string_id! {
    /// A person that an agent serves: as [`AgentId`].
    UserId, owner
}
string_id! {
    /// A conversation: as [`AgentId`].
    SessionId, owner
}
string_id! {
    /// A memory of one scope: 1 to 64 of `[a-z0-9]`. It says nothing without its scope.
    MemoryId, memory
}

fn owner(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > 128 {
        return Err("it is longer than 128 bytes");
    }
    if text.chars().any(char::is_control) {
        return Err("it has a control character");
    }
    if text.trim() != text {
        return Err("it begins or ends with white space");
    }
    if text.starts_with('(') { Err("it begins with \"(\"") } else { Ok(()) }
}

fn memory(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > 64 {
        return Err("it is longer than 64 characters");
    }
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if plain { Ok(()) } else { Err("it has a character outside [a-z0-9]") }
}

/// Whose a memory is, exactly: an agent's, for one user or for all of them, of one session or of none.
///
/// ```
/// use cogniverse_sdk::memory::{AgentId, MemoryReach, MemoryScope, SessionId, UserId};
///
/// let agent = MemoryScope::new(AgentId::parse("video_search")?);
/// let alice = agent.clone().of_user(UserId::parse("alice")?);
/// let talk = alice.clone().in_session(SessionId::parse("monday")?);
/// assert!(!MemoryReach::of(&alice).contains(&talk));
/// assert!(MemoryReach::of(&alice).any_session().contains(&talk));
/// assert!(!MemoryReach::of(&alice).any_session().contains(&agent));
/// # Ok::<(), cogniverse_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryScope {
    /// The agent.
    pub agent: AgentId,
    /// The user; none: of no user in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The session; none: beyond any session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl MemoryScope {
    /// An agent's, of no user and no session.
    #[must_use]
    pub fn new(agent: AgentId) -> Self {
        Self { agent, user: None, session: None }
    }

    /// Of a user.
    #[must_use]
    pub fn of_user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Of a session.
    #[must_use]
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }
}

/// Which values of one part of a scope are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopePart<T> {
    /// This one.
    Only(T),
    /// None: memories without it.
    Without,
    /// All, memories without it too.
    Any,
}

impl<T: PartialEq> ScopePart<T> {
    fn of(value: Option<T>) -> Self {
        value.map_or(Self::Without, Self::Only)
    }

    fn contains(&self, value: Option<&T>) -> bool {
        match self {
            Self::Only(only) => value == Some(only),
            Self::Without => value.is_none(),
            Self::Any => true,
        }
    }
}

/// Which scopes of a tenant are meant. It begins with one scope, and grows only where `any_…` is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryReach {
    /// The agent; never [`ScopePart::Without`] from a constructor.
    pub agent: ScopePart<AgentId>,
    /// The user.
    pub user: ScopePart<UserId>,
    /// The session.
    pub session: ScopePart<SessionId>,
}

impl MemoryReach {
    /// One scope.
    #[must_use]
    pub fn of(scope: &MemoryScope) -> Self {
        let MemoryScope { agent, user, session } = scope.clone();
        Self { agent: ScopePart::Only(agent), user: ScopePart::of(user), session: ScopePart::of(session) }
    }

    /// Everything an agent remembers, of whomever.
    #[must_use]
    pub fn agent(agent: AgentId) -> Self {
        Self { agent: ScopePart::Only(agent), user: ScopePart::Any, session: ScopePart::Any }
    }

    /// Everything of the tenant.
    #[must_use]
    pub fn everything() -> Self {
        Self { agent: ScopePart::Any, user: ScopePart::Any, session: ScopePart::Any }
    }

    /// Of all agents.
    #[must_use]
    pub fn any_agent(mut self) -> Self {
        self.agent = ScopePart::Any;
        self
    }

    /// Of all users, and of none.
    #[must_use]
    pub fn any_user(mut self) -> Self {
        self.user = ScopePart::Any;
        self
    }

    /// Of all sessions, and of none.
    #[must_use]
    pub fn any_session(mut self) -> Self {
        self.session = ScopePart::Any;
        self
    }

    /// Whether a scope is meant.
    #[must_use]
    pub fn contains(&self, scope: &MemoryScope) -> bool {
        self.agent.contains(Some(&scope.agent))
            && self.user.contains(scope.user.as_ref())
            && self.session.contains(scope.session.as_ref())
    }
}

impl From<MemoryScope> for MemoryReach {
    fn from(scope: MemoryScope) -> Self {
        Self::of(&scope)
    }
}

impl From<&MemoryScope> for MemoryReach {
    fn from(scope: &MemoryScope) -> Self {
        Self::of(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_plain_names() {
        for good in ["alice", "alice@example.org", "a b", "日本", &"x".repeat(128)] {
            assert!(UserId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "(none)", "*\u{0}", &"x".repeat(129)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "A", "a-b", "../x", &"a".repeat(65)] {
            assert!(MemoryId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn invariant_01_a_star_is_a_name_and_no_wildcard() {
        let star = MemoryScope::new(AgentId::parse("*").unwrap());
        assert!(!MemoryReach::of(&star).contains(&MemoryScope::new(AgentId::parse("video").unwrap())));
    }
}
