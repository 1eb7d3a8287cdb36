//! Fusion of several profiles' results by reciprocal rank (Cormack, Clarke and Büttcher, 2009).

use crate::{moment, request::Grouping, response::SearchResult};
use cogniverse_sdk::ProfileName;
use std::collections::HashMap;

/// The constant of reciprocal rank fusion: the larger it is, the less the top ranks stand out.
const RANK_CONSTANT: f64 = 60.0;

/// Fuses the ranked lists of several profiles. Results are the same if their time ranges of a video are, whatever
/// their segment numbers: segment 7 of a frame profile and of a 30 s profile are different moments.
/// The weights are of profiles; one that has none counts once.
pub(crate) fn fuse(
    lists: Vec<Vec<SearchResult>>,
    grouping: Grouping,
    weights: &HashMap<ProfileName, f64>,
) -> Vec<SearchResult> {
    let many = lists.len() > 1;
    let mut ranked: Vec<SearchResult> = lists.into_iter().flatten().collect();
    if many {
        // Ranks are comparable between profiles, scores are not.
        ranked.sort_by(|a, b| {
            best_rank(a)
                .cmp(&best_rank(b))
                .then_with(|| a.video_id.cmp(&b.video_id))
                .then(a.start_time.total_cmp(&b.start_time))
        });
    }
    let mut joined = match grouping {
        // Within one profile each is a segment of its own, as the backend counts them.
        Grouping::Segments if !many => ranked,
        Grouping::Segments => join_equal(ranked),
        Grouping::Moments => moment::merge(ranked),
    };
    if many {
        for result in &mut joined {
            result.score = reciprocal_rank(result, weights);
        }
        joined.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then_with(|| a.video_id.cmp(&b.video_id))
                .then(a.start_time.total_cmp(&b.start_time))
        });
    }
    joined
}

fn best_rank(result: &SearchResult) -> usize {
    result.evidence.iter().map(|evidence| evidence.rank).min().unwrap_or(usize::MAX)
}

/// Sums `weight / (60 + rank)` over the profiles, each counted once by its best rank.
fn reciprocal_rank(result: &SearchResult, weights: &HashMap<ProfileName, f64>) -> f64 {
    let mut best = HashMap::new();
    for evidence in &result.evidence {
        let rank = best.entry(&evidence.profile).or_insert(evidence.rank);
        *rank = evidence.rank.min(*rank);
    }
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    let share = |(profile, rank)| weights.get(profile).copied().unwrap_or(1.0) / (RANK_CONSTANT + rank as f64);
    let mut shares: Vec<f64> = best.into_iter().map(share).collect();
    // In order, so that the sum is the same however the profiles were hashed.
    shares.sort_unstable_by(f64::total_cmp);
    shares.into_iter().sum()
}

/// Merges results with the same video and time range.
fn join_equal(ranked: Vec<SearchResult>) -> Vec<SearchResult> {
    let mut joined: Vec<SearchResult> = Vec::new();
    let mut places = HashMap::new();
    for result in ranked {
        let key = (
            result.video_id.clone(),
            result.segment_id_if_alone(),
            result.start_time.to_bits(),
            result.end_time.to_bits(),
        );
        match places.get(&key).and_then(|place: &usize| joined.get_mut(*place)) {
            Some(known) => known.evidence.extend(result.evidence),
            None => {
                places.insert(key, joined.len());
                joined.push(result);
            }
        }
    }
    joined
}

impl SearchResult {
    /// Returns the segment number where the time range is empty: such results must agree in it too.
    fn segment_id_if_alone(&self) -> Option<i64> {
        (self.end_time <= self.start_time).then_some(self.segment_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::tests::result;

    /// Fuses with equal weights.
    fn fuse(lists: Vec<Vec<SearchResult>>, grouping: Grouping) -> Vec<SearchResult> {
        super::fuse(lists, grouping, &HashMap::new())
    }

    #[test]
    fn what_two_profiles_find_comes_first() {
        let frames = vec![result("frames", 1, "a", 0.0, 1.0), result("frames", 2, "b", 5.0, 6.0)];
        let chunks = vec![result("chunks", 1, "c", 0.0, 30.0), result("chunks", 2, "b", 0.0, 30.0)];
        let fused = fuse(vec![frames.clone(), chunks.clone()], Grouping::Moments);
        let order: Vec<&str> = fused.iter().map(|r| r.video_id.as_str()).collect();
        assert_eq!(order, ["b", "a", "c"]);
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-12 && (fused[1].score - 1.0 / 61.0).abs() < 1e-12);
        // As segments, stretches of another length are other things.
        assert_eq!(fuse(vec![frames, chunks], Grouping::Segments).len(), 4);
    }

    /// As the backend counts them: a page of reranked ones holds what a page of others does.
    #[test]
    fn the_segments_of_one_profile_stay_as_they_are() {
        let mut twice = vec![result("p", 1, "v", 0.0, 1.0), result("p", 2, "v", 0.0, 1.0)];
        twice[1].segment_id = 7;
        assert_eq!(fuse(vec![twice.clone()], Grouping::Segments), twice);
    }

    /// A stretch without length is told apart by its number; one with a length is not.
    #[test]
    fn pictures_of_one_time_are_told_apart_by_their_numbers() {
        let numbered = |profile: &str, number: i64, end: f64| {
            let mut result = result(profile, 1, "v", 5.0, end);
            result.segment_id = number;
            result
        };
        let fuse = |a, b| fuse(vec![vec![a], vec![b]], Grouping::Segments).len();
        assert_eq!(fuse(numbered("a", 1, 5.0), numbered("b", 2, 5.0)), 2);
        assert_eq!(fuse(numbered("a", 1, 5.0), numbered("b", 1, 5.0)), 1);
        assert_eq!(fuse(numbered("a", 1, 6.0), numbered("b", 2, 6.0)), 1);
    }

    /// Many segments of one moment in one profile are one vote, and that of the best.
    #[test]
    fn a_profile_counts_once_by_its_best_rank() {
        let frames: Vec<_> = (0..4).map(|n| result("frames", n + 1, "a", n as f64, n as f64 + 1.0)).collect();
        let chunks = vec![result("chunks", 1, "b", 0.0, 30.0), result("chunks", 2, "a", 0.0, 30.0)];
        let fused = fuse(vec![chunks, frames], Grouping::Moments);
        let scores: Vec<(&str, f64)> = fused.iter().map(|r| (r.video_id.as_str(), r.score)).collect();
        assert_eq!(scores.len(), 2);
        assert_eq!((scores[0].0, scores[1].0), ("a", "b"));
        assert!((scores[0].1 - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-12, "{scores:?}");
        assert!((scores[1].1 - 1.0 / 61.0).abs() < 1e-12, "{scores:?}");
        // However the evidence is ordered.
        let mut backwards = fused[0].clone();
        backwards.evidence.reverse();
        assert!((reciprocal_rank(&backwards, &HashMap::new()) - scores[0].1).abs() < 1e-15);
        assert_eq!(best_rank(&backwards), 1);
    }

    #[test]
    fn one_profile_keeps_its_scores_and_order() {
        let list = vec![result("p", 1, "a", 0.0, 1.0), result("p", 2, "a", 50.0, 51.0)];
        assert_eq!(fuse(vec![list.clone()], Grouping::Segments), list);
    }

    #[test]
    fn a_profile_counts_by_its_weight() {
        let lists = vec![vec![result("frames", 1, "a", 0.0, 1.0)], vec![result("chunks", 2, "b", 0.0, 30.0)]];
        let of = |weight: f64| HashMap::from([(ProfileName::parse("chunks").unwrap(), weight)]);
        let first = |weight: f64| super::fuse(lists.clone(), Grouping::Segments, &of(weight))[0].video_id.clone();
        assert_eq!((first(1.0), first(1.1), first(0.0)), ("a".to_owned(), "b".to_owned(), "a".to_owned()));
    }
}
