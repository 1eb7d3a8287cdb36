//! Sessions of the config server: what is prepared, what is activated, and who comes first.

use crate::support::{Deployer, INSTANCE, TENANT, code, package, schema, zip};
use http::Method;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use vespa_testkit::TestServerOptions;

#[tokio::test]
async fn a_session_goes_from_package_to_application() {
    let deployer = Deployer::start_with(TestServerOptions::default().with_first_generation(41)).await;
    assert_eq!(deployer.call(Method::GET, "/application/").await, (200, json!([])));
    assert_eq!(code(&deployer.call(Method::GET, "/application/default").await), (404, "NOT_FOUND"));
    let body = zip(&package(&["a"]));
    let (_, made) = deployer.call_with(Method::POST, "/session", "application/zip", body).await;
    let base = format!("{}{TENANT}/session/41", deployer.server.config_url());
    assert_eq!(made["session-id"], json!("41"), "an id is a string");
    assert_eq!((&made["tenant"], &made["log"]), (&json!("default"), &json!([])));
    assert_eq!(made["prepared"], json!(format!("{base}/prepared")));
    assert_eq!(made["content"], json!(format!("{base}/content/")));
    assert_eq!(code(&deployer.activate("41").await), (400, "BAD_REQUEST"), "not prepared");
    assert_eq!(code(&deployer.call(Method::GET, "/session/41/prepared").await), (400, "BAD_REQUEST"), "not prepared");
    let (status, prepared) = deployer.prepare("41").await;
    assert_eq!((status, &prepared["session-id"]), (200, &json!("41")));
    assert_eq!(prepared["activate"], json!(format!("{base}/active")));
    for action in ["restart", "refeed", "reindex"] {
        assert!(prepared["configChangeActions"][action].is_array(), "{prepared}");
    }
    assert_eq!(deployer.call(Method::GET, "/session/41/prepared").await.0, 200);
    assert_eq!(deployer.server.generation(), None, "prepared is not active");
    let (status, active) = deployer.activate("41").await;
    assert_eq!((status, &active["session-id"]), (200, &json!("41")));
    assert_eq!(active["url"], json!(format!("{}{INSTANCE}", deployer.server.config_url())));
    assert_eq!(deployer.server.generation(), Some(41));
    assert_eq!(deployer.server.application_files(), package(&["a"]));
    for path in ["/application/default", INSTANCE.strip_prefix(TENANT).unwrap()] {
        let (status, application) = deployer.call(Method::GET, path).await;
        assert_eq!((status, &application["generation"]), (200, &json!(41)));
        assert!(application["modelVersions"].is_array() && application["applicationPackageFileReference"].is_string());
    }
    assert_eq!(
        deployer.call(Method::GET, "/application/").await.1,
        json!([format!("{}{INSTANCE}", deployer.server.config_url())])
    );
    for (method, path) in [(Method::PUT, "prepared"), (Method::GET, "prepared"), (Method::PUT, "active")] {
        let again = deployer.call(method, &format!("/session/41/{path}")).await;
        assert_eq!(code(&again), (400, "BAD_REQUEST"), "the application is not prepared or activated again");
    }
    assert_eq!(code(&deployer.put_file("41", "files/x", "x").await), (400, "BAD_REQUEST"), "nor edited");
}

#[tokio::test]
async fn editing_makes_a_session_new() {
    let deployer = Deployer::start().await;
    let session = deployer.session(&["a"]).await;
    assert_eq!(deployer.prepare(&session).await.0, 200);
    assert_eq!(deployer.put_file(&session, "files/note.txt", "one").await.0, 200);
    assert_eq!(code(&deployer.activate(&session).await), (400, "BAD_REQUEST"), "it was edited after it was prepared");
    assert_eq!(deployer.prepare(&session).await.0, 200);
    assert_eq!(deployer.call(Method::DELETE, &format!("/session/{session}/content/files/note.txt")).await.0, 200);
    assert_eq!(code(&deployer.activate(&session).await), (400, "BAD_REQUEST"), "deleting is editing");
    assert_eq!(deployer.prepare(&session).await.0, 200);
    assert_eq!(deployer.activate(&session).await.0, 200);
}

#[tokio::test]
async fn a_session_that_fails_to_prepare_is_gone() {
    let deployer = Deployer::start().await;
    let session = deployer.session(&["a"]).await;
    assert_eq!(deployer.call(Method::DELETE, &format!("/session/{session}/content/services.xml")).await.0, 200);
    let (status, refused) = deployer.prepare(&session).await;
    assert_eq!((status, refused["error-code"].as_str()), (400, Some("INVALID_APPLICATION_PACKAGE")));
    assert!(refused["message"].as_str().unwrap().starts_with("Invalid application"), "{refused}");
    assert_eq!(code(&deployer.prepare(&session).await), (404, "NOT_FOUND"));
    let next = deployer.session(&["a"]).await;
    assert!(next.parse::<u64>().unwrap() > session.parse::<u64>().unwrap(), "ids are not used again");
}

#[tokio::test]
async fn a_dry_run_prepares_nothing() {
    let deployer = Deployer::start().await;
    let session = deployer.session(&["a"]).await;
    let dry = format!("/session/{session}/prepared?dryRun=true&timeout=10");
    assert_eq!(deployer.call(Method::PUT, &dry).await.0, 200);
    assert_eq!(code(&deployer.activate(&session).await), (400, "BAD_REQUEST"));
    let body = zip(&package(&["a"]));
    let (status, answer) =
        deployer.call_with(Method::POST, "/prepareandactivate?dryRun=true", "application/zip", body).await;
    assert_eq!((status, &answer["activated"]), (200, &json!(false)));
    assert_eq!(deployer.server.generation(), None);
}

#[tokio::test]
async fn sessions_that_nobody_activates_expire() {
    let options = TestServerOptions::default().with_session_lifetime(Duration::ZERO);
    let deployer = Deployer::start_with(options).await;
    let session = deployer.session(&["a"]).await;
    assert_eq!(code(&deployer.prepare(&session).await), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn invariant_10_of_two_clients_that_edit_at_once_one_is_refused() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a"]).await;
    let (first, second) = (deployer.session_from_active().await, deployer.session_from_active().await);
    for (session, name) in [(&first, "b"), (&second, "c")] {
        assert_eq!(deployer.put_file(session, &format!("schemas/{name}.sd"), schema(name)).await.0, 200);
        assert_eq!(
            deployer.put_file(session, "services.xml", package(&["a", name])["services.xml"].clone()).await.0,
            200
        );
        assert_eq!(deployer.prepare(session).await.0, 200);
    }
    assert_eq!(deployer.activate(&second).await.0, 200);
    let refused = deployer.activate(&first).await;
    assert_eq!(code(&refused), (409, "ACTIVATION_CONFLICT"));
    assert_eq!(deployer.server.application_files(), package(&["a", "c"]), "the one that came first stands");
    // (b): force does not bring an older session back.
    let forced = deployer.call(Method::PUT, &format!("/session/{first}/active?force=true")).await;
    assert_eq!(code(&forced), (409, "ACTIVATION_CONFLICT"));
}

#[tokio::test]
async fn invariant_10_a_newer_session_is_refused_too_where_it_saw_an_older_application() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a"]).await;
    let (first, second) = (deployer.session_from_active().await, deployer.session_from_active().await);
    for session in [&first, &second] {
        assert_eq!(deployer.prepare(session).await.0, 200);
    }
    assert_eq!(deployer.activate(&first).await.0, 200);
    let (status, refused) = deployer.activate(&second).await;
    assert_eq!(status, 409);
    assert!(refused["message"].as_str().unwrap().ends_with("refusing to activate this session, please redeploy"));
    assert_eq!(deployer.server.generation(), first.parse().ok());
    let forced = deployer.call(Method::PUT, &format!("/session/{second}/active?force=true")).await;
    assert_eq!(forced.0, 200, "force passes by the check");
}

#[tokio::test]
async fn two_first_deployments_are_not_told_apart() {
    let deployer = Deployer::start().await;
    let (first, second) = (deployer.session(&["a"]).await, deployer.session(&["b"]).await);
    for session in [&first, &second] {
        assert_eq!(deployer.prepare(session).await.0, 200);
    }
    assert_eq!(deployer.activate(&first).await.0, 200);
    assert_eq!(deployer.activate(&second).await.0, 200, "nothing was active when it was made: no check, as in Vespa");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_10_fifty_edits_at_once_lose_nothing() {
    let deployer = Arc::new(Deployer::start().await);
    deployer.deploy(&["a"]).await;
    let editors: Vec<_> = (0..50)
        .map(|number| {
            let deployer = Arc::clone(&deployer);
            tokio::spawn(async move {
                let mut conflicts = 0;
                loop {
                    let session = deployer.session_from_active().await;
                    assert_eq!(deployer.put_file(&session, &format!("files/{number}.txt"), "kept").await.0, 200);
                    assert_eq!(deployer.prepare(&session).await.0, 200);
                    let answer = deployer.activate(&session).await;
                    if answer.0 == 200 {
                        return conflicts;
                    }
                    assert_eq!(code(&answer), (409, "ACTIVATION_CONFLICT"));
                    conflicts += 1;
                }
            })
        })
        .collect();
    let mut conflicts = 0;
    for editor in editors {
        conflicts += editor.await.unwrap();
    }
    let files = deployer.server.application_files();
    assert_eq!(files.keys().filter(|path| path.starts_with("files/")).count(), 50);
    assert!(conflicts > 0, "fifty editors met no other");
}

#[tokio::test]
async fn the_end_of_the_application() {
    let deployer = Deployer::start().await;
    assert_eq!(code(&deployer.call(Method::DELETE, "/application/default").await), (404, "NOT_FOUND"));
    let before = deployer.deploy(&["a"]).await;
    let (status, gone) = deployer.call(Method::DELETE, "/application/default").await;
    assert!(status == 200 && gone["message"].is_string(), "{status} {gone}");
    assert_eq!(code(&deployer.call(Method::GET, "/application/default").await), (404, "NOT_FOUND"));
    assert_eq!((deployer.server.generation(), deployer.server.application_files().len()), (None, 0));
    let after = deployer.deploy(&["b"]).await;
    assert!(after.parse::<u64>().unwrap() > before.parse::<u64>().unwrap());
}
