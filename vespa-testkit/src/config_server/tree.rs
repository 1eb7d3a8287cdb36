//! The files of a session as folders: reading, listing, writing, deleting.

use super::{
    package,
    refusal::{Outcome, Refusal},
};
use crate::content::Files;
use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// A package that can be edited.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) files: Files,
    /// Folders that were made on purpose, so that they may be empty.
    folders: BTreeSet<String>,
    /// The changes to files since the session began.
    marks: BTreeMap<String, &'static str>,
}

/// A place in a tree: without the slashes around it, which say whether a folder was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    path: String,
    folder: bool,
}

impl Place {
    /// From a path below `content`, decoded.
    pub(crate) fn parse(path: &str) -> Outcome<Self> {
        let folder = path.is_empty() || path.ends_with('/');
        if path.split('/').all(str::is_empty) {
            return Ok(Self { path: String::new(), folder: true });
        }
        let path = package::plain(path).ok_or_else(|| Refusal::bad_request(format!("illegal path '{path}'")))?;
        Ok(Self { path, folder })
    }

    fn missing(&self) -> Refusal {
        Refusal::not_found(format!("the package has no '{}'", self.path))
    }
}

/// What is found at a place.
#[derive(Debug)]
pub(crate) enum Found {
    File(Bytes),
    /// Paths; those of folders end in a slash.
    Folder(Vec<String>),
}

impl Tree {
    pub(crate) fn new(files: Files) -> Self {
        Self { files, ..Self::default() }
    }

    /// The same files, not edited yet.
    pub(crate) fn copy(&self) -> Self {
        Self { files: self.files.clone(), folders: self.folders.clone(), marks: BTreeMap::new() }
    }

    fn is_folder(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        path.is_empty()
            || self.folders.iter().any(|folder| folder == path || folder.starts_with(&prefix))
            || self.files.keys().any(|file| file.starts_with(&prefix))
    }

    /// Reads a file or lists a folder. A folder named without its slash gives itself.
    pub(crate) fn get(&self, place: &Place, recursive: bool) -> Outcome<Found> {
        if let Some(content) = self.files.get(&place.path) {
            return Ok(Found::File(content.clone()));
        }
        if !self.is_folder(&place.path) {
            return Err(place.missing());
        }
        if !place.folder {
            return Ok(Found::Folder(vec![format!("{}/", place.path)]));
        }
        Ok(Found::Folder(self.list(&place.path, recursive)))
    }

    fn list(&self, folder: &str, recursive: bool) -> Vec<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let folders = self.folders.iter().map(|folder| format!("{folder}/"));
        let mut listed = BTreeSet::new();
        for path in self.files.keys().cloned().chain(folders) {
            let Some(below) = path.strip_prefix(&prefix).filter(|below| !below.is_empty()) else { continue };
            if below.split('/').any(|segment| segment.starts_with('.')) {
                continue;
            }
            // Every folder on the way down, and at its end the file.
            let mut ends: Vec<usize> = below.match_indices('/').map(|(at, _)| at + 1).collect();
            if !below.ends_with('/') {
                ends.push(below.len());
            }
            let depth = if recursive { ends.len() } else { 1 };
            listed.extend(
                ends.into_iter().take(depth).filter_map(|end| below.get(..end)).map(|end| format!("{prefix}{end}")),
            );
        }
        listed.into_iter().collect()
    }

    /// What `return=status` says: of a file one entry, of a folder one for each of its entries.
    pub(crate) fn status(&self, place: &Place, recursive: bool, base: &str) -> Outcome<Value> {
        if place.folder && self.is_folder(&place.path) {
            let listed = self.list(&place.path, recursive);
            return Ok(listed.iter().map(|path| self.entry(path, base)).collect());
        }
        let known = self.files.contains_key(&place.path) || self.marks.contains_key(&place.path);
        if known || self.is_folder(&place.path) { Ok(self.entry(&place.path, base)) } else { Err(place.missing()) }
    }

    fn entry(&self, path: &str, base: &str) -> Value {
        let md5 = self.files.get(path).map(|content| md5_of(content)).unwrap_or_default();
        json!({
            "name": format!("{base}{path}"),
            "status": self.marks.get(path).copied().unwrap_or("new"),
            "md5": md5,
        })
    }

    /// Writes a file, or makes a folder; the folders above come too.
    pub(crate) fn put(&mut self, place: &Place, content: &Bytes) -> Outcome<()> {
        let above = place.path.match_indices('/').filter_map(|(at, _)| place.path.get(..at));
        if let Some(file) = above.into_iter().find(|above| self.files.contains_key(*above)) {
            return Err(Refusal::bad_request(format!("'{file}' is a file, not a directory")));
        }
        if place.folder {
            if self.files.contains_key(&place.path) {
                return Err(Refusal::bad_request(format!("'{}' is a file, not a directory", place.path)));
            }
            if !place.path.is_empty() {
                self.folders.insert(place.path.clone());
            }
            return Ok(());
        }
        if content.is_empty() {
            return Err(Refusal::bad_request("a file needs a body; a path that ends in a slash makes a directory"));
        }
        if self.is_folder(&place.path) {
            return Err(Refusal::bad_request(format!("'{}' is a directory", place.path)));
        }
        let before = self.files.insert(place.path.clone(), content.clone());
        let new = before.is_none() || self.marks.get(&place.path) == Some(&"new");
        self.marks.insert(place.path.clone(), if new { "new" } else { "changed" });
        Ok(())
    }

    /// Deletes a file or an empty folder.
    pub(crate) fn delete(&mut self, place: &Place) -> Outcome<()> {
        if self.files.remove(&place.path).is_some() {
            self.marks.insert(place.path.clone(), "deleted");
            // The folder stays when its last file goes.
            if let Some((folder, _)) = place.path.rsplit_once('/') {
                self.folders.insert(folder.to_owned());
            }
            return Ok(());
        }
        if !self.is_folder(&place.path) {
            return Err(place.missing());
        }
        let prefix = format!("{}/", place.path);
        let below = self.files.keys().chain(&self.folders).any(|path| path.starts_with(&prefix));
        if below || place.path.is_empty() {
            return Err(Refusal::bad_request(format!("the directory '{}' is not empty", place.path)));
        }
        self.folders.remove(&place.path);
        if let Some((folder, _)) = place.path.rsplit_once('/') {
            self.folders.insert(folder.to_owned());
        }
        Ok(())
    }
}

fn md5_of(content: &[u8]) -> String {
    Md5::digest(content).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
