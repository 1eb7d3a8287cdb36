//! The health of the whole: each part by its probe, tenants in trouble, and what changed as events.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use async_trait::async_trait;
use axum::{extract::State, http::StatusCode};
use cogniverse::{
    Cogniverse, Error, ErrorKind, Result, Suspend, Template,
    config::InMemoryConfigStore,
    health::{HealthEvent, HealthStatus},
    sdk::{Expected, HealthProbe},
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use vespa_testkit::TestServer;
use world::{World, tenant};

/// A part that works or does not.
#[derive(Debug)]
struct Part {
    name: &'static str,
    required: bool,
    is_broken: AtomicBool,
    hangs: bool,
    panics: bool,
}

impl Part {
    fn new(name: &'static str, required: bool) -> Arc<Self> {
        Arc::new(Self { name, required, is_broken: AtomicBool::new(false), hangs: false, panics: false })
    }
}

#[async_trait]
impl HealthProbe for Part {
    fn name(&self) -> &str {
        self.name
    }
    fn is_required(&self) -> bool {
        self.required
    }
    async fn probe(&self) -> Result<String> {
        assert!(!self.panics, "a probe with a fault of its own");
        if self.hangs {
            std::future::pending::<()>().await;
        }
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, format!("{} is away", self.name))),
            false => Ok("version 1".to_owned()),
        }
    }
}

#[tokio::test]
async fn a_service_is_ready_degraded_or_unavailable_by_its_parts() {
    let (store, model) = (Part::new("store", true), Part::new("model", false));
    let world = World::with(&["acme"], |b| b.health_probe(store.clone()).health_probe(model.clone())).await;
    let health = async || world.cogniverse.operator().health().await;
    let found = health().await;
    assert_eq!((found.status, found.status.http_status()), (HealthStatus::Ready, 200), "{found:?}");
    let names: Vec<&str> = found.parts.iter().map(|part| part.name.as_str()).collect();
    for part in ["configuration", "embedded", "store", "model"] {
        assert!(names.contains(&part), "{names:?}");
    }
    assert_eq!(found.tenants.get("active"), Some(&1));
    model.is_broken.store(true, Ordering::SeqCst);
    let found = health().await;
    assert_eq!((found.status, found.status.http_status()), (HealthStatus::Degraded, 200));
    assert_eq!((found.parts[0].name.as_str(), found.parts[0].is_ok()), ("model", false), "what fails comes first");
    assert!(found.parts[0].error.as_ref().unwrap().contains("model is away"));
    store.is_broken.store(true, Ordering::SeqCst);
    let found = health().await;
    assert_eq!((found.status, found.status.http_status()), (HealthStatus::Unavailable, 503));
    assert_eq!(found.parts[0].name, "store");
    // The folder cannot be written.
    store.is_broken.store(false, Ordering::SeqCst);
    let moved = world.folder.path().with_extension("moved");
    std::fs::rename(world.folder.path(), &moved).unwrap();
    let found = health().await;
    std::fs::rename(&moved, world.folder.path()).unwrap();
    assert_eq!(found.status, HealthStatus::Unavailable);
    assert!(found.parts.iter().any(|part| part.name == "embedded" && !part.is_ok()), "{found:?}");
    // Many at once are in nobody's way.
    let mut looks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let c = world.cogniverse.clone();
        looks.spawn(async move { c.operator().health().await.parts });
    }
    for part in looks.join_all().await.into_iter().flatten().filter(|part| part.name != "model") {
        assert!(part.is_ok(), "{part:?}");
    }
}

#[tokio::test]
async fn a_part_that_hangs_is_given_up_and_holds_up_no_other() {
    let part =
        |name, hangs| Arc::new(Part { name, required: true, is_broken: AtomicBool::new(false), hangs, panics: !hangs });
    let world = World::with(&[], |b| b.health_probe(part("hanging", true)).health_probe(part("faulty", false))).await;
    let began = Instant::now();
    let found = world.cogniverse.operator().health().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(found.status, HealthStatus::Unavailable);
    assert!(found.parts[0].error.as_ref().unwrap().contains("no answer within"), "{found:?}");
    assert_eq!((found.parts[1].name.as_str(), found.parts[1].is_ok()), ("faulty", false), "{found:?}");
    assert!(found.parts[2..].iter().all(|part| part.is_ok()), "{found:?}");
}

#[tokio::test]
async fn ten_thousand_tenants_are_looked_at_by_their_records() {
    const TENANTS: usize = 10_000;
    let store = Arc::new(InMemoryConfigStore::new());
    let world = World::with(&["acme", "late"], |b| b.config_store(store.clone())).await;
    let c = &world.cogniverse;
    let record = c.tenant(&tenant("acme")).await.unwrap();
    for number in 0..TENANTS {
        let mut other = record.clone();
        other.tenant = tenant(&format!("t{number}"));
        c.operator().tenants().put(&other, Expected::Absent).await.unwrap();
    }
    c.suspend(&tenant("late"), Suspend::new("over").with_retention(Duration::from_millis(1))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    // A record that cannot be read is one tenant's trouble.
    use cogniverse::sdk::{ConfigKey, ConfigOwner, ConfigScope, ConfigStore, config_store::PutConfig};
    let key = ConfigKey::new(ConfigOwner::System, ConfigScope::System, "tenants", "t77");
    store.put(PutConfig::new(key, serde_json::json!({ "tenant": "damaged" }))).await.unwrap();
    let began = Instant::now();
    let found = c.operator().health().await;
    let took = began.elapsed();
    assert_eq!(found.tenants.get("active"), Some(&(TENANTS as u64)), "{:?}", found.tenants);
    assert_eq!((found.in_trouble_count, found.status), (2, HealthStatus::Ready));
    let troubles = found.in_trouble.iter().map(|found| (found.tenant.as_str(), found.code.as_str()));
    assert_eq!(troubles.collect::<Vec<_>>(), [("late", "retention_over"), ("t77", "record_unreadable")]);
    println!("health of {TENANTS} tenants: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn what_changes_is_told_to_every_watcher() {
    let part = Part::new("store", true);
    let world = World::with(&["acme"], |b| b.health_probe(part.clone())).await;
    let (monitor, mut events) = world.cogniverse.operator().watch_health(Duration::from_millis(20));
    let next = async |events: &mut cogniverse::health::HealthEvents| {
        tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap()
    };
    assert_eq!(next(&mut events).await, Some(HealthEvent::StatusChanged { from: None, to: HealthStatus::Ready }));
    let mut other = monitor.watch();
    part.is_broken.store(true, Ordering::SeqCst);
    let failed = HealthStatus::Unavailable;
    for events in [&mut events, &mut other] {
        let changed = HealthEvent::StatusChanged { from: Some(HealthStatus::Ready), to: failed };
        assert_eq!(next(events).await, Some(changed));
        assert!(matches!(next(events).await, Some(HealthEvent::PartFailed { name, .. }) if name == "store"));
    }
    part.is_broken.store(false, Ordering::SeqCst);
    assert!(matches!(next(&mut events).await, Some(HealthEvent::StatusChanged { to: HealthStatus::Ready, .. })));
    assert_eq!(next(&mut events).await, Some(HealthEvent::PartRecovered { name: "store".to_owned() }));
    let suspend = Suspend::new("over").with_retention(Duration::from_millis(1));
    world.cogniverse.create_tenant(&tenant("late"), Template::Trial).await.unwrap();
    world.cogniverse.suspend(&tenant("late"), suspend).await.unwrap();
    assert!(matches!(next(&mut events).await, Some(HealthEvent::TenantInTrouble(found)) if found.tenant == "late"));
    drop(monitor);
    drop(other);
    assert_eq!(next(&mut events).await, None, "it ends with its monitor");
}

mod parts {
    use super::*;
    use cogniverse::{
        embedded::{EmbeddedBackend, EmbeddedConfig},
        health::{ConfigProbe, TelemetryProbe},
        telemetry::TelemetryManager,
    };

    mod embedded {
        use super::*;
        cogniverse_sdk::health_probe_contract! {
            make: async {
                let folder = tempfile::tempdir().unwrap();
                let backend = EmbeddedBackend::open(EmbeddedConfig::new(folder.path())).await.unwrap();
                (Arc::new(backend) as Arc<dyn HealthProbe>, folder)
            }, skips: []
        }
    }
    mod vespa {
        use super::*;
        cogniverse_sdk::health_probe_contract! {
            make: async {
                let server = TestServer::start().await.unwrap();
                let backend = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
                backend.config_store().await.unwrap();
                (backend.probes().remove(0), server)
            }, skips: []
        }
    }
    mod configuration {
        use super::*;
        cogniverse_sdk::health_probe_contract! {
            make: std::future::ready((
                Arc::new(ConfigProbe::new(Arc::new(InMemoryConfigStore::new()))) as Arc<dyn HealthProbe>, ()
            )), skips: []
        }
    }
    mod telemetry {
        use super::*;
        cogniverse_sdk::health_probe_contract! {
            make: std::future::ready((
                Arc::new(TelemetryProbe::new(TelemetryManager::disabled())) as Arc<dyn HealthProbe>, ()
            )), skips: []
        }
    }
}

/// A collector that takes nothing.
#[derive(Debug)]
struct Closed;

impl cogniverse::telemetry::SpanExporter for Closed {
    fn export(
        &mut self,
        _: &[cogniverse::telemetry::ScopeBatch],
    ) -> std::result::Result<(), cogniverse::telemetry::ExportError> {
        let error = Error::new(ErrorKind::Unavailable, "the collector is away");
        Err(cogniverse::telemetry::ExportError::Retry { after: None, error })
    }
}

#[tokio::test]
async fn spans_that_nobody_takes_degrade_the_service() {
    let settings = cogniverse::telemetry::TelemetrySettings::new();
    let telemetry = cogniverse::telemetry::TelemetryManager::new(settings, Closed).unwrap();
    let world = World::with(&["acme"], |b| b.telemetry(telemetry.clone())).await;
    drop(telemetry.span("a look", &tenant("acme")));
    let began = Instant::now();
    loop {
        let health = world.cogniverse.operator().health().await;
        let part = health.parts.iter().find(|part| part.name == "telemetry").unwrap();
        if let Some(error) = &part.error {
            assert!(error.contains("the collector is away"), "{error}");
            assert_eq!(health.status, HealthStatus::Degraded);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{health:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn vespa_says_how_it_is() {
    let server = TestServer::start().await.unwrap();
    let backend = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    backend.config_store().await.unwrap();
    let probes = backend.probes();
    for probe in &probes {
        probe.probe().await.unwrap_or_else(|e| panic!("{}: {e}", probe.name()));
    }
    assert_eq!(probes.iter().map(|probe| probe.is_required()).collect::<Vec<_>>(), [true, false]);
    drop(server);
    for probe in &probes {
        assert!(probe.probe().await.is_err(), "{}", probe.name());
    }
}

/// As `docs/health.md` shows it; `tests/guides.rs` compares the two.
async fn ready(State(cogniverse): State<Cogniverse>) -> StatusCode {
    let health = cogniverse.operator().health().await;
    StatusCode::from_u16(health.status.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::test]
async fn a_readiness_endpoint_is_three_lines() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let part = Part::new("the only model", true);
    let world = World::with(&["acme"], |b| b.health_probe(part.clone())).await;
    let app =
        axum::Router::new().route("/health/ready", axum::routing::get(ready)).with_state(world.cogniverse.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    for (is_broken, status) in [(false, "200"), (true, "503")] {
        part.is_broken.store(is_broken, Ordering::SeqCst);
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        connection.write_all(request).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
