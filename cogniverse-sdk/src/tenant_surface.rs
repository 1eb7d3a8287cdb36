//! The role of whatever keeps something of a tenant.

use crate::{
    BackupRecord, Error, ErrorKind, Export, ExportPage, Import, Result, Retention, TenantId,
    isolation::{Attack, Canary, Planting},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The holdings of a surface for one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inventory {
    /// The number of items, such as documents or configuration versions.
    pub items: u64,
    /// Their size in bytes; `None` where the surface cannot tell.
    pub bytes: Option<u64>,
}

impl Inventory {
    /// Creates an inventory of a known number of items and unknown size.
    #[must_use]
    pub fn of(items: u64) -> Self {
        Self { items, bytes: None }
    }

    /// Sets the size.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }
}

/// The result of erasing a tenant from a surface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SurfaceErasure {
    /// The number of items that this call erased.
    pub erased: u64,
    /// The part that is kept on purpose.
    pub retained: Option<Retention>,
}

impl SurfaceErasure {
    /// Creates the result of a call that erased a number of items and left nothing.
    #[must_use]
    pub fn of(erased: u64) -> Self {
        Self { erased, retained: None }
    }

    /// States what stays on purpose.
    #[must_use]
    pub fn with_retained(mut self, retained: Retention) -> Self {
        self.retained = Some(retained);
        self
    }
}

/// The answer of a surface to the question whether anything of a tenant is left, asked on its read path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remains {
    /// The number of items that are left; 0 where the surface is clean.
    Items(u64),
    /// The surface cannot be checked, for the given reason. Such a surface is not "erased".
    Unknown(String),
}

/// Whatever keeps something of a tenant: documents, memories, configuration, transcripts, traces, caches.
///
/// All surfaces are registered in one list, which serves dry runs, erasure and its receipt, the doctor, backups and the
/// check of the isolation of tenants.
///
/// # Contract
/// - `erase` removes everything of exactly this tenant and nothing of another. It can be interrupted at any point and
///   repeated; of a tenant that the surface does not know, it erases 0.
/// - `inventory`, `remains` and `attack` change nothing of what users have stored.
///
/// # Errors
/// What could not be read or removed is an error and never "nothing"
/// ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
#[async_trait]
pub trait TenantSurface: fmt::Debug + Send + Sync + 'static {
    /// Returns the name in reports and receipts, such as `documents`.
    fn name(&self) -> &'static str;

    /// Returns whether the surface is erased only once all others are, as they need to know what it holds (default
    /// `false`).
    fn comes_last(&self) -> bool {
        false
    }

    /// Counts what the surface holds of a tenant.
    async fn inventory(&self, tenant: &TenantId) -> Result<Inventory>;

    /// Erases everything of a tenant.
    async fn erase(&self, tenant: &TenantId) -> Result<SurfaceErasure>;

    /// Checks on the read path whether anything of a tenant is left, apart from what `erase` retained on purpose.
    async fn remains(&self, tenant: &TenantId) -> Result<Remains>;

    /// Returns why nothing of the surface is in a backup; `None` where [`TenantSurface::export`] and
    /// [`TenantSurface::import`] carry it.
    fn not_carried(&self) -> Option<String> {
        Some("the surface has no export".to_owned())
    }

    /// Reads a page of everything that the surface has of a tenant, from the place where the page before it ended. The same
    /// content gives the same records in the same order.
    async fn export(&self, _export: &Export, _after: Option<&str>) -> Result<ExportPage> {
        Err(Error::new(ErrorKind::Unsupported, format!("\"{}\" has no export", self.name())))
    }

    /// Stores what was exported. Records come in their order; some may come again after a crash, and change nothing then.
    async fn import(&self, _import: &Import, _records: Vec<BackupRecord>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, format!("\"{}\" has no import", self.name())))
    }

    /// Plants a canary among what the surface holds of its tenant, where no user meets it, or says why the surface cannot be
    /// checked (the default).
    async fn plant(&self, _canary: &Canary) -> Result<Planting> {
        Ok(Planting::NotChecked("the surface has no check of its isolation".to_owned()))
    }

    /// Tries every way of the surface by which the attacker might reach the canary of another tenant.
    async fn attack(&self, _attacker: &TenantId, _canary: &Canary) -> Result<Vec<Attack>> {
        Ok(Vec::new())
    }

    /// Removes a canary, and what a check that died has left of its tenant, and returns how many items. The canary of a check
    /// that may be alive stays ([`Canary::may_replace`]).
    async fn remove_canary(&self, _canary: &Canary) -> Result<u64> {
        Ok(0)
    }
}

const _: fn(&dyn TenantSurface) = |_| {};
