//! The names of this crate's spans and fields.

/// One search of one tenant.
pub(crate) const SEARCH: &str = "cogniverse.search";
