//! The one error type that every role returns.

use std::{fmt, time::Duration};

/// What a caller can branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named thing does not exist.
    NotFound,
    /// The request itself is wrong and will stay wrong.
    InvalidInput,
    /// Somebody else changed, holds or owns the thing: another version, another writer, another pair behind one name.
    Conflict,
    /// The thing exists and is not in the state that the call needs, such as a suspended tenant.
    FailedPrecondition,
    /// The implementation cannot do this, ever.
    Unsupported,
    /// The caller is not known.
    Unauthenticated,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// A quota or a queue is full.
    RateLimited,
    /// The deadline passed before the work ended.
    Timeout,
    /// The other side could not be reached, or the disk could not be read or written.
    Unavailable,
    /// Stored bytes do not say what they must.
    Corrupt,
    /// A bug, here or below.
    Unexpected,
}

/// Whether trying the same call again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It cannot.
    Never,
    /// It can, after the given time where one is known.
    After(Option<Duration>),
    /// It was tried already as often as configured.
    Exhausted,
}

type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<BoxError>,
}

/// The error of every role: one pointer wide, with a kind, a retry hint, named context and a source.
///
/// `Display` names the value that was wrong and the remedy; it never repeats [`std::error::Error::source`].
pub struct Error(Box<Inner>);

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

/// How many alternatives an "unknown X" message lists before it says how many more there are.
const MAX_ALTERNATIVES: usize = 20;

impl Error {
    /// An error of a kind; never retried until [`Error::with_retry`] says otherwise.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            operation: "",
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// A request that is wrong in itself.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// A bug: a state that this code believed impossible.
    #[must_use]
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unexpected, message)
    }

    /// The named thing does not exist; lists what does (invariant 16).
    #[must_use]
    pub fn unknown<I, S>(what: &'static str, name: impl fmt::Display, existing: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: fmt::Display,
    {
        let mut names: Vec<String> = existing.into_iter().map(|s| s.to_string()).collect();
        names.sort();
        let more = names.len().saturating_sub(MAX_ALTERNATIVES);
        names.truncate(MAX_ALTERNATIVES);
        let list = match (names.is_empty(), more) {
            (true, _) => "none exists".to_owned(),
            (false, 0) => format!("there are: {}", names.join(", ")),
            (false, more) => format!("there are: {}, and {more} more", names.join(", ")),
        };
        Self::new(ErrorKind::NotFound, format!("unknown {what} \"{name}\"; {list}"))
    }

    /// Adds a named value.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Names the operation that failed.
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// Says whether trying again can help.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// What the caller can branch on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether [`Retry::After`] was said.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.retry, Retry::After(_))
    }

    /// The operation that failed, or an empty string.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The message without context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The named values.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// The message followed by every cause, on one line: for a log line or a person.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let operation = (!self.0.operation.is_empty()).then_some(("operation", self.0.operation));
        let mut separator = " (";
        for (key, value) in operation.into_iter().chain(self.context()) {
            write!(f, "{separator}{key}={value}")?;
            separator = ", ";
        }
        if separator == ", " { f.write_str(")") } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_value_context_and_not_the_source() {
        let error = Error::invalid("bad thing \"x\"; use y")
            .with_context("tenant", "acme")
            .with_operation("search")
            .with_source(std::io::Error::other("disk"));
        assert_eq!(error.to_string(), "bad thing \"x\"; use y (operation=search, tenant=acme)");
        assert_eq!(error.chain(), "bad thing \"x\"; use y (operation=search, tenant=acme): disk");
    }

    #[test]
    fn invariant_16_unknown_lists_what_exists() {
        let error = Error::unknown("strategy", "nope", ["b", "a"]);
        assert_eq!(error.to_string(), "unknown strategy \"nope\"; there are: a, b");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let none = Error::unknown("profile", "x", Vec::<String>::new());
        assert!(none.to_string().ends_with("none exists"));
    }
}
