//! Metrics as data and as a table.

use super::window::{Window, percentile};
use cogniverse_sdk::{Modality, TenantId, Timestamp};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// The counts of a tenant in one modality since it was first seen by this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Lifetime {
    /// The number of requests.
    pub requests: u64,
    /// The number of those that succeeded.
    pub successes: u64,
    /// The number of errors by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// The mean time in milliseconds.
    pub mean_ms: f64,
    /// The requests a second from the first to the last; 0 for a single one.
    pub requests_per_second: f64,
    /// The time of the first request.
    pub first_at: Option<Timestamp>,
    /// The time of the last request.
    pub last_at: Option<Timestamp>,
}

/// The last requests of a tenant in one modality, at most 1,000. Each time is kept to 0.05 %, up to 67 seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LastRequests {
    /// The number of requests.
    pub requests: u64,
    /// The share that succeeded, from 0 to 1; 0 without requests.
    pub success_rate: f64,
    /// The time in milliseconds that half of them stay below.
    pub p50_ms: f64,
    /// The time that 95 % stay below.
    pub p95_ms: f64,
    /// The time that 99 % stay below.
    pub p99_ms: f64,
    /// The shortest time.
    pub min_ms: f64,
    /// The longest time.
    pub max_ms: f64,
}

/// The metrics of a tenant in one modality.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModalityStats {
    /// The modality.
    pub modality: Modality,
    /// The counts since the tenant was first seen.
    pub lifetime: Lifetime,
    /// The last requests.
    pub window: LastRequests,
}

#[expect(clippy::cast_precision_loss, reason = "counts and times below 2^53")]
impl ModalityStats {
    pub(super) fn of(modality: Modality, counted: &Window) -> Self {
        let (times, successes) = counted.sorted();
        let requests = times.len() as u64;
        let rate = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let ms = |share: f64| percentile(&times, share) / 1_000.0;
        let span = counted.first_at.zip(counted.last_at).map(|(first, last)| last.duration_since(first).as_secs_f64());
        let lifetime = Lifetime {
            requests: counted.requests,
            successes: counted.successes,
            errors: counted.errors.clone(),
            mean_ms: rate(counted.sum_micros, counted.requests) / 1_000.0,
            requests_per_second: span.filter(|span| *span > 0.0).map_or(0.0, |span| counted.requests as f64 / span),
            first_at: counted.first_at,
            last_at: counted.last_at,
        };
        let window = LastRequests {
            requests,
            success_rate: rate(successes, requests),
            p50_ms: ms(0.5),
            p95_ms: ms(0.95),
            p99_ms: ms(0.99),
            min_ms: ms(0.0),
            max_ms: ms(1.0),
        };
        Self { modality, lifetime, window }
    }

    /// Returns the share of all requests that failed, from 0 to 1.
    #[must_use]
    pub fn error_rate(&self) -> f64 {
        let Lifetime { requests, successes, .. } = &self.lifetime;
        if *requests == 0 { 0.0 } else { (requests - successes) as f64 / *requests as f64 }
    }
}

/// A modality in the order of its time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SlowModality {
    /// The modality.
    pub modality: Modality,
    /// The time in milliseconds that 95 % of the last requests stay below.
    pub p95_ms: f64,
    /// The number of all requests.
    pub requests: u64,
}

/// A modality in the order of its errors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ErrorProne {
    /// The modality.
    pub modality: Modality,
    /// The share of all requests that failed, from 0 to 1.
    pub error_rate: f64,
    /// The number of errors by kind.
    pub errors: BTreeMap<&'static str, u64>,
}

/// The metrics of a tenant, by modality.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TenantMetrics {
    /// The tenant.
    pub tenant: TenantId,
    /// The modalities that had requests.
    pub modalities: Vec<ModalityStats>,
}

impl TenantMetrics {
    /// Returns the modalities with the longest times, the slowest first, by the 95th percentile.
    #[must_use]
    pub fn slowest(&self, most: usize) -> Vec<SlowModality> {
        let of = |stats: &ModalityStats| {
            let (p95_ms, requests) = (stats.window.p95_ms, stats.lifetime.requests);
            SlowModality { modality: stats.modality, p95_ms, requests }
        };
        let mut all: Vec<SlowModality> = self.modalities.iter().map(of).collect();
        all.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms));
        all.truncate(most);
        all
    }

    /// Returns the modalities of which at least a share of all requests failed, the worst first.
    #[must_use]
    pub fn error_prone(&self, from: f64) -> Vec<ErrorProne> {
        let prone = self.modalities.iter().filter(|stats| stats.lifetime.requests > 0 && stats.error_rate() >= from);
        let of = |stats: &ModalityStats| {
            let (error_rate, errors) = (stats.error_rate(), stats.lifetime.errors.clone());
            ErrorProne { modality: stats.modality, error_rate, errors }
        };
        let mut prone: Vec<ErrorProne> = prone.map(of).collect();
        prone.sort_by(|a, b| b.error_rate.total_cmp(&a.error_rate));
        prone
    }
}

/// A table: a line for each modality, times in milliseconds.
impl fmt::Display for TenantMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:10} {:>9} {:>8} {:>9} {:>9} {:>9}",
            "modality", "requests", "success", "p50 ms", "p95 ms", "p99 ms"
        )?;
        for ModalityStats { modality, lifetime, window, .. } in &self.modalities {
            let LastRequests { success_rate, p50_ms, p95_ms, p99_ms, .. } = window;
            let success = success_rate * 100.0;
            write!(
                f,
                "\n{modality:10} {:>9} {success:>7.1}% {p50_ms:>9.2} {p95_ms:>9.2} {p99_ms:>9.2}",
                lifetime.requests
            )?;
        }
        Ok(())
    }
}
