//! Creation of tenants.

use super::TenantLifecycle;
use crate::failpoint;
use crate::tenants::{FoundTenant, TenantRecord, TenantState};
use cogniverse_foundation::{Source, SystemConfig, Template, Versioned};
use cogniverse_sdk::{
    AuditEvent, ConfigOwner, Error, ErrorCode, ErrorKind, Expected, Operation, ProfileName, Result, SchemaName,
    TenantId, config_store::ListConfig,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The number of audit entries in which the entry of a move is looked for that was made before.
const LOOKED_AT: u64 = 200;

/// A tenant to create.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct NewTenant {
    /// The tenant.
    pub tenant: TenantId,
    /// The template of its configuration.
    pub template: Template,
    /// Values of the configuration in place of the template's.
    pub overrides: Map<String, Value>,
    /// The profiles whose schemas are deployed.
    pub profiles: Vec<ProfileName>,
    /// Whether every base schema is deployed.
    pub all_schemas: bool,
    /// Whether the schema of memories is deployed.
    pub memories: bool,
}

impl NewTenant {
    /// Creates the request for a tenant with the configuration of a template and no schemas.
    #[must_use]
    pub fn new(tenant: TenantId, template: Template) -> Self {
        Self { tenant, template, overrides: Map::new(), profiles: Vec::new(), all_schemas: false, memories: false }
    }

    /// Sets values of the configuration in place of the template's.
    #[must_use]
    pub fn with_overrides(mut self, overrides: Map<String, Value>) -> Self {
        self.overrides.extend(overrides);
        self
    }

    /// Deploys the schema of a profile.
    #[must_use]
    pub fn with_profile(mut self, profile: ProfileName) -> Self {
        self.profiles.push(profile);
        self
    }

    /// Deploys every base schema.
    #[must_use]
    pub fn with_all_schemas(mut self) -> Self {
        self.all_schemas = true;
        self
    }

    /// Deploys the schema of memories, in the dimensions of the service's embedding model.
    #[must_use]
    pub fn with_memories(mut self) -> Self {
        self.memories = true;
        self
    }

    /// Sets the language model that extracts what to remember, as `provider/model`, and deploys the schema of memories.
    #[must_use]
    pub fn with_memory_model(mut self, model: &str) -> Self {
        self.overrides.insert("llm_model".to_owned(), model.into());
        self.with_memories()
    }

    /// Returns the digest by which a second call with the same input is recognized. The input itself is not kept.
    fn digest(&self) -> Result<String> {
        let mut input = serde_json::to_value(self)
            .map_err(|e| Error::invalid("the request to create a tenant cannot be written as JSON").with_source(e))?;
        input.sort_all_objects();
        Ok(Sha256::digest(input.to_string().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl TenantLifecycle {
    /// Creates a tenant: its configuration, then its schemas, and at last it is active. Until then nobody is served. A
    /// creation that was interrupted is finished by calling this again with the same input, and for a tenant that this
    /// input created the call changes nothing. An erased id is created anew, as the next generation.
    ///
    /// # Errors
    /// `Conflict` where the tenant exists and was created by another input, or something remains under its id;
    /// `InvalidInput` for an override that does not exist; `NotFound` for an unknown profile; those of
    /// [`crate::tenants::Gate::permit`].
    pub async fn create(&self, new: NewTenant) -> Result<TenantRecord> {
        self.gate.permit(&new.tenant, Operation::Administer).await?;
        let _alone = self.alone(&new.tenant).await;
        // Before anything is written: what cannot be created is refused as a whole.
        let wanted = new.template.fill(&new.tenant, new.overrides.clone())?;
        if new.memories && self.memory.is_none() {
            let message = "memories need a text embedder; give the builder a text_embedder";
            return Err(Error::of(ErrorCode::TextEmbedderMissing, message));
        }
        let bases = self.bases(&new).await?;
        let (record, version) = match self.begin(&new.tenant, new.digest()?, 1).await? {
            Begun::Done(record) => return Ok(record),
            Begun::New(record, version) | Begun::Going(record, version) => (record, version),
        };
        failpoint::reach("create.recorded");
        self.configure(&new, &wanted).await?;
        failpoint::reach("create.configured");
        for base in &bases {
            self.schemas.deploy(&new.tenant, base).await?;
            failpoint::reach("create.deployed");
        }
        if let Some(memory) = self.memory.as_ref().filter(|_| new.memories) {
            memory.prepare(&new.tenant).await?;
            failpoint::reach("create.remembering");
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.reopen_tenant(&new.tenant);
        }
        let active = TenantRecord { state: TenantState::Active, changed_at: self.gate.clock().now(), ..record };
        self.finish(active, version).await
    }

    /// Returns the base schemas to deploy, each once.
    async fn bases(&self, new: &NewTenant) -> Result<Vec<SchemaName>> {
        if new.all_schemas {
            let all = self.schemas.available().await?;
            // Memories have a model's dimensions, which only their service knows.
            return Ok(all.into_iter().filter(|base| base.as_str() != crate::schemas::MEMORY_BASE).collect());
        }
        let mut bases = Vec::new();
        if !new.profiles.is_empty() {
            let profiles = self.config.snapshot(&new.tenant).await?;
            for name in &new.profiles {
                bases.push(profiles.profile(name)?.config.value.schema.clone());
            }
        }
        bases.sort_unstable();
        bases.dedup();
        Ok(bases)
    }

    /// Writes the record of a creation that begins, of a generation that is at least the given one, or finds the one of the
    /// same origin that goes on.
    pub(super) async fn begin(&self, tenant: &TenantId, origin: String, at_least: u64) -> Result<Begun> {
        let digest = Some(origin);
        let (generation, erased, expected) = match self.gate.registry().find(tenant).await? {
            None => (at_least, None, Expected::Absent),
            Some(FoundTenant { record, version, .. }) => match record.state {
                TenantState::Erased => {
                    ((record.generation + 1).max(at_least), Some(record.last_erased()), Expected::Version(version))
                }
                _ => return self.begun_before(record, version, &digest).await,
            },
        };
        if let Some(left) = self.left_over(tenant).await? {
            // Two creations at once: the other one has come further.
            return match self.gate.registry().find(tenant).await? {
                Some(FoundTenant { record, version, .. }) if record.state != TenantState::Erased => {
                    self.begun_before(record, version, &digest).await
                }
                _ => Err(remains(tenant, &left)),
            };
        }
        let mut record = TenantRecord::provisioning(tenant.clone(), generation, self.gate.clock().now());
        (record.creation, record.erased_generation) = (digest, erased);
        match self.gate.registry().put(&record, expected).await {
            Ok(version) => Ok(Begun::New(record, version)),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let found = self.gate.registry().find(tenant).await?;
                match found.filter(|found| found.record.creation == record.creation) {
                    Some(found) if found.record.state == TenantState::Provisioning => {
                        Ok(Begun::Going(found.record, found.version))
                    }
                    Some(found) if found.record.state == TenantState::Active => Ok(Begun::Done(found.record)),
                    _ => Err(Error::of(
                        ErrorCode::TenantExists,
                        format!(
                            "tenant \"{tenant}\" was created by another call meanwhile; choose another id, or use it"
                        ),
                    )
                    .with_source(error)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Returns how far a creation of the same origin has come.
    async fn begun_before(&self, record: TenantRecord, version: u64, digest: &Option<String>) -> Result<Begun> {
        match record.state {
            TenantState::Provisioning if record.creation == *digest => Ok(Begun::Going(record, version)),
            TenantState::Active if record.creation == *digest => {
                // A crash between the record and its entry.
                self.audit_again(&record, Some(TenantState::Provisioning), version).await?;
                Ok(Begun::Done(record))
            }
            _ => Err(exists(&record)),
        }
    }

    async fn configure(&self, new: &NewTenant, wanted: &SystemConfig) -> Result<()> {
        match self.config.provision(&new.tenant, new.template, new.overrides.clone()).await {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::Conflict => {
                // An earlier attempt of this creation came as far as this.
                let found = self.config.get_system_config(&new.tenant).await?;
                if is_made(&found, new.template, wanted) { Ok(()) } else { Err(e) }
            }
            Err(e) => Err(e),
        }
    }

    /// Writes the record that makes a tenant active.
    pub(super) async fn finish(&self, active: TenantRecord, version: u64) -> Result<TenantRecord> {
        match self.gate.registry().put(&active, Expected::Version(version)).await {
            Ok(version) => {
                failpoint::reach("create.active");
                self.gate.apply(&active);
                self.audit_move(&active, Some(TenantState::Provisioning), version).await?;
                tracing::info!(tenant.id = %active.tenant, generation = active.generation, "tenant created");
                Ok(active)
            }
            // The same creation by another process ended first.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                let found = self.gate.registry().find(&active.tenant).await?;
                match found.filter(|found| {
                    found.record.creation == active.creation
                        && found.record.generation == active.generation
                        && found.record.state == TenantState::Active
                }) {
                    Some(found) => Ok(found.record),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Returns something that is stored under the id of a tenant that does not exist, if there is anything: it would
    /// apply to the new tenant, and may be of a former one.
    async fn left_over(&self, tenant: &TenantId) -> Result<Option<String>> {
        let mut after = None;
        loop {
            let list = ListConfig::new(ConfigOwner::Tenant(tenant.clone())).after(after);
            let page = self.config.store().list(list).await?;
            if let Some(entry) = page.entries.first() {
                return Ok(Some(format!("configuration, {}", entry.key)));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let schemas = self.schemas.list(tenant).await?;
        Ok(schemas.first().map(|deployed| format!("schema \"{}\" with its documents", deployed.schema.base())))
    }

    /// Appends the entry of a move, unless the attempt before this one appended it.
    pub(super) async fn audit_again(
        &self,
        record: &TenantRecord,
        from: Option<TenantState>,
        version: u64,
    ) -> Result<()> {
        let audit = self.gate.audit();
        let head = audit.head(&record.tenant).await?;
        let last = audit.read(&record.tenant, head.sequence.saturating_sub(LOOKED_AT), LOOKED_AT as usize).await?;
        let is_move = |event: &AuditEvent| matches!(event, AuditEvent::StateChanged { record_version, .. } if *record_version == version);
        match last.entries.iter().any(|entry| is_move(&entry.event)) {
            true => Ok(()),
            false => self.audit_move(record, from, version).await,
        }
    }

    /// Appends the entry of a move.
    pub(super) async fn audit_move(
        &self,
        record: &TenantRecord,
        from: Option<TenantState>,
        version: u64,
    ) -> Result<()> {
        let event = AuditEvent::StateChanged {
            from: from.map(|state| state.as_str().to_owned()),
            to: record.state.as_str().to_owned(),
            record_version: version,
            reason: record.reason.as_deref().map(AuditEvent::reason),
        };
        self.gate.record(&record.tenant, event).await
    }
}

pub(super) enum Begun {
    /// The creation begins, with this record and version.
    New(TenantRecord, u64),
    /// The creation goes on, from this record and version.
    Going(TenantRecord, u64),
    /// The tenant is active by this input already.
    Done(TenantRecord),
}

/// Returns whether an interrupted creation with the same template and overrides wrote the configuration.
fn is_made(found: &Versioned<SystemConfig>, template: Template, wanted: &SystemConfig) -> bool {
    found.source == Source::Template(template.to_string()) && found.value == *wanted
}

fn exists(record: &TenantRecord) -> Error {
    let (tenant, state) = (&record.tenant, record.state);
    let message = match state {
        TenantState::Erasing => {
            return Error::of(
                ErrorCode::TenantErasing,
                format!("tenant \"{tenant}\" is being erased; finish the erasure, and create it then"),
            );
        }
        TenantState::Provisioning => format!(
            "tenant \"{tenant}\" is being created with another input; finish it with that one, or erase it first"
        ),
        _ => format!("tenant \"{tenant}\" exists already and is {state}; choose another id, or use it"),
    };
    Error::of(ErrorCode::TenantExists, message)
}

fn remains(tenant: &TenantId, left: &str) -> Error {
    let message = format!(
        "tenant \"{tenant}\" does not exist, and something remains under its id ({left}): it would become the new tenant's; \
         remove it by the operator's erase_tenant and drop_schema, or choose another id"
    );
    Error::of(ErrorCode::ConfigExists, message).with_context("tenant", tenant)
}
