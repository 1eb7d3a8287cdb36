//! Deploying by compare-and-set over the config server's sessions.
//!
//! A session copies the active application; the generation is read before and after the copy, so that what was read is what
//! was copied; activation is refused by the server where another session was activated since. On a conflict everything is
//! read again. So a deployment never takes back what another one did in between ([invariant 10](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#10)), whether it ran in this
//! process or in another. What a call of a session did is found out by reading, as an answer may be lost.

use crate::{
    application::{Application, Change, Edit, SystemSchema, first_package, path_of, zip},
    client::{VespaClient, jittered},
    config_server::ConfigServer,
    document_path::{escape, type_path},
    error::Api,
    manifest,
    manifest::Manifest,
    overrides, services,
    wire::{LogEntry, PreparedAnswer},
};
use cogniverse_http::Method;
use cogniverse_sdk::{Clock, Error, ErrorCode, ErrorKind, Result, Retry, deadline_in};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often a deployment begins anew because another one came first.
const ATTEMPTS: u32 = 50;
/// The longest pause before it begins anew.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// The one place that changes the application.
#[derive(Debug)]
pub(crate) struct Deployer {
    client: Arc<VespaClient>,
    clock: Arc<dyn Clock>,
    system: SystemSchema,
    /// Within a process deployments take turns: they would only meet as conflicts.
    turn: tokio::sync::Mutex<()>,
}

impl Deployer {
    pub(crate) fn new(client: Arc<VespaClient>, clock: Arc<dyn Clock>, system: SystemSchema) -> Self {
        Self { client, clock, system, turn: tokio::sync::Mutex::new(()) }
    }

    fn server(&self) -> ConfigServer<'_> {
        ConfigServer::new(&self.client, deadline_in(self.client.config.deploy_timeout))
    }

    /// The active application with its generation; none where nothing was ever deployed.
    async fn active(server: &ConfigServer<'_>) -> Result<Option<(u64, Application)>> {
        loop {
            let Some(generation) = server.generation().await? else { return Ok(None) };
            let services = server.active_file(services::PATH).await?;
            let manifest = server.active_file(manifest::PATH).await?;
            let overrides = server.active_file(overrides::PATH).await?;
            // Files are read one by one: they belong together only if nothing was activated meanwhile.
            if server.generation().await? != Some(generation) {
                continue;
            }
            let services = services.ok_or_else(|| {
                Error::new(ErrorKind::Corrupt, format!("the active application has no {}", services::PATH))
            })?;
            let application = Application {
                services: text(services, services::PATH)?,
                manifest: manifest.map(|bytes| Manifest::parse(&bytes)).transpose()?,
                overrides: overrides.map(|bytes| text(bytes, overrides::PATH)).transpose()?,
            };
            return Ok(Some((generation, application)));
        }
    }

    /// What this library has deployed, with the generation that says so. Reads nothing else.
    pub(crate) async fn manifest(&self, known: Option<u64>) -> Result<Option<(u64, Manifest)>> {
        let server = ConfigServer::new(&self.client, deadline_in(self.client.config.timeout));
        loop {
            let Some(generation) = server.generation().await? else { return Ok(Some((0, Manifest::default()))) };
            if known == Some(generation) {
                return Ok(None);
            }
            let bytes = server.active_file(manifest::PATH).await?;
            if server.generation().await? == Some(generation) {
                let manifest = bytes.map(|bytes| Manifest::parse(&bytes)).transpose()?.unwrap_or_default();
                return Ok(Some((generation, manifest)));
            }
        }
    }

    /// The application as it is, or as a first deployment would make it.
    pub(crate) async fn current(&self) -> Result<Application> {
        match Self::active(&self.server()).await? {
            Some((_, application)) => Ok(application),
            None => first_application(&self.client.config, &self.system),
        }
    }

    /// Every file of the application as a change would make it.
    pub(crate) async fn package(&self, change: &Change<'_>) -> Result<BTreeMap<String, Vec<u8>>> {
        let (config, server) = (&self.client.config, self.server());
        let (mut files, application) = loop {
            let Some((generation, application)) = Self::active(&server).await? else {
                break (first_package(config, &self.system)?, first_application(config, &self.system)?);
            };
            let mut files = BTreeMap::new();
            for path in server.active_paths().await? {
                if let Some(content) = server.active_file(&path).await? {
                    files.insert(path, content);
                }
            }
            if server.generation().await? == Some(generation) {
                break (files, application);
            }
        };
        let Edit { puts, deletes, .. } = application.edit(config, change, self.clock.now())?;
        files.retain(|path, _| !deletes.contains(path));
        files.extend(puts);
        Ok(files.into_iter().map(|(path, content)| (path, content.to_vec())).collect())
    }

    /// Sees to it that the system's own schema is there and in force.
    pub(crate) async fn ensure_system(&self) -> Result<()> {
        let known = self.manifest(None).await?.map(|(_, manifest)| manifest);
        let hash = manifest::hash(self.system.text.as_bytes());
        if known.is_some_and(|known| known.system.get(self.system.name) == Some(&hash)) {
            return Ok(());
        }
        self.apply(&Change::System(&self.system)).await.map(|_| ())
    }

    /// Applies a change, and returns when it is in force everywhere: the application as it was before.
    pub(crate) async fn apply(&self, change: &Change<'_>) -> Result<Application> {
        // Waiting for the turn counts: a caller is answered within the deployment's timeout.
        let server = self.server();
        let turn = tokio::time::timeout_at(server.deadline.into(), self.turn.lock()).await;
        let _turn = turn.map_err(|_| {
            Error::new(ErrorKind::Timeout, "deployments before this one took all of its time; run it again")
                .with_retry(Retry::After(None))
        })?;
        let mut pause = Duration::from_millis(20);
        let mut last = None;
        // The application before an activation whose answer was lost: the next pass may find the change done.
        let mut sent: Option<Application> = None;
        for _ in 0..ATTEMPTS {
            match self.attempt(&server, change, &mut sent).await {
                Ok(Some(before)) => return Ok(sent.unwrap_or(before)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound && matches!(change, Change::Drop(_)) => {
                    return sent.ok_or(error);
                }
                Err(error) if error.is_retryable() && error.operation() != CONVERGENCE => {
                    tracing::info!(error = %error.chain(), "retrying the deployment");
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
            if server.deadline.saturating_duration_since(Instant::now()) <= pause {
                break;
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        let error = Error::of(
            ErrorCode::DeploymentConflict,
            "other deployments came first every time; nothing was changed by this one; run it again",
        )
        .with_retry(Retry::Exhausted);
        Err(match last {
            Some(last) if last.kind() != ErrorKind::Conflict => last.with_retry(Retry::Exhausted),
            Some(last) => error.with_source(last),
            None => error,
        })
    }

    /// One pass; `None` where another writer came first and everything must be read again.
    async fn attempt(
        &self,
        server: &ConfigServer<'_>,
        change: &Change<'_>,
        sent: &mut Option<Application>,
    ) -> Result<Option<Application>> {
        let Some((generation, before)) = Self::active(server).await? else {
            self.begin(server).await?;
            return Ok(None);
        };
        let config = &self.client.config;
        let edit = before.edit(config, change, self.clock.now())?;
        // Taking a permission out changes nothing that runs.
        let waits = !matches!(change, Change::Tidy);
        if edit.is_empty() {
            if waits {
                in_force(server.converged(generation).await)?;
            }
            return Ok(Some(before));
        }
        self.check_budget(&edit)?;
        let Some(session) = Self::edited_session(server, generation, &edit).await? else { return Ok(None) };
        let prepared = match server.prepare(session, false).await {
            Ok(prepared) => prepared,
            // The check compares with whatever is active by now: where that is another application, its schemas seem to be
            // removed by this one. That is a conflict, and no fault of the package.
            Err(error) if server.generation().await? != Some(generation) => {
                tracing::debug!(error = %error.chain(), "another deployment came first");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        say(&prepared);
        if let Err(error) = server.activate(session).await {
            if error.kind() != ErrorKind::Conflict {
                sent.get_or_insert(before);
            }
            return Err(error);
        }
        if waits {
            in_force(server.converged(session).await)?;
        }
        for name in &edit.added {
            in_force(self.probe(server, name).await)?;
        }
        Ok(Some(before))
    }

    /// A session of this generation with the edit; `None` where the generation is not the active one any more.
    async fn edited_session(server: &ConfigServer<'_>, generation: u64, edit: &Edit) -> Result<Option<u64>> {
        let session = server.session_from_active().await?;
        if server.generation().await? != Some(generation) {
            return Ok(None);
        }
        for (path, content) in &edit.puts {
            server.put_file(session, path, content.clone()).await?;
        }
        for path in &edit.deletes {
            server.delete_file(session, path).await?;
        }
        Ok(Some(session))
    }

    /// What Vespa's own check says of a change. Nothing is activated; the session expires by itself.
    pub(crate) async fn rehearse(&self, change: &Change<'_>) -> Result<(Application, Edit, PreparedAnswer)> {
        let server = self.server();
        for _ in 0..ATTEMPTS {
            let Some((generation, before)) = Self::active(&server).await? else {
                let first = first_application(&self.client.config, &self.system)?;
                let edit = first.edit(&self.client.config, change, self.clock.now())?;
                self.check_budget(&edit)?;
                let mut files = first_package(&self.client.config, &self.system)?;
                files.extend(edit.puts.clone());
                let session = server.session_with(zip(&files)?).await?;
                return Ok((first, edit, server.prepare(session, true).await?));
            };
            let edit = before.edit(&self.client.config, change, self.clock.now())?;
            self.check_budget(&edit)?;
            if edit.is_empty() {
                return Ok((before, edit, PreparedAnswer::default()));
            }
            if let Some(session) = Self::edited_session(&server, generation, &edit).await? {
                match server.prepare(session, true).await {
                    Err(_) if server.generation().await? != Some(generation) => {}
                    prepared => return Ok((before, edit, prepared?)),
                }
            }
        }
        Err(Error::of(ErrorCode::DeploymentConflict, "deployments by others never paused; try again")
            .with_retry(Retry::After(None)))
    }

    /// The first deployment: without any tenant, as the server protects the changes of an application, and not its first.
    async fn begin(&self, server: &ConfigServer<'_>) -> Result<()> {
        let package = zip(&first_package(&self.client.config, &self.system)?)?;
        let session = server.session_with(package).await?;
        if server.generation().await?.is_some() {
            return Ok(());
        }
        match server.prepare(session, false).await {
            Ok(prepared) => say(&prepared),
            Err(_) if server.generation().await?.is_some() => return Ok(()),
            Err(error) => return Err(error),
        }
        match server.activate(session).await {
            // Another's first deployment was the same as this one.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other,
        }
    }

    fn check_budget(&self, edit: &Edit) -> Result<()> {
        let config = &self.client.config;
        if edit.added.is_empty() {
            return Ok(());
        }
        if edit.types > config.max_schemas {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!(
                    "the application would hold {} schemas and the limit is {}; drop schemas that nobody uses, give these tenants a Vespa of their own, or raise the limit by with_schema_budget",
                    edit.types, config.max_schemas
                ),
            ));
        }
        if edit.types >= config.warn_schemas {
            tracing::warn!(
                schemas = edit.types,
                limit = config.max_schemas,
                "the application nears its limit of schemas"
            );
        }
        Ok(())
    }

    /// Waits until the container takes documents of a type and searches it.
    async fn probe(&self, server: &ConfigServer<'_>, name: &str) -> Result<()> {
        let config = &self.client.config;
        let document = type_path(&config.namespace, name, "cogniverse-probe");
        let query = format!("select * from {name} where false");
        let search =
            format!("/search/?yql={}&model.restrict={name}&ranking=unranked&hits=0&timeout=5s", escape(&query));
        let document = self.client.document(Method::GET, &document)?;
        let search = self.client.document(Method::GET, &search)?;
        let mut pause = Duration::from_millis(20);
        loop {
            let calls = self.client.config.timeout.min(server.deadline.saturating_duration_since(Instant::now()));
            let fed = self.client.send_once(Api::Document, &document, calls).await;
            let searched = self.client.send_once(Api::Search, &search, calls).await;
            let missing = match (fed, searched) {
                (Ok(fed), Ok(searched)) => match fed.is_absence() {
                    Ok(absent) if absent || fed.is_success() => {
                        if searched.is_success() {
                            return Ok(());
                        }
                        searched.error()
                    }
                    Ok(_) => fed.error(),
                    Err(error) => error,
                },
                (Err(error), _) | (_, Err(error)) => error,
            };
            if server.deadline.saturating_duration_since(Instant::now()) <= pause {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("schema \"{name}\" is deployed, and the container does not serve it yet; wait, and run the deployment again"),
                )
                .with_source(missing));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

/// Marks errors after which the application is already changed: beginning anew would hide them.
const CONVERGENCE: &str = "convergence";

fn in_force(result: Result<()>) -> Result<()> {
    result.map_err(|error| error.with_operation(CONVERGENCE))
}

pub(crate) fn first_application(config: &crate::config::VespaConfig, system: &SystemSchema) -> Result<Application> {
    let files = first_package(config, system)?;
    let file =
        |path: &str| files.get(path).cloned().ok_or_else(|| Error::unexpected(format!("the package lacks {path}")));
    debug_assert!(files.contains_key(&path_of(system.name)));
    Ok(Application {
        services: text(file(services::PATH)?, services::PATH)?,
        manifest: Some(Manifest::parse(&file(manifest::PATH)?)?),
        overrides: None,
    })
}

fn text(bytes: bytes::Bytes, path: &str) -> Result<String> {
    String::from_utf8(bytes.into()).map_err(|e| {
        Error::new(ErrorKind::Corrupt, format!("{path} of the active application is no UTF-8")).with_source(e)
    })
}

/// Passes the server's warnings on.
fn say(prepared: &PreparedAnswer) {
    for LogEntry { level, message } in
        prepared.log.iter().filter(|entry| entry.level == "WARNING" || entry.level == "SEVERE")
    {
        tracing::warn!(level = %level, "Vespa: {message}");
    }
}
