//! `validation-overrides.xml`: permission to remove a schema, for one deployment.
//!
//! Vespa's permission speaks of the whole application, so it is there only while a schema is dropped that a caller named,
//! and the next deployment takes it out again. What others wrote in the file stays.

use cogniverse_sdk::{Error, ErrorKind, Result};

/// Where it lies in the package.
pub(crate) const PATH: &str = "validation-overrides.xml";
/// How a permission of ours is known.
const MARK: &str = "comment=\"cogniverse: drop of ";

/// The file with a permission until a day (inclusive, UTC), for a schema's drop.
pub(crate) fn allow(text: Option<&str>, until: jiff::civil::Date, schema: &str) -> Result<String> {
    let line = format!("  <allow until=\"{until}\" {MARK}{schema}\">schema-removal</allow>\n");
    let Some(text) = text else {
        return Ok(format!("<validation-overrides>\n{line}</validation-overrides>\n"));
    };
    let place = text.rfind("</validation-overrides>").ok_or_else(|| {
        Error::new(
            ErrorKind::FailedPrecondition,
            format!("{PATH} of the active application has no end that can be found"),
        )
    })?;
    let (head, tail) = text.split_at(place);
    let head = if head.ends_with('\n') || head.is_empty() { head.to_owned() } else { format!("{head}\n") };
    Ok(format!("{head}{line}{tail}"))
}

/// The file without our permissions; none where nothing else is in it.
pub(crate) fn without_ours(text: &str) -> Option<String> {
    if !text.contains(MARK) {
        return Some(text.to_owned());
    }
    let kept: String = text.split_inclusive('\n').filter(|line| !line.contains(MARK)).collect();
    if kept.contains("<allow") || kept.contains("<!--") { Some(kept) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_comes_and_goes_and_others_stay() {
        let until = jiff::civil::date(2026, 11, 25);
        let alone = allow(None, until, "video_acme").unwrap();
        assert!(alone.contains("until=\"2026-11-25\""));
        assert_eq!(without_ours(&alone), None);
        let theirs =
            "<validation-overrides>\n  <allow until='2026-12-01'>indexing-change</allow>\n</validation-overrides>\n";
        let both = allow(Some(theirs), until, "video_acme").unwrap();
        assert_ne!(both, theirs);
        assert_eq!(without_ours(&both).as_deref(), Some(theirs));
        assert_eq!(without_ours(theirs).as_deref(), Some(theirs));
        assert!(allow(Some("<broken"), until, "x").is_err());
    }
}
