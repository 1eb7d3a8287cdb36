//! Faults on demand: what goes wrong, where, and how often.

use crate::{content::ContentFaults, route::Route};
use parking_lot::Mutex;
use std::time::Duration;

/// A fault to inject.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The request is not carried out; this status, with the body that this part of Vespa has for it.
    Status(u16),
    /// The request is not carried out; this status with no body, as when no thread of a handler is free.
    EmptyStatus(u16),
    /// The request is carried out after a pause.
    Slow(Duration),
    /// The request is carried out, and the connection breaks in the middle of the answer's body.
    Reset,
    /// The request is carried out, and the connection breaks before the answer.
    LostAnswer,
    /// An activation is refused as if another session had come first: 409 `ACTIVATION_CONFLICT`.
    ActivationConflict,
    /// `prepareandactivate` prepares, answers 200 and says `activated: false`.
    NotActivated,
    /// The generation and the convergence are those before the last activation.
    StaleGeneration,
    /// Every other service runs the generation before.
    HalfConverged,
    /// Answers of `/document/v1` say `X-Vespa-Ignored-Fields: true`.
    IgnoredFields,
    /// Visits give each document twice.
    RepeatedVisit,
    /// Searches say that they saw half of the documents.
    DegradedCoverage,
    /// Searches give a hit of this document type too.
    ForeignHit(String),
}

impl Fault {
    /// Whether it means anything there; where it does not, it is kept for a request for which it does.
    fn concerns(&self, route: &Route) -> bool {
        match self {
            Self::ActivationConflict => matches!(route, Route::Activate | Route::PrepareAndActivate),
            Self::NotActivated => *route == Route::PrepareAndActivate,
            Self::StaleGeneration => matches!(route, Route::Application | Route::Convergence),
            Self::HalfConverged => *route == Route::Convergence,
            Self::IgnoredFields | Self::RepeatedVisit => *route == Route::Documents,
            Self::DegradedCoverage | Self::ForeignHit(_) => *route == Route::Search,
            Self::Status(_) | Self::EmptyStatus(_) | Self::Slow(_) | Self::Reset | Self::LostAnswer => true,
        }
    }
}

/// One order for faults, to take it back or to see how much of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

#[derive(Debug)]
struct Order {
    id: FaultId,
    route: Route,
    fault: Fault,
    /// Without a number, for ever.
    left: Option<usize>,
}

#[derive(Debug, Default)]
struct Orders {
    last: u64,
    orders: Vec<Order>,
}

/// The faults of a server. Orders of several tests stand side by side; [`Route::Path`] tells their requests apart.
///
/// A request is struck by every order that covers it, but by one at most that stands in place of its answer.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Orders>);

impl Faults {
    /// The next `count` requests of a route.
    pub fn next(&self, route: Route, count: usize, fault: Fault) -> FaultId {
        self.order(route, Some(count), fault)
    }

    /// Every request of a route, until it is taken back.
    pub fn always(&self, route: Route, fault: Fault) -> FaultId {
        self.order(route, None, fault)
    }

    /// Returns the number of requests that an order still applies to: 0 where it is used up or taken back, none where it is for ever.
    pub fn left(&self, id: FaultId) -> Option<usize> {
        self.0.lock().orders.iter().find(|order| order.id == id).map_or(Some(0), |order| order.left)
    }

    /// Takes an order back.
    pub fn remove(&self, id: FaultId) {
        self.0.lock().orders.retain(|order| order.id != id);
    }

    /// Takes all orders back.
    pub fn clear(&self) {
        self.0.lock().orders.clear();
    }

    fn order(&self, route: Route, left: Option<usize>, fault: Fault) -> FaultId {
        let mut orders = self.0.lock();
        orders.last += 1;
        let id = FaultId(orders.last);
        orders.orders.push(Order { id, route, fault, left });
        id
    }

    /// What strikes a request; used-up orders go.
    pub(crate) fn strike(&self, route: &Route, path: &str) -> Struck {
        let mut struck = Struck::default();
        let mut orders = self.0.lock();
        for order in &mut orders.orders {
            let meant = order.left != Some(0) && order.route.covers(route, path) && order.fault.concerns(route);
            if meant && struck.take(&order.fault) {
                order.left = order.left.map(|left| left.saturating_sub(1));
            }
        }
        orders.orders.retain(|order| order.left != Some(0));
        struck
    }
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Whole,
    /// Half of the body, then nothing.
    Reset,
    /// Nothing at all.
    Lost,
}

/// What stands in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    Status(u16),
    EmptyStatus(u16),
    Conflict,
}

/// All that strikes one request.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    pub(crate) delay: Duration,
    pub(crate) instead: Option<Instead>,
    pub(crate) ending: Ending,
    pub(crate) ignored_fields: bool,
    pub(crate) not_activated: bool,
    pub(crate) stale: bool,
    pub(crate) half_converged: bool,
    pub(crate) content: ContentFaults,
}

impl Struck {
    /// Adds a fault; false where another one already stands in its place.
    fn take(&mut self, fault: &Fault) -> bool {
        let instead = match fault {
            Fault::Status(status) => Instead::Status(*status),
            Fault::EmptyStatus(status) => Instead::EmptyStatus(*status),
            Fault::ActivationConflict => Instead::Conflict,
            Fault::Reset | Fault::LostAnswer => {
                let free = self.ending == Ending::Whole && self.instead.is_none();
                if free {
                    self.ending = if *fault == Fault::Reset { Ending::Reset } else { Ending::Lost };
                }
                return free;
            }
            other => {
                self.add(other);
                return true;
            }
        };
        let free = self.instead.is_none() && self.ending == Ending::Whole;
        if free {
            self.instead = Some(instead);
        }
        free
    }

    fn add(&mut self, fault: &Fault) {
        match fault {
            Fault::Slow(delay) => self.delay += *delay,
            Fault::NotActivated => self.not_activated = true,
            Fault::StaleGeneration => self.stale = true,
            Fault::HalfConverged => self.half_converged = true,
            Fault::IgnoredFields => self.ignored_fields = true,
            Fault::RepeatedVisit => self.content.repeat_visited = true,
            Fault::DegradedCoverage => self.content.degraded = true,
            Fault::ForeignHit(document_type) => self.content.foreign_hit = Some(document_type.clone()),
            Fault::Status(_) | Fault::EmptyStatus(_) | Fault::ActivationConflict | Fault::Reset | Fault::LostAnswer => {
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_used_up_one_after_the_other_and_only_where_they_mean_something() {
        let faults = Faults::default();
        let first = faults.next(Route::Documents, 2, Fault::Status(429));
        let second = faults.next(Route::Any, 1, Fault::Status(503));
        let third = faults.always(Route::Any, Fault::DegradedCoverage);
        let instead = |path: &str| faults.strike(&Route::of(path), path).instead;
        assert_eq!(instead("/document/v1/a/b/docid/1"), Some(Instead::Status(429)));
        assert_eq!((faults.left(first), faults.left(second)), (Some(1), Some(1)), "one fault stands for one answer");
        assert_eq!(instead("/search/"), Some(Instead::Status(503)));
        assert_eq!(instead("/search/"), None);
        assert_eq!(instead("/document/v1/a/b/docid/1"), Some(Instead::Status(429)));
        assert_eq!(instead("/document/v1/a/b/docid/1"), None);
        assert_eq!((faults.left(first), faults.left(third)), (Some(0), None));
        assert!(faults.strike(&Route::Search, "/search/").content.degraded);
        assert!(!faults.strike(&Route::Documents, "/document/v1/").content.degraded);
        faults.remove(third);
        assert!(!faults.strike(&Route::Search, "/search/").content.degraded);
    }

    #[test]
    fn a_path_tells_the_requests_of_two_tests_apart() {
        let faults = Faults::default();
        faults.always(Route::Path("/document/v1/ns/acme/".into()), Fault::Status(507));
        let instead = |path: &str| faults.strike(&Route::of(path), path).instead;
        assert_eq!(instead("/document/v1/ns/acme/docid/1"), Some(Instead::Status(507)));
        assert_eq!(instead("/document/v1/ns/globex/docid/1"), None);
    }
}
