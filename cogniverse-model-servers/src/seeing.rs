//! Description of pictures and reading of text on screen, by servers of one's own.

use crate::{
    client::{Body, Client},
    config::ServerConfig,
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use cogniverse_sdk::{
    Error, Picture, Result,
    frame_describer::{DescribeRequest, DescriberInfo, FrameDescriber, FrameDescription},
    screen_reader::{ReadScreensRequest, ScreenReader, ScreenReaderInfo, ScreenText},
};
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;

/// The default largest picture in bytes.
const MAX_PICTURE_BYTES: usize = 16 << 20;
/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A describer behind `POST /describe`: a server of one's own in front of a vision model.
///
/// It is sent `{"model": "…", "prompt": "…", "language": "de", "pictures": ["<base64>", …]}`, of which only the pictures
/// (JPEG, PNG or WebP) are always there, and answers `{"description": "…", "tags": ["…"]}`.
#[derive(Debug, Clone)]
pub struct HttpDescriber {
    client: Client,
    info: DescriberInfo,
    model: String,
    max_picture_bytes: usize,
}

/// A reader of text on screen behind `POST /read`, as `examples/screen_reader.py --port` serves it.
///
/// It is sent `{"model": "…", "language": "de", "pictures": ["<base64>", …]}` and answers
/// `{"screens": [{"lines": ["…", …]}, …]}`, one per picture.
#[derive(Debug, Clone)]
pub struct HttpScreenReader {
    client: Client,
    info: ScreenReaderInfo,
    model: String,
    max_picture_bytes: usize,
}

#[derive(Serialize)]
struct Ask<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    pictures: Vec<String>,
}

fn named(model: String) -> Result<String> {
    if model.trim().is_empty() {
        return Err(Error::invalid("the model has no name; name it, as its name tells its texts from another model's"));
    }
    Ok(model)
}

async fn encoded(paths: &[PathBuf], most: usize) -> Result<Vec<String>> {
    let paths = paths.to_vec();
    let encode = move || paths.iter().map(|path| Ok(STANDARD.encode(Picture::read(path, most)?.bytes()))).collect();
    tokio::task::spawn_blocking(encode)
        .await
        .map_err(|e| Error::unexpected("reading pictures ended early").with_source(e))?
}

impl HttpDescriber {
    /// Selects a model of a server, which may ignore the name. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be used, or a model without a name.
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Result<Self> {
        let model = named(model.into())?;
        let info = DescriberInfo { model: model.clone() };
        Ok(Self { client: Client::new(server)?, info, model, max_picture_bytes: MAX_PICTURE_BYTES })
    }

    /// Sets the largest picture in bytes (default 16 MiB).
    #[must_use]
    pub fn with_max_picture_bytes(mut self, bytes: usize) -> Self {
        self.max_picture_bytes = bytes;
        self
    }
}

#[async_trait]
impl FrameDescriber for HttpDescriber {
    fn info(&self) -> &DescriberInfo {
        &self.info
    }

    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription> {
        request.check()?;
        let pictures = encoded(&request.pictures, self.max_picture_bytes).await?;
        let (prompt, language) = (Some(request.prompt()), request.language.as_deref());
        let body = Body::json(&Ask { model: &self.model, prompt, language, pictures })?;
        let answer: Value = self.client.post(&["describe"], &body, MAX_ANSWER_BYTES).await?;
        match answer {
            Value::String(text) => FrameDescription::from_answer(&text),
            answer => FrameDescription::from_value(&answer),
        }
    }
}

impl HttpScreenReader {
    /// Selects a model of a server, which may ignore the name. Sends nothing yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be used, or a model without a name.
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Result<Self> {
        let model = named(model.into())?;
        let info = ScreenReaderInfo { model: model.clone() };
        Ok(Self { client: Client::new(server)?, info, model, max_picture_bytes: MAX_PICTURE_BYTES })
    }

    /// Sets the largest picture in bytes (default 16 MiB).
    #[must_use]
    pub fn with_max_picture_bytes(mut self, bytes: usize) -> Self {
        self.max_picture_bytes = bytes;
        self
    }
}

#[async_trait]
impl ScreenReader for HttpScreenReader {
    fn info(&self) -> &ScreenReaderInfo {
        &self.info
    }

    async fn read_screens(&self, request: &ReadScreensRequest) -> Result<Vec<ScreenText>> {
        request.check()?;
        let pictures = encoded(&request.pictures, self.max_picture_bytes).await?;
        let language = request.language.as_deref();
        let body = Body::json(&Ask { model: &self.model, prompt: None, language, pictures })?;
        let answer: Value = self.client.post(&["read"], &body, MAX_ANSWER_BYTES).await?;
        ScreenText::from_answer(&answer, request.pictures.len())
    }
}
