//! The indexes that are being derived anew, as their block files cannot be used: those of another version of the analysis or of
//! other fields, lost and damaged ones.

use cogniverse_sdk::TenantSchema;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// The progress of an index that is being derived anew while its schema is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Derivation {
    /// The tenant schema.
    pub schema: TenantSchema,
    /// The number of documents whose index is derived.
    pub done: u64,
    /// The number of documents whose index is to be derived.
    pub of: u64,
}

impl std::fmt::Display for Derivation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} documents", self.done, self.of)
    }
}

/// The derivations under way.
#[derive(Debug, Default)]
pub(crate) struct Derivations(Mutex<BTreeMap<TenantSchema, (u64, u64)>>);

impl Derivations {
    /// Begins a derivation, which ends as the returned value is dropped.
    pub(crate) fn begin(self: &Arc<Self>, schema: &TenantSchema, of: u64) -> Deriving {
        self.0.lock().insert(schema.clone(), (0, of));
        Deriving { all: Arc::clone(self), schema: schema.clone(), begun: Instant::now(), done: 0 }
    }

    /// Returns the derivations under way.
    pub(crate) fn list(&self) -> Vec<Derivation> {
        let one = |(schema, (done, of)): (&TenantSchema, &(u64, u64))| Derivation {
            schema: schema.clone(),
            done: *done,
            of: *of,
        };
        self.0.lock().iter().map(one).collect()
    }

    /// Returns the derivation of a schema.
    pub(crate) fn of(&self, schema: &TenantSchema) -> Option<Derivation> {
        let (done, of) = *self.0.lock().get(schema)?;
        Some(Derivation { schema: schema.clone(), done, of })
    }
}

/// A derivation under way.
#[derive(Debug)]
pub(crate) struct Deriving {
    all: Arc<Derivations>,
    schema: TenantSchema,
    begun: Instant,
    done: u64,
}

impl Deriving {
    /// Adds documents that are done.
    pub(crate) fn advance(&mut self, documents: usize) {
        self.done += documents as u64;
        if let Some((done, of)) = self.all.0.lock().get_mut(&self.schema) {
            (*done, *of) = (self.done, self.done.max(*of));
        }
    }
}

impl Drop for Deriving {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.schema);
        let seconds = self.begun.elapsed().as_secs_f64();
        tracing::info!(schema = %self.schema, documents = self.done, seconds, "an index was derived anew");
    }
}
