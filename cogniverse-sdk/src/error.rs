//! The one error type that every role returns.

mod code;
mod kind;
mod public;

pub use code::ErrorCode;
pub use kind::{ErrorKind, Retry};
pub use public::PublicError;

use std::fmt;

type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

struct Inner {
    code: ErrorCode,
    retry: Retry,
    operation: &'static str,
    message: String,
    public_message: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    withheld: Option<String>,
    source: Option<BoxError>,
}

/// The error of every role: one pointer wide, with a code, a retry hint, named context and a source.
///
/// `Display` names the value that was wrong and the remedy; it never repeats [`std::error::Error::source`].
///
/// What another program or a model said may repeat the text of a user. It stands in [`Error::withheld`], which neither
/// `Display` nor `Debug` nor [`Error::chain`] shows, so that it enters no log and no span.
pub struct Error(Box<Inner>);

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

/// How many alternatives an "unknown X" message lists before it says how many more there are.
const MAX_ALTERNATIVES: usize = 20;

/// The most characters of what [`Error::with_withheld`] keeps.
const MAX_WITHHELD: usize = 2000;

/// Returns why and where JSON could not be parsed, without any of its text: the parser's own words repeat what it met.
#[must_use]
pub fn json_problem(error: &serde_json::Error) -> String {
    let said = error.to_string();
    // These name a field of the form that was expected, or nothing.
    if error.classify() != serde_json::error::Category::Data || said.starts_with("missing field") {
        return said;
    }
    format!("a value is of another kind at line {}, column {}", error.line(), error.column())
}

impl Error {
    /// An error with the code of its kind, for cases that no service needs to tell apart; else [`Error::of`]. Never retried
    /// until [`Error::with_retry`] says otherwise.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::of(ErrorCode::of_kind(kind), message)
    }

    /// An error with a code, whose kind is the code's.
    #[must_use]
    pub fn of(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            retry: Retry::Never,
            operation: "",
            message: message.into(),
            public_message: None,
            context: Vec::new(),
            withheld: None,
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

    /// The named thing does not exist; lists what does ([invariant 16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16)).
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

    /// Sets the code, and with it the kind.
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.0.code = code;
        self
    }

    /// Marks an error as one of a server behind the service: a code that is only the kind's becomes the kind's `backend_` code. What
    /// such a server answers to the service is not what the service answers to its own caller: its 401 is no 401 of ours.
    #[must_use]
    pub fn at_backend(self) -> Self {
        let code = match self.code() {
            ErrorCode::Unavailable => ErrorCode::BackendUnavailable,
            ErrorCode::Timeout => ErrorCode::BackendTimeout,
            ErrorCode::RateLimited => ErrorCode::BackendOverloaded,
            ErrorCode::Unauthenticated => ErrorCode::BackendUnauthenticated,
            ErrorCode::PermissionDenied => ErrorCode::BackendForbidden,
            own => own,
        };
        self.with_code(code)
    }

    /// Sets what [`Error::public`] shows in place of the code's own message. It is a constant, so that no value of a request or of
    /// another tenant can be in it.
    #[must_use]
    pub fn with_public_message(mut self, message: &'static str) -> Self {
        self.0.public_message = Some(message);
        self
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

    /// Keeps what another program or a model said, of which the first 2,000 characters are enough. Empty text is none.
    #[must_use]
    pub fn with_withheld(mut self, said: impl AsRef<str>) -> Self {
        let said: String = said.as_ref().trim().chars().take(MAX_WITHHELD).collect();
        self.0.withheld = (!said.is_empty()).then_some(said);
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

    /// The stable machine code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The broad kind, which is the code's.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.code.kind()
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

    /// Returns the text of another program or a model, for a developer who looks into one failure: it may hold the text of a user, so
    /// write it to no log. Of this error itself, else of the nearest cause that keeps any.
    #[must_use]
    pub fn withheld(&self) -> Option<&str> {
        let cause = || std::error::Error::source(self)?.downcast_ref::<Self>()?.withheld();
        self.0.withheld.as_deref().or_else(cause)
    }

    /// The message followed by every cause, on one line: for a log line or a person.
    #[must_use]
    pub fn chain(&self) -> String {
        self.causes().fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// The causes, from the nearest to the root.
    pub fn causes(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        std::iter::successors(std::error::Error::source(self), |cause| cause.source())
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
        write!(f, "{:?}: {}", self.kind(), self.chain())
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
    fn what_is_withheld_is_shown_by_nothing_but_its_accessor() {
        let error = Error::unexpected("no JSON").with_withheld(" canary ");
        let outer = Error::invalid("outer").with_source(error);
        assert_eq!(outer.withheld(), Some("canary"));
        for text in [outer.to_string(), format!("{outer:?}"), format!("{outer:#?}"), outer.chain()] {
            assert!(!text.contains("canary"), "{text}");
        }
        assert_eq!(Error::invalid("x").with_withheld(" ").withheld(), None);
        assert_eq!(
            Error::invalid("x").with_withheld("é".repeat(9000)).withheld().map(|t| t.chars().count()),
            Some(2000)
        );
    }

    #[test]
    fn why_json_cannot_be_read_holds_none_of_it() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            #[expect(dead_code, reason = "only read")]
            number: u8,
        }
        for text in [
            r#"{"number":"canary"}"#,
            r#"{"canary":1}"#,
            "canary",
            r#"{"number":1}canary"#,
            r#"{"number":1,"number":2}"#,
        ] {
            let problem = json_problem(&serde_json::from_str::<Form>(text).unwrap_err());
            assert!(!problem.contains("canary") && problem.contains("column"), "{problem}");
        }
        assert!(json_problem(&serde_json::from_str::<Form>("{}").unwrap_err()).contains("missing field `number`"));
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
