//! Identity of memories: the scope and the text, ignoring case and white space.

use cogniverse_sdk::{DocumentId, MemoryId, MemoryScope, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use unicode_normalization::UnicodeNormalization;

/// The number of hexadecimal digits of a hash: 128 bits.
const DIGITS: usize = 32;

/// Hashes a text, ignoring case and white space.
pub(super) fn content_hash(text: &str) -> String {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    digest(&["text", &words.join(" ")])
}

/// Hashes a scope. Parts are length-prefixed, so that no two scopes collide.
pub(super) fn scope_digest(scope: &MemoryScope) -> String {
    let part = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
    let user = part(scope.user.as_ref().map(|user| user.as_str()));
    let session = part(scope.session.as_ref().map(|session| session.as_str()));
    digest(&["scope", scope.agent.as_str(), &user, &session])
}

/// Returns the id of a text in a scope, which is the same for every writer, so that concurrent adds write one
/// document. If the first id belongs to a memory whose text has changed since, the next attempt's id is used.
pub(super) fn memory_id(scope_digest: &str, hash: &str, attempt: u32) -> Result<MemoryId> {
    Ok(MemoryId::parse(digest(&["memory", scope_digest, hash, &attempt.to_string()]))?)
}

/// Returns the address of a memory, which includes the scope: an id alone is not an address.
pub(super) fn memory_document(scope_digest: &str, id: &MemoryId) -> Result<DocumentId> {
    Ok(DocumentId::parse(format!("m/{scope_digest}/{id}"))?)
}

/// Returns the address of a history entry, ordered by time and revision.
pub(super) fn event_document(
    scope_digest: &str,
    id: &MemoryId,
    micros: i64,
    revision: u64,
    what: &str,
) -> Result<DocumentId> {
    let tail = digest(&["event", what]);
    let tail = tail.get(..8).unwrap_or_default();
    Ok(DocumentId::parse(format!("e/{scope_digest}/{id}/{micros:020}-{revision:08}-{tail}"))?)
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hex = String::with_capacity(DIGITS);
    for byte in hasher.finalize().iter().take(DIGITS / 2) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{AgentId, SessionId, UserId};
    use proptest::prelude::*;

    #[test]
    fn case_and_white_space_make_no_difference() {
        assert_eq!(content_hash("Likes  Café\n"), content_hash("likes cafe\u{301}"));
        assert_ne!(content_hash("likes cafe"), content_hash("likes café"));
    }

    proptest! {
        #[test]
        fn invariant_06_scopes_never_meet(a in "[a-b+-]{1,3}", b in "[a-b+-]{1,3}", c in "[a-b+-]{1,3}", d in "[a-b+-]{1,3}") {
            let scope = |agent: &str, user: &str| MemoryScope::new(AgentId::parse(agent).unwrap()).of_user(UserId::parse(user).unwrap());
            let same = (&a, &b) == (&c, &d);
            prop_assert_eq!(scope_digest(&scope(&a, &b)) == scope_digest(&scope(&c, &d)), same);
            let talk = MemoryScope::new(AgentId::parse(&a).unwrap()).in_session(SessionId::parse(&b).unwrap());
            prop_assert_ne!(scope_digest(&talk), scope_digest(&scope(&a, &b)));
        }
    }
}
