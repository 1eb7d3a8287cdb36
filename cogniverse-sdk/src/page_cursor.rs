//! Page cursors: one sealed, versioned form for every listing.

use crate::{Error, ErrorCode, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::fmt;

/// The form that this release writes.
const VERSION: u8 = 1;
/// Bytes of a digest that a cursor carries.
const DIGEST: usize = 16;
/// Bytes before the position: version, listing, and the digest of the request.
const HEAD: usize = 2 + DIGEST;
/// The longest text that is read; positions are a few hundred bytes.
const MAX_TEXT: usize = 16 << 10;

/// The kinds of listings that have pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Listing {
    /// The results of a search.
    Search,
    /// The documents of a tenant schema.
    Documents,
    /// Configuration entries, including tenants.
    Config,
    /// The memories of a tenant.
    Memories,
}

impl Listing {
    /// The byte that stands for it in a cursor. It never changes.
    fn tag(self) -> u8 {
        match self {
            Self::Search => 1,
            Self::Documents => 2,
            Self::Config => 3,
            Self::Memories => 4,
        }
    }
}

/// An opaque cursor of the next page of a listing.
///
/// Return it unchanged, with the same request. It is bound to the listing and to everything in the request that
/// decides the content and the order, including the tenant: the cursor of another tenant or query, or a damaged one,
/// is an error and never another page ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)). It carries no authority: the tenant of the call alone decides
/// whose data is listed.
///
/// The text consists of letters, digits, `-` and `_`, and stays valid across releases: it has a version, and an
/// unknown version is refused by name.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageCursor(String);

impl PageCursor {
    /// Creates a cursor from its text, which is checked on use.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Seals a position in a listing; for implementations of listings.
    ///
    /// `request` is what the cursor is bound to. Its JSON is hashed, so use a dedicated struct with a fixed order of
    /// fields and no unordered maps: a change of that JSON invalidates the cursors of earlier releases.
    ///
    /// # Errors
    /// `Unexpected` for a request or a position that JSON cannot represent.
    pub fn seal(listing: Listing, request: &impl Serialize, position: &impl Serialize) -> Result<Self> {
        let mut bytes = vec![VERSION, listing.tag()];
        bytes.extend_from_slice(&binding(request)?);
        serde_json::to_writer(&mut bytes, position).map_err(unwritable)?;
        let sum = digest(&bytes);
        bytes.extend_from_slice(&sum);
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens the position of a cursor made for this listing and request; for implementations of listings.
    ///
    /// # Errors
    /// `page_cursor_invalid` for text that is not a cursor, is damaged, or has an unknown version;
    /// `page_cursor_other_request` for the cursor of another listing or request.
    pub fn open<P: DeserializeOwned>(&self, listing: Listing, request: &impl Serialize) -> Result<P> {
        let invalid = |why: &str| Error::of(ErrorCode::PageCursorInvalid, format!("the page cursor {why}"));
        let unread = || invalid("cannot be read; give it back as it came");
        if self.0.len() > MAX_TEXT {
            return Err(unread());
        }
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| unread())?;
        let [version, tag, rest @ ..] = bytes.as_slice() else { return Err(unread()) };
        if *version != VERSION {
            return Err(invalid("has a form that this release does not know; begin without it"));
        }
        let body = bytes.len().checked_sub(DIGEST).filter(|end| *end >= HEAD).ok_or_else(unread)?;
        let (sealed, sum) = bytes.split_at(body);
        if digest(sealed) != *sum {
            return Err(unread());
        }
        let bound = rest.get(..DIGEST).ok_or_else(unread)?;
        if *tag != listing.tag() || bound != binding(request)? {
            return Err(Error::of(
                ErrorCode::PageCursorOtherRequest,
                "the page cursor belongs to another tenant or another request; begin without it",
            ));
        }
        let position = sealed.get(HEAD..).ok_or_else(unread)?;
        serde_json::from_slice(position).map_err(|e| unread().with_source(crate::json_problem(&e)))
    }
}

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows nothing of the position, which may be an id of a tenant's document.
impl fmt::Debug for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageCursor({} bytes)", self.0.len())
    }
}

fn binding(request: &impl Serialize) -> Result<[u8; DIGEST]> {
    Ok(digest(&serde_json::to_vec(request).map_err(unwritable)?))
}

fn digest(bytes: &[u8]) -> [u8; DIGEST] {
    let whole: [u8; 32] = Sha256::digest(bytes).into();
    let mut half = [0; DIGEST];
    half.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    half
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::unexpected("a page cursor cannot be written").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn sealed(tenant: &str) -> PageCursor {
        PageCursor::seal(Listing::Search, &json!({"tenant": tenant, "query": "x"}), &json!({"offset": 10})).unwrap()
    }

    fn open(cursor: &PageCursor, listing: Listing, tenant: &str) -> Result<serde_json::Value> {
        cursor.open(listing, &json!({"tenant": tenant, "query": "x"}))
    }

    #[test]
    fn invariant_08_a_cursor_opens_for_its_own_request_alone() {
        let cursor = sealed("acme");
        assert_eq!(open(&cursor, Listing::Search, "acme").unwrap(), json!({"offset": 10}));
        for (listing, tenant) in [(Listing::Search, "globex"), (Listing::Documents, "acme"), (Listing::Config, "acme")]
        {
            let error = open(&cursor, listing, tenant).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PageCursorOtherRequest, "{listing:?} {tenant}");
        }
        assert!(!format!("{cursor:?}").contains(cursor.as_str()));
    }

    /// A text as the first release wrote it. Whoever changes the form keeps it readable, or raises the version.
    const GOLDEN: &str = "AQHCqjKSNbw_mHB0VrTGk6m_eyJvZmZzZXQiOjEwfQMXsSRt-U79mAdUWkqVkWg";

    #[test]
    fn cursors_of_version_1_stay_readable() {
        assert_eq!(sealed("acme").as_str(), GOLDEN);
        assert_eq!(open(&PageCursor::from_text(GOLDEN), Listing::Search, "acme").unwrap(), json!({"offset": 10}));
    }

    #[test]
    fn a_newer_form_is_refused_by_name_and_rubbish_as_rubbish() {
        let mut bytes = URL_SAFE_NO_PAD.decode(sealed("acme").as_str()).unwrap();
        bytes[0] = 2;
        let newer = PageCursor::from_text(URL_SAFE_NO_PAD.encode(&bytes));
        assert!(open(&newer, Listing::Search, "acme").unwrap_err().to_string().contains("this release does not know"));
        for text in ["", "A", "AQ", "AQE", "!!", &"A".repeat(20_000), &"AQEA".repeat(8)] {
            let error = open(&PageCursor::from_text(text), Listing::Search, "acme").unwrap_err();
            assert_eq!(error.code(), ErrorCode::PageCursorInvalid, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_cursor_is_no_other_page(at in 0_usize..58, bit in 0_u8..8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(sealed("acme").as_str()).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(open(&PageCursor::from_text(URL_SAFE_NO_PAD.encode(bytes)), Listing::Search, "acme").is_err());
        }

        #[test]
        fn invariant_25_any_text_is_answered(text in "\\PC{0,80}") {
            prop_assert!(open(&PageCursor::from_text(text), Listing::Search, "acme").is_err());
        }
    }
}
