//! Deploying: races, faults and crashes on the way.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse_sdk::{ErrorKind, SchemaStore, SearchBackend, TenantId, contract::fixture, schema_store::SchemaAction};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use vespa_testkit::{Fault, Route, TestServer, TestServerOptions};
use world::{deploy, fill, request, words, world, world_with};

/// Ten times another deployment comes first: it begins anew, and ends as asked for.
#[tokio::test]
async fn invariant_10_a_conflict_is_met_by_beginning_anew() {
    let (backend, server) = world().await;
    deploy(&backend, &["first"]).await.unwrap();
    let conflicts = server.faults().next(Route::Activate, 10, Fault::ActivationConflict);
    deploy(&backend, &["acme"]).await.unwrap();
    assert_eq!(server.faults().left(conflicts), Some(0));
    assert_eq!(backend.list_schemas(&fixture::tenant("acme")).await.unwrap().len(), 1);
    assert_eq!(backend.list_schemas(&fixture::tenant("first")).await.unwrap().len(), 1);
}

/// The attempts have an end, and the error says that nothing was changed.
#[tokio::test]
async fn invariant_23_conflicts_without_end_are_an_error() {
    let (backend, server) =
        world_with(TestServerOptions::default(), |c| c.with_deploy_timeout(Duration::from_secs(2))).await;
    deploy(&backend, &["first"]).await.unwrap();
    server.faults().always(Route::Activate, Fault::ActivationConflict);
    let error = deploy(&backend, &["acme"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    server.faults().clear();
    assert!(backend.list_schemas(&fixture::tenant("acme")).await.unwrap().is_empty());
}

/// Another process changes a schema between the reading and the copy: its change stays, in the record of what is deployed too.
#[tokio::test]
async fn invariant_10_a_session_is_a_copy_of_what_was_read() {
    let (backend, server) = world().await;
    deploy(&backend, &["first"]).await.unwrap();
    let other = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    let mut changed = request(&["first"]);
    let mut definition = (*changed.deployments[0].definition).clone();
    definition.rank_profiles.truncate(1);
    changed.deployments[0].definition = std::sync::Arc::new(definition);
    server.forget_requests();
    server.faults().next(Route::Session, 1, Fault::Slow(Duration::from_millis(700)));
    let meanwhile = async {
        while !server.requests().iter().any(|seen| seen.path.ends_with("/session")) {
            tokio::task::yield_now().await;
        }
        other.deploy(changed).await.unwrap();
    };
    let (deployed, ()) = tokio::join!(deploy(&backend, &["acme"]), meanwhile);
    deployed.unwrap();
    let first = other.list_schemas(&fixture::tenant("first")).await.unwrap();
    assert_eq!(first[0].definition.rank_profiles.len(), 1, "the change of the other process");
    assert_eq!(other.list_schemas(&fixture::tenant("acme")).await.unwrap().len(), 1);
}

/// What a failed read of the running application gives is an error, and nothing is deployed from it.
#[tokio::test]
async fn invariant_09_no_deployment_from_what_could_not_be_read() {
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_attempts(2)).await;
    deploy(&backend, &["acme"]).await.unwrap();
    let generation = server.generation();
    for route in [Route::Content, Route::Application] {
        server.faults().always(route, Fault::Status(500));
        let deployed = deploy(&backend, &["globex"]).await.unwrap_err();
        let listed = backend.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
        let dropped = backend.drop_schema(&fixture::schema_of("acme")).await.unwrap_err();
        for error in [deployed, listed, dropped] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        }
        server.faults().clear();
    }
    assert_eq!(server.generation(), generation);
    let nobody = VespaConfig::new("http://127.0.0.1:9", "http://127.0.0.1:9").with_attempts(1);
    let nobody = VespaBackend::new(nobody).unwrap();
    let error = nobody.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("check the address"), "{error}");
}

/// The answer of the activation is lost: the deployment finds that it happened.
#[tokio::test]
async fn invariant_15_a_lost_answer_of_the_activation_is_found_out() {
    let (backend, server) = world().await;
    deploy(&backend, &["first"]).await.unwrap();
    server.faults().next(Route::Activate, 1, Fault::LostAnswer);
    let report = deploy(&backend, &["acme"]).await.unwrap();
    assert_eq!(report.schemas[0].1, SchemaAction::Added, "as it was before");
    server.faults().next(Route::Activate, 1, Fault::LostAnswer);
    backend.drop_schema(&fixture::schema_of("acme")).await.unwrap();
    assert!(backend.list_schemas(&fixture::tenant("acme")).await.unwrap().is_empty());
    assert!(!server.application_files().contains_key("validation-overrides.xml"));
}

/// The process dies between prepare and activate: nothing changed, and the next deployment is none the worse.
#[tokio::test]
async fn invariant_15_a_crash_between_prepare_and_activate_changes_nothing() {
    let (backend, server) = world().await;
    deploy(&backend, &["first"]).await.unwrap();
    let generation = server.generation();
    // Once prepared, the activation waits for ever; the caller goes away meanwhile.
    let waits = server.faults().always(
        Route::Path(format!("/application/v2/tenant/default/session/{}/active", generation.unwrap() + 1)),
        Fault::Slow(Duration::from_secs(600)),
    );
    let reaches = async {
        while !server.requests().iter().any(|seen| seen.path.ends_with(&format!("/{}/active", generation.unwrap() + 1)))
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = deploy(&backend, &["acme"]) => panic!("the activation was to wait"),
        () = reaches => {}
    }
    server.faults().remove(waits);
    assert_eq!(server.generation(), generation);
    let report = deploy(&backend, &["acme"]).await.unwrap();
    assert_eq!(report.schemas[0].1, SchemaAction::Added);
    assert_eq!(backend.list_schemas(&fixture::tenant("first")).await.unwrap().len(), 1);
}

/// A deployment returns when the new schema is in force, not before; a container that never takes it is an error that says
/// what is the case.
#[tokio::test]
async fn a_deployment_waits_until_it_is_in_force() {
    let delay = Duration::from_millis(400);
    let (backend, _server) = world_with(TestServerOptions::default().with_convergence_delay(delay), |c| c).await;
    let begun = Instant::now();
    fill(&backend, "acme", 3).await;
    assert!(begun.elapsed() >= delay);
    assert_eq!(backend.search(words("acme", "common")).await.unwrap().hits.len(), 3);

    let (backend, server) =
        world_with(TestServerOptions::default(), |c| c.with_deploy_timeout(Duration::from_secs(4))).await;
    server.faults().always(Route::Convergence, Fault::HalfConverged);
    let error = deploy(&backend, &["acme"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("is active and not everywhere in force"), "{error}");
    server.faults().clear();
    deploy(&backend, &["acme"]).await.unwrap();
    let stale = server.faults().next(Route::Convergence, 3, Fault::StaleGeneration);
    deploy(&backend, &["globex"]).await.unwrap();
    assert_eq!(server.faults().left(stale), Some(0), "it looked again");
}

/// A drop that is active and nowhere in force is an error, and its permission goes all the same; so it does where the drop is
/// asked for again.
#[tokio::test]
async fn invariant_10_no_permission_outlives_its_drop() {
    let (backend, server) =
        world_with(TestServerOptions::default(), |c| c.with_deploy_timeout(Duration::from_secs(1))).await;
    deploy(&backend, &["acme", "globex"]).await.unwrap();
    let half = server.faults().always(Route::Convergence, Fault::HalfConverged);
    assert_eq!(backend.drop_schema(&fixture::schema_of("acme")).await.unwrap_err().kind(), ErrorKind::Timeout);
    let permitted = |server: &TestServer| server.application_files().contains_key("validation-overrides.xml");
    assert!(!permitted(&server));
    let mut files = server.application_files();
    let left = "<validation-overrides>\n  <allow until=\"2099-01-01\" comment=\"cogniverse: drop of x\">schema-removal</allow>\n</validation-overrides>\n";
    files.insert("validation-overrides.xml".to_owned(), left.replace("2099-01-01", &tomorrow()).into());
    server.deploy(files).await.unwrap();
    server.faults().remove(half);
    assert_eq!(backend.drop_schema(&fixture::schema_of("acme")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!permitted(&server));
    assert_eq!(backend.list_schemas(&fixture::tenant("globex")).await.unwrap().len(), 1);
}

fn tomorrow() -> String {
    let today = jiff::tz::Offset::UTC.to_datetime(cogniverse_sdk::Timestamp::now()).date();
    today.tomorrow().unwrap().to_string()
}

/// Others' files stay byte for byte, through additions, changes and drops.
#[tokio::test]
async fn invariant_10_what_others_deployed_stays() {
    let (backend, server) = world().await;
    let services = "<services version=\"1.0\">\n  <container id=\"web\" version=\"1.0\"><search/><document-api/><nodes><node hostalias=\"node1\"/></nodes></container>\n  <content id=\"cogniverse\" version=\"1.0\">\n    <min-redundancy>1</min-redundancy>\n    <documents>\n      <document type=\"music\" mode=\"index\"/>\n    </documents>\n    <nodes><node hostalias=\"node1\" distribution-key=\"0\"/></nodes>\n  </content>\n</services>\n";
    let music = "schema music {\n  document music {\n    field title type string {\n      indexing: summary | index\n    }\n  }\n}\n";
    let theirs =
        [("services.xml", services), ("schemas/music.sd", music), ("files/notes.txt", "\u{1F3B5} as it is\r\n")];
    server.deploy(theirs.iter().map(|(path, text)| ((*path).to_owned(), (*text).into())).collect()).await.unwrap();
    fill(&backend, "acme", 2).await;
    deploy(&backend, &["globex"]).await.unwrap();
    backend.drop_schema(&fixture::schema_of("globex")).await.unwrap();
    let files = server.application_files();
    assert_eq!(files["schemas/music.sd"], music);
    assert_eq!(files["files/notes.txt"], "\u{1F3B5} as it is\r\n");
    assert!(files["services.xml"].starts_with(b"<services version=\"1.0\">\n  <container id=\"web\""));
    let guards = ["force", "ignoreValidationErrors"];
    let sent = |seen: &vespa_testkit::SeenRequest| seen.query.iter().any(|(name, _)| guards.contains(&name.as_str()));
    assert!(!server.requests().iter().any(sent), "the server's guards stay on");
    backend.drop_schema(&fixture::schema_of("acme")).await.unwrap();
    let left: Vec<_> = server.application_files().into_keys().collect();
    assert_eq!(left, ["files/cogniverse.json", "files/notes.txt", "schemas/music.sd", "services.xml"]);
    assert_eq!(server.application_files()["services.xml"], services);
}

/// A plan changes nothing, says what would be written, and passes Vespa's check on; a package is the whole application.
#[tokio::test]
async fn a_plan_changes_nothing() {
    let (backend, server) = world().await;
    let first = backend.plan_deployment(&request(&["acme"])).await.unwrap();
    assert_eq!(server.generation(), None);
    assert!(first.to_string().contains("added      contract_video_acme"), "{first}");
    let package = backend.package(&request(&["acme"])).await.unwrap();
    assert!(
        package.contains_key("schemas/contract_video_acme.sd") && package.contains_key("schemas/config_metadata.sd")
    );
    deploy(&backend, &["acme"]).await.unwrap();
    let deployed: Vec<String> = server.application_files().into_keys().collect();
    assert_eq!(package.into_keys().collect::<Vec<_>>(), deployed, "what was planned is what was deployed");
    let generation = server.generation();
    let again = backend.plan_deployment(&request(&["acme"])).await.unwrap();
    assert!(again.is_empty(), "{again}");
    let drop = backend.plan_drop(&fixture::schema_of("acme")).await.unwrap();
    assert_eq!(drop.dropped, Some(fixture::schema_of("acme")));
    assert_eq!(server.generation(), generation);
    assert_eq!(backend.package(&request(&["globex"])).await.unwrap().len(), deployed.len() + 1);
}

/// The budget counts every schema of the application.
#[tokio::test]
async fn invariant_23_schemas_have_a_budget() {
    let (backend, server) = world_with(TestServerOptions::default(), |c| c.with_schema_budget(2, 3)).await;
    deploy(&backend, &["a", "b"]).await.unwrap();
    let error = deploy(&backend, &["c"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("would hold 4 schemas and the limit is 3"), "{error}");
    assert_eq!(server.application_files().keys().filter(|path| path.ends_with(".sd")).count(), 3);
}

/// Every character that a tenant id may hold, and names that only differ in case.
#[tokio::test]
async fn invariant_02_any_tenant_id_has_a_schema_of_its_own() {
    let (backend, _server) = world().await;
    let all: String = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("_-.:".chars()).collect();
    let (head, tail) = all.split_at(33);
    let tenants = [head, &format!("0{tail}"), "acme", "ACME", "a.b", "a:b", "a-b", "a_b"];
    deploy(&backend, &tenants).await.unwrap();
    for tenant in tenants {
        let listed = backend.list_schemas(&TenantId::parse(tenant).unwrap()).await.unwrap();
        assert_eq!(listed.len(), 1, "{tenant}");
        assert_eq!(listed[0].schema.tenant().as_str(), tenant);
    }
}

const URLS: &str = "COGNIVERSE_TEST_VESPA";
const EACH: usize = 25;

/// The body of a child; does nothing where the test runner starts it as a test of its own.
#[tokio::test]
async fn child() {
    let Ok(urls) = std::env::var(URLS) else { return };
    let [url, config_url, name] = urls.split(' ').collect::<Vec<_>>()[..] else { panic!("{urls}") };
    let backend = VespaBackend::new(VespaConfig::new(url, config_url)).unwrap();
    for number in 0..EACH {
        let tenant = format!("{name}{number}");
        match deploy(&backend, &[&tenant]).await {
            Ok(report) => assert_eq!(report.schemas[0].1, SchemaAction::Added),
            // A clear error, and nothing half done: again.
            Err(error) if error.kind() == ErrorKind::Conflict => drop(deploy(&backend, &[&tenant]).await.unwrap()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Two processes add fifty tenants at once, also the first: nothing is lost, and no schema is dropped on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_10_two_processes_lose_no_schema() {
    let server = TestServer::start().await.unwrap();
    let start = |name: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(URLS, format!("{} {} {name}", server.url(), server.config_url()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children = [start("acme"), start("globex")];
    for child in children {
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let backend = VespaBackend::new(VespaConfig::new(server.url(), server.config_url())).unwrap();
    for name in ["acme", "globex"] {
        for number in 0..EACH {
            assert_eq!(backend.list_schemas(&fixture::tenant(&format!("{name}{number}"))).await.unwrap().len(), 1);
        }
    }
    let schemas = server.application_files().keys().filter(|path| path.ends_with(".sd")).count();
    assert_eq!(schemas, 2 * EACH + 1);
}
