//! Vespa's own container (`../shared/vespa-model/run serve`), with a package that the adapter deployed to the test server:
//! the test server stands for the config server, which is the one part of Vespa that cannot be had here.

#![allow(dead_code, reason = "each test uses its part")]

use bytes::Bytes;
use cogniverse_sdk::{
    DocumentStore, Filter, SchemaStore, TenantSchema, document_store::DeleteRequest, schema_store::DeployRequest,
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::runtime::Runtime;
use vespa_testkit::TestServer;

/// A container that runs until this is dropped, or the test's process ends.
pub(crate) struct Container {
    config: VespaConfig,
    schemas: Vec<TenantSchema>,
    _config_server: TestServer,
    /// The test server's own: it outlives the test that started it.
    runtime: Option<Runtime>,
    package: tempfile::TempDir,
    process: Option<Child>,
}

fn script() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vespa-model/run");
    if let Ok(script) = script.canonicalize() {
        return Some(script);
    }
    assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI has no ../shared/vespa-model");
    eprintln!("skipped: ../shared/vespa-model is not there; the test server answers in place of Vespa's container");
    None
}

impl Container {
    /// Starts with the schemas deployed.
    pub(crate) async fn start(request: DeployRequest) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.spawn(TestServer::start()).await.unwrap().unwrap();
        let config = VespaConfig::new(server.url(), server.config_url());
        let schemas = request.deployments.iter().map(|deployment| deployment.schema.clone()).collect();
        VespaBackend::new(config.clone()).unwrap().deploy(request).await.unwrap();
        let package = tempfile::Builder::new().prefix("app").tempdir().unwrap();
        let files = server.application_files();
        let mut container =
            Self { config, schemas, _config_server: server, runtime: Some(runtime), package, process: None };
        if let Some(script) = script() {
            container.serve(&script, files).await;
        }
        container
    }

    async fn serve(&mut self, script: &Path, files: BTreeMap<String, Bytes>) {
        let package = self.package.path();
        for (path, content) in files {
            let path = package.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The shell ends when this process does, as its input then ends, and takes the container with it.
        let mut process = Command::new("bash")
            .args(["-c", "bash \"$0\" serve \"$1\" \"$2\" & cat >/dev/null; kill $!; wait"])
            .arg(script)
            .arg(package)
            .arg(port.to_string())
            // It writes its logs where it stands.
            .current_dir(package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let ready = tokio::task::spawn_blocking(move || {
            output.lines().map_while(Result::ok).find(|line| line.contains("listening on"))
        });
        let ready = tokio::time::timeout(Duration::from_secs(180), ready).await;
        assert!(matches!(ready, Ok(Ok(Some(_)))), "Vespa's container did not start: {ready:?}");
        self.config.url = format!("http://127.0.0.1:{port}").into();
        self.process = Some(process);
    }

    /// A backend of it.
    pub(crate) fn backend(&self) -> VespaBackend {
        VespaBackend::new(self.config.clone()).unwrap()
    }

    /// Removes every document.
    pub(crate) async fn empty(&self) {
        let backend = self.backend();
        for schema in &self.schemas {
            backend.delete(DeleteRequest::matching(schema.clone(), Filter::All(vec![]))).await.unwrap();
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.stdin.take());
            let _ = process.wait();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
