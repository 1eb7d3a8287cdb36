//! The changes of a transaction.

use super::{Change, Record, StoredDocument, Tensors, sums};
use crate::{
    index::{CellsAt, DocumentTerms, IndexedDocument},
    layout::TensorField,
    tensor_cells,
    vectors::{Appender, VectorFiles},
};
use cogniverse_sdk::{Document, DocumentId, Error, FieldName, Result, Tensor, document::Fields};
use rusqlite::{OptionalExtension, Transaction, params};
use std::{collections::HashMap, sync::Arc};

/// An open transaction.
pub(crate) struct Writer<'a> {
    pub(super) record: &'a Record,
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) files: &'a VectorFiles,
    pub(super) vectors: Appender,
    pub(super) change: Change,
}

impl Writer<'_> {
    /// Stores a document, replacing one of the same id. Its fields are already checked.
    pub(crate) fn put(&mut self, mut document: Document) -> Result<()> {
        let layout = Arc::clone(&self.record.layout);
        if let Some(old) = self.row_of(&document.id)? {
            self.delete(old)?;
        }
        let (mut tensors, mut bits) = (Tensors::default(), vec![None; layout.bits.len()]);
        for field in layout.tensors() {
            if let Some(cogniverse_sdk::FieldValue::Tensor(tensor)) = document.fields.remove(&field.name) {
                let at = self.append(&document.id, field, &tensor, &mut bits)?;
                tensors.0.push((field.name.clone(), at));
            }
        }
        let (row, terms) = self.insert(&document.id, &document.fields, &tensors)?;
        let (floats, fields) = (tensors.floats(&layout), document.fields);
        self.change.added.push(IndexedDocument { row, id: document.id, fields, terms, bits, floats });
        Ok(())
    }

    /// Replaces fields of a stored document. Its other vectors stay where they are, under the new row.
    pub(crate) fn replace(&mut self, old: StoredDocument, mut fields: Fields, tensors: &[FieldName]) -> Result<()> {
        let mut assigned = HashMap::new();
        for name in tensors {
            if let Some(cogniverse_sdk::FieldValue::Tensor(tensor)) = fields.remove(name) {
                assigned.insert(name.clone(), tensor);
            }
        }
        self.execute("DELETE FROM documents WHERE row = ?1", params![old.row])?;
        let layout = Arc::clone(&self.record.layout);
        let (mut now, mut bits) = (Tensors::default(), vec![None; layout.bits.len()]);
        // Vectors of a field that the schema no longer has go as well.
        let is_kept = |name: &FieldName| !tensors.contains(name) && layout.tensors().any(|field| field.name == *name);
        old.tensors.0.iter().filter(|(name, _)| !is_kept(name)).for_each(|(_, at)| self.vectors.forget(*at));
        for field in layout.tensors() {
            let at = match (assigned.get(&field.name), old.tensors.get(&field.name)) {
                (Some(tensor), _) => self.append(&old.id, field, tensor, &mut bits)?,
                (None, Some(at)) if !tensors.contains(&field.name) => {
                    if let Some(slot) = layout.bit_field(&field.name).and_then(|index| bits.get_mut(index)) {
                        *slot = Some(self.cells(field, &old.id, at)?);
                    }
                    at
                }
                _ => continue,
            };
            now.0.push((field.name.clone(), at));
        }
        let (row, terms) = self.insert(&old.id, &fields, &now)?;
        self.forget(old.row);
        let floats = now.floats(&layout);
        self.change.added.push(IndexedDocument { row, id: old.id, fields, terms, bits, floats });
        Ok(())
    }

    /// Deletes a row and forgets its vectors.
    pub(crate) fn delete(&mut self, row: i64) -> Result<()> {
        let sql = "DELETE FROM documents WHERE row = ?1 RETURNING tensors";
        let sqlite = self.record.sqlite();
        let mut delete = self.transaction.prepare_cached(sql).map_err(sqlite)?;
        let deleted: Option<String> = delete.query_row([row], |row| row.get(0)).optional().map_err(sqlite)?;
        let tensors = deleted.as_deref().map(|tensors| {
            let cut = || self.record.damaged(format!("row {row} is not as it was written"));
            Tensors::parse(tensors).ok_or_else(cut)
        });
        for (_, at) in tensors.transpose()?.unwrap_or_default().0 {
            self.vectors.forget(at);
        }
        self.forget(row);
        Ok(())
    }

    /// Forgets an earlier row of this batch, so that the index gets only the last one of a document.
    fn forget(&mut self, row: i64) {
        match self.change.added.binary_search_by_key(&row, |added| added.row) {
            Ok(index) => drop(self.change.added.remove(index)),
            Err(_) => self.change.removed.push(row),
        }
    }

    /// Returns the document of an id, as seen by this transaction.
    pub(crate) fn find(&self, id: &DocumentId) -> Result<Option<StoredDocument>> {
        self.record.find(self.transaction, id)
    }

    /// Returns the row of an id, as seen by this transaction.
    fn row_of(&self, id: &DocumentId) -> Result<Option<i64>> {
        let sqlite = self.record.sqlite();
        let mut select = self.transaction.prepare_cached("SELECT row FROM documents WHERE id = ?1").map_err(sqlite)?;
        select.query_row([id.as_str()], |row| row.get(0)).optional().map_err(sqlite)
    }

    fn insert(&mut self, id: &DocumentId, fields: &Fields, tensors: &Tensors) -> Result<(i64, DocumentTerms)> {
        let terms = DocumentTerms::of(fields, &self.record.layout);
        let json = serde_json::to_string(fields)
            .map_err(|e| Error::unexpected("fields cannot be written as JSON").with_source(e))?;
        let tensors = tensors.to_string();
        let sum = sums::document(id.as_str(), &json, &tensors);
        self.execute(
            "INSERT INTO documents (id, fields, tensors, sum) VALUES (?1, ?2, ?3, ?4)",
            params![id.as_str(), json, tensors, sum],
        )?;
        Ok((self.transaction.last_insert_rowid(), terms))
    }

    fn append(
        &mut self,
        id: &DocumentId,
        field: &TensorField,
        tensor: &Tensor,
        bits: &mut [Option<Vec<u8>>],
    ) -> Result<CellsAt> {
        let cells = tensor_cells::encode(tensor, field.row_bytes() == field.tensor.size() * 2);
        let at = self.vectors.append(&cells, sums::cells(id.as_str().as_bytes(), &field.name, &cells))?;
        if let Some(slot) = self.record.layout.bit_field(&field.name).and_then(|index| bits.get_mut(index)) {
            *slot = Some(cells);
        }
        Ok(at)
    }

    /// Returns stored cells, which this transaction may have appended itself.
    fn cells(&mut self, field: &TensorField, id: &DocumentId, at: CellsAt) -> Result<Vec<u8>> {
        match self.record.cells(self.files, field, id.as_str().as_bytes(), at) {
            Ok(cells) => Ok(cells.to_vec()),
            Err(damaged) => {
                let appended = self.vectors.read(at)?;
                appended
                    .filter(|cells| sums::cells(id.as_str().as_bytes(), &field.name, cells) == at.sum)
                    .ok_or(damaged)
            }
        }
    }

    /// Moves all vectors that lie in a file to the end of the last one, and records that the file is to be removed. `rows` are
    /// documents that are known to have some there, and `vectors` is how many there are.
    pub(crate) fn empty_file(&mut self, number: u32, vectors: u64, rows: Vec<i64>) -> Result<()> {
        self.vectors.leave(number)?;
        for row in rows {
            self.move_out(row, number)?;
        }
        if self.vectors.forgotten(number) < vectors {
            for row in self.record.rows_in_file(self.transaction, number)? {
                self.move_out(row, number)?;
            }
        }
        match self.vectors.forgotten(number) == vectors {
            true => self.record.begin_removal(self.transaction, number),
            false => Err(self.record.damaged(format!("not all documents with vectors in file {number} are found"))),
        }
    }

    fn move_out(&mut self, row: i64, number: u32) -> Result<()> {
        let Some(mut old) = self.record.document(self.transaction, row)? else { return Ok(()) };
        let layout = Arc::clone(&self.record.layout);
        let in_file: Vec<usize> =
            (0..).zip(&old.tensors.0).filter(|(_, (_, at))| at.file == number).map(|(n, _)| n).collect();
        for tensor in &in_file {
            let Some((name, at)) = old.tensors.0.get_mut(*tensor) else { continue };
            // Those of a field that the schema no longer has are left out by `replace`.
            if let Some(field) = layout.tensors().find(|field| field.name == *name) {
                let cells = self.cells(field, &old.id, *at)?;
                self.vectors.forget(*at);
                *at = self.vectors.append(&cells, at.sum)?;
            }
        }
        if !in_file.is_empty() {
            let fields = std::mem::take(&mut old.fields);
            self.replace(old, fields, &[])?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<()> {
        let mut statement = self.transaction.prepare_cached(sql).map_err(self.record.sqlite())?;
        statement.execute(parameters).map(|_| ()).map_err(self.record.sqlite())
    }
}
