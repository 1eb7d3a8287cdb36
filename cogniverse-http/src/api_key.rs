//! API keys and their redaction.

use cogniverse_sdk::{Error, Result};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::fmt;

/// A key that a request carries as `Authorization: Bearer`. It is wiped from memory when dropped, never serialized, and shown
/// as `***`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// The header value, marked as sensitive.
    ///
    /// # Errors
    /// `InvalidInput` for characters that a header cannot carry.
    pub fn bearer(&self) -> Result<HeaderValue> {
        let key = self.0.expose_secret();
        let wrong = || Error::invalid("the API key holds characters that a header cannot carry");
        if !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(wrong());
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl<T: Into<String>> From<T> for ApiKey {
    fn from(key: T) -> Self {
        Self(SecretString::from(key.into()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown_and_never_breaks_a_header() {
        let key = ApiKey::from("s3cret");
        let value = key.bearer().unwrap();
        assert_eq!(value.as_bytes(), b"Bearer s3cret");
        assert!(!format!("{key:?} {value:?}").contains("s3cret"));
        for wrong in ["a\nb", "a\u{7f}", "ä"] {
            let error = ApiKey::from(wrong).bearer().unwrap_err();
            assert!(error.to_string().contains("API key") && !error.to_string().contains(wrong), "{error}");
        }
    }
}
