//! Telemetry configuration of a tenant.

use super::field_use::FieldUse;
use super::section::{ConfigSection, sealed::Sealed};
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, Result, TenantId};

/// The project of spans that belong to no tenant.
pub const SYSTEM_PROJECT: &str = "system";

const PLACEHOLDER: &str = "{tenant}";

/// The telemetry configuration of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TelemetryConfig {
    /// Whether the tenant's spans are exported (default `true`). Without an exporter, which the application wires,
    /// nothing leaves the process.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The host and port of the collector (default `localhost:4317`), for code that starts a pipeline from this
    /// value. One pipeline serves all tenants, so other values are refused for a tenant.
    #[serde(default = "otlp_endpoint")]
    pub otlp_endpoint: String,
    /// The template of the tenant's project name (default `{tenant}`).
    ///
    /// `{tenant}` comes last, and the text before it must end with a character that no tenant id contains, as in
    /// `prod ~ {tenant}`: two tenants then never share a project, whatever their templates ([invariant 7](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#7)).
    #[serde(default = "project_template")]
    pub project_template: String,
    /// Whether spans record the text of queries (default `false`).
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
    /// Creates the default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether spans are exported.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets the collector.
    #[must_use]
    pub fn with_otlp_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.otlp_endpoint = endpoint.into();
        self
    }

    /// Sets the template of the project name.
    #[must_use]
    pub fn with_project_template(mut self, template: impl Into<String>) -> Self {
        self.project_template = template.into();
        self
    }

    /// Sets whether spans record the text of queries.
    #[must_use]
    pub fn with_record_query_text(mut self, record: bool) -> Self {
        self.record_query_text = record;
        self
    }

    /// Returns the tenant's project name. All code that reads or writes traces calls this.
    ///
    /// A tenant whose name would equal [`SYSTEM_PROJECT`] gets `tenant ~ system`, so that its spans stay apart from
    /// the system's.
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

    fn fields() -> &'static [(&'static str, FieldUse)] {
        const READER: FieldUse =
            FieldUse::ReadBy("cogniverse_foundation::telemetry::TelemetryManager::configure_tenant");
        &[
            ("enabled", READER),
            (
                "otlp_endpoint",
                FieldUse::OneForAll("the service sends all spans by one pipeline, by CogniverseBuilder::telemetry"),
            ),
            ("project_template", READER),
            ("record_query_text", READER),
        ]
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
