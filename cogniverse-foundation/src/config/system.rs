//! Models and addresses of a tenant.

use super::address::{check_url, check_url_without_port};
use super::section::{ConfigSection, sealed::Sealed};
use super::template::Template;
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, Result, TenantId};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Models and addresses of a tenant. A tenant exists, as far as configuration goes, once it has one.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemConfig {
    /// Whose. Required.
    pub tenant_id: TenantId,
    /// The language model, with its provider (default `ollama/gemma3:4b`).
    #[serde(default = "llm_model")]
    pub llm_model: String,
    /// Where the language model is served (default `http://localhost:11434`).
    #[serde(default = "base_url")]
    pub base_url: String,
    /// The host of the search backend, without its port (default `http://localhost`).
    #[serde(default = "backend_url")]
    pub backend_url: String,
    /// The port of the search backend (default 8080).
    #[serde(default = "backend_port")]
    pub backend_port: u16,
    /// Where traces are looked at (default `http://localhost:6006`).
    #[serde(default = "telemetry_url")]
    pub telemetry_url: String,
    /// Anything else that belongs to the tenant; no secrets, as it is exported and kept in history (default empty).
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
    /// The defaults, for a tenant.
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

    /// Another language model.
    #[must_use]
    pub fn with_llm_model(mut self, model: impl Into<String>) -> Self {
        self.llm_model = model.into();
        self
    }

    /// Another place where the language model is served.
    #[must_use]
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Another search backend.
    #[must_use]
    pub fn with_backend(mut self, url: impl Into<String>, port: u16) -> Self {
        self.backend_url = url.into();
        self.backend_port = port;
        self
    }

    /// Another place where traces are looked at.
    #[must_use]
    pub fn with_telemetry_url(mut self, url: impl Into<String>) -> Self {
        self.telemetry_url = url.into();
        self
    }

    /// One more value of metadata.
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

    fn template_fields(template: Template) -> Map<String, Value> {
        template.system_fields()
    }
}
