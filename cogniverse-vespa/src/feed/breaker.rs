//! A circuit breaker for an unreachable Vespa.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Failures without a success in between, for so long: operations pause.
const GRACE: Duration = Duration::from_secs(5);
/// Then, for so long: operations end as unknown.
const DOOM: Duration = Duration::from_secs(60);
/// No failure for so long, longer than one try can take while somebody tries: what failed before says nothing any more.
const QUIET: Duration = Duration::from_secs(120);
/// While operations pause, one goes through in this time, to see.
const LOOK: Duration = Duration::from_millis(500);

/// Shared by all feeds of a backend.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing_since: Option<Instant>,
    last_failed: Option<Instant>,
    last_look: Option<Instant>,
}

/// Whether an operation may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It may.
    Open,
    /// Not before so long.
    Wait(Duration),
    /// Nobody expects an answer any more.
    Doomed,
}

impl Breaker {
    pub(crate) fn succeeded(&self) {
        let mut state = self.state.lock();
        *state = State::default();
    }

    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.state.lock();
        state.failing_since.get_or_insert(now);
        state.last_failed = Some(now);
    }

    pub(crate) fn gate(&self, now: Instant) -> Gate {
        let mut state = self.state.lock();
        // Time in which nobody tried is no time of failing: Vespa may have been back for long.
        if state.last_failed.is_some_and(|last| now.duration_since(last) >= QUIET) {
            *state = State::default();
        }
        let Some(since) = state.failing_since else { return Gate::Open };
        let failing = now.duration_since(since);
        if failing < GRACE {
            return Gate::Open;
        }
        match state.last_look {
            Some(last) if now.duration_since(last) < LOOK => {
                if failing >= DOOM {
                    Gate::Doomed
                } else {
                    Gate::Wait(LOOK - now.duration_since(last))
                }
            }
            _ => {
                state.last_look = Some(now);
                Gate::Open
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_23_a_dead_vespa_is_not_hammered_and_a_living_one_is_noticed() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.gate(start), Gate::Open);
        breaker.failed(start);
        assert_eq!(breaker.gate(start + Duration::from_secs(1)), Gate::Open, "a grace");
        let later = start + GRACE;
        assert_eq!(breaker.gate(later), Gate::Open, "one looks");
        assert!(matches!(breaker.gate(later), Gate::Wait(_)), "the others wait");
        breaker.failed(start + DOOM / 2);
        let doomed = start + DOOM;
        assert_eq!(breaker.gate(doomed), Gate::Open);
        assert_eq!(breaker.gate(doomed), Gate::Doomed);
        assert_eq!(breaker.gate(doomed + QUIET), Gate::Open, "nobody tried since");
        assert_eq!(breaker.gate(doomed + QUIET), Gate::Open, "and so all may");
        breaker.failed(doomed);
        breaker.succeeded();
        assert_eq!(breaker.gate(doomed), Gate::Open);
    }
}
