//! Compiled schemas, each definition once.

use crate::layout::Layout;
use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{BaseSchema, Error, Result};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Weak},
};

/// A compiled schema and the layout of its index.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) schema: Arc<Schema>,
    pub(crate) layout: Arc<Layout>,
}

/// The compiled schemas in use, which tenants with equal definitions share. A definition does not name its tenant.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    /// By a hash of the definition.
    known: Mutex<HashMap<u64, Vec<Weak<Compiled>>>>,
}

impl Schemas {
    /// Compiles a definition, or returns what an equal one was compiled to.
    pub(crate) fn compile(&self, definition: &Arc<BaseSchema>) -> Result<Arc<Compiled>> {
        let hash = hash(definition)?;
        if let Some(known) = find(&self.known.lock(), hash, definition) {
            return Ok(known);
        }
        let schema = Arc::new(Schema::compile(Arc::clone(definition))?);
        let compiled = Arc::new(Compiled { layout: Arc::new(Layout::of(&schema)), schema });
        let mut known = self.known.lock();
        // Another call may have been faster.
        if let Some(known) = find(&known, hash, definition) {
            return Ok(known);
        }
        known.retain(|_, same| {
            same.retain(|one| one.strong_count() > 0);
            !same.is_empty()
        });
        known.entry(hash).or_default().push(Arc::downgrade(&compiled));
        Ok(compiled)
    }
}

fn find(known: &HashMap<u64, Vec<Weak<Compiled>>>, hash: u64, definition: &BaseSchema) -> Option<Arc<Compiled>> {
    known.get(&hash)?.iter().filter_map(Weak::upgrade).find(|one| **one.schema.base() == *definition)
}

fn hash(definition: &BaseSchema) -> Result<u64> {
    let json = serde_json::to_vec(definition)
        .map_err(|e| Error::unexpected("a schema definition cannot be written as JSON").with_source(e))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&json);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::contract::fixture::schema;

    #[test]
    fn equal_definitions_share_one_and_others_do_not() {
        let schemas = Schemas::default();
        let first = schemas.compile(&schema()).unwrap();
        // Read anew, as of another tenant.
        let equal: BaseSchema = serde_json::from_str(&serde_json::to_string(&*schema()).unwrap()).unwrap();
        assert!(Arc::ptr_eq(&schemas.compile(&Arc::new(equal.clone())).unwrap(), &first));
        let mut other = equal;
        other.rank_profiles.pop();
        let other = schemas.compile(&Arc::new(other)).unwrap();
        assert!(!Arc::ptr_eq(&other, &first));
        assert_eq!((schemas.known.lock().len(), &other.layout), (2, &first.layout));
    }

    #[test]
    fn a_schema_in_use_by_nobody_is_forgotten() {
        let schemas = Schemas::default();
        drop(schemas.compile(&schema()).unwrap());
        let mut other = (*schema()).clone();
        other.rank_profiles.pop();
        let _other = schemas.compile(&Arc::new(other)).unwrap();
        assert_eq!(schemas.known.lock().len(), 1);
        schemas.compile(&schema()).unwrap();
    }
}
