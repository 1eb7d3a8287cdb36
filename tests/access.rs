//! Access control and the audit log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse::{
    Caller, CallerId, Cogniverse, ErrorCode, ErrorKind, Operation, Role, SearchRequest, ShareAccess, Suspend,
    config::{RoutingConfig, SystemConfig},
    sdk::{AuditEvent, Expected, ManualClock, Timestamp},
};
use std::{sync::Arc, time::Duration};
use world::{TEXT, World, profile, strategy, tenant};

fn ask(of: &str) -> SearchRequest {
    SearchRequest::new(tenant(of), profile(TEXT), "words").with_strategy(strategy("bm25_only"))
}

fn caller(name: &str, of: &str, role: Role) -> Caller {
    Caller::new(CallerId::parse(name).unwrap()).with_tenant(tenant(of)).with_role(role)
}

async fn world() -> (World, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new("2030-01-01T00:00:00Z".parse().unwrap()));
    let world = World::with(&["acme", "globex"], |b| b.clock(clock.clone())).await;
    for name in ["acme", "globex"] {
        world.ingest(name, &[(&format!("of_{name}"), 0.0, 1.0, "words")]).await;
    }
    (world, clock)
}

async fn events(c: &Cogniverse, of: &str) -> Vec<(String, AuditEvent)> {
    let entries = c.audit(&tenant(of), 0, 1000).await.unwrap().entries;
    entries.into_iter().map(|entry| (entry.actor, entry.event)).collect()
}

#[tokio::test]
async fn a_named_caller_is_denied_by_default_and_cannot_tell_a_tenant_from_none() {
    let (world, _) = world().await;
    let anna = world.cogniverse.for_caller(caller("anna", "acme", Role::Reader));
    assert_eq!(anna.search(ask("acme")).await.unwrap().results[0].video_id, "of_acme");
    let denied = anna.search(ask("globex")).await.unwrap_err();
    let unknown = anna.search(ask("nobody")).await.unwrap_err();
    assert_eq!(denied.code(), ErrorCode::TenantUnknown);
    let text = |error: &cogniverse::Error, id: &str| format!("{error:?}").replace(id, "ID");
    assert_eq!(text(&denied, "globex"), text(&unknown, "nobody"), "one answer for both");
    assert!(denied.to_string().contains("not found or not allowed"), "{denied}");
    assert!(!denied.to_string().contains("acme"), "{denied}");
    // A suspended tenant looks the same to others, and says more to its own.
    world.cogniverse.suspend(&tenant("globex"), Suspend::new("unpaid")).await.unwrap();
    let suspended = anna.search(ask("globex")).await.unwrap_err();
    assert_eq!(text(&suspended, "globex"), text(&unknown, "nobody"));
    let bob = world.cogniverse.for_caller(caller("bob", "globex", Role::Reader));
    assert_eq!(bob.search(ask("globex")).await.unwrap_err().code(), ErrorCode::TenantSuspended);
    // The denials are in the log of the tenant that was asked for, and not one by one.
    for _ in 0..100 {
        anna.search(ask("globex")).await.unwrap_err();
    }
    let denials: Vec<_> = events(&world.cogniverse, "globex").await;
    let denials: Vec<_> = denials.iter().filter(|(_, event)| matches!(event, AuditEvent::Denied { .. })).collect();
    assert_eq!(denials.len(), 1, "{denials:?}");
    assert_eq!(denials[0].0, "anna");
}

#[tokio::test]
async fn each_role_does_what_it_may_and_no_more() {
    let (world, _) = world().await;
    let of = |role| world.cogniverse.for_caller(caller("anna", "acme", role));
    let acme = tenant("acme");
    for role in Role::ALL {
        let c = of(role);
        let allowed = async |operation: Operation| -> bool {
            match operation {
                Operation::Administer => c.tenant(&acme).await.is_ok(),
                other => c.admit(&acme, other).await.is_ok(),
            }
        };
        for operation in Operation::ALL {
            let expected = match role {
                Role::Operator => operation == Operation::Administer,
                role => operation.needs() <= role && operation != Operation::Administer,
            };
            assert_eq!(allowed(operation).await, expected, "{role}: {operation}");
        }
    }
    // Through the calls themselves.
    let reader = of(Role::Reader);
    assert_eq!(reader.deploy(&acme, &profile(TEXT)).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    assert_eq!(reader.get_config::<SystemConfig>(&acme).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    assert_eq!(reader.suspend(&acme, Suspend::new("x")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    assert_eq!(reader.erase(&acme).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    assert_eq!(reader.verify_audit(&acme).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    let operator = of(Role::Operator);
    operator.suspend(&acme, Suspend::new("unpaid")).await.unwrap();
    operator.reactivate(&acme).await.unwrap();
    assert_eq!(operator.search(ask("acme")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
}

#[tokio::test]
async fn access_across_tenants_is_explicit_expires_and_can_be_taken_back() {
    let (world, clock) = world().await;
    let (c, globex) = (&world.cogniverse, tenant("globex"));
    let anna = c.for_caller(caller("anna", "acme", Role::Admin));
    let id = CallerId::parse("anna").unwrap();
    let until = |seconds: i64| Timestamp::from_second(1_893_456_000 + seconds).unwrap();
    let share =
        |seconds| ShareAccess::new(id.clone(), "support case 7", until(seconds)).with_operation(Operation::Search);
    // What makes no sense is refused, and only an operator shares.
    for wrong in [
        ShareAccess::new(id.clone(), "x", until(60)),
        ShareAccess::new(id.clone(), " ", until(60)).with_operation(Operation::Search),
        ShareAccess::new(id.clone(), "x", until(-60)).with_operation(Operation::Search),
        ShareAccess::new(id.clone(), "x", until(60)).with_operation(Operation::Ingest),
    ] {
        assert_eq!(
            c.share_access(&globex, wrong.clone()).await.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{wrong:?}"
        );
    }
    assert_eq!(anna.share_access(&globex, share(60)).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    c.share_access(&globex, share(60)).await.unwrap();
    assert_eq!(anna.search(ask("globex")).await.unwrap().results[0].video_id, "of_globex");
    let grant = anna.admit(&globex, Operation::Search).await.unwrap();
    assert!(grant.is_cross_tenant());
    drop(grant);
    // That operation alone.
    assert_eq!(anna.admit(&globex, Operation::ReadDocuments).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    assert_eq!(anna.admit(&globex, Operation::Ingest).await.unwrap_err().code(), ErrorCode::TenantUnknown);
    clock.advance(Duration::from_secs(60));
    assert_eq!(anna.search(ask("globex")).await.unwrap_err().code(), ErrorCode::TenantUnknown, "it is over");
    c.share_access(&globex, share(120)).await.unwrap();
    anna.search(ask("globex")).await.unwrap();
    assert_eq!(c.shared_access(&globex).await.unwrap().len(), 1);
    c.revoke_access(&globex, &id).await.unwrap();
    assert_eq!(anna.search(ask("globex")).await.unwrap_err().code(), ErrorCode::TenantUnknown, "it is taken back");
    assert_eq!(c.revoke_access(&globex, &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let happened = events(c, "globex").await;
    let count = |is: fn(&AuditEvent) -> bool| happened.iter().filter(|(_, event)| is(event)).count();
    assert_eq!(count(|event| matches!(event, AuditEvent::AccessShared { .. })), 2);
    assert_eq!(count(|event| matches!(event, AuditEvent::CrossTenantRead { .. })), 3);
    assert_eq!(count(|event| matches!(event, AuditEvent::AccessRevoked { .. })), 1);
    // It does not outlive the tenant.
    c.share_access(&globex, share(600)).await.unwrap();
    c.suspend(&globex, Suspend::new("the contract ended")).await.unwrap();
    let receipt = c.erase(&globex).await.unwrap();
    assert_eq!(receipt.surfaces.iter().find(|surface| surface.name == "access").unwrap().erased, 1);
    c.create_tenant(&globex, cogniverse::Template::Trial).await.unwrap();
    assert_eq!(anna.search(ask("globex")).await.unwrap_err().code(), ErrorCode::TenantUnknown);
}

#[tokio::test]
async fn the_log_says_who_did_what_and_why_and_no_text_of_users() {
    let (world, _) = world().await;
    let c = &world.cogniverse;
    let admin = c.for_caller(caller("anna", "acme", Role::Admin));
    let routing = RoutingConfig::new(tenant("acme"));
    admin.set_config(&tenant("acme"), routing.clone(), Expected::Absent, "a\u{7} first try").await.unwrap();
    admin.set_config(&tenant("acme"), routing, Expected::Version(1), "a second try").await.unwrap();
    admin.rollback_config::<RoutingConfig>(&tenant("acme"), 1, "it was better before").await.unwrap();
    let base = cogniverse::SchemaName::parse("video_colpali_smol500_mv_frame").unwrap();
    admin.deploy(&tenant("acme"), &profile("video_colpali_smol500_mv_frame")).await.unwrap();
    admin.drop_schema(&tenant("acme"), &base).await.unwrap();
    let happened = events(c, "acme").await;
    let changes: Vec<_> = happened
        .iter()
        .filter_map(|(actor, event)| match event {
            AuditEvent::ConfigChanged { key, from_version, to_version, reason } if key.contains("routing") => {
                Some((actor.as_str(), *from_version, *to_version, reason.as_deref().unwrap()))
            }
            _ => None,
        })
        .collect();
    let expected =
        [("anna", 0, 1, "a first try"), ("anna", 1, 2, "a second try"), ("anna", 2, 3, "it was better before")];
    assert_eq!(changes, expected);
    assert!(
        happened
            .iter()
            .any(|(actor, event)| actor == "anna"
                && *event == AuditEvent::SchemasDeployed { schemas: vec![base.clone()] })
    );
    assert!(
        happened
            .iter()
            .any(|(actor, event)| actor == "anna" && *event == AuditEvent::SchemaDropped { schema: base.clone() })
    );
    assert!(
        matches!(&happened[0], (actor, AuditEvent::ConfigChanged { .. }) if actor == "embedder"),
        "{:?}",
        happened[0]
    );
    let log = serde_json::to_string(&c.audit(&tenant("acme"), 0, 1000).await.unwrap()).unwrap();
    assert!(!log.contains("of_acme") && !log.contains("words"), "{log}");
}

#[tokio::test]
async fn a_changed_entry_is_named_and_so_is_one_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || Cogniverse::builder().data_dir(folder.path()).open().await.unwrap();
    let acme = tenant("acme");
    {
        let c = open().await;
        c.create_tenant(&acme, cogniverse::Template::Trial).await.unwrap();
        for number in 0..4 {
            c.suspend(&acme, Suspend::new(format!("reason {number}"))).await.unwrap();
            c.reactivate(&acme).await.unwrap();
        }
        let checked = c.verify_audit(&acme).await.unwrap();
        assert!(checked.is_whole() && checked.entries == 11, "{checked:?}");
    }
    let database = folder.path().join("config.sqlite");
    let sql = |sql: &str| {
        let done = std::process::Command::new("python3")
            .args(["-c", "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"])
            .arg(&database)
            .arg(sql)
            .status();
        done.expect("python3").success().then_some(()).expect("the statement");
    };
    let broken = async |wanted: u64, part: &str| {
        let c = open().await;
        let checked = c.verify_audit(&acme).await.unwrap();
        let broken = checked.broken.expect("a broken entry");
        assert_eq!((broken.sequence, checked.entries), (wanted, wanted - 1), "{broken:?}");
        assert!(broken.reason.contains(part), "{broken:?}");
        let error = c.audit(&acme, 0, 100).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    };
    let row = |version: u64| format!("service = 'audit' AND key = 'acme' AND version = {version}");
    sql(&format!("UPDATE config_versions SET value = replace(value, 'reason 2', 'reason 9') WHERE {}", row(8)));
    broken(8, "hash").await;
    sql(&format!("UPDATE config_versions SET value = replace(value, 'reason 9', 'reason 2') WHERE {}", row(8)));
    sql(&format!("DELETE FROM config_versions WHERE {}", row(5)));
    broken(5, "missing").await;
}

/// The audit log's contract, beside the configuration on Vespa's wire.
mod audit_on_vespa {
    use cogniverse::{config::StoredAuditLog, sdk::SystemClock};
    use cogniverse_vespa::{VespaBackend, VespaConfig};
    use std::sync::Arc;
    use vespa_testkit::TestServer;

    async fn log() -> (Arc<StoredAuditLog>, TestServer) {
        let server = TestServer::start().await.unwrap();
        let config = VespaConfig::new(server.url(), server.config_url());
        let store = VespaBackend::new(config).unwrap().config_store().await.unwrap();
        (Arc::new(StoredAuditLog::new(Arc::new(store), Arc::new(SystemClock))), server)
    }

    cogniverse_sdk::audit_log_contract! { log() }
}

/// A tenant's whole life on Vespa's wire, by the same code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenants_life_on_vespas_wire() {
    use cogniverse::{NewTenant, Template, tenants::TenantState};
    use cogniverse_vespa::{VespaBackend, VespaConfig};
    let server = vespa_testkit::TestServer::start().await.unwrap();
    let backend = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    let store = Arc::new(backend.config_store().await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let builder = Cogniverse::builder().data_dir(folder.path()).backend(Arc::new(backend)).config_store(store);
    let c = builder.config_staleness(Duration::ZERO).open().await.unwrap();
    let acme = tenant("acme");
    let new = || NewTenant::new(acme.clone(), Template::Trial).with_profile(profile(TEXT));
    c.create(new()).await.unwrap();
    let file = folder.path().join("one.jsonl");
    let line = r#"{"video_id":"v","segment_id":0,"start_time":0,"end_time":1,"audio_transcript":"words"}"#;
    std::fs::write(&file, line).unwrap();
    let source = cogniverse::IngestSource::Segments(file);
    c.ingest(cogniverse::IngestRequest::new(acme.clone(), profile(TEXT), source)).await.unwrap();
    assert_eq!(c.search(ask("acme")).await.unwrap().results.len(), 1);
    c.suspend(&acme, Suspend::new("the contract ended")).await.unwrap();
    assert_eq!(c.search(ask("acme")).await.unwrap_err().code(), ErrorCode::TenantSuspended);
    let receipt = c.erase(&acme).await.unwrap();
    assert_eq!(receipt.state, TenantState::Erased, "{receipt:?}");
    let documents = receipt.surfaces.iter().find(|surface| surface.name == "documents").unwrap();
    // A segment, and the record of its video.
    assert_eq!((documents.erased, documents.remaining), (2, Some(0)));
    assert!(
        documents.retained_until.is_some() && documents.reason.as_ref().unwrap().contains("two weeks"),
        "{documents:?}"
    );
    assert_eq!(c.create(new()).await.unwrap().generation, 2);
    assert_eq!(c.search(ask("acme")).await.unwrap().results, []);
    assert!(c.verify_audit(&acme).await.unwrap().is_whole());
}
