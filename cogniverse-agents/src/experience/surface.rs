//! The surface of experiences.

use super::ExperienceRecorder;
use async_trait::async_trait;
use cogniverse_sdk::{
    BackupRecord, Error, ErrorCode, Experience, Export, ExportPage, Generation, Import, Inventory, Modality, Remains,
    Result, RouteTier, SearchId, SurfaceErasure, TenantId, TenantSurface,
    isolation::{Attack, Canary, Planting},
    json_problem,
};
use serde_json::json;

/// The number of experiences that are read together.
const PAGE: usize = 500;

/// The experiences of tenants, and the state of what learns from them.
#[derive(Debug, Clone)]
pub struct ExperienceSurface(ExperienceRecorder);

impl ExperienceSurface {
    /// Creates the surface.
    #[must_use]
    pub fn new(recorder: ExperienceRecorder) -> Self {
        Self(recorder)
    }

    async fn held(&self, tenant: &TenantId) -> Result<u64> {
        let state = self.0.store().state(tenant).await?;
        Ok(self.0.store().count(tenant).await? + u64::from(state.is_some()))
    }

    async fn canary(&self, tenant: &TenantId, id: &SearchId) -> Result<Option<String>> {
        Ok(self.0.store().get(tenant, id).await?.and_then(|found| found.canary))
    }
}

/// Returns the id of the canary of a tenant, which no other tenant's has.
fn canary_id(tenant: &TenantId) -> Result<SearchId> {
    let id = Canary::id(tenant, "experience")?;
    let digits: String = id.as_str().split('-').filter(|part| part.len() == 16).collect();
    Ok(SearchId::parse(digits)?)
}

#[async_trait]
impl TenantSurface for ExperienceSurface {
    fn name(&self) -> &'static str {
        "experience"
    }

    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory> {
        Ok(Inventory::of(self.held(tenant).await?))
    }

    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure> {
        Ok(SurfaceErasure::of(self.0.erase(tenant).await?))
    }

    async fn remains(&self, tenant: &TenantId) -> Result<Remains> {
        Ok(Remains::Items(self.held(tenant).await?))
    }

    /// Plants an experience that nothing learns from.
    async fn plant(&self, canary: &Canary) -> Result<Planting> {
        let id = canary_id(&canary.tenant)?;
        if let Some(word) = self.canary(&canary.tenant, &id).await? {
            canary.may_replace(&word)?;
            self.0.store().remove(&canary.tenant, &id).await?;
        }
        let asked = (Modality::Video, Generation::RawResults);
        let mut planted = Experience::new(id, canary.planted_at, asked, RouteTier::Keyword);
        planted.canary = Some(canary.word.clone());
        let generation = self.0.generation(&canary.tenant).await?;
        self.0.store().put(&canary.tenant, generation, vec![planted]).await?;
        Ok(Planting::Planted)
    }

    async fn attack(&self, attacker: &TenantId, canary: &Canary) -> Result<Vec<Attack>> {
        let id = canary_id(&canary.tenant)?;
        if self.canary(&canary.tenant, &id).await?.as_deref() != Some(&*canary.word) {
            let evidence = "the owner does not find the canary either, so this shows nothing";
            return Ok(vec![Attack::failed("get", evidence)]);
        }
        let by_id = match self.canary(attacker, &id).await {
            Ok(found) => {
                let evidence = format!("{} experiences by the same id", usize::from(found.is_some()));
                Attack::of("get", found.is_none(), evidence)
            }
            Err(error) => Attack::refused("get", &error, canary),
        };
        let (mut seen, mut told, mut after) = (0, false, None);
        loop {
            let page = self.0.store().page(attacker, after, PAGE).await?;
            seen += page.experiences.len();
            told |= page.experiences.iter().any(|found| found.canary.as_deref() == Some(&*canary.word));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(vec![by_id, Attack::of("page", !told, format!("{seen} experiences of its own"))])
    }

    async fn remove_canary(&self, canary: &Canary) -> Result<u64> {
        let id = canary_id(&canary.tenant)?;
        match self.canary(&canary.tenant, &id).await? {
            Some(word) if canary.may_replace(&word).is_ok() => {
                Ok(u64::from(self.0.store().remove(&canary.tenant, &id).await?))
            }
            _ => Ok(0),
        }
    }

    fn not_carried(&self) -> Option<String> {
        None
    }

    async fn export(&self, export: &Export, after: Option<&str>) -> Result<ExportPage> {
        self.0.flush_tenant(&export.tenant).await?;
        let after = after.map(str::parse).transpose();
        let after = after.map_err(|e| Error::unexpected("the place of an export is no number").with_source(e))?;
        let page = self.0.store().page(&export.tenant, after, PAGE).await?;
        let mut records = Vec::with_capacity(page.experiences.len());
        for experience in page.experiences.into_iter().filter(|experience| experience.canary.is_none()) {
            records.push(BackupRecord::new(json!({ "experience": experience }), Vec::new()));
        }
        if page.next.is_none()
            && let Some((mut state, _)) = self.0.store().state(&export.tenant).await?
        {
            // Who runs is none of the tenant's data.
            if let Some(fields) = state.as_object_mut() {
                fields.remove("holder");
            }
            records.push(BackupRecord::new(json!({ "optimization": state }), Vec::new()));
        }
        let items = records.len() as u64;
        Ok(ExportPage::new(records, items, page.next.map(|next| next.to_string())))
    }

    /// Stores experiences, and the state of the optimization where there is none yet.
    async fn import(&self, import: &Import, records: Vec<BackupRecord>) -> Result<()> {
        let generation = self.0.generation(&import.tenant).await?;
        let mut experiences = Vec::with_capacity(records.len());
        for record in records {
            if let Some(state) = record.head.get("optimization") {
                self.0.store().replace_state(&import.tenant, generation, None, state).await?;
                continue;
            }
            let experience = record.head.get("experience").cloned().unwrap_or_default();
            experiences.push(serde_json::from_value(experience).map_err(|e| {
                let message = "an experience of the backup cannot be read; use another backup";
                Error::of(ErrorCode::BackupDamaged, message).with_source(json_problem(&e))
            })?);
        }
        self.0.store().put(&import.tenant, generation, experiences).await
    }
}
