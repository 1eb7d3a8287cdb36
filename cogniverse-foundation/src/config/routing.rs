//! Query routing configuration.

use super::field_use::FieldUse;
use super::section::{ConfigSection, sealed::Sealed};
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, Result, TenantId};
use std::{fmt, str::FromStr};

/// The way the routes of a query are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingMode {
    /// The fast path first, then the slow path if the fast one is not confident enough.
    #[default]
    Tiered,
    /// Every enabled path, combined by vote.
    Ensemble,
    /// The fast path selects which other paths to ask.
    Hybrid,
}

impl RoutingMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Tiered, Self::Ensemble, Self::Hybrid];

    /// Returns the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tiered => "tiered",
            Self::Ensemble => "ensemble",
            Self::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for RoutingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoutingMode {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| Error::unknown("routing mode", text, Self::ALL))
    }
}

/// The query routing configuration of a tenant.
///
/// The values are validated, stored and versioned, but this release does not route queries: a search uses the
/// profiles that its request names. [`ConfigManager::set_routing_config`](crate::ConfigManager::set_routing_config)
/// logs a warning about it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RoutingConfig {
    /// The tenant. Required.
    pub tenant_id: TenantId,
    /// The way the paths are combined (default `tiered`).
    #[serde(default)]
    pub routing_mode: RoutingMode,
    /// Whether rules may route a query (default `true`).
    #[serde(default = "yes")]
    pub enable_fast_path: bool,
    /// Whether a model may route a query (default `true`).
    #[serde(default = "yes")]
    pub enable_slow_path: bool,
    /// The least confidence of a fast-path answer to accept, from 0 to 1 (default 0.7).
    #[serde(default = "fast_threshold")]
    pub fast_path_confidence_threshold: f64,
    /// The least confidence of a slow-path answer to accept, from 0 to 1 (default 0.6).
    #[serde(default = "slow_threshold")]
    pub slow_path_confidence_threshold: f64,
    /// Whether routing is optimized from its outcomes (default `true`).
    #[serde(default = "yes")]
    pub enable_auto_optimization: bool,
    /// The interval between optimizations in seconds (default 3,600).
    #[serde(default = "interval")]
    pub optimization_interval_seconds: u64,
}

fn yes() -> bool {
    true
}

fn fast_threshold() -> f64 {
    0.7
}

fn slow_threshold() -> f64 {
    0.6
}

fn interval() -> u64 {
    3600
}

impl RoutingConfig {
    /// Creates the default configuration of a tenant.
    #[must_use]
    pub fn new(tenant_id: TenantId) -> Self {
        Self {
            tenant_id,
            routing_mode: RoutingMode::default(),
            enable_fast_path: yes(),
            enable_slow_path: yes(),
            fast_path_confidence_threshold: fast_threshold(),
            slow_path_confidence_threshold: slow_threshold(),
            enable_auto_optimization: yes(),
            optimization_interval_seconds: interval(),
        }
    }

    /// Sets the mode.
    #[must_use]
    pub fn with_routing_mode(mut self, mode: RoutingMode) -> Self {
        self.routing_mode = mode;
        self
    }

    /// Enables or disables the fast and the slow path.
    #[must_use]
    pub fn with_paths(mut self, fast: bool, slow: bool) -> Self {
        self.enable_fast_path = fast;
        self.enable_slow_path = slow;
        self
    }

    /// Sets the least confidences, each from 0 to 1.
    #[must_use]
    pub fn with_confidence_thresholds(mut self, fast: f64, slow: f64) -> Self {
        self.fast_path_confidence_threshold = fast;
        self.slow_path_confidence_threshold = slow;
        self
    }

    /// Enables or disables optimization and sets its interval in seconds.
    #[must_use]
    pub fn with_auto_optimization(mut self, enabled: bool, interval_seconds: u64) -> Self {
        self.enable_auto_optimization = enabled;
        self.optimization_interval_seconds = interval_seconds;
        self
    }
}

impl Sealed for RoutingConfig {}

impl ConfigSection for RoutingConfig {
    const SCOPE: ConfigScope = ConfigScope::Routing;
    const SERVICE: &'static str = "routing";
    const KEY: &'static str = "routing_config";

    fn default_for(tenant: &TenantId) -> Self {
        Self::new(tenant.clone())
    }

    fn tenant(&self) -> Option<&TenantId> {
        Some(&self.tenant_id)
    }

    fn fields() -> &'static [(&'static str, FieldUse)] {
        const ROUTING: FieldUse = FieldUse::KeptFor("routing, which this release does not have");
        &[
            ("routing_mode", ROUTING),
            ("enable_fast_path", ROUTING),
            ("enable_slow_path", ROUTING),
            ("fast_path_confidence_threshold", ROUTING),
            ("slow_path_confidence_threshold", ROUTING),
            ("enable_auto_optimization", ROUTING),
            ("optimization_interval_seconds", ROUTING),
        ]
    }

    fn validate(&self) -> Result<()> {
        let thresholds = [
            ("fast_path_confidence_threshold", self.fast_path_confidence_threshold),
            ("slow_path_confidence_threshold", self.slow_path_confidence_threshold),
        ];
        for (field, value) in thresholds {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::invalid(format!("{field} is {value}; give a confidence from 0 to 1")));
            }
        }
        if !self.enable_fast_path && !self.enable_slow_path {
            return Err(Error::invalid("both routing paths are disabled; enable the fast path, the slow path or both"));
        }
        if self.optimization_interval_seconds == 0 {
            return Err(Error::invalid("optimization_interval_seconds is 0; give 1 or more, or disable optimization"));
        }
        Ok(())
    }
}
