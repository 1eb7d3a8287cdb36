//! Checks of the isolation of tenants on what is stored: canaries of one tenant, and the attempts of another to reach them.

mod documents;

pub use documents::{attack_documents, plant_documents, remove_documents};

use crate::{DocumentId, Error, ErrorCode, ErrorKind, Result, Retry, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use std::{fmt, time::Duration};

/// The start of the ids of canaries. No other document may have such an id.
const PREFIX: &str = "cogniverse-canary-";
/// The start of the words of canaries, before the second of their planting in hexadecimal digits.
const WORD: &str = "cogniversecanary";
/// The number of hexadecimal digits of the second.
const SECOND: usize = 10;

/// Something of one tenant that is planted in order to be looked for by another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Canary {
    /// The tenant whose it is.
    pub tenant: TenantId,
    /// The word that is in it and nowhere else: letters and digits, one word to every text index.
    pub word: String,
    /// The time of the planting.
    pub planted_at: Timestamp,
    /// The age from which another canary may be replaced, as the check that planted it must have died.
    pub lease: Duration,
    /// Names that tell of the tenant, such as those of its schemas.
    pub names: Vec<String>,
}

impl Canary {
    /// The number of documents that are planted in each schema: two, so that a visit of one a page has a continuation.
    pub const DOCUMENTS: usize = 2;

    /// Creates a canary; `random` makes its word one that nobody else has.
    #[must_use]
    pub fn new(tenant: TenantId, planted_at: Timestamp, random: u128, lease: Duration) -> Self {
        let word = format!("{WORD}{:0SECOND$x}{random:032x}", planted_at.as_second().max(0));
        Self { tenant, word, planted_at, lease, names: Vec::new() }
    }

    /// Returns the ids of a tenant's canaries in each schema. No two tenants have the same, so that an attempt to remove those
    /// of one cannot meet those of the other.
    ///
    /// # Errors
    /// None for the ids that there are.
    pub fn ids(tenant: &TenantId) -> Result<Vec<DocumentId>> {
        (0..Self::DOCUMENTS).map(|number| Self::id(tenant, &number.to_string())).collect()
    }

    /// Returns the id of a canary of another kind, which the surface that plants it removes itself.
    ///
    /// # Errors
    /// `InvalidInput` for a part that no id can have.
    pub fn id(tenant: &TenantId, part: &str) -> Result<DocumentId> {
        let digest = Sha256::digest(tenant.as_str());
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Ok(DocumentId::parse(format!("{PREFIX}{digest}-{part}"))?)
    }

    /// Adds a name that no error may tell another tenant.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Returns whether an id is kept for canaries. Documents of users cannot have such an id.
    #[must_use]
    pub fn is_reserved(id: &DocumentId) -> bool {
        id.as_str().starts_with(PREFIX)
    }

    /// Returns whether a text is the word of a canary, of this check or another.
    #[must_use]
    pub fn is_word(text: &str) -> bool {
        text.starts_with(WORD)
    }

    /// Allows to replace a canary that holds the given word: one of a check that died.
    ///
    /// # Errors
    /// `Conflict` where another check may be running, with the time to wait.
    pub fn may_replace(&self, word: &str) -> Result<()> {
        let second = word.strip_prefix(WORD).and_then(|rest| rest.get(..SECOND));
        let Some(second) = second.and_then(|digits| i64::from_str_radix(digits, 16).ok()) else { return Ok(()) };
        let lease = i64::try_from(self.lease.as_secs()).unwrap_or(i64::MAX);
        let left = second.saturating_add(lease).saturating_sub(self.planted_at.as_second());
        if word == self.word || left <= 0 {
            return Ok(());
        }
        let message = format!("another check of the tenant's isolation runs, or died; try again in {left} s");
        let wait = Duration::from_secs(left.unsigned_abs());
        Err(Error::of(ErrorCode::Conflict, message).with_retry(Retry::After(Some(wait))))
    }

    /// Returns whether a text tells anything of the canary: its word, or its tenant's id as a whole word.
    #[must_use]
    pub fn is_told_by(&self, text: &str) -> bool {
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        // A stop or a colon is a part of an id where the id goes on behind it, and else one of the sentence.
        let goes_on = |rest: &str| {
            rest.starts_with(part) || rest.strip_prefix(['.', ':']).is_some_and(|rest| rest.starts_with(part))
        };
        let comes_from =
            |rest: &str| rest.ends_with(part) || rest.strip_suffix(['.', ':']).is_some_and(|rest| rest.ends_with(part));
        let is_named = |name: &str| {
            text.match_indices(name).any(|(at, _)| {
                let (before, after) = (text.get(..at), text.get(at + name.len()..));
                !before.is_some_and(comes_from) && !after.is_some_and(goes_on)
            })
        };
        text.contains(&self.word) || is_named(self.tenant.as_str()) || self.names.iter().any(|name| is_named(name))
    }
}

/// The outcome of planting a canary in a surface.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Planting {
    /// It is planted, or what the surface holds anyway serves as one.
    Planted,
    /// The surface cannot be checked, for the given reason.
    NotChecked(String),
}

/// One attempt to reach the canary of another tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attack {
    /// The way that was tried, such as `search:bm25_only`.
    pub name: String,
    /// Whether nothing was reached, and the attempt would have reached it if it could.
    pub ok: bool,
    /// The observation. It names no document and no text of a tenant.
    pub evidence: String,
}

impl Attack {
    /// Creates the outcome of an attempt that reached nothing.
    #[must_use]
    pub fn held(name: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, evidence: evidence.into() }
    }

    /// Creates the outcome of an attempt that reached something, or that could not be made.
    #[must_use]
    pub fn failed(name: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self { name: name.into(), ok: false, evidence: evidence.into() }
    }

    /// Creates the outcome of an attempt by what it reached.
    #[must_use]
    pub fn of(name: impl Into<String>, ok: bool, evidence: impl Into<String>) -> Self {
        Self { name: name.into(), ok, evidence: evidence.into() }
    }

    /// Names the part of a surface in which the attempt was made, such as a schema.
    #[must_use]
    pub fn within(mut self, part: &str) -> Self {
        self.name = format!("{part}/{}", self.name);
        self
    }

    /// Creates the outcome of an attempt that was answered with an error. One that tells nothing of the canary and refuses
    /// the call is as good as no hit; where the call was not carried out at all, nothing is known.
    #[must_use]
    pub fn refused(name: impl Into<String>, error: &Error, canary: &Canary) -> Self {
        let (name, code) = (name.into(), error.code().as_str());
        if canary.is_told_by(&error.chain()) {
            return Self::failed(name, format!("refused with {code}, by a text that tells of the other tenant"));
        }
        let is_refusal = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
            || matches!(error.code(), ErrorCode::PageCursorOtherRequest | ErrorCode::SegmentsWithoutVectors);
        match is_refusal {
            true => Self::held(name, format!("refused with {code}")),
            false => Self::failed(name, format!("could not be carried out: {code}, {}", error.chain())),
        }
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.name, if self.ok { "held" } else { "FAILED" }, self.evidence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(second: i64, lease: u64) -> Canary {
        let at = Timestamp::from_second(second).unwrap();
        Canary::new(TenantId::parse("acme").unwrap(), at, 7, Duration::from_secs(lease))
    }

    #[test]
    fn a_canary_of_a_check_that_may_live_is_not_replaced() {
        let (old, now) = (canary(1000, 60), canary(1030, 60));
        let error = now.may_replace(&old.word).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, Retry::After(Some(Duration::from_secs(30)))));
        canary(1060, 60).may_replace(&old.word).unwrap();
        canary(1001, 0).may_replace(&old.word).unwrap();
        now.may_replace(&now.word).unwrap();
        now.may_replace("something else").unwrap();
    }

    #[test]
    fn a_text_tells_of_a_tenant_by_the_whole_id_alone() {
        let canary = canary(1000, 0).with_name("video_acme");
        for told in [
            "tenant acme",
            "\"acme\" is not there",
            "(acme)",
            "of acme.",
            "acme: gone",
            "in video_acme",
            &format!("x{}x", canary.word),
        ] {
            assert!(canary.is_told_by(told), "{told}");
        }
        for untold in [
            "acme_corp",
            "tenant of an acme-like shop",
            "xacme",
            "acme.com",
            "acme:prod",
            "my.acme",
            "video_acme_2",
            "",
        ] {
            assert!(!canary.is_told_by(untold), "{untold}");
        }
    }
}
