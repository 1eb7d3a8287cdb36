//! Faults on demand, as a client meets them.

use crate::support::{Deployer, INSTANCE, TENANT, answer, client, client_h2, code, package, zip};
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use vespa_testkit::{Fault, Route};

#[tokio::test]
async fn statuses_come_in_the_shape_of_the_part_they_strike() {
    let deployer = Deployer::start().await;
    let (container, faults) = (deployer.server.url(), deployer.server.faults());
    for status in [429, 503, 504, 507, 500, 412] {
        faults.next(Route::Documents, 1, Fault::Status(status));
        let url = format!("{container}/document/v1/ns/a/docid/1");
        let (got, body) = answer(deployer.client.post(&url).send().await.unwrap()).await;
        assert_eq!((got, &body["pathId"]), (status, &json!("/document/v1/ns/a/docid/1")));
        assert!(body["message"].is_string());
    }
    for (status, expected) in [(429, 429), (503, 10), (504, 12), (507, 19), (400, 3)] {
        faults.next(Route::Search, 1, Fault::Status(status));
        let (got, body) = answer(deployer.client.get(format!("{container}/search/")).send().await.unwrap()).await;
        assert_eq!((got, &body["root"]["errors"][0]["code"]), (status, &json!(expected)));
    }
    for (status, expected) in
        [(500, "INTERNAL_SERVER_ERROR"), (408, "REQUEST_TIMEOUT"), (412, "PRECONDITION_FAILED"), (504, "")]
    {
        faults.next(Route::Application, 1, Fault::Status(status));
        assert_eq!(code(&deployer.call(Method::GET, "/application/default").await), (status, expected));
    }
    faults.next(Route::Documents, 1, Fault::EmptyStatus(503));
    let response = deployer.client.get(format!("{container}/document/v1/")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.bytes().await.unwrap().len()), (503, 0));
}

#[tokio::test]
async fn an_order_is_used_up_taken_back_or_for_ever() {
    let deployer = Deployer::start().await;
    let faults = deployer.server.faults();
    let status = || async { deployer.call(Method::GET, "/application/").await.0 };
    let order = faults.next(Route::Application, 2, Fault::Status(503));
    assert_eq!((status().await, status().await, status().await), (503, 503, 200));
    assert_eq!(faults.left(order), Some(0));
    faults.always(Route::Any, Fault::Status(500));
    assert_eq!((status().await, status().await), (500, 500));
    faults.clear();
    assert_eq!(status().await, 200);
    let path = format!("{TENANT}/application/");
    let order = faults.always(Route::Path(path), Fault::Status(500));
    assert_eq!(status().await, 500);
    faults.remove(order);
    assert_eq!(status().await, 200);
}

#[tokio::test]
async fn an_answer_may_be_slow() {
    let deployer = Deployer::start().await;
    deployer.server.faults().next(Route::Application, 1, Fault::Slow(Duration::from_millis(150)));
    let begun = Instant::now();
    assert_eq!(deployer.call(Method::GET, "/application/").await.0, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_body_may_break_off_in_the_middle() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a"]).await;
    let url = format!("{}{INSTANCE}/content/services.xml", deployer.server.config_url());
    let whole = deployer.server.application_files()["services.xml"].len();
    for client in [client(), client_h2()] {
        deployer.server.faults().next(Route::Content, 1, Fault::Reset);
        let mut response = client.get(&url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut received = 0;
        let broken = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => received += chunk.len(),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken, "the body ended as if it were whole");
        assert_eq!(received, whole / 2);
        assert_eq!(client.get(&url).send().await.unwrap().bytes().await.unwrap().len(), whole, "and then it is whole");
    }
}

#[tokio::test]
async fn an_activation_may_happen_and_its_answer_be_lost() {
    let deployer = Deployer::start().await;
    for (client, expected) in [(client(), 1), (client_h2(), 2)] {
        let session = deployer.session(&["a"]).await;
        assert_eq!(deployer.prepare(&session).await.0, 200);
        deployer.server.faults().next(Route::Activate, 1, Fault::LostAnswer);
        let url = format!("{}{TENANT}/session/{session}/active", deployer.server.config_url());
        assert!(client.put(url).send().await.is_err());
        assert_eq!(deployer.server.generation(), Some(expected));
    }
}

#[tokio::test]
async fn activations_may_be_refused_some_times() {
    let deployer = Deployer::start().await;
    let session = deployer.session(&["a"]).await;
    assert_eq!(deployer.prepare(&session).await.0, 200);
    deployer.server.faults().next(Route::Any, 2, Fault::ActivationConflict);
    for _ in 0..2 {
        assert_eq!(code(&deployer.activate(&session).await), (409, "ACTIVATION_CONFLICT"));
    }
    assert_eq!(deployer.activate(&session).await.0, 200);
}

#[tokio::test]
async fn a_deployment_may_be_prepared_and_not_activated() {
    let deployer = Deployer::start().await;
    deployer.server.faults().next(Route::PrepareAndActivate, 1, Fault::NotActivated);
    let body = zip(&package(&["a"]));
    let (status, answer) = deployer.call_with(Method::POST, "/prepareandactivate", "application/zip", body).await;
    assert_eq!((status, &answer["activated"], deployer.server.generation()), (200, &json!(false), None));
    assert!(answer["message"].as_str().unwrap().contains("activation failed"));
}

#[tokio::test]
async fn the_generation_may_be_stale_and_half_of_the_services_behind() {
    let deployer = Deployer::start().await;
    let faults = deployer.server.faults();
    deployer.deploy(&["a"]).await;
    faults.next(Route::Application, 1, Fault::StaleGeneration);
    let (status, _) = deployer.call(Method::GET, "/application/default").await;
    assert_eq!(status, 404, "there was nothing before the first activation");
    deployer.deploy(&["a", "b"]).await;
    let path = format!("{}/serviceconverge", INSTANCE.strip_prefix(TENANT).unwrap());
    let stale = faults.always(Route::Any, Fault::StaleGeneration);
    assert_eq!(deployer.call(Method::GET, "/application/default").await.1["generation"], 1);
    let (_, state) = deployer.call(Method::GET, &path).await;
    assert_eq!((&state["currentGeneration"], &state["wantedGeneration"]), (&json!(1), &json!(1)));
    faults.remove(stale);
    faults.next(Route::Convergence, 1, Fault::HalfConverged);
    let (_, state) = deployer.call(Method::GET, &path).await;
    assert_eq!(
        (&state["converged"], &state["currentGeneration"], &state["wantedGeneration"]),
        (&json!(false), &json!(1), &json!(2))
    );
    let services = state["services"].as_array().unwrap();
    let behind = services.iter().filter(|service| service["currentGeneration"] == 1).count();
    assert!(behind > 0 && behind < services.len(), "{state}");
    assert_eq!(deployer.call(Method::GET, &path).await.1["converged"], true);
}

#[tokio::test]
async fn fields_may_be_ignored() {
    let deployer = Deployer::start().await;
    deployer.server.faults().next(Route::Documents, 1, Fault::IgnoredFields);
    let url = format!("{}/document/v1/ns/a/docid/1", deployer.server.url());
    let response = deployer.client.get(&url).send().await.unwrap();
    assert_eq!(response.headers()["X-Vespa-Ignored-Fields"], "true");
    let response = deployer.client.get(&url).send().await.unwrap();
    assert!(!response.headers().contains_key("X-Vespa-Ignored-Fields"));
}
