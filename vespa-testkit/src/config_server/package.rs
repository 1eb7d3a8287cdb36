//! Application packages as they are sent: zip, gzipped tar, or one of the two as a part of a form.

use super::{
    form,
    refusal::{Outcome, Refusal},
};
use crate::{content::Files, message::Request};
use bytes::Bytes;
use flate2::read::GzDecoder;
use std::io::{Cursor, Read};

/// How much a package may hold, unpacked. Vespa's bound is 8 GiB.
const MAX_UNPACKED_BYTES: u64 = 256 << 20;
/// How many files a package may hold.
const MAX_FILES: usize = 10_000;

/// A package, with the parameters that a form brought along.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) files: Files,
    pub(crate) parameters: Vec<(String, String)>,
}

/// Reads the package in a request's body.
pub(crate) fn read(request: &Request) -> Outcome<Sent> {
    let Some(kind) = request.content_type() else {
        return Err(Refusal::bad_request("the request has no Content-Type"));
    };
    if request.body.is_empty() {
        return Err(Refusal::bad_request("the request holds no application package"));
    }
    if kind == "multipart/form-data" {
        let form = form::read(request)?;
        let package = form.package.ok_or_else(|| Refusal::bad_request("the form has no part 'applicationPackage'"))?;
        return Ok(Sent { files: unpack(&package.kind, &package.content)?, parameters: form.parameters });
    }
    Ok(Sent { files: unpack(kind, &request.body)?, parameters: Vec::new() })
}

fn unpack(kind: &str, packed: &Bytes) -> Outcome<Files> {
    let files = match kind {
        "application/zip" => unzip(packed)?,
        "application/x-gzip" => untar(packed)?,
        other => {
            return Err(Refusal::bad_request(format!(
                "Content-Type '{other}' is not that of a package: application/zip, application/x-gzip or multipart/form-data"
            )));
        }
    };
    Ok(with_schemas_moved(without_outer_folder(files)))
}

/// Collects files within the bounds.
#[derive(Debug)]
struct Unpacked {
    files: Files,
    /// The number of bytes that may still be read.
    left: u64,
}

impl Default for Unpacked {
    fn default() -> Self {
        Self { files: Files::new(), left: MAX_UNPACKED_BYTES }
    }
}

impl Unpacked {
    fn add(&mut self, name: &str, content: impl Read) -> Outcome<()> {
        let Some(path) = plain(name) else {
            return Err(Refusal::invalid_package(format!("Invalid application package: illegal path '{name}'")));
        };
        let mut bytes = Vec::new();
        let read = content.take(self.left + 1).read_to_end(&mut bytes).map_err(broken)?;
        let left = u64::try_from(read).ok().and_then(|read| self.left.checked_sub(read));
        let Some(left) = left.filter(|_| self.files.len() < MAX_FILES) else {
            return Err(Refusal::bad_request(format!(
                "the application package holds more than {} MiB or {MAX_FILES} files",
                MAX_UNPACKED_BYTES >> 20
            )));
        };
        self.left = left;
        self.files.insert(path, bytes.into());
        Ok(())
    }
}

fn unzip(packed: &Bytes) -> Outcome<Files> {
    let mut archive = zip::ZipArchive::new(Cursor::new(packed)).map_err(broken)?;
    let mut unpacked = Unpacked::default();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(broken)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(broken)?.into_owned();
        unpacked.add(&name, entry)?;
    }
    Ok(unpacked.files)
}

fn untar(packed: &Bytes) -> Outcome<Files> {
    let mut archive = tar::Archive::new(GzDecoder::new(packed.as_ref()));
    let mut unpacked = Unpacked::default();
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        unpacked.add(&name, entry)?;
    }
    Ok(unpacked.files)
}

fn broken(cause: impl std::fmt::Display) -> Refusal {
    Refusal::bad_request(format!("the application package can not be unpacked: {cause}"))
}

/// A path within a package; none where it leads out of it.
pub(crate) fn plain(name: &str) -> Option<String> {
    let segments: Vec<&str> = name.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    let inside = !segments.is_empty() && !name.contains(['\\', '\0']) && segments.iter().all(|part| *part != "..");
    inside.then(|| segments.join("/"))
}

/// The folder that holds everything, where there is one, is not part of the paths.
fn without_outer_folder(files: Files) -> Files {
    let outer = files.keys().next().and_then(|path| path.split_once('/')).map(|(outer, _)| format!("{outer}/"));
    match outer {
        Some(outer) if files.keys().all(|path| path.starts_with(&outer)) => files
            .into_iter()
            .map(|(path, content)| (path.strip_prefix(&outer).unwrap_or(&path).to_owned(), content))
            .collect(),
        _ => files,
    }
}

/// `searchdefinitions/` is the old name of `schemas/`.
pub(crate) fn with_schemas_moved(files: Files) -> Files {
    let moved = |path: String| match path.strip_prefix("searchdefinitions/") {
        Some(name) => format!("schemas/{name}"),
        None => path,
    };
    files.into_iter().map(|(path, content)| (moved(path), content)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_package() {
        let table = [
            ("schemas/a.sd", Some("schemas/a.sd")),
            ("./schemas//a.sd", Some("schemas/a.sd")),
            ("/etc/passwd", Some("etc/passwd")),
            ("../a", None),
            ("schemas/../../a", None),
            ("a\\b", None),
            ("", None),
        ];
        for (name, path) in table {
            assert_eq!(plain(name).as_deref(), path, "{name}");
        }
    }

    #[test]
    fn what_a_package_holds_is_bounded() {
        let mut unpacked = Unpacked { left: 10, ..Unpacked::default() };
        assert!(unpacked.add("a", [0; 6].as_slice()).is_ok());
        assert!(unpacked.add("b", [0; 5].as_slice()).is_err(), "eleven bytes in all");
        assert!(unpacked.add("b", [0; 4].as_slice()).is_ok());
        let mut unpacked = Unpacked::default();
        for number in 0..MAX_FILES {
            assert!(unpacked.add(&number.to_string(), [].as_slice()).is_ok());
        }
        assert!(unpacked.add("one more", [].as_slice()).is_err());
    }

    #[test]
    fn an_outer_folder_and_the_old_name_of_schemas_go() {
        let files = |paths: &[&str]| paths.iter().map(|path| ((*path).to_owned(), Bytes::new())).collect::<Files>();
        let names = |files: Files| files.into_keys().collect::<Vec<_>>();
        let outer = without_outer_folder(files(&["app/services.xml", "app/schemas/a.sd"]));
        assert_eq!(names(outer), ["schemas/a.sd", "services.xml"]);
        let flat = without_outer_folder(files(&["services.xml", "schemas/a.sd"]));
        assert_eq!(names(flat), ["schemas/a.sd", "services.xml"]);
        assert_eq!(names(with_schemas_moved(files(&["searchdefinitions/a.sd"]))), ["schemas/a.sd"]);
    }
}
