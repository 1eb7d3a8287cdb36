//! Appending of vectors by one transaction.

use super::{ALIGN, FILE_BYTES, HEADER, header, path};
use crate::{config::Durability, error, index::CellsAt};
use cogniverse_sdk::Result;
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// The number of bytes that are collected before they are written.
const WRITE_BYTES: usize = 4 << 20;

/// The last file of a store: its number and committed length.
pub(crate) type Tail = (u32, u64);

/// What a transaction changes of a file, recorded in the transaction itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileChange {
    /// The new length, where vectors were appended.
    pub(crate) length: Option<u64>,
    /// The change of the number of vectors that belong to documents.
    pub(crate) vectors: i64,
    /// The change of the number of bytes that belong to none.
    pub(crate) dead: i64,
}

/// The vectors that a transaction adds and forgets. They are on disk once [`Appender::finish`] has returned.
#[derive(Debug)]
pub(crate) struct Appender {
    folder: PathBuf,
    store: String,
    durability: Durability,
    tail: Tail,
    /// Whether the last file is made by this transaction.
    is_new: bool,
    file: Option<File>,
    /// Whether a file was made whose entry in the folder is not on disk yet.
    made: bool,
    /// The bytes to be written at the end of the last file.
    pending: Vec<u8>,
    changes: BTreeMap<u32, FileChange>,
}

impl Appender {
    /// Creates the appender of a store's folder. `last` is the last file, and `reserved` the greatest number in use.
    pub(crate) fn new(folder: &Path, store: &str, durability: Durability, last: Option<Tail>, reserved: u32) -> Self {
        let is_new = last.is_none();
        let tail = last.unwrap_or((reserved + 1, 0));
        let (folder, store) = (folder.to_owned(), store.to_owned());
        Self {
            folder,
            store,
            durability,
            tail,
            is_new,
            file: None,
            made: false,
            pending: Vec::new(),
            changes: BTreeMap::new(),
        }
    }

    /// Appends vectors and returns where they lie.
    pub(crate) fn append(&mut self, cells: &[u8], sum: u32) -> Result<CellsAt> {
        if self.end() >= FILE_BYTES {
            self.begin_file(self.tail.0 + 1)?;
        }
        if self.end() == 0 {
            self.pending = header(&self.store);
        }
        let offset = self.end().next_multiple_of(ALIGN);
        self.pending.resize(self.pending.len() + (offset - self.end()) as usize, 0);
        self.pending.extend_from_slice(cells);
        let (number, end) = (self.tail.0, self.end());
        let bytes = u32::try_from(cells.len())
            .map_err(|_| cogniverse_sdk::Error::invalid("the vectors of one field take more than 4 GiB"))?;
        let change = self.changes.entry(number).or_default();
        (change.length, change.vectors) = (Some(end), change.vectors + 1);
        if self.pending.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(CellsAt { file: number, offset, bytes, sum })
    }

    /// Counts vectors that no document names any more.
    pub(crate) fn forget(&mut self, at: CellsAt) {
        let change = self.changes.entry(at.file).or_default();
        change.vectors -= 1;
        change.dead += i64::try_from(u64::from(at.bytes).next_multiple_of(ALIGN)).unwrap_or(i64::MAX);
    }

    /// Appends to another file than the given one from here on, as that is to be emptied.
    pub(crate) fn leave(&mut self, number: u32) -> Result<()> {
        if self.tail.0 == number { self.begin_file(number + 1) } else { Ok(()) }
    }

    /// Returns the number of vectors of a file that this transaction forgot, less those that it appended.
    pub(crate) fn forgotten(&self, number: u32) -> u64 {
        self.changes.get(&number).map_or(0, |change| u64::try_from(-change.vectors).unwrap_or(0))
    }

    /// Returns vectors that this transaction appended; `None` where it did not.
    pub(crate) fn read(&mut self, at: CellsAt) -> Result<Option<Vec<u8>>> {
        self.write()?;
        let path = path(&self.folder, at.file);
        let mut cells = vec![0; at.bytes as usize];
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(at.offset))?;
            file.read_exact(&mut cells)
        });
        match read {
            Ok(()) => Ok(Some(cells)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(error::io(&path, e)),
        }
    }

    /// Writes everything, to the disk itself where a loss of power must not lose it, and returns the changes.
    pub(crate) fn finish(mut self) -> Result<BTreeMap<u32, FileChange>> {
        self.close_file()?;
        Ok(self.changes)
    }

    fn end(&self) -> u64 {
        self.tail.1 + self.pending.len() as u64
    }

    fn begin_file(&mut self, number: u32) -> Result<()> {
        self.close_file()?;
        (self.tail, self.is_new) = ((number, 0), true);
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let path = path(&self.folder, self.tail.0);
        let mut write = || {
            if self.file.is_none() {
                self.file = Some(open(&path, self.tail.1, self.is_new)?);
                self.made |= self.is_new;
            }
            if let Some(file) = &mut self.file {
                file.seek(SeekFrom::Start(self.tail.1))?;
                file.write_all(&self.pending)?;
            }
            io::Result::Ok(())
        };
        write().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
                error::corrupt(&path, "it is missing or shorter than it was")
            }
            _ => error::io(&path, e),
        })?;
        self.tail.1 += self.pending.len() as u64;
        self.pending.clear();
        self.is_new = false;
        Ok(())
    }

    fn close_file(&mut self) -> Result<()> {
        self.write()?;
        let Some(file) = self.file.take() else { return Ok(()) };
        if self.durability == Durability::PowerLoss {
            let path = path(&self.folder, self.tail.0);
            file.sync_data().map_err(|e| error::io(&path, e))?;
            if std::mem::take(&mut self.made) {
                sync_folder(&self.folder).map_err(|e| error::io(&self.folder, e))?;
            }
        }
        Ok(())
    }
}

/// Opens a file that has `len` committed bytes, or makes it. An earlier attempt that was not committed may have left one.
fn open(path: &Path, len: u64, is_new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(is_new).truncate(is_new).open(path)?;
    if file.metadata()?.len() < len {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(file)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives a file of which the end may be lost its recorded length, so that what is there can be told from what is not.
pub(crate) fn complete_file(folder: &Path, store: &str, number: u32, (length, synced): (u64, u64)) -> Result<()> {
    let path = path(folder, number);
    let complete = || {
        let mut file = OpenOptions::new().write(true).create(synced == 0).truncate(false).open(&path)?;
        let there = file.metadata()?.len();
        if there < HEADER && synced == 0 {
            file.write_all(&header(store))?;
        }
        if there < length { file.set_len(length) } else { Ok(()) }
    };
    complete().map_err(|e| error::io(&path, e))
}
