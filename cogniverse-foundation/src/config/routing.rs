//! Query routing configuration.

use super::field_use::FieldUse;
use super::learned::{LearnedRouting, check_weights};
use super::section::{ConfigSection, sealed::Sealed};
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, ProfileName, Result, StrategyName, TenantId};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The way the routes of a query are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingMode {
    /// The fast path first, then the slow path if the fast one is not confident enough, then the keywords.
    #[default]
    Tiered,
    /// Every enabled path at once, combined by a weighted vote.
    Ensemble,
    /// The fast path alone where it is confident enough, else every enabled path, combined by a weighted vote.
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
/// It applies to searches that name no profile. Two fields apply to every search that says nothing else: the strategy and
/// the reranker.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RoutingConfig {
    /// The tenant. Required.
    pub tenant_id: TenantId,
    /// The way the paths are combined (default `tiered`).
    #[serde(default)]
    pub routing_mode: RoutingMode,
    /// Whether the local classifier may route a query (default `true`).
    #[serde(default = "yes")]
    pub enable_fast_path: bool,
    /// Whether the tenant's language model may route a query (default `true`; without a model the path is skipped).
    #[serde(default = "yes")]
    pub enable_slow_path: bool,
    /// The least confidence of a fast-path answer to accept, from 0 to 1 (default 0.7).
    #[serde(default = "fast_threshold")]
    pub fast_path_confidence_threshold: f64,
    /// The least confidence of a slow-path answer to accept, from 0 to 1 (default 0.6).
    #[serde(default = "slow_threshold")]
    pub slow_path_confidence_threshold: f64,
    /// The longest that the slow path may take, in milliseconds (default 1,000).
    #[serde(default = "routing_time")]
    pub max_routing_time_ms: u64,
    /// The strategy of searches whose request and profile name none; `None` (the default) lets the agent choose. A schema
    /// without it uses its own.
    #[serde(default)]
    pub default_strategy: Option<StrategyName>,
    /// The reranker of searches that name none; `None` (the default) keeps the order of the strategy.
    #[serde(default)]
    pub default_reranker: Option<String>,
    /// The weights of profiles where several are fused, from 0 to 10 (default 1 each).
    #[serde(default)]
    pub fusion_weights: BTreeMap<ProfileName, f64>,
    /// Corrections of the classifier that were learned from the tenant's own searches, with their evidence.
    #[serde(default)]
    pub learned: Option<LearnedRouting>,
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

fn routing_time() -> u64 {
    1000
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
            max_routing_time_ms: routing_time(),
            default_strategy: None,
            default_reranker: None,
            fusion_weights: BTreeMap::new(),
            learned: None,
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

    /// Sets the longest that the slow path may take, in milliseconds.
    #[must_use]
    pub fn with_max_routing_time_ms(mut self, milliseconds: u64) -> Self {
        self.max_routing_time_ms = milliseconds;
        self
    }

    /// Sets the strategy of searches whose request and profile name none.
    #[must_use]
    pub fn with_default_strategy(mut self, strategy: StrategyName) -> Self {
        self.default_strategy = Some(strategy);
        self
    }

    /// Sets the reranker of searches that name none.
    #[must_use]
    pub fn with_default_reranker(mut self, reranker: impl Into<String>) -> Self {
        self.default_reranker = Some(reranker.into());
        self
    }

    /// Sets the weight of a profile where several are fused.
    #[must_use]
    pub fn with_fusion_weight(mut self, profile: ProfileName, weight: f64) -> Self {
        self.fusion_weights.insert(profile, weight);
        self
    }

    /// Sets what was learned from the tenant's own searches.
    #[must_use]
    pub fn with_learned(mut self, learned: LearnedRouting) -> Self {
        self.learned = Some(learned);
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
        const ROUTER: FieldUse = FieldUse::ReadBy("Router");
        const AGENT: FieldUse = FieldUse::ReadBy("VideoSearchAgent");
        const OPTIMIZATION: FieldUse = FieldUse::ReadBy("OptimizationOrchestrator");
        &[
            ("routing_mode", ROUTER),
            ("enable_fast_path", ROUTER),
            ("enable_slow_path", ROUTER),
            ("fast_path_confidence_threshold", ROUTER),
            ("slow_path_confidence_threshold", ROUTER),
            ("max_routing_time_ms", ROUTER),
            ("learned", ROUTER),
            ("default_strategy", AGENT),
            ("default_reranker", AGENT),
            ("fusion_weights", AGENT),
            ("enable_auto_optimization", OPTIMIZATION),
            ("optimization_interval_seconds", OPTIMIZATION),
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
        if self.max_routing_time_ms == 0 {
            return Err(Error::invalid("max_routing_time_ms is 0; give 1 or more, or disable the slow path"));
        }
        if self.default_reranker.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(Error::invalid("default_reranker is an empty name; name a reranker or leave it out"));
        }
        check_weights(&self.fusion_weights)?;
        if let Some(learned) = &self.learned {
            learned.check()?;
        }
        Ok(())
    }
}
