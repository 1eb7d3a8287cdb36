//! Completion of drops.

use crate::{
    catalog::{BegunDrop, Catalog},
    error,
    folder::{DataFolder, is_folder},
};
use cogniverse_core::failpoint;
use cogniverse_sdk::Result;
use std::fs;

/// Completes interrupted drops. One that cannot be completed now, such as on a read-only disk, does not prevent the
/// opening.
pub(super) fn finish_drops(folder: &DataFolder, catalog: &Catalog) -> Result<()> {
    for begun in catalog.drops()? {
        tracing::warn!(schema = %begun.schema, generation = begun.generation, "ending an interrupted drop");
        if let Err(error) = finish_drop(folder, catalog, &begun) {
            tracing::warn!(schema = %begun.schema, "the drop cannot be ended yet: {}", error.chain());
        }
    }
    Ok(())
}

pub(super) fn finish_drop(folder: &DataFolder, catalog: &Catalog, begun: &BegunDrop) -> Result<()> {
    let tenant = folder.tenant(begun.schema.tenant());
    let deployment = folder.deployment(&begun.schema, begun.generation);
    // A link is not ours, and what is behind it is somebody else's.
    if is_folder(&tenant)? && is_folder(&deployment)? {
        fs::remove_dir_all(&deployment).map_err(|e| error::io(&deployment, e))?;
        // The tenant's folder goes with its last schema; while another is in it, this is refused and right.
        let _ = fs::remove_dir(&tenant);
    }
    failpoint::reach("drop.removed");
    catalog.end_drop(begun.generation)?;
    failpoint::reach("drop.ended");
    Ok(())
}
