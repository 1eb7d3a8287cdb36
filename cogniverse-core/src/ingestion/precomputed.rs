//! Precomputed vectors.

use super::segments_file::SegmentsFile;
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Result, SegmentContent, SegmentEncoder, VectorKind, VideoId, tensor::check_finite,
};
use std::{collections::HashMap, path::Path};

/// A segment encoder that returns precomputed vectors.
#[derive(Debug)]
pub struct PrecomputedEncoder {
    info: EncoderInfo,
    vectors: HashMap<(VideoId, i64), Matrix<f32>>,
}

impl PrecomputedEncoder {
    /// Creates an encoder from vectors by video and segment number.
    ///
    /// # Errors
    /// `InvalidInput` for vectors that do not match `info` in width or kind, and for NaN or infinities.
    pub fn new(info: EncoderInfo, vectors: HashMap<(VideoId, i64), Matrix<f32>>) -> Result<Self> {
        for ((video, segment), rows) in &vectors {
            let wrong =
                |why: String| Error::invalid(why).with_context("video_id", video).with_context("segment_id", segment);
            if rows.width() != info.dims || rows.is_empty() {
                return Err(wrong(format!(
                    "the vectors have {} cells and {} makes {}",
                    rows.width(),
                    info.model,
                    info.dims
                )));
            }
            if info.kind == VectorKind::Single && rows.len() != 1 {
                return Err(wrong(format!("{} vectors where {} makes one", rows.len(), info.model)));
            }
            check_finite(rows.cells())
                .map_err(|e| e.with_context("video_id", video).with_context("segment_id", segment))?;
        }
        Ok(Self { info, vectors })
    }

    /// Reads the `embedding` of every line of a segments file. Blocking; all vectors are held in memory.
    ///
    /// # Errors
    /// Those of [`PrecomputedEncoder::new`]; a malformed line or one without an embedding is an error that names it.
    pub fn from_segments_file(info: EncoderInfo, path: &Path) -> Result<Self> {
        let mut file = SegmentsFile::open(path)?;
        let mut vectors = HashMap::new();
        while let Some(line) = file.next()? {
            let segment = line.map_err(|bad| bad.error.with_context("line", bad.name))?.segment;
            let rows = segment.vectors.ok_or_else(|| {
                Error::invalid(format!(
                    "segment {} of video {} has no \"embedding\"",
                    segment.segment_id, segment.video_id
                ))
            })?;
            vectors.insert((segment.video_id, segment.segment_id), rows);
        }
        Self::new(info, vectors)
    }
}

#[async_trait]
impl SegmentEncoder for PrecomputedEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let find = |segment: &SegmentContent| {
            let video = segment.video_id.clone();
            let found = video.as_ref().and_then(|video| self.vectors.get(&(video.clone(), segment.segment_id)));
            found.cloned().ok_or_else(|| {
                let video = video.map_or_else(|| "without an id".to_owned(), |video| video.to_string());
                Error::invalid(format!("no vectors were given for segment {} of video {video}", segment.segment_id))
            })
        };
        segments.iter().map(find).collect()
    }
}
