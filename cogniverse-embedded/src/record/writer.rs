//! The changes of a transaction.

use super::{Change, Place, Record, StoredDocument, Tensors, sums, table};
use crate::{
    index::{DocumentTerms, IndexedDocument},
    tensor_cells,
};
use cogniverse_core::text::Analyzer;
use cogniverse_sdk::{Document, DocumentId, Error, FieldName, Result, Tensor, document::Fields};
use rusqlite::{Transaction, params};
use std::{collections::HashMap, sync::Arc};

/// An open transaction.
pub(crate) struct Writer<'a> {
    pub(super) record: &'a Record,
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) analyzer: Analyzer,
    pub(super) change: Change,
}

impl Writer<'_> {
    /// Stores a document, replacing one of the same id. Its fields are already checked.
    pub(crate) fn put(&mut self, mut document: Document) -> Result<()> {
        let mut cells = Vec::new();
        for field in self.record.layout.tensors() {
            if let Some(cogniverse_sdk::FieldValue::Tensor(tensor)) = document.fields.remove(&field.name) {
                cells.push((field.name.clone(), tensor));
            }
        }
        if let Some(old) = self.record.find(self.transaction, &document.id)? {
            self.delete(old.row)?;
        }
        let tensors = Tensors(cells.iter().map(|(name, _)| name.clone()).collect());
        let (row, terms) = self.insert(&document.id, &document.fields, &tensors)?;
        let mut bits = vec![None; self.record.layout.bits.len()];
        for (name, tensor) in cells {
            self.put_cells((row, &document.id), &name, &tensor, &mut bits)?;
        }
        let floats = tensors.floats(&self.record.layout);
        let fields = document.fields;
        self.change.added.push(IndexedDocument { row, id: document.id, fields, terms, bits, floats });
        Ok(())
    }

    /// Replaces fields of a stored document, moving its other tensors to the new row.
    pub(crate) fn replace(&mut self, old: StoredDocument, mut fields: Fields, tensors: &[FieldName]) -> Result<()> {
        let mut assigned = HashMap::new();
        for name in tensors {
            if let Some(cogniverse_sdk::FieldValue::Tensor(tensor)) = fields.remove(name) {
                assigned.insert(name.clone(), tensor);
            }
        }
        self.execute("DELETE FROM documents WHERE row = ?1", params![old.row])?;
        let kept = |name: &FieldName| match tensors.contains(name) {
            true => assigned.contains_key(name),
            false => old.tensors.0.contains(name),
        };
        let layout = Arc::clone(&self.record.layout);
        let now = Tensors(layout.tensors().map(|field| &field.name).filter(|name| kept(name)).cloned().collect());
        let (row, terms) = self.insert(&old.id, &fields, &now)?;
        let mut bits = vec![None; self.record.layout.bits.len()];
        for field in layout.tensors() {
            let table = table(&field.name);
            if tensors.contains(&field.name) {
                self.execute(&format!("DELETE FROM {table} WHERE row = ?1"), params![old.row])?;
                if let Some(tensor) = assigned.get(&field.name) {
                    self.put_cells((row, &old.id), &field.name, tensor, &mut bits)?;
                }
            } else {
                self.execute(&format!("UPDATE {table} SET row = ?2 WHERE row = ?1"), params![old.row, row])?;
                if let Some(slot) = self.record.layout.bit_field(&field.name).and_then(|index| bits.get_mut(index)) {
                    let place = Place { row, id: &old.id, tensors: &now };
                    *slot = self.record.cells(self.transaction, field, &place)?;
                }
            }
        }
        self.forget(old.row);
        let floats = now.floats(&layout);
        self.change.added.push(IndexedDocument { row, id: old.id, fields, terms, bits, floats });
        Ok(())
    }

    /// Deletes a row and its tensors.
    pub(crate) fn delete(&mut self, row: i64) -> Result<()> {
        self.execute("DELETE FROM documents WHERE row = ?1", params![row])?;
        for field in self.record.layout.tensors() {
            self.execute(&format!("DELETE FROM {} WHERE row = ?1", table(&field.name)), params![row])?;
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

    fn insert(&mut self, id: &DocumentId, fields: &Fields, tensors: &Tensors) -> Result<(i64, DocumentTerms)> {
        let terms = DocumentTerms::of(fields, &self.record.layout, &self.analyzer);
        let json = serde_json::to_string(fields)
            .map_err(|e| Error::unexpected("fields cannot be written as JSON").with_source(e))?;
        let (encoded, tensors) = (terms.encode(), tensors.to_string());
        let sum = sums::document(id, &json, &encoded, &tensors);
        self.execute(
            "INSERT INTO documents (id, fields, terms, tensors, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id.as_str(), json, encoded, tensors, sum],
        )?;
        Ok((self.transaction.last_insert_rowid(), terms))
    }

    fn put_cells(
        &mut self,
        (row, id): (i64, &DocumentId),
        name: &FieldName,
        tensor: &Tensor,
        bits: &mut [Option<Vec<u8>>],
    ) -> Result<()> {
        let half = self
            .record
            .layout
            .tensors()
            .any(|field| field.name == *name && field.row_bytes() == field.tensor.size() * 2);
        let cells = tensor_cells::encode(tensor, half);
        let sum = sums::cells(id, name, &cells);
        let sql = format!("INSERT INTO {} (row, cells, sum) VALUES (?1, ?2, ?3)", table(name));
        self.execute(&sql, params![row, cells, sum])?;
        if let Some(slot) = self.record.layout.bit_field(name).and_then(|index| bits.get_mut(index)) {
            *slot = Some(cells);
        }
        Ok(())
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<()> {
        let mut statement = self.transaction.prepare_cached(sql).map_err(self.record.sqlite())?;
        statement.execute(parameters).map(|_| ()).map_err(self.record.sqlite())
    }
}
