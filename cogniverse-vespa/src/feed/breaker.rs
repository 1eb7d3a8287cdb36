//! Stops hammering a Vespa that is not there.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Failures without a success in between, for so long: operations pause.
const GRACE: Duration = Duration::from_secs(5);
/// Then, for so long: operations end as unknown.
const DOOM: Duration = Duration::from_secs(60);
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
        state.failing_since = None;
        state.last_look = None;
    }

    pub(crate) fn failed(&self, now: Instant) {
        self.state.lock().failing_since.get_or_insert(now);
    }

    pub(crate) fn gate(&self, now: Instant) -> Gate {
        let mut state = self.state.lock();
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
        let doomed = start + DOOM;
        assert_eq!(breaker.gate(doomed), Gate::Open);
        assert_eq!(breaker.gate(doomed), Gate::Doomed);
        breaker.succeeded();
        assert_eq!(breaker.gate(doomed), Gate::Open);
    }
}
