//! The contract of stores of memories: in memory, on the embedded backend, and over Vespa's wire.

#![allow(clippy::unwrap_used, reason = "a test asserts")]

use cogniverse::{
    SchemaName, TenantId,
    embedded::{Durability, EmbeddedBackend, EmbeddedConfig},
    memory::{BackendMemoryStore, InMemoryMemoryStore},
    schemas::EmbeddedSchemaLoader,
    sdk::{
        BaseSchema, Clock, ManualClock, MemoryStore, SchemaLoader, SearchBackend, TenantSchema, Timestamp,
        contract::memory_store::MemoryStores,
        schema_store::{DeployRequest, SchemaDeployment},
    },
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::sync::Arc;
use tempfile::TempDir;
use vespa_testkit::TestServer;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap()))
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// The shipped schema for vectors of eight cells, as the contract's are.
async fn schema() -> Arc<BaseSchema> {
    let shipped = EmbeddedSchemaLoader.load(&SchemaName::parse("agent_memories").unwrap()).await.unwrap();
    let text = serde_json::to_string(&*shipped).unwrap().replace("d0[384]", "d0[8]");
    Arc::new(serde_json::from_str(&text).unwrap())
}

async fn stores(backend: Arc<dyn SearchBackend>) -> Arc<MemoryStores> {
    let (clock, definition) = (clock(), schema().await);
    let mut stores: Vec<Arc<dyn MemoryStore>> = Vec::new();
    for name in ["acme", "globex"] {
        let schema = TenantSchema::new(&tenant(name), &definition.name);
        let deployment = SchemaDeployment { schema: schema.clone(), definition: definition.clone() };
        backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
        stores.push(Arc::new(BackendMemoryStore::new(backend.clone(), schema, 8, clock.clone() as Arc<dyn Clock>)));
    }
    let (globex, acme) = (stores.pop().unwrap(), stores.pop().unwrap());
    Arc::new(MemoryStores { acme, globex, clock })
}

async fn on_embedded() -> (Arc<MemoryStores>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(folder.path()).with_durability(Durability::ProcessCrash);
    (stores(Arc::new(EmbeddedBackend::open(config).await.unwrap())).await, folder)
}

async fn on_vespa() -> (Arc<MemoryStores>, TestServer) {
    let server = TestServer::start().await.unwrap();
    let backend = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    (stores(Arc::new(backend)).await, server)
}

fn in_memory() -> (Arc<MemoryStores>, ()) {
    let clock = clock();
    let of = |name: &str| Arc::new(InMemoryMemoryStore::new(tenant(name), 8, clock.clone() as Arc<dyn Clock>));
    (Arc::new(MemoryStores { acme: of("acme"), globex: of("globex"), clock: clock.clone() }), ())
}

mod memory {
    cogniverse::sdk::memory_store_contract! { make: async { super::in_memory() }, skips: [] }
}

mod embedded {
    cogniverse::sdk::memory_store_contract! { make: super::on_embedded(), skips: [] }
}

mod vespa {
    cogniverse::sdk::memory_store_contract! { make: super::on_vespa(), skips: [] }
}
