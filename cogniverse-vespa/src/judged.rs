//! Validation of what this crate writes by Vespa's own code (`../shared/vespa-model`): its schema parser and config model, its YQL
//! parser, its feed parser, its evaluator of rank profiles. Skipped, with the reason, where that is not there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod documents;
mod packages;
mod queries;
mod scores;

use crate::{
    application::{Application, Change, Edit, SystemSchema, first_package},
    config::VespaConfig,
    config_schema, manifest,
    manifest::Manifest,
    overrides, services,
};
use bytes::Bytes;
use cogniverse_core::schemas::{EmbeddedSchemaLoader, Schema, deployment};
use cogniverse_sdk::{
    BaseSchema, SchemaLoader, TenantId, TenantSchema, Timestamp,
    schema_store::{DeployRequest, SchemaDeployment},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One JVM at a time: each takes a gigabyte, and the first fetches Vespa's libraries.
static TURN: Mutex<()> = Mutex::new(());

/// Vespa's code, or nothing where it is not there.
pub(super) struct Judge {
    script: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Judge {
    pub(super) fn find() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vespa-model/run");
        if script.exists() {
            return Some(Self { script, _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner) });
        }
        assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI has no ../shared/vespa-model");
        eprintln!("skipped: ../shared/vespa-model is not there");
        None
    }

    /// Runs a command on lines; one JSON answer for each.
    pub(super) fn run(&self, arguments: &[&str], lines: &str) -> Vec<Value> {
        let mut child = Command::new("bash")
            .arg(&self.script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines = lines.to_owned();
        let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(!answers.is_empty(), "{arguments:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
        answers
    }

    /// What "prepare" says of a package, with the running one where there is one.
    pub(super) fn check(&self, previous: Option<&Package>, package: &Package) -> Value {
        let (folder, before) = (package.written(), previous.map(Package::written));
        let mut arguments = vec!["check"];
        if let Some(before) = &before {
            arguments.extend(["--previous", before.path().to_str().unwrap()]);
        }
        arguments.push(folder.path().to_str().unwrap());
        self.run(&arguments, "").pop().unwrap()
    }
}

/// An application package, as a config server would hold it.
#[derive(Clone)]
pub(super) struct Package {
    pub(super) config: VespaConfig,
    pub(super) files: BTreeMap<String, Bytes>,
}

impl Package {
    pub(super) fn first(config: VespaConfig) -> Self {
        let files = first_package(&config, &Self::system()).unwrap();
        Self { config, files }
    }

    pub(super) fn system() -> SystemSchema {
        config_schema::system_schema()
    }

    /// On one machine, with the schemas deployed.
    pub(super) fn with(deployments: &[(&str, &Arc<BaseSchema>)]) -> Self {
        Self::first(VespaConfig::new("http://a:1", "http://a:2")).deployed(deployments)
    }

    pub(super) fn deployed(&self, deployments: &[(&str, &Arc<BaseSchema>)]) -> Self {
        let request = request(deployments);
        let schemas = deployment::compile_request(&request).unwrap();
        self.changed(&Change::Deploy { request: &request, schemas: &schemas })
    }

    pub(super) fn changed(&self, change: &Change<'_>) -> Self {
        let text = |path: &str| self.files.get(path).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let application = Application {
            services: text(services::PATH).unwrap(),
            manifest: self.files.get(manifest::PATH).map(|bytes| Manifest::parse(bytes).unwrap()),
            overrides: text(overrides::PATH),
        };
        let Edit { puts, deletes, .. } = application.edit(&self.config, change, Timestamp::now()).unwrap();
        let mut files = self.files.clone();
        files.retain(|path, _| !deletes.contains(path));
        files.extend(puts);
        Self { config: self.config.clone(), files }
    }

    pub(super) fn written(&self) -> tempfile::TempDir {
        // Vespa names an application after its folder, and takes no dot.
        let folder = tempfile::Builder::new().prefix("app").tempdir().unwrap();
        for (path, content) in &self.files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }
}

pub(super) fn tenant_schema(tenant: &str, base: &BaseSchema) -> TenantSchema {
    TenantSchema::new(&TenantId::parse(tenant).unwrap(), &base.name)
}

pub(super) fn request(deployments: &[(&str, &Arc<BaseSchema>)]) -> DeployRequest {
    let deployment = |(tenant, definition): &(&str, &Arc<BaseSchema>)| SchemaDeployment {
        schema: tenant_schema(tenant, definition),
        definition: Arc::clone(definition),
    };
    DeployRequest::new(deployments.iter().map(deployment).collect())
}

/// The shipped schemas, and that of the contract suites.
pub(super) async fn definitions() -> Vec<Arc<BaseSchema>> {
    let mut all = vec![cogniverse_sdk::contract::fixture::schema()];
    for name in EmbeddedSchemaLoader.list().await.unwrap() {
        all.push(EmbeddedSchemaLoader.load(&name).await.unwrap());
    }
    all
}

pub(super) async fn compiled() -> Vec<Schema> {
    definitions().await.into_iter().map(|definition| Schema::compile(definition).unwrap()).collect()
}
