//! The export thread.

use super::{
    exporter::{ExportError, ScopeBatch, SpanExporter},
    pipeline::{Shared, State},
};
use cogniverse_sdk::{Error, deadline_after};
use parking_lot::MutexGuard;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// The first backoff after a failed export; it doubles from there.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

pub(crate) fn run(shared: &Shared, mut exporter: Box<dyn SpanExporter>) {
    while let Some(batches) = next(shared) {
        deliver(shared, exporter.as_mut(), batches);
    }
    // Before anyone is told: what the exporter holds is let go by now.
    drop(exporter);
    let mut state = shared.state.lock();
    state.stopped = true;
    shared.settled.notify_all();
}

/// Waits for spans to export; returns `None` on shutdown.
fn next(shared: &Shared) -> Option<Vec<ScopeBatch>> {
    let mut state = shared.state.lock();
    loop {
        if let Some(stop_by) = state.stop_by
            && (state.queue.len() == 0 || Instant::now() >= stop_by)
        {
            state.queue.forget_all();
            return None;
        }
        let due = state.waiting_since.map(|since| deadline_after(since, shared.settings.export_interval));
        let full = state.queue.len() >= shared.settings.max_batch_spans;
        if state.queue.len() > 0
            && (full || state.flushes > 0 || state.stop_by.is_some() || due <= Some(Instant::now()))
        {
            return Some(take(shared, &mut state));
        }
        match due.filter(|_| state.queue.len() > 0) {
            Some(due) => drop(shared.wake.wait_until(&mut state, due)),
            None => {
                state.waiting_since = None;
                shared.wake.wait(&mut state);
            }
        }
    }
}

fn take(shared: &Shared, state: &mut MutexGuard<'_, State>) -> Vec<ScopeBatch> {
    let batches = state.queue.take(shared.settings.max_batch_spans, |scope| shared.project(scope));
    state.in_flight = batches.iter().map(|batch| batch.scope.clone()).collect();
    state.waiting_since = (state.queue.len() > 0).then(Instant::now);
    batches
}

/// Exports a batch, with retries, until it succeeds or is given up.
fn deliver(shared: &Shared, exporter: &mut dyn SpanExporter, mut batches: Vec<ScopeBatch>) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        without_closed(shared, &mut batches);
        if batches.is_empty() {
            return;
        }
        match export(exporter, &batches) {
            Ok(()) => return settle(shared, &batches),
            Err(ExportError::Refused(error)) => {
                failed(shared, &error);
                // One that nobody will ever take must not hold up the others.
                if batches.len() > 1 {
                    batches.into_iter().for_each(|batch| deliver(shared, exporter, vec![batch]));
                } else {
                    give_up(shared, &batches);
                }
                return;
            }
            Err(ExportError::Retry { after, error }) => {
                failed(shared, &error);
                if !pause(shared, after.unwrap_or(backoff).min(shared.settings.max_backoff), &mut batches) {
                    return give_up(shared, &batches);
                }
                backoff = (backoff * 2).min(shared.settings.max_backoff);
            }
        }
    }
}

fn export(exporter: &mut dyn SpanExporter, batches: &[ScopeBatch]) -> Result<(), ExportError> {
    catch_unwind(AssertUnwindSafe(|| exporter.export(batches)))
        .unwrap_or_else(|_| Err(ExportError::Refused(Error::unexpected("the span exporter panicked"))))
}

fn failed(shared: &Shared, error: &Error) {
    tracing::debug!("spans were not exported: {}", error.chain());
    let mut state = shared.state.lock();
    state.failed_exports += 1;
    state.last_error = Some(error.chain());
    shared.settled.notify_all();
}

fn settle(shared: &Shared, batches: &[ScopeBatch]) {
    let mut state = shared.state.lock();
    for batch in batches {
        state.queue.settle(batch.spans.len());
        state.exported += batch.spans.len() as u64;
        state.in_flight.remove(&batch.scope);
    }
    state.last_error = None;
    shared.settled.notify_all();
}

fn give_up(shared: &Shared, batches: &[ScopeBatch]) {
    let mut state = shared.state.lock();
    for batch in batches {
        state.queue.give_up(batch);
        state.in_flight.remove(&batch.scope);
    }
    shared.settled.notify_all();
}

/// Drops the spans of tenants that were closed meanwhile.
fn without_closed(shared: &Shared, batches: &mut Vec<ScopeBatch>) {
    let mut state = shared.state.lock();
    batches.retain(|batch| {
        let closed = state.is_closed(&batch.scope);
        if closed {
            state.queue.give_up(batch);
            state.in_flight.remove(&batch.scope);
            shared.settled.notify_all();
        }
        !closed
    });
}

/// Waits before the next retry; returns `false` on shutdown. A flush triggers one retry at once, but not a burst.
fn pause(shared: &Shared, pause: Duration, batches: &mut Vec<ScopeBatch>) -> bool {
    let begun = Instant::now();
    // Up to a quarter more, so that many processes do not come back at once.
    let jitter = pause.mul_f64(super::id::fraction() / 4.0);
    loop {
        without_closed(shared, batches);
        let mut state = shared.state.lock();
        if state.stop_by.is_some_and(|stop_by| Instant::now() >= stop_by) {
            return false;
        }
        let hurry = state.flushes > 0 || state.stop_by.is_some();
        let until = deadline_after(begun, if hurry { pause.min(FIRST_BACKOFF) } else { pause.saturating_add(jitter) });
        if batches.is_empty() || Instant::now() >= until {
            return true;
        }
        shared.wake.wait_until(&mut state, until);
    }
}
