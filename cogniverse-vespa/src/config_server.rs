//! The config server's deploy API: reading the active application, and sessions.
//!
//! Vespa's own tenant and application are both "default": a Vespa that one runs oneself has exactly one application.

use crate::{
    client::{Answer, VespaClient},
    error::{Api, quote},
    wire::{ApplicationAnswer, ConvergenceAnswer, PreparedAnswer, SessionAnswer},
};
use bytes::Bytes;
use cogniverse_http::{Method, header::HeaderValue};
use cogniverse_sdk::{Error, ErrorKind, Result, Retry};
use std::time::{Duration, Instant};

const TENANT: &str = "/application/v2/tenant/default";
const INSTANCE: &str =
    "/application/v2/tenant/default/application/default/environment/prod/region/default/instance/default";
/// The longest pause between two looks at convergence.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// The config server, with the time by which a deployment must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConfigServer<'c> {
    client: &'c VespaClient,
    pub(crate) deadline: Instant,
}

impl<'c> ConfigServer<'c> {
    pub(crate) fn new(client: &'c VespaClient, deadline: Instant) -> Self {
        Self { client, deadline }
    }

    async fn read(&self, path: &str) -> Result<Answer> {
        self.client.send(Api::Deploy, self.deadline, &self.client.deployment(Method::GET, path)?).await
    }

    /// Sends once: what a session's call did is found out by reading, never by sending it again.
    async fn write(&self, method: Method, path: &str, body: Option<(&'static str, Bytes)>) -> Result<Answer> {
        let mut request = self.client.deployment(method, path)?;
        if let Some((kind, body)) = body {
            request = request.with_body(HeaderValue::from_static(kind), body);
        }
        self.client.send_once(Api::Deploy, &request, self.left()?).await
    }

    fn left(&self) -> Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::Timeout, "the deployment took longer than its timeout; run it again"));
        }
        Ok(left)
    }

    /// The generation of the active application; none where there is no application.
    pub(crate) async fn generation(&self) -> Result<Option<u64>> {
        let answer = self.read(&format!("{TENANT}/application/default")).await?;
        if answer.is_absence()? {
            return Ok(None);
        }
        Ok(Some(answer.json::<ApplicationAnswer>()?.generation))
    }

    /// A file of the active application; none where it has no such file.
    pub(crate) async fn active_file(&self, path: &str) -> Result<Option<Bytes>> {
        let answer = self.read(&format!("{INSTANCE}/content/{path}")).await?;
        if answer.is_absence()? {
            return Ok(None);
        }
        if answer.is_success() { Ok(Some(answer.body().clone())) } else { Err(answer.error()) }
    }

    /// The paths of every file of the active application.
    pub(crate) async fn active_paths(&self) -> Result<Vec<String>> {
        let root = format!("{INSTANCE}/content/");
        let answer = self.read(&format!("{root}?recursive=true")).await?;
        let addresses: Vec<String> = answer.json()?;
        let path = |address: &String| Some(address.split_once(&root)?.1.to_owned());
        Ok(addresses.iter().filter_map(path).filter(|path| !path.is_empty() && !path.ends_with('/')).collect())
    }

    /// A session with a package.
    pub(crate) async fn session_with(&self, package: Vec<u8>) -> Result<u64> {
        let answer =
            self.write(Method::POST, &format!("{TENANT}/session"), Some(("application/zip", package.into()))).await?;
        session_of(&answer)
    }

    /// A session with a copy of the active application.
    pub(crate) async fn session_from_active(&self) -> Result<u64> {
        // The server matches the address by a pattern that begins with a literal http, whatever it is reached by.
        let address = self.client.config_server().url();
        let host = address.host_str().unwrap_or_default();
        let port = address.port_or_known_default().unwrap_or(19071);
        let from = format!("http://{host}:{port}{INSTANCE}");
        let answer = self.write(Method::POST, &format!("{TENANT}/session?from={from}"), None).await?;
        session_of(&answer)
    }

    pub(crate) async fn put_file(&self, session: u64, path: &str, content: Bytes) -> Result<()> {
        let path = format!("{TENANT}/session/{session}/content/{path}");
        let answer = self.write(Method::PUT, &path, Some(("application/octet-stream", content))).await?;
        expect_success(&answer)
    }

    pub(crate) async fn delete_file(&self, session: u64, path: &str) -> Result<()> {
        let path = format!("{TENANT}/session/{session}/content/{path}");
        expect_success(&self.write(Method::DELETE, &path, None).await?)
    }

    /// Has the server check the session. With `dry_run` it can not be activated afterwards.
    pub(crate) async fn prepare(&self, session: u64, dry_run: bool) -> Result<PreparedAnswer> {
        let seconds = self.left()?.as_secs().max(1);
        let dry_run = if dry_run { "&dryRun=true" } else { "" };
        let path = format!("{TENANT}/session/{session}/prepared?timeout={seconds}{dry_run}");
        self.write(Method::PUT, &path, None).await?.json()
    }

    /// Makes the session the active application, if none was activated since it was made.
    pub(crate) async fn activate(&self, session: u64) -> Result<()> {
        let seconds = self.left()?.as_secs().max(1);
        let path = format!("{TENANT}/session/{session}/active?timeout={seconds}");
        expect_success(&self.write(Method::PUT, &path, None).await?)
    }

    /// Waits until every service runs a generation.
    pub(crate) async fn converged(&self, generation: u64) -> Result<()> {
        let mut pause = Duration::from_millis(20);
        let mut behind;
        loop {
            let answer = self.read(&format!("{INSTANCE}/serviceconverge")).await?;
            match answer.json::<ConvergenceAnswer>() {
                Ok(state) => {
                    let current = u64::try_from(state.current).unwrap_or(0);
                    if state.converged && current >= generation {
                        return Ok(());
                    }
                    behind = describe(&state, generation);
                }
                Err(error) => behind = error.to_string(),
            }
            if self.deadline.saturating_duration_since(Instant::now()) <= pause {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!(
                        "generation {generation} is active and not everywhere in force ({behind}); wait, and run the deployment again"
                    ),
                )
                .with_retry(Retry::After(None)));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }
}

fn session_of(answer: &Answer) -> Result<u64> {
    let session: SessionAnswer = answer.json()?;
    session
        .session
        .parse()
        .map_err(|_| Error::unexpected(format!("the config server calls a session \"{}\"", quote(&session.session))))
}

fn expect_success(answer: &Answer) -> Result<()> {
    if answer.is_success() { Ok(()) } else { Err(answer.error()) }
}

fn describe(state: &ConvergenceAnswer, generation: u64) -> String {
    if let Some(failure) = state.config.as_ref().filter(|failure| !failure.message.is_empty()) {
        return quote(&failure.message);
    }
    let late = |current: i64| u64::try_from(current).map_or(true, |current| current < generation);
    let services: Vec<String> = state
        .services
        .iter()
        .filter(|service| late(service.current))
        .map(|service| format!("{} on {}:{} runs {}", service.kind, service.host, service.port, service.current))
        .collect();
    if services.is_empty() { format!("generation {} is in force", state.current) } else { services.join(", ") }
}
