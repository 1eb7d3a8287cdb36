//! The health of the whole service: each part by its probe, and the tenants in trouble, without a look at their documents.

mod monitor;
mod report;

pub use monitor::{HealthEvent, HealthEvents, HealthMonitor};
pub use report::{Health, HealthStatus, PartHealth, TenantInTrouble};

use crate::{
    fairness::FairScheduler,
    guarded_backend::GuardedBackend,
    tenants::{Gate, TenantRecord, TenantState},
};
use async_trait::async_trait;
use cogniverse_foundation::telemetry::TelemetryManager;
use cogniverse_sdk::{
    ConfigKey, ConfigOwner, ConfigScope, ConfigStore, Error, ErrorCode, HealthProbe, Result, Timestamp,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The time that a probe may take.
const LIMIT: Duration = Duration::from_secs(3);
/// The time that reading the records of all tenants may take.
const RECORDS: Duration = Duration::from_secs(10);
/// The number of records that are read together.
const PAGE: usize = 1_000;
/// The number of tenants in trouble that a report names; it counts all.
const NAMED: usize = 100;
/// The time after which a creation or an erasure that does not end is in trouble.
const UNFINISHED: Duration = Duration::from_secs(600);

/// Asks the parts of a service and looks at the records of its tenants.
#[derive(Debug, Clone)]
pub struct HealthService {
    gate: Gate,
    backend: GuardedBackend,
    scheduler: FairScheduler,
    probes: Vec<Arc<dyn HealthProbe>>,
    limit: Duration,
}

impl HealthService {
    /// Creates the service over the parts that every wiring has.
    #[must_use]
    pub fn new(gate: Gate, backend: GuardedBackend, scheduler: FairScheduler) -> Self {
        Self { gate, backend, scheduler, probes: Vec::new(), limit: LIMIT }
    }

    /// Adds probes.
    #[must_use]
    pub fn with_probes(mut self, probes: impl IntoIterator<Item = Arc<dyn HealthProbe>>) -> Self {
        self.probes.extend(probes);
        self
    }

    /// Sets the time that each probe may take (default 3 s); they run at the same time.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Asks every part and reads every tenant's record, no documents. Never an error: a part that fails is a part of the
    /// answer, and so are records that cannot be read.
    pub async fn health(&self) -> Health {
        let tenants = async {
            let limit = self.limit.max(RECORDS);
            tokio::time::timeout(limit, self.tenants()).await.unwrap_or_else(|_| {
                Err(Error::of(ErrorCode::Timeout, format!("the records of tenants were not read within {limit:?}")))
            })
        };
        let (parts, tenants) = tokio::join!(parts(&self.probes, self.limit), tenants);
        let mut health = Health {
            status: HealthStatus::Ready,
            parts,
            tenants: BTreeMap::new(),
            in_trouble: Vec::new(),
            in_trouble_count: 0,
            leaked: self.backend.leaked(),
            scheduler: self.scheduler.stats(),
        };
        match tenants {
            Ok((counts, in_trouble)) => {
                (health.tenants, health.in_trouble_count) = (counts, in_trouble.len() as u64);
                health.in_trouble = in_trouble;
                health.in_trouble.truncate(NAMED);
            }
            // Where tenants cannot be served at all, the probe of the configuration says so.
            Err(error) => health.parts.push(PartHealth::failed("tenants", false, Duration::ZERO, &error)),
        }
        health.parts.sort_by_key(|part| (part.is_ok(), !part.required));
        health.status = health.judged();
        health
    }

    async fn tenants(&self) -> Result<(BTreeMap<String, u64>, Vec<TenantInTrouble>)> {
        let now = self.gate.clock().now();
        let (mut counts, mut in_trouble, mut after) = (BTreeMap::new(), Vec::new(), None);
        loop {
            let (records, next) = self.gate.registry().list_each(after, PAGE).await?;
            for (tenant, record) in records {
                match record {
                    Ok(record) => {
                        *counts.entry(record.state.to_string()).or_default() += 1;
                        in_trouble.extend(trouble(&record, now));
                    }
                    // One damaged record takes no other tenant along.
                    Err(error) => {
                        *counts.entry("unreadable".to_owned()).or_default() += 1;
                        let why = error.message().to_owned();
                        in_trouble.push(TenantInTrouble { tenant, code: "record_unreadable".to_owned(), why });
                    }
                }
            }
            after = next;
            if after.is_none() {
                return Ok((counts, in_trouble));
            }
        }
    }
}

/// Returns what is wrong with a tenant by its record alone.
fn trouble(record: &TenantRecord, now: Timestamp) -> Option<TenantInTrouble> {
    let is_old = Duration::try_from(now.duration_since(record.changed_at)).is_ok_and(|age| age > UNFINISHED);
    let (code, why) = match record.state {
        TenantState::Provisioning if is_old => ("creation_unfinished", "its creation does not end"),
        TenantState::Erasing if is_old => ("erasure_unfinished", "its erasure does not end"),
        TenantState::Suspended if record.retain_until.is_some_and(|until| until <= now) => {
            ("retention_over", "it is suspended, and its retention is over")
        }
        _ => return None,
    };
    Some(TenantInTrouble {
        tenant: record.tenant.to_string(),
        code: code.to_owned(),
        why: format!("{why}, since {}", record.changed_at),
    })
}

async fn part(probe: Arc<dyn HealthProbe>, limit: Duration) -> PartHealth {
    let began = Instant::now();
    let asked = match tokio::time::timeout(limit, probe.probe()).await {
        Ok(answered) => answered,
        Err(_) => Err(Error::of(ErrorCode::Timeout, format!("no answer within {limit:?}"))),
    };
    match asked {
        Ok(detail) => PartHealth::working(probe.name(), probe.is_required(), began.elapsed(), detail),
        Err(error) => PartHealth::failed(probe.name(), probe.is_required(), began.elapsed(), &error),
    }
}

/// Asks all parts at the same time. A probe that panics is one that does not work.
async fn parts(probes: &[Arc<dyn HealthProbe>], limit: Duration) -> Vec<PartHealth> {
    let running: Vec<_> = probes.iter().map(|probe| (probe, tokio::spawn(part(Arc::clone(probe), limit)))).collect();
    let mut parts = Vec::with_capacity(running.len());
    for (probe, task) in running {
        parts.push(task.await.unwrap_or_else(|e| {
            let error = Error::unexpected("its probe ended early").with_source(e);
            PartHealth::failed(probe.name(), probe.is_required(), Duration::ZERO, &error)
        }));
    }
    parts
}

/// A probe of the pipeline of spans: whether the last export was taken. It sends nothing itself.
#[derive(Debug)]
pub struct TelemetryProbe(TelemetryManager);

impl TelemetryProbe {
    /// Creates the probe of a pipeline.
    #[must_use]
    pub fn new(telemetry: TelemetryManager) -> Self {
        Self(telemetry)
    }
}

#[async_trait]
impl HealthProbe for TelemetryProbe {
    fn name(&self) -> &str {
        "telemetry"
    }

    fn is_required(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<String> {
        let stats = self.0.stats();
        match stats.last_error {
            None => {
                Ok(format!("{} spans exported, {} waiting, {} dropped", stats.exported, stats.queued, stats.dropped))
            }
            Some(error) => {
                let message = format!("spans are not taken ({} wait): {error}", stats.queued);
                Err(Error::of(ErrorCode::Unavailable, message))
            }
        }
    }
}

/// A probe of a configuration store: it reads a value that nobody sets.
#[derive(Debug)]
pub struct ConfigProbe(Arc<dyn ConfigStore>);

impl ConfigProbe {
    /// Creates the probe of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ConfigStore>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl HealthProbe for ConfigProbe {
    fn name(&self) -> &str {
        "configuration"
    }

    async fn probe(&self) -> Result<String> {
        let key = ConfigKey::new(ConfigOwner::System, ConfigScope::System, "health", "probe");
        self.0.get(&key, None).await.map(|_| String::new())
    }
}
