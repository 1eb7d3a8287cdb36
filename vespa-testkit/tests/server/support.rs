//! A client of the deploy API, and packages for it.

use bytes::Bytes;
use http::Method;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::{collections::BTreeMap, io::Write};
use vespa_testkit::{TestServer, TestServerOptions};

pub(crate) const TENANT: &str = "/application/v2/tenant/default";
pub(crate) const INSTANCE: &str =
    "/application/v2/tenant/default/application/default/environment/prod/region/default/instance/default";

/// A package with these document types, in their order.
pub(crate) fn package(types: &[&str]) -> BTreeMap<String, Bytes> {
    let documents: String = types.iter().map(|name| format!("<document type=\"{name}\" mode=\"index\"/>")).collect();
    let services = format!(
        "<services version=\"1.0\"><container id=\"default\" version=\"1.0\"><search/><document-api/></container>\
         <content id=\"content\" version=\"1.0\"><min-redundancy>1</min-redundancy><documents>{documents}</documents>\
         <nodes><node hostalias=\"node1\" distribution-key=\"0\"/></nodes></content></services>"
    );
    let mut files = BTreeMap::from([("services.xml".to_owned(), Bytes::from(services))]);
    for name in types {
        files.insert(format!("schemas/{name}.sd"), schema(name));
    }
    files
}

/// The smallest schema of a name.
pub(crate) fn schema(name: &str) -> Bytes {
    let lines =
        ["schema NAME {", "document NAME {", "field title type string {", "indexing: summary | index", "}", "}", "}"];
    lines.join("\n").replace("NAME", name).into()
}

pub(crate) fn zip(files: &BTreeMap<String, Bytes>) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, content) in files {
        writer.start_file(path.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn tar_gz(files: &BTreeMap<String, Bytes>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content.as_ref()).unwrap();
    }
    gzip(&builder.into_inner().unwrap())
}

/// A server, and a client of its config server.
pub(crate) struct Deployer {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
}

impl Deployer {
    pub(crate) async fn start() -> Self {
        Self::start_with(TestServerOptions::default()).await
    }

    pub(crate) async fn start_with(options: TestServerOptions) -> Self {
        Self { server: TestServer::start_with(options).await.unwrap(), client: client() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.config_url()))
    }

    /// A path below the tenant: the status and the JSON of the answer.
    pub(crate) async fn call(&self, method: Method, path: &str) -> (u16, Value) {
        answer(self.request(method, &format!("{TENANT}{path}")).send().await.unwrap()).await
    }

    pub(crate) async fn call_with(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self.request(method, &format!("{TENANT}{path}")).header("content-type", kind).body(body);
        answer(request.send().await.unwrap()).await
    }

    pub(crate) async fn put_file(&self, session: &str, path: &str, content: impl Into<Bytes>) -> (u16, Value) {
        let content: Bytes = content.into();
        self.call_with(Method::PUT, &format!("/session/{session}/content/{path}"), "text/plain", content.to_vec()).await
    }

    /// A session with a package: its id.
    pub(crate) async fn session(&self, types: &[&str]) -> String {
        let body = zip(&package(types));
        session_of(self.call_with(Method::POST, "/session", "application/zip", body).await)
    }

    /// A session with a copy of the application: its id.
    pub(crate) async fn session_from_active(&self) -> String {
        let from = format!("/session?from={}{INSTANCE}", self.server.config_url());
        session_of(self.call(Method::POST, &from).await)
    }

    pub(crate) async fn prepare(&self, session: &str) -> (u16, Value) {
        self.call(Method::PUT, &format!("/session/{session}/prepared")).await
    }

    pub(crate) async fn activate(&self, session: &str) -> (u16, Value) {
        self.call(Method::PUT, &format!("/session/{session}/active")).await
    }

    /// A session with a package, made the application.
    pub(crate) async fn deploy(&self, types: &[&str]) -> String {
        let session = self.session(types).await;
        assert_eq!(self.prepare(&session).await.0, 200);
        assert_eq!(self.activate(&session).await.0, 200);
        session
    }
}

pub(crate) fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// HTTP/2 without asking first.
pub(crate) fn client_h2() -> Client {
    Client::builder().no_proxy().http2_prior_knowledge().build().unwrap()
}

pub(crate) async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn session_of((status, body): (u16, Value)) -> String {
    assert_eq!(status, StatusCode::OK, "{body}");
    body["session-id"].as_str().expect("a session's id is a string").to_owned()
}

pub(crate) fn code((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["error-code"].as_str().unwrap_or_default())
}
