//! The minutes of video that a tenant may ingest.

use super::{document::Segment, report::VideoReport};
use crate::quotas::{QuotaReservation, Quotas};
use cogniverse_sdk::{ErrorKind, Quota, Result, TenantId, VideoId};
use std::{collections::HashMap, time::Duration};

/// Reserves the minutes of segments that are to be stored; where the tenant has none left, they are refused.
pub(super) async fn within_quota(
    (quotas, tenant): (Option<&Quotas>, &TenantId),
    fresh: Vec<Segment>,
    reports: &mut HashMap<VideoId, VideoReport>,
) -> Result<(Vec<Segment>, Option<QuotaReservation>)> {
    let Some(quotas) = quotas.filter(|_| !fresh.is_empty()) else {
        return Ok((fresh, None));
    };
    let seconds = whole_seconds(fresh.iter().map(seconds_of).sum());
    match quotas.reserve_for(tenant, Quota::IngestMinutes, seconds.unsigned_abs()).await {
        Ok(minutes) => Ok((fresh, Some(minutes))),
        Err(error) if error.kind() == ErrorKind::QuotaExceeded => {
            for segment in fresh {
                if let Some(report) = reports.get_mut(&segment.video_id) {
                    report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain());
                }
            }
            Ok((Vec::new(), None))
        }
        Err(error) => Err(error),
    }
}

pub(super) fn seconds_of(segment: &Segment) -> f64 {
    segment.range.duration().max(0.0)
}

/// Returns a time in whole seconds, rounded up.
pub(super) fn whole_seconds(seconds: f64) -> i64 {
    i64::try_from(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}
