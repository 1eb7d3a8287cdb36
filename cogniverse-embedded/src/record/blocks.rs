//! The table of the block files.
//!
//! A block file is derived from the documents of a range of rows, and belongs to the store by its row in this table. What is
//! missing, damaged or of another version is left out, and its documents are loaded from the record.

use super::{Record, sums};
use crate::{
    error,
    index::{Block, BlockBytes, Places, StoredAs},
    mapped::Mapped,
};
use cogniverse_sdk::{Error, Result};
use rusqlite::{Connection, params};
use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

/// A file: the rows of its documents, and the bitmap of the places of those that are alive, empty where all are.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS blocks (
    number INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, last INTEGER NOT NULL, live BLOB NOT NULL,
    sum INTEGER NOT NULL, removed INTEGER NOT NULL DEFAULT 0);";

/// A block that lies in a file, and which of its documents are alive.
type Opened = (StoredAs, Block, Places);

impl Record {
    fn block_path(&self, number: i64) -> PathBuf {
        self.folder().join(format!("block.{number}"))
    }

    /// Opens the block files that can be used, in order of row.
    pub(crate) fn stored_blocks(&self, connection: &Connection) -> Result<Vec<Opened>> {
        let sql = "SELECT number, first, last, live, sum FROM blocks WHERE removed = 0 ORDER BY first";
        let mut select = connection.prepare(sql).map_err(self.sqlite())?;
        let mut rows = select.query([]).map_err(self.sqlite())?;
        let mut stored: Vec<Opened> = Vec::new();
        while let Some(row) = rows.next().map_err(self.sqlite())? {
            let read = || {
                let stored = StoredAs { number: row.get(0)?, first: row.get(1)?, last: row.get(2)? };
                rusqlite::Result::Ok((stored, row.get::<_, Vec<u8>>(3)?, row.get::<_, i64>(4)?))
            };
            let (own, live, sum) = read().map_err(self.sqlite())?;
            let number = own.number;
            let overlaps = stored.last().is_some_and(|(before, ..)| before.last >= own.first);
            if i64::from(sums::block(own, &live)) != sum || overlaps {
                tracing::warn!(schema = %self.schema, "the record of block {number} is damaged; its documents are indexed anew");
                continue;
            }
            match self.open_block(own, &live) {
                Ok((block, live)) => stored.push((own, block, live)),
                // Closing what is idle helps, and indexing anew takes long.
                Err(error) if error::is_out_of_files(&error) => return Err(error),
                Err(error) => tracing::warn!(
                    schema = %self.schema,
                    "block {number} cannot be used, and its documents are indexed anew: {}", error.chain()
                ),
            }
        }
        Ok(stored)
    }

    fn open_block(&self, stored: StoredAs, live: &[u8]) -> Result<(Block, Places)> {
        let path = self.block_path(stored.number);
        let length = fs::metadata(&path).map_err(|e| error::io(&path, e))?.len();
        let mapped = Mapped::open(&path, length).map_err(|e| error::io(&path, e))?;
        let other = |what: &str| Error::unexpected(format!("{} {what}", path.display()));
        let block = Block::open(BlockBytes::new(mapped), &self.layout)
            .ok_or_else(|| other("is damaged, or of another version"))?;
        let rows = block.rows();
        if rows.first().is_none_or(|row| row < stored.first) || rows.last().is_none_or(|row| row > stored.last) {
            return Err(other("holds other documents"));
        }
        let live = Places::from_bytes(block.len(), live).ok_or_else(|| other("has another number of documents"))?;
        Ok((block, live))
    }

    /// Returns the number of the next block file.
    pub(crate) fn next_block(&self, connection: &Connection) -> Result<i64> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'blocks'), 0) + 1";
        connection.query_row(sql, [], |row| row.get(0)).map_err(self.sqlite())
    }

    /// Writes a block's file and maps it. It is part of the store once [`Record::name_block`] was committed.
    pub(crate) fn write_block(&self, number: i64, block: &Block) -> Result<Block> {
        let path = self.block_path(number);
        let bytes = block.bytes().get();
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            // What is not on disk after a loss of power is derived again; written out here, that is rare.
            file.sync_data()
        };
        write().map_err(|e| error::io(&path, e))?;
        let mapped = Mapped::open(&path, bytes.len() as u64).map_err(|e| error::io(&path, e))?;
        Ok(block.over(BlockBytes::new(mapped)))
    }

    /// Removes a block file that was never named.
    pub(crate) fn discard_block(&self, number: i64) {
        let _ = fs::remove_file(self.block_path(number));
    }

    /// Names a block file in place of all others that cover its rows.
    pub(crate) fn name_block(&self, transaction: &Connection, stored: StoredAs, live: &Places) -> Result<()> {
        let sqlite = self.sqlite();
        let covered = "UPDATE blocks SET removed = 1 WHERE last >= ?1 AND first <= ?2";
        transaction.execute(covered, [stored.first, stored.last]).map_err(sqlite)?;
        let live = live.to_bytes();
        let sum = sums::block(stored, &live);
        let insert = "INSERT INTO blocks (number, first, last, live, sum) VALUES (?1, ?2, ?3, ?4, ?5)";
        let parameters = params![stored.number, stored.first, stored.last, live, sum];
        transaction.execute(insert, parameters).map(|_| ()).map_err(sqlite)
    }

    /// Records which documents of a block file are alive.
    pub(crate) fn set_live(&self, transaction: &Connection, stored: StoredAs, live: &Places) -> Result<()> {
        let live = live.to_bytes();
        let sum = sums::block(stored, &live);
        let update = "UPDATE blocks SET live = ?2, sum = ?3 WHERE number = ?1 AND removed = 0";
        let mut statement = transaction.prepare_cached(update).map_err(self.sqlite())?;
        match statement.execute(params![stored.number, live, sum]).map_err(self.sqlite())? {
            1 => Ok(()),
            _ => Err(self.damaged(format!("block {} is not in its table any more", stored.number))),
        }
    }

    /// Records that a block file is not used any more.
    pub(crate) fn unname_block(&self, transaction: &Connection, number: i64) -> Result<()> {
        let mut update =
            transaction.prepare_cached("UPDATE blocks SET removed = 1 WHERE number = ?1").map_err(self.sqlite())?;
        update.execute([number]).map(|_| ()).map_err(self.sqlite())
    }

    /// Removes the files whose removal was recorded. Where one cannot be removed now, the next call tries again.
    pub(crate) fn remove_blocks(&self, connection: &Connection) -> Result<()> {
        let delete = "DELETE FROM blocks WHERE number = ?1 AND removed = 1";
        self.remove_files(connection, ("blocks", delete), |number| self.block_path(number))
    }
}
