//! Merging of adjacent hits of a video into moments.

use crate::response::SearchResult;
use std::collections::HashMap;

/// The largest gap, in seconds, between ranges that count as adjacent.
const ADJACENT: f64 = 1.0;
/// The largest length, in seconds, up to which adjacent ranges are merged; overlapping ones always are.
const LONGEST: f64 = 120.0;

/// Merges overlapping and adjacent results of one video. `ranked` is best first; a moment takes the place of its best
/// result.
pub(crate) fn merge(ranked: Vec<SearchResult>) -> Vec<SearchResult> {
    let mut moments: Vec<Option<SearchResult>> = Vec::new();
    let mut of_video: HashMap<String, Vec<usize>> = HashMap::new();
    for mut result in ranked {
        let places = of_video.entry(result.video_id.clone()).or_default();
        let mut home = None;
        // A result may bridge two moments: go on until nothing touches it any more.
        while let Some(at) = places
            .iter()
            .position(|place| moments.get(*place).and_then(Option::as_ref).is_some_and(|m| touches(m, &result)))
        {
            let place = places.swap_remove(at);
            let Some(better) = moments.get_mut(place).and_then(Option::take) else { continue };
            let first = home.is_none_or(|home| place < home);
            home = Some(home.map_or(place, |home: usize| home.min(place)));
            result = if first { join(better, result) } else { join(result, better) };
        }
        let place = home.unwrap_or(moments.len());
        places.push(place);
        match moments.get_mut(place) {
            Some(slot) => *slot = Some(result),
            None => moments.push(Some(result)),
        }
    }
    moments.into_iter().flatten().collect()
}

fn touches(a: &SearchResult, b: &SearchResult) -> bool {
    let overlap = a.start_time < b.end_time && b.start_time < a.end_time;
    let gap = a.start_time.max(b.start_time) - a.end_time.min(b.end_time);
    let joined = a.end_time.max(b.end_time) - a.start_time.min(b.start_time);
    overlap || (gap <= ADJACENT && joined <= LONGEST)
}

/// Merges two results: the better one's score, strategy and text, the union of ranges, and the evidence of both.
fn join(mut better: SearchResult, other: SearchResult) -> SearchResult {
    if other.start_time < better.start_time {
        better.start_time = other.start_time;
        // It leads to where the moment begins.
        better.location = other.location.or(better.location);
    }
    better.end_time = better.end_time.max(other.end_time);
    better.evidence.extend(other.evidence);
    better.evidence.sort_by_key(|evidence| evidence.rank);
    better
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::tests::result;

    #[test]
    fn neighbours_merge_and_a_bridge_joins_both_sides() {
        let ranked = vec![
            result("p", 1, "v", 20.0, 30.0),
            result("p", 2, "v", 0.0, 10.0),
            result("p", 3, "w", 0.0, 10.0),
            result("p", 4, "v", 10.0, 20.0),
            result("p", 5, "v", 31.0, 32.0),
            result("p", 6, "v", 40.0, 41.0),
        ];
        let moments = merge(ranked);
        let spans: Vec<(&str, f64, f64, usize)> =
            moments.iter().map(|m| (m.video_id.as_str(), m.start_time, m.end_time, m.evidence.len())).collect();
        assert_eq!(spans, [("v", 0.0, 32.0, 4), ("w", 0.0, 10.0, 1), ("v", 40.0, 41.0, 1)]);
        assert_eq!(moments[0].evidence.iter().map(|e| e.rank).collect::<Vec<_>>(), [1, 2, 4, 5]);
    }

    #[test]
    fn what_overlaps_is_one_moment_however_long_and_what_meets_is_not() {
        let merged = |first: (f64, f64), second: (f64, f64)| {
            merge(vec![result("p", 1, "v", first.0, first.1), result("p", 2, "v", second.0, second.1)]).len()
        };
        for ((a, b), moments) in [
            (((0.0, 100.0), (99.0, 200.0)), 1),
            (((0.0, 100.0), (100.0, 200.0)), 2),
            (((0.0, 60.0), (61.0, 120.0)), 1),
            (((0.0, 60.0), (61.1, 120.0)), 2),
            (((0.0, 60.0), (61.0, 121.0)), 2),
        ] {
            assert_eq!((merged(a, b), merged(b, a)), (moments, moments), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_moment_does_not_become_the_whole_video() {
        let ranked = (0..20).map(|n| result("p", n + 1, "v", n as f64 * 30.0, n as f64 * 30.0 + 30.0)).collect();
        let moments = merge(ranked);
        assert_eq!(moments.len(), 5);
        assert!(moments.iter().all(|m| m.end_time - m.start_time <= LONGEST));
    }
}
