//! Cases with two stores: exporting from one and importing into the other.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, exported, key, kind, owner, put, tenant, value};
use crate::ErrorKind;
use crate::config_store::{ConfigEntry, ConfigOrigin, ConfigStore, Expected, PutConfig};
use serde_json::json;

/// An export read page by page and imported elsewhere keeps numbers, values, origins, times and deletions.
pub async fn invariant_14_import_keeps_versions(store: &dyn ConfigStore, other: &dyn ConfigStore) -> Outcome {
    for n in 1..=7 {
        put(store, &key("acme", "a"), json!({ "n": n, "ratio": 0.1 * f64::from(n) })).await;
    }
    let origins = [ConfigOrigin::Template("startup".into()), ConfigOrigin::Rollback(1)];
    for origin in origins {
        let put = PutConfig::new(key("acme", "b"), json!({ "text": "é\n\"" })).from_origin(origin);
        store.put(put).await.expect("put");
    }
    store.delete(&key("acme", "b"), Expected::Any).await.expect("delete");
    put(store, &key("globex", "a"), json!("another tenant's")).await;
    let entries = exported(store, &owner("acme"), 3).await;
    assert_eq!(entries.len(), 10);
    let text = serde_json::to_string(&entries).expect("an export is plain data");
    let read: Vec<ConfigEntry> = serde_json::from_str(&text).expect("an export is plain data");
    assert_eq!(other.import(read).await.expect("import"), 10);
    assert_eq!(exported(other, &owner("acme"), 100).await, entries);
    assert_eq!(exported(other, &owner("globex"), 100).await, []);
    assert_eq!(put(other, &key("acme", "b"), json!(1)).await.version, 4);
    Outcome::Ran
}

/// An import that meets another version does nothing at all, and one that is there already does no harm.
pub async fn import_is_all_or_none(store: &dyn ConfigStore, other: &dyn ConfigStore) -> Outcome {
    for name in ["a", "b", "c"] {
        put(store, &key("acme", name), json!(1)).await;
    }
    put(store, &key("acme", "c"), json!(2)).await;
    let entries = exported(store, &owner("acme"), 100).await;
    assert_eq!(store.import(entries.clone()).await.expect("all of it is here"), 0);
    put(other, &key("acme", "b"), json!("different")).await;
    let error = other.import(entries.clone()).await.expect_err("b is another");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("version 1"), "{error}");
    assert_eq!(exported(other, &owner("acme"), 100).await.len(), 1, "nothing was imported");
    assert_eq!(value(other, &key("acme", "b")).await, Some(json!("different")));
    other.erase_tenant(&tenant("acme")).await.expect("erase");
    assert_eq!(other.import(entries.clone()).await.expect("the way is free"), 4);
    put(other, &key("acme", "a"), json!("newer")).await;
    assert_eq!(kind(other.import(entries).await), ErrorKind::Conflict, "a newer version is never covered up");
    assert_eq!(value(other, &key("acme", "a")).await, Some(json!("newer")));
    Outcome::Ran
}

/// An import whose history has gaps is refused and changes nothing.
pub async fn import_refuses_gaps(store: &dyn ConfigStore, other: &dyn ConfigStore) -> Outcome {
    for n in 1..=3 {
        put(store, &key("acme", "a"), json!(n)).await;
    }
    let entries = exported(store, &owner("acme"), 100).await;
    let gap = entries.iter().filter(|entry| entry.version != 2).cloned().collect();
    assert_eq!(kind(other.import(gap).await), ErrorKind::InvalidInput);
    let late = entries.iter().filter(|entry| entry.version > 1).cloned().collect();
    assert_eq!(kind(other.import(late).await), ErrorKind::InvalidInput);
    let twice = entries.iter().chain(&entries).cloned().collect();
    assert_eq!(kind(other.import(twice).await), ErrorKind::InvalidInput);
    let mut hollow = entries;
    hollow.iter_mut().for_each(|entry| entry.value = None);
    assert_eq!(kind(other.import(hollow).await), ErrorKind::InvalidInput);
    assert_eq!(exported(other, &owner("acme"), 100).await, []);
    assert_eq!(other.import(Vec::new()).await.expect("nothing is a history"), 0);
    Outcome::Ran
}
