//! Validation of the service addresses in a configuration.

use cogniverse_sdk::{Error, Result};

/// Accepts an `http://` or `https://` address without credentials, as configuration is exported, backed up and kept
/// in history.
///
/// The message leaves out an address that may hold a password ([invariant 19](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#19)).
pub(super) fn check_url(field: &str, url: &str) -> Result<()> {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else {
        return Err(Error::invalid(format!("{field} must start with http:// or https://")));
    };
    let authority = authority(rest);
    if authority.contains('@') {
        return Err(Error::invalid(format!(
            "{field} must not hold credentials; give them to the adapter that uses it"
        )));
    }
    if authority.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Error::invalid(format!("{field} {url:?} names no host; give an address such as http://localhost")));
    }
    Ok(())
}

/// Accepts an address whose port is a separate field.
pub(super) fn check_url_without_port(field: &str, url: &str, port_field: &str) -> Result<()> {
    check_url(field, url)?;
    let authority = authority(url.split_once("://").map_or(url, |(_, rest)| rest));
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    if after_host.contains(':') {
        return Err(Error::invalid(format!("{field} {url:?} holds a port; give it as {port_field}")));
    }
    Ok(())
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
