//! Server-sent events.

use cogniverse_http::Lines;
use cogniverse_sdk::Result;

/// The data of each event of an answer.
pub(crate) struct Events {
    lines: Lines,
}

impl Events {
    pub(crate) fn new(lines: Lines) -> Self {
        Self { lines }
    }

    /// The data of the next event; `None` at the end. Comments, names and ids of events are skipped. OpenAI's events have
    /// one line each.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(line) = self.lines.next().await? {
            match line.strip_prefix(b"data:") {
                Some(data) => return Ok(Some(data.trim_ascii().to_vec())),
                // A server that fails within a stream may send its error as bare JSON.
                None if line.starts_with(b"{") => return Ok(Some(line)),
                None => {}
            }
        }
        Ok(None)
    }
}
