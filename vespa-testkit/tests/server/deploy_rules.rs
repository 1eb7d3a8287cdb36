//! The rules of the deploy API, each as a row: packages, content, errors, convergence.

use crate::support::{Deployer, INSTANCE, TENANT, code, package, tar_gz, zip};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use vespa_testkit::TestServerOptions;

fn form(parameters: &str, kind: &str, content: &[u8]) -> Vec<u8> {
    let mut body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"prepareParams\"\r\nContent-Type: application/json\r\n\r\n\
         {parameters}\r\n--edge\r\nContent-Disposition: form-data; name=\"applicationPackage\"; filename=\"a.zip\"\r\n\
         Content-Type: {kind}\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    body
}

#[tokio::test]
async fn packages_come_as_zip_as_tar_and_in_a_form() {
    let deployer = Deployer::start().await;
    let files = package(&["a"]);
    let nested: BTreeMap<String, Bytes> =
        files.iter().map(|(path, content)| (format!("application/{path}"), content.clone())).collect();
    let rows = [
        ("application/zip", zip(&files)),
        ("application/x-gzip", tar_gz(&files)),
        ("multipart/form-data; boundary=edge", form("{}", "application/zip", &zip(&files))),
        ("multipart/form-data; boundary=\"edge\"", form("{}", "application/x-gzip", &tar_gz(&files))),
        ("application/zip", zip(&nested)),
    ];
    for (index, (kind, body)) in rows.into_iter().enumerate() {
        let (status, answer) = deployer.call_with(Method::POST, "/prepareandactivate", kind, body).await;
        assert_eq!((status, &answer["activated"]), (200, &json!(true)), "row {index}: {answer}");
        assert_eq!(answer["session-id"], json!((index + 1).to_string()));
        assert!(answer["log"].is_array() && answer["url"].is_string() && answer["message"].is_string());
        assert!(answer["configChangeActions"]["restart"].is_array());
        assert_eq!(deployer.server.application_files(), files, "row {index}");
    }
    let generation = deployer.server.generation();
    let dry = form("{\"dryRun\": true}", "application/zip", &zip(&files));
    let (_, answer) =
        deployer.call_with(Method::POST, "/prepareandactivate", "multipart/form-data; boundary=edge", dry).await;
    assert_eq!((&answer["activated"], deployer.server.generation()), (&json!(false), generation));
}

#[tokio::test]
async fn bad_packages_are_refused() {
    let deployer = Deployer::start().await;
    let files = package(&["a"]);
    let outside = BTreeMap::from([("../services.xml".to_owned(), Bytes::from("x"))]);
    let rows: [(&str, Vec<u8>, &str); 8] = [
        ("application/octet-stream", zip(&files), "BAD_REQUEST"),
        ("application/gzip", tar_gz(&files), "BAD_REQUEST"),
        ("application/zip", Vec::new(), "BAD_REQUEST"),
        ("application/zip", b"no zip".to_vec(), "BAD_REQUEST"),
        ("application/x-gzip", zip(&files), "BAD_REQUEST"),
        ("multipart/form-data", form("{}", "application/zip", &zip(&files)), "BAD_REQUEST"),
        ("multipart/form-data; boundary=edge", form("[", "application/zip", &zip(&files)), "BAD_REQUEST"),
        ("application/zip", zip(&outside), "INVALID_APPLICATION_PACKAGE"),
    ];
    for (index, (kind, body, expected)) in rows.into_iter().enumerate() {
        for path in ["/session", "/prepareandactivate"] {
            let answer = deployer.call_with(Method::POST, path, kind, body.clone()).await;
            assert_eq!(code(&answer), (400, expected), "row {index} {path}: {}", answer.1);
        }
    }
    let untyped = deployer.request(Method::POST, &format!("{TENANT}/session")).body(zip(&files));
    assert_eq!(untyped.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_session_from_the_application_takes_its_address_by_a_pattern() {
    let deployer = Deployer::start().await;
    let own = format!("{}{INSTANCE}", deployer.server.config_url());
    let from = |address: &str| format!("/session?from={address}");
    assert_eq!(code(&deployer.call(Method::POST, &from(&own)).await), (404, "NOT_FOUND"), "nothing is active");
    deployer.deploy(&["a"]).await;
    let elsewhere = own.replace("tenant/default/", "tenant/other/");
    let rows = [
        (own.clone(), 200, ""),
        (own.replace("127.0.0.1", "vespa.example"), 200, ""),
        (own.replace("http://", "https://"), 400, "BAD_REQUEST"),
        (own.replace("/instance/default", ""), 400, "BAD_REQUEST"),
        (String::new(), 400, "BAD_REQUEST"),
        (elsewhere, 404, "NOT_FOUND"),
    ];
    for (address, status, expected) in rows {
        assert_eq!(code(&deployer.call(Method::POST, &from(&address)).await), (status, expected), "{address}");
    }
}

#[tokio::test]
async fn content_is_a_tree_of_folders() {
    let deployer = Deployer::start().await;
    let mut files = package(&["a"]);
    files.insert(".applicationMetaData".to_owned(), "hidden".into());
    files.insert("searchdefinitions/b.sd".to_owned(), "schema b".into());
    files.insert("files/deep/x.txt".to_owned(), "x".into());
    let (_, made) = deployer.call_with(Method::POST, "/session", "application/zip", zip(&files)).await;
    let session = made["session-id"].as_str().unwrap();
    let content = made["content"].as_str().unwrap();
    let urls = |paths: &[&str]| -> Value { paths.iter().map(|path| format!("{content}{path}")).collect() };
    let get = |path: &str| {
        let path = format!("/session/{session}/content{path}");
        let deployer = &deployer;
        async move { deployer.call(Method::GET, &path).await }
    };
    let top = urls(&["files/", "schemas/", "services.xml"]);
    let all = ["files/", "files/deep/", "files/deep/x.txt", "schemas/", "schemas/a.sd", "schemas/b.sd", "services.xml"];
    let rows = [
        ("/", top.clone()),
        ("", top),
        ("/?recursive=true", urls(&all)),
        ("/schemas/", urls(&["schemas/a.sd", "schemas/b.sd"])),
        ("/schemas", urls(&["schemas/"])),
        ("/files/", urls(&["files/deep/"])),
    ];
    for (path, expected) in rows {
        assert_eq!(get(path).await, (200, expected), "{path}");
    }
    let raw = deployer.request(Method::GET, &format!("{TENANT}/session/{session}/content/schemas/b.sd"));
    assert_eq!(raw.send().await.unwrap().text().await.unwrap(), "schema b");
    assert_eq!(code(&get("/searchdefinitions/").await), (404, "NOT_FOUND"), "moved");
    assert_eq!(code(&get("/nosuch").await), (404, "NOT_FOUND"));

    let change = |method: Method, path: &str, body: &'static str| {
        let path = format!("/session/{session}/content/{path}");
        let deployer = &deployer;
        async move { deployer.call_with(method, &path, "text/plain", body.into()).await }
    };
    let prepared =
        (200, json!({"prepared": format!("{}{TENANT}/session/{session}/prepared", deployer.server.config_url())}));
    let rows = [
        (Method::PUT, "new/folders/above/f%20%2B%C3%BC.txt", "1", 200),
        (Method::PUT, "schemas/b.sd", "changed", 200),
        (Method::PUT, "empty/", "", 200),
        (Method::PUT, "files/nothing.txt", "", 400),
        (Method::PUT, "schemas", "a folder", 400),
        (Method::PUT, "services.xml/", "", 400),
        (Method::PUT, "services.xml/below", "a file above", 400),
        (Method::PUT, "a/..%2F..%2Fb", "outside", 400),
        (Method::DELETE, "schemas/", "", 400),
        (Method::DELETE, "files/deep/x.txt", "", 200),
        (Method::DELETE, "files/deep/", "", 200),
        (Method::DELETE, "files/deep/", "", 404),
        (Method::DELETE, "files/nosuch", "", 404),
        (Method::POST, "files/x", "x", 405),
    ];
    for (method, path, body, status) in rows {
        let answer = change(method.clone(), path, body).await;
        assert_eq!(answer.0, status, "{method} {path}: {}", answer.1);
        if status == 200 {
            assert_eq!(answer, prepared);
        }
    }
    assert_eq!(get("/new/folders/above/").await.1, urls(&["new/folders/above/f%20+%C3%BC.txt"]));
    assert_eq!(get("/empty/").await, (200, json!([])));
    assert_eq!(get("/files/").await, (200, json!([])), "a folder stays when what it held is gone");
}

#[tokio::test]
async fn status_tells_new_changed_and_deleted() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a", "b"]).await;
    let session = deployer.session_from_active().await;
    assert_eq!(deployer.put_file(&session, "schemas/a.sd", "abc").await.0, 200);
    assert_eq!(deployer.put_file(&session, "schemas/c.sd", "abc").await.0, 200);
    assert_eq!(deployer.call(Method::DELETE, &format!("/session/{session}/content/schemas/b.sd")).await.0, 200);
    let abc = "900150983cd24fb0d6963f7d28e17f72";
    let rows = [("a", "changed", abc), ("c", "new", abc), ("b", "deleted", "")];
    for (name, status, md5) in rows {
        let path = format!("/session/{session}/content/schemas/{name}.sd?return=status");
        let (_, answer) = deployer.call(Method::GET, &path).await;
        assert_eq!((&answer["status"], &answer["md5"]), (&json!(status), &json!(md5)), "{name}");
        assert!(answer["name"].as_str().unwrap().ends_with(&format!("/content/schemas/{name}.sd")));
    }
    let (_, listed) = deployer.call(Method::GET, &format!("/session/{session}/content/schemas/?return=status")).await;
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
}

#[tokio::test]
async fn the_application_can_be_read_and_not_written() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a"]).await;
    let content = format!("{}/content", INSTANCE.strip_prefix(TENANT).unwrap());
    let base = format!("{}{INSTANCE}/content/", deployer.server.config_url());
    for path in [content.clone(), format!("{content}/")] {
        let listed = deployer.call(Method::GET, &path).await;
        assert_eq!(listed, (200, json!([format!("{base}schemas/"), format!("{base}services.xml")])));
    }
    let elsewhere = content.replace("/prod/", "/dev/").replace("/region/default/", "/region/r/");
    assert_eq!(deployer.call(Method::GET, &elsewhere).await.0, 200, "environment and region are whatever they are");
    let written = deployer.call_with(Method::PUT, &format!("{content}/x"), "text/plain", b"x".to_vec()).await;
    assert_eq!(code(&written), (405, "METHOD_NOT_ALLOWED"));
}

#[tokio::test]
async fn errors_have_a_code_and_a_message() {
    let deployer = Deployer::start().await;
    let session = deployer.session(&["a"]).await;
    let rows = [
        (Method::GET, "/session".to_owned(), 405, "METHOD_NOT_ALLOWED"),
        (Method::DELETE, "/prepareandactivate".to_owned(), 405, "METHOD_NOT_ALLOWED"),
        (Method::POST, format!("/session/{session}/prepared"), 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, format!("/session/{session}/active"), 405, "METHOD_NOT_ALLOWED"),
        (Method::POST, "/application/default".to_owned(), 405, "METHOD_NOT_ALLOWED"),
        (Method::PUT, "/session/999/prepared".to_owned(), 404, "NOT_FOUND"),
        (Method::PUT, "/session/999/active".to_owned(), 404, "NOT_FOUND"),
        (Method::GET, "/session/999/content/".to_owned(), 404, "NOT_FOUND"),
        (Method::PUT, "/session/seven/active".to_owned(), 400, "BAD_REQUEST"),
        (Method::GET, "/application/other".to_owned(), 404, "NOT_FOUND"),
        (Method::GET, "/nosuch".to_owned(), 404, "NOT_FOUND"),
        (Method::PUT, format!("/session/{session}/prepared?applicationName=other"), 404, "NOT_FOUND"),
        (Method::GET, format!("{}/serviceconverge", INSTANCE.strip_prefix(TENANT).unwrap()), 404, "NOT_FOUND"),
    ];
    for (method, path, status, expected) in rows {
        let answer = deployer.call(method.clone(), &path).await;
        assert_eq!(code(&answer), (status, expected), "{method} {path}");
        assert!(answer.1["message"].is_string());
    }
    let stranger = deployer.request(Method::GET, "/application/v2/tenant/acme/application/").send().await.unwrap();
    assert_eq!(stranger.headers()["content-type"], "application/json");
    assert_eq!(code(&crate::support::answer(stranger).await), (404, "NOT_FOUND"), "Vespa's tenants are not ours");
}

#[tokio::test]
async fn convergence_names_every_service() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a"]).await;
    let path = format!("{}/serviceconverge", INSTANCE.strip_prefix(TENANT).unwrap());
    let (_, state) = deployer.call(Method::GET, &path).await;
    assert_eq!(
        (&state["converged"], &state["currentGeneration"], &state["wantedGeneration"]),
        (&json!(true), &json!(1), &json!(1))
    );
    let services = state["services"].as_array().unwrap();
    for kind in ["container", "container-clustercontroller", "distributor", "storagenode", "searchnode"] {
        assert!(services.iter().any(|service| service["type"] == kind), "{kind}");
    }
    let container = services.iter().find(|service| service["type"] == "container").unwrap();
    assert_eq!((&container["clusterName"], &container["currentGeneration"]), (&json!("default"), &json!(1)));
    assert!(deployer.server.url().ends_with(&format!(":{}", container["port"])), "the container's real port");
    let single = deployer.client.get(container["url"].as_str().unwrap()).send().await.unwrap();
    let (status, single) = crate::support::answer(single).await;
    assert_eq!((status, &single["converged"], &single["currentGeneration"]), (200, &json!(true), &json!(1)));
    let (status, gone) = deployer.call(Method::GET, &format!("{path}/localhost:1")).await;
    assert!(status == 410 && gone["problem"].is_string(), "{status} {gone}");
}

#[tokio::test]
async fn the_container_takes_a_package_over_later() {
    let hour = TestServerOptions::default().with_convergence_delay(Duration::from_secs(3600));
    let deployer = Deployer::start_with(hour).await;
    deployer.deploy(&["a"]).await;
    let path = format!("{}/serviceconverge", INSTANCE.strip_prefix(TENANT).unwrap());
    let (_, state) = deployer.call(Method::GET, &path).await;
    assert_eq!(
        (&state["converged"], &state["currentGeneration"], &state["wantedGeneration"]),
        (&json!(false), &json!(-1), &json!(1))
    );
    assert_eq!(
        deployer.call(Method::GET, "/application/default").await.1["generation"],
        json!(1),
        "it is active all the same"
    );

    let soon = TestServerOptions::default().with_convergence_delay(Duration::from_millis(20));
    let deployer = Deployer::start_with(soon).await;
    deployer.deploy(&["a"]).await;
    while deployer.call(Method::GET, &path).await.1["converged"] != true {}
    let config = deployer.client.get(format!("{}/state/v1/config", deployer.server.url())).send().await.unwrap();
    assert_eq!(crate::support::answer(config).await.1["config"]["generation"], json!(1));
}

#[tokio::test]
async fn reindexing_is_asked_for_by_cluster_and_type() {
    let deployer = Deployer::start().await;
    deployer.deploy(&["a", "b"]).await;
    let instance = INSTANCE.strip_prefix(TENANT).unwrap();
    let (_, state) = deployer.call(Method::GET, &format!("{instance}/reindexing")).await;
    assert_eq!(state, json!({"enabled": true, "clusters": {"content": {"pending": {}, "ready": {}}}}));
    let rows = [
        ("reindex?clusterId=content&documentType=a&speed=2&cause=stemming", 200),
        ("reindex?clusterId=nosuch", 400),
        ("reindex?documentType=nosuch", 400),
        ("reindex?speed=fast", 400),
    ];
    for (path, status) in rows {
        assert_eq!(deployer.call(Method::POST, &format!("{instance}/{path}")).await.0, status, "{path}");
    }
    assert_eq!(deployer.call(Method::DELETE, &format!("{instance}/reindexing")).await.0, 200);
    let (_, state) = deployer.call(Method::GET, &format!("{instance}/reindexing")).await;
    let ready = &state["clusters"]["content"]["ready"];
    assert_eq!((&state["enabled"], ready.as_object().unwrap().len()), (&json!(false), 1));
    assert_eq!(
        (&ready["a"]["cause"], &ready["a"]["speed"], &ready["a"]["state"]),
        (&json!("stemming"), &json!(2.0), &json!("successful"))
    );
}
