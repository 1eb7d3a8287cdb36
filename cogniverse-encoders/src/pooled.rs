//! Pooling of segment vectors.

use crate::{cluster::clusters, rows::unit};
use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Picture, PictureEncoder, QueryEncoder, Result, SegmentContent, SegmentEncoder,
    VectorKind,
};
use std::sync::Arc;

/// The number of rows clustered together, about one picture's patches. It bounds memory (4 MB) and time.
const BLOCK: usize = 1024;

/// An encoder that pools similar vectors of a segment, keeping one of every `factor`: storage and scan time shrink by
/// the factor. Queries are not pooled.
///
/// Rows are clustered by Ward's method on their directions (ties favour earlier rows, so that the result is
/// deterministic), and each cluster is replaced by its mean, normalized to length 1. Segments of more than 1,024 rows
/// are pooled in equal parts of at most that size. `docs/retrieval.md` states the cost in quality.
#[derive(Debug)]
pub struct PooledEncoder<E: ?Sized> {
    info: EncoderInfo,
    factor: usize,
    inner: Arc<E>,
}

impl<E: SegmentEncoder + ?Sized> PooledEncoder<E> {
    /// Wraps an encoder, keeping one vector of every `factor` and at least one per segment.
    ///
    /// # Errors
    /// `InvalidInput` for a factor of 0 and for a single-vector encoder.
    pub fn new(inner: Arc<E>, factor: usize) -> Result<Self> {
        let mut info = inner.info().clone();
        if factor == 0 {
            return Err(Error::invalid("the factor of pooling is 0; give 1 for all vectors, 3 for a third of them"));
        }
        if info.kind != VectorKind::Multi {
            return Err(Error::invalid(format!(
                "encoder {} makes one vector a segment, and there is nothing to pool; take it as it is",
                info.model
            )));
        }
        info.model = format!("{}+pool{factor}", info.model);
        Ok(Self { info, factor, inner })
    }

    fn pool(&self, rows: &Matrix<f32>) -> Result<Matrix<f32>> {
        self.info.check_rows(rows)?;
        let part = rows.len().div_ceil(rows.len().div_ceil(BLOCK).max(1)).max(1);
        let mut pooled = Vec::with_capacity(rows.cells().len() / self.factor + self.info.dims);
        for block in rows.cells().chunks(part * self.info.dims) {
            let mut directions: Vec<Vec<f32>> = block.chunks_exact(self.info.dims).map(<[f32]>::to_vec).collect();
            for row in &mut directions {
                unit(row, &self.info)?;
            }
            for members in clusters(&directions, directions.len().div_ceil(self.factor)) {
                let mut sum = vec![0.0f32; self.info.dims];
                for row in members.iter().filter_map(|member| directions.get(*member)) {
                    sum.iter_mut().zip(row).for_each(|(sum, cell)| *sum += cell);
                }
                // Rows that cancel each other have no mean direction; their first stands for them.
                if unit(&mut sum, &self.info).is_err()
                    && let Some(first) = members.first().and_then(|member| directions.get(*member))
                {
                    sum.clone_from(first);
                }
                pooled.extend(sum);
            }
        }
        Matrix::new(self.info.dims, pooled)
    }
}

#[async_trait]
impl<E: SegmentEncoder + ?Sized> SegmentEncoder for PooledEncoder<E> {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let encoded = self.inner.encode_segments(segments).await?;
        encoded.iter().map(|rows| self.pool(rows)).collect()
    }
}

#[async_trait]
impl<E: PictureEncoder + ?Sized> PictureEncoder for PooledEncoder<E> {
    fn info(&self) -> &EncoderInfo {
        self.inner.info()
    }

    async fn encode_picture(&self, picture: &Picture) -> Result<Matrix<f32>> {
        self.inner.encode_picture(picture).await
    }
}

#[async_trait]
impl<E: QueryEncoder + ?Sized> QueryEncoder for PooledEncoder<E> {
    fn info(&self) -> &EncoderInfo {
        self.inner.info()
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        self.inner.encode_query(text).await
    }
}
