//! Feeding: a stream of operations in, a stream of outcomes out, at the rate that Vespa accepts.
//!
//! Operations on one document keep their order; others overtake each other. How many are under way follows the measured
//! throughput. 429 is answered by patience, which a feed has without
//! limit and a call of `DocumentStore` to a bound; 503 and broken connections by ten tries and a breaker that all
//! feeds of a backend share. Memory is bounded by the operations under way: the input is read only when there is room.

mod breaker;
mod gzip;
mod operation;
mod throttle;

pub(crate) use breaker::Breaker;
pub use operation::{Condition, FeedOperation};
pub(crate) use operation::{Ready, Sender};

use cogniverse_sdk::{DocumentId, DocumentOutcome};
use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use throttle::Throttle;

/// A finished operation: its outcome, and whether Vespa pushed back meanwhile.
struct Done {
    outcome: DocumentOutcome,
    pushed_back: bool,
}

/// A running feed, which ends when its input has ended and every operation has an outcome.
///
/// Dropping it abandons operations in flight: each is stored or not, and feeding it again is safe.
pub struct Feed<S> {
    input: Pin<Box<S>>,
    input_ended: bool,
    sender: Arc<Sender>,
    throttle: Throttle,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Documents with an operation under way, and those that wait behind it.
    busy: HashMap<DocumentId, VecDeque<Result<Ready, DocumentOutcome>>>,
    waiting: usize,
}

impl<S> std::fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("under_way", &self.under_way.len())
            .field("waiting", &self.waiting)
            .field("target", &self.throttle.target())
            .finish_non_exhaustive()
    }
}

impl<S: Stream<Item = FeedOperation>> Feed<S> {
    pub(crate) fn new(sender: Arc<Sender>, input: S) -> Self {
        let config = sender.config();
        let throttle = Throttle::new(config.connections, config.max_in_flight, Instant::now());
        Self {
            input: Box::pin(input),
            input_ended: false,
            sender,
            throttle,
            under_way: FuturesUnordered::new(),
            busy: HashMap::new(),
            waiting: 0,
        }
    }

    fn start(&mut self, ready: Ready) {
        let sender = Arc::clone(&self.sender);
        self.under_way.push(
            async move {
                let (outcome, pushed_back) = sender.send(ready).await;
                Done { outcome, pushed_back }
            }
            .boxed(),
        );
    }

    /// Takes one operation on, or gives its outcome at once where it cannot be sent and none is before it.
    fn take(&mut self, operation: FeedOperation) -> Option<DocumentOutcome> {
        let id = operation.id().clone();
        let ready = self.sender.ready(operation);
        match (self.busy.get_mut(&id), ready) {
            // Outcomes of one document come in the order of its operations, refusals too.
            (Some(queue), ready) => {
                queue.push_back(ready);
                self.waiting += 1;
                None
            }
            (None, Ok(ready)) => {
                self.busy.insert(id, VecDeque::new());
                self.start(ready);
                None
            }
            (None, Err(refused)) => Some(refused),
        }
    }

    fn finished(&mut self, done: Done) -> DocumentOutcome {
        self.throttle.completed(done.pushed_back, Instant::now());
        match self.busy.get_mut(&done.outcome.id).and_then(VecDeque::pop_front) {
            Some(next) => {
                self.waiting -= 1;
                match next {
                    Ok(next) => self.start(next),
                    Err(outcome) => {
                        self.under_way.push(std::future::ready(Done { outcome, pushed_back: false }).boxed());
                    }
                }
            }
            None => {
                self.busy.remove(&done.outcome.id);
            }
        }
        done.outcome
    }
}

impl<S: Stream<Item = FeedOperation>> Stream for Feed<S> {
    type Item = DocumentOutcome;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<DocumentOutcome>> {
        let feed = &mut *self;
        let mut input_waits = false;
        while !feed.input_ended && !input_waits && feed.under_way.len() + feed.waiting < feed.throttle.target() {
            match feed.input.as_mut().poll_next(context) {
                Poll::Ready(Some(operation)) => {
                    if let Some(refused) = feed.take(operation) {
                        return Poll::Ready(Some(refused));
                    }
                }
                Poll::Ready(None) => feed.input_ended = true,
                Poll::Pending => input_waits = true,
            }
        }
        if !feed.under_way.is_empty()
            && let Poll::Ready(Some(done)) = feed.under_way.poll_next_unpin(context)
        {
            let outcome = feed.finished(done);
            return Poll::Ready(Some(outcome));
        }
        if feed.input_ended && feed.under_way.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}
