//! Answers that come line by line.

use crate::error::{Failure, Fault};
use reqwest::Response;
use serde::de::DeserializeOwned;

/// A line carries a word or two; the last line of a generation carries its whole context.
const MAX_LINE_BYTES: usize = 16 << 20;

/// The lines of an answer, in whatever pieces the network brings them.
pub(crate) struct Lines {
    response: Response,
    buffer: Vec<u8>,
    /// How far the buffer holds no end of a line.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(response: Response) -> Self {
        Self { response, buffer: Vec::new(), searched: 0 }
    }

    /// The next line that is not empty, read as JSON; none at the end.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        while let Some(line) = self.line().await? {
            if !line.trim_ascii().is_empty() {
                return serde_json::from_slice(&line).map(Some).map_err(|_| Failure::garbled(&line));
            }
        }
        Ok(None)
    }

    async fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(found) = self.buffer.iter().skip(self.searched).position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + found + 1);
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
            }
            self.searched = self.buffer.len();
            if self.searched > MAX_LINE_BYTES {
                return Err(Failure::new(Fault::Garbled, format!("a line of more than {MAX_LINE_BYTES} bytes")));
            }
            match self.response.chunk().await.map_err(Failure::of_transport)? {
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
