//! The checks, each of which answers findings and never fails: what cannot be examined is a finding.

use super::finding::Finding;
use crate::{
    backup,
    ingestion::check_fit,
    quotas::QuotaBackend,
    schemas::{CATALOGUE_BASE, MEMORY_BASE, STAGE_BASE, Schema, SchemaHealth, SchemaManager},
    tenants::{Gate, TenantRecord, TenantState},
};
use cogniverse_foundation::{
    ConfigManager, ConfigSection, ConfigSnapshot, ProfileLevel, QuotaConfig, ResolvedProfile, RoutingConfig, Source,
    SystemConfig, TelemetryConfig,
};
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorCode, ErrorKind, Result, SchemaName, TenantId, TenantSurface, Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The share of a quota, in percent, from which it is worth a warning.
const NEARLY: u64 = 80;

fn unreadable(what: &str, error: &Error) -> Finding {
    Finding::error(
        "unreadable",
        format!("{what} cannot be read: {}", error.chain()),
        "see the cause; nothing is known of it until then",
    )
}

/// The last backup that this service made, and whether it was verified since.
pub(super) async fn of_backup(gate: &Gate, tenant: &TenantId) -> Finding {
    match backup::last_of(gate, tenant).await {
        Ok(None) => Finding::info("backup_never", "no backup was ever made"),
        Ok(Some(last)) => {
            let verified = match last.verified_at {
                Some(at) => format!("verified at {at}"),
                None => "not verified since".to_owned(),
            };
            Finding::info("backup_last", format!("{} of {} in {}, {verified}", last.backup, last.at, last.location))
        }
        Err(error) => unreadable("the last backup", &error),
    }
}

/// The record: what is unfinished, suspended or over.
pub(super) fn of_record(record: &TenantRecord, now: Timestamp) -> Vec<Finding> {
    let (tenant, since) = (&record.tenant, record.changed_at);
    match record.state {
        TenantState::Active => Vec::new(),
        TenantState::Provisioning => vec![Finding::error(
            "creation_unfinished",
            format!("the creation began at {} and is not finished", record.created_at),
            format!("run it again with the same input: cargo run --example tenant -- create --tenant-id {tenant} …"),
        )],
        TenantState::Suspended => {
            let reason = record.reason.as_deref().unwrap_or("no reason given");
            let over = record.retain_until.filter(|until| *until <= now);
            match (over, record.retain_until) {
                (Some(until), _) => vec![Finding::warning(
                    "retention_over",
                    format!("suspended since {since} ({reason}), and kept until {until}"),
                    format!("erase it (tenant erase --tenant-id {tenant} --yes), or reactivate it"),
                )],
                (None, until) => {
                    let kept = until.map(|until| format!(", kept until {until}")).unwrap_or_default();
                    vec![Finding::warning(
                        "suspended",
                        format!("suspended since {since} ({reason}){kept}: nothing is served"),
                        format!("cargo run --example tenant -- reactivate --tenant-id {tenant}"),
                    )]
                }
            }
        }
        TenantState::Erasing => vec![Finding::error(
            "erasure_unfinished",
            format!("an erasure that began at {since} is not complete"),
            format!("run it again: cargo run --example tenant -- erase --tenant-id {tenant} --yes"),
        )],
        _ => vec![Finding::info("erased", format!("erased at {since}"))],
    }
}

/// The configuration: each section can be read, and is set or a default.
pub(super) async fn of_config(config: &ConfigManager, tenant: &TenantId) -> Vec<Finding> {
    let snapshot = match config.snapshot(tenant).await {
        Ok(snapshot) => snapshot,
        Err(error) => return vec![unreadable("the configuration", &error)],
    };
    let mut findings = Vec::new();
    section::<SystemConfig>(&snapshot, &mut findings);
    section::<RoutingConfig>(&snapshot, &mut findings);
    section::<TelemetryConfig>(&snapshot, &mut findings);
    section::<QuotaConfig>(&snapshot, &mut findings);
    findings
}

fn section<T: ConfigSection>(snapshot: &ConfigSnapshot, findings: &mut Vec<Finding>) {
    match snapshot.section::<T>() {
        Ok(found) if found.source == Source::Default => {
            findings.push(Finding::info("config_default", format!("{} is not set: defaults apply", T::KEY)));
        }
        Ok(found) => {
            findings.push(Finding::info("config_set", format!("{} is set, version {}", T::KEY, found.version)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => findings.push(Finding::error(
            "config_missing",
            format!("{} is missing", T::KEY),
            "set it by set_system_config, or restore it by a rollback",
        )),
        Err(error) => findings.push(Finding::error(
            "config_invalid",
            format!("{} cannot be used: {}", T::KEY, error.chain()),
            format!(
                "roll it back: cargo run --example config -- rollback --tenant-id {} --section {} --version N, by its history",
                snapshot.tenant(),
                T::KEY
            ),
        )),
    }
}

/// The schemas against their base schemas, and the encoders of the profiles that use them.
pub(super) async fn of_schemas(
    config: &ConfigManager,
    schemas: &SchemaManager,
    encoders: &BTreeMap<String, Vec<EncoderInfo>>,
    tenant: &TenantId,
) -> Vec<Finding> {
    let deployed = match schemas.list(tenant).await {
        Ok(deployed) => deployed,
        Err(error) => return vec![unreadable("the list of schemas", &error)],
    };
    let mut findings = Vec::new();
    let bases: BTreeSet<SchemaName> = deployed.iter().map(|deployed| deployed.schema.base().clone()).collect();
    let of_videos =
        bases.iter().filter(|base| ![MEMORY_BASE, STAGE_BASE, CATALOGUE_BASE].contains(&base.as_str())).count();
    if of_videos == 0 {
        findings.push(Finding::warning(
            "no_schemas",
            "no schema of videos is deployed: nothing can be ingested or found",
            format!("cargo run --example deploy_schemas -- --tenant-id {tenant}"),
        ));
    }
    if bases.iter().any(|base| base.as_str() == STAGE_BASE) {
        findings.push(Finding::warning(
            "reembedding_unfinished",
            "a re-embedding of memories was begun and not ended",
            "run MemoryService::reembed again",
        ));
    }
    for base in bases.iter().filter(|base| base.as_str() != STAGE_BASE) {
        findings.extend(of_schema(schemas, tenant, base).await);
    }
    match config.snapshot(tenant).await {
        Err(error) => findings.push(unreadable("the profiles", &error)),
        Ok(snapshot) => {
            let (profiles, broken) = snapshot.each_profile();
            findings.extend(broken.map(|(name, error)| unreadable(&format!("profile {name}"), error)));
            for profile in profiles {
                let base = &profile.config.value.schema;
                match deployed.iter().find(|deployed| deployed.schema.base() == base) {
                    Some(found) => {
                        let schema = Schema::compile(Arc::clone(&found.definition));
                        findings.extend(of_encoder(profile, encoders, schema));
                    }
                    // Built-in profiles are there for whoever wants them; the tenant's own are wanted.
                    None if profile.level == ProfileLevel::Tenant => findings.push(Finding::warning(
                        "profile_without_schema",
                        format!("profile {} of the tenant has no deployed schema: {base} is missing", profile.name),
                        format!(
                            "cargo run --example deploy_schemas -- --tenant-id {tenant} --profile {}",
                            profile.name
                        ),
                    )),
                    None => {}
                }
            }
        }
    }
    findings
}

async fn of_schema(schemas: &SchemaManager, tenant: &TenantId, base: &SchemaName) -> Option<Finding> {
    let differs = |what: Vec<String>| what.join("; ");
    match schemas.verify(tenant, base).await {
        Ok(SchemaHealth::Healthy) => {
            Some(Finding::info("schema_deployed", format!("schema {base} is as its base schema")))
        }
        // It was dropped between the two looks.
        Ok(SchemaHealth::Missing) => None,
        Ok(SchemaHealth::RankingDiffers(what)) => Some(Finding::warning(
            "schema_ranking_differs",
            format!("schema {base} ranks in another way than its base schema: {}", differs(what)),
            format!("cargo run --example deploy_schemas -- --tenant-id {tenant} --profile {base}"),
        )),
        Ok(SchemaHealth::FieldsDiffer(what)) => Some(Finding::error(
            "schema_fields_differ",
            format!("schema {base} has other fields than its base schema: {}", differs(what)),
            "drop it by name, deploy it, and ingest again",
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => Some(Finding::warning(
            "schema_base_unknown",
            format!("schema {base} is deployed, and no base schema has that name any more"),
            "give its file to the schema_loader, or drop it by name",
        )),
        Err(error) => Some(unreadable(&format!("schema {base}"), &error)),
    }
}

fn of_encoder(
    profile: &ResolvedProfile,
    encoders: &BTreeMap<String, Vec<EncoderInfo>>,
    schema: Result<Schema>,
) -> Option<Finding> {
    let (name, profile) = (&profile.name, &profile.config.value);
    let encoder = profile.encoder.as_ref()?;
    let Some(infos) = encoders.get(encoder) else {
        let known: Vec<&str> = encoders.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Some(Finding::error(
            "encoder_unknown",
            format!("profile {name} uses encoder \"{encoder}\", which is not registered; registered: {known}"),
            "register it by CogniverseBuilder::encoder, or set another in the profile",
        ));
    };
    // What ingestion and search ask, of the encoder of segments and that of queries.
    let fits = schema.and_then(|schema| {
        infos.iter().try_for_each(|info| profile.check_encoder(info).and_then(|()| check_fit(info, &schema)))
    });
    let models: Vec<String> = infos.iter().map(|info| format!("{} of {} dimensions", info.model, info.dims)).collect();
    match fits {
        Ok(()) => Some(Finding::info(
            "encoder_fits",
            format!("profile {name}: encoder {} fits its schema", models.join(", ")),
        )),
        Err(error) => Some(Finding::error(
            "encoder_mismatch",
            format!("profile {name}: {}", error.message()),
            "register the encoder that the profile and its schema were made for, or choose another profile",
        )),
    }
}

/// The quotas: how much of each is used.
pub(super) async fn of_quotas(quotas: &QuotaBackend, tenant: &TenantId) -> Vec<Finding> {
    let usage = match quotas.usage(tenant).await {
        Ok(usage) => usage,
        Err(error) => return vec![unreadable("the use of quotas", &error)],
    };
    let mut findings = Vec::new();
    for quota in usage {
        let (Some(used), Some(limit)) = (quota.used, quota.limit) else { continue };
        let message = format!("{used} of {limit} {} are used", quota.quota);
        let remedy = format!("cargo run --example quotas -- set {tenant} {}=…", quota.quota);
        let percent = used.saturating_mul(100).checked_div(limit).unwrap_or(100);
        findings.push(match percent {
            100.. => Finding::error("quota_full", message, remedy),
            NEARLY..100 => Finding::warning("quota_nearly_full", message, remedy),
            _ => Finding::info("quota", message),
        });
    }
    findings
}

/// The surfaces: what is kept of the tenant, and of an erased one what is left.
pub(super) async fn of_surfaces(surfaces: &[Arc<dyn TenantSurface>], record: &TenantRecord) -> Vec<Finding> {
    let mut findings = Vec::new();
    for surface in surfaces {
        let name = surface.name();
        let limit = Duration::from_secs(10);
        let asked = tokio::time::timeout(limit, surface.inventory(&record.tenant)).await;
        let asked = asked.unwrap_or_else(|_| Err(Error::of(ErrorCode::Timeout, format!("no answer within {limit:?}"))));
        match asked {
            Ok(held) if record.state == TenantState::Erased && held.items > 0 && name != "audit" => {
                findings.push(Finding::error(
                    "leftovers",
                    format!("{} items of the erased tenant are in {name}", held.items),
                    "erase the tenant again",
                ));
            }
            Ok(held) => {
                let bytes = held.bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
                findings.push(Finding::info("holds", format!("{name}: {} items{bytes}", held.items)));
            }
            // A surface that cannot count says so, which is no fault of the tenant.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                findings.push(Finding::info("not_counted", format!("{name}: {}", error.message())));
            }
            Err(error) => findings.push(unreadable(&format!("surface {name}"), &error)),
        }
    }
    findings
}
