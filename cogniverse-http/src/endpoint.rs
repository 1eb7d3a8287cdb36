//! Checked base addresses.

use cogniverse_sdk::{Error, Result};
use std::fmt;
use url::Url;

/// A checked base address: `http` or `https`, with a host, without user and password. A path in it precedes that of every
/// request, and a query is sent with every request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Checks an address; `server` names the server in the error.
    ///
    /// # Errors
    /// As [`Address::endpoint`](crate::Address::endpoint).
    pub fn parse(server: &str, address: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!(
                "the address {:?} of {server} {why}; give one like http://host:port",
                shown_address(address)
            ))
        };
        let url = Url::parse(address).map_err(|e| wrong(&format!("cannot be read: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("is neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds credentials, which belong in the API key"));
        }
        if url.scheme() == "https" && !cfg!(feature = "tls") {
            return Err(wrong("needs HTTPS: enable the feature `tls`"));
        }
        Ok(Self(url))
    }

    /// The same address with a path, where it has none of its own.
    #[must_use]
    pub fn with_default_path(mut self, path: &str) -> Self {
        if self.0.path().trim_matches('/').is_empty() {
            self.0.set_path(path);
        }
        self
    }

    /// The base address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether scheme, host and port are the same, so that a key for one may be sent to the other.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// Whether it holds more than scheme, host and port.
    #[must_use]
    pub fn has_path_or_query(&self) -> bool {
        self.0.path() != "/" || self.0.query().is_some() || self.0.fragment().is_some()
    }

    /// The address with path segments after its own path; each is percent-encoded.
    #[must_use]
    pub fn join<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Url {
        let mut url = self.0.clone();
        // Every http and https address can have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments.into_iter().filter(|segment| !segment.is_empty()));
        }
        url
    }

    /// The address with a path and query that are percent-encoded already, in place of its own.
    ///
    /// # Errors
    /// `Unexpected` for what is no path.
    pub fn join_encoded(&self, path: &str) -> Result<Url> {
        let joined = self.0.join(path).ok().filter(|url| url.origin() == self.0.origin());
        joined.ok_or_else(|| Error::unexpected(format!("\"{path}\" is not a path")))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_address(self.0.as_str()))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// An address as it may be shown: without user, password, query and fragment, which may be secret. It need not be a URL.
#[must_use]
pub fn shown_address(address: &str) -> String {
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_once("://").map_or(("", bare), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or_default();
    // A path with an @ is no path: the authority held a slash.
    let path =
        path.map_or_else(String::new, |path| if path.contains('@') { "/…".to_owned() } else { format!("/{path}") });
    let host = if path == "/…" { "…" } else { host };
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_19_refused_addresses_are_shown_without_their_secrets() {
        for address in
            ["localhost:1", "ftp://h", "http://u:s3cret@h", "http://s3cret@h", "", "http://", "http://h:s3cret"]
        {
            let error = Endpoint::parse("the server", address).unwrap_err();
            assert_eq!(error.kind(), cogniverse_sdk::ErrorKind::InvalidInput, "{address}");
            assert!(!error.chain().contains("s3cret@"), "{error}");
            assert!(error.to_string().contains("http://host:port"), "{error}");
        }
        if !cfg!(feature = "tls") {
            assert!(Endpoint::parse("the server", "https://h").unwrap_err().to_string().contains("`tls`"));
        }
    }

    #[test]
    fn segments_follow_the_path_of_the_address_and_cannot_leave_it() {
        let endpoint = Endpoint::parse("the server", "http://h:1/v1/?key=s3cret").unwrap();
        assert_eq!(endpoint.join(["a b", "c/d", "e?f"]).as_str(), "http://h:1/v1/a%20b/c%2Fd/e%3Ff?key=s3cret");
        assert!(!format!("{endpoint} {endpoint:?}").contains("s3cret"));
        assert!(endpoint.has_path_or_query());
        let root = Endpoint::parse("the server", "http://h:1").unwrap();
        assert_eq!(root.join([""]).as_str(), "http://h:1/");
        assert_eq!(root.join_encoded("/a%2Fb?c=d").unwrap().as_str(), "http://h:1/a%2Fb?c=d");
        assert!(root.join_encoded("//elsewhere/a").is_err() && root.join_encoded("http://elsewhere/").is_err());
        assert_eq!(root.clone().with_default_path("/v1").join(["a"]).as_str(), "http://h:1/v1/a");
        assert_eq!(endpoint.clone().with_default_path("/v2").url().path(), "/v1/");
        assert!(root.is_same_origin(&endpoint) && !root.has_path_or_query());
        assert!(!root.is_same_origin(&Endpoint::parse("the server", "http://h:2").unwrap()));
    }

    #[test]
    fn invariant_19_an_address_is_shown_without_its_secrets() {
        for address in [
            "http://u:s3cret@host:1/p?x",
            "http://host:1/p?token=s3cret",
            "u:s3cret@host",
            "http://u:s3c/s3cret@host/p",
            "http://host/#s3cret",
            "s3cret@host",
            "http://u:p@s3cret@host",
        ] {
            let shown = shown_address(address);
            assert!(!shown.contains("s3c") && (shown.contains("host") || shown.contains('…')), "{address}: {shown}");
        }
        assert_eq!(shown_address("http://localhost:8000/v1"), "http://localhost:8000/v1");
        assert_eq!(shown_address("localhost:6006"), "localhost:6006");
    }
}
