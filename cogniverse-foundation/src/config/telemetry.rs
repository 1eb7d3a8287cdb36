//! What is traced of a tenant, and to where.

use super::section::{ConfigSection, sealed::Sealed};
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, Result, TenantId};

/// The project of what is done for no tenant.
pub const SYSTEM_PROJECT: &str = "system";

const PLACEHOLDER: &str = "{tenant}";

/// What is traced of a tenant, and to where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Whether the tenant's spans are exported, where the application wired an exporter; without one nothing leaves the
    /// process (default true).
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Host and port of the collector (default `localhost:4317`), for whoever starts a pipeline from this configuration. One
    /// pipeline serves all tenants: a tenant's own value is kept, and does not send its spans elsewhere.
    #[serde(default = "otlp_endpoint")]
    pub otlp_endpoint: String,
    /// The name of the tenant's project (default `{tenant}`).
    ///
    /// `{tenant}` comes last. What stands before it ends with a character that no tenant id holds, as in `prod ~ {tenant}`:
    /// so two tenants never share a project, whatever their templates are (invariant 7).
    #[serde(default = "project_template")]
    pub project_template: String,
    /// Whether the text of queries is recorded in spans (default false).
    #[serde(default)]
    pub record_query_text: bool,
}

fn yes() -> bool {
    true
}

fn otlp_endpoint() -> String {
    "localhost:4317".to_owned()
}

fn project_template() -> String {
    PLACEHOLDER.to_owned()
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            enabled: yes(),
            otlp_endpoint: otlp_endpoint(),
            project_template: project_template(),
            record_query_text: false,
        }
    }
}

impl TelemetryConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether spans are exported.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Another collector.
    #[must_use]
    pub fn with_otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.otlp_endpoint = endpoint.into();
        self
    }

    /// Another name of the project.
    #[must_use]
    pub fn with_project_template(mut self, template: impl Into<String>) -> Self {
        self.project_template = template.into();
        self
    }

    /// Whether the text of queries is recorded.
    #[must_use]
    pub fn with_record_query_text(mut self, record: bool) -> Self {
        self.record_query_text = record;
        self
    }

    /// The tenant's project: the one place that makes its name, for writing and for reading.
    ///
    /// A tenant that is called like [`SYSTEM_PROJECT`] gets `tenant ~ system`, so that its spans never lie among our own.
    #[must_use]
    pub fn project_name(&self, tenant: &TenantId) -> String {
        let name = self.project_template.replace(PLACEHOLDER, tenant.as_str());
        if name == SYSTEM_PROJECT { format!("tenant ~ {name}") } else { name }
    }
}

impl Sealed for TelemetryConfig {}

impl ConfigSection for TelemetryConfig {
    const SCOPE: ConfigScope = ConfigScope::Telemetry;
    const SERVICE: &'static str = "telemetry";
    const KEY: &'static str = "telemetry_config";

    fn default_for(_tenant: &TenantId) -> Self {
        Self::default()
    }

    fn tenant(&self) -> Option<&TenantId> {
        None
    }

    fn validate(&self) -> Result<()> {
        let endpoint = &self.otlp_endpoint;
        let address =
            endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://")).unwrap_or(endpoint);
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if address.contains('@') {
            return Err(Error::invalid("otlp_endpoint must not hold credentials; give them to the exporter"));
        }
        if !matches!(port, Some(Ok(1..))) {
            return Err(Error::invalid(format!("otlp_endpoint {endpoint:?} names no host and port; give host:port")));
        }
        check_template(&self.project_template)
    }
}

fn check_template(template: &str) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::invalid(format!(
            "project_template {template:?} {why}; give {{tenant}}, or a form of \"prod ~ {{tenant}}\""
        )))
    };
    let Some(prefix) = template.strip_suffix(PLACEHOLDER) else { return refused("does not end with {tenant}") };
    // A trace store cannot address a project by a name with one of these.
    if prefix.contains(['/', '?', '#', '%', '{', '}']) || prefix.chars().any(char::is_control) {
        return refused("holds one of / ? # % { } before {tenant}, or a control character");
    }
    let in_ids = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if prefix.ends_with(in_ids) {
        return refused("could give two tenants one project, as its prefix ends with a character of tenant ids");
    }
    Ok(())
}
