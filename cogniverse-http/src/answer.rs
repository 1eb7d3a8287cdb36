//! Complete responses.

use crate::{failure, retry_after};
use bytes::Bytes;
use cogniverse_sdk::{Error, ErrorCode, Result};
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use std::{fmt, time::Duration};

/// A whole answer, of any status. `Debug` does not show its body.
#[derive(Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Answer {
    /// An answer from its parts, for tests of a [`Protocol`](crate::Protocol).
    #[must_use]
    pub fn new(status: StatusCode, headers: HeaderMap, body: impl Into<Bytes>) -> Self {
        Self { status, headers, body: body.into() }
    }

    /// Reads an answer to its end, of at most `most` bytes.
    ///
    /// # Errors
    /// `Unavailable` for a connection that broke, and for an answer of more than `most` bytes.
    pub async fn read(server: &str, mut response: Response, most: usize) -> Result<Self> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let broke = |error| failure::of_transport(server, error);
        let too_large = || {
            let message = format!("the answer of {server} is larger than {most} bytes; ask for less at once");
            Error::of(ErrorCode::BackendUnavailable, message)
        };
        // Most answers come in one piece, which need not be copied.
        let mut body = response.chunk().await.map_err(broke)?.unwrap_or_default();
        let mut joined = None::<Vec<u8>>;
        if body.len() > most {
            return Err(too_large());
        }
        while let Some(piece) = response.chunk().await.map_err(broke)? {
            let all = joined.get_or_insert_with(|| body.to_vec());
            if all.len().saturating_add(piece.len()) > most {
                return Err(too_large());
            }
            all.extend_from_slice(&piece);
        }
        if let Some(all) = joined {
            body = all.into();
        }
        Ok(Self { status, headers, body })
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the status is one of success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The text of a header; empty where it is missing or no text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The content type; empty where it is missing.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE.as_str())
    }

    /// Returns the delay that the server asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after::retry_after(self.header(RETRY_AFTER.as_str()))
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}
