//! Profiles: a tenant's override the system's, which override the built-in ones.

use super::{ConfigManager, readable};
use crate::config::builtin::builtin_profiles;
use crate::config::profile::{BackendProfile, ProfileLevel, ResolvedProfile};
use crate::config::versioned::{HistoryPage, Versioned};
use crate::telemetry;
use cogniverse_sdk::config_store::{
    ConfigEntry, ConfigKey, ConfigOrigin, ConfigOwner, ConfigScope, Expected, ListConfig,
};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, ProfileName, Result, TenantId};
use std::collections::BTreeMap;
use tracing::Instrument;

const SERVICE: &str = "profile";

pub(super) type Profiles = BTreeMap<ProfileName, ResolvedProfile>;

fn key(owner: ConfigOwner, name: &ProfileName) -> ConfigKey {
    ConfigKey::new(owner, ConfigScope::Backend, SERVICE, name.as_str())
}

fn of_tenant(tenant: &TenantId, name: &ProfileName) -> ConfigKey {
    key(ConfigOwner::Tenant(tenant.clone()), name)
}

fn level(owner: &ConfigOwner) -> ProfileLevel {
    match owner {
        ConfigOwner::System => ProfileLevel::System,
        ConfigOwner::Tenant(_) => ProfileLevel::Tenant,
    }
}

pub(super) fn resolved(name: ProfileName, entry: ConfigEntry) -> Result<ResolvedProfile> {
    let level = level(&entry.key.owner);
    Ok(ResolvedProfile { name, level, config: readable(entry, BackendProfile::validate)? })
}

fn builtin(name: ProfileName, profile: BackendProfile) -> ResolvedProfile {
    ResolvedProfile { name, level: ProfileLevel::Builtin, config: Versioned::default_value(profile) }
}

pub(super) fn builtin_resolved() -> Result<Profiles> {
    Ok(builtin_profiles()?.into_iter().map(|(name, profile)| (name.clone(), builtin(name, profile))).collect())
}

pub(super) fn is_profile(key: &ConfigKey) -> bool {
    key.scope == ConfigScope::Backend && key.service == SERVICE
}

pub(super) fn name_of(entry: &ConfigEntry) -> Result<ProfileName> {
    ProfileName::parse(&entry.key.key).map_err(|e| {
        let message = format!("configuration {} is not named as a profile; delete it", entry.key);
        Error::new(ErrorKind::Corrupt, message).with_source(e)
    })
}

impl ConfigManager {
    /// Sets a profile of a tenant unconditionally.
    ///
    /// # Errors
    /// `InvalidInput` that names the field; `NotFound` for a tenant without a system configuration.
    pub async fn set_profile(
        &self,
        tenant: &TenantId,
        name: &ProfileName,
        profile: BackendProfile,
    ) -> Result<Versioned<BackendProfile>> {
        self.compare_and_set_profile(tenant, name, profile, Expected::Any).await
    }

    /// Sets a profile of a tenant if the precondition holds for the tenant's own versions.
    ///
    /// # Errors
    /// `Conflict` with the current version; `InvalidInput` that names the field; `NotFound` for a tenant without a
    /// system configuration.
    pub async fn compare_and_set_profile(
        &self,
        tenant: &TenantId,
        name: &ProfileName,
        profile: BackendProfile,
        expected: Expected,
    ) -> Result<Versioned<BackendProfile>> {
        profile.validate()?;
        self.require_known(tenant).await?;
        self.write(of_tenant(tenant, name), profile, expected, ConfigOrigin::Set).await
    }

    /// Sets a profile for every tenant that has none of its own under this name.
    ///
    /// # Errors
    /// `InvalidInput` that names the field.
    pub async fn set_system_profile(
        &self,
        name: &ProfileName,
        profile: BackendProfile,
    ) -> Result<Versioned<BackendProfile>> {
        profile.validate()?;
        self.write(key(ConfigOwner::System, name), profile, Expected::Any, ConfigOrigin::Set).await
    }

    /// Returns the profile that applies to a tenant: its own, else the system's, else the built-in one. Levels are
    /// not merged.
    ///
    /// # Errors
    /// `NotFound` with the existing profiles, or for a tenant without a system configuration; `Corrupt` where the
    /// stored profile cannot be parsed, which never falls back to another level.
    pub async fn get_profile(&self, tenant: &TenantId, name: &ProfileName) -> Result<ResolvedProfile> {
        self.require_known(tenant).await?;
        for owner in [ConfigOwner::Tenant(tenant.clone()), ConfigOwner::System] {
            if let Some(entry) = self.newest(&key(owner, name)).await? {
                return resolved(name.clone(), entry);
            }
        }
        if let Some(profile) = builtin_profiles()?.remove(name) {
            return Ok(builtin(name.clone(), profile));
        }
        Err(Error::unknown("profile", name, self.all_names(tenant).await?)
            .with_code(ErrorCode::ProfileUnknown)
            .with_context("tenant", tenant))
    }

    /// Returns every profile that applies to a tenant, sorted by name.
    ///
    /// # Errors
    /// `NotFound` for a tenant without a system configuration; `Corrupt` where a stored profile cannot be parsed.
    pub async fn list_profiles(&self, tenant: &TenantId) -> Result<Vec<ResolvedProfile>> {
        self.require_known(tenant).await?;
        let mut profiles = builtin_resolved()?;
        for owner in [ConfigOwner::System, ConfigOwner::Tenant(tenant.clone())] {
            for (name, entry) in self.stored(owner).await? {
                profiles.insert(name.clone(), resolved(name, entry)?);
            }
        }
        Ok(profiles.into_values().collect())
    }

    /// Deletes a tenant's profile, so that the system's or built-in one applies again. Returns the version of the
    /// deletion.
    ///
    /// # Errors
    /// `NotFound` where the tenant has no profile of its own under this name.
    pub async fn delete_profile(&self, tenant: &TenantId, name: &ProfileName) -> Result<u64> {
        self.remove(&of_tenant(tenant, name), Expected::Any).await
    }

    /// Deletes a profile that was set for all tenants. Returns the version of the deletion.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn delete_system_profile(&self, name: &ProfileName) -> Result<u64> {
        self.remove(&key(ConfigOwner::System, name), Expected::Any).await
    }

    /// Returns the versions of a tenant's own profile, newest first.
    ///
    /// # Errors
    /// Those of [`ConfigManager::history`].
    pub async fn profile_history(
        &self,
        tenant: &TenantId,
        name: &ProfileName,
        before: Option<u64>,
        limit: usize,
    ) -> Result<HistoryPage<BackendProfile>> {
        self.history_of(&of_tenant(tenant, name), before, limit, BackendProfile::validate).await
    }

    /// Restores an older version of a tenant's own profile.
    ///
    /// # Errors
    /// Those of [`ConfigManager::rollback`].
    pub async fn rollback_profile(
        &self,
        tenant: &TenantId,
        name: &ProfileName,
        version: u64,
    ) -> Result<Versioned<BackendProfile>> {
        self.require_known(tenant).await?;
        self.rollback_of(of_tenant(tenant, name), version, BackendProfile::validate).await
    }

    async fn all_names(&self, tenant: &TenantId) -> Result<std::collections::BTreeSet<ProfileName>> {
        let mut names: std::collections::BTreeSet<_> = builtin_profiles()?.into_keys().collect();
        for owner in [ConfigOwner::System, ConfigOwner::Tenant(tenant.clone())] {
            names.extend(self.stored(owner).await?.into_iter().map(|(name, _)| name));
        }
        Ok(names)
    }

    pub(super) async fn stored(&self, owner: ConfigOwner) -> Result<Vec<(ProfileName, ConfigEntry)>> {
        let span = telemetry::read_span(&ConfigKey::new(owner.clone(), ConfigScope::Backend, SERVICE, "*"));
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let list = ListConfig::new(owner.clone()).within(ConfigScope::Backend, SERVICE).after(after);
            let page = self.store().list(list).instrument(span.clone()).await?;
            for entry in page.entries {
                found.push((name_of(&entry)?, entry));
            }
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}
