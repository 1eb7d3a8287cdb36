//! HTTP/1.1 and HTTP/2 on one port, packed and chunked bodies, bounds, and the end of a server.

use crate::support::{Deployer, TENANT, answer, client, client_h2, gzip, package, zip};
use http::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use vespa_testkit::TestServer;

#[tokio::test]
async fn both_versions_of_http_are_spoken_on_one_port() {
    let server = TestServer::start().await.unwrap();
    for (client, http2) in [(client(), false), (client_h2(), true)] {
        for base in [server.url(), server.config_url()] {
            let response = client.get(format!("{base}/state/v1/health")).send().await.unwrap();
            assert_eq!(response.version() == http::Version::HTTP_2, http2);
            assert!(answer(response).await.1["status"]["code"].is_string());
        }
    }
    let seen: Vec<bool> = server.requests().iter().map(|request| request.http2).collect();
    assert_eq!(seen, [false, false, true, true]);
    server.forget_requests();
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_connection_is_kept_and_bodies_may_be_chunked() {
    let deployer = Deployer::start().await;
    let address = deployer.server.config_url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let package = zip(&package(&["a"]));
    let mut sent = format!(
        "POST {TENANT}/session HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/zip\r\n\
         transfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in package.chunks(100) {
        sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        sent.extend_from_slice(chunk);
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b"0\r\n\r\n");
    sent.extend_from_slice(
        format!("GET {TENANT}/session/1/content/ HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes(),
    );
    stream.write_all(&sent).await.unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).await.unwrap();
    assert_eq!(received.matches("HTTP/1.1 200 OK").count(), 2, "{received}");
    assert!(received.contains("/content/services.xml"), "{received}");
}

#[tokio::test]
async fn packed_bodies_are_unpacked() {
    let deployer = Deployer::start().await;
    let session = deployer.session(&["a"]).await;
    let long = "word ".repeat(1000);
    let put = |body: Vec<u8>, encoding: &'static str| {
        let path = format!("{TENANT}/session/{session}/content/files/long.txt");
        deployer.request(Method::PUT, &path).header("content-encoding", encoding).body(body).send()
    };
    deployer.server.forget_requests();
    assert_eq!(put(gzip(long.as_bytes()), "gzip").await.unwrap().status(), 200);
    let path = format!("{TENANT}/session/{session}/content/files/long.txt");
    let read = deployer.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), long);
    let seen = deployer.server.requests();
    assert_eq!((seen[0].method.clone(), seen[0].path.as_str(), seen[0].body_bytes), (Method::PUT, path.as_str(), 5000));
    assert!(seen[0].wire_bytes < 200, "{}", seen[0].wire_bytes);
    assert_eq!(put(b"no gzip".to_vec(), "gzip").await.unwrap().status(), 400);
    assert_eq!(put(b"x".to_vec(), "br").await.unwrap().status(), 415);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let server = TestServer::start().await.unwrap();
    let url = format!("{}/document/v1/ns/a/docid/1", server.url());
    let large = vec![b' '; (100 << 20) + 1];
    let (status, body) = answer(client().post(&url).body(large).send().await.unwrap()).await;
    assert_eq!((status, &body["pathId"]), (413, &json!("/document/v1/ns/a/docid/1")));
    assert!(body["message"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_go_over_one_connection_at_once() {
    let server = TestServer::start().await.unwrap();
    let client = client_h2();
    let calls: Vec<_> = (0..500)
        .map(|number| tokio::spawn(client.get(format!("{}/state/v1/version?n={number}", server.url())).send()))
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(server.requests().len(), 500);
}

#[tokio::test]
async fn a_server_that_is_dropped_or_stopped_answers_no_more() {
    for dropped in [true, false] {
        let server = TestServer::start().await.unwrap();
        let (url, client) = (format!("{}/state/v1/health", server.url()), client());
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
        if dropped {
            drop(server);
            // The word is out; the tasks hear it when they run.
            while client.get(&url).send().await.is_ok() {}
        } else {
            server.stop().await;
            assert!(client.get(&url).send().await.is_err());
        }
    }
}

#[tokio::test]
async fn health_is_given_on_both_ports() {
    let deployer = Deployer::start().await;
    let get = |base: &str, path: &str| {
        let request = deployer.client.get(format!("{base}{path}"));
        async move { answer(request.send().await.unwrap()).await }
    };
    let (container, config) = (deployer.server.url(), deployer.server.config_url());
    assert_eq!(get(config, "/status.html").await.0, 200);
    assert_eq!(get(container, "/status.html").await.0, 503, "a container without an application");
    assert_eq!(get(container, "/state/v1/health").await.1["status"]["code"], "initializing");
    deployer.deploy(&["a"]).await;
    for base in [container, config] {
        assert_eq!(get(base, "/status.html").await.0, 200);
        assert_eq!(get(base, "/state/v1/health").await.1["status"]["code"], "up");
        assert_eq!(get(base, "/state/v1/config").await.1["config"]["generation"], 1);
        assert!(get(base, "/state/v1/version").await.1["version"].is_string());
    }
    assert_eq!(get(container, "/ApplicationStatus").await.1["application"]["meta"]["generation"], 1);
    let metrics = get(container, "/metrics/v2/values").await.1;
    assert_eq!(metrics["nodes"][0]["services"][1]["name"], "vespa.searchnode");
    let handlers = get(container, "/").await.1;
    let visits = handlers["handlers"].as_array().unwrap().iter().any(|handler| {
        let bindings = handler["serverBindings"].as_array().unwrap();
        handler["class"].as_str().unwrap().ends_with("DocumentV1ApiHandler")
            && bindings.iter().any(|binding| binding.as_str().unwrap().ends_with("/document/v1/*"))
    });
    assert!(visits, "{handlers}");
    assert_eq!(get(container, "/application/v2/tenant/default/application/").await.0, 404, "not the config server");
    assert_eq!(get(config, "/search/").await.0, 404, "not the container");
}
