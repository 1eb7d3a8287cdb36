//! Export and import of memories as JSON lines with a checksum.
//!
//! The first line names the format and the tenant, each further line is a memory, and the last holds their number and
//! the SHA-256 of all lines before it. Vectors and histories are not included: an import embeds with its own model
//! and starts a history that records the source. A backup of the tenant includes both.

use super::{bounds, manager::MemoryManager};
use cogniverse_sdk::{
    Error, ErrorKind, Memory, MemoryReach, MemoryScope, Operation, Result, TenantId, TextKind, Timestamp, json_problem,
    memory::NewMemory,
    memory_store::{AddMemories, Added, ListMemories},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write as _};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const FORMAT: &str = "cogniverse-memories";
const VERSION: u32 = 1;
/// The number of memories read at once.
const PAGE: usize = 500;
/// The largest number of memories in one import.
const MAX_IMPORT: usize = 1_000_000;
/// The longest line in bytes: text and metadata at their limits, with every character escaped.
const MAX_LINE_BYTES: u64 = 256 << 10;
/// The largest import in bytes, as all of it is held in memory until its checksum is verified.
const MAX_IMPORT_BYTES: u64 = 1 << 30;

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    tenant: TenantId,
    exported_at: Timestamp,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    memories: u64,
    sha256: String,
}

/// The result of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// The number of memories stored.
    pub added: u64,
    /// The number of memories whose text their scope already had.
    pub known: u64,
}

impl MemoryManager {
    /// Writes all memories of a reach, expired ones included, and returns how many.
    ///
    /// # Errors
    /// Any error of reading memories or of writing to `out`. The output is then incomplete, without its last line,
    /// and no import accepts it.
    pub async fn export(&self, reach: impl Into<MemoryReach>, out: &mut (impl AsyncWrite + Unpin)) -> Result<u64> {
        let (grant, span) = self.begin("export", Operation::Recall).await?;
        let written = grant.run(self.write_all(reach.into(), out)).await;
        self.end(&span, written)
    }

    async fn write_all(&self, reach: MemoryReach, out: &mut (impl AsyncWrite + Unpin)) -> Result<u64> {
        let mut hasher = Sha256::new();
        let head = Head {
            format: FORMAT.to_owned(),
            version: VERSION,
            tenant: self.tenant().clone(),
            exported_at: self.inner.clock.now(),
        };
        write_line(out, &mut hasher, &head).await?;
        let (mut memories, mut after) = (0, None);
        loop {
            let list = ListMemories::new(reach.clone()).with_limit(PAGE).with_expired().after(after);
            let page = self.store().list(list).await?;
            for memory in &page.memories {
                write_line(out, &mut hasher, memory).await?;
            }
            memories += page.memories.len() as u64;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let tail = Tail { memories, sha256: hex(&hasher.finalize()) };
        write_line(out, &mut Sha256::new(), &tail).await?;
        out.flush().await.map_err(unwritten)?;
        Ok(memories)
    }

    /// Adds the memories of an export, of this or another tenant, to their scopes. The whole input is read and its
    /// checksum verified before the first is added. Importing it again adds nothing.
    ///
    /// # Errors
    /// `Corrupt` for input that is not an export, is truncated or was changed; those of [`MemoryManager::add`].
    pub async fn import(&self, input: impl AsyncBufRead + Unpin) -> Result<ImportReport> {
        let (grant, span) = self.begin("import", Operation::Remember).await?;
        let imported = async {
            let (from, memories) = read_export(input).await?;
            self.add_all(&from, memories).await
        };
        let imported = grant.run(imported).await;
        self.end(&span, imported)
    }

    async fn add_all(&self, from: &TenantId, memories: Vec<Memory>) -> Result<ImportReport> {
        let mut by_scope: BTreeMap<MemoryScope, Vec<Memory>> = BTreeMap::new();
        for memory in memories {
            by_scope.entry(memory.scope.clone()).or_default().push(memory);
        }
        let mut report = ImportReport::default();
        for (scope, memories) in by_scope {
            for batch in memories.chunks(PAGE) {
                let texts: Vec<String> = batch.iter().map(|memory| memory.text.clone()).collect();
                let vectors = self.inner.embedding.embed(self.tenant(), &texts, TextKind::Document).await?;
                let new = batch.iter().zip(vectors).map(|(memory, vector)| {
                    let mut new = NewMemory::new(&memory.text, vector, self.inner.embedding.model());
                    new.role = memory.role;
                    new.origin = memory.origin;
                    new.metadata.clone_from(&memory.metadata);
                    new.pinned = memory.pinned;
                    new.created_at = Some(memory.created_at);
                    new.expires_at = memory.expires_at;
                    new.reason = format!("imported from an export of tenant {from}");
                    new
                });
                for added in self.store().add(AddMemories::new(scope.clone(), new.collect())).await? {
                    match added {
                        Added::Stored(_) => report.added += 1,
                        _ => report.known += 1,
                    }
                }
            }
        }
        Ok(report)
    }
}

/// Reads an export, verifies its checksum, and returns its tenant and memories. Stores nothing.
///
/// # Errors
/// `Corrupt` for input that is not an export, is truncated or was changed.
pub async fn read_export(mut input: impl AsyncBufRead + Unpin) -> Result<(TenantId, Vec<Memory>)> {
    let mut hasher = Sha256::new();
    let first = read_line(&mut input).await?.ok_or_else(|| broken("it is empty"))?;
    let mut bytes = first.len() as u64;
    let head: Head = parse(&first)?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(broken(&format!(
            "it is {} {}, and this version reads {FORMAT} {VERSION}",
            head.format, head.version
        )));
    }
    let mut memories = Vec::new();
    let mut line = first;
    loop {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
        line = read_line(&mut input).await?.ok_or_else(|| broken("it is cut: the last line is missing"))?;
        bytes += line.len() as u64;
        if let Ok(tail) = serde_json::from_str::<Tail>(&line) {
            if tail.memories != memories.len() as u64 || tail.sha256 != hex(&hasher.finalize()) {
                return Err(broken("its checksum is wrong"));
            }
            return Ok((head.tenant, memories));
        }
        if memories.len() == MAX_IMPORT {
            return Err(broken(&format!("it has more than {MAX_IMPORT} memories")));
        }
        if bytes > MAX_IMPORT_BYTES {
            return Err(broken(&format!("it has more than {} MiB", MAX_IMPORT_BYTES >> 20)));
        }
        let memory: Memory = parse(&line)?;
        bounds::check_text(&memory.text)?;
        bounds::check_metadata(&memory.metadata)?;
        memories.push(memory);
    }
}

/// Returns the next line without its end; `None` at the end.
async fn read_line(input: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<String>> {
    let mut line = Vec::new();
    let unread = |e: std::io::Error| broken("it cannot be read").with_source(e);
    input.take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut line).await.map_err(unread)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 > MAX_LINE_BYTES {
        return Err(broken(&format!("a line has more than {} KiB", MAX_LINE_BYTES >> 10)));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|e| broken("a line is no UTF-8").with_source(e))
}

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the export of memories cannot be used: {why}; export again"))
}

fn unwritten(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the export of memories cannot be written; check the place it goes to")
        .with_source(error)
}

fn parse<T: DeserializeOwned>(line: &str) -> Result<T> {
    serde_json::from_str(line).map_err(|e| broken("a line is not what it must be").with_source(json_problem(&e)))
}

async fn write_line(out: &mut (impl AsyncWrite + Unpin), hasher: &mut Sha256, value: &impl Serialize) -> Result<()> {
    let mut line =
        serde_json::to_string(value).map_err(|e| Error::unexpected("a memory cannot be written").with_source(e))?;
    line.push('\n');
    hasher.update(line.as_bytes());
    out.write_all(line.as_bytes()).await.map_err(unwritten)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
