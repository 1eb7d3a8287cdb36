//! Adaptive throttling of concurrent feed operations.
//!
//! More help until something is full; past that they only wait longer. So the number is chosen that gives the best
//! `throughput * number^-0.3`, the exponent making a smaller number win where throughput hardly differs. Throughput is
//! remembered per range of numbers, and the number wanders a little, so that a change on the other side is noticed. The idea
//! and the exponent are those of Vespa's own clients.

use std::time::{Duration, Instant};

/// Ranges of numbers, each about 9 % wide.
const RANGES: usize = 128;
/// Ranges that a doubling takes.
const PER_DOUBLING: f64 = 8.0;
/// The weight of more operations under way.
const WEIGHT: f64 = 0.3;
/// How far the next number lies from the best one at most, in doublings: a little more upwards than downwards.
const HIGHER: f64 = 0.45;
const LOWER: f64 = 0.4;
/// How long one number is tried, at least.
const WINDOW: Duration = Duration::from_millis(100);
/// How much a new measure counts beside the old ones.
const NEW: f64 = 0.4;
/// A range that gives less than this share of what it gave: the other side has changed, and what is remembered of other
/// ranges is as wrong. Without this each of them would have to be tried again before the number falls.
const CHANGED: f64 = 0.6;
/// Push-back lowers the number by a tenth, at most once in this time.
const PUSH_BACK_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Throttle {
    min: f64,
    max: f64,
    target: f64,
    throughput: [f64; RANGES],
    window_start: Instant,
    completed: u64,
    last_push_back: Option<Instant>,
}

impl Throttle {
    pub(super) fn new(connections: usize, max: usize, now: Instant) -> Self {
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let min = count(connections.saturating_mul(2)).min(count(max)).max(1.0);
        Self {
            min,
            max: count(max).max(1.0),
            target: (min * 4.0).min(count(max).max(1.0)),
            throughput: [0.0; RANGES],
            window_start: now,
            completed: 0,
            last_push_back: None,
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and a count")]
    pub(super) fn target(&self) -> usize {
        self.target as usize
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of ranges")]
    fn range(&self, target: f64) -> usize {
        (((target / self.min).log2() * PER_DOUBLING).round().max(0.0) as usize).min(RANGES - 1)
    }

    #[expect(clippy::cast_precision_loss, reason = "a range's number")]
    fn number(&self, range: usize) -> f64 {
        (self.min * (range as f64 / PER_DOUBLING).exp2()).clamp(self.min, self.max)
    }

    /// Counts an operation that ended.
    pub(super) fn completed(&mut self, pushed_back: bool, now: Instant) {
        self.completed += 1;
        if pushed_back {
            let paused = self.last_push_back.is_none_or(|last| now.duration_since(last) >= PUSH_BACK_PAUSE);
            if paused {
                self.last_push_back = Some(now);
                self.target = (self.target * 0.9).max(self.min);
                self.begin_window(now);
            }
            return;
        }
        // A window holds every operation under way at least once, or it would measure the one before.
        let window = now.duration_since(self.window_start);
        if window < WINDOW || self.completed < self.target() as u64 {
            return;
        }
        self.measure(window);
        self.begin_window(now);
    }

    fn begin_window(&mut self, now: Instant) {
        self.window_start = now;
        self.completed = 0;
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of operations")]
    fn measure(&mut self, window: Duration) {
        let measured = self.completed as f64 / window.as_secs_f64();
        let at = self.range(self.target);
        let known = self.throughput.get(at).copied().unwrap_or_default();
        if measured < known * CHANGED {
            self.throughput = [0.0; RANGES];
        }
        if let Some(known) = self.throughput.get_mut(at) {
            *known = if *known == 0.0 { measured } else { *known * (1.0 - NEW) + measured * NEW };
        }
        let value = |(range, throughput): (usize, &f64)| (range, throughput * self.number(range).powf(-WEIGHT));
        let best = self.throughput.iter().enumerate().filter(|(_, throughput)| **throughput > 0.0).map(value);
        let (best, _) = best.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((at, 0.0));
        // Old measures of ranges that are not tried fade, so that they are tried again.
        for (range, throughput) in self.throughput.iter_mut().enumerate() {
            if range != at {
                *throughput *= 0.98;
            }
        }
        let step = fastrand::f64() * (HIGHER + LOWER) - LOWER;
        self.target = (self.number(best) * step.exp2()).clamp(self.min, self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs against a server whose throughput grows up to a number under way, and falls past it.
    fn settle(throttle: &mut Throttle, mut now: Instant, best: f64, windows: usize) -> (Instant, f64) {
        let mut sum = 0.0;
        for window in 0..windows {
            let end = now + Duration::from_millis(200);
            while now < end {
                let target = throttle.target() as f64;
                let throughput = if target <= best { target * 100.0 } else { best * 100.0 * (best / target).sqrt() };
                now += Duration::from_secs_f64(1.0 / throughput);
                throttle.completed(false, now);
            }
            if window >= windows / 2 {
                sum += throttle.target() as f64;
            }
        }
        (now, sum / (windows - windows / 2) as f64)
    }

    #[test]
    fn invariant_23_the_number_rises_and_falls_with_throughput_and_stays_bounded() {
        for seed in 0..4 {
            fastrand::seed(seed);
            let start = Instant::now();
            let mut throttle = Throttle::new(4, 2048, start);
            let (now, many) = settle(&mut throttle, start, 800.0, 300);
            assert!((300.0..1600.0).contains(&many), "room for 800: {many}");
            let (now, few) = settle(&mut throttle, now, 40.0, 300);
            assert!((10.0..120.0).contains(&few), "room for 40: {few}");
            let (_, many) = settle(&mut throttle, now, 800.0, 300);
            assert!((300.0..1600.0).contains(&many), "room for 800 again: {many}");
            assert!(throttle.target() <= 2048);
        }
    }

    #[test]
    fn push_back_lowers_it_to_the_least() {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(4, 2048, now);
        for _ in 0..200 {
            now += Duration::from_millis(60);
            throttle.completed(true, now);
        }
        assert_eq!(throttle.target(), 8);
    }
}
