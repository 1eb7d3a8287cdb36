//! The system of record of one tenant schema: a SQLite file in which a feed batch is one transaction.
//!
//! What is derived (terms, packed bits) is stored beside the document it comes from, in the same transaction, with the
//! version of the code that derived it. Nothing can be half-written, and opening derives anew only what is outdated.

use crate::{
    config::Durability,
    error,
    index::{DocumentTerms, IndexedDocument, Snapshot},
    layout::{Layout, TensorField},
    tensor_cells,
};
use cogniverse_core::text::{ANALYZER_VERSION, Analyzer};
use cogniverse_sdk::{
    Document, DocumentId, Error, ErrorKind, FieldName, Result, TenantSchema, Tensor, document::Fields,
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The layout of the file; a newer one is refused.
const FORMAT: i64 = 1;
/// Documents read at once when the index is built.
const LOAD_BATCH: i64 = 8192;

/// The file of one tenant schema.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    schema: TenantSchema,
    layout: Arc<Layout>,
    durability: Durability,
}

/// A document as it stands in the file, without its tensors.
pub(crate) struct StoredDocument {
    pub(crate) row: i64,
    pub(crate) id: DocumentId,
    pub(crate) fields: Fields,
}

/// What a transaction changed, for the index.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) removed: Vec<i64>,
    pub(crate) added: Vec<IndexedDocument>,
    /// The moment that begins when the transaction is committed.
    pub(crate) moment: i64,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl Record {
    pub(crate) fn new(path: PathBuf, schema: TenantSchema, layout: Arc<Layout>, durability: Durability) -> Self {
        Self { path, schema, layout, durability }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn sqlite(&self) -> impl Fn(rusqlite::Error) -> Error + Copy + '_ {
        |e| error::sqlite(&self.path, e)
    }

    /// A connection for reading or writing. The folder must exist.
    pub(crate) fn connect(&self) -> Result<Connection> {
        let connect = || {
            let connection = Connection::open(&self.path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            let synchronous = match self.durability {
                Durability::PowerLoss => "full",
                Durability::ProcessCrash => "normal",
            };
            connection.pragma_update(None, "synchronous", synchronous)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        };
        connect().map_err(self.sqlite())
    }

    /// Makes the tables, checks whose file it is, and derives anew what other code derived.
    pub(crate) fn prepare(&self, connection: &mut Connection) -> Result<()> {
        let transaction = self.begin(connection)?;
        let mut ddl = String::from(
            "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS documents (
               row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, fields TEXT NOT NULL, terms BLOB NOT NULL);",
        );
        for tensor in self.layout.tensors() {
            ddl.push_str(&format!(
                "CREATE TABLE IF NOT EXISTS {} (row INTEGER PRIMARY KEY, cells BLOB NOT NULL);",
                table(&tensor.name)
            ));
        }
        transaction.execute_batch(&ddl).map_err(self.sqlite())?;
        self.check_owner(&transaction)?;
        self.derive_terms(&transaction)?;
        transaction.commit().map_err(self.sqlite())
    }

    pub(crate) fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c>> {
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(self.sqlite())
    }

    fn meta(&self, connection: &Connection, key: &str, wanted: &str) -> Result<Option<String>> {
        let found = connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, String>(0))
            .optional()
            .map_err(self.sqlite())?;
        if found.is_none() {
            connection
                .execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [key, wanted])
                .map_err(self.sqlite())?;
        }
        Ok(found)
    }

    /// A file that was moved to another tenant's folder is refused, whatever its name says.
    fn check_owner(&self, connection: &Connection) -> Result<()> {
        if let Some(format) = self.meta(connection, "format", &FORMAT.to_string())? {
            let format: i64 = format.parse().map_err(|_| error::corrupt(&self.path, "its format is not a number"))?;
            if format > FORMAT {
                return Err(Error::new(
                    ErrorKind::FailedPrecondition,
                    format!(
                        "{} has format {format} and this version knows {FORMAT}; use a newer cogniverse",
                        self.path.display()
                    ),
                ));
            }
        }
        for (key, wanted) in [("tenant", self.schema.tenant().as_str()), ("base", self.schema.base().as_str())] {
            if let Some(found) = self.meta(connection, key, wanted)?
                && found != wanted
            {
                return Err(error::corrupt(&self.path, format!("it belongs to {key} {found}, not to {wanted}")));
            }
        }
        Ok(())
    }

    fn derive_terms(&self, transaction: &Transaction<'_>) -> Result<()> {
        let names: Vec<&str> = self.layout.texts.iter().map(FieldName::as_str).collect();
        let wanted = format!("{ANALYZER_VERSION}:{}", names.join(","));
        match self.meta(transaction, "terms", &wanted)? {
            Some(found) if found != wanted => {}
            _ => return Ok(()),
        }
        tracing::info!(schema = %self.schema, "deriving terms anew");
        let analyzer = Analyzer::new();
        let mut after = 0;
        loop {
            let stored = self.documents_after(transaction, after)?;
            let Some(last) = stored.last() else { break };
            after = last.row;
            let mut update =
                transaction.prepare_cached("UPDATE documents SET terms = ?2 WHERE row = ?1").map_err(self.sqlite())?;
            for document in &stored {
                let terms = DocumentTerms::of(&document.fields, &self.layout, &analyzer).encode();
                update.execute(params![document.row, terms]).map_err(self.sqlite())?;
            }
        }
        transaction
            .execute("UPDATE meta SET value = ?1 WHERE key = 'terms'", [wanted])
            .map(|_| ())
            .map_err(self.sqlite())
    }

    fn documents_after(&self, connection: &Connection, after: i64) -> Result<Vec<StoredDocument>> {
        let mut select = connection
            .prepare_cached("SELECT row, id, fields FROM documents WHERE row > ?1 ORDER BY row LIMIT ?2")
            .map_err(self.sqlite())?;
        let mut rows = select.query(params![after, LOAD_BATCH]).map_err(self.sqlite())?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            documents.push(self.stored(row)?);
        }
        Ok(documents)
    }

    /// Reads (row, id, fields).
    fn stored(&self, row: &rusqlite::Row<'_>) -> Result<StoredDocument> {
        let number: i64 = row.get(0).map_err(self.sqlite())?;
        let id = row.get_ref(1).map_err(self.sqlite())?;
        let id = id.as_str().ok().and_then(|id| DocumentId::parse(id).ok());
        let id = id.ok_or_else(|| error::corrupt(&self.path, format!("row {number} has no document id")))?;
        let fields = row.get_ref(2).map_err(self.sqlite())?;
        let fields = fields.as_str().ok().and_then(|fields| serde_json::from_str(fields).ok());
        let fields = fields.ok_or_else(|| error::corrupt(&self.path, format!("document {id} cannot be read")))?;
        Ok(StoredDocument { row: number, id, fields })
    }

    /// The number of the last write. Reading it fixes what a transaction of the connection sees.
    pub(crate) fn moment(&self, connection: &Connection) -> Result<i64> {
        let mut select = connection
            .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'moment'")
            .map_err(self.sqlite())?;
        Ok(select.query_row([], |row| row.get(0)).optional().map_err(self.sqlite())?.unwrap_or(0))
    }

    /// Whether any document has a vector of a tensor field.
    pub(crate) fn has_cells(&self, connection: &Connection, field: &FieldName) -> Result<bool> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table(field));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        select.query_row([], |row| row.get(0)).map_err(self.sqlite())
    }

    /// The whole index, from what is stored.
    pub(crate) fn load(&self, connection: &Connection) -> Result<Snapshot> {
        let mut snapshot = Snapshot::empty(Arc::clone(&self.layout)).at(self.moment(connection)?);
        let mut after = 0;
        loop {
            let batch = self.load_after(connection, after)?;
            let Some(last) = batch.last() else { return Ok(snapshot) };
            after = last.row;
            snapshot = snapshot.next(&[], batch);
        }
    }

    fn load_after(&self, connection: &Connection, after: i64) -> Result<Vec<IndexedDocument>> {
        let mut select = connection
            .prepare_cached("SELECT row, id, fields, terms FROM documents WHERE row > ?1 ORDER BY row LIMIT ?2")
            .map_err(self.sqlite())?;
        let mut rows = select.query(params![after, LOAD_BATCH]).map_err(self.sqlite())?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let stored = self.stored(row)?;
            let terms = row.get_ref(3).map_err(self.sqlite())?;
            let terms = terms.as_blob().ok().and_then(|terms| DocumentTerms::decode(terms, self.layout.texts.len()));
            let terms = terms.ok_or_else(|| {
                error::corrupt(&self.path, format!("the terms of document {} cannot be read", stored.id))
            })?;
            let bits = vec![None; self.layout.bits.len()];
            documents.push(IndexedDocument { row: stored.row, id: stored.id, fields: stored.fields, terms, bits });
        }
        let (Some(first), Some(last)) = (documents.first().map(|d| d.row), documents.last().map(|d| d.row)) else {
            return Ok(documents);
        };
        for (index, field) in self.layout.bits.iter().enumerate() {
            let mut cells = self.cells_between(connection, field, first, last)?;
            for document in &mut documents {
                if let Some(slot) = document.bits.get_mut(index) {
                    *slot = cells.remove(&document.row);
                }
            }
        }
        Ok(documents)
    }

    fn cells_between(
        &self,
        connection: &Connection,
        field: &TensorField,
        first: i64,
        last: i64,
    ) -> Result<HashMap<i64, Vec<u8>>> {
        let sql = format!("SELECT row, cells FROM {} WHERE row BETWEEN ?1 AND ?2", table(&field.name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let rows = select
            .query_map([first, last], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))
            .map_err(self.sqlite())?;
        let cells: HashMap<i64, Vec<u8>> = rows.collect::<rusqlite::Result<_>>().map_err(self.sqlite())?;
        match cells.iter().find(|(_, cells)| !cells.len().is_multiple_of(field.row_bytes())) {
            Some((row, _)) => {
                Err(error::corrupt(&self.path, format!("the vectors \"{}\" of row {row} are cut", field.name)))
            }
            None => Ok(cells),
        }
    }

    /// Calls `each` with the row and the cells of every vector between two rows, in order of row.
    pub(crate) fn for_cells(
        &self,
        connection: &Connection,
        field: &TensorField,
        (first, last): (i64, i64),
        mut each: impl FnMut(i64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let sql = format!("SELECT row, cells FROM {} WHERE row BETWEEN ?1 AND ?2 ORDER BY row", table(&field.name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let mut rows = select.query([first, last]).map_err(self.sqlite())?;
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let number = row.get(0).map_err(self.sqlite())?;
            let cells = row.get_ref(1).map_err(self.sqlite())?;
            each(
                number,
                cells
                    .as_blob()
                    .map_err(|_| error::corrupt(&self.path, format!("row {number} of {} is no blob", field.name)))?,
            )?;
        }
        Ok(())
    }

    /// Bytes of the vectors between two rows.
    pub(crate) fn cell_bytes(
        &self,
        connection: &Connection,
        field: &TensorField,
        (first, last): (i64, i64),
    ) -> Result<usize> {
        let sql =
            format!("SELECT coalesce(sum(length(cells)), 0) FROM {} WHERE row BETWEEN ?1 AND ?2", table(&field.name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let bytes: i64 = select.query_row([first, last], |row| row.get(0)).map_err(self.sqlite())?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// The stored cells of one row.
    pub(crate) fn cells(&self, connection: &Connection, field: &FieldName, row: i64) -> Result<Option<Vec<u8>>> {
        let sql = format!("SELECT cells FROM {} WHERE row = ?1", table(field));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        select.query_row([row], |row| row.get(0)).optional().map_err(self.sqlite())
    }

    /// The document of a row, where it is still there.
    pub(crate) fn document(&self, connection: &Connection, row: i64) -> Result<Option<StoredDocument>> {
        self.select_one(connection, "SELECT row, id, fields FROM documents WHERE row = ?1", params![row])
    }

    /// The document of an id.
    pub(crate) fn find(&self, connection: &Connection, id: &DocumentId) -> Result<Option<StoredDocument>> {
        self.select_one(connection, "SELECT row, id, fields FROM documents WHERE id = ?1", params![id.as_str()])
    }

    fn select_one(
        &self,
        connection: &Connection,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<StoredDocument>> {
        let mut select = connection.prepare_cached(sql).map_err(self.sqlite())?;
        let mut rows = select.query(parameters).map_err(self.sqlite())?;
        match rows.next().map_err(self.sqlite())? {
            Some(row) => self.stored(row).map(Some),
            None => Ok(None),
        }
    }

    /// Documents with larger ids, in order of id.
    pub(crate) fn page(&self, connection: &Connection, after: &str, limit: usize) -> Result<Vec<StoredDocument>> {
        let mut select = connection
            .prepare_cached("SELECT row, id, fields FROM documents WHERE id > ?1 ORDER BY id LIMIT ?2")
            .map_err(self.sqlite())?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![after, limit]).map_err(self.sqlite())?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            documents.push(self.stored(row)?);
        }
        Ok(documents)
    }

    /// A stored document with its tensors as they were put (bfloat16 as truncated).
    pub(crate) fn complete(&self, connection: &Connection, stored: StoredDocument) -> Result<Document> {
        let mut document = Document { id: stored.id, fields: stored.fields };
        for field in self.layout.tensors() {
            if let Some(cells) = self.cells(connection, &field.name, stored.row)? {
                let tensor = tensor_cells::decode(&cells, field).ok_or_else(|| {
                    error::corrupt(&self.path, format!("the vectors \"{}\" of {} are cut", field.name, document.id))
                })?;
                document.fields.insert(field.name.clone(), tensor.into());
            }
        }
        Ok(document)
    }

    /// What `work` changes in a transaction, which the caller commits: all of it is stored then, or nothing is.
    pub(crate) fn change(
        &self,
        transaction: &Transaction<'_>,
        work: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<Change> {
        let mut writer = Writer { record: self, transaction, analyzer: Analyzer::new(), change: Change::default() };
        work(&mut writer)?;
        let mut change = writer.change;
        if !change.is_empty() {
            change.moment = self.moment(transaction)? + 1;
            transaction
                .execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('moment', ?1)", [change.moment.to_string()])
                .map_err(self.sqlite())?;
        }
        Ok(change)
    }
}

/// A transaction under way.
pub(crate) struct Writer<'a> {
    record: &'a Record,
    transaction: &'a Transaction<'a>,
    analyzer: Analyzer,
    change: Change,
}

impl Writer<'_> {
    /// Stores a document in place of one of the same id. Its fields were checked.
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
        let (row, terms) = self.insert(&document.id, &document.fields)?;
        let mut bits = vec![None; self.record.layout.bits.len()];
        for (name, tensor) in cells {
            self.put_cells(row, &name, &tensor, &mut bits)?;
        }
        self.change.added.push(IndexedDocument { row, id: document.id, fields: document.fields, terms, bits });
        Ok(())
    }

    /// Replaces fields of a stored document, whose other tensors move to the new row.
    pub(crate) fn replace(&mut self, old: StoredDocument, mut fields: Fields, tensors: &[FieldName]) -> Result<()> {
        let mut assigned = HashMap::new();
        for name in tensors {
            if let Some(cogniverse_sdk::FieldValue::Tensor(tensor)) = fields.remove(name) {
                assigned.insert(name.clone(), tensor);
            }
        }
        self.execute("DELETE FROM documents WHERE row = ?1", params![old.row])?;
        let (row, terms) = self.insert(&old.id, &fields)?;
        let mut bits = vec![None; self.record.layout.bits.len()];
        for field in self.record.layout.tensors() {
            let table = table(&field.name);
            if tensors.contains(&field.name) {
                self.execute(&format!("DELETE FROM {table} WHERE row = ?1"), params![old.row])?;
                if let Some(tensor) = assigned.get(&field.name) {
                    self.put_cells(row, &field.name, tensor, &mut bits)?;
                }
            } else {
                self.execute(&format!("UPDATE {table} SET row = ?2 WHERE row = ?1"), params![old.row, row])?;
                if let Some(slot) = self.record.layout.bit_field(&field.name).and_then(|index| bits.get_mut(index)) {
                    *slot = self.record.cells(self.transaction, &field.name, row)?;
                }
            }
        }
        self.forget(old.row);
        self.change.added.push(IndexedDocument { row, id: old.id, fields, terms, bits });
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

    /// A document written twice in one batch is never shown twice: the index gets only its last row.
    fn forget(&mut self, row: i64) {
        match self.change.added.binary_search_by_key(&row, |added| added.row) {
            Ok(index) => drop(self.change.added.remove(index)),
            Err(_) => self.change.removed.push(row),
        }
    }

    /// The document of an id, as this transaction sees it.
    pub(crate) fn find(&self, id: &DocumentId) -> Result<Option<StoredDocument>> {
        self.record.find(self.transaction, id)
    }

    fn insert(&mut self, id: &DocumentId, fields: &Fields) -> Result<(i64, DocumentTerms)> {
        let terms = DocumentTerms::of(fields, &self.record.layout, &self.analyzer);
        let json = serde_json::to_string(fields)
            .map_err(|e| Error::unexpected("fields cannot be written as JSON").with_source(e))?;
        self.execute(
            "INSERT INTO documents (id, fields, terms) VALUES (?1, ?2, ?3)",
            params![id.as_str(), json, terms.encode()],
        )?;
        Ok((self.transaction.last_insert_rowid(), terms))
    }

    fn put_cells(&mut self, row: i64, name: &FieldName, tensor: &Tensor, bits: &mut [Option<Vec<u8>>]) -> Result<()> {
        let half = self
            .record
            .layout
            .tensors()
            .any(|field| field.name == *name && field.row_bytes() == field.tensor.size() * 2);
        let cells = tensor_cells::encode(tensor, half);
        self.execute(&format!("INSERT INTO {} (row, cells) VALUES (?1, ?2)", table(name)), params![row, cells])?;
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

/// The table of a tensor field. Field names are `[A-Za-z0-9_]`, so the quotes hold.
fn table(field: &FieldName) -> String {
    format!("\"vectors_{field}\"")
}
