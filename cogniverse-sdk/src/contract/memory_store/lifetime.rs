//! Expiry, renewal, and clearing under concurrent writes.

use super::{MemoryStores, Outcome, add, agent, get, new, texts, user};
use crate::{
    ErrorKind, MemoryEventKind, MemoryReach,
    memory_store::{
        AddMemories, ClearMemories, GetMemory, ListMemories, MemoryChange, MemoryHistory, SearchMemories, UpdateMemory,
    },
};
use std::{sync::Arc, time::Duration};

/// Adds that run during a clear leave no partial memory, and the statistics agree with the list.
pub async fn a_clear_during_adds(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (Arc::clone(&stores.acme), agent("video"));
    let writer = {
        let (store, scope) = (Arc::clone(&store), scope.clone());
        tokio::spawn(async move {
            for number in 0..60 {
                add(&*store, &scope, &format!("fact {number}"), number % 8).await;
            }
        })
    };
    let mut gone = 0;
    for _ in 0..5 {
        gone += store.clear(ClearMemories::new(&scope, "asked to")).await.expect("clear");
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer");
    let left = texts(&*store, &scope).await;
    assert_eq!(gone + left.len() as u64, 60, "each was added once, and cleared or not");
    assert_eq!(store.stats(&(&scope).into()).await.expect("stats").total, left.len() as u64);
    Outcome::Ran
}

/// An expired memory is hidden, is returned where expired ones are asked for, can be renewed, and is purged.
pub async fn what_is_expired_is_not_there(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video"));
    let now = crate::Clock::now(&*stores.clock);
    let brief = |text: &str, seconds: u64, pinned: bool| {
        let mut memory = new(text, 0);
        memory.expires_at = Some(now + Duration::from_secs(seconds));
        memory.pinned = pinned;
        memory
    };
    let memories = vec![brief("brief", 10, false), brief("pinned", 10, true), brief("longer", 100, false)];
    let added = store.add(AddMemories::new(scope.clone(), memories)).await.expect("add");
    let brief_id = added.first().expect("three answers").memory().id.clone();
    stores.clock.advance(Duration::from_secs(10));
    assert_eq!(texts(store, &scope).await, ["longer", "pinned"]);
    assert_eq!(get(store, &scope, &brief_id).await, None);
    let shown = store.get(GetMemory::new(scope.clone(), brief_id.clone()).with_expired()).await.expect("get");
    assert_eq!(shown.map(|memory| memory.text).as_deref(), Some("brief"));
    assert_eq!(store.list(ListMemories::new(&scope).with_expired()).await.expect("list").memories.len(), 3);
    let search = SearchMemories::new(&scope, "brief", super::super::fixture::axis(0).to_vec());
    assert_eq!(store.search(search.clone()).await.expect("search").hits.len(), 2);
    assert_eq!(store.search(search.with_expired()).await.expect("search").hits.len(), 3);
    let pin = |pinned| MemoryChange { pinned: Some(pinned), ..MemoryChange::default() };
    let mut metadata = MemoryChange::default();
    metadata.metadata.insert("a".to_owned(), 1.into());
    let refused = store.update(UpdateMemory::new(scope.clone(), brief_id.clone(), metadata, "")).await;
    assert_eq!(refused.expect_err("refused").kind(), ErrorKind::FailedPrecondition);
    store.update(UpdateMemory::new(scope.clone(), brief_id.clone(), pin(true), "")).await.expect("a pin renews");
    assert_eq!(texts(store, &scope).await, ["brief", "longer", "pinned"]);
    stores.clock.advance(Duration::from_secs(90));
    let stats = store.stats(&MemoryReach::everything()).await.expect("stats");
    assert_eq!((stats.total, stats.expired, stats.pinned), (2, 1, 2));
    let again = store.add(AddMemories::new(scope.clone(), vec![new("longer", 0)])).await.expect("add");
    let again = again.first().expect("one answer").memory().clone();
    assert_eq!((again.expires_at, again.created_at), (None, now + Duration::from_secs(100)), "made anew");
    store.add(AddMemories::new(scope.clone(), vec![brief("over at once", 100, false)])).await.expect("add");
    let purge = ClearMemories::new(MemoryReach::everything(), "its time is over").only_expired();
    assert_eq!(store.clear(purge).await.expect("purge"), 1);
    assert_eq!(texts(store, &scope).await, ["brief", "longer", "pinned"]);
    let history = store.history(MemoryHistory::new(scope, again.id)).await.expect("history");
    assert!(history.iter().all(|event| event.kind == MemoryEventKind::Added), "{history:?}");
    Outcome::Ran
}

/// Statistics count what the reach contains.
pub async fn figures_are_those_of_the_reach(stores: &MemoryStores) -> Outcome {
    let store = &*stores.acme;
    let none = store.stats(&MemoryReach::everything()).await.expect("stats");
    assert_eq!((none.total, none.oldest, none.enabled), (0, None, true));
    let first = add(store, &agent("video"), "first", 0).await;
    stores.clock.advance(Duration::from_secs(5));
    add(store, &agent("video").of_user(user("alice")), "second", 1).await;
    let last = add(store, &agent("text"), "third", 2).await;
    add(&*stores.globex, &agent("video"), "theirs", 0).await;
    let stats = store.stats(&MemoryReach::everything()).await.expect("stats");
    assert_eq!((stats.total, stats.tenant.as_str()), (3, "acme"));
    assert_eq!((stats.oldest, stats.newest), (Some(first.created_at), Some(last.created_at)));
    assert_eq!(stats.by_agent.values().copied().collect::<Vec<_>>(), [1, 2]);
    let of_agent = store.stats(&MemoryReach::agent(agent("video").agent)).await.expect("stats");
    assert_eq!((of_agent.total, of_agent.newest), (2, Some(last.created_at)));
    Outcome::Ran
}
