//! Connection settings.

use cogniverse_sdk::{Error, Result};
use reqwest::ClientBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{fmt, time::Duration};

/// Certificates or keys as PEM text. They are wiped from memory when dropped, never serialized, and shown as `***`.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Pem(SecretString);

impl<T: AsRef<[u8]>> From<T> for Pem {
    fn from(pem: T) -> Self {
        // What is no text is no PEM either, and is refused when it is used.
        Self(SecretString::from(String::from_utf8_lossy(pem.as_ref()).into_owned()))
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Settings of the connections to a server. The default is HTTP/1.1 with the system's certificate authorities.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    ca: Option<Pem>,
    identity: Option<Pem>,
    http2: bool,
    connect_timeout: Option<Duration>,
}

impl Connection {
    /// Trusts certificate authorities besides the system's. Needs the feature `tls`.
    #[must_use]
    pub fn with_ca_certificate(mut self, pem: Option<Pem>) -> Self {
        self.ca = pem;
        self
    }

    /// Presents a certificate with its key, for mutual TLS. Needs the feature `tls`.
    #[must_use]
    pub fn with_client_certificate(mut self, pem: Option<Pem>) -> Self {
        self.identity = pem;
        self
    }

    /// Speaks HTTP/2: without TLS at once, with TLS where the server agrees. Needs the feature `http2`.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn with_http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Limits how long a connection may take to be made.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The client, or the error that names what cannot be used. `clear` says that there is no TLS.
    pub(crate) fn build(&self, mut builder: ClientBuilder, clear: bool) -> Result<reqwest::Client> {
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        let builder = self.secure(self.versioned(builder, clear))?;
        builder.tcp_nodelay(true).build().map_err(|e| {
            if self.ca.is_some() || self.identity.is_some() {
                Error::invalid("the certificates cannot be used; check that the key belongs to its certificate")
                    .with_source(e)
            } else {
                Error::unexpected("the HTTP client cannot be made").with_source(e)
            }
        })
    }

    #[cfg(feature = "http2")]
    fn versioned(&self, builder: ClientBuilder, clear: bool) -> ClientBuilder {
        match (self.http2, clear) {
            (false, _) => builder,
            (true, false) => builder.http2_adaptive_window(true),
            // Without TLS there is no handshake to agree on the version in.
            (true, true) => builder.http2_adaptive_window(true).http2_prior_knowledge(),
        }
    }

    #[cfg(not(feature = "http2"))]
    fn versioned(&self, builder: ClientBuilder, _: bool) -> ClientBuilder {
        debug_assert!(!self.http2, "nothing sets it without the feature");
        builder
    }

    #[cfg(feature = "tls")]
    fn secure(&self, mut builder: ClientBuilder) -> Result<ClientBuilder> {
        if let Some(Pem(pem)) = &self.ca {
            let wrong = || Error::invalid("the certificate authority is no PEM certificate");
            let pem = pem.expose_secret().as_bytes();
            let authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| wrong().with_source(e))?;
            // A text without any certificate is an empty list.
            if authorities.is_empty() {
                return Err(wrong());
            }
            builder = authorities.into_iter().fold(builder, ClientBuilder::add_root_certificate);
        }
        if let Some(Pem(pem)) = &self.identity {
            let identity = reqwest::Identity::from_pem(pem.expose_secret().as_bytes()).map_err(|e| {
                Error::invalid("the client certificate is no PEM with a certificate and a key").with_source(e)
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, builder: ClientBuilder) -> Result<ClientBuilder> {
        let given = [&self.ca, &self.identity].into_iter().flatten().any(|Pem(pem)| !pem.expose_secret().is_empty());
        if given {
            return Err(Error::invalid("certificates need HTTPS: enable the feature `tls`"));
        }
        Ok(builder)
    }
}
