//! Cases with one value: its versions, deletions and history.

#![expect(clippy::expect_used, clippy::panic, reason = "a contract suite asserts")]

use super::{Outcome, exported, key, kind, listed, owner, put, tenant, value};
use crate::ErrorKind;
use crate::config_store::{ConfigKey, ConfigOrigin, ConfigStore, Expected, ListConfig, PutConfig};
use serde_json::{Value, json};

/// Versions count from 1 without gaps, each stays readable, and keys count apart.
pub async fn versions_count_from_one(store: &dyn ConfigStore) -> Outcome {
    let (a, b) = (key("acme", "a"), key("acme", "b"));
    for version in 1..=3 {
        let entry = put(store, &a, json!({ "n": version })).await;
        assert_eq!((entry.version, entry.origin), (version, ConfigOrigin::Set));
    }
    assert_eq!(put(store, &b, json!(1)).await.version, 1);
    for version in 1..=3 {
        let entry = store.get(&a, Some(version)).await.expect("get").expect("the version exists");
        assert_eq!((entry.version, entry.value), (version, Some(json!({ "n": version }))));
    }
    let newest = store.get(&a, None).await.expect("get").expect("it exists");
    assert_eq!((newest.version, newest.key), (3, a));
    Outcome::Ran
}

/// A key that does not exist reads as `None`, without an error.
pub async fn unknown_is_none(store: &dyn ConfigStore) -> Outcome {
    let key = key("acme", "a");
    assert_eq!(store.get(&key, None).await.expect("get"), None);
    let history = store.history(&key, None, 10).await.expect("history");
    assert_eq!((history.entries.len(), history.next), (0, None));
    put(store, &key, json!(1)).await;
    assert_eq!(store.get(&key, Some(2)).await.expect("get"), None);
    assert_eq!(store.get(&key, Some(0)).await.expect("get"), None);
    assert_eq!(exported(store, &owner("globex"), 10).await, []);
    assert_eq!(store.erase_tenant(&tenant("globex")).await.expect("erase"), 0);
    Outcome::Ran
}

/// Of two writers that expect the same version one wins; the other is told the version that is there.
pub async fn invariant_13_conflict_names_the_version(store: &dyn ConfigStore) -> Outcome {
    let key = key("acme", "a");
    put(store, &key, json!(1)).await;
    put(store, &key, json!(2)).await;
    let second = PutConfig::new(key.clone(), json!(3)).expecting(Expected::Version(2));
    assert_eq!(store.put(second.clone()).await.expect("the first of two").version, 3);
    let error = store.put(second).await.expect_err("the second of two");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("version 3"), "{error}");
    let ahead = PutConfig::new(key.clone(), json!(9)).expecting(Expected::Version(4));
    assert_eq!(kind(store.put(ahead).await), ErrorKind::Conflict);
    assert_eq!(value(store, &key).await, Some(json!(3)));
    Outcome::Ran
}

/// `Absent` holds where nothing was set or it was deleted; a version is never expected of nothing.
pub async fn absent_holds_without_a_value(store: &dyn ConfigStore) -> Outcome {
    let key = key("acme", "a");
    let version = PutConfig::new(key.clone(), json!(0)).expecting(Expected::Version(1));
    assert_eq!(kind(store.put(version).await), ErrorKind::Conflict);
    let absent = PutConfig::new(key.clone(), json!(1)).expecting(Expected::Absent);
    assert_eq!(store.put(absent.clone()).await.expect("nothing is there").version, 1);
    let error = store.put(absent.clone()).await.expect_err("something is there");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("version 1"), "{error}");
    store.delete(&key, Expected::Any).await.expect("delete");
    assert_eq!(store.put(absent).await.expect("it was deleted").version, 3);
    Outcome::Ran
}

/// A deletion is a version without a value: history stays, and numbers go on.
pub async fn delete_is_a_version(store: &dyn ConfigStore) -> Outcome {
    let key = key("acme", "a");
    assert_eq!(kind(store.delete(&key, Expected::Any).await), ErrorKind::NotFound);
    put(store, &key, json!(1)).await;
    assert_eq!(kind(store.delete(&key, Expected::Version(7)).await), ErrorKind::Conflict);
    let deleted = store.delete(&key, Expected::Version(1)).await.expect("delete");
    assert_eq!((deleted.version, &deleted.value, &deleted.origin), (2, &None, &ConfigOrigin::Deleted));
    assert_eq!(store.get(&key, None).await.expect("get"), Some(deleted));
    assert_eq!(kind(store.delete(&key, Expected::Any).await), ErrorKind::NotFound);
    assert_eq!(listed(store, ListConfig::new(owner("acme"))).await, []);
    assert_eq!(put(store, &key, json!(2)).await.version, 3);
    let old = store.get(&key, Some(1)).await.expect("get").expect("history stays");
    assert_eq!(old.value, Some(json!(1)));
    Outcome::Ran
}

/// History is newest first and complete, over as many pages as it takes.
pub async fn history_is_complete_over_pages(store: &dyn ConfigStore) -> Outcome {
    let key = key("acme", "a");
    for n in 1..=23 {
        put(store, &key, json!(n)).await;
    }
    let (mut versions, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.history(&key, before, 5).await.expect("history");
        versions.extend(page.entries.iter().map(|entry| entry.version));
        before = page.entries.last().map(|last| last.version);
        pages += 1;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!((versions, pages), ((1..=23).rev().collect(), 5));
    let all = store.history(&key, None, 23).await.expect("history");
    assert_eq!((all.entries.len(), all.next), (23, None));
    assert_eq!(store.history(&key, Some(1), 5).await.expect("history").entries, []);
    assert_eq!(kind(store.history(&key, None, 0).await), ErrorKind::InvalidInput);
    Outcome::Ran
}

/// JSON `null` is refused: it would be read back as a deletion.
pub async fn nothing_is_not_a_value(store: &dyn ConfigStore) -> Outcome {
    let key = key("acme", "a");
    assert_eq!(kind(store.put(PutConfig::new(key.clone(), Value::Null)).await), ErrorKind::InvalidInput);
    let deleted = PutConfig::new(key.clone(), json!(1)).from_origin(ConfigOrigin::Deleted);
    assert_eq!(kind(store.put(deleted).await), ErrorKind::InvalidInput);
    assert_eq!(store.get(&key, None).await.expect("get"), None);
    for (n, value) in [json!({}), json!([]), json!(""), json!(0), json!(false)].into_iter().enumerate() {
        let entry = put(store, &key, value.clone()).await;
        assert_eq!(entry.version, n as u64 + 1);
        assert_eq!(store.get(&key, None).await.expect("get"), Some(entry));
    }
    Outcome::Ran
}

/// Every kind of write changes the mark, and reads do not; or the store has none.
pub async fn a_mark_is_another_after_every_write(store: &dyn ConfigStore) -> Outcome {
    let Some(mut mark) = store.change_mark().await.expect("a mark") else {
        return Outcome::Skipped("the store cannot tell cheaply whether it changed");
    };
    let key = key("acme", "a");
    for write in 0..4 {
        match write {
            0 | 1 => drop(put(store, &key, json!(write)).await),
            2 => drop(store.delete(&key, Expected::Any).await.expect("delete")),
            _ => drop(store.erase_tenant(&tenant("acme")).await.expect("erase")),
        }
        let after = store.change_mark().await.expect("a mark").expect("a mark");
        assert_ne!(after, mark, "after write {write}");
        store.get(&key, None).await.expect("get");
        assert_eq!(store.change_mark().await.expect("a mark"), Some(after), "a read is no change");
        mark = after;
    }
    Outcome::Ran
}

/// Twenty writers at once, each on a thread of its own: each version has exactly one winner, and no increment is lost.
pub async fn invariant_13_one_winner_per_version(store: &dyn ConfigStore) -> Outcome {
    const WRITERS: u64 = 20;
    const EACH: usize = 5;
    let key = key("acme", "counter");
    let mut versions: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(|| increments(store, &key, EACH))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect()
    });
    versions.sort_unstable();
    let last = WRITERS * EACH as u64;
    assert_eq!(versions, (1..=last).collect::<Vec<_>>());
    assert_eq!(value(store, &key).await, Some(json!(last)));
    Outcome::Ran
}

/// Increments a counter the given number of times, on its own runtime; returns the versions that it won.
fn increments(store: &dyn ConfigStore, key: &ConfigKey, times: usize) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut won = Vec::new();
        while won.len() < times {
            let newest = store.get(key, None).await.expect("get");
            let count = newest.as_ref().and_then(|entry| entry.value.as_ref()?.as_u64()).unwrap_or(0);
            let expected = newest.map_or(Expected::Absent, |entry| Expected::Version(entry.version));
            match store.put(PutConfig::new(key.clone(), json!(count + 1)).expecting(expected)).await {
                Ok(entry) => won.push(entry.version),
                Err(error) if error.kind() == ErrorKind::Conflict || error.is_retryable() => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        won
    })
}
