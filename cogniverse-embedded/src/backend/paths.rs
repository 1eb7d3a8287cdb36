//! The contents of the folders of tenants.

use crate::{
    catalog::Catalog,
    error,
    folder::{DataFolder, is_folder},
    tenant_store::FILE,
};
use cogniverse_sdk::Result;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Returns what the tenants' folder holds besides deployments and pending drops. A store newer than everything in the
/// catalog proves that the catalog was restored from an old copy: that is an error ([invariant 9](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#9)).
pub(super) fn strays(folder: &DataFolder, catalog: &Catalog) -> Result<Vec<PathBuf>> {
    let deployments = catalog.all()?.into_iter().map(|d| (d.deployed.schema, d.generation));
    let dropped = catalog.drops()?.into_iter().map(|d| (d.schema, d.generation));
    let known: HashSet<PathBuf> =
        deployments.chain(dropped).map(|(schema, generation)| folder.deployment(&schema, generation)).collect();
    let last = catalog.last_generation()?;
    let tenants = folder.tenants();
    let mut strays = Vec::new();
    if !is_folder(&tenants)? {
        return Ok(strays);
    }
    for tenant in read_dir(&tenants)? {
        if !is_folder(&tenant)? {
            strays.push(tenant);
            continue;
        }
        for found in read_dir(&tenant)? {
            if known.contains(&found) {
                continue;
            }
            let generation = found.extension().and_then(|g| g.to_str()).and_then(|g| g.parse::<i64>().ok());
            let file = found.join(FILE);
            let is_store = is_folder(&found)? && file.try_exists().map_err(|e| error::io(&file, e))?;
            if is_store && generation.is_some_and(|generation| generation > last) {
                return Err(error::corrupt(
                    catalog.path(),
                    format!("it does not know the folder {}, which is newer than anything in it", found.display()),
                ));
            }
            strays.push(found);
        }
    }
    strays.sort();
    Ok(strays)
}

pub(super) fn size_of(path: &Path) -> Result<(u64, u64)> {
    if !is_folder(path)? {
        return Ok((0, 0));
    }
    let (mut files, mut bytes) = (0, 0);
    for found in read_dir(path)? {
        let more = match is_folder(&found)? {
            true => size_of(&found)?,
            false => (1, fs::symlink_metadata(&found).map_err(|e| error::io(&found, e))?.len()),
        };
        (files, bytes) = (files + more.0, bytes + more.1);
    }
    Ok((files, bytes))
}

pub(super) fn read_dir(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>());
    entries.map_err(|e| error::io(path, e))
}
