//! SubRip (`.srt`) and WebVTT (`.vtt`): blocks of a timing line and lines of text.

use super::RawCue;
use cogniverse_sdk::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Srt,
    Vtt,
}

pub(super) fn parse(text: &str, form: Form) -> Result<Vec<RawCue>> {
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).zip(1..).peekable();
    if form == Form::Vtt && !lines.next().is_some_and(|(line, _)| line.starts_with("WEBVTT")) {
        return Err(Error::invalid("line 1 is not \"WEBVTT\"; a .vtt file begins with it"));
    }
    let mut cues = Vec::new();
    while let Some((line, number)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if form == Form::Vtt
            && ["NOTE", "STYLE", "REGION"]
                .iter()
                .any(|word| line.trim() == *word || line.starts_with(&format!("{word} ")))
        {
            while lines.next_if(|(line, _)| !line.trim().is_empty()).is_some() {}
            continue;
        }
        // A line before the times is the cue's name or number; in .vtt's head it may be metadata without any times.
        let (timing, number) = if line.contains("-->") {
            (line, number)
        } else {
            match lines.next() {
                Some((timing, number)) if timing.contains("-->") => (timing, number),
                _ if form == Form::Vtt && cues.is_empty() => continue,
                after => {
                    let number = after.map_or(number, |(_, after)| after);
                    return Err(Error::invalid(format!(
                        "no times at line {number}; a cue is written 00:00:01,000 --> 00:00:02,000"
                    )));
                }
            }
        };
        let (start, end) = times(timing).ok_or_else(|| {
            Error::invalid(format!(
                "the times at line {number} cannot be read: \"{}\"; write 00:00:01,000 --> 00:00:02,000",
                timing.trim()
            ))
        })?;
        let mut said = String::new();
        while let Some((line, _)) = lines.next_if(|(line, _)| !line.trim().is_empty()) {
            said.push_str(&plain(line));
            said.push(' ');
        }
        cues.push(RawCue { line: number, start, end, text: said });
    }
    Ok(cues)
}

/// The two times; WebVTT's settings after them are passed over.
fn times(line: &str) -> Option<(f64, f64)> {
    let (start, rest) = line.split_once("-->")?;
    let end = rest.split_whitespace().next()?;
    Some((seconds(start.trim())?, seconds(end)?))
}

/// `hh:mm:ss,mmm`, `hh:mm:ss.mmm` or `mm:ss.mmm`.
fn seconds(text: &str) -> Option<f64> {
    let mut parts = text.split(':').rev();
    let last = parts.next()?.replace(',', ".");
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<f64>().ok()).flatten();
    if !last.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let within: f64 = last.parse().ok()?;
    let minutes = number(parts.next()?)?;
    let hours = parts.next().map_or(Some(0.0), number)?;
    (parts.next().is_none() && within < 60.0 && minutes < 60.0).then_some(hours * 3600.0 + minutes * 60.0 + within)
}

/// Without `<i>`-like tags and with the few entities that subtitles use.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        match tag.split_once('>') {
            Some((_, after)) => rest = after,
            None => {
                text.push('<');
                rest = tag;
            }
        }
    }
    text.push_str(rest);
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&")
}
