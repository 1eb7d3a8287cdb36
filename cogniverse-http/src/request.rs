//! Requests to a server.

use bytes::Bytes;
use cogniverse_sdk::{Error, Result};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::Serialize;
use std::fmt;
use url::Url;

/// The most that is read of an answer where a request names no other bound: 64 MiB.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The conditions under which a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repeat {
    /// After every transient failure: for reads, and for idempotent writes.
    Always,
    /// Only where the server cannot have begun: no connection was made, or it refused for its load (429, 503).
    Unstarted,
    /// Never: the outcome of a failed attempt is not known.
    Never,
}

/// A request. `Debug` shows its method and path alone.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) repeat: Repeat,
    max_answer_bytes: usize,
    subject: Option<String>,
    segments: Vec<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Request").field(&self.name()).finish()
    }
}

impl Request {
    /// A request to a whole address. GET, PUT and DELETE may be repeated always, others only unstarted.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        let repeat = if matches!(method, Method::GET | Method::PUT | Method::DELETE) {
            Repeat::Always
        } else {
            Repeat::Unstarted
        };
        let (headers, body, subject) = (HeaderMap::new(), None, None);
        Self { method, url, headers, body, repeat, max_answer_bytes: MAX_ANSWER_BYTES, subject, segments: Vec::new() }
    }

    /// Adds a parameter to the query; it is percent-encoded.
    #[must_use]
    pub fn with_query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    /// Adds a parameter to the query once for each value.
    #[must_use]
    pub fn with_queries(self, name: &str, values: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        values.into_iter().fold(self, |request, value| request.with_query(name, value))
    }

    /// Sets the body to a value as JSON.
    ///
    /// # Errors
    /// `InvalidInput` for a value that JSON cannot hold.
    pub fn with_json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)
            .map_err(|e| Error::invalid("the request cannot be written as JSON").with_source(e))?;
        Ok(self.with_body(HeaderValue::from_static("application/json"), body))
    }

    /// Sets the body and its content type.
    #[must_use]
    pub fn with_body(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.with_header(CONTENT_TYPE, content_type)
    }

    /// Sets a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets when it may be sent again.
    #[must_use]
    pub fn with_repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Sets [`Self::max_answer_bytes`].
    #[must_use]
    pub fn with_max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Sets what it is about, such as the name of a model, for [`Protocol::refusal`](crate::Protocol::refusal).
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The most that is read of its answer, in bytes (default 64 MiB).
    #[must_use]
    pub fn max_answer_bytes(&self) -> usize {
        self.max_answer_bytes
    }

    /// Returns the subject of the request.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub(crate) fn with_segments<'s>(mut self, segments: impl IntoIterator<Item = &'s str>) -> Self {
        self.segments = segments.into_iter().map(str::to_owned).collect();
        self
    }

    /// The path segments that it was made from, as given; none for a request that was made from a whole address.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Method and path, as errors name it. The query may hold secrets and is left out.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }
}
