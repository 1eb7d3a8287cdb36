//! Tests of one store.

use super::*;
use crate::rank::{execute, prepare};
use cogniverse_sdk::{
    BackendQuery, DeployedSchema, ErrorKind, Timestamp,
    contract::fixture::{axis, document, schema, schema_of, strategy},
};
use std::time::Instant;

fn shared(idle: usize) -> Arc<Shared> {
    Arc::new(Shared {
        derivations: Arc::default(),
        durability: Durability::ProcessCrash,
        block_documents: 1024,
        code_cache: CodeCache::new(1 << 30),
        schemas: Schemas::default(),
        connections: Arc::new(Connections::new(idle)),
        others: Weak::new(),
    })
}

fn open(folder: &Path) -> TenantStore {
    let deployment = Deployment {
        deployed: DeployedSchema::new(schema_of("acme"), schema(), Timestamp::UNIX_EPOCH),
        generation: 1,
        initialized: false,
        store: None,
    };
    TenantStore::open(folder, &deployment, &shared(8)).unwrap()
}

/// Vectors that a later search cached lack documents that an earlier search still sees.
#[test]
fn vectors_that_a_later_search_kept_are_not_an_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.write(|_, writer| (0..10).try_for_each(|n| writer.put(document("v", n, "words", axis(0))))).unwrap();
    let before = store.moment().unwrap();
    let row = before.snapshot.blocks()[0].block.row(3).unwrap();
    store.write(|_, writer| writer.delete(row)).unwrap();
    let found = |moment: &Moment<'_>| {
        let query = BackendQuery::new(schema_of("acme"), strategy("float_float"))
            .with_vectors(cogniverse_sdk::contract::fixture::row(axis(0)))
            .with_page(0, 20);
        let prepared = prepare(&store, query, Instant::now(), Arc::default()).unwrap();
        execute(moment, &prepared, &crate::cores::Cores::new(2, 2).enter()).unwrap().matched
    };
    assert_eq!(found(&store.moment().unwrap()), 9);
    assert_eq!(found(&before), 10);
}

/// A store obtained before its schema was dropped refuses every write.
#[test]
fn a_dropped_store_refuses_every_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let put = |number| store.write(|_, writer| writer.put(document("v", number, "words", axis(0))));
    put(0).unwrap();
    store.set_dropped();
    assert_eq!(put(1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.check_not_dropped().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.snapshot().len(), 1);
}

/// A commit that was reported as failed but stored is found by the next search and kept by the next write.
#[test]
fn a_commit_that_was_taken_for_failed_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    for then_write in [false, true] {
        let store = open(&folder.path().join(then_write.to_string()));
        let put = |number| store.write(|_, writer| writer.put(document("v", number, "words", axis(0))));
        put(0).unwrap();
        let before = store.published();
        put(1).unwrap();
        *store.published.write() = before;
        if then_write {
            put(2).unwrap();
            assert_eq!(store.snapshot().len(), 3);
        }
        let moment = store.moment().unwrap();
        assert_eq!(moment.snapshot.len(), if then_write { 3 } else { 2 });
        assert_eq!(moment.snapshot.moment(), store.record.moment(&moment.connection().unwrap()).unwrap());
    }
}
