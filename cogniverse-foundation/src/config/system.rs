//! Models and addresses of a tenant.

use super::address::{check_url, check_url_without_port};
use super::field_use::FieldUse;
use super::section::{ConfigSection, sealed::Sealed};
use super::template::Template;
use cogniverse_sdk::config_store::{ConfigScope, versioning::check_depth};
use cogniverse_sdk::{Error, Result, TenantId};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The models and addresses of a tenant. A tenant exists, for configuration, once it has this section.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SystemConfig {
    /// The tenant. Required.
    pub tenant_id: TenantId,
    /// The language model of the tenant, as `provider/model` (default `ollama/gemma3:4b`).
    ///
    /// A value set for the tenant is used or is an error. A value from the default or a template is used where the
    /// service has the provider; otherwise the service's own model is used.
    #[serde(default = "llm_model")]
    pub llm_model: String,
    /// The address of the language model server. The default, `http://localhost:11434`, means the provider's own
    /// address; any other is accepted only where the service allows its origin
    /// ([`AllowedOrigins`](super::origin::AllowedOrigins)).
    #[serde(default = "base_url")]
    pub base_url: String,
    /// The host of the search backend, without its port (default `http://localhost`). One backend serves all tenants,
    /// so other values are refused.
    #[serde(default = "backend_url")]
    pub backend_url: String,
    /// The port of the search backend (default 8080). Other values are refused, as for `backend_url`.
    #[serde(default = "backend_port")]
    pub backend_port: u16,
    /// The address of the trace viewer (default `http://localhost:6006`). One trace store serves all tenants, so
    /// other values are refused.
    #[serde(default = "telemetry_url")]
    pub telemetry_url: String,
    /// Additional data of the application about the tenant (default empty). It is exported and kept in history: store
    /// no secrets in it.
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
}

fn llm_model() -> String {
    "ollama/gemma3:4b".to_owned()
}

fn base_url() -> String {
    "http://localhost:11434".to_owned()
}

fn backend_url() -> String {
    "http://localhost".to_owned()
}

fn backend_port() -> u16 {
    8080
}

fn telemetry_url() -> String {
    "http://localhost:6006".to_owned()
}

impl SystemConfig {
    /// Creates the default configuration of a tenant.
    #[must_use]
    pub fn new(tenant_id: TenantId) -> Self {
        Self {
            tenant_id,
            llm_model: llm_model(),
            base_url: base_url(),
            backend_url: backend_url(),
            backend_port: backend_port(),
            telemetry_url: telemetry_url(),
            metadata: BTreeMap::new(),
        }
    }

    /// Sets the language model.
    #[must_use]
    pub fn with_llm_model(mut self, model: impl Into<String>) -> Self {
        self.llm_model = model.into();
        self
    }

    /// Sets the address of the language model server.
    #[must_use]
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets the search backend.
    #[must_use]
    pub fn with_backend(mut self, url: impl Into<String>, port: u16) -> Self {
        self.backend_url = url.into();
        self.backend_port = port;
        self
    }

    /// Sets the address of the trace viewer.
    #[must_use]
    pub fn with_telemetry_url(mut self, url: impl Into<String>) -> Self {
        self.telemetry_url = url.into();
        self
    }

    /// Adds a metadata value.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

impl Sealed for SystemConfig {}

impl ConfigSection for SystemConfig {
    const SCOPE: ConfigScope = ConfigScope::System;
    const SERVICE: &'static str = "system";
    const KEY: &'static str = "system_config";

    fn default_for(tenant: &TenantId) -> Self {
        Self::new(tenant.clone())
    }

    fn tenant(&self) -> Option<&TenantId> {
        Some(&self.tenant_id)
    }

    fn validate(&self) -> Result<()> {
        if self.llm_model.trim().is_empty() {
            return Err(Error::invalid("llm_model is empty; give a model such as ollama/gemma3:4b"));
        }
        check_url("base_url", &self.base_url)?;
        check_url_without_port("backend_url", &self.backend_url, "backend_port")?;
        check_url("telemetry_url", &self.telemetry_url)?;
        if self.backend_port == 0 {
            return Err(Error::invalid("backend_port is 0; give a port from 1 to 65535"));
        }
        Ok(())
    }

    fn check_storable(&self) -> Result<()> {
        self.metadata.iter().try_for_each(|(name, value)| check_depth(&format!("metadata.{name}"), value))
    }

    fn fields() -> &'static [(&'static str, FieldUse)] {
        const BACKEND: FieldUse =
            FieldUse::OneForAll("the service is wired to one backend, by CogniverseBuilder::backend, for all tenants");
        &[
            ("llm_model", FieldUse::ReadBy("cogniverse_core::models::ModelRegistry")),
            ("base_url", FieldUse::AddressReadBy("cogniverse_core::models::ModelRegistry")),
            ("backend_url", BACKEND),
            ("backend_port", BACKEND),
            (
                "telemetry_url",
                FieldUse::OneForAll("the service sends all traces by one pipeline, by CogniverseBuilder::telemetry"),
            ),
            ("metadata", FieldUse::KeptFor("the application")),
        ]
    }

    fn template_fields(template: Template) -> Map<String, Value> {
        template.system_fields()
    }
}
