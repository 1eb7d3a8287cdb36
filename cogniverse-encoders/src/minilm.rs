//! The all-MiniLM-L6-v2 model, run on the CPU by candle.

use async_trait::async_trait;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorCode, Matrix, QueryEncoder, Result, SegmentContent, SegmentEncoder, VectorKind,
};
use std::{
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};
use tokenizers::Tokenizer;
use tokio::{sync::Semaphore, task::spawn_blocking};

/// The number of texts in one batch of the model.
const BATCH: usize = 16;
/// The number of concurrent encodings: the model itself uses every core.
const RUNNING: usize = 2;

/// The pooling of a text's token vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pooling {
    /// The mean as a unit vector: one vector per text.
    Mean,
    /// Each as a unit vector: one vector per token, including the two special tokens, as in late interaction.
    Tokens,
}

/// An all-MiniLM-L6-v2 encoder with 384 dimensions. Text of any length is encoded; what exceeds the model's window is
/// split.
pub struct MiniLmEncoder {
    info: EncoderInfo,
    model: Arc<Model>,
    running: Semaphore,
}

struct Model {
    bert: BertModel,
    tokenizer: Tokenizer,
    pooling: Pooling,
    dims: usize,
    /// The number of tokens that fit the model beside the two special ones.
    window: usize,
    /// The special tokens at the start and end of a text.
    frame: (u32, u32),
    padding: u32,
}

impl fmt::Debug for MiniLmEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiniLmEncoder").field("info", &self.info).finish_non_exhaustive()
    }
}

impl MiniLmEncoder {
    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` from a folder. Blocking; takes about 0.2 s.
    ///
    /// # Errors
    /// `NotFound` that names a missing file and the remedy; `InvalidInput` where a file does not belong to this
    /// model.
    pub fn open(folder: impl AsRef<Path>, pooling: Pooling) -> Result<Self> {
        let folder = folder.as_ref();
        let (config_text, tokenizer_text) = (read(folder, "config.json")?, read(folder, "tokenizer.json")?);
        let weights = read(folder, "model.safetensors")?;
        let wrong = |file: &'static str| {
            move |e: Box<dyn std::error::Error + Send + Sync>| {
                Error::invalid(format!(
                    "{file} is not of a BERT model such as all-MiniLM-L6-v2; download the folder again"
                ))
                .with_source(e)
            }
        };
        let mut hasher = DefaultHasher::new();
        (&config_text, &tokenizer_text, weights.len()).hash(&mut hasher);
        let config: Config = serde_json::from_slice(&config_text).map_err(|e| wrong("config.json")(e.into()))?;
        let (dims, window) = (config.hidden_size, config.max_position_embeddings.saturating_sub(2).max(1));
        let mut tokenizer = Tokenizer::from_bytes(&tokenizer_text).map_err(wrong("tokenizer.json"))?;
        // The folder's own settings cut texts and fill them up; both are done here, where nothing is lost.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(wrong("tokenizer.json"))?;
        let token = |name: &str| {
            tokenizer
                .token_to_id(name)
                .ok_or_else(|| Error::invalid(format!("tokenizer.json has no {name}; download the folder again")))
        };
        let (frame, padding) = ((token("[CLS]")?, token("[SEP]")?), token("[PAD]")?);
        let variables = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)
            .map_err(|e| wrong("model.safetensors")(e.into()))?;
        let bert = BertModel::load(variables, &config).map_err(|e| wrong("model.safetensors")(e.into()))?;
        let kind = if pooling == Pooling::Mean { VectorKind::Single } else { VectorKind::Multi };
        let info = EncoderInfo { model: format!("all-MiniLM-L6-v2@{:016x}", hasher.finish()), dims, kind };
        let model = Arc::new(Model { bert, tokenizer, pooling, dims, window, frame, padding });
        Ok(Self { info, model, running: Semaphore::new(RUNNING) })
    }

    async fn encode(&self, texts: Vec<String>) -> Result<Vec<Matrix<f32>>> {
        let _running =
            self.running.acquire().await.map_err(|e| Error::unexpected("the encoder is closed").with_source(e))?;
        let model = Arc::clone(&self.model);
        spawn_blocking(move || model.encode(&texts))
            .await
            .map_err(|e| Error::unexpected("an encoding ended early").with_source(e))?
    }
}

fn read(folder: &Path, file: &str) -> Result<Vec<u8>> {
    let path = folder.join(file);
    fs::read(&path).map_err(|e| {
        let message = format!(
            "the model file {} cannot be read; give a folder with config.json, tokenizer.json and model.safetensors of all-MiniLM-L6-v2",
            path.display()
        );
        Error::of(ErrorCode::ModelUnknown, message).with_source(e)
    })
}

/// A part of a text that fits the model's window.
struct Window {
    text: usize,
    tokens: Vec<u32>,
}

impl Model {
    fn encode(&self, texts: &[String]) -> Result<Vec<Matrix<f32>>> {
        let mut windows = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let encoded = self
                .tokenizer
                .encode(text.as_str(), false)
                .map_err(|e| Error::unexpected("a text cannot be cut into tokens").with_source(e))?;
            if encoded.is_empty() {
                return Err(
                    Error::invalid("the text has no word to encode; give at least one").with_context("text", number)
                );
            }
            for part in encoded.get_ids().chunks(self.window) {
                let tokens = [self.frame.0].iter().chain(part).chain([&self.frame.1]).copied().collect();
                windows.push(Window { text: number, tokens });
            }
        }
        // Texts of like length share a batch, so that little is filled up.
        let mut order: Vec<usize> = (0..windows.len()).collect();
        order.sort_by_key(|place| windows.get(*place).map_or(0, |window| window.tokens.len()));
        let mut encoded: Vec<Vec<f32>> = vec![Vec::new(); windows.len()];
        for batch in order.chunks(BATCH) {
            let parts: Vec<&Window> = batch.iter().filter_map(|place| windows.get(*place)).collect();
            let rows = self.forward(&parts).map_err(|e| Error::unexpected("the model failed").with_source(e))?;
            for (place, rows) in batch.iter().zip(rows) {
                if let Some(slot) = encoded.get_mut(*place) {
                    *slot = rows;
                }
            }
        }
        let mut cells: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
        for (window, rows) in windows.iter().zip(encoded) {
            if let Some(slot) = cells.get_mut(window.text) {
                slot.extend(rows);
            }
        }
        cells.into_iter().map(|cells| self.pool(cells)).collect()
    }

    /// Returns the last hidden state of each window's tokens, row by row.
    fn forward(&self, windows: &[&Window]) -> candle_core::Result<Vec<Vec<f32>>> {
        let longest = windows.iter().map(|window| window.tokens.len()).max().unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for window in windows {
            let fill = longest - window.tokens.len();
            ids.extend(window.tokens.iter().copied().chain(std::iter::repeat_n(self.padding, fill)));
            mask.extend(std::iter::repeat_n(1u32, window.tokens.len()).chain(std::iter::repeat_n(0, fill)));
        }
        let shape = (windows.len(), longest);
        let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let hidden = self.bert.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        windows
            .iter()
            .enumerate()
            .map(|(place, window)| {
                hidden.get(place)?.narrow(0, 0, window.tokens.len())?.flatten_all()?.to_vec1::<f32>()
            })
            .collect()
    }

    fn pool(&self, mut cells: Vec<f32>) -> Result<Matrix<f32>> {
        if self.pooling == Pooling::Mean {
            let mut sum = vec![0.0f32; self.dims];
            cells.chunks_exact(self.dims).for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, cell)| *sum += cell));
            cells = sum;
        }
        for row in cells.chunks_exact_mut(self.dims) {
            let length = row.iter().map(|cell| cell * cell).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|cell| *cell /= length);
        }
        Matrix::new(self.dims, cells)
    }
}

#[async_trait]
impl QueryEncoder for MiniLmEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        let made = self.encode(vec![text.to_owned()]).await?;
        made.into_iter().next().ok_or_else(|| Error::unexpected("one text made no vectors"))
    }
}

#[async_trait]
impl SegmentEncoder for MiniLmEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        self.encode(segments.iter().map(|segment| segment.text.clone()).collect()).await
    }
}
