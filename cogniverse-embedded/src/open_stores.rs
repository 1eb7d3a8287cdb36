//! The open stores of tenant schemas, bounded, with eviction of the least recently used.

use crate::{connections::Connections, returned::give_back, tenant_store::TenantStore};
use cogniverse_core::worker;
use cogniverse_sdk::{Error, ErrorCode, Result, Retry, TenantId, TenantSchema};
use lru::LruCache;
use parking_lot::{Condvar, Mutex};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    task::spawn_blocking,
};

/// The open stores, keyed by the (tenant, base) pair and never by the physical name.
#[derive(Debug)]
pub(crate) struct OpenStores {
    limit: usize,
    slots: Mutex<LruCache<TenantSchema, Slot>>,
    connections: Arc<Connections>,
    /// Limits concurrent openings; others wait.
    openings: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
enum Slot {
    Open(Arc<TenantStore>),
    Opening(Arc<Flight>),
}

/// An opening shared by all concurrent callers. It continues after they give up, so that the next caller finds it
/// done.
#[derive(Debug)]
struct Flight {
    /// A weak reference: only the slots keep stores open.
    done: watch::Sender<Option<Result<Weak<TenantStore>, Arc<Error>>>>,
    ended: Mutex<bool>,
    end: Condvar,
}

impl Flight {
    fn new() -> Self {
        Self { done: watch::channel(None).0, ended: Mutex::new(false), end: Condvar::new() }
    }

    fn finish(&self, result: Result<Weak<TenantStore>, Arc<Error>>) {
        self.done.send_replace(Some(result));
        *self.ended.lock() = true;
        self.end.notify_all();
    }

    /// Returns whether the schema's slot is still this opening's; the schema may have been dropped or reopened
    /// meanwhile.
    fn is_in(&self, slots: &LruCache<TenantSchema, Slot>, schema: &TenantSchema) -> bool {
        matches!(slots.peek(schema), Some(Slot::Opening(own)) if std::ptr::eq(&**own, self))
    }

    /// Waits for the opening. Blocking.
    fn wait(&self) {
        let mut ended = self.ended.lock();
        while !*ended {
            self.end.wait(&mut ended);
        }
    }
}

impl OpenStores {
    pub(crate) fn new(limit: usize, openings: usize, connections: Arc<Connections>) -> Self {
        Self {
            limit,
            slots: Mutex::new(LruCache::unbounded()),
            connections,
            openings: Arc::new(Semaphore::new(openings.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Returns the store of a schema, opened once for all concurrent callers. Waits for an opening up to `patience`.
    ///
    /// An opening that began before this call may have looked before the schema was deployed: that it is not there is believed
    /// only of an opening that began after.
    pub(crate) async fn get(
        self: &Arc<Self>,
        schema: &TenantSchema,
        patience: Duration,
        open: impl Fn() -> Result<TenantStore> + Clone + Send + 'static,
    ) -> Result<Arc<TenantStore>> {
        let opened = async {
            let mut tried = false;
            loop {
                let flight = match self.slots.lock().get(schema) {
                    Some(Slot::Open(store)) => return Ok(Arc::clone(store)),
                    Some(Slot::Opening(flight)) => Some(Arc::clone(flight)),
                    None => None,
                };
                // After one that had begun before, any other has begun since.
                let known = std::mem::replace(&mut tried, true) || flight.is_none();
                let flight = flight.unwrap_or_else(|| self.lead(schema, open.clone()));
                let mut done = flight.done.subscribe();
                drop(flight);
                let result = done.wait_for(Option::is_some).await.map(|result| result.clone());
                match result.map_err(|e| Error::unexpected("an opening ended early").with_source(e))? {
                    Some(Ok(store)) => match store.upgrade() {
                        Some(store) => return Ok(store),
                        // It was closed again before this call came to it.
                        None => continue,
                    },
                    Some(Err(error)) if !known && error.code() == ErrorCode::SchemaNotDeployed => continue,
                    Some(Err(error)) => return Err(again(&error)),
                    None => return Err(Error::unexpected("an opening ended without a result")),
                }
            }
        };
        tokio::time::timeout(patience, opened).await.unwrap_or_else(|_| {
            Err(Error::of(
                ErrorCode::SchemaOpening,
                format!(
                    "the schema was not opened within {patience:?}; it is being opened still: try again, or warm the tenant up beforehand"
                ),
            )
            .with_retry(Retry::After(None))
            .with_context("tenant", schema.tenant())
            .with_context("schema", schema.base()))
        })
    }

    /// Starts an opening unless another call did meanwhile.
    fn lead(
        self: &Arc<Self>,
        schema: &TenantSchema,
        open: impl Fn() -> Result<TenantStore> + Send + 'static,
    ) -> Arc<Flight> {
        let flight = Arc::new(Flight::new());
        let runtime = match worker::runtime() {
            Ok(runtime) => runtime,
            Err(e) => {
                flight.finish(Err(Arc::new(e)));
                return flight;
            }
        };
        {
            let mut slots = self.slots.lock();
            match slots.get(schema) {
                Some(Slot::Opening(other)) => return Arc::clone(other),
                Some(Slot::Open(store)) => {
                    flight.finish(Ok(Arc::downgrade(store)));
                    return flight;
                }
                None => drop(slots.put(schema.clone(), Slot::Opening(Arc::clone(&flight)))),
            }
        }
        let places = Arc::clone(&self.openings);
        // However the task ends, those who wait are told.
        let landing = Landing { stores: Arc::clone(self), schema: schema.clone(), flight: Some(Arc::clone(&flight)) };
        runtime.spawn(async move {
            let Ok(place) = places.acquire_owned().await else { return };
            let _ = spawn_blocking(move || {
                let result = landing.stores.open_with_room(&open);
                // Before anyone is told: whoever was told may let go of the folder, and must be the last to hold it.
                drop((open, place));
                landing.settle(result);
            })
            .await;
        });
        flight
    }

    /// Opens a store; if the process has no file descriptors left, closes what is idle first.
    fn open_with_room(&self, open: &impl Fn() -> Result<TenantStore>) -> Result<TenantStore> {
        loop {
            match open() {
                Err(e) if crate::error::is_out_of_files(&e) && self.make_room() => {}
                result => return result,
            }
        }
    }

    /// Closes the least recently used idle connection or, where there is none, the least recently used idle store; `false` where
    /// nothing is idle. Blocking.
    pub(crate) fn make_room(&self) -> bool {
        self.connections.close_one() || self.close_one()
    }

    /// Closes the least recently used idle store.
    fn close_one(&self) -> bool {
        let closed = {
            let mut slots = self.slots.lock();
            let idle = slots.iter().rev().find(|(_, slot)| is_idle(slot)).map(|(schema, _)| schema.clone());
            idle.and_then(|schema| slots.pop(&schema))
        };
        closed.is_some()
    }

    /// Removes idle stores beyond the limit. The caller drops them after it releases the lock, as closing a file
    /// writes to it. A store in use is never closed: a second one of the same file would not see its writes.
    #[must_use]
    fn evict(&self, slots: &mut LruCache<TenantSchema, Slot>) -> Vec<Slot> {
        let (mut busy, mut closed) = (0, Vec::new());
        while slots.len() > self.limit + busy {
            let Some((schema, slot)) = slots.pop_lru() else { break };
            if is_idle(&slot) {
                closed.push(slot);
            } else {
                slots.put(schema, slot);
                busy += 1;
            }
        }
        closed
    }

    /// Returns the store of a schema if it is open, waiting for an opening under way. Blocking.
    pub(crate) fn opened(&self, schema: &TenantSchema) -> Option<Arc<TenantStore>> {
        loop {
            let flight = match self.slots.lock().peek(schema)? {
                Slot::Open(store) => return Some(Arc::clone(store)),
                Slot::Opening(flight) => Arc::clone(flight),
            };
            flight.wait();
        }
    }

    /// Removes the store of a schema, waiting for an opening under way. Blocking.
    pub(crate) fn remove(&self, schema: &TenantSchema) -> Option<Arc<TenantStore>> {
        loop {
            let mut slots = self.slots.lock();
            let flight = match slots.peek(schema)? {
                Slot::Open(store) => {
                    let store = Arc::clone(store);
                    slots.pop(schema);
                    return Some(store);
                }
                Slot::Opening(flight) => Arc::clone(flight),
            };
            drop(slots);
            flight.wait();
        }
    }

    /// Returns the number of a tenant's stores that are open or being opened.
    pub(crate) fn count_of(&self, tenant: &TenantId) -> usize {
        self.slots.lock().iter().filter(|(schema, _)| schema.tenant() == tenant).count()
    }

    /// Closes every idle store of a tenant and returns how many stay open.
    pub(crate) fn close_tenant(&self, tenant: &TenantId) -> usize {
        let (mut open, mut closed) = (0, Vec::new());
        let mut slots = self.slots.lock();
        let own: Vec<TenantSchema> =
            slots.iter().map(|(schema, _)| schema).filter(|schema| schema.tenant() == tenant).cloned().collect();
        for schema in own {
            match slots.peek(&schema) {
                Some(slot) if is_idle(slot) => closed.extend(slots.pop(&schema)),
                _ => open += 1,
            }
        }
        drop(slots);
        if !closed.is_empty() {
            drop(closed);
            give_back();
        }
        open
    }

    /// Returns the number of stores that are open or being opened.
    pub(crate) fn len(&self) -> usize {
        self.slots.lock().len()
    }
}

/// Returns whether nobody uses the store. Called under the lock of all slots, where each use begins.
fn is_idle(slot: &Slot) -> bool {
    matches!(slot, Slot::Open(store) if Arc::strong_count(store) == 1)
}

/// The end of an opening: publishes the result, or frees the slot on drop.
struct Landing {
    stores: Arc<OpenStores>,
    schema: TenantSchema,
    flight: Option<Arc<Flight>>,
}

impl Landing {
    fn settle(mut self, result: Result<TenantStore>) {
        let Some(flight) = self.flight.take() else { return };
        let result = result.map(Arc::new).map_err(Arc::new);
        let told = result.as_ref().map(Arc::downgrade).map_err(Arc::clone);
        let mut closed = Vec::new();
        let mut slots = self.stores.slots.lock();
        match result {
            Ok(store) if flight.is_in(&slots, &self.schema) => {
                slots.put(self.schema.clone(), Slot::Open(store));
                closed = self.stores.evict(&mut slots);
            }
            // What cannot be opened, such as a schema that is not deployed, takes nobody's place.
            Err(_) if flight.is_in(&slots, &self.schema) => drop(slots.pop(&self.schema)),
            _ => {}
        }
        drop(slots);
        drop((closed, self));
        flight.finish(told);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let Some(flight) = self.flight.take() else { return };
        let mut slots = self.stores.slots.lock();
        if flight.is_in(&slots, &self.schema) {
            slots.pop(&self.schema);
        }
        drop(slots);
        flight.finish(Err(Arc::new(Error::unexpected("the thread that opened the schema ended early"))));
    }
}

/// Clones an error for another waiter.
fn again(error: &Arc<Error>) -> Error {
    let copy = Error::of(error.code(), error.message()).with_retry(error.retry());
    let copy = error.context().fold(copy, |copy, (key, value)| copy.with_context(key, value));
    match std::error::Error::source(&**error) {
        Some(source) => copy.with_source(source.to_string()),
        None => copy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::Deployment, config::Durability, index::CodeCache, schemas::Schemas, tenant_store::Shared};
    use cogniverse_sdk::{
        DeployedSchema, ErrorKind, Timestamp,
        contract::fixture::{schema, schema_of},
    };
    use std::{
        path::{Path, PathBuf},
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Opens the store of a tenant in a folder of its own.
    fn opening(folder: &Path, of: &str) -> impl Fn() -> Result<TenantStore> + Clone + Send + 'static {
        let (folder, schema_of): (PathBuf, TenantSchema) = (folder.join(of), schema_of(of));
        let shared = Arc::new(Shared {
            durability: Durability::ProcessCrash,
            block_documents: 1024,
            code_cache: CodeCache::new(1 << 20),
            schemas: Schemas::default(),
            derivations: Arc::default(),
            connections: Arc::new(Connections::new(1)),
            others: Weak::new(),
        });
        move || {
            std::fs::create_dir_all(&folder).unwrap();
            let deployed = DeployedSchema::new(schema_of.clone(), schema(), Timestamp::UNIX_EPOCH);
            let deployment = Deployment { deployed, generation: 1, initialized: false, store: None };
            TenantStore::open(&folder, &deployment, &shared)
        }
    }

    fn open_stores(limit: usize) -> OpenStores {
        OpenStores::new(limit, 4, Arc::new(Connections::new(1)))
    }

    fn of(tenant: &str) -> TenantId {
        TenantId::parse(tenant).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_longest_unused_is_closed_and_one_in_use_never() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(2));
        let get =
            async |name: &str| stores.get(&schema_of(name), PATIENCE, opening(folder.path(), name)).await.unwrap();
        for name in ["a", "b"] {
            drop(get(name).await);
        }
        drop(get("a").await);
        drop(get("c").await);
        assert_eq!(stores.len(), 2);
        let open = ["a", "b", "c"].map(|name| stores.count_of(&of(name)));
        assert_eq!(open, [1, 0, 1], "b was the longest unused");
        // Those in use stay, beyond the limit, and are closed once they are not.
        let held = [get("a").await, get("b").await, get("c").await];
        assert_eq!(stores.len(), 3);
        let again = get("b").await;
        assert!(Arc::ptr_eq(&again, &held[1]), "a second store of one file would not see the first one's writes");
        drop(get("d").await);
        assert_eq!(stores.len(), 4, "three are in use");
        drop((again, held));
        drop(get("e").await);
        assert_eq!(stores.len(), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_tenant_is_closed_alone_and_what_it_uses_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(8));
        let get =
            async |name: &str| stores.get(&schema_of(name), PATIENCE, opening(folder.path(), name)).await.unwrap();
        let held = get("acme").await;
        drop(get("globex").await);
        assert_eq!((stores.close_tenant(&of("acme")), stores.count_of(&of("acme"))), (1, 1));
        assert_eq!((stores.close_tenant(&of("nobody")), stores.len()), (0, 2));
        drop(held);
        assert_eq!((stores.close_tenant(&of("acme")), stores.count_of(&of("acme"))), (0, 0));
        assert_eq!((stores.count_of(&of("globex")), stores.len()), (1, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_needs_a_store_waits_until_it_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(8));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let open = opening(folder.path(), "acme");
        let slow = move || {
            let _ = gate.lock().recv();
            open()
        };
        let getting = {
            let (stores, slow) = (Arc::clone(&stores), slow.clone());
            tokio::spawn(async move { stores.get(&schema_of("acme"), PATIENCE, slow).await.map(drop) })
        };
        while stores.len() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let asking = |stores: Arc<OpenStores>, how: fn(&OpenStores, &TenantSchema) -> Option<Arc<TenantStore>>| {
            spawn_blocking(move || how(&stores, &schema_of("acme")).is_some())
        };
        let opened = asking(Arc::clone(&stores), OpenStores::opened);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!opened.is_finished(), "it is still being opened");
        go.send(()).unwrap();
        assert!(opened.await.unwrap());
        getting.await.unwrap().unwrap();
        assert!(asking(Arc::clone(&stores), OpenStores::remove).await.unwrap());
        assert_eq!(stores.len(), 0);
        assert!(!asking(Arc::clone(&stores), OpenStores::opened).await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_opening_that_is_not_wanted_any_more_takes_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(8));
        // Dropped while it is being opened, and opened anew: the first opening does not take the second one's place.
        let begun = Arc::new(AtomicUsize::new(0));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let slow = {
            let (open, begun) = (opening(folder.path(), "acme"), Arc::clone(&begun));
            move || {
                begun.fetch_add(1, Ordering::SeqCst);
                let _ = gate.lock().recv();
                open()
            }
        };
        let first = {
            let stores = Arc::clone(&stores);
            tokio::spawn(async move { stores.get(&schema_of("acme"), PATIENCE, slow).await.map(|_| ()) })
        };
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(stores.slots.lock().pop(&schema_of("acme")));
        let other = tempfile::tempdir().unwrap();
        let second = stores.get(&schema_of("acme"), PATIENCE, opening(other.path(), "acme")).await.unwrap();
        go.send(()).unwrap();
        drop(go);
        first.await.unwrap().unwrap();
        let now = stores.get(&schema_of("acme"), PATIENCE, opening(other.path(), "acme")).await.unwrap();
        assert!(Arc::ptr_eq(&second, &now));
        assert_eq!(stores.len(), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_opening_that_fails_or_panics_is_told_and_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(8));
        let fails = || Err(Error::of(ErrorCode::DiskFull, "the disk is full"));
        let error = stores.get(&schema_of("acme"), PATIENCE, fails).await.unwrap_err();
        assert_eq!((error.code(), stores.len()), (ErrorCode::DiskFull, 0));
        let panics = || -> Result<TenantStore> { unreachable!("a bug") };
        let error = stores.get(&schema_of("acme"), PATIENCE, panics).await.unwrap_err();
        assert_eq!((error.kind(), stores.len()), (ErrorKind::Unexpected, 0));
        stores.get(&schema_of("acme"), PATIENCE, opening(folder.path(), "acme")).await.unwrap();
        let slow = schema_of("slow");
        let gone = stores.get(&slow, Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_millis(300));
            Err(Error::of(ErrorCode::DiskFull, "the disk is full"))
        });
        assert_eq!(gone.await.unwrap_err().code(), ErrorCode::SchemaOpening);
    }

    /// The opening that a call joins looked before the schema was deployed; the call came after.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_deployed_before_a_call_is_there_whatever_an_earlier_opening_saw() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(8));
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let early = move || {
            let _ = gate.lock().recv();
            Err(Error::of(ErrorCode::SchemaNotDeployed, "unknown deployed schema"))
        };
        let first = {
            let stores = Arc::clone(&stores);
            tokio::spawn(async move { stores.get(&schema_of("acme"), PATIENCE, early).await.map(drop) })
        };
        while stores.len() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let open = opening(folder.path(), "acme");
        let second = {
            let stores = Arc::clone(&stores);
            tokio::spawn(async move { stores.get(&schema_of("acme"), PATIENCE, open).await.map(drop) })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        go.send(()).unwrap();
        assert_eq!(
            first.await.unwrap().unwrap_err().code(),
            ErrorCode::SchemaNotDeployed,
            "it began the opening itself"
        );
        second.await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn where_the_process_may_open_no_more_files_idle_stores_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let stores = Arc::new(open_stores(8));
        let get =
            async |name: &str| stores.get(&schema_of(name), PATIENCE, opening(folder.path(), name)).await.unwrap();
        let held = get("held").await;
        for name in ["idle", "other"] {
            drop(get(name).await);
        }
        let tried = Arc::new(AtomicUsize::new(0));
        let scarce = |fails: usize| {
            let (tried, open) = (Arc::clone(&tried), opening(folder.path(), "new"));
            tried.store(0, Ordering::SeqCst);
            move || match tried.fetch_add(1, Ordering::SeqCst) {
                at if at < fails => Err(Error::of(ErrorCode::TooManyOpenFiles, "no more files")),
                _ => open(),
            }
        };
        drop(stores.get(&schema_of("new"), PATIENCE, scarce(1)).await.unwrap());
        assert_eq!((tried.load(Ordering::SeqCst), stores.count_of(&of("idle")), stores.len()), (2, 0, 3));
        // Where nothing idle is left, the error is told.
        let error = stores.get(&schema_of("more"), PATIENCE, scarce(9)).await.unwrap_err();
        assert_eq!((error.code(), stores.count_of(&of("held"))), (ErrorCode::TooManyOpenFiles, 1));
        assert_eq!(tried.load(Ordering::SeqCst), 3, "two were closed, one after another");
        drop(held);
    }

    #[test]
    fn every_caller_who_waited_is_told_the_same() {
        let source = std::io::Error::other("the system says no");
        let first = Error::of(ErrorCode::DiskFull, "the disk is full")
            .with_retry(Retry::After(None))
            .with_context("schema", "acme")
            .with_source(source);
        let (first, second) = (serde_json::json!(first), serde_json::json!(again(&Arc::new(first))));
        assert_eq!(first, second);
    }
}
