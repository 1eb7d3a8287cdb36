//! Cases with many values: listings, filters, and separation of owners.

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::{Outcome, exported, key, kind, listed, names, owner, put, tenant};
use crate::ErrorKind;
use crate::config_store::{ConfigKey, ConfigOwner, ConfigScope, ConfigStore, Expected, ListConfig};
use serde_json::json;
use std::collections::BTreeSet;

/// A listing holds each value once, at its newest version, over as many pages as it takes.
pub async fn list_is_complete_over_pages(store: &dyn ConfigStore) -> Outcome {
    for n in 0..17 {
        let key = key("acme", &format!("key{n:02}"));
        put(store, &key, json!("old")).await;
        put(store, &key, json!(n)).await;
    }
    let entries = listed(store, ListConfig::new(owner("acme")).with_limit(4)).await;
    assert_eq!(names(&entries), (0..17).map(|n| format!("key{n:02}")).collect::<Vec<_>>());
    assert!(entries.iter().zip(0..).all(|(entry, n)| entry.version == 2 && entry.value == Some(json!(n))));
    let all = store.list(ListConfig::new(owner("acme")).with_limit(17)).await.expect("list");
    assert_eq!((all.entries.len(), all.next), (17, None));
    assert_eq!(kind(store.list(ListConfig::new(owner("acme")).with_limit(0)).await), ErrorKind::InvalidInput);
    Outcome::Ran
}

/// Filters are exact.
pub async fn list_filters_are_exact(store: &dyn ConfigStore) -> Outcome {
    let acme = tenant("acme");
    for (scope, service, name) in [
        (ConfigScope::Agent, "search", "a"),
        (ConfigScope::Agent, "search_2", "b"),
        (ConfigScope::Agent, "Search", "c"),
        (ConfigScope::Backend, "search", "d"),
    ] {
        put(store, &ConfigKey::tenant(&acme, scope, service, name), json!(1)).await;
    }
    let list = ListConfig::new(owner("acme"));
    assert_eq!(listed(store, list.clone()).await.len(), 4);
    let search = listed(store, list.clone().within(ConfigScope::Agent, "search")).await;
    assert_eq!(names(&search), ["a"]);
    assert_eq!(listed(store, list.clone().within(ConfigScope::Agent, "searc%")).await, []);
    let mut agents = list;
    agents.scope = Some(ConfigScope::Agent);
    assert_eq!(listed(store, agents.with_limit(2)).await.len(), 3);
    Outcome::Ran
}

/// Names that begin alike, or hold what a pattern would match, are never taken for each other.
pub async fn invariant_03_names_that_look_alike_stay_apart(store: &dyn ConfigStore) -> Outcome {
    let tenants = ["a", "a_", "a_b", "a:b", "a.b", "a-b", "ab", "A", "axb", "system", "0"];
    let keys = ["k", "k%", "k_", "%", "_", "K", "k:k", "k/k", "*", "k "];
    for id in tenants {
        for name in keys {
            put(store, &key(id, name), json!([id, name])).await;
        }
    }
    put(store, &ConfigKey::new(ConfigOwner::System, ConfigScope::System, "system", "k"), json!("ours")).await;
    for id in tenants {
        let entries = listed(store, ListConfig::new(owner(id)).with_limit(3)).await;
        assert_eq!(names(&entries).into_iter().collect::<BTreeSet<_>>(), keys.into_iter().collect());
        assert!(entries.iter().all(|entry| entry.key.owner == owner(id)));
        for name in keys {
            let entry = store.get(&key(id, name), None).await.expect("get").expect("it was set");
            assert_eq!((entry.version, entry.value), (1, Some(json!([id, name]))));
        }
    }
    assert_eq!(listed(store, ListConfig::new(ConfigOwner::System)).await.len(), 1);
    assert_eq!(store.erase_tenant(&tenant("a_")).await.expect("erase"), keys.len() as u64);
    assert_eq!(exported(store, &owner("a_b"), 7).await.len(), keys.len());
    Outcome::Ran
}

/// Erasing removes every version of one tenant, and nothing of another.
pub async fn erase_leaves_other_tenants(store: &dyn ConfigStore) -> Outcome {
    for id in ["acme", "acme_corp", "globex"] {
        put(store, &key(id, "a"), json!(1)).await;
        put(store, &key(id, "a"), json!(2)).await;
        put(store, &key(id, "b"), json!(1)).await;
        store.delete(&key(id, "b"), Expected::Any).await.expect("delete");
    }
    assert_eq!(store.erase_tenant(&tenant("acme")).await.expect("erase"), 4);
    assert_eq!(exported(store, &owner("acme"), 10).await, []);
    assert_eq!(store.get(&key("acme", "a"), None).await.expect("get"), None);
    assert_eq!(store.erase_tenant(&tenant("acme")).await.expect("erase again"), 0);
    for id in ["acme_corp", "globex"] {
        assert_eq!(exported(store, &owner(id), 10).await.len(), 4);
    }
    assert_eq!(put(store, &key("acme", "a"), json!(1)).await.version, 1, "a new start counts from 1");
    Outcome::Ran
}

/// Any text is a literal, in a service, in a key and in a value.
pub async fn invariant_21_text_stays_literal(store: &dyn ConfigStore) -> Outcome {
    let texts = [
        "'; DROP TABLE config_versions; --",
        "\" OR \"\"=\"",
        "\\",
        "?1",
        ":owner",
        "${x}",
        "日本語 🎬 é e\u{301}",
        "line\nbreak\ttab\r",
        "nul\0inside",
        "null",
    ];
    for text in texts {
        let key = ConfigKey::tenant(&tenant("acme"), ConfigScope::Agent, text, text);
        let value = json!({ text: [text, { "deep": text }], "number": 0.1, "large": u64::MAX, "small": i64::MIN });
        put(store, &key, value.clone()).await;
        let entry = store.get(&key, None).await.expect("get").expect("it was set");
        assert_eq!((&entry.key, entry.value), (&key, Some(value)));
        let found = listed(store, ListConfig::new(owner("acme")).within(ConfigScope::Agent, text)).await;
        assert_eq!(names(&found), [text]);
    }
    assert_eq!(listed(store, ListConfig::new(owner("acme")).with_limit(2)).await.len(), texts.len());
    assert_eq!(exported(store, &owner("acme"), 3).await.len(), texts.len());
    Outcome::Ran
}

/// A cursor of one owner or filter is refused for another, and so is what is no cursor.
pub async fn invariant_08_cursors_belong_to_their_listing(store: &dyn ConfigStore) -> Outcome {
    for id in ["acme", "globex"] {
        for name in ["a", "b", "c"] {
            put(store, &key(id, name), json!(1)).await;
        }
    }
    let acme = ListConfig::new(owner("acme")).with_limit(1);
    let cursor = store.list(acme.clone()).await.expect("list").next;
    assert!(cursor.is_some(), "two more values are there");
    let globex = ListConfig::new(owner("globex")).after(cursor.clone());
    assert_eq!(kind(store.list(globex).await), ErrorKind::InvalidInput);
    let filtered = acme.clone().within(ConfigScope::System, "system").after(cursor.clone());
    assert_eq!(kind(store.list(filtered).await), ErrorKind::InvalidInput);
    assert_eq!(kind(store.export(&owner("acme"), cursor, 1).await), ErrorKind::InvalidInput);
    let cursor = store.export(&owner("acme"), None, 1).await.expect("export").next;
    assert_eq!(kind(store.export(&owner("globex"), cursor, 1).await), ErrorKind::InvalidInput);
    assert_eq!(kind(store.list(acme.after(Some(crate::PageCursor::from_text("a")))).await), ErrorKind::InvalidInput);
    Outcome::Ran
}
