//! The header `Retry-After`.

use std::time::Duration;

/// The longest delay that is accepted.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Parses the delay of a `Retry-After` header: whole seconds, or a date (RFC 9110, section 10.2.3). `None` for
/// anything else. More than a day counts as a day.
#[must_use]
pub fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    let time = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => DAY,
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            Duration::try_from(at.duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(time.min(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        let day = Some(Duration::from_secs(24 * 3600));
        assert_eq!((retry_after("99999999999"), retry_after("99999999999999999999999")), (day, day));
        assert_eq!(retry_after("Tue, 31 Dec 2199 23:59:59 GMT"), day);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!((retry_after("soon"), retry_after("-1"), retry_after("")), (None, None, None));
    }
}
