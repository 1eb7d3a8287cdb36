//! The probes of a Vespa application.

use crate::{backend::VespaBackend, client::VespaClient, error::Api};
use async_trait::async_trait;
use cogniverse_http::Method;
use cogniverse_sdk::{Error, ErrorCode, HealthProbe, Result, Retry};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// The time that one question may take.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct State {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    code: String,
}

/// Asks a server of Vespa for its own view of its health.
#[derive(Debug)]
struct VespaProbe {
    client: Arc<VespaClient>,
    api: Api,
}

impl VespaBackend {
    /// Returns the probes of the container, and of the config server, without which searches and feeds go on.
    #[must_use]
    pub fn probes(&self) -> Vec<Arc<dyn HealthProbe>> {
        let probe = |api| Arc::new(VespaProbe { client: Arc::clone(self.client()), api }) as Arc<dyn HealthProbe>;
        vec![probe(Api::Document), probe(Api::Deploy)]
    }
}

#[async_trait]
impl HealthProbe for VespaProbe {
    fn name(&self) -> &str {
        if self.is_required() { "vespa" } else { "vespa config server" }
    }

    fn is_required(&self) -> bool {
        !matches!(self.api, Api::Deploy)
    }

    async fn probe(&self) -> Result<String> {
        let request = match self.is_required() {
            true => self.client.document(Method::GET, "/state/v1/health"),
            false => self.client.deployment(Method::GET, "/state/v1/health"),
        }?;
        let state: State = self.client.send_once(self.api, &request, LIMIT).await?.json()?;
        match state.status.code.as_str() {
            "up" => Ok(String::new()),
            other => Err(Error::of(
                ErrorCode::BackendUnavailable,
                format!("Vespa says that it is \"{}\"", crate::error::quote(other)),
            )
            .with_retry(Retry::After(None))),
        }
    }
}
