//! Videos as callers give them.

use cogniverse_sdk::{Error, ErrorCode, Metadata, MetadataName, MetadataValue, Result, Timestamp, VideoId};
use parking_lot::Mutex;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// The longest id, title or address that a caller gives, in bytes.
const MAX_TEXT: usize = 4096;
/// The bytes of a stream that are written together.
const PIECE: usize = 1 << 16;

/// A video with what the caller knows about it.
///
/// ```
/// use cogniverse_core::ingestion::VideoInput;
/// use cogniverse_sdk::MetadataName;
///
/// let input = VideoInput::file("lectures/42.mp4")
///     .with_id("lecture-42")
///     .with_title("On gradient descent")
///     .with_url("https://videos.example/42")
///     .with_metadata(MetadataName::parse("speaker")?, "Ada Lovelace");
/// # Ok::<(), cogniverse_sdk::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VideoInput {
    pub(super) body: Body,
    /// The id of the video (default: from its content, so that a renamed file is the same video). Other content under the same
    /// id replaces the video.
    pub id: Option<String>,
    /// The title (default: the file beside it that says one, else the name of the file).
    pub title: Option<String>,
    /// The address at which people find the video (default: the file beside it that says one, else its path).
    pub url: Option<String>,
    /// The time of recording (default: the file beside it that says one).
    pub recorded_at: Option<Timestamp>,
    /// Metadata, in place of what a file beside it says. Names that the profile does not declare are named in the report.
    pub metadata: Metadata,
}

/// The source of a video's bytes.
#[derive(Debug, Clone)]
pub(super) enum Body {
    File(PathBuf),
    Stream(VideoStream),
}

/// A video that is read once from a stream.
#[derive(Clone)]
pub(super) struct VideoStream {
    name: String,
    most: u64,
    reader: Arc<Mutex<Option<Reader>>>,
}

type Reader = Box<dyn AsyncRead + Send + Unpin>;

impl fmt::Debug for VideoStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VideoStream").field("name", &self.name).field("most", &self.most).finish_non_exhaustive()
    }
}

impl VideoInput {
    /// Creates a video from a file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of(Body::File(path.into()))
    }

    /// Creates a video from a stream of at most `most` bytes, such as an upload. It is read once, into a file of the system's
    /// temporary folder, which is removed when the video is ingested. The name tells the kind of file and the title.
    #[must_use]
    pub fn stream(name: impl Into<String>, reader: impl AsyncRead + Send + Unpin + 'static, most: u64) -> Self {
        let reader: Reader = Box::new(reader);
        Self::of(Body::Stream(VideoStream { name: name.into(), most, reader: Arc::new(Mutex::new(Some(reader))) }))
    }

    fn of(body: Body) -> Self {
        Self { body, id: None, title: None, url: None, recorded_at: None, metadata: Metadata::new() }
    }

    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the address.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the time of recording.
    #[must_use]
    pub fn with_recorded_at(mut self, at: Timestamp) -> Self {
        self.recorded_at = Some(at);
        self
    }

    /// Sets a value of metadata.
    #[must_use]
    pub fn with_metadata(mut self, name: MetadataName, value: impl Into<MetadataValue>) -> Self {
        self.metadata.insert(name, value.into());
        self
    }

    /// Returns the name by which reports call the video.
    pub(super) fn name(&self) -> String {
        match &self.body {
            Body::File(path) => path.display().to_string(),
            Body::Stream(stream) => stream.name.clone(),
        }
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match &self.body {
            Body::File(path) => Some(path),
            Body::Stream(_) => None,
        }
    }

    /// Returns the id that the caller gave.
    pub(super) fn given_id(&self) -> Result<Option<VideoId>> {
        for (what, text) in [("id", &self.id), ("title", &self.title), ("address", &self.url)] {
            if let Some(text) = text.as_ref().filter(|text| text.len() > MAX_TEXT) {
                let message = format!("the {what} has {} bytes; give at most {MAX_TEXT}", text.len());
                return Err(Error::of(ErrorCode::TextTooLong, message));
            }
        }
        self.id.as_ref().map(|id| Ok(VideoId::parse(id)?)).transpose()
    }
}

impl VideoStream {
    /// Writes the stream to a file, which lives as long as the folder that is returned with its path.
    pub(super) async fn spool(&self) -> Result<(TempDir, PathBuf)> {
        let unwritable = |e: std::io::Error| {
            Error::of(
                ErrorCode::Unavailable,
                "the stream cannot be written down; check the space and rights of the temporary folder",
            )
            .with_source(e)
        };
        let taken = self.reader.lock().take();
        let mut reader = taken.ok_or_else(|| {
            Error::of(ErrorCode::FailedPrecondition, "the stream was read before; give a new one for another run")
        })?;
        // Only the last component: an upload's name never leads elsewhere.
        let last = self.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = if matches!(last, "" | "." | "..") { "video" } else { last };
        let folder = TempDir::with_prefix("cogniverse-upload-").map_err(unwritable)?;
        let path = folder.path().join(name);
        let mut file = tokio::fs::File::create(&path).await.map_err(unwritable)?;
        let (mut buffer, mut size) = (vec![0; PIECE], 0u64);
        loop {
            let read = reader.read(&mut buffer).await.map_err(|e| {
                Error::of(ErrorCode::FileUnreadable, "the stream of the video broke off; send it again").with_source(e)
            })?;
            if read == 0 {
                break;
            }
            size += read as u64;
            if size > self.most {
                let message = format!("the stream has more than {} bytes; send a smaller video", self.most);
                return Err(Error::of(ErrorCode::VideoInvalid, message));
            }
            file.write_all(buffer.get(..read).unwrap_or_default()).await.map_err(unwritable)?;
        }
        file.flush().await.map_err(unwritable)?;
        Ok((folder, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_is_bounded_read_once_and_never_written_elsewhere() {
        let spool = async |input: &VideoInput| match &input.body {
            Body::Stream(stream) => stream.spool().await,
            Body::File(_) => panic!("a stream"),
        };
        let input = VideoInput::stream("../../talk.mp4", std::io::Cursor::new(vec![7u8; 200_000]), 200_000);
        let (folder, path) = spool(&input).await.unwrap();
        assert_eq!(path, folder.path().join("talk.mp4"));
        assert_eq!(std::fs::read(&path).unwrap().len(), 200_000);
        assert_eq!(spool(&input.clone()).await.unwrap_err().code(), ErrorCode::FailedPrecondition);
        drop(folder);
        assert!(!path.exists());
        let large = VideoInput::stream("..", std::io::Cursor::new(vec![7u8; 200_001]), 200_000);
        assert_eq!(spool(&large).await.unwrap_err().code(), ErrorCode::VideoInvalid);
    }
}
