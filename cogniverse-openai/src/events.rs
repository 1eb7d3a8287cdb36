//! Answers that come as server-sent events.

use crate::error;
use cogniverse_sdk::{Error, Result};
use reqwest::Response;

const MAX_LINE_BYTES: usize = 16 << 20;

/// The data of each event, in whatever pieces the network brings them.
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
    /// How far the buffer holds no end of a line.
    searched: usize,
}

impl Events {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, buffer: Vec::new(), searched: 0 }
    }

    /// The data of the next event; none at the end. Comments, names and ids of events are passed over. OpenAI's events are
    /// of one line each.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(line) = self.line().await? {
            match line.strip_prefix(b"data:") {
                Some(data) => return Ok(Some(data.trim_ascii().to_vec())),
                // A server that fails within a stream may give its error without the form of one.
                None if line.starts_with(b"{") => return Ok(Some(line)),
                None => {}
            }
        }
        Ok(None)
    }

    async fn line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(found) = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + found + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(Error::unexpected(format!("an event of more than {MAX_LINE_BYTES} bytes")));
            }
            match self.response.chunk().await.map_err(error::of_transport)? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(std::mem::take(&mut self.buffer)));
                }
            }
        }
    }
}
