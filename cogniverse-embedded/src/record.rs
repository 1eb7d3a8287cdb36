//! The system of record of one tenant schema: a SQLite file in which a feed batch is one transaction.
//!
//! Vectors lie in files beside it ([`crate::vectors`]), and their document names them. What is derived lies in block files, which
//! the database names too ([`blocks`]): what cannot be used of them is derived again. Nothing can be partially written.

mod blocks;
mod connect;
mod earlier;
mod format;
mod order;
mod sums;
mod unsynced;
mod vector_files;
mod verify;
mod writer;

pub use verify::{Damage, Verification};
pub(crate) use writer::Writer;

use crate::{
    config::Durability,
    derivations::{Derivations, Deriving},
    error,
    index::{CellsAt, DocumentTerms, IndexedDocument, Snapshot},
    layout::{Layout, TensorField},
    store_file::StoreFile,
    tensor_cells,
    vectors::VectorFiles,
};
use cogniverse_sdk::{Document, DocumentId, Error, FieldName, Result, TenantSchema, document::Fields};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// The columns that [`Record::stored`] reads.
const DOCUMENT: &str = "SELECT row, id, fields, tensors, sum FROM documents";
/// The number of documents read at once when the index is built.
const LOAD_BATCH: i64 = 4096;
/// The largest number of rows that one statement names.
const NAMED_ROWS: usize = 100;

/// The file of one tenant schema.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    schema: TenantSchema,
    layout: Arc<Layout>,
    durability: Durability,
    /// The file, once it was opened.
    file: Option<Arc<StoreFile>>,
    /// The identity stored in the file.
    store: OnceLock<String>,
    derivations: Arc<Derivations>,
}

/// A document as stored, without its tensors.
pub(crate) struct StoredDocument {
    pub(crate) row: i64,
    pub(crate) id: DocumentId,
    pub(crate) fields: Fields,
    pub(crate) tensors: Tensors,
}

/// The tensor fields of which a document has vectors, and where those lie.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tensors(pub(crate) Vec<(FieldName, CellsAt)>);

impl Tensors {
    pub(crate) fn get(&self, field: &FieldName) -> Option<CellsAt> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, at)| *at)
    }

    /// Returns where the vectors of each of the layout's float fields lie.
    pub(crate) fn floats(&self, layout: &Layout) -> Vec<Option<CellsAt>> {
        layout.floats.iter().map(|field| self.get(&field.name)).collect()
    }

    /// Reads what [`Tensors`] displays as; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        let one = |part: &str| {
            let mut parts = part.split(':');
            let name = FieldName::parse(parts.next()?).ok()?;
            let mut number = || parts.next()?.parse::<u64>().ok();
            let (file, offset, bytes, sum) = (number()?, number()?, number()?, number()?);
            let at = CellsAt {
                file: file.try_into().ok()?,
                offset,
                bytes: bytes.try_into().ok()?,
                sum: sum.try_into().ok()?,
            };
            parts.next().is_none().then_some((name, at))
        };
        text.split(',').filter(|part| !part.is_empty()).map(one).collect::<Option<_>>().map(Self)
    }
}

impl std::fmt::Display for Tensors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (name, CellsAt { file, offset, bytes, sum }) in &self.0 {
            write!(f, "{separator}{name}:{file}:{offset}:{bytes}:{sum}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// The changes of a transaction, for the index.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) removed: Vec<i64>,
    pub(crate) added: Vec<IndexedDocument>,
    /// The number of the write that the commit creates.
    pub(crate) moment: i64,
    /// The files of vectors, with the lengths that the commit gives them.
    pub(crate) files: Vec<(u32, u64)>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

impl Record {
    pub(crate) fn new(path: PathBuf, schema: TenantSchema, layout: Arc<Layout>, durability: Durability) -> Self {
        Self { path, schema, layout, durability, file: None, store: OnceLock::new(), derivations: Arc::default() }
    }

    /// Tells where an index is derived anew.
    pub(crate) fn telling(self, derivations: Arc<Derivations>) -> Self {
        Self { derivations, ..self }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the deployment.
    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    pub(crate) fn sqlite(&self) -> impl Fn(rusqlite::Error) -> Error + Copy + '_ {
        |e| error::sqlite(&self.path, e)
    }

    pub(crate) fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c>> {
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(self.sqlite())
    }

    /// Returns the first documents whose rows lie after one and before another.
    pub(super) fn documents_between(
        &self,
        connection: &Connection,
        after: i64,
        before: i64,
    ) -> Result<Vec<StoredDocument>> {
        let mut select = connection
            .prepare_cached(&format!("{DOCUMENT} WHERE row > ?1 AND row < ?2 ORDER BY row LIMIT ?3"))
            .map_err(self.sqlite())?;
        let mut rows = select.query(params![after, before, LOAD_BATCH]).map_err(self.sqlite())?;
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
        let of = |column: usize| row.get_ref(column).map_err(self.sqlite());
        let (fields, tensors, sum) = (of(2)?, of(3)?, of(4)?);
        let (Ok(fields), Ok(tensors), Ok(sum)) = (fields.as_str(), tensors.as_str(), sum.as_i64()) else {
            return Err(cut());
        };
        if i64::from(sums::document(id.as_str(), fields, tensors)) != sum {
            return Err(cut());
        }
        let tensors = Tensors::parse(tensors).ok_or_else(cut)?;
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

    /// Records the number of a write and returns it.
    pub(crate) fn set_moment(&self, transaction: &Connection, moment: i64) -> Result<i64> {
        let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('moment', ?1)";
        transaction.execute(sql, [moment.to_string()]).map(|_| moment).map_err(self.sqlite())
    }

    /// Loads the index: block files as they are, and documents that are in none of them from the record.
    pub(crate) fn load(&self, connection: &Connection, files: &VectorFiles) -> Result<Snapshot> {
        let mut snapshot = Snapshot::empty(Arc::clone(&self.layout)).at(self.moment(connection)?);
        let (mut after, stored) = (0, self.stored_blocks(connection)?);
        let mut deriving = self.derivation(connection, stored.iter().map(|(own, ..)| (own.first, own.last)))?;
        for (own, block, live) in stored {
            snapshot = self.load_between((connection, files), snapshot, (after, own.first), &mut deriving)?;
            snapshot = snapshot.with_stored(own, block, live);
            after = own.last;
        }
        self.load_between((connection, files), snapshot, (after, i64::MAX), &mut deriving)
    }

    /// Returns the derivation of the documents outside of some ranges of rows, where it takes long enough to be told.
    fn derivation(&self, connection: &Connection, known: impl Iterator<Item = (i64, i64)>) -> Result<Option<Deriving>> {
        let sql = "SELECT count(*) FROM documents WHERE row > ?1 AND row < ?2";
        let mut select = connection.prepare_cached(sql).map_err(self.sqlite())?;
        let (mut after, mut of) = (0, 0);
        for (first, last) in known.chain([(i64::MAX, i64::MAX)]) {
            of += select.query_row([after, first], |row| row.get::<_, i64>(0)).map_err(self.sqlite())?;
            after = last;
        }
        let told = u64::try_from(of).ok().filter(|_| of > LOAD_BATCH);
        Ok(told.map(|of| self.derivations.begin(&self.schema, of)))
    }

    /// Appends the documents whose rows lie after the first and before the second.
    fn load_between(
        &self,
        (connection, files): (&Connection, &VectorFiles),
        mut snapshot: Snapshot,
        (mut after, before): (i64, i64),
        deriving: &mut Option<Deriving>,
    ) -> Result<Snapshot> {
        loop {
            let documents = self.documents_between(connection, after, before)?;
            let Some(last) = documents.last() else { return Ok(snapshot) };
            after = last.row;
            let index = |StoredDocument { row, id, fields, tensors }| {
                let bits = self.layout.bits.iter().map(|field| {
                    let cells = tensors.get(&field.name).map(|at| self.cells(files, field, id.as_str().as_bytes(), at));
                    cells.transpose().map(|cells| cells.map(<[u8]>::to_vec))
                });
                let (bits, floats) = (bits.collect::<Result<_>>()?, tensors.floats(&self.layout));
                let terms = DocumentTerms::of(&fields, &self.layout);
                Ok(IndexedDocument { row, id, fields, terms, bits, floats })
            };
            let count = documents.len();
            snapshot = snapshot.next(&[], documents.into_iter().map(index).collect::<Result<_>>()?);
            if let Some(deriving) = deriving {
                deriving.advance(count);
            }
        }
    }

    /// Returns the cells of a document's field as they were stored.
    pub(crate) fn cells<'f>(
        &self,
        files: &'f VectorFiles,
        field: &TensorField,
        id: &[u8],
        at: CellsAt,
    ) -> Result<&'f [u8]> {
        let cells = files.cells(at, |cells| sums::cells(id, &field.name, cells));
        cells
            .filter(|cells| cells.len().is_multiple_of(field.row_bytes()))
            .ok_or_else(|| self.not_as_written(field, id))
    }

    fn not_as_written(&self, field: &TensorField, id: &[u8]) -> Error {
        let id = String::from_utf8_lossy(id);
        self.damaged(format!("the vectors \"{}\" of document {id} are not as they were written", field.name))
    }

    /// Returns the document of a row, if it still exists.
    pub(crate) fn document(&self, connection: &Connection, row: i64) -> Result<Option<StoredDocument>> {
        self.select_one(connection, "WHERE row = ?1", params![row])
    }

    /// Returns the documents of several rows in their order, `None` for those that do not exist any more.
    pub(crate) fn documents(&self, connection: &Connection, rows: &[i64]) -> Result<Vec<Option<StoredDocument>>> {
        let mut documents: Vec<Option<StoredDocument>> = rows.iter().map(|_| None).collect();
        for (wanted, slots) in rows.chunks(NAMED_ROWS).zip(documents.chunks_mut(NAMED_ROWS)) {
            let marks = vec!["?"; wanted.len()].join(",");
            let mut select =
                connection.prepare_cached(&format!("{DOCUMENT} WHERE row IN ({marks})")).map_err(self.sqlite())?;
            let mut found = select.query(rusqlite::params_from_iter(wanted)).map_err(self.sqlite())?;
            while let Some(row) = found.next().map_err(self.sqlite())? {
                let document = self.stored(row)?;
                let at = wanted.iter().position(|row| *row == document.row);
                if let Some(slot) = at.and_then(|at| slots.get_mut(at)) {
                    *slot = Some(document);
                }
            }
        }
        Ok(documents)
    }

    /// Returns the document of an id.
    pub(crate) fn find(&self, connection: &Connection, id: &DocumentId) -> Result<Option<StoredDocument>> {
        match self.select_one(connection, "WHERE id = ?1", params![id.as_str()])? {
            Some(stored) if stored.id != *id => {
                Err(self.damaged(format!("the index of documents takes {} for {id}", stored.id)))
            }
            found => Ok(found),
        }
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
    pub(crate) fn complete(&self, files: &VectorFiles, stored: StoredDocument) -> Result<Document> {
        let mut tensors = Fields::new();
        for field in self.layout.tensors() {
            if let Some(at) = stored.tensors.get(&field.name) {
                let cells = self.cells(files, field, stored.id.as_str().as_bytes(), at)?;
                let tensor = tensor_cells::decode(cells, field).ok_or_else(|| {
                    self.damaged(format!("document {} has no whole vectors \"{}\"", stored.id, field.name))
                })?;
                tensors.insert(field.name.clone(), tensor.into());
            }
        }
        let mut document = Document { id: stored.id, fields: stored.fields };
        document.fields.extend(tensors);
        Ok(document)
    }

    /// Runs `work` in a transaction that the caller commits: either all of its changes are stored or none. `files` are those
    /// before it.
    pub(crate) fn change(
        &self,
        transaction: &Transaction<'_>,
        files: &VectorFiles,
        work: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<Change> {
        let mut writer = Writer {
            record: self,
            transaction,
            files,
            vectors: self.appender(transaction)?,
            change: Change::default(),
        };
        work(&mut writer)?;
        let (mut change, vectors) = (writer.change, writer.vectors.finish()?);
        self.change_files(transaction, &vectors)?;
        if !change.is_empty() {
            change.moment = self.set_moment(transaction, self.moment(transaction)? + 1)?;
        }
        change.files = self.lengths(transaction)?;
        Ok(change)
    }
}
