//! Settings of the embedded backend.

use cogniverse_sdk::{Error, Result};
use std::{path::PathBuf, thread::available_parallelism, time::Duration};

/// The failures that a stored document survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// A killed process, a machine crash and a loss of power: each feed batch is synced to disk.
    #[default]
    PowerLoss,
    /// A killed process. A loss of power may lose the latest batches; the store still opens.
    ProcessCrash,
}

/// The number of files of a connection: the database, its log, and the index of the log.
const FILES_PER_CONNECTION: usize = 3;

/// Settings of the embedded backend. Only the folder is required.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// The data folder, created if it does not exist.
    pub data_dir: PathBuf,
    /// The largest number of open tenant schemas; the least recently used are closed beyond it (default 4,096). An open schema
    /// holds memory for the documents that no index file has yet, and no file descriptor of its own.
    pub max_open_schemas: usize,
    /// The largest number of idle connections to the files of all open schemas; the least recently used are closed beyond it
    /// (default 128, or fewer where the process may open few files: a connection has three open). With 0, each operation opens a
    /// connection of its own.
    pub max_idle_connections: usize,
    /// The largest number of concurrent searches; others wait in order (default: twice the number of cores).
    pub max_running_searches: usize,
    /// The largest number of waiting searches; others are refused as `RateLimited` (default 4,096).
    pub max_waiting_searches: usize,
    /// The largest number of cores that one search uses where others are free (default: all). With 1, searches run beside each
    /// other and never on several cores.
    pub max_cores_per_search: usize,
    /// The memory for quantized copies of float vectors over all schemas, in bytes, which tenants share fairly (default 1 GiB).
    /// Vectors beyond it are scanned as they are stored, which takes longer and finds the same.
    pub float_cache_bytes: usize,
    /// The number of new documents of a schema from which they are written to an index file (default 512). Fewer are indexed
    /// again when the schema is opened.
    pub block_documents: usize,
    /// The longest that a call waits for a schema to open (default 60 s). The opening continues after that. A
    /// search's default timeout starts when the schema is open; an explicit one starts with the call.
    pub open_timeout: Duration,
    /// The failures that a stored document survives (default: a loss of power).
    pub durability: Durability,
}

impl EmbeddedConfig {
    /// Creates the default settings for a folder.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let cores = cores();
        Self {
            data_dir: data_dir.into(),
            max_open_schemas: 4096,
            max_idle_connections: 128,
            max_running_searches: cores * 2,
            max_waiting_searches: 4096,
            max_cores_per_search: cores,
            float_cache_bytes: 1 << 30,
            block_documents: 512,
            open_timeout: Duration::from_secs(60),
            durability: Durability::default(),
        }
    }

    /// Sets [`Self::max_open_schemas`].
    #[must_use]
    pub fn with_max_open_schemas(mut self, schemas: usize) -> Self {
        self.max_open_schemas = schemas;
        self
    }

    /// Sets [`Self::max_idle_connections`].
    #[must_use]
    pub fn with_max_idle_connections(mut self, connections: usize) -> Self {
        self.max_idle_connections = connections;
        self
    }

    /// Sets [`Self::max_running_searches`] and [`Self::max_waiting_searches`].
    #[must_use]
    pub fn with_search_limits(mut self, running: usize, waiting: usize) -> Self {
        self.max_running_searches = running;
        self.max_waiting_searches = waiting;
        self
    }

    /// Sets [`Self::max_cores_per_search`].
    #[must_use]
    pub fn with_max_cores_per_search(mut self, cores: usize) -> Self {
        self.max_cores_per_search = cores;
        self
    }

    /// Sets [`Self::float_cache_bytes`].
    #[must_use]
    pub fn with_float_cache_bytes(mut self, bytes: usize) -> Self {
        self.float_cache_bytes = bytes;
        self
    }

    /// Sets [`Self::block_documents`].
    #[must_use]
    pub fn with_block_documents(mut self, documents: usize) -> Self {
        self.block_documents = documents;
        self
    }

    /// Sets [`Self::open_timeout`].
    #[must_use]
    pub fn with_open_timeout(mut self, time: Duration) -> Self {
        self.open_timeout = time;
        self
    }

    /// Sets [`Self::durability`].
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the number of connections that may be idle, reserving half of the process's files for other uses.
    pub(crate) fn idle_connections(&self) -> usize {
        self.max_idle_connections.min(files_of_process() / 2 / FILES_PER_CONNECTION)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let least = [self.max_open_schemas, self.max_running_searches, self.max_cores_per_search, self.block_documents];
        if least.contains(&0) {
            return Err(Error::invalid(
                "max_open_schemas, max_running_searches, max_cores_per_search and block_documents must be at least 1",
            ));
        }
        Ok(())
    }
}

/// Returns the number of cores that the process may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Returns the number of files that the process may open.
#[cfg(unix)]
fn files_of_process() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn files_of_process() -> usize {
    usize::MAX
}
