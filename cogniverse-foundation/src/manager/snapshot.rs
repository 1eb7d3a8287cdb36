//! A tenant's whole configuration as of one moment.

use super::profiles::{self, Profiles};
use super::{ConfigManager, missing, readable};
use crate::config::profile::ResolvedProfile;
use crate::config::section::{self, ConfigSection};
use crate::config::system::SystemConfig;
use crate::config::versioned::Versioned;
use crate::telemetry;
use cogniverse_sdk::config_store::{ConfigEntry, ConfigKey, ConfigOwner, ConfigScope, ListConfig};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, ProfileName, Result, TenantId};
use std::collections::BTreeMap;
use tracing::Instrument;

/// How often a snapshot is read again because the store changed meanwhile.
const ATTEMPTS: usize = 8;

/// The newest values of a tenant's configuration, all read at one moment of the store where it has a change mark.
///
/// A value that cannot be read is an error where it is asked for, and hides no other.
#[derive(Debug)]
pub struct ConfigSnapshot {
    tenant: TenantId,
    mark: Option<u64>,
    entries: BTreeMap<ConfigKey, ConfigEntry>,
    profiles: Profiles,
    unreadable: BTreeMap<ProfileName, Error>,
}

impl ConfigManager {
    /// Reads a tenant's whole configuration. It does not check that the tenant exists.
    ///
    /// # Errors
    /// Any error of the store.
    pub async fn snapshot(&self, tenant: &TenantId) -> Result<ConfigSnapshot> {
        for _ in 0..ATTEMPTS {
            let mark = self.store().change_mark().await?;
            let snapshot = self.read_snapshot(tenant, mark).await?;
            if mark.is_none() || self.store().change_mark().await? == mark {
                return Ok(snapshot);
            }
        }
        // Writers that never rest: each value is still one that was in force during the call.
        self.read_snapshot(tenant, None).await
    }

    async fn read_snapshot(&self, tenant: &TenantId, mark: Option<u64>) -> Result<ConfigSnapshot> {
        let owner = ConfigOwner::Tenant(tenant.clone());
        let span = telemetry::read_span(&ConfigKey::new(owner.clone(), ConfigScope::System, "*", "*"));
        let mut entries = BTreeMap::new();
        let mut after = None;
        loop {
            let list = ListConfig::new(owner.clone()).after(after).with_limit(1000);
            let page = self.store().list(list).instrument(span.clone()).await?;
            entries.extend(page.entries.into_iter().map(|entry| (entry.key.clone(), entry)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let (profiles, unreadable) = self.resolve_profiles(entries.values()).await?;
        Ok(ConfigSnapshot { tenant: tenant.clone(), mark, entries, profiles, unreadable })
    }

    async fn resolve_profiles(
        &self,
        of_tenant: impl Iterator<Item = &ConfigEntry>,
    ) -> Result<(Profiles, BTreeMap<ProfileName, Error>)> {
        let mut known = profiles::builtin_resolved()?;
        let mut unreadable = BTreeMap::new();
        let of_system = self.stored(ConfigOwner::System).await?;
        let of_tenant = of_tenant.filter(|entry| profiles::is_profile(&entry.key)).cloned();
        let of_tenant = of_tenant.map(|entry| Ok((profiles::name_of(&entry)?, entry))).collect::<Result<Vec<_>>>()?;
        for (name, entry) in of_system.into_iter().chain(of_tenant) {
            match profiles::resolved(name.clone(), entry) {
                Ok(profile) => {
                    unreadable.remove(&name);
                    known.insert(name, profile);
                }
                Err(error) => {
                    known.remove(&name);
                    unreadable.insert(name, error);
                }
            }
        }
        Ok((known, unreadable))
    }
}

impl ConfigSnapshot {
    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the change mark of the store at the moment of the snapshot; `None` where it has none.
    #[must_use]
    pub fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// Returns a section, or its default.
    ///
    /// # Errors
    /// `NotFound` for a system configuration that is not set; `Corrupt` where the stored value cannot be parsed.
    pub fn section<T: ConfigSection>(&self) -> Result<Versioned<T>> {
        let key = T::key_of(&self.tenant);
        match self.entries.get(&key) {
            Some(entry) => readable(entry.clone(), |value: &T| section::check(&self.tenant, value)),
            None if key == SystemConfig::key_of(&self.tenant) => Err(missing(&self.tenant)),
            None => Ok(Versioned::default_value(T::default_for(&self.tenant))),
        }
    }

    /// Returns the version of a section; 0 where it is not set.
    #[must_use]
    pub fn version<T: ConfigSection>(&self) -> u64 {
        self.entries.get(&T::key_of(&self.tenant)).map_or(0, |entry| entry.version)
    }

    /// Returns the profile that applies to the tenant: its own, else the system's, else the built-in one.
    ///
    /// # Errors
    /// `NotFound` with the existing profiles; `Corrupt` where the stored profile cannot be parsed, which never falls
    /// back to another level.
    pub fn profile(&self, name: &ProfileName) -> Result<&ResolvedProfile> {
        if let Some(found) = self.profiles.get(name) {
            return Ok(found);
        }
        if let Some(error) = self.unreadable.get(name) {
            return Err(Error::new(ErrorKind::Corrupt, error.chain()).with_context("tenant", &self.tenant));
        }
        let names = self.profiles.keys().chain(self.unreadable.keys());
        Err(Error::unknown("profile", name, names)
            .with_code(ErrorCode::ProfileUnknown)
            .with_context("tenant", &self.tenant))
    }

    /// Returns every profile that can be read, ordered by name, and the error of each other one.
    pub fn each_profile(
        &self,
    ) -> (impl Iterator<Item = &ResolvedProfile>, impl Iterator<Item = (&ProfileName, &Error)>) {
        (self.profiles.values(), self.unreadable.iter())
    }

    /// Returns every profile that applies to the tenant, ordered by name.
    ///
    /// # Errors
    /// `Corrupt` where a stored profile cannot be parsed.
    pub fn profiles(&self) -> Result<impl Iterator<Item = &ResolvedProfile>> {
        match self.unreadable.keys().next() {
            Some(name) => Err(self.profile(name).err().unwrap_or_else(|| Error::unexpected("a profile is lost"))),
            None => Ok(self.profiles.values()),
        }
    }
}
