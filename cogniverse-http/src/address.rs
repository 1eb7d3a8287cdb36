//! Addresses as a configuration gives them.

use crate::endpoint::{Endpoint, shown_address};
use cogniverse_sdk::Result;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A server's address as configured, such as `http://localhost:8000`.
///
/// It is checked by [`Address::endpoint`], when a client is made. `Debug` and `Display` leave out user, password, query and
/// fragment, which may be secret; serialization keeps them.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The address as it was given, secrets included.
    #[must_use]
    pub fn as_given(&self) -> &str {
        &self.0
    }

    /// Checks the address. `server` names the server in the error, such as `Ollama`.
    ///
    /// # Errors
    /// `InvalidInput` for what is no URL, has another scheme than `http` and `https`, names no host or holds a user or a
    /// password, and for `https` without the feature `tls`.
    pub fn endpoint(&self, server: &str) -> Result<Endpoint> {
        Endpoint::parse(server, &self.0)
    }
}

impl<T: Into<String>> From<T> for Address {
    fn from(address: T) -> Self {
        Self(address.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_address(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown_address(&self.0))
    }
}
