//! How a tenant's queries are routed.

use super::section::{ConfigSection, sealed::Sealed};
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, Result, TenantId};
use std::{fmt, str::FromStr};

/// How the routes of a query are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingMode {
    /// The fast path first, the slow one where the fast one is not sure.
    #[default]
    Tiered,
    /// Every enabled path, and their votes.
    Ensemble,
    /// The fast path decides which of the others to ask.
    Hybrid,
}

impl RoutingMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Tiered, Self::Ensemble, Self::Hybrid];

    /// The stored form.
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

/// How a tenant's queries are routed.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingConfig {
    /// Whose. Required.
    pub tenant_id: TenantId,
    /// How the paths are combined (default `tiered`).
    #[serde(default)]
    pub routing_mode: RoutingMode,
    /// Whether rules may route (default true).
    #[serde(default = "yes")]
    pub enable_fast_path: bool,
    /// Whether a model may route (default true).
    #[serde(default = "yes")]
    pub enable_slow_path: bool,
    /// Below this confidence, 0 to 1, an answer of the fast path is not taken (default 0.7).
    #[serde(default = "fast_threshold")]
    pub fast_path_confidence_threshold: f64,
    /// Below this confidence, 0 to 1, an answer of the slow path is not taken (default 0.6).
    #[serde(default = "slow_threshold")]
    pub slow_path_confidence_threshold: f64,
    /// Whether routing learns from its outcomes (default true).
    #[serde(default = "yes")]
    pub enable_auto_optimization: bool,
    /// Seconds between two optimizations (default 3600).
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
    /// The defaults, for a tenant.
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

    /// Another mode.
    #[must_use]
    pub fn with_routing_mode(mut self, mode: RoutingMode) -> Self {
        self.routing_mode = mode;
        self
    }

    /// Which paths may route.
    #[must_use]
    pub fn with_paths(mut self, fast: bool, slow: bool) -> Self {
        self.enable_fast_path = fast;
        self.enable_slow_path = slow;
        self
    }

    /// Other thresholds, each 0 to 1.
    #[must_use]
    pub fn with_confidence_thresholds(mut self, fast: f64, slow: f64) -> Self {
        self.fast_path_confidence_threshold = fast;
        self.slow_path_confidence_threshold = slow;
        self
    }

    /// Whether routing learns, and how many seconds apart.
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
