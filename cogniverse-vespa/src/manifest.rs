//! The manifest of this library's schemas and their tenants: a file inside the package, so that it is activated with
//! what it speaks of.

use cogniverse_sdk::{
    BaseSchema, Error, ErrorCode, ErrorKind, Result, SchemaName, TenantId, TenantSchema, Timestamp, json_problem,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Where it lies in the package.
pub(crate) const PATH: &str = "files/cogniverse.json";
/// The layout of the file; a newer one is refused.
const FORMAT: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// Counts the changes made by this library.
    pub(crate) revision: u64,
    /// Schemas that belong to no tenant, with the hash of their text.
    pub(crate) system: BTreeMap<String, String>,
    /// Tenant schemas by physical name.
    pub(crate) schemas: BTreeMap<String, Entry>,
    /// Base schemas by hash, each once.
    pub(crate) definitions: BTreeMap<String, Arc<BaseSchema>>,
}

/// One tenant schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) tenant: TenantId,
    pub(crate) base: SchemaName,
    /// The key of its base schema among the definitions.
    pub(crate) definition: String,
    /// SHA-256 of its `.sd`.
    pub(crate) hash: String,
    pub(crate) deployed_at: Timestamp,
}

impl Entry {
    pub(crate) fn schema(&self) -> TenantSchema {
        TenantSchema::new(&self.tenant, &self.base)
    }
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            revision: 0,
            system: BTreeMap::new(),
            schemas: BTreeMap::new(),
            definitions: BTreeMap::new(),
        }
    }
}

impl Manifest {
    /// Reads the file, and checks that it agrees with itself.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |why: String| {
            Error::new(ErrorKind::Corrupt, format!("{PATH} of the active application cannot be used: {why}"))
        };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| damaged(json_problem(&e)))?;
        if manifest.format > FORMAT {
            return Err(Error::of(
                ErrorCode::StorageFormatNewer,
                format!(
                    "{PATH} has format {} and this version knows {FORMAT}; use a newer cogniverse",
                    manifest.format
                ),
            ));
        }
        for (name, entry) in &manifest.schemas {
            if entry.schema().physical_name() != name {
                return Err(damaged(format!(
                    "{name} does not belong to tenant {} and schema {}",
                    entry.tenant, entry.base
                )));
            }
            if !manifest.definitions.contains_key(&entry.definition) {
                return Err(damaged(format!("it lacks the definition of {name}")));
            }
        }
        Ok(manifest)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::unexpected("the manifest cannot be written").with_source(e))
    }

    /// The record of exactly this pair.
    pub(crate) fn entry(&self, schema: &TenantSchema) -> Option<&Entry> {
        let entry = self.schemas.get(schema.physical_name())?;
        (entry.tenant == *schema.tenant() && entry.base == *schema.base()).then_some(entry)
    }

    pub(crate) fn definition(&self, entry: &Entry) -> Option<&Arc<BaseSchema>> {
        self.definitions.get(&entry.definition)
    }

    /// Records a tenant schema in place of what was there.
    pub(crate) fn insert(
        &mut self,
        schema: &TenantSchema,
        definition: &Arc<BaseSchema>,
        text: &str,
        now: Timestamp,
    ) -> Result<()> {
        let json = serde_json::to_vec(&**definition)
            .map_err(|e| Error::unexpected("a schema definition cannot be written as JSON").with_source(e))?;
        let key = hash(&json);
        self.definitions.insert(key.clone(), Arc::clone(definition));
        let entry = Entry {
            tenant: schema.tenant().clone(),
            base: schema.base().clone(),
            definition: key,
            hash: hash(text.as_bytes()),
            deployed_at: now,
        };
        self.schemas.insert(schema.physical_name().to_owned(), entry);
        self.forget_unused();
        Ok(())
    }

    pub(crate) fn remove(&mut self, schema: &TenantSchema) {
        self.schemas.remove(schema.physical_name());
        self.forget_unused();
    }

    fn forget_unused(&mut self) {
        let schemas = &self.schemas;
        self.definitions.retain(|key, _| schemas.values().any(|entry| entry.definition == *key));
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_09_a_manifest_that_cannot_be_read_is_no_empty_one() {
        let mut manifest = Manifest::default();
        let schema = TenantSchema::new(&TenantId::parse("acme:prod").unwrap(), &SchemaName::parse("video").unwrap());
        let definition: BaseSchema = serde_json::from_str(
            r#"{"name": "video", "document": {"fields": [{"name": "a", "type": "int", "indexing": ["attribute"]}]}}"#,
        )
        .unwrap();
        manifest.insert(&schema, &Arc::new(definition), "schema video {}", Timestamp::UNIX_EPOCH).unwrap();
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        for damage in [
            "".to_owned(),
            "{}".to_owned(),
            text.replace("acme:prod", "globex"),
            text.replace("\"definitions\": {", "\"definitions\": {}, \"x\": {"),
        ] {
            assert_eq!(Manifest::parse(damage.as_bytes()).unwrap_err().kind(), ErrorKind::Corrupt, "{damage}");
        }
        let newer = text.replace("\"format\": 1", "\"format\": 2");
        assert_eq!(Manifest::parse(newer.as_bytes()).unwrap_err().kind(), ErrorKind::FailedPrecondition);
        manifest.remove(&schema);
        assert!(manifest.definitions.is_empty());
    }
}
