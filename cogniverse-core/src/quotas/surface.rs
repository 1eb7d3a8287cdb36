//! The surface of the use of quotas.

use super::Quotas;
use async_trait::async_trait;
use cogniverse_sdk::{
    Error, Inventory, Quota, QuotaLease, QuotaState, Remains, Result, SurfaceErasure, TenantId, TenantSurface,
    isolation::{Attack, Canary, Planting},
};

/// The time after which a planted lease is nobody's.
const PLANTED: std::time::Duration = std::time::Duration::from_secs(60);
/// The number of attempts at a change that others make too.
const ATTEMPTS: usize = 100;

/// The stored use of a tenant's quotas.
#[derive(Debug, Clone)]
pub struct QuotaSurface(Quotas);

impl QuotaSurface {
    /// Creates the surface.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        Self(quotas)
    }

    /// Returns the leases that checks of isolation have planted.
    async fn canaries(&self, tenant: &TenantId) -> Result<Vec<QuotaLease>> {
        let found = self.0.store().get(tenant, Quota::ConcurrentRequests).await?;
        let leases = found.map(|(state, _)| state.leases).unwrap_or_default();
        Ok(leases.into_iter().filter(|lease| Canary::is_word(&lease.holder)).collect())
    }

    /// Changes the leases of calls at one moment, also while other processes do.
    async fn change(
        &self,
        tenant: &TenantId,
        change: impl Fn(&mut Vec<QuotaLease>) -> Result<()> + Sync,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let found = self.0.store().get(tenant, Quota::ConcurrentRequests).await?;
            let (mut state, version) = match found {
                Some((state, version)) => (state, Some(version)),
                None => (QuotaState::default(), None),
            };
            change(&mut state.leases)?;
            if self.0.store().replace(tenant, Quota::ConcurrentRequests, version, &state).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::unexpected("other processes changed the calls at one moment all the time"))
    }
}

#[async_trait]
impl TenantSurface for QuotaSurface {
    fn name(&self) -> &'static str {
        "quotas"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.0.store().count(tenant).await?))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        self.0.close(tenant);
        Ok(SurfaceErasure::of(self.0.store().erase_tenant(tenant).await?))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.0.store().count(tenant).await?))
    }

    /// Plants a lease of no amount, which uses nothing.
    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        let expires_at =
            canary.planted_at.saturating_add(PLANTED).map_err(|e| Error::unexpected("a time").with_source(e))?;
        let lease = QuotaLease { holder: canary.word.clone(), amount: 0, expires_at };
        self.change(&canary.tenant, |leases| {
            leases
                .iter()
                .filter(|lease| Canary::is_word(&lease.holder))
                .try_for_each(|lease| canary.may_replace(&lease.holder))?;
            leases.retain(|lease| !Canary::is_word(&lease.holder));
            leases.push(lease.clone());
            Ok(())
        })
        .await?;
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let holds = |leases: &[QuotaLease]| leases.iter().any(|lease| lease.holder == canary.word);
        if !holds(&self.canaries(&canary.tenant).await?) {
            return Ok(vec![Attack::failed(
                "leases",
                "the owner does not find the canary either, so this shows nothing",
            )]);
        }
        let found = self.canaries(attacker).await?;
        Ok(vec![Attack::of("leases", !holds(&found), format!("{} leases of other checks", found.len()))])
    }

    async fn remove_canary(&self, canary: &Canary) -> Result<u64> {
        let is_removable =
            |lease: &QuotaLease| Canary::is_word(&lease.holder) && canary.may_replace(&lease.holder).is_ok();
        let planted = self.canaries(&canary.tenant).await?.iter().filter(|lease| is_removable(lease)).count() as u64;
        if planted > 0 {
            self.change(&canary.tenant, |leases| {
                leases.retain(|lease| !is_removable(lease));
                Ok(())
            })
            .await?;
        }
        Ok(planted)
    }

    fn not_carried(&self) -> Option<String> {
        Some("documents are counted again where they are restored, and calls are counted from the start".to_owned())
    }
}
