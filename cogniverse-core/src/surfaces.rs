//! The surfaces of this crate: where documents, memories, transcripts, configuration and the rest are kept.

mod config;
mod documents;
mod kept;
mod records;
mod telemetry;

pub use config::ConfigSurface;
pub use documents::SchemaSurface;
pub use kept::KeptSurface;
pub use telemetry::TelemetrySurface;

use crate::tenants::Gate;
use async_trait::async_trait;
use cogniverse_sdk::{
    Caller, CallerId, ErrorKind, Inventory, Operation, Remains, Result, Retention, Role, SurfaceErasure, TenantId,
    TenantSurface,
    isolation::{Attack, Canary, Planting},
};

/// The number of entries that are read together.
const PAGE: usize = 500;

/// The access that callers of other tenants have to a tenant.
#[derive(Debug, Clone)]
pub struct AccessSurface(Gate);

impl AccessSurface {
    /// Creates the surface of a gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

#[async_trait]
impl TenantSurface for AccessSurface {
    fn name(&self) -> &'static str {
        "access"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.accesses().list(tenant).await?.len() as u64))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let shared = self.0.accesses().list(tenant).await?;
        for access in &shared {
            match self.0.accesses().remove(tenant, &access.caller).await {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(SurfaceErasure::of(shared.len() as u64))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.accesses().list(tenant).await?.len() as u64))
    }

    /// Nothing is planted: a share would be in the audit log for good.
    async fn plant(&self, _canary: &Canary) -> Result<Planting> {
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let mut attempts = Vec::new();
        for role in [Role::Reader, Role::Member, Role::Admin] {
            let caller = Caller::new(CallerId::parse("isolation-check")?).with_tenant(attacker.clone()).with_role(role);
            let mut allowed = Vec::new();
            for operation in Operation::ALL {
                if self.0.policy().allows(&caller, &canary.tenant, operation).await? {
                    allowed.push(operation.as_str());
                }
            }
            let evidence = match allowed.is_empty() {
                true => format!("0 of {} operations are allowed", Operation::ALL.len()),
                false => format!("allowed: {}", allowed.join(", ")),
            };
            attempts.push(Attack::of(format!("policy:{role}"), allowed.is_empty(), evidence));
        }
        let shared = self.0.accesses().list(attacker).await?;
        let others = shared.iter().filter(|access| access.tenant != *attacker).count();
        let evidence = format!("{others} of {} shared accesses are the other tenant's", shared.len());
        attempts.push(Attack::of("shared", others == 0, evidence));
        Ok(attempts)
    }

    fn not_carried(&self) -> Option<String> {
        Some("who may read a tenant is decided anew where it is restored".to_owned())
    }
}

/// The caches of this process that are registered with a gate.
#[derive(Debug, Clone)]
pub struct CacheSurface(Gate);

impl CacheSurface {
    /// Creates the surface of a gate's caches.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

#[async_trait]
impl TenantSurface for CacheSurface {
    fn name(&self) -> &'static str {
        "caches"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.cached(tenant)))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let held = self.0.cached(tenant);
        self.0.forget_cached(tenant);
        Ok(SurfaceErasure::of(held))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.cached(tenant)))
    }

    async fn plant(&self, _canary: &Canary) -> Result<Planting> {
        let reason = "a cache shows no entry; the searches and reads of the other surfaces, by the owner and then by the other, go through those of the backend";
        Ok(Planting::NotChecked(reason.to_owned()))
    }

    fn not_carried(&self) -> Option<String> {
        Some("caches fill themselves".to_owned())
    }
}

/// The audit log, which outlives the tenant on purpose.
#[derive(Debug, Clone)]
pub struct AuditSurface(Gate);

impl AuditSurface {
    /// Creates the surface of a gate's audit log.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

#[async_trait]
impl TenantSurface for AuditSurface {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.audit().head(tenant).await?.sequence))
    }

    async fn erase(&self, _tenant: &TenantId) -> Result<SurfaceErasure> {
        let reason = "the audit log is kept as the proof of what was done; it holds no text of users";
        Ok(SurfaceErasure::of(0).with_retained(Retention::for_good(reason)))
    }

    async fn remains(&self, _tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(0))
    }

    /// Nothing is planted, as an entry stays for good: what was done to the tenant names it.
    async fn plant(&self, _canary: &Canary) -> Result<Planting> {
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        Ok(vec![match self.0.audit().read(attacker, 0, PAGE).await {
            Ok(page) => {
                let others = page.entries.iter().filter(|entry| entry.tenant != *attacker).count();
                let evidence = format!("{others} of {} entries are the other tenant's", page.entries.len());
                Attack::of("read", others == 0, evidence)
            }
            Err(error) => Attack::refused("read", &error, canary),
        }])
    }

    fn not_carried(&self) -> Option<String> {
        Some("the log is the record of one deployment, in which the restore has an entry".to_owned())
    }
}
