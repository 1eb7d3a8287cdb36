//! The two serialized views of an error: the customer's and the operator's.

use super::{Error, ErrorCode, ErrorKind, Retry, kind::milliseconds_of};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The view of an error that is safe to show to a customer.
///
/// Its message is a constant of the library, of [`ErrorCode::public_message`] or [`Error::with_public_message`]: no value of a
/// request, a tenant, a path, an address or another program's answer can be in it.
///
/// ```
/// use cogniverse_sdk::{Error, ErrorCode};
///
/// let error = Error::of(ErrorCode::TenantSuspended, "tenant \"acme\" is suspended since yesterday (unpaid)");
/// let json = serde_json::to_string(&error.public())?;
/// assert_eq!(json, r#"{"code":"tenant_suspended","kind":"failed_precondition","message":"This account is suspended."}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Received")]
pub struct PublicError {
    code: ErrorCode,
    message: Cow<'static, str>,
    retry_after_ms: Option<u64>,
}

impl PublicError {
    /// The stable machine code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The broad kind, which is the code's.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The text for the customer.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the delay before a retry in milliseconds, for a `Retry-After` header; `None` where the error names
    /// none.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.retry_after_ms
    }

    /// The HTTP status to answer with.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.code.http_status()
    }
}

impl fmt::Display for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Serialize for PublicError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 3 + usize::from(self.retry_after_ms.is_some());
        let mut json = serializer.serialize_struct("PublicError", fields)?;
        json.serialize_field("code", &self.code)?;
        json.serialize_field("kind", &self.kind())?;
        json.serialize_field("message", &self.message)?;
        match self.retry_after_ms {
            Some(time) => json.serialize_field("retry_after_ms", &time)?,
            None => json.skip_field("retry_after_ms")?,
        }
        json.end()
    }
}

/// What a client receives: a newer service may have codes that this release does not know.
#[derive(Deserialize)]
struct Received {
    code: String,
    kind: ErrorKind,
    message: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

impl TryFrom<Received> for PublicError {
    type Error = Error;

    fn try_from(received: Received) -> Result<Self, Error> {
        let Received { code, kind, message, retry_after_ms } = received;
        let code = code.parse().unwrap_or(ErrorCode::of_kind(kind));
        if code.kind() != kind {
            return Err(Error::invalid(format!("the error code {code} is not of the kind {kind:?}")));
        }
        Ok(Self { code, message: message.into(), retry_after_ms })
    }
}

impl Error {
    /// The view that is safe to show to a customer; what an operator needs stays in the error itself.
    #[must_use]
    pub fn public(&self) -> PublicError {
        let code = self.code();
        let retry_after_ms = match self.retry() {
            Retry::After(time) => time.map(milliseconds_of),
            Retry::Never | Retry::Exhausted => None,
        };
        let message = self.0.public_message.unwrap_or_else(|| code.public_message());
        PublicError { code, message: message.into(), retry_after_ms }
    }
}

/// The operator's view, for a log and never for a customer: code, kind, message, operation, context, retry and the text of every
/// cause. [`Error::withheld`] is not in it.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut context: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
        for (key, value) in self.context() {
            // Two layers may name the same key, and an object has it once.
            let known = context.entry(key).or_insert(Cow::Borrowed(value));
            if *known != value {
                *known = format!("{known}, {value}").into();
            }
        }
        let mut json = serializer.serialize_struct("Error", 7)?;
        json.serialize_field("code", &self.code())?;
        json.serialize_field("kind", &self.kind())?;
        json.serialize_field("message", self.message())?;
        json.serialize_field("operation", self.operation())?;
        json.serialize_field("context", &context)?;
        json.serialize_field("retry", &self.retry())?;
        json.serialize_field("causes", &self.causes().map(ToString::to_string).collect::<Vec<_>>())?;
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn any_code() -> impl Strategy<Value = ErrorCode> {
        prop::sample::select(ErrorCode::ALL)
    }

    fn any_retry() -> impl Strategy<Value = Retry> {
        let after = prop::option::of(0..u64::MAX).prop_map(|ms| Retry::After(ms.map(Duration::from_millis)));
        prop_oneof![Just(Retry::Never), Just(Retry::Exhausted), after]
    }

    proptest! {
        #[test]
        fn the_public_view_is_the_same_whatever_the_error_holds(
            code in any_code(), retry in any_retry(), texts in prop::array::uniform6(".{1,40}"), marked in any::<bool>(),
        ) {
            let [message, value, withheld, cause, inner, root] = texts;
            let bare = Error::of(code, "").with_retry(retry);
            let root = std::io::Error::other(root);
            let cause = Error::of(code, cause).with_withheld(inner).with_source(root);
            let full = Error::of(code, message)
                .with_retry(retry)
                .with_context("tenant", value)
                .with_withheld(withheld)
                .with_operation("canary")
                .with_source(cause);
            let mark = |error: Error| if marked { error.with_public_message("Give 1 to 1000.") } else { error };
            let (bare, full) = (mark(bare).public(), mark(full).public());
            prop_assert_eq!(&bare, &full);
            prop_assert_eq!(full.message(), if marked { "Give 1 to 1000." } else { code.public_message() });
            prop_assert_eq!(full.to_string(), full.message());
            let json = serde_json::to_string(&full).unwrap();
            prop_assert_eq!(serde_json::from_str::<PublicError>(&json).unwrap(), bare);
        }

        #[test]
        fn the_operators_view_never_holds_what_is_withheld(code in any_code(), retry in any_retry()) {
            let cause = Error::of(code, "the cause").with_withheld("canary").with_context("status", 500);
            let error = Error::of(code, "the message")
                .with_retry(retry)
                .with_withheld("canary")
                .with_operation("search")
                .with_context("schema", "frames")
                .with_context("schema", "frames")
                .with_context("schema", "chunks")
                .with_source(cause);
            let json = serde_json::to_value(&error).unwrap();
            prop_assert!(!json.to_string().contains("canary"));
            prop_assert_eq!(json, serde_json::json!({
                "code": code.as_str(),
                "kind": code.kind(),
                "message": "the message",
                "operation": "search",
                "context": { "schema": "frames, chunks" },
                "retry": retry,
                "causes": ["the cause (status=500)"],
            }));
            let written = serde_json::to_value(retry).unwrap();
            prop_assert_eq!(serde_json::from_value::<Retry>(written).unwrap(), retry);
        }
    }

    #[test]
    fn the_public_view_says_when_to_come_back_in_whole_milliseconds_rounded_up() {
        let error = Error::of(ErrorCode::SearchQueueFull, "9 searches wait already");
        let json = |error: Error| serde_json::to_value(error.public()).unwrap();
        assert_eq!(
            json(error.with_retry(Retry::After(Some(Duration::from_micros(1500))))),
            serde_json::json!({
                "code": "search_queue_full",
                "kind": "rate_limited",
                "message": "The service is busy. Try again later.",
                "retry_after_ms": 2,
            })
        );
        let unknown = Error::of(ErrorCode::Timeout, "slow").with_retry(Retry::After(None));
        assert_eq!(json(unknown).get("retry_after_ms"), None);
        assert_eq!(serde_json::to_value(Retry::After(None)).unwrap(), serde_json::json!({ "after_ms": null }));
        assert_eq!(serde_json::to_value(Retry::Never).unwrap(), "never");
    }

    #[test]
    fn a_client_reads_the_kind_of_a_code_that_a_newer_release_added() {
        let read = |code: &str, kind: &str| {
            let json = serde_json::json!({ "code": code, "kind": kind, "message": "m" });
            serde_json::from_value::<PublicError>(json).map(|error| error.code())
        };
        assert_eq!(read("of_the_future", "conflict").unwrap(), ErrorCode::Conflict);
        assert_eq!(read("tenant_unknown", "not_found").unwrap(), ErrorCode::TenantUnknown);
        assert!(read("tenant_unknown", "conflict").is_err(), "code and kind disagree");
    }
}
