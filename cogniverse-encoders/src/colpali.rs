//! The ColPali model, run on the CPU by candle.

mod files;
mod model;
mod picture;

use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorCode, Matrix, Picture, PictureEncoder, QueryEncoder, Result, SegmentContent,
    SegmentEncoder, VectorKind,
};
use model::Model;
use std::{fmt, path::Path, sync::Arc};
use tokio::{sync::Mutex, task::spawn_blocking};

/// A ColPali encoder: SigLIP's patches and Gemma's tokens, each as a unit vector of (usually) 128 cells. Queries and
/// pictures share one space, so that text finds frames that no words describe.
///
/// The folder is one of `vidore/colpali-v1.2-merged`'s or `vidore/colpali-v1.3-hf`'s layout: `config.json`, `tokenizer.json`,
/// `*.safetensors`, and optionally `preprocessor_config.json`. Weights are held as 32-bit floats: 12 GB for the 3B model, and as
/// much again while it loads.
///
/// A segment with pictures is encoded by its pictures, in time order; one without is encoded by its text. Text of any
/// length is encoded; what exceeds the model's window is split.
pub struct ColPaliEncoder {
    info: EncoderInfo,
    /// The model, which is stateful and uses every core, so only one encoding runs at a time.
    model: Arc<Mutex<Model>>,
}

impl fmt::Debug for ColPaliEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColPaliEncoder").field("info", &self.info).finish_non_exhaustive()
    }
}

/// The content to encode.
enum Content {
    Query(String),
    Text(String),
    Pictures(Vec<Vec<u8>>),
}

impl ColPaliEncoder {
    /// Loads a model folder. Blocking, and slow for the 3B model.
    ///
    /// # Errors
    /// `NotFound` that names a missing file; `InvalidInput` where a file does not belong to this model.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let (model, name) = Model::open(folder.as_ref())?;
        let info = EncoderInfo { model: name, dims: model.dims(), kind: VectorKind::Multi };
        Ok(Self { info, model: Arc::new(Mutex::new(model)) })
    }

    async fn encode(&self, content: Content) -> Result<Matrix<f32>> {
        let mut model = Arc::clone(&self.model).lock_owned().await;
        let rows = spawn_blocking(move || match content {
            Content::Query(text) => model.query(&text),
            Content::Text(text) => model.text(&text),
            Content::Pictures(pictures) => model.pictures(&pictures),
        })
        .await
        .map_err(|e| Error::unexpected("an encoding ended early").with_source(e))??;
        self.info.check_rows(&rows)?;
        Ok(rows)
    }
}

#[async_trait]
impl QueryEncoder for ColPaliEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        self.encode(Content::Query(text.to_owned())).await
    }
}

#[async_trait]
impl PictureEncoder for ColPaliEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_picture(&self, picture: &Picture) -> Result<Matrix<f32>> {
        self.encode(Content::Pictures(vec![picture.bytes().to_vec()])).await
    }
}

#[async_trait]
impl SegmentEncoder for ColPaliEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let mut made = Vec::with_capacity(segments.len());
        for (number, segment) in segments.iter().enumerate() {
            let content = if segment.frames.is_empty() {
                Content::Text(segment.text.clone())
            } else {
                let paths = segment.frames.clone();
                let read = move || paths.iter().map(|path| picture_file(path)).collect::<Result<_>>();
                Content::Pictures(
                    spawn_blocking(read)
                        .await
                        .map_err(|e| Error::unexpected("a reading ended early").with_source(e))??,
                )
            };
            made.push(self.encode(content).await.map_err(|e| e.with_context("segment", number))?);
        }
        Ok(made)
    }
}

fn picture_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        Error::of(ErrorCode::FileUnreadable, format!("the picture {} cannot be read", path.display())).with_source(e)
    })
}
