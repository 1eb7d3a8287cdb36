//! Agreement of SQLite's index of documents with what it should list.

use super::Record;
use crate::index::Snapshot;
use cogniverse_sdk::Result;
use rusqlite::Connection;

const TABLE: &str = "SELECT id, row FROM documents NOT INDEXED";
const INDEX: &str = "SELECT id, row FROM documents INDEXED BY sqlite_autoindex_documents_1 ORDER BY id";

/// A sum over ids and their rows, in any order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fold {
    count: u64,
    sum: u64,
}

impl Fold {
    fn add(&mut self, id: &[u8], row: i64) {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(id);
        hasher.update(&row.to_le_bytes());
        // Squared, so that two changes do not cancel each other out.
        let one = u64::from(hasher.finalize()) + 1;
        self.sum = self.sum.wrapping_add(one.wrapping_mul(one));
        self.count += 1;
    }
}

impl Record {
    /// Checks that SQLite's index by id lists every document of a snapshot of the same moment once, in order.
    pub(crate) fn check_order(&self, connection: &Connection, snapshot: &Snapshot) -> Result<()> {
        let mut known = Fold::default();
        for view in snapshot.blocks() {
            for place in view.live.iter().map(|place| place as usize) {
                if let (Some(id), Some(row)) = (view.block.id(place), view.block.row(place)) {
                    known.add(id, row);
                }
            }
        }
        self.compare(&known, &self.fold(connection, INDEX, true)?)
    }

    /// Checks the same against the table of documents, without an index of ours.
    pub(super) fn check_table_order(&self, connection: &Connection) -> Result<()> {
        self.compare(&self.fold(connection, TABLE, false)?, &self.fold(connection, INDEX, true)?)
    }

    fn compare(&self, known: &Fold, index: &Fold) -> Result<()> {
        match known == index {
            true => Ok(()),
            false => Err(self.damaged("the index of documents does not agree with the documents")),
        }
    }

    fn fold(&self, connection: &Connection, sql: &str, ordered: bool) -> Result<Fold> {
        let mut select = connection.prepare(sql).map_err(self.sqlite())?;
        let mut rows = select.query([]).map_err(self.sqlite())?;
        let (mut fold, mut before) = (Fold::default(), String::new());
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let id = row.get_ref(0).map_err(self.sqlite())?;
            let id = id.as_str().map_err(|_| self.damaged("a document has no id"))?;
            if ordered && fold.count > 0 && before.as_str() >= id {
                return Err(self.damaged("the index of documents is out of order"));
            }
            if ordered {
                id.clone_into(&mut before);
            }
            fold.add(id.as_bytes(), row.get(1).map_err(self.sqlite())?);
        }
        Ok(fold)
    }
}
