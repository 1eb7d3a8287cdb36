//! Vectors derived from spelling.

use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, QueryEncoder, Result, SegmentContent, SegmentEncoder, TextEmbedder, TextKind,
    VectorKind,
    text_embedder::{check_texts, checked_rows},
};

/// An encoder that derives a unit vector from each word's letters: equal words get equal vectors, different words
/// nearly orthogonal ones.
///
/// It is meant for tests and for trying a profile without a model: it reflects spelling, not meaning.
#[derive(Debug)]
pub struct HashEncoder {
    rows_info: EncoderInfo,
    /// The description as a [`TextEmbedder`], with one vector per text.
    text_info: EncoderInfo,
}

impl HashEncoder {
    /// Creates an encoder of `dims` cells, with one vector per word or their mean.
    #[must_use]
    pub fn new(dims: usize, kind: VectorKind) -> Self {
        let rows_info = EncoderInfo { model: format!("hash-{dims}"), dims: dims.max(1), kind };
        Self { text_info: EncoderInfo { kind: VectorKind::Single, ..rows_info.clone() }, rows_info }
    }

    fn encode(&self, text: &str) -> Result<Matrix<f32>> {
        let rows = self.words(text)?;
        match self.rows_info.kind {
            VectorKind::Multi => Matrix::from_rows(&rows),
            VectorKind::Single => Matrix::from_rows(&[mean(&rows, self.rows_info.dims)]),
        }
    }

    fn words(&self, text: &str) -> Result<Vec<Vec<f32>>> {
        let rows: Vec<Vec<f32>> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| {
                unit((0..self.rows_info.dims).scan(seed(&word.to_lowercase()), |state, _| Some(next(state))).collect())
            })
            .collect();
        if rows.is_empty() {
            return Err(Error::invalid("the text has no word to encode; give at least one"));
        }
        Ok(rows)
    }
}

fn mean(rows: &[Vec<f32>], dims: usize) -> Vec<f32> {
    let mut mean = vec![0.0; dims];
    rows.iter().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, cell)| *sum += cell));
    unit(mean)
}

/// Hashes by FNV-1a.
fn seed(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns a pseudo-random number from -1 to 1 (SplitMix64).
#[expect(clippy::cast_precision_loss, reason = "24 random bits")]
fn next(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn unit(mut cells: Vec<f32>) -> Vec<f32> {
    let length = cells.iter().map(|cell| cell * cell).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    cells.iter_mut().for_each(|cell| *cell /= length);
    cells
}

#[async_trait]
impl QueryEncoder for HashEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.rows_info
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        self.encode(text)
    }
}

#[async_trait]
impl SegmentEncoder for HashEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.rows_info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        segments.iter().map(|segment| self.encode(&segment.text)).collect()
    }
}

#[async_trait]
impl TextEmbedder for HashEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.text_info
    }

    async fn embed(&self, texts: &[String], _kind: TextKind) -> Result<Matrix<f32>> {
        check_texts(texts)?;
        let vector = |(index, text): (usize, &String)| match self.words(text) {
            Ok(rows) => Ok(mean(&rows, self.rows_info.dims)),
            Err(_) => Err(Error::invalid(format!("text {index} of {} has no word to embed", texts.len()))),
        };
        let rows = texts.iter().enumerate().map(vector).collect::<Result<Vec<_>>>()?;
        checked_rows(rows, texts.len(), self.rows_info.dims)
    }
}
