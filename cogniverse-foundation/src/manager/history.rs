//! Histories of values: reading, rollback, and the source of each field.

use super::{ConfigManager, decode};
use crate::config::provenance::{FieldSource, Walk};
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::versioned::{HistoryEntry, HistoryPage, Recorded, Versioned};
use crate::telemetry;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, ConfigOrigin, Expected};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, TenantId};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use tracing::Instrument;

const PAGE: usize = 100;

impl ConfigManager {
    /// Returns the versions of a tenant's value, newest first, and only those older than `before` where it is given.
    /// A version that this release cannot read is included as [`Recorded::Unreadable`]. Empty where no value was ever
    /// set.
    ///
    /// # Errors
    /// `InvalidInput` for a limit of 0.
    pub async fn history<T: ConfigSection>(
        &self,
        tenant: &TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage<T>> {
        self.history_of(&T::key_of(tenant), before, limit, |value| section::check(tenant, value)).await
    }

    /// Restores an older version of a tenant's value as a new version that names it ([invariant 13](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#13)). This can undo a
    /// deletion.
    ///
    /// # Errors
    /// `NotFound` with the existing versions; `FailedPrecondition` where the version is a deletion or is not accepted
    /// by this release; `Conflict` where another writer changed the value during the call.
    pub async fn rollback<T: ConfigSection>(&self, tenant: &TenantId, version: u64) -> Result<Versioned<T>> {
        let key = T::key_of(tenant);
        // By itself, a manager knows a tenant by what a rollback may be about to bring back.
        if self.tenants.is_some() || key != SystemConfig::key_of(tenant) {
            self.require_known(tenant).await?;
        }
        self.rollback_of(key, version, |value| section::accept(tenant, value, &self.allowed)).await
    }

    /// Returns the source of each field of a tenant's value: the newest version that changed it, found by walking the
    /// history. In the first version, a value equal to the template's came from it, and one equal to the default is a
    /// default.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration.
    pub async fn field_sources<T: ConfigSection>(&self, tenant: &TenantId) -> Result<BTreeMap<String, FieldSource>> {
        self.require_tenant(tenant).await?;
        let key = T::key_of(tenant);
        let mut walk = Walk::new::<T>(tenant)?;
        let Some(newest) = self.newest(&key).await? else { return Ok(walk.finish()) };
        let mut before = Some(newest.version);
        let mut wanted = walk.step(newest);
        while wanted && before.is_some_and(|before| before > 1) {
            let page = self.store().history(&key, before, PAGE).instrument(telemetry::read_span(&key)).await?;
            before = page.entries.last().map(|last| last.version);
            for entry in page.entries {
                wanted = wanted && walk.step(entry);
            }
        }
        Ok(walk.finish())
    }

    pub(super) async fn history_of<T: DeserializeOwned>(
        &self,
        key: &ConfigKey,
        before: Option<u64>,
        limit: usize,
        check: impl Fn(&T) -> Result<()>,
    ) -> Result<HistoryPage<T>> {
        let page = self.store().history(key, before, limit).instrument(telemetry::read_span(key)).await?;
        let next = page.next.and_then(|_| page.entries.last().map(|last| last.version));
        let entries = page.entries.into_iter().map(|entry| recorded(entry, &check)).collect();
        Ok(HistoryPage::new(entries, next))
    }

    pub(super) async fn rollback_of<T: Serialize + DeserializeOwned>(
        &self,
        key: ConfigKey,
        version: u64,
        check: impl Fn(&T) -> Result<()>,
    ) -> Result<Versioned<T>> {
        let read = telemetry::read_span(&key);
        let (newest, old) = async {
            Ok::<_, Error>((self.store().get(&key, None).await?, self.store().get(&key, Some(version)).await?))
        }
        .instrument(read)
        .await?;
        let (Some(newest), Some(old)) = (&newest, old) else { return Err(no_version(&key, version, newest.as_ref())) };
        let refused = |message: String| Error::new(ErrorKind::FailedPrecondition, message);
        if old.value.is_none() {
            return Err(refused(format!(
                "version {version} of configuration {key} is a deletion; name one with a value"
            )));
        }
        let value = decode(&old, check).map_err(|e| {
            let message = format!("version {version} of configuration {key} is not accepted by this release");
            refused(format!("{message}; name another one")).with_source(e)
        })?;
        self.write(key, value, Expected::Version(newest.version), ConfigOrigin::Rollback(version)).await
    }
}

fn recorded<T: DeserializeOwned>(entry: ConfigEntry, check: impl Fn(&T) -> Result<()>) -> HistoryEntry<T> {
    let recorded = match &entry.value {
        None => Recorded::Deleted,
        Some(_) => match decode(&entry, check) {
            Ok(value) => Recorded::Value(value),
            Err(error) => Recorded::Unreadable(error.chain()),
        },
    };
    HistoryEntry { version: entry.version, recorded, origin: entry.origin, created_at: entry.created_at }
}

fn no_version(key: &ConfigKey, version: u64, newest: Option<&ConfigEntry>) -> Error {
    let range = match newest.map(|newest| newest.version) {
        None => "nothing was ever set".to_owned(),
        Some(1) => "there is version 1".to_owned(),
        Some(newest) => format!("there are versions 1 to {newest}"),
    };
    Error::of(ErrorCode::ConfigVersionUnknown, format!("configuration {key} has no version {version}; {range}"))
}
