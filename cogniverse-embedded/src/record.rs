//! The system of record of one tenant schema: a SQLite file in which a feed batch is one transaction.
//!
//! Derived data (terms, packed bits) is stored with its document in one transaction, along with the version of the
//! code that derived it. Nothing can be partially written, and an open re-derives only what is outdated.

mod format;
mod sums;
mod verify;
mod writer;

pub use verify::{Damage, Verification};
pub(crate) use writer::Writer;

use crate::{
    config::Durability,
    error,
    index::{CellsAt, DocumentTerms, IndexedDocument, Snapshot},
    layout::{Layout, TensorField},
    tensor_cells,
};
use cogniverse_core::text::Analyzer;
use cogniverse_sdk::{Document, DocumentId, Error, FieldName, KeptFile, Result, TenantSchema, document::Fields};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The columns that [`Record::stored`] reads.
const DOCUMENT: &str = "SELECT row, id, fields, terms, tensors, sum FROM documents";
/// The number of documents read at once when the index is built.
const LOAD_BATCH: i64 = 8192;

/// The file of one tenant schema.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    schema: TenantSchema,
    layout: Arc<Layout>,
    durability: Durability,
    kept: Option<KeptFile>,
}

/// A document as stored, without its tensors.
pub(crate) struct StoredDocument {
    pub(crate) row: i64,
    pub(crate) id: DocumentId,
    pub(crate) fields: Fields,
    pub(crate) tensors: Tensors,
}

impl StoredDocument {
    pub(crate) fn place(&self) -> Place<'_> {
        Place { row: self.row, id: &self.id, tensors: &self.tensors }
    }
}

/// The tensor fields of which a document has vectors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tensors(pub(crate) Vec<FieldName>);

impl Tensors {
    /// Returns which of the layout's float fields are included.
    pub(crate) fn floats(&self, layout: &Layout) -> Vec<Option<CellsAt>> {
        let at = CellsAt { file: 0, offset: 0, bytes: 1, sum: 0 };
        layout.floats.iter().map(|field| self.0.contains(&field.name).then_some(at)).collect()
    }
}

impl std::fmt::Display for Tensors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for name in &self.0 {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// The location of a document's vectors, with the expected owner and presence.
pub(crate) struct Place<'a> {
    pub(crate) row: i64,
    pub(crate) id: &'a DocumentId,
    pub(crate) tensors: &'a Tensors,
}

/// The changes of a transaction, for the index.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) removed: Vec<i64>,
    pub(crate) added: Vec<IndexedDocument>,
    /// The number of the write that the commit creates.
    pub(crate) moment: i64,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl Record {
    pub(crate) fn new(path: PathBuf, schema: TenantSchema, layout: Arc<Layout>, durability: Durability) -> Self {
        Self { path, schema, layout, durability, kept: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn sqlite(&self) -> impl Fn(rusqlite::Error) -> Error + Copy + '_ {
        |e| error::sqlite(&self.path, e)
    }

    /// Sets the file that the path must keep naming.
    pub(crate) fn keep(&mut self, kept: KeptFile) {
        self.kept = Some(kept);
    }

    /// Checks that the path still names the file that was opened.
    pub(crate) fn check_file(&self) -> Result<()> {
        let context =
            |e: Error| e.with_context("tenant", self.schema.tenant()).with_context("schema", self.schema.base());
        self.kept.as_ref().map_or(Ok(()), |kept| kept.check().map_err(context))
    }

    /// Opens a connection for reading or writing.
    pub(crate) fn connect(&self) -> Result<Connection> {
        self.connect_with(OpenFlags::empty())
    }

    /// Behaves as [`Record::connect`], for a file that does not exist yet. The folder must exist.
    pub(crate) fn create(&self) -> Result<Connection> {
        self.connect_with(OpenFlags::SQLITE_OPEN_CREATE)
    }

    fn connect_with(&self, create: OpenFlags) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let connect = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
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

    /// Returns the size of SQLite's write-ahead log; 0 where there is none.
    pub(crate) fn log_bytes(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        std::fs::metadata(log).map_or(0, |found| found.len())
    }

    /// Checkpoints and truncates the log. Waits for readers up to the lock timeout; `false` where they take longer.
    pub(crate) fn empty_log(&self, writer: &Connection) -> Result<bool> {
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        Ok(busy.map_err(self.sqlite())? == 0)
    }

    pub(crate) fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c>> {
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(self.sqlite())
    }

    pub(super) fn documents_after(&self, connection: &Connection, after: i64) -> Result<Vec<StoredDocument>> {
        let mut select = connection
            .prepare_cached(&format!("{DOCUMENT} WHERE row > ?1 ORDER BY row LIMIT ?2"))
            .map_err(self.sqlite())?;
        let mut rows = select.query(params![after, LOAD_BATCH]).map_err(self.sqlite())?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            documents.push(self.stored(row)?);
        }
        Ok(documents)
    }

    /// Reads a row of [`DOCUMENT`] and verifies its checksum.
    fn stored(&self, row: &rusqlite::Row<'_>) -> Result<StoredDocument> {
        let number: i64 = row.get(0).map_err(self.sqlite())?;
        let id = row.get_ref(1).map_err(self.sqlite())?;
        let id = id.as_str().ok().and_then(|id| DocumentId::parse(id).ok());
        let id = id.ok_or_else(|| self.damaged(format!("row {number} has no document id")))?;
        let cut = || self.damaged(format!("document {id} is not as it was written"));
        let (fields, terms) = (row.get_ref(2).map_err(self.sqlite())?, row.get_ref(3).map_err(self.sqlite())?);
        let (tensors, sum) = (row.get_ref(4).map_err(self.sqlite())?, row.get_ref(5).map_err(self.sqlite())?);
        let (Ok(fields), Ok(terms), Ok(tensors), Ok(sum)) =
            (fields.as_str(), terms.as_blob(), tensors.as_str(), sum.as_i64())
        else {
            return Err(cut());
        };
        if i64::from(sums::document(&id, fields, terms, tensors)) != sum {
            return Err(cut());
        }
        let names = tensors.split(',').filter(|name| !name.is_empty()).map(FieldName::parse);
        let tensors = Tensors(names.collect::<Result<_, _>>().map_err(|_| cut())?);
        let fields = serde_json::from_str(fields).map_err(|_| cut())?;
        Ok(StoredDocument { row: number, id, fields, tensors })
    }

    /// Returns the number of the last write. Reading it fixes the view of the connection's transaction.
    pub(crate) fn moment(&self, connection: &Connection) -> Result<i64> {
        let mut select = connection
            .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'moment'")
            .map_err(self.sqlite())?;
        Ok(select.query_row([], |row| row.get(0)).optional().map_err(self.sqlite())?.unwrap_or(0))
    }

    /// Returns whether any document has a vector of a tensor field.
    pub(crate) fn has_cells(&self, connection: &Connection, field: &FieldName) -> Result<bool> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table(field));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        select.query_row([], |row| row.get(0)).map_err(self.sqlite())
    }

    /// Loads the whole index from stored terms and bits.
    pub(crate) fn load(&self, connection: &Connection) -> Result<Snapshot> {
        let mut snapshot = Snapshot::empty(Arc::clone(&self.layout)).at(self.moment(connection)?);
        let mut after = 0;
        loop {
            let batch = self.load_after(connection, after)?;
            let Some(last) = batch.last() else { break };
            after = last.row;
            snapshot = snapshot.next(&[], batch);
        }
        self.check_order(connection)?;
        Ok(snapshot)
    }

    /// Checks that SQLite's index by id lists every document of the table once, in order.
    fn check_order(&self, connection: &Connection) -> Result<()> {
        let fold = |sql: &str, ordered: bool| -> Result<(u64, u64)> {
            let mut select = connection.prepare(sql).map_err(self.sqlite())?;
            let mut rows = select.query([]).map_err(self.sqlite())?;
            let (mut count, mut sum, mut before) = (0_u64, 0_u64, String::new());
            while let Some(row) = rows.next().map_err(self.sqlite())? {
                let id = row.get_ref(0).map_err(self.sqlite())?;
                let id = id.as_str().map_err(|_| self.damaged("a document has no id"))?;
                let number: i64 = row.get(1).map_err(self.sqlite())?;
                if ordered && count > 0 && before.as_str() >= id {
                    return Err(self.damaged("the index of documents is out of order"));
                }
                if ordered {
                    id.clone_into(&mut before);
                }
                let mut hasher = crc32fast::Hasher::new();
                hasher.update(id.as_bytes());
                hasher.update(&number.to_le_bytes());
                // Squared, so that two changes do not cancel each other out.
                let one = u64::from(hasher.finalize()) + 1;
                sum = sum.wrapping_add(one.wrapping_mul(one));
                count += 1;
            }
            Ok((count, sum))
        };
        let table = fold("SELECT id, row FROM documents NOT INDEXED", false)?;
        let index = fold("SELECT id, row FROM documents INDEXED BY sqlite_autoindex_documents_1 ORDER BY id", true)?;
        match table == index {
            true => Ok(()),
            false => Err(self.damaged("the index of documents does not agree with the documents")),
        }
    }

    fn load_after(&self, connection: &Connection, after: i64) -> Result<Vec<IndexedDocument>> {
        let mut select = connection
            .prepare_cached(&format!("{DOCUMENT} WHERE row > ?1 ORDER BY row LIMIT ?2"))
            .map_err(self.sqlite())?;
        let mut rows = select.query(params![after, LOAD_BATCH]).map_err(self.sqlite())?;
        let (mut documents, mut names) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let stored = self.stored(row)?;
            let terms = row.get_ref(3).map_err(self.sqlite())?;
            let terms = terms.as_blob().ok().and_then(|terms| DocumentTerms::decode(terms, self.layout.texts.len()));
            let terms =
                terms.ok_or_else(|| self.damaged(format!("the terms of document {} cannot be read", stored.id)))?;
            let bits = vec![None; self.layout.bits.len()];
            let StoredDocument { row, id, fields, tensors } = stored;
            let floats = tensors.floats(&self.layout);
            names.push(tensors);
            documents.push(IndexedDocument { row, id, fields, terms, bits, floats });
        }
        let (Some(first), Some(last)) = (documents.first().map(|d| d.row), documents.last().map(|d| d.row)) else {
            return Ok(documents);
        };
        for (index, field) in self.layout.bits.iter().enumerate() {
            let mut cells = self.cells_between(connection, field, first, last)?;
            for (document, tensors) in documents.iter_mut().zip(&names) {
                let found = cells.remove(&document.row);
                let place = Place { row: document.row, id: &document.id, tensors };
                let found = self.checked(field, &place, found)?;
                if let Some(slot) = document.bits.get_mut(index) {
                    *slot = found;
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
    ) -> Result<HashMap<i64, (Vec<u8>, i64)>> {
        let sql = format!("SELECT row, cells, sum FROM {} WHERE row BETWEEN ?1 AND ?2", table(&field.name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let rows = select
            .query_map([first, last], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
            .map_err(self.sqlite())?;
        rows.collect::<rusqlite::Result<_>>().map_err(self.sqlite())
    }

    /// Checks that the cells of a document's field are present as recorded and undamaged.
    fn checked(
        &self,
        field: &TensorField,
        place: &Place<'_>,
        found: Option<(Vec<u8>, i64)>,
    ) -> Result<Option<Vec<u8>>> {
        match found {
            Some((cells, sum)) if place.tensors.0.contains(&field.name) => {
                self.check_cells(field, place.id, &cells, sum)?;
                Ok(Some(cells))
            }
            None if place.tensors.0.contains(&field.name) => Err(self.missing(field, place.id)),
            _ => Ok(None),
        }
    }

    /// Refuses cells whose checksum does not match.
    pub(crate) fn check_cells(&self, field: &TensorField, id: &DocumentId, cells: &[u8], sum: i64) -> Result<()> {
        let whole = cells.len().is_multiple_of(field.row_bytes());
        if whole && i64::from(sums::cells(id, &field.name, cells)) == sum {
            return Ok(());
        }
        Err(self.damaged(format!("the vectors \"{}\" of document {id} are not as they were written", field.name)))
    }

    /// Returns the error of cells that should exist.
    pub(crate) fn missing(&self, field: &TensorField, id: &DocumentId) -> Error {
        self.damaged(format!("the vectors \"{}\" of document {id} are missing", field.name))
    }

    /// Calls `each` with the row, cells and checksum of every vector between two rows, in row order.
    pub(crate) fn for_cells(
        &self,
        connection: &Connection,
        field: &TensorField,
        (first, last): (i64, i64),
        mut each: impl FnMut(i64, &[u8], i64) -> Result<()>,
    ) -> Result<()> {
        let sql =
            format!("SELECT row, cells, sum FROM {} WHERE row BETWEEN ?1 AND ?2 ORDER BY row", table(&field.name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let mut rows = select.query([first, last]).map_err(self.sqlite())?;
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let number = row.get(0).map_err(self.sqlite())?;
            let cells = row.get_ref(1).map_err(self.sqlite())?;
            let cells =
                cells.as_blob().map_err(|_| self.damaged(format!("row {number} of {} is not a blob", field.name)))?;
            each(number, cells, row.get(2).map_err(self.sqlite())?)?;
        }
        Ok(())
    }

    /// Returns the number of bytes of the vectors between two rows.
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

    /// Returns the stored cells of one document; `None` where it has none.
    pub(crate) fn cells(
        &self,
        connection: &Connection,
        field: &TensorField,
        place: &Place<'_>,
    ) -> Result<Option<Vec<u8>>> {
        let sql = format!("SELECT cells, sum FROM {} WHERE row = ?1", table(&field.name));
        let mut select = connection.prepare_cached(&sql).map_err(self.sqlite())?;
        let found = select.query_row([place.row], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        self.checked(field, place, found.map_err(self.sqlite())?)
    }

    /// Returns the document of a row, if it still exists.
    pub(crate) fn document(&self, connection: &Connection, row: i64) -> Result<Option<StoredDocument>> {
        self.select_one(connection, "WHERE row = ?1", params![row])
    }

    /// Returns the document of an id.
    pub(crate) fn find(&self, connection: &Connection, id: &DocumentId) -> Result<Option<StoredDocument>> {
        self.select_one(connection, "WHERE id = ?1", params![id.as_str()])
    }

    fn select_one(
        &self,
        connection: &Connection,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<StoredDocument>> {
        let mut select = connection.prepare_cached(&format!("{DOCUMENT} {condition}")).map_err(self.sqlite())?;
        let mut rows = select.query(parameters).map_err(self.sqlite())?;
        match rows.next().map_err(self.sqlite())? {
            Some(row) => self.stored(row).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the documents after an id, in id order.
    pub(crate) fn page(&self, connection: &Connection, after: &str, limit: usize) -> Result<Vec<StoredDocument>> {
        let mut select = connection
            .prepare_cached(&format!("{DOCUMENT} WHERE id > ?1 ORDER BY id LIMIT ?2"))
            .map_err(self.sqlite())?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = select.query(params![after, limit]).map_err(self.sqlite())?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            documents.push(self.stored(row)?);
        }
        Ok(documents)
    }

    /// Returns a stored document with its tensors as put, except that bfloat16 is truncated.
    pub(crate) fn complete(&self, connection: &Connection, stored: StoredDocument) -> Result<Document> {
        let mut tensors = Fields::new();
        for field in self.layout.tensors() {
            if let Some(cells) = self.cells(connection, field, &stored.place())? {
                let tensor = tensor_cells::decode(&cells, field).ok_or_else(|| self.missing(field, &stored.id))?;
                tensors.insert(field.name.clone(), tensor.into());
            }
        }
        let mut document = Document { id: stored.id, fields: stored.fields };
        document.fields.extend(tensors);
        Ok(document)
    }

    /// Runs `work` in a transaction that the caller commits: either all of its changes are stored or none.
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

/// Returns the quoted table name of a tensor field.
fn table(field: &FieldName) -> String {
    format!("\"{}\"", table_name(field))
}

/// Returns the table name of a field. Field names are `[A-Za-z0-9_]` and case-sensitive, table names are not: a
/// capital becomes `^` and its small letter.
fn table_name(field: &FieldName) -> String {
    let mut name = String::from("vectors_");
    for letter in field.as_str().chars() {
        if letter.is_ascii_uppercase() {
            name.push('^');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
