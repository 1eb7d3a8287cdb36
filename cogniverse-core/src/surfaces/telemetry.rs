//! The surface of a tenant's traces.

use super::PAGE;
use async_trait::async_trait;
use cogniverse_foundation::{ConfigManager, Recorded, TelemetryConfig, telemetry::TelemetryManager};
use cogniverse_sdk::{
    Error, ErrorKind, Inventory, ProjectName, Remains, Result, SurfaceErasure, TelemetryProvider, TenantId,
    TenantSurface,
    isolation::{Attack, Canary, Planting},
    telemetry_provider::Settle,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The time that a running export of spans is waited for.
const EXPORT: Duration = Duration::from_secs(10);

/// The spans of a tenant: those waiting in this process, and every project that its configuration ever named.
#[derive(Debug, Clone)]
pub struct TelemetrySurface {
    telemetry: TelemetryManager,
    config: ConfigManager,
    provider: Option<Arc<dyn TelemetryProvider>>,
    settle: Settle,
}

impl TelemetrySurface {
    /// Creates the surface of a pipeline. Without a provider, projects can neither be erased nor checked.
    #[must_use]
    pub fn new(
        telemetry: TelemetryManager,
        config: ConfigManager,
        provider: Option<Arc<dyn TelemetryProvider>>,
    ) -> Self {
        Self { telemetry, config, provider, settle: Settle::new() }
    }

    /// Sets how long an erased project must stay absent.
    #[must_use]
    pub fn with_settle(mut self, settle: Settle) -> Self {
        self.settle = settle;
        self
    }

    /// Returns every project that the tenant had, by its configuration's history.
    async fn projects(&self, tenant: &TenantId) -> Result<BTreeSet<ProjectName>> {
        let mut names = BTreeSet::from([TelemetryConfig::new().project_name(tenant)]);
        let mut before = None;
        loop {
            let page = self.config.history::<TelemetryConfig>(tenant, before, PAGE).await?;
            for entry in page.entries {
                match entry.recorded {
                    Recorded::Value(config) => drop(names.insert(config.project_name(tenant))),
                    Recorded::Unreadable(reason) => {
                        let message = format!(
                            "version {} of the telemetry configuration cannot be read, and with it the name of a project: {reason}",
                            entry.version
                        );
                        return Err(Error::new(ErrorKind::Corrupt, message));
                    }
                    _ => {}
                }
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        names.into_iter().map(|name| Ok(ProjectName::parse(name)?)).collect()
    }
}

#[async_trait]
impl TenantSurface for TelemetrySurface {
    fn name(&self) -> &'static str {
        "telemetry"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let Some(provider) = &self.provider else { return Ok(Inventory::of(0)) };
        let mut found = 0;
        for project in self.projects(tenant).await? {
            found += u64::from(provider.find_project(&project).await?.is_some());
        }
        Ok(Inventory::of(found))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let (telemetry, closed) = (self.telemetry.clone(), tenant.clone());
        cogniverse_foundation::worker::blocking(move || telemetry.close_tenant(&closed, EXPORT)).await?;
        let Some(provider) = &self.provider else { return Ok(SurfaceErasure::of(0)) };
        let mut spans = 0;
        for project in self.projects(tenant).await? {
            let receipt = provider.erase_project(&project, self.settle).await?;
            spans += receipt.spans_before;
        }
        Ok(SurfaceErasure::of(spans))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        let Some(provider) = &self.provider else {
            return Ok(match self.telemetry.is_enabled() {
                false => Remains::Items(0),
                true => Remains::Unknown(
                    "spans were exported and no provider of traces is set; erase the tenant's projects where they are"
                        .to_owned(),
                ),
            });
        };
        let mut left = 0;
        for project in self.projects(tenant).await? {
            left += u64::from(provider.find_project(&project).await?.is_some());
        }
        Ok(Remains::Items(left))
    }

    /// Nothing is planted, as a span stays in its project: where the spans go is what is checked.
    async fn plant(&self, _canary: &Canary) -> Result<Planting> {
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let (owners, own) = (self.projects(&canary.tenant).await?, self.projects(attacker).await?);
        let shared = owners.intersection(&own).count();
        let evidence =
            format!("{shared} of {} projects, of now and before, are shared with the other tenant", own.len());
        Ok(vec![Attack::of("project", shared == 0, evidence)])
    }

    fn not_carried(&self) -> Option<String> {
        Some("traces are the record of one deployment and stay where they were sent".to_owned())
    }
}
