//! Streamed answers, line by line.

use crate::failure;
use cogniverse_sdk::{Error, Result};
use reqwest::{Response, header::CONTENT_TYPE};

/// The longest line that is read. A line of a stream carries a word or two, the last one of a generation its whole context.
const MAX_LINE_BYTES: usize = 16 << 20;

/// The lines of an answer, in whatever pieces the network delivers them.
#[derive(Debug)]
pub struct Lines {
    server: String,
    /// Name of the request, for errors.
    request: String,
    response: Response,
    buffer: Vec<u8>,
    /// The number of bytes of the buffer known to contain no line end.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(server: &str, request: String, response: Response) -> Self {
        Self { server: server.to_owned(), request, response, buffer: Vec::new(), searched: 0 }
    }

    /// The content type; empty where it is missing.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
    }

    /// Returns the next line that is not blank, with its end; `None` at the end of the response.
    ///
    /// # Errors
    /// `Unavailable` for a connection that broke, `Unexpected` for a line of more than 16 MiB.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.line().await {
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                other => return other.map_err(|error| error.with_context("request", &self.request)),
            }
        }
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
                let message = format!("the answer of {} has a line of more than {MAX_LINE_BYTES} bytes", self.server);
                return Err(Error::unexpected(message));
            }
            match self.response.chunk().await.map_err(|e| failure::of_transport(&self.server, e))? {
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
