//! The two forms of cue files, and how they write times.

/// SubRip or WebVTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Srt,
    Vtt,
}

/// Parses `hh:mm:ss,mmm`, `hh:mm:ss.mmm` or `mm:ss.mmm`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let mut parts = text.split(':').rev();
    let last = parts.next()?.replace(',', ".");
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<f64>().ok()).flatten();
    if !last.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let within: f64 = last.parse().ok()?;
    let minutes = number(parts.next()?)?;
    let hours = parts.next().map_or(Some(0.0), number)?;
    let whole = parts.next().is_none() && within < 60.0 && minutes < 60.0;
    whole.then_some(hours * 3600.0 + minutes * 60.0 + within).filter(|seconds| seconds.is_finite())
}
