//! The surfaces of this crate: where documents, memories, transcripts, configuration and the rest are kept.

mod config;
mod documents;
mod records;
mod telemetry;

pub use config::ConfigSurface;
pub use documents::SchemaSurface;
pub use telemetry::TelemetrySurface;

use crate::{ingestion::KeptTranscripts, tenants::Gate};
use async_trait::async_trait;
use cogniverse_sdk::{
    BackupRecord, Caller, CallerId, Error, ErrorCode, ErrorKind, Export, ExportPage, Import, Inventory, Operation,
    Remains, Result, Retention, Role, SurfaceErasure, TenantId, TenantSurface,
    isolation::{Attack, Canary, Planting},
};

/// The number of entries that are read together.
const PAGE: usize = 500;
/// The number of transcripts that are read together: of an hour each, some megabytes.
const TRANSCRIPTS: usize = 16;

/// The transcripts that are kept so that no video is transcribed twice.
#[derive(Debug, Clone)]
pub struct TranscriptSurface(KeptTranscripts);

impl TranscriptSurface {
    /// Creates the surface of a cache of transcripts.
    #[must_use]
    pub fn new(kept: KeptTranscripts) -> Self {
        Self(kept)
    }
}

#[async_trait]
impl TenantSurface for TranscriptSurface {
    fn name(&self) -> &'static str {
        "transcripts"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        let (files, bytes) = self.0.size_of(tenant).await?;
        Ok(Inventory::of(files).with_bytes(bytes))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        let (files, _) = self.0.size_of(tenant).await?;
        self.0.erase(tenant).await?;
        Ok(SurfaceErasure::of(files))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.size_of(tenant).await?.0))
    }

    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        if let Some(word) = self.0.canary(&canary.tenant).await? {
            canary.may_replace(&word)?;
        }
        self.0.plant(&canary.tenant, &canary.word).await?;
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let own = self.0.canary(&canary.tenant).await?;
        if own.as_deref() != Some(&*canary.word) {
            return Ok(vec![Attack::failed(
                "read",
                "the owner does not find the canary either, so this shows nothing",
            )]);
        }
        Ok(vec![match self.0.canary(attacker).await {
            Ok(found) => Attack::of(
                "read",
                found.as_deref() != Some(&*canary.word),
                format!("{} transcripts by the same video", usize::from(found.is_some())),
            ),
            Err(error) => Attack::refused("read", &error, canary),
        }])
    }

    async fn remove_canary(&self, canary: &Canary) -> Result<u64> {
        match self.0.canary(&canary.tenant).await? {
            Some(word) if canary.may_replace(&word).is_ok() => {
                self.0.remove_canary(&canary.tenant).await.map(u64::from)
            }
            _ => Ok(0),
        }
    }

    fn not_carried(&self) -> Option<String> {
        None
    }

    async fn export(&self, export: &Export, after: Option<&str>) -> Result<ExportPage> {
        let names = self.0.names_after(&export.tenant, after.unwrap_or_default(), TRANSCRIPTS).await?;
        let next = names.last().filter(|_| names.len() == TRANSCRIPTS).cloned();
        let mut records = Vec::with_capacity(names.len());
        for name in names {
            // One that is gone meanwhile was replaced or removed, as a cache may be.
            if let Some(bytes) = self.0.read_file(&export.tenant, &name).await? {
                records.push(BackupRecord::new(serde_json::json!({ "transcript": name }), bytes));
            }
        }
        let items = records.len() as u64;
        Ok(ExportPage::new(records, items, next))
    }

    async fn import(&self, import: &Import, records: Vec<BackupRecord>) -> Result<()> {
        for record in records {
            let name = record.head.get("transcript").and_then(|name| name.as_str()).ok_or_else(|| {
                Error::of(ErrorCode::BackupDamaged, "a transcript of the backup has no name; use another backup")
            })?;
            self.0.write_file(&import.tenant, name, record.body).await?;
        }
        Ok(())
    }
}

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
