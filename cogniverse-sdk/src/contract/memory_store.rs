//! The contract suite of [`crate::MemoryStore`]: stores of two tenants on one storage, for vectors of eight cells.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

mod isolation;
mod lifetime;

pub use isolation::*;
pub use lifetime::*;

use super::Outcome;
use crate::{
    AgentId, ErrorKind, ManualClock, Memory, MemoryEventKind, MemoryId, MemoryReach, MemoryScope, MemoryStore,
    SessionId, UserId,
    memory::NewMemory,
    memory_store::{
        AddMemories, Added, DeleteMemory, GetMemory, ListMemories, MemoryChange, MemoryFilter, MemoryHistory,
        MemoryWeights, SearchMemories, UpdateMemory,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The stores under test, which start empty, and the clock that both use.
#[derive(Debug)]
pub struct MemoryStores {
    /// The store of one tenant.
    pub acme: Arc<dyn MemoryStore>,
    /// The store of another tenant, on the same storage.
    pub globex: Arc<dyn MemoryStore>,
    /// The clock of both stores.
    pub clock: Arc<ManualClock>,
}

pub(super) fn agent(name: &str) -> MemoryScope {
    MemoryScope::new(AgentId::parse(name).expect("a literal id"))
}

pub(super) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a literal id")
}

/// Creates a memory whose meaning is `axis`: texts of one axis have the same vector.
pub(super) fn new(text: &str, axis: usize) -> NewMemory {
    NewMemory::new(text, super::fixture::axis(axis).to_vec(), "contract")
}

pub(super) async fn add(store: &dyn MemoryStore, scope: &MemoryScope, text: &str, axis: usize) -> Memory {
    let added = store.add(AddMemories::new(scope.clone(), vec![new(text, axis)])).await.expect("add");
    added.first().expect("one answer").memory().clone()
}

pub(super) async fn get(store: &dyn MemoryStore, scope: &MemoryScope, id: &MemoryId) -> Option<Memory> {
    store.get(GetMemory::new(scope.clone(), id.clone())).await.expect("get")
}

pub(super) async fn texts(store: &dyn MemoryStore, reach: impl Into<MemoryReach>) -> Vec<String> {
    let (mut texts, mut after) = (Vec::new(), None);
    let reach = reach.into();
    loop {
        let page = store.list(ListMemories::new(reach.clone()).with_limit(7).after(after)).await.expect("list");
        texts.extend(page.memories.into_iter().map(|memory| memory.text));
        after = page.next;
        if after.is_none() {
            texts.sort();
            return texts;
        }
    }
}

/// An added memory reads back with all its attributes.
pub async fn what_is_added_is_there(stores: &MemoryStores) -> Outcome {
    let scope = agent("video").of_user(user("alice"));
    let mut given = new("  prefers technical tutorials ", 0);
    given.metadata.insert("topic".to_owned(), "ml".into());
    given.reason = "said so".to_owned();
    let added = stores.acme.add(AddMemories::new(scope.clone(), vec![given])).await.expect("add");
    let [Added::Stored(memory)] = added.as_slice() else { unreachable!("one stored: {added:?}") };
    assert_eq!((memory.text.as_str(), memory.revision, memory.pinned), ("prefers technical tutorials", 1, false));
    assert_eq!(get(&*stores.acme, &scope, &memory.id).await.as_ref(), Some(memory));
    let history = stores.acme.history(MemoryHistory::new(scope, memory.id.clone())).await.expect("history");
    let [event] = history.as_slice() else { unreachable!("one entry: {history:?}") };
    assert_eq!((event.kind, event.reason.as_str()), (MemoryEventKind::Added, "said so"));
    assert_eq!((event.old_text.as_deref(), event.new_text.as_deref()), (None, Some("prefers technical tutorials")));
    for bad in [new("", 0), new(&"x".repeat(1 << 20), 0), new("a\u{0}b", 0)] {
        let refused = stores.acme.add(AddMemories::new(agent("video"), vec![bad])).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    }
    Outcome::Ran
}

/// A text is one memory of a scope, whatever its case and white space, within a call and between calls.
pub async fn a_text_is_one_memory_of_a_scope(stores: &MemoryStores) -> Outcome {
    let scope = agent("video");
    let both = vec![new("Likes tea", 0), new("likes  TEA", 0)];
    let added = stores.acme.add(AddMemories::new(scope.clone(), both)).await.expect("add");
    let [Added::Stored(first), Added::Known(second)] = added.as_slice() else { unreachable!("{added:?}") };
    assert_eq!(first.id, second.id);
    let again = stores.acme.add(AddMemories::new(scope.clone(), vec![new("LIKES TEA\n", 1)])).await.expect("add");
    assert_eq!(again, [Added::Known(first.clone())]);
    let other = add(&*stores.acme, &agent("video").of_user(user("alice")), "Likes tea", 0).await;
    assert_ne!(other.id, first.id);
    assert_eq!(texts(&*stores.acme, MemoryReach::everything()).await, ["Likes tea", "Likes tea"]);
    Outcome::Ran
}

/// Concurrent writers that add the same texts create each memory once.
pub async fn two_writers_make_one_memory(stores: &MemoryStores) -> Outcome {
    let write = |store: Arc<dyn MemoryStore>| {
        tokio::spawn(async move {
            for number in 0..20 {
                add(&*store, &agent("video"), &format!("fact {number}"), number % 8).await;
            }
        })
    };
    let (one, two) = (write(Arc::clone(&stores.acme)), write(Arc::clone(&stores.acme)));
    one.await.expect("the first writer");
    two.await.expect("the second writer");
    assert_eq!(texts(&*stores.acme, agent("video")).await.len(), 20);
    Outcome::Ran
}

/// An update changes the named attributes, keeps the others, and makes the memory findable by its new text only.
pub async fn an_update_keeps_the_rest(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video"));
    let before = add(store, &scope, "likes tea", 0).await;
    stores.clock.advance(Duration::from_secs(60));
    let change = MemoryChange {
        text: Some(("likes coffee".to_owned(), super::fixture::axis(3).to_vec(), "contract".to_owned())),
        ..MemoryChange::default()
    };
    let update = UpdateMemory::new(scope.clone(), before.id.clone(), change.clone(), "changed their mind");
    let after = store.update(update).await.expect("update");
    assert_eq!((&after.id, after.created_at, after.revision), (&before.id, before.created_at, 2));
    assert_eq!(after.updated_at, before.updated_at + Duration::from_secs(60));
    assert_eq!(get(store, &scope, &before.id).await, Some(after.clone()));
    let search = SearchMemories::new(&scope, "coffee", super::fixture::axis(3).to_vec()).with_threshold(0.9);
    assert_eq!(store.search(search).await.expect("search").hits.len(), 1);
    let search = SearchMemories::new(&scope, "tea", super::fixture::axis(0).to_vec()).with_threshold(0.9);
    assert!(store.search(search).await.expect("search").hits.is_empty());
    // The former text is another memory now, and the new text is taken.
    let tea = add(store, &scope, "likes tea", 0).await;
    assert_ne!(tea.id, before.id);
    let taken = store.update(UpdateMemory::new(scope.clone(), tea.id, change, "")).await.expect_err("taken");
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let history = store.history(MemoryHistory::new(scope.clone(), before.id.clone())).await.expect("history");
    let kinds: Vec<MemoryEventKind> = history.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [MemoryEventKind::Added, MemoryEventKind::Updated]);
    let last = history.last().expect("two entries");
    assert_eq!((last.old_text.as_deref(), last.new_text.as_deref()), (Some("likes tea"), Some("likes coffee")));
    let nothing = store.update(UpdateMemory::new(scope, before.id, MemoryChange::default(), "")).await;
    assert_eq!(nothing.expect_err("refused").kind(), ErrorKind::InvalidInput);
    Outcome::Ran
}

/// Vector, text and recency each contribute to the score, the threshold applies to the vector alone, and a hit
/// reports its signals.
pub async fn three_signals_rank(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video"));
    add(store, &scope, "short clips about sailing", 0).await;
    add(store, &scope, "boats and harbours", 1).await;
    stores.clock.advance(Duration::from_secs(100 * 24 * 3600));
    add(store, &scope, "long talks about sailing", 0).await;
    let search = |text: &str, axis| SearchMemories::new(&scope, text, super::fixture::axis(axis).to_vec());
    let by_meaning = store.search(search("nothing", 1)).await.expect("search").hits;
    assert_eq!(by_meaning.iter().map(|hit| hit.memory.text.as_str()).collect::<Vec<_>>(), ["boats and harbours"]);
    let signals = by_meaning.first().expect("one hit").signals;
    assert!((signals.semantic - 1.0).abs() < 1e-3 && signals.text == 0.0 && signals.recency < 0.2, "{signals:?}");
    let by_words = store.search(search("clips", 0)).await.expect("search").hits;
    let order: Vec<&str> = by_words.iter().map(|hit| hit.memory.text.as_str()).collect();
    assert_eq!(order, ["short clips about sailing", "long talks about sailing"], "the word decides");
    let by_time = store.search(search("sailing", 0)).await.expect("search").hits;
    assert_eq!(by_time.first().map(|hit| hit.memory.text.as_str()), Some("long talks about sailing"), "time decides");
    for hit in by_words.iter().chain(&by_time) {
        assert!((hit.score - MemoryWeights::default().score(&hit.signals)).abs() < 1e-6, "{hit:?}");
    }
    let all = store.search(search("sailing", 0).with_threshold(-1.0)).await.expect("search").hits;
    assert_eq!(all.len(), 3);
    assert_eq!(store.search(search("sailing", 0).with_top_k(1)).await.expect("search").hits.len(), 1);
    for bad in [search("x", 0).with_top_k(0), search("x", 0).with_top_k(101)] {
        assert_eq!(store.search(bad).await.expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
    Outcome::Ran
}

/// A filter is decided before ranking, and by list and search alike.
pub async fn filters_mean_what_they_say(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video"));
    for number in 0..12 {
        let mut memory = new(&format!("fact {number}"), 0);
        memory.metadata.insert("even".to_owned(), (number % 2 == 0).into());
        memory.metadata.insert("topic".to_owned(), ["a", "b", "c\" or true"].get(number % 3).copied().into());
        memory.pinned = number == 5;
        store.add(AddMemories::new(scope.clone(), vec![memory])).await.expect("add");
    }
    let table = [
        (MemoryFilter::new().with_metadata("even", true), 6),
        (MemoryFilter::new().with_metadata("even", true).with_metadata("topic", "a"), 2),
        (MemoryFilter::new().with_metadata("topic", "c\" or true"), 4),
        (MemoryFilter::new().with_metadata("topic", "d"), 0),
        (MemoryFilter::new().with_pinned(true), 1),
        (MemoryFilter::new().with_origin(crate::MemoryOrigin::Inferred), 0),
    ];
    for (filter, wanted) in table {
        let listed = store.list(ListMemories::new(&scope).with_filter(filter.clone())).await.expect("list").memories;
        let search = SearchMemories::new(&scope, "fact", super::fixture::axis(0).to_vec()).with_top_k(100);
        let found = store.search(search.with_filter(filter.clone())).await.expect("search").hits;
        assert_eq!((listed.len(), found.len()), (wanted, wanted), "{filter:?}");
        assert!(listed.iter().all(|memory| filter.accepts(memory)));
    }
    let odd = MemoryFilter::new().with_metadata("topic", serde_json::json!({"a": 1}));
    assert_eq!(
        store.list(ListMemories::new(&scope).with_filter(odd)).await.expect_err("refused").kind(),
        ErrorKind::InvalidInput
    );
    Outcome::Ran
}

/// Following every cursor gives each memory once, whatever the size of the page.
pub async fn lists_are_complete(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video"));
    let many = (0..53).map(|number| new(&format!("fact {number}"), number % 8)).collect();
    store.add(AddMemories::new(scope.clone(), many)).await.expect("add");
    add(store, &agent("other"), "not asked for", 0).await;
    for limit in [1, 10, 53, 1000] {
        let (mut seen, mut total, mut after) = (BTreeSet::new(), 0, None);
        loop {
            let page = store.list(ListMemories::new(&scope).with_limit(limit).after(after)).await.expect("list");
            assert!(page.memories.len() <= limit);
            total += page.memories.len();
            seen.extend(page.memories.into_iter().map(|memory| memory.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((seen.len(), total), (53, 53), "limit {limit}");
    }
    for bad in [0, 1001] {
        let refused = store.list(ListMemories::new(&scope).with_limit(bad)).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    Outcome::Ran
}

/// A memory whose text was changed keeps its id: adding the former and the present text together leaves it unchanged
/// and creates a new memory for the former.
pub async fn a_former_text_takes_no_memorys_place(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("a"));
    let paris = add(store, &scope, "I live in Paris", 0).await;
    let rome = MemoryChange::new().with_text("I live in Rome", super::fixture::axis(1).to_vec(), "contract");
    store.update(UpdateMemory::new(scope.clone(), paris.id.clone(), rome, "moved")).await.expect("update");
    let both = vec![new("I live in Paris", 0), new("I live in Rome", 1)];
    let added = store.add(AddMemories::new(scope.clone(), both)).await.expect("add");
    let ids: BTreeSet<&MemoryId> = added.iter().map(|added| &added.memory().id).collect();
    assert_eq!(ids.len(), 2, "{added:?}");
    assert_eq!(get(store, &scope, &paris.id).await.expect("it stays").text, "I live in Rome");
    let there: BTreeSet<String> = texts(store, &scope).await.into_iter().collect();
    assert_eq!(there, ["I live in Paris", "I live in Rome"].map(str::to_owned).into());
    Outcome::Ran
}

/// A deleted memory is gone, the call returns its last state, and its history stays.
pub async fn a_delete_leaves_the_history(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video").in_session(SessionId::parse("one").expect("a literal id")));
    let memory = add(store, &scope, "likes tea", 0).await;
    stores.clock.advance(Duration::from_secs(1));
    let delete = DeleteMemory::new(scope.clone(), memory.id.clone(), "asked to");
    assert_eq!(store.delete(delete.clone()).await.expect("delete"), memory);
    assert_eq!(get(store, &scope, &memory.id).await, None);
    assert_eq!(store.delete(delete).await.expect_err("gone").kind(), ErrorKind::NotFound);
    let history = store.history(MemoryHistory::new(scope.clone(), memory.id.clone())).await.expect("history");
    let last = history.last().expect("two entries");
    assert_eq!((history.len(), last.kind, last.new_text.as_deref()), (2, MemoryEventKind::Deleted, None));
    stores.clock.advance(Duration::from_secs(1));
    let again = add(store, &scope, "likes tea", 0).await;
    assert_eq!(again.id, memory.id, "the same text has the same id");
    assert!(again.created_at > memory.created_at);
    Outcome::Ran
}

/// Expands to one test per case, on stores that `make` opens for each.
#[macro_export]
macro_rules! memory_store_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            memory_store, $make, [$($skip),*];
            what_is_added_is_there, a_text_is_one_memory_of_a_scope, two_writers_make_one_memory, an_update_keeps_the_rest,
            a_former_text_takes_no_memorys_place,
            three_signals_rank, filters_mean_what_they_say, lists_are_complete, a_delete_leaves_the_history,
            invariant_01_every_call_has_a_scope, invariant_06_ids_alone_reach_nothing,
            invariant_08_cursors_stay_with_their_list, invariant_17_vectors_are_checked, a_clear_takes_its_reach_alone,
            a_clear_during_adds, what_is_expired_is_not_there, figures_are_those_of_the_reach
        }
    };
}
