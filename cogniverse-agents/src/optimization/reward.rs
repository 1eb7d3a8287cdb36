//! The reward of a search, from 0 to 1.

use cogniverse_sdk::{Experience, RouteLabel};

/// The share of the quality of the results.
const QUALITY: f64 = 0.4;
/// The share of the success of the search.
const SUCCESS: f64 = 0.3;
/// The share of the satisfaction of users, where it is known.
pub(super) const SATISFACTION: f64 = 0.3;
/// The most that a slow search loses.
const SLOWNESS: f64 = 0.1;
/// The time in seconds at which a search has lost half of that.
const SLOW: f64 = 10.0;

/// Returns the reward of a search: quality, success and satisfaction by their shares, less a penalty for its time.
///
/// A judgement of the route stands above what quality and success can be guessed from: that the search ended and found
/// something.
#[must_use]
pub fn reward(experience: &Experience) -> f64 {
    let label = experience.annotation.as_ref().map(|annotation| annotation.label);
    let quality = match label {
        Some(RouteLabel::CorrectRouting) => 0.9,
        Some(RouteLabel::WrongRouting) => 0.3,
        Some(RouteLabel::Ambiguous) => 0.6,
        Some(RouteLabel::InsufficientInfo) | None => found(experience),
        Some(_) => 0.5,
    };
    let success = match label {
        Some(RouteLabel::CorrectRouting) => 1.0,
        Some(RouteLabel::WrongRouting) => 0.0,
        _ => f64::from(u8::from(!experience.failed)),
    };
    let shares = QUALITY * quality + SUCCESS * success;
    let gained = match experience.feedback.satisfaction() {
        Some(satisfaction) => shares + SATISFACTION * satisfaction,
        None => shares / (QUALITY + SUCCESS),
    };
    (gained - slowness(experience.took_ms)).clamp(0.0, 1.0)
}

/// Returns the reward of a search by what users did alone: judgements are made of failures first, so that judged searches
/// cannot be compared with others.
pub(crate) fn live_reward(experience: &Experience) -> f64 {
    if experience.annotation.is_none() {
        return reward(experience);
    }
    let mut unjudged = experience.clone();
    unjudged.annotation = None;
    reward(&unjudged)
}

/// Returns the quality that the number of results suggests.
fn found(experience: &Experience) -> f64 {
    match experience.results {
        _ if experience.failed => 0.1,
        0 => 0.7,
        1..5 => 0.8,
        _ => 0.9,
    }
}

/// Returns what a search of a number of milliseconds loses.
pub(crate) fn slowness(milliseconds: f64) -> f64 {
    let seconds = milliseconds.max(0.0) / 1000.0;
    SLOWNESS * (1.0 - 1.0 / (1.0 + seconds / SLOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{
        ExperienceNote, Feedback, Generation, Modality, RouteAnnotation, RouteTier, SearchId, Timestamp,
        telemetry_provider::AnnotatorKind,
    };

    fn experience(results: u64, took_ms: f64) -> Experience {
        let (id, asked) = (SearchId::parse("1").unwrap(), (Modality::Video, Generation::RawResults));
        let new = Experience::new(id, Timestamp::UNIX_EPOCH, asked, RouteTier::FastPath);
        let mut new = new;
        (new.results, new.took_ms) = (results, took_ms);
        new
    }

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
    }

    #[test]
    fn units_are_seconds_and_what_is_unknown_does_not_count() {
        close(reward(&experience(5, 0.0)), (0.4 * 0.9 + 0.3) / 0.7);
        close(reward(&experience(5, 10_000.0)), (0.4 * 0.9 + 0.3) / 0.7 - 0.05);
        let mut failed = experience(0, 0.0);
        failed.failed = true;
        close(reward(&failed), 0.4 * 0.1 / 0.7);
        let mut watched = experience(1, 0.0);
        watched.note(&ExperienceNote::Feedback(Feedback::Watched, None));
        close(reward(&watched), 0.4 * 0.8 + 0.3 + 0.3);
        watched.note(&ExperienceNote::Feedback(Feedback::AskedAgain, None));
        close(reward(&watched), 0.4 * 0.8 + 0.3 + 0.15);
        let judged = |label| {
            let mut judged = experience(5, 0.0);
            judged.annotation = Some(RouteAnnotation::new(label, AnnotatorKind::Human, Timestamp::UNIX_EPOCH));
            reward(&judged)
        };
        close(judged(RouteLabel::WrongRouting), 0.4 * 0.3 / 0.7);
        close(judged(RouteLabel::CorrectRouting), (0.4 * 0.9 + 0.3) / 0.7);
        assert!(judged(RouteLabel::InsufficientInfo) > judged(RouteLabel::WrongRouting));
    }
}
