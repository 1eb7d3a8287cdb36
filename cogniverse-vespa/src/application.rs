//! The active application, as far as this library uses it, and changes of it as file edits.

use crate::{config::VespaConfig, manifest, manifest::Manifest, overrides, schema, services};
use bytes::Bytes;
use cogniverse_core::schemas::{Schema, deployment};
use cogniverse_sdk::{
    Error, ErrorCode, Result, TenantSchema, Timestamp,
    schema_store::{DeployRequest, SchemaAction},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

/// What of the active application is read before a change.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) services: String,
    /// None where this library never deployed here.
    pub(crate) manifest: Option<Manifest>,
    pub(crate) overrides: Option<String>,
}

/// Files to write and to delete; nothing else of the application is touched.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Edit {
    pub(crate) puts: BTreeMap<String, Bytes>,
    pub(crate) deletes: BTreeSet<String>,
    /// Schemas whose presence is probed when the edit is in force.
    pub(crate) added: Vec<String>,
    /// Document types after the edit, of all owners.
    pub(crate) types: usize,
}

impl Edit {
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty()
    }
}

/// A schema that belongs to no tenant.
#[derive(Debug, Clone)]
pub(crate) struct SystemSchema {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// What shall change.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// Tenant schemas are added or changed.
    Deploy { request: &'a DeployRequest, schemas: &'a [Schema] },
    /// One tenant schema goes, with its documents.
    Drop(&'a TenantSchema),
    /// A schema of the system is there.
    System(&'a SystemSchema),
    /// Permissions of ours are taken out.
    Tidy,
}

impl Application {
    fn manifest(&self) -> Manifest {
        self.manifest.clone().unwrap_or_default()
    }

    /// What a deployment does to each schema, without doing it.
    pub(crate) fn actions(
        &self,
        config: &VespaConfig,
        request: &DeployRequest,
        schemas: &[Schema],
    ) -> Result<Vec<SchemaAction>> {
        let manifest = self.manifest();
        let (here, elsewhere) = services::document_types(&self.services, &config.content_cluster)?;
        let action = |(wanted, compiled): (&cogniverse_sdk::schema_store::SchemaDeployment, &Schema)| {
            let name = wanted.schema.physical_name();
            if manifest.system.contains_key(name) {
                return Err(deployment::name_is_held(&wanted.schema, "none, the system", name));
            }
            let Some(entry) = manifest.entry(&wanted.schema) else {
                if let Some(other) = manifest.schemas.get(name) {
                    return Err(deployment::name_is_held(&wanted.schema, &other.tenant, &other.base));
                }
                if here.contains(name) || elsewhere.contains(name) {
                    return Err(deployment::name_is_held(&wanted.schema, "unknown", "not of this library"));
                }
                return Ok(SchemaAction::Added);
            };
            let known = manifest.definition(entry).map(|known| &**known);
            Ok(match deployment::action(compiled, known) {
                SchemaAction::Unchanged if entry.hash != manifest::hash(schema::render(compiled, name)?.as_bytes()) => {
                    SchemaAction::Changed { what: vec!["this version writes the schema in another way".to_owned()] }
                }
                action => action,
            })
        };
        request.deployments.iter().zip(schemas).map(action).collect()
    }

    /// The files that a change writes and deletes.
    pub(crate) fn edit(&self, config: &VespaConfig, change: &Change<'_>, now: Timestamp) -> Result<Edit> {
        let mut manifest = self.manifest();
        let (mut add, mut remove) = (BTreeSet::new(), BTreeSet::new());
        let mut edit = Edit::default();
        let mut permission = self.overrides.as_deref().and_then(overrides::without_ours);
        match change {
            Change::Deploy { request, schemas } => {
                let actions = self.actions(config, request, schemas)?;
                for ((wanted, compiled), action) in request.deployments.iter().zip(*schemas).zip(&actions) {
                    deployment::refuse_refeed(&wanted.schema, action)?;
                    if *action == SchemaAction::Unchanged {
                        continue;
                    }
                    let name = wanted.schema.physical_name();
                    let text = schema::render(compiled, name)?;
                    manifest.insert(&wanted.schema, &wanted.definition, &text, now)?;
                    edit.puts.insert(path_of(name), text.into());
                    add.insert(name.to_owned());
                    if *action == SchemaAction::Added {
                        edit.added.push(name.to_owned());
                    }
                }
            }
            Change::Drop(schema) => {
                let name = schema.physical_name();
                if manifest.entry(schema).is_none() {
                    let of_tenant = manifest.schemas.values().filter(|entry| entry.tenant == *schema.tenant());
                    let known = Error::unknown("deployed schema", schema.base(), of_tenant.map(|entry| &entry.base));
                    return Err(known.with_code(ErrorCode::SchemaNotDeployed).with_context("tenant", schema.tenant()));
                }
                manifest.remove(schema);
                remove.insert(name.to_owned());
                edit.deletes.insert(path_of(name));
                // Until tomorrow: a deployment that begins before midnight may end after it.
                let until = jiff::tz::Offset::UTC
                    .to_datetime(now)
                    .date()
                    .tomorrow()
                    .map_err(|e| Error::unexpected("the clock stands at the end of time").with_source(e))?;
                permission = Some(overrides::allow(permission.as_deref(), until, name)?);
            }
            Change::System(system) => {
                let hash = manifest::hash(system.text.as_bytes());
                if manifest.system.get(system.name) != Some(&hash) {
                    if manifest.schemas.contains_key(system.name) {
                        return Err(Error::of(
                            ErrorCode::SchemaNameTaken,
                            format!("the name \"{}\" is held by a tenant's schema; rename the tenant", system.name),
                        ));
                    }
                    manifest.system.insert(system.name.to_owned(), hash);
                    edit.puts.insert(path_of(system.name), Bytes::from_static(system.text.as_bytes()));
                    edit.added.push(system.name.to_owned());
                    add.insert(system.name.to_owned());
                }
            }
            Change::Tidy => {}
        }
        let text = services::edit(&self.services, &config.content_cluster, &add, &remove)?;
        let (here, elsewhere) = services::document_types(&text, &config.content_cluster)?;
        edit.types = here.union(&elsewhere).count();
        if text != self.services {
            edit.puts.insert(services::PATH.to_owned(), text.into());
        }
        match (permission, &self.overrides) {
            (Some(new), old) if old.as_ref() != Some(&new) => {
                edit.puts.insert(overrides::PATH.to_owned(), new.into());
            }
            (None, Some(_)) => {
                edit.deletes.insert(overrides::PATH.to_owned());
            }
            _ => {}
        }
        if Some(&manifest) != self.manifest.as_ref() && !(edit.is_empty() && self.manifest.is_none()) {
            manifest.revision += 1;
            edit.puts.insert(manifest::PATH.to_owned(), manifest.to_bytes()?.into());
        }
        Ok(edit)
    }
}

/// Where a schema lies in the package.
pub(crate) fn path_of(schema: &str) -> String {
    format!("schemas/{schema}.sd")
}

/// The whole package of a first deployment: the system's schema alone, so that two who begin at once begin alike.
pub(crate) fn first_package(config: &VespaConfig, system: &SystemSchema) -> Result<BTreeMap<String, Bytes>> {
    let types = BTreeSet::from([system.name.to_owned()]);
    let mut manifest = Manifest::default();
    manifest.system.insert(system.name.to_owned(), manifest::hash(system.text.as_bytes()));
    let mut files = BTreeMap::from([
        (services::PATH.to_owned(), Bytes::from(services::first(config, &types))),
        (path_of(system.name), Bytes::from_static(system.text.as_bytes())),
        (manifest::PATH.to_owned(), manifest.to_bytes()?.into()),
    ]);
    if let Some(hosts) = services::hosts(config) {
        files.insert("hosts.xml".to_owned(), hosts.into());
    }
    Ok(files)
}

/// A package as a zip file.
pub(crate) fn zip(files: &BTreeMap<String, Bytes>) -> Result<Vec<u8>> {
    let failed = |e: zip::result::ZipError| Error::unexpected("the package cannot be written").with_source(e);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, content) in files {
        writer.start_file(path.as_str(), zip::write::SimpleFileOptions::default()).map_err(failed)?;
        writer.write_all(content).map_err(|e| Error::unexpected("the package cannot be written").with_source(e))?;
    }
    Ok(writer.finish().map_err(failed)?.into_inner())
}
