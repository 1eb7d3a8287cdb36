//! Conversion of Phoenix's errors in all their forms.

use cogniverse_http::{Answer, Protocol, Request};
use cogniverse_sdk::{Error, ErrorKind, Retry};
use serde_json::Value;

/// What of an answer is kept.
const SHOWN: usize = 2000;

/// What the adapter knows of Phoenix.
#[derive(Debug)]
pub(crate) struct Phoenix;

impl Protocol for Phoenix {
    fn server(&self) -> &str {
        "Phoenix"
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> Error {
        if answer.status().as_u16() == 404 && !is_absence(request, answer) {
            return of_foreign_404(answer.body());
        }
        of_status(answer)
    }
}

fn of_status(answer: &Answer) -> Error {
    let (status, said) = (answer.status(), said(answer.body()));
    let again = Retry::After(answer.retry_after());
    let (kind, retry, message) = match status.as_u16() {
        401 => (
            ErrorKind::Unauthenticated,
            Retry::Never,
            "Phoenix does not know the API key; set one by PhoenixConfig::with_api_key".to_owned(),
        ),
        403 => (
            ErrorKind::PermissionDenied,
            Retry::Never,
            "the API key may not do this; use an administrator's user key or the admin secret".to_owned(),
        ),
        404 => (ErrorKind::NotFound, Retry::Never, "Phoenix has no such thing".to_owned()),
        409 => (ErrorKind::Conflict, Retry::Never, "it is there already".to_owned()),
        400 | 405 | 413 | 415 | 422 => {
            (ErrorKind::InvalidInput, Retry::Never, format!("Phoenix refused the request with {status}"))
        }
        408 | 504 => (ErrorKind::Timeout, again, format!("Phoenix took too long ({status})")),
        429 => (ErrorKind::RateLimited, again, "Phoenix asks to slow down".to_owned()),
        500..=599 => (ErrorKind::Unavailable, again, format!("Phoenix failed with {status}")),
        _ => (ErrorKind::Unexpected, Retry::Never, format!("Phoenix answered {status}")),
    };
    Error::new(kind, message).with_retry(retry).with_withheld(said)
}

/// A 404 in words that are not Phoenix's: it says nothing of what Phoenix holds ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
fn of_foreign_404(body: &[u8]) -> Error {
    let message = "404 in words that are not Phoenix's: a proxy, or another server, is at this address; give that of Phoenix itself";
    Error::new(ErrorKind::Unavailable, message).with_withheld(said(body))
}

/// Whether a 404 says in Phoenix's own words that the thing does not exist.
pub(crate) fn is_absence(request: &Request, answer: &Answer) -> bool {
    let path: Vec<&str> = request.segments().iter().map(String::as_str).collect();
    !answer.content_type().starts_with("text/html") && says_absent(&path, answer.body())
}

/// Whether a 404 is Phoenix's own, of a thing: it begins with the kind of thing and names what was asked for. Of datasets and
/// experiments it may leave the id out; no others do, as `Project not found` is what hosting services say.
fn says_absent(path: &[&str], body: &[u8]) -> bool {
    let said = said(body);
    let (Some(kind), Some(id)) = (path.get(1), path.get(2)) else { return false };
    let (thing, nameless) = match *kind {
        "projects" => ("Project ", false),
        "traces" => ("Trace ", false),
        "datasets" => ("Dataset ", true),
        "experiments" => ("Experiment ", true),
        _ => return false,
    };
    let said = said.trim().trim_end_matches('.');
    // `No dataset with id … can be found.`
    if let Some(rest) = said.strip_prefix("No ").and_then(|rest| rest.strip_prefix(&*thing.to_lowercase())) {
        return rest.contains(id) && rest.ends_with(" can be found");
    }
    let Some(rest) = said.strip_prefix(thing) else { return false };
    let bare = nameless && matches!(rest, "not found" | "does not exist");
    bare || (rest.contains(id) && (rest.ends_with(" not found") || rest.ends_with(" does not exist")))
}

/// An answer that says 200 and is not what was asked for: the page of the user interface, a proxy's, half an answer.
pub(crate) fn no_json(request: &Request, answer: &Answer, why: &str) -> Error {
    let kind = answer.content_type();
    let message = if kind.starts_with("text/html") {
        "a web page answered in place of Phoenix's API; give the address of Phoenix itself".to_owned()
    } else {
        format!("the answer of Phoenix is not JSON of the expected form ({kind:?}): {why}")
    };
    Error::new(ErrorKind::Unavailable, message)
        .with_context("request", request.name())
        .with_withheld(said(answer.body()))
}

/// The reason in a body: of `{"detail": …}` and `{"error": …}`, or plain text.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let reason = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => match fields.get("detail").or_else(|| fields.get("error")) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(problems)) => problems.iter().map(problem).collect::<Vec<_>>().join("; "),
            Some(other) => other.to_string(),
            None => text.into_owned(),
        },
        _ if text.trim_start().starts_with("<") => "a web page".to_owned(),
        _ if text.trim().is_empty() => "no reason given".to_owned(),
        _ => text.into_owned(),
    };
    reason.chars().take(SHOWN).collect()
}

fn problem(problem: &Value) -> String {
    let place = problem.get("loc").map(ToString::to_string).unwrap_or_default();
    let message = problem.get("msg").and_then(Value::as_str).unwrap_or("not accepted");
    format!("{message} at {place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_phoenixs_own_words_say_that_a_thing_is_absent() {
        let project = ["v1", "projects", "acme"];
        for own in [
            "Project with name acme not found",
            "Project with ID acme not found",
            "Project with identifier acme not found",
        ] {
            assert!(says_absent(&project, own.as_bytes()), "{own}");
        }
        for foreign in [
            "",
            "Not Found",
            "404 page not found",
            "<html>Project with name acme not found</html>",
            "{}",
            r#"{"detail":"Not Found"}"#,
            "Project not found",
            "Project with name globex not found",
            "null",
            r#"{"error":"no route for acme"}"#,
            "Project with name acme not found, says the cache",
        ] {
            assert!(!says_absent(&project, foreign.as_bytes()), "{foreign}");
        }
        assert!(says_absent(&["v1", "traces", "ab"], b"Trace with trace_id ab not found"));
        assert!(says_absent(&["v1", "datasets", "x"], b"Dataset does not exist"));
        assert!(says_absent(&["v1", "datasets", "x7"], b"No dataset with id x7 can be found."));
        assert!(!says_absent(&["v1", "datasets", "x7"], b"No dataset with id x8 can be found."));
        assert!(!says_absent(&["v1", "datasets", "x7"], b"No route for x7 can be found."));
        assert!(says_absent(&["v1", "experiments", "x"], b"Experiment not found"));
        assert!(!says_absent(&["healthz"], b"Project with name acme not found"));
    }
}
