//! The allow-list of addresses that tenants may configure.

use cogniverse_sdk::{Error, ErrorCode, Result};
use std::collections::BTreeSet;
use url::Url;

/// The origins (scheme, host and port) that tenants may configure as addresses; none by default.
///
/// A tenant's address makes the service open a connection from inside its own network. It is therefore used only
/// where its origin equals an allowed one and it has no credentials, query or fragment; no prefix, subdomain or
/// alternative spelling matches. Code that calls such an address must not follow redirects and must not send it the
/// credentials of another address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    origins: BTreeSet<String>,
}

impl AllowedOrigins {
    /// Creates an empty allow-list.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds an origin, such as `http://models.internal:8000`.
    ///
    /// # Errors
    /// `InvalidInput` for anything but a scheme (`http` or `https`), a host and an optional port.
    pub fn allow(mut self, origin: &str) -> Result<Self> {
        let url = read("an allowed origin", origin)?;
        if url.path() != "/" {
            return Err(Error::invalid(format!("the allowed origin {origin:?} has a path; give {}", spelled(&url))));
        }
        self.origins.insert(spelled(&url));
        Ok(self)
    }

    /// Parses an address and checks that its origin is allowed.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed address; `PermissionDenied`, with the remedy, where its origin is not allowed.
    pub fn check(&self, field: &str, address: &str) -> Result<Url> {
        let url = read(field, address)?;
        let origin = spelled(&url);
        if self.origins.contains(&origin) {
            return Ok(url);
        }
        Err(Error::of(
            ErrorCode::OriginNotAllowed,
            format!(
                "{field} names the origin {origin}, which this service does not let tenants use; \
                 allow it by CogniverseBuilder::allow_tenant_origin, or leave {field} at its default"
            ),
        ))
    }
}

fn spelled(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Parses an address. The error leaves out an address that may hold a password ([invariant 19](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#19)).
fn read(what: &str, address: &str) -> Result<Url> {
    let wrong = |why: &str| Error::invalid(format!("{what} {why}; give one such as http://models.internal:8000"));
    // The parser drops or turns these, and what a person reads would not be what is called.
    if address.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(wrong("holds white space, a control character or a backslash"));
    }
    let url = Url::parse(address).map_err(|e| wrong("cannot be read as an address").with_source(e))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("is not of http or https"));
    }
    let authority = address.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        return Err(wrong("holds credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("holds a query or a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_used_only_where_its_very_origin_is_allowed() {
        let allowed = AllowedOrigins::none().allow("http://models.internal:8000").unwrap();
        let allowed = allowed.allow("https://llm.example").unwrap();
        for good in [
            "http://models.internal:8000",
            "http://MODELS.internal:8000/v1",
            "https://llm.example",
            "https://llm.example:443/v1/",
        ] {
            assert!(allowed.check("base_url", good).is_ok(), "{good}");
        }
        for bad in [
            "http://models.internal",
            "http://models.internal:8001",
            "https://models.internal:8000",
            "http://models.internal.evil.example:8000",
            "http://evil.models.internal:8000",
            "http://models.internal.:8000",
            "http://llm.example",
            "http://models.internal:8000@evil.example",
            "http://models.internal:8000@169.254.169.254/",
            "http://@models.internal:8000",
            "http://user@models.internal:8000",
            "http://user:pw@models.internal:8000",
            "http://evil.example\\@models.internal:8000",
            "http://evil.example#@models.internal:8000",
            "http://models.internal:8000/?u=http://evil.example",
            "http://models.internal:8000#x",
            "http:// models.internal:8000",
            "http://models.internal:8000\n",
            "file:///etc/passwd",
            "ftp://models.internal:8000",
            "http://169.254.169.254/latest",
            "//models.internal:8000",
            "models.internal:8000",
            "",
        ] {
            let error = allowed.check("base_url", bad).unwrap_err();
            assert!(!error.to_string().contains("pw"), "{error}");
        }
        assert!(AllowedOrigins::none().check("base_url", "http://localhost:11434").is_err(), "none by default");
        for bad in ["http://a/path", "http://u@a", "a", "http://a?b"] {
            assert!(AllowedOrigins::none().allow(bad).is_err(), "{bad}");
        }
    }
}
