//! The sample that something is learned from, and its division.

use cogniverse_sdk::Experience;

/// The number of parts into which experiences are divided.
pub(super) const PARTS: u64 = 4;
/// The number of judged searches that are looked at, the newest: older ones count for nothing.
pub(super) const NEWEST: usize = 900;
/// By how many standard errors a gain must exceed 0.
pub(super) const SURE: f64 = 1.64;

/// Returns the part of an experience, by its query: the same query is never learned from and measured on.
pub(super) fn part(experience: &Experience) -> u64 {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| bytes.iter().for_each(|b| sum = (sum ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    match &experience.fast {
        Some(evidence) => evidence.features.iter().for_each(|(feature, _)| add(&feature.to_le_bytes())),
        None => add(experience.id.as_str().as_bytes()),
    }
    (sum ^ sum >> 29) % PARTS
}
