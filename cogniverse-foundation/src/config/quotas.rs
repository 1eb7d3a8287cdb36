//! The quotas of a tenant.

use super::field_use::FieldUse;
use super::section::{ConfigSection, sealed::Sealed};
use super::template::Template;
use cogniverse_sdk::config_store::ConfigScope;
use cogniverse_sdk::{Error, Quota, Result, TenantId};
use serde_json::{Map, Value};

/// The effect of a quota that is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuotaMode {
    /// The call is refused.
    #[default]
    Enforce,
    /// The call is served and logged: a trial of new limits.
    DryRun,
}

/// The quotas of a tenant, and its weight against other tenants. A quota that is not set is not limited.
///
/// Templates set all of them; [`QuotaConfig::of_template`] tells to what.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QuotaConfig {
    /// The tenant. Required.
    pub tenant_id: TenantId,
    /// Calls in a window: searches, reads and writes of documents, runs of ingestion, and calls of memories.
    #[serde(default)]
    pub api_calls: Option<u64>,
    /// The length of that window in seconds, from 1 to 31,536,000 (default 3,600). Windows begin at multiples of their
    /// length since 1970, UTC.
    #[serde(default = "hour")]
    pub api_calls_window_seconds: u64,
    /// Megabytes (10^6 bytes) of documents and memories with their vectors, in the form that they are stored in.
    #[serde(default)]
    pub storage_mb: Option<u64>,
    /// Documents, memories not counted.
    #[serde(default)]
    pub documents: Option<u64>,
    /// Calls at one moment, over all processes that share the store of quotas.
    #[serde(default)]
    pub concurrent_requests: Option<u64>,
    /// Minutes of video ingested in a window. A video of which nothing had to be stored costs nothing.
    #[serde(default)]
    pub ingest_minutes: Option<u64>,
    /// The length of that window in seconds, as for calls (default 86,400).
    #[serde(default = "day")]
    pub ingest_window_seconds: u64,
    /// The share of the backend while tenants wait for it, from 1 to 1,000 (default 1): a tenant of weight 3 gets three
    /// times the work done of a tenant of weight 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// The effect of a quota that is used up (default `enforce`).
    #[serde(default)]
    pub mode: QuotaMode,
}

fn hour() -> u64 {
    3600
}

fn day() -> u64 {
    86_400
}

fn one() -> u32 {
    1
}

impl QuotaConfig {
    /// Creates the default configuration of a tenant, without a limit.
    #[must_use]
    pub fn new(tenant_id: TenantId) -> Self {
        Self {
            tenant_id,
            api_calls: None,
            api_calls_window_seconds: hour(),
            storage_mb: None,
            documents: None,
            concurrent_requests: None,
            ingest_minutes: None,
            ingest_window_seconds: day(),
            weight: one(),
            mode: QuotaMode::default(),
        }
    }

    /// Creates the quotas of a template.
    ///
    /// | | `api_calls` an hour | `storage_mb` | `documents` | `concurrent_requests` | `ingest_minutes` a day | `weight` |
    /// |---|---|---|---|---|---|---|
    /// | enterprise | 1,000,000 | 1,000,000 | 50,000,000 | 512 | 100,000 | 4 |
    /// | startup | 100,000 | 100,000 | 5,000,000 | 128 | 10,000 | 2 |
    /// | trial | 10,000 | 1,000 | 100,000 | 10 | 600 | 1 |
    #[must_use]
    pub fn of_template(tenant_id: TenantId, template: Template) -> Self {
        let (api_calls, storage_mb, documents, concurrent, minutes, weight) = match template {
            Template::Enterprise => (1_000_000, 1_000_000, 50_000_000, 512, 100_000, 4),
            Template::Startup => (100_000, 100_000, 5_000_000, 128, 10_000, 2),
            Template::Trial => (10_000, 1_000, 100_000, 10, 600, 1),
        };
        Self {
            api_calls: Some(api_calls),
            storage_mb: Some(storage_mb),
            documents: Some(documents),
            concurrent_requests: Some(concurrent),
            ingest_minutes: Some(minutes),
            weight,
            ..Self::new(tenant_id)
        }
    }

    /// Returns a limit, in the units of its field; `None` where it is not limited.
    #[must_use]
    pub fn limit(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::ApiCalls => self.api_calls,
            Quota::StorageMb => self.storage_mb,
            Quota::Documents => self.documents,
            Quota::ConcurrentRequests => self.concurrent_requests,
            Quota::IngestMinutes => self.ingest_minutes,
            _ => None,
        }
    }

    /// Sets a limit; `None` removes it.
    #[must_use]
    pub fn with_limit(mut self, quota: Quota, limit: Option<u64>) -> Self {
        match quota {
            Quota::ApiCalls => self.api_calls = limit,
            Quota::StorageMb => self.storage_mb = limit,
            Quota::Documents => self.documents = limit,
            Quota::ConcurrentRequests => self.concurrent_requests = limit,
            Quota::IngestMinutes => self.ingest_minutes = limit,
            _ => {}
        }
        self
    }

    /// Returns the window of a quota in seconds; `None` for quotas that do not refill by time.
    #[must_use]
    pub fn window_seconds(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::ApiCalls => Some(self.api_calls_window_seconds),
            Quota::IngestMinutes => Some(self.ingest_window_seconds),
            _ => None,
        }
    }

    /// Sets the share of the backend, from 1 to 1,000.
    #[must_use]
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the effect of a quota that is used up.
    #[must_use]
    pub fn with_mode(mut self, mode: QuotaMode) -> Self {
        self.mode = mode;
        self
    }
}

impl Sealed for QuotaConfig {}

impl ConfigSection for QuotaConfig {
    const SCOPE: ConfigScope = ConfigScope::System;
    const SERVICE: &'static str = "quotas";
    const KEY: &'static str = "quota_config";

    fn default_for(tenant: &TenantId) -> Self {
        Self::new(tenant.clone())
    }

    fn tenant(&self) -> Option<&TenantId> {
        Some(&self.tenant_id)
    }

    fn fields() -> &'static [(&'static str, FieldUse)] {
        const QUOTAS: FieldUse = FieldUse::ReadBy("cogniverse_core::quotas::Quotas");
        &[
            ("api_calls", QUOTAS),
            ("api_calls_window_seconds", QUOTAS),
            ("storage_mb", QUOTAS),
            ("documents", QUOTAS),
            ("concurrent_requests", QUOTAS),
            ("ingest_minutes", QUOTAS),
            ("ingest_window_seconds", QUOTAS),
            ("weight", FieldUse::ReadBy("cogniverse_core::fairness::FairScheduler")),
            ("mode", QUOTAS),
        ]
    }

    fn validate(&self) -> Result<()> {
        let windows = [
            ("api_calls_window_seconds", self.api_calls_window_seconds),
            ("ingest_window_seconds", self.ingest_window_seconds),
        ];
        for (field, seconds) in windows {
            if !(1..=31_536_000).contains(&seconds) {
                return Err(Error::invalid(format!("{field} is {seconds}; give 1 to 31,536,000 seconds")));
            }
        }
        if !(1..=1_000).contains(&self.weight) {
            return Err(Error::invalid(format!("weight is {}; give 1 to 1,000", self.weight)));
        }
        for quota in Quota::ALL {
            let units = self.limit(quota).map(|limit| limit.checked_mul(quota.units()));
            if matches!(units, Some(None)) || units.flatten().is_some_and(|units| units > i64::MAX.unsigned_abs()) {
                return Err(Error::invalid(format!("{quota} is too large; remove the limit to allow any number")));
            }
        }
        Ok(())
    }

    fn template_fields(template: Template) -> Map<String, Value> {
        // The tenant of the value does not matter: only its other fields are a template's.
        let Ok(tenant) = TenantId::parse("any") else { return Map::new() };
        let mut fields = match serde_json::to_value(Self::of_template(tenant, template)) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        fields.remove("tenant_id");
        fields
    }
}
