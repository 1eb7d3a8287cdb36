//! The last requests of one tenant in one modality, in two bytes each.

use cogniverse_sdk::{ErrorKind, Timestamp};
use std::{collections::BTreeMap, time::Duration};

/// The number of requests in a window.
pub(super) const WINDOW: usize = 1_000;
/// The bits of a kept time: 1 for a success, 4 for the exponent, 11 for the significant digits.
const SUCCESS: u16 = 1 << 15;
const DIGITS: u32 = 11;

/// Keeps a time in microseconds to 0.05 %, up to 67 seconds.
fn pack(micros: u64, is_success: bool) -> u16 {
    let length = u64::BITS - micros.leading_zeros();
    let mut exponent = length.saturating_sub(DIGITS);
    // Rounded to the nearest, which can carry into the next exponent.
    let mut digits = if exponent == 0 { micros } else { (micros >> (exponent - 1)).div_ceil(2) };
    if digits >> DIGITS > 0 {
        (digits, exponent) = (digits >> 1, exponent + 1);
    }
    let kept = match exponent {
        0..=15 => {
            u16::try_from(digits).unwrap_or(u16::MAX >> 5) | u16::try_from(exponent << DIGITS).unwrap_or_default()
        }
        _ => SUCCESS - 1,
    };
    if is_success { kept | SUCCESS } else { kept }
}

fn unpack(kept: u16) -> (u64, bool) {
    let exponent = u32::from(kept & !SUCCESS) >> DIGITS;
    let digits = u64::from(kept) & ((1 << DIGITS) - 1);
    (digits << exponent, kept & SUCCESS != 0)
}

/// What is counted of one tenant in one modality.
#[derive(Debug, Default)]
pub(super) struct Window {
    kept: Vec<u16>,
    /// The place of the next request, once the window is full.
    next: usize,
    pub(super) requests: u64,
    pub(super) successes: u64,
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) sum_micros: u64,
    pub(super) first_at: Option<Timestamp>,
    pub(super) last_at: Option<Timestamp>,
}

impl Window {
    pub(super) fn record(&mut self, took: Duration, error: Option<ErrorKind>, now: Timestamp) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let kept = pack(micros, error.is_none());
        match self.kept.get_mut(self.next).filter(|_| self.requests >= WINDOW as u64) {
            Some(slot) => *slot = kept,
            None => self.kept.push(kept),
        }
        self.next = (self.next + 1) % WINDOW;
        self.requests += 1;
        self.sum_micros = self.sum_micros.saturating_add(micros);
        match error {
            None => self.successes += 1,
            Some(kind) => *self.errors.entry(word(kind)).or_default() += 1,
        }
        self.first_at.get_or_insert(now);
        self.last_at = Some(now);
    }

    /// Returns the times of the window in microseconds, in order, and the number of successes among them.
    pub(super) fn sorted(&self) -> (Vec<u64>, u64) {
        let mut successes = 0;
        let mut times: Vec<u64> = self
            .kept
            .iter()
            .map(|kept| {
                let (micros, is_success) = unpack(*kept);
                successes += u64::from(is_success);
                micros
            })
            .collect();
        times.sort_unstable();
        (times, successes)
    }
}

/// The word of a kind: there are as many as there are kinds.
fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::Conflict => "conflict",
        ErrorKind::FailedPrecondition => "failed_precondition",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::QuotaExceeded => "quota_exceeded",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Unexpected => "unexpected",
        // Of a newer release.
        _ => "other",
    }
}

/// Returns the value below which a share of the sorted values lies, between two of them in proportion.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a thousand")]
pub(super) fn percentile(sorted: &[u64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default() as f64;
    let (below, above) = (at(place.floor() as usize), at(place.ceil() as usize));
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_kept_to_half_a_thousandth(micros in 0_u64..67_000_000, is_success in any::<bool>()) {
            let (kept, success) = unpack(pack(micros, is_success));
            prop_assert_eq!(success, is_success);
            prop_assert!(kept.abs_diff(micros) * 2_000 <= micros, "{} as {}", micros, kept);
        }
    }

    #[test]
    fn small_times_are_exact_and_long_ones_are_the_longest() {
        for micros in [0, 1, 2_047, 2_048, 4_094] {
            assert_eq!(unpack(pack(micros, true)), (micros, true));
        }
        for micros in [68_000_000, u64::MAX] {
            assert_eq!(unpack(pack(micros, false)), (2_047 << 15, false));
        }
    }

    #[test]
    fn percentiles_lie_between_two_values_in_proportion() {
        let hundred: Vec<u64> = (1..=100).collect();
        for (share, wanted) in [(0.0, 1.0), (0.5, 50.5), (0.95, 95.05), (0.99, 99.01), (1.0, 100.0)] {
            assert!((percentile(&hundred, share) - wanted).abs() < 1e-9, "{share}");
        }
        assert!((percentile(&[7], 0.99) - 7.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn the_window_has_the_last_thousand_and_the_counts_have_all() {
        let mut window = Window::default();
        for number in 0..2_500_u64 {
            let error = (number % 5 == 0).then_some(ErrorKind::Timeout);
            window.record(Duration::from_micros(number), error, Timestamp::UNIX_EPOCH);
        }
        let (times, successes) = window.sorted();
        assert_eq!((times.len(), times[0], successes), (WINDOW, 1_500, 800));
        assert_eq!((window.requests, window.successes, window.errors["timeout"]), (2_500, 2_000, 500));
        assert!(window.kept.capacity() <= 1_024, "{}", window.kept.capacity());
    }
}
