//! Verification of a whole store.

use super::{Record, sums};
use crate::vectors::VectorFiles;
use cogniverse_sdk::{DocumentId, Error, ErrorKind, Result};
use rusqlite::Connection;

/// The largest number of damages that are listed; others are only counted.
const NAMED: usize = 100;

/// The result of verifying a whole store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verification {
    /// The number of documents read.
    pub documents: u64,
    /// The number of documents' tensor fields read.
    pub vectors: u64,
    /// The first hundred damages.
    pub damages: Vec<Damage>,
    /// The number of damages, listed or not.
    pub damaged: u64,
}

/// A damaged part of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The document, where it can be determined.
    pub document: Option<DocumentId>,
    /// The kind of damage.
    pub what: String,
}

impl Verification {
    /// Returns whether no damage was found.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damaged == 0
    }

    fn add(&mut self, document: Option<DocumentId>, what: String) {
        self.damaged += 1;
        if self.damages.len() < NAMED {
            self.damages.push(Damage { document, what });
        }
    }

    fn note(&mut self, document: Option<&DocumentId>, result: Result<()>) -> Result<()> {
        match result {
            Err(e) if e.kind() == ErrorKind::Corrupt => self.add(document.cloned(), e.chain()),
            other => return other,
        }
        Ok(())
    }
}

impl Record {
    /// Reads every document and vector of a consistent view.
    pub(crate) fn verify(&self, connection: &Connection, files: &VectorFiles) -> Result<Verification> {
        let mut found = Verification::default();
        let checked = self.check_pages(connection, &mut found);
        found.note(None, checked)?;
        let order = self.check_table_order(connection);
        found.note(None, order)?;
        let mut after = 0;
        loop {
            let rows = match self.rows_after(connection, after) {
                Ok(rows) => rows,
                Err(e) => {
                    found.note(None, Err(e))?;
                    break;
                }
            };
            let Some(last) = rows.last() else { break };
            after = *last;
            for row in rows {
                self.verify_one((connection, files), row, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Verifies a file that is not opened as a store, as far as it is of this version's format.
    pub(crate) fn verify_alone(&self, connection: &Connection) -> Result<Verification> {
        self.require_format(connection)?;
        let files = self.vector_files(connection, &VectorFiles::default())?;
        self.verify(connection, &files)
    }

    fn verify_one(
        &self,
        (connection, files): (&Connection, &VectorFiles),
        row: i64,
        found: &mut Verification,
    ) -> Result<()> {
        found.documents += 1;
        let stored = match self.document(connection, row) {
            Ok(Some(stored)) => stored,
            Ok(None) => return found.note(None, Err(self.damaged(format!("row {row} is listed and not there")))),
            Err(e) => return found.note(None, Err(e)),
        };
        for field in self.layout.tensors() {
            let Some(at) = stored.tensors.get(&field.name) else { continue };
            found.vectors += 1;
            let id = stored.id.as_str().as_bytes();
            let cells = files.verify(at, |cells| sums::cells(id, &field.name, cells));
            found.note(Some(&stored.id), cells.map(drop).ok_or_else(|| self.not_as_written(field, id)))?;
        }
        Ok(())
    }

    /// Runs SQLite's own check of its pages and indexes.
    fn check_pages(&self, connection: &Connection, found: &mut Verification) -> Result<()> {
        let mut check = connection.prepare("PRAGMA integrity_check").map_err(self.sqlite())?;
        let mut rows = check.query([]).map_err(self.sqlite())?;
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let said: String = row.get(0).map_err(self.sqlite())?;
            if said != "ok" {
                found.add(None, format!("SQLite says of {}: {said}", self.path.display()));
            }
        }
        Ok(())
    }

    fn rows_after(&self, connection: &Connection, after: i64) -> Result<Vec<i64>> {
        let mut select = connection
            .prepare_cached("SELECT row FROM documents NOT INDEXED WHERE row > ?1 ORDER BY row LIMIT 1000")
            .map_err(self.sqlite())?;
        let rows = select.query_map([after], |row| row.get(0)).map_err(self.sqlite())?;
        rows.collect::<rusqlite::Result<_>>().map_err(self.sqlite())
    }

    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> Error {
        crate::error::corrupt(&self.path, what)
            .with_context("tenant", self.schema.tenant())
            .with_context("schema", self.schema.base())
    }
}
