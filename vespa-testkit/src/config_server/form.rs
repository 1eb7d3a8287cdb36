//! `multipart/form-data` with a package and its parameters.

use super::refusal::{Outcome, Refusal};
use crate::message::Request;
use bytes::Bytes;
use serde_json::Value;

/// A form's parts that mean something.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// `applicationPackage`
    pub(crate) package: Option<Part>,
    /// What `prepareParams` holds, as if it stood in the query.
    pub(crate) parameters: Vec<(String, String)>,
}

/// A part with its media type.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) kind: String,
    pub(crate) content: Bytes,
}

/// Reads a request's form.
pub(crate) fn read(request: &Request) -> Outcome<Form> {
    let header = request.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = header.and_then(|header| parameter(header, "boundary"));
    let boundary = boundary.ok_or_else(|| Refusal::bad_request("the form has no boundary"))?;
    let mut form = Form::default();
    for (start, end) in parts(&request.body, format!("--{boundary}").as_bytes()) {
        let part = request.body.slice(start..end);
        let Some(blank) = find(&part, b"\r\n\r\n") else {
            return Err(Refusal::bad_request("a part of the form has no headers"));
        };
        let headers = String::from_utf8_lossy(part.get(..blank).unwrap_or_default()).into_owned();
        let content = part.slice(blank + 4..);
        let named = |wanted: &str| {
            headers.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
            })
        };
        match named("content-disposition").as_deref().and_then(|value| parameter(value, "name")) {
            Some("applicationPackage") => {
                form.package = Some(Part { kind: named("content-type").unwrap_or_default(), content });
            }
            Some("prepareParams") => form.parameters = parameters(&content)?,
            _ => {}
        }
    }
    Ok(form)
}

fn parameters(content: &[u8]) -> Outcome<Vec<(String, String)>> {
    let Ok(Value::Object(object)) = serde_json::from_slice(content) else {
        return Err(Refusal::bad_request("the part 'prepareParams' is not a JSON object"));
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(object.into_iter().map(|(key, value)| (key, text(value))).collect())
}

/// A parameter of a header's value, without its quotes.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// Returns the ranges of the parts, without the line breaks around them.
fn parts(body: &[u8], delimiter: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    while let Some(next) = body.get(at..).and_then(|rest| find(rest, delimiter)).map(|offset| at + offset) {
        if let Some(start) = start {
            found.push((start, next.saturating_sub(2).max(start)));
        }
        at = next + delimiter.len();
        if body.get(at..).is_some_and(|rest| rest.starts_with(b"--")) {
            break;
        }
        start = Some((at + 2).min(body.len()));
    }
    found
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len().max(1)).position(|window| window == needle)
}
