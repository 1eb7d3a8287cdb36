//! Limits on memories: sizes, characters and vectors.

use crate::text::is_text;
use cogniverse_sdk::{Error, ErrorCode, Result, memory_store::MemoryFilter, tensor::check_finite};
use serde_json::{Map, Value};

/// The largest size of a memory's text in bytes.
pub const MAX_TEXT: usize = 16_384;
/// The largest size of a memory's metadata in bytes of JSON.
pub const MAX_METADATA: usize = 16_384;
/// The largest number of metadata members.
pub const MAX_MEMBERS: usize = 64;
/// The largest number of hits of a search.
pub const MAX_TOP_K: usize = 100;
/// The largest number of memories in a page.
pub const MAX_PAGE: usize = 1000;
/// The largest size in bytes of a metadata member that can be filtered by.
pub(super) const MAX_TAG: usize = 256;

/// Trims a text and checks that it can be stored.
pub(super) fn check_text(text: &str) -> Result<&str> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Error::invalid("the text of a memory is empty; give at least one word")
            .with_public_message("The text of a memory is empty."));
    }
    if trimmed.len() > MAX_TEXT {
        let message = format!(
            "the text of a memory is {} bytes long; give at most {MAX_TEXT}, or several memories",
            trimmed.len()
        );
        return Err(Error::of(ErrorCode::TextTooLong, message));
    }
    let is_odd = |c: char| !is_text(c) || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    let odd = trimmed.char_indices().find(|(_, c)| is_odd(*c));
    match odd {
        Some((place, c)) => Err(Error::invalid(format!(
            "the text of a memory has the control character {c:?} at byte {place}; remove it"
        ))),
        None => Ok(trimmed),
    }
}

pub(super) fn check_metadata(metadata: &Map<String, Value>) -> Result<()> {
    if metadata.len() > MAX_MEMBERS {
        return Err(Error::invalid(format!("the metadata has {} members; give at most {MAX_MEMBERS}", metadata.len())));
    }
    let bytes = serde_json::to_string(metadata).map_or(usize::MAX, |json| json.len());
    if bytes > MAX_METADATA {
        return Err(Error::invalid(format!("the metadata is {bytes} bytes of JSON; give at most {MAX_METADATA}")));
    }
    Ok(())
}

/// Normalizes a vector to length 1 ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
pub(super) fn unit(vector: &[f32], dims: usize) -> Result<Vec<f32>> {
    if vector.len() != dims {
        return Err(Error::invalid(format!(
            "the vector has {} cells and the memories' have {dims}; embed with their model, or re-embed them by `reembed`",
            vector.len()
        )));
    }
    check_finite(vector)?;
    let length = vector.iter().map(|cell| f64::from(*cell).powi(2)).sum::<f64>().sqrt();
    if length <= 0.0 {
        return Err(Error::invalid("the vector has no direction; check the embedding model"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "cells of a unit vector")]
    let scaled = |cell: &f32| (f64::from(*cell) / length) as f32;
    Ok(vector.iter().map(scaled).collect())
}

/// Returns the tag of a metadata member, if it can be filtered by.
pub(super) fn tag(key: &str, value: &Value) -> Option<String> {
    let plain = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let tag = format!("{key}={value}");
    (plain && tag.len() <= MAX_TAG && !tag.chars().any(char::is_control)).then_some(tag)
}

/// Refuses a filter that no memory can match.
pub(super) fn check_filter(filter: &MemoryFilter) -> Result<()> {
    match filter.metadata.iter().find(|(key, value)| tag(key, value).is_none()) {
        Some((key, _)) => Err(Error::of(
            ErrorCode::FilterInvalid,
            format!(
                "the filter compares the member \"{key}\" with a value that is not a short text, number or boolean; give one of at most {MAX_TAG} bytes"
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_remembered() {
        assert_eq!(check_text("  a\nb ").unwrap(), "a\nb");
        for (bad, why) in [(" \n", "empty"), (&*"x".repeat(1 << 20), "16384"), ("a\u{0}b", "'\\0' at byte 1")] {
            let error = check_text(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let many: Map<String, Value> = (0..65).map(|n| (n.to_string(), n.into())).collect();
        assert!(check_metadata(&many).is_err());
        assert!(check_metadata(&Map::from_iter([("a".into(), "x".repeat(20_000).into())])).is_err());
    }

    #[test]
    fn invariant_17_vectors_have_a_direction() {
        assert_eq!(unit(&[3.0, 4.0], 2).unwrap(), [0.6, 0.8]);
        for bad in [&[0.0, 0.0][..], &[1.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0]] {
            assert!(unit(bad, 2).is_err(), "{bad:?}");
        }
    }
}
