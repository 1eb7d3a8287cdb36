//! Isolation of scopes and tenants.

use super::{MemoryStores, Outcome, add, agent, get, new, texts, user};
use crate::{
    ErrorKind, MemoryReach, MemoryStore, SessionId,
    memory_store::{
        AddMemories, ClearMemories, DeleteMemory, ListMemories, MemoryChange, MemoryHistory, SearchMemories,
        UpdateMemory,
    },
};

/// A call sees its own scope only, and more only where it asks for any agent, user or session ([invariant 1](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#1)).
pub async fn invariant_01_every_call_has_a_scope(stores: &MemoryStores) -> Outcome {
    let store = &*stores.acme;
    let alice = agent("video").of_user(user("alice"));
    let talk = alice.clone().in_session(SessionId::parse("monday").expect("a literal id"));
    add(store, &agent("video"), "of the agent", 0).await;
    add(store, &alice, "of alice", 0).await;
    add(store, &talk, "of alice on monday", 0).await;
    add(store, &agent("video").of_user(user("bob")), "of bob", 0).await;
    add(store, &agent("text"), "of another agent", 0).await;
    add(&*stores.globex, &alice, "of another tenant", 0).await;
    let table: [(MemoryReach, &[&str]); 7] = [
        (agent("video").into(), &["of the agent"]),
        ((&alice).into(), &["of alice"]),
        (MemoryReach::of(&alice).any_session(), &["of alice", "of alice on monday"]),
        (MemoryReach::of(&agent("video")).any_user(), &["of alice", "of bob", "of the agent"]),
        (MemoryReach::of(&alice).any_agent(), &["of alice"]),
        (agent("*").into(), &[]),
        (agent("vide").into(), &[]),
    ];
    for (reach, wanted) in table {
        assert_eq!(texts(store, reach.clone()).await, wanted, "{reach:?}");
        let search = SearchMemories::new(reach.clone(), "of", super::super::fixture::axis(0).to_vec()).with_top_k(50);
        let hits = store.search(search).await.expect("search").hits;
        let mut found: Vec<&str> = hits.iter().map(|hit| hit.memory.text.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{reach:?}");
        assert_eq!(store.stats(&reach).await.expect("stats").total, wanted.len() as u64, "{reach:?}");
    }
    assert_eq!(texts(store, MemoryReach::everything()).await.len(), 5);
    assert_eq!(texts(&*stores.globex, MemoryReach::everything()).await, ["of another tenant"]);
    Outcome::Ran
}

/// An id of another agent, user, session or tenant is reported like one that never existed ([invariant 6](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#6)).
pub async fn invariant_06_ids_alone_reach_nothing(stores: &MemoryStores) -> Outcome {
    let owner = agent("video").of_user(user("alice"));
    let memory = add(&*stores.acme, &owner, "a secret of alice", 0).await;
    let strangers: Vec<(&dyn MemoryStore, crate::MemoryScope)> = vec![
        (&*stores.acme, agent("text").of_user(user("alice"))),
        (&*stores.acme, agent("video").of_user(user("bob"))),
        (&*stores.acme, agent("video")),
        (&*stores.acme, owner.clone().in_session(SessionId::parse("one").expect("a literal id"))),
        (&*stores.globex, owner.clone()),
    ];
    for (store, scope) in strangers {
        assert_eq!(get(store, &scope, &memory.id).await, None, "{scope:?}");
        let change = MemoryChange { pinned: Some(true), ..MemoryChange::default() };
        let update = store.update(UpdateMemory::new(scope.clone(), memory.id.clone(), change, "")).await;
        let delete = store.delete(DeleteMemory::new(scope.clone(), memory.id.clone(), "")).await;
        for refused in [update, delete] {
            assert_eq!(refused.expect_err("refused").kind(), ErrorKind::NotFound, "{scope:?}");
        }
        let history = store.history(MemoryHistory::new(scope.clone(), memory.id.clone())).await.expect("history");
        assert!(history.is_empty(), "{scope:?}: {history:?}");
    }
    assert_eq!(get(&*stores.acme, &owner, &memory.id).await, Some(memory));
    Outcome::Ran
}

/// A cursor is bound to one tenant, one reach and one filter ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)).
pub async fn invariant_08_cursors_stay_with_their_list(stores: &MemoryStores) -> Outcome {
    let scope = agent("video");
    for store in [&stores.acme, &stores.globex] {
        let many = (0..5).map(|number| new(&format!("fact {number}"), number)).collect();
        store.add(AddMemories::new(scope.clone(), many)).await.expect("add");
    }
    let list = ListMemories::new(&scope).with_limit(2);
    let cursor = stores.acme.list(list.clone()).await.expect("list").next;
    assert!(cursor.is_some());
    let filter = crate::memory_store::MemoryFilter::new().with_pinned(false);
    let foreign = [
        stores.globex.list(list.clone().after(cursor.clone())).await,
        stores.acme.list(ListMemories::new(agent("text")).after(cursor.clone())).await,
        stores.acme.list(ListMemories::new(MemoryReach::everything()).after(cursor.clone())).await,
        stores.acme.list(list.clone().with_filter(filter).after(cursor.clone())).await,
        stores.acme.list(list.clone().with_expired().after(cursor.clone())).await,
        stores.acme.list(list.clone().after(Some(crate::PageCursor::from_text("no cursor")))).await,
    ];
    for refused in foreign {
        assert_eq!(refused.expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(stores.acme.list(list.after(cursor)).await.expect("list").memories.len(), 2);
    Outcome::Ran
}

/// Vectors of the wrong length, of length zero, or with NaN are refused ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
pub async fn invariant_17_vectors_are_checked(stores: &MemoryStores) -> Outcome {
    let (store, scope) = (&*stores.acme, agent("video"));
    let kept = add(store, &scope, "kept", 0).await;
    for bad in [vec![1.0; 7], vec![1.0; 16], vec![0.0; 8], vec![f32::NAN; 8], vec![f32::INFINITY; 8], vec![]] {
        let mut memory = new("text", 0);
        memory.vector.clone_from(&bad);
        let added = store.add(AddMemories::new(scope.clone(), vec![memory])).await.map(|_| ());
        let found = store.search(SearchMemories::new(&scope, "text", bad.clone())).await.map(|_| ());
        let text = Some(("changed".to_owned(), bad.clone(), "contract".to_owned()));
        let change = MemoryChange { text, ..MemoryChange::default() };
        let updated = store.update(UpdateMemory::new(scope.clone(), kept.id.clone(), change, "")).await.map(|_| ());
        for refused in [added, found, updated] {
            assert_eq!(refused.expect_err("refused").kind(), ErrorKind::InvalidInput, "{bad:?}");
        }
    }
    assert_eq!(texts(store, &scope).await, ["kept"]);
    Outcome::Ran
}

/// A clear removes what its reach contains and leaves every other agent, user and tenant unchanged.
pub async fn a_clear_takes_its_reach_alone(stores: &MemoryStores) -> Outcome {
    let store = &*stores.acme;
    for scope in [agent("video"), agent("video").of_user(user("alice")), agent("text")] {
        for number in 0..3 {
            add(store, &scope, &format!("fact {number}"), number).await;
        }
    }
    add(&*stores.globex, &agent("video"), "theirs", 0).await;
    let memory = add(store, &agent("video"), "fact 0", 0).await;
    stores.clock.advance(std::time::Duration::from_secs(1));
    let of_agent = ClearMemories::new(MemoryReach::agent(agent("video").agent), "asked to");
    assert_eq!(store.clear(of_agent.clone()).await.expect("clear"), 6);
    assert_eq!(store.clear(of_agent).await.expect("clear"), 0);
    assert_eq!(texts(store, MemoryReach::everything()).await.len(), 3);
    let history = MemoryHistory::new(agent("video"), memory.id);
    assert_eq!(store.history(history.clone()).await.expect("history").len(), 2);
    assert_eq!(store.clear(ClearMemories::new(MemoryReach::everything(), "").with_history()).await.expect("clear"), 3);
    assert!(store.history(history).await.expect("history").is_empty());
    assert_eq!(texts(&*stores.globex, MemoryReach::everything()).await, ["theirs"]);
    Outcome::Ran
}
