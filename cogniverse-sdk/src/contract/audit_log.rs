//! The contract suite of [`AuditLog`], for a log that starts empty.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{AuditEvent, AuditLog, ErrorKind, Operation, TenantId};

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).expect("a literal tenant")
}

fn event(number: u64) -> AuditEvent {
    AuditEvent::Denied { operation: Operation::Search, suppressed: number }
}

/// A log of a tenant that nothing happened to is empty and whole.
pub async fn nothing_is_whole(log: &dyn AuditLog) -> Outcome {
    let page = log.read(&tenant("acme"), 0, 10).await.expect("read");
    assert!(page.entries.is_empty() && page.next.is_none());
    let checked = log.verify(&tenant("acme")).await.expect("verify");
    assert!(checked.is_whole() && checked.entries == 0 && checked.head.is_empty(), "{checked:?}");
    Outcome::Ran
}

/// Entries are numbered and chained, and the pages of a log are complete.
pub async fn pages_are_complete_and_chained(log: &dyn AuditLog) -> Outcome {
    let acme = tenant("acme");
    for number in 0..25 {
        let entry = log.append(&acme, "anna", event(number)).await.expect("append");
        assert_eq!(entry.sequence, number + 1);
    }
    let (mut entries, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let page = log.read(&acme, from, 7).await.expect("read");
        assert!(page.entries.len() <= 7);
        entries.extend(page.entries);
        after = page.next;
    }
    assert_eq!(entries.len(), 25);
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!((entry.sequence, entry.actor.as_str()), (place as u64 + 1, "anna"));
        assert_eq!(entry.event, event(place as u64));
    }
    for pair in entries.windows(2) {
        if let [first, second] = pair {
            assert_eq!(first.hash, second.previous);
        }
    }
    let checked = log.verify(&acme).await.expect("verify");
    assert!(checked.is_whole() && checked.entries == 25, "{checked:?}");
    assert_eq!(entries.last().map(|last| last.hash.clone()), Some(checked.head));
    assert_eq!(log.read(&acme, 0, 0).await.expect_err("no entries at all").kind(), ErrorKind::InvalidInput);
    Outcome::Ran
}

/// Tenants whose names look alike have logs of their own.
pub async fn invariant_03_names_that_look_alike_stay_apart(log: &dyn AuditLog) -> Outcome {
    log.append(&tenant("acme"), "anna", event(1)).await.expect("append");
    for near in ["acm", "acme_", "ACME", "acme.corp"] {
        assert!(log.read(&tenant(near), 0, 10).await.expect("read").entries.is_empty(), "{near}");
    }
    Outcome::Ran
}

/// Of several writers at once, each on a thread of its own, each gets a number of its own, and the chain holds.
pub async fn writers_at_once_keep_the_chain(log: &dyn AuditLog) -> Outcome {
    const WRITERS: u64 = 8;
    const EACH: u64 = 4;
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(|| appends(log, EACH))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=WRITERS * EACH).collect::<Vec<u64>>());
    let checked = log.verify(&tenant("acme")).await.expect("verify");
    assert!(checked.is_whole() && checked.entries == WRITERS * EACH, "{checked:?}");
    Outcome::Ran
}

fn appends(log: &dyn AuditLog, times: u64) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut numbers = Vec::new();
        for number in 0..times {
            numbers.push(log.append(&tenant("acme"), "anna", event(number)).await.expect("append").sequence);
        }
        numbers
    })
}

/// Expands to one test per case; `make` returns the log and a value that must live as long.
#[macro_export]
macro_rules! audit_log_contract {
    ($make:expr) => {
        $crate::audit_log_contract! { $make, [] }
    };
    ($make:expr, $skips:tt) => {
        $crate::contract_cases! { audit_log, $make, $skips;
            nothing_is_whole,
            pages_are_complete_and_chained,
            invariant_03_names_that_look_alike_stay_apart,
            writers_at_once_keep_the_chain,
        }
    };
}
