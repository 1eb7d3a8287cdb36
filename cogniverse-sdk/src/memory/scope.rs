//! Ownership of memories within a tenant.

use crate::id::string_id;

string_id! {
    /// An agent that owns memories: 1 to 128 bytes without control characters, not starting or ending with white
    /// space, and not starting with `(`, which is reserved for stores.
    AgentId, owner
}
string_id! {
    /// A user whom an agent serves; the rules of [`AgentId`] apply.
    UserId, owner
}
string_id! {
    /// A conversation; the rules of [`AgentId`] apply.
    SessionId, owner
}
string_id! {
    /// The id of a memory within its scope: 1 to 64 of `[a-z0-9]`. It identifies nothing without the scope.
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

/// The exact owner of a memory: an agent, optionally narrowed to one user and one session.
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
    /// The user; `None` for memories that belong to no user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The session; `None` for memories that belong to no session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl MemoryScope {
    /// Creates the scope of an agent, without user and session.
    #[must_use]
    pub fn new(agent: AgentId) -> Self {
        Self { agent, user: None, session: None }
    }

    /// Narrows the scope to a user.
    #[must_use]
    pub fn of_user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Narrows the scope to a session.
    #[must_use]
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }
}

/// A selection of values for one part of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopePart<T> {
    /// Exactly this value.
    Only(T),
    /// No value: memories without this part.
    Without,
    /// Every value, and memories without this part.
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

/// A selection of scopes within a tenant. It starts with one scope and widens only through the `any_…` methods.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MemoryReach {
    /// The agents; no constructor sets [`ScopePart::Without`].
    pub agent: ScopePart<AgentId>,
    /// The users.
    pub user: ScopePart<UserId>,
    /// The sessions.
    pub session: ScopePart<SessionId>,
}

impl MemoryReach {
    /// Selects exactly one scope.
    #[must_use]
    pub fn of(scope: &MemoryScope) -> Self {
        let MemoryScope { agent, user, session } = scope.clone();
        Self { agent: ScopePart::Only(agent), user: ScopePart::of(user), session: ScopePart::of(session) }
    }

    /// Selects every scope of an agent.
    #[must_use]
    pub fn agent(agent: AgentId) -> Self {
        Self { agent: ScopePart::Only(agent), user: ScopePart::Any, session: ScopePart::Any }
    }

    /// Selects every scope of the tenant.
    #[must_use]
    pub fn everything() -> Self {
        Self { agent: ScopePart::Any, user: ScopePart::Any, session: ScopePart::Any }
    }

    /// Widens the selection to all agents.
    #[must_use]
    pub fn any_agent(mut self) -> Self {
        self.agent = ScopePart::Any;
        self
    }

    /// Widens the selection to all users and to memories without a user.
    #[must_use]
    pub fn any_user(mut self) -> Self {
        self.user = ScopePart::Any;
        self
    }

    /// Widens the selection to all sessions and to memories without a session.
    #[must_use]
    pub fn any_session(mut self) -> Self {
        self.session = ScopePart::Any;
        self
    }

    /// Returns whether the selection contains a scope.
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
