//! A real Phoenix: two tenants by both protocols, erasure against spans on their way, keys, datasets, analytics.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod real;

use cogniverse_core::tenants::{Gate, ShareAccess, TenantRecord, TenantState};
use cogniverse_foundation::{
    ConfigManager, InMemoryAuditLog, InMemoryConfigStore, TelemetryConfig, Template,
    telemetry::{SpanKind, TelemetryManager, TelemetrySettings},
};
use cogniverse_otlp::{OtlpConfig, OtlpExporter};
use cogniverse_phoenix::{
    DatasetAction, Evaluation, Example, ExperimentRun, PhoenixAnalytics, PhoenixClient, PhoenixConfig, erase_tenant,
    html_report,
};
use cogniverse_sdk::{
    AuditEvent, AuditLog, Caller, CallerId, Clock, ErrorKind, Expected, Operation, Role, SystemClock, TenantId,
    TimeWindow,
    telemetry_provider::{AnnotatorKind, ProjectName, Settle, SpanQuery, TelemetryProvider},
};
use jiff::Timestamp;
use real::{ADMIN, address, phoenix, wait_for};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

const SOON: Duration = Duration::from_secs(20);

/// A tenant that no other run has, and its project.
fn tenant(name: &str) -> (TenantId, ProjectName) {
    let id = format!("{name}-{:08x}", RandomState::new().hash_one(name) as u32);
    (TenantId::parse(&id).unwrap(), ProjectName::parse(id).unwrap())
}

fn pipeline(config: OtlpConfig) -> TelemetryManager {
    let settings = TelemetrySettings::new().with_export_interval(Duration::from_millis(20));
    TelemetryManager::new(settings, OtlpExporter::new(config).unwrap()).unwrap()
}

async fn flush(telemetry: &TelemetryManager) {
    let telemetry = telemetry.clone();
    tokio::task::spawn_blocking(move || telemetry.flush(SOON)).await.unwrap().unwrap();
}

fn settle() -> Settle {
    Settle::new().with_absent_for(Duration::from_secs(1)).with_poll(Duration::from_millis(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_01_05_07_each_tenants_spans_lie_in_its_own_project_by_http_and_grpc() {
    let Some(phoenix) = phoenix() else { return };
    let mut configs = vec![OtlpConfig::http(&phoenix.url)];
    configs.extend(address("COGNIVERSE_PHOENIX_GRPC_URL").map(OtlpConfig::grpc));
    for config in configs {
        let telemetry = pipeline(config);
        let tenants = [tenant("acme"), tenant("globex")];
        for (tenant, _) in &tenants {
            let search = telemetry.span("cogniverse.search", tenant);
            search.set_kind(SpanKind::Agent);
            // The same session id for both: Phoenix tells sessions apart by nothing else.
            search.set_attribute("session.id", "s1");
            search.set_attribute("profile", "text");
            let _current = search.enter();
            for (other, _) in &tenants {
                drop(telemetry.span("inner", other));
            }
            let failed = telemetry.span("failed", tenant);
            failed.record_error("Timeout", &"too late");
        }
        flush(&telemetry).await;
        for (tenant, project) in &tenants {
            let spans = phoenix.wait_for(project, 4).await;
            assert_eq!(spans.len(), 4);
            assert!(spans.iter().all(|span| span.attributes["tenant.id"] == tenant.as_str()));
            let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
            assert_eq!(named("failed").parent_id.as_ref(), Some(&named("cogniverse.search").span_id));
            assert_eq!(named("cogniverse.search").attributes["session.id"], format!("{tenant}/s1"));
            assert_eq!(named("failed").status_message, "too late");
            // The other tenant's spans inside of this one's began traces of their own.
            let traces: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.trace_id).collect();
            assert_eq!(traces.len(), 2);
            phoenix.client.erase_project(project, settle()).await.unwrap();
        }
    }
}

/// Spans that wait, are on their way, or were just taken: none brings an erased project back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_04_an_erased_project_stays_erased() {
    let Some(phoenix) = phoenix() else { return };
    let telemetry = pipeline(OtlpConfig::http(&phoenix.url));
    let ((acme, project), (globex, other)) = (tenant("acme"), tenant("globex"));
    for _ in 0..50 {
        drop(telemetry.span("work", &acme));
        drop(telemetry.span("work", &globex));
    }
    phoenix.wait_for(&project, 1).await;
    let writer = {
        let (telemetry, acme) = (telemetry.clone(), acme.clone());
        std::thread::spawn(move || {
            for _ in 0..200 {
                drop(telemetry.span("still at it", &acme));
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    let receipt = erase_tenant(&telemetry, &phoenix.client, &acme, &TelemetryConfig::new(), settle()).await.unwrap();
    assert!(receipt.deletions >= 1 && receipt.spans_before >= 1, "{receipt:?}");
    writer.join().unwrap();
    flush(&telemetry).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(phoenix.client.find_project(&project).await.unwrap(), None);
    assert_eq!(phoenix.wait_for(&other, 50).await.len(), 50);
    // A tenant of the same name that comes later begins with nothing.
    telemetry.reopen_tenant(&acme);
    drop(telemetry.span("new", &acme));
    flush(&telemetry).await;
    assert_eq!(phoenix.wait_for(&project, 1).await.len(), 1);
    for project in [project, other] {
        phoenix.client.erase_project(&project, settle()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_needed_hidden_and_named_when_they_do_not_suffice() {
    let Some(url) = address("COGNIVERSE_PHOENIX_AUTH_URL") else { return };
    let (acme, project) = tenant("acme");
    let client = |key: Option<&str>| {
        let config = PhoenixConfig::new(&url).with_attempts(1);
        PhoenixClient::new(key.into_iter().fold(config, PhoenixConfig::with_api_key)).unwrap()
    };
    for wrong in [None, Some("wrong")] {
        let error = client(wrong).find_project(&project).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Unauthenticated && error.to_string().contains("API key"), "{error}");
    }
    let admin = client(Some(ADMIN));
    assert!(!format!("{admin:?}").contains(ADMIN));
    assert!(admin.health().await.unwrap().version.is_some());
    // A pipeline with a wrong key keeps its spans and says why; with the right one they arrive.
    let refused = pipeline(OtlpConfig::http(&url).with_api_key("wrong"));
    drop(refused.span("x", &acme));
    let waiting = refused.clone();
    let error =
        tokio::task::spawn_blocking(move || waiting.flush(Duration::from_millis(500))).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("API key"), "{error}");
    assert_eq!(refused.stats().queued, 1);
    let telemetry = pipeline(OtlpConfig::http(&url).with_api_key(ADMIN));
    drop(telemetry.span("x", &acme));
    flush(&telemetry).await;
    assert_eq!(wait_for(&admin, &project, 1).await.len(), 1);
    // A system key reads, and may not delete projects.
    let made = reqwest::Client::new()
        .post(format!("{url}/v1/system/api_keys"))
        .bearer_auth(ADMIN)
        .json(&serde_json::json!({"data": {"name": project.as_str(), "description": ""}}))
        .send()
        .await
        .unwrap();
    let made: serde_json::Value = made.json().await.unwrap();
    let system = client(made["data"]["key"].as_str());
    assert!(system.find_project(&project).await.unwrap().is_some());
    let error = system.erase_project(&project, settle()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::PermissionDenied && error.to_string().contains("admin"), "{error}");
    admin.erase_project(&project, settle()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datasets_and_experiments_are_of_one_project() {
    let Some(phoenix) = phoenix() else { return };
    let client = &phoenix.client;
    let ((_, own), (_, other)) = (tenant("acme"), tenant("globex"));
    let example = |n: i64| Example::new(serde_json::json!({"query": n}), serde_json::json!({"video": format!("v{n}")}));
    let dataset =
        client.upload_dataset(&own, "golden", DatasetAction::Create, &[example(1), example(2)]).await.unwrap();
    let again = client.upload_dataset(&own, "golden", DatasetAction::Create, &[example(3)]).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
    assert_eq!(client.find_dataset(&own, "golden").await.unwrap().as_ref(), Some(&dataset));
    for (project, name) in [(&other, "golden"), (&own, "gold"), (&own, "golden2")] {
        assert_eq!(client.find_dataset(project, name).await.unwrap(), None, "{project} {name}");
    }
    let missing = client.upload_dataset(&other, "golden", DatasetAction::Append, &[example(3)]).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    client.upload_dataset(&own, "golden", DatasetAction::Append, &[example(3)]).await.unwrap();
    let examples = client.dataset_examples(&dataset).await.unwrap();
    assert_eq!((examples.len(), client.dataset_versions(&dataset).await.unwrap()), (3, 2));
    let experiment = client.create_experiment(&dataset, "phased", serde_json::Map::new()).await.unwrap();
    let run = ExperimentRun {
        example_id: examples[0].id.clone(),
        output: serde_json::json!({"video": "v1"}),
        time: (Timestamp::from_second(1_760_000_000).unwrap(), Timestamp::from_second(1_760_000_001).unwrap()),
        error: None,
    };
    let logged = client.log_run(&experiment, &run).await.unwrap();
    assert_eq!(client.log_run(&experiment, &run).await.unwrap_err().kind(), ErrorKind::Conflict);
    let evaluation = Evaluation { name: "mrr".into(), annotator: AnnotatorKind::Code, score: Some(0.5), label: None };
    client.log_evaluation(&logged, &evaluation).await.unwrap();
    let results = client.experiment_results(&experiment).await.unwrap();
    assert!(results.len() == 1 && results[0].to_string().contains("mrr"), "{results:?}");
    assert!(client.delete_experiment(&experiment).await.unwrap());
    assert!(client.delete_dataset(&dataset).await.unwrap() && !client.delete_dataset(&dataset).await.unwrap());
    assert_eq!(client.dataset_examples(&dataset).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analytics_of_one_tenant_and_across_by_leave() {
    let Some(phoenix) = phoenix() else { return };
    let telemetry = pipeline(OtlpConfig::http(&phoenix.url));
    let ((acme, own), (globex, other)) = (tenant("acme"), tenant("globex"));
    for number in 0..30 {
        let span = telemetry.span(if number % 3 == 0 { "ingest" } else { "search" }, &acme);
        span.set_attribute("strategy", "phased");
        drop(span.child("step"));
        if number % 10 == 0 {
            span.record_error("Timeout", &"late");
        }
    }
    drop(telemetry.span("search", &globex));
    flush(&telemetry).await;
    phoenix.wait_for(&own, 60).await;
    phoenix.wait_for(&other, 1).await;
    let analytics = PhoenixAnalytics::new(phoenix.client.clone());
    let window = TimeWindow::last_hours(Timestamp::now(), 1).unwrap();
    let report = analytics.tenant(&own, window).await.unwrap();
    let s = &report.statistics;
    assert_eq!((s.count, s.errors, s.success_rate), (30, 3, Some(0.9)));
    assert_eq!((s.by_operation["search"].count, s.by_operation["ingest"].count), (20, 10));
    assert_eq!((s.by_strategy["phased"].count, s.errors_by_type["Timeout"]), (30, 3));
    assert!(report.to_string().contains("90.00 % went well"), "{report}");
    let unknown = ProjectName::parse("no such project").unwrap();
    assert_eq!(analytics.tenant(&unknown, window).await.unwrap_err().kind(), ErrorKind::NotFound);
    // Across tenants: only by leave, and never without a line in the log.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = ConfigManager::new(Arc::new(InMemoryConfigStore::new()));
    let audit: Arc<dyn AuditLog> = Arc::new(InMemoryAuditLog::new(Arc::clone(&clock)));
    let gate = Gate::builder(config.clone(), Arc::clone(&audit), clock).build();
    for tenant in [&acme, &globex] {
        config.create_from_template(tenant, Template::Trial, serde_json::Map::new()).await.unwrap();
        let mut record = TenantRecord::provisioning(tenant.clone(), 1, Timestamp::now());
        record.state = TenantState::Active;
        gate.registry().put(&record, Expected::Absent).await.unwrap();
    }
    let ops = CallerId::parse("ops@example").unwrap();
    let of_ops = gate.for_caller(Caller::new(ops.clone()).with_tenant(acme.clone()).with_role(Role::Admin));
    let denied = of_ops.admit(&globex, Operation::ReadTelemetry).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::NotFound);
    let expires = Timestamp::now().checked_add(Duration::from_secs(60)).unwrap();
    let share = ShareAccess::new(ops, "monthly review", expires).with_operation(Operation::ReadTelemetry);
    gate.share(&globex, share).await.unwrap();
    let wrong = [of_ops.admit(&acme, Operation::Search).await.unwrap()];
    let error = analytics.across_tenants(&wrong, window).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let mut grants = Vec::new();
    for tenant in [&acme, &globex] {
        grants.push(of_ops.admit(tenant, Operation::ReadTelemetry).await.unwrap());
    }
    let reports = analytics.across_tenants(&grants, window).await.unwrap();
    assert_eq!(reports.iter().map(|report| report.statistics.count).collect::<Vec<_>>(), [30, 1]);
    let events: Vec<_> =
        audit.read(&globex, 0, 100).await.unwrap().entries.into_iter().map(|entry| entry.event).collect();
    assert!(
        matches!(events.last(), Some(AuditEvent::CrossTenantRead { operation: Operation::ReadTelemetry })),
        "{events:?}"
    );
    let page = html_report(&reports);
    assert!(page.contains(own.as_str()) && page.contains("<svg"));
    // One trace goes; another tenant's trace does not go by its id.
    let traces = phoenix.client.read_spans(SpanQuery::new(other.clone())).await.unwrap().spans;
    assert!(!phoenix.client.delete_trace(&own, &traces[0].trace_id).await.unwrap());
    assert!(phoenix.client.delete_trace(&other, &traces[0].trace_id).await.unwrap());
    let listed = phoenix.client.list_projects().await.unwrap();
    assert!(listed.iter().any(|project| project.name == own));
    for project in [own, other] {
        phoenix.client.erase_project(&project, settle()).await.unwrap();
    }
    let made = phoenix.client.create_project(&tenant("made").1, "by hand").await.unwrap();
    assert_eq!(phoenix.client.create_project(&made.name, "again").await.unwrap().name, made.name);
    phoenix.client.erase_project(&made.name, settle()).await.unwrap();
}
