//! Times as parameters: `5`, `5s`, `500ms`.

/// Milliseconds; a bare number is seconds.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let factor = match unit.trim() {
        "" | "s" => 1e3,
        "ks" => 1e6,
        "ms" => 1.0,
        "us" | "µs" => 1e-3,
        _ => return None,
    };
    Some((number * factor) as u64)
}
