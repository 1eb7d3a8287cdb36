//! Wrappers: embedders as encoders, pooling, and the cache.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use async_trait::async_trait;
use cogniverse_encoders::{CachedEncoder, EmbedderEncoder, HashEncoder, PooledEncoder, VectorCache};
use cogniverse_sdk::{
    EncoderInfo, Error, ErrorKind, Matrix, Picture, PictureEncoder, QueryEncoder, Result, SegmentContent,
    SegmentEncoder, TextEmbedder, TextKind, VectorKind,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Rows that a test says, or those of [`HashEncoder`] with a prefix for each kind.
#[derive(Debug)]
struct Embedder {
    info: EncoderInfo,
    hash: HashEncoder,
    says: Option<Matrix<f32>>,
    calls: AtomicUsize,
}

impl Embedder {
    fn new(says: Option<Matrix<f32>>) -> Arc<Self> {
        let info = EncoderInfo { model: "embedder".to_owned(), dims: 16, kind: VectorKind::Single };
        Arc::new(Self { info, hash: HashEncoder::new(16, VectorKind::Single), says, calls: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl TextEmbedder for Embedder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    async fn embed(&self, texts: &[String], kind: TextKind) -> Result<Matrix<f32>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(rows) = &self.says {
            return Ok(rows.clone());
        }
        let mut cells = Vec::new();
        for text in texts {
            let rows = self.hash.encode_query(&format!("{kind:?} {text}")).await?;
            cells.extend(rows.cells().iter().map(|cell| cell * 3.0));
        }
        Matrix::new(16, cells)
    }
}

mod embedder_query {
    use super::*;
    cogniverse_sdk::query_encoder_contract! {
        make: async { (Arc::new(EmbedderEncoder::new(Embedder::new(None)).unwrap()) as Arc<dyn QueryEncoder>, ()) }, skips: []
    }
}

mod embedder_segment {
    use super::*;
    cogniverse_sdk::segment_encoder_contract! {
        make: async {
            let encoder = EmbedderEncoder::new(Embedder::new(None)).unwrap().with_unit_length().with_batch(5);
            (Arc::new(encoder) as Arc<dyn SegmentEncoder>, ())
        }, skips: []
    }
}

mod pooled_segment {
    use super::*;
    cogniverse_sdk::segment_encoder_contract! {
        make: async { (pooled(3) as Arc<dyn SegmentEncoder>, ()) }, skips: []
    }
}

mod pooled_query {
    use super::*;
    cogniverse_sdk::query_encoder_contract! {
        make: async { (pooled(3) as Arc<dyn QueryEncoder>, ()) }, skips: []
    }
}

fn pooled(factor: usize) -> Arc<PooledEncoder<HashEncoder>> {
    Arc::new(PooledEncoder::new(Arc::new(HashEncoder::new(32, VectorKind::Multi)), factor).unwrap())
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|cell| cell * cell).sum::<f32>().sqrt()
}

#[tokio::test]
async fn an_embedders_kinds_batches_and_lengths() {
    let embedder = Embedder::new(None);
    let plain = EmbedderEncoder::new(embedder.clone()).unwrap().with_batch(2);
    let texts: Vec<_> = ["one", "two", "three"].map(SegmentContent::from_text).into();
    let documents = plain.encode_segments(&texts).await.unwrap();
    assert_eq!((documents.len(), embedder.calls.load(Ordering::SeqCst)), (3, 2));
    assert_ne!(documents[0], plain.encode_query("one").await.unwrap(), "a query is not a document");
    assert!((length(documents[0].cells()) - 3.0).abs() < 1e-4);
    let unit = EmbedderEncoder::new(embedder).unwrap().with_unit_length();
    assert_eq!(QueryEncoder::info(&unit).model, "embedder+unit");
    assert!((length(unit.encode_query("one").await.unwrap().cells()) - 1.0).abs() < 1e-5);
    let error =
        plain.encode_segments(&[texts[0].clone(), texts[1].clone(), SegmentContent::from_text(" ")]).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("text=2"), "{error}");
}

#[tokio::test]
async fn invariant_17_an_embedders_wrong_answers_are_errors() {
    let row = |cells: usize, value: f32| Matrix::new(cells, vec![value; cells]).unwrap();
    let two = Matrix::new(16, vec![1.0; 32]).unwrap();
    for (says, why) in [
        (row(8, 1.0), "8 cells"),
        (two, "answered 2 vectors"),
        (row(16, f32::NAN), "not a finite number"),
        (row(16, f32::INFINITY), "not a finite number"),
        (row(16, 0.0), "without a direction"),
    ] {
        let encoder = EmbedderEncoder::new(Embedder::new(Some(says))).unwrap().with_unit_length();
        let error = encoder.encode_query("one").await.unwrap_err();
        assert!(error.kind() == ErrorKind::Unexpected && error.to_string().contains(why), "{error}");
    }
}

/// Rows that a test says.
#[derive(Debug)]
struct Fixed(EncoderInfo, Matrix<f32>);

impl Fixed {
    fn new(rows: &[Vec<f32>]) -> Arc<Self> {
        let rows = Matrix::from_rows(rows).unwrap();
        Arc::new(Self(EncoderInfo { model: "fixed".to_owned(), dims: rows.width(), kind: VectorKind::Multi }, rows))
    }
}

#[async_trait]
impl SegmentEncoder for Fixed {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        Ok(segments.iter().map(|_| self.1.clone()).collect())
    }
}

async fn pool(rows: &[Vec<f32>], factor: usize) -> Result<Matrix<f32>> {
    let encoder = PooledEncoder::new(Fixed::new(rows), factor)?;
    encoder.encode_segments(&[SegmentContent::default()]).await.map(|mut made| made.remove(0))
}

#[tokio::test]
async fn rows_of_a_cluster_become_one_and_those_apart_stay_apart() {
    // Three directions, four rows near each, of any length, mixed.
    let rows: Vec<Vec<f32>> = (0..12u8)
        .map(|n| {
            let mut row = [0.01 * f32::from(n / 3); 3];
            row[usize::from(n % 3)] = 1.0;
            row.iter().map(|cell| cell * f32::from(n + 1)).collect()
        })
        .collect();
    let made = pool(&rows, 4).await.unwrap();
    assert_eq!(made.len(), 3);
    for (axis, row) in made.rows().enumerate() {
        assert!((length(row) - 1.0).abs() < 1e-5 && row[axis] > 0.99, "{row:?}");
    }
    assert_eq!(made, pool(&rows, 4).await.unwrap(), "the same rows give the same answer");
    assert_eq!(pool(&rows, 1).await.unwrap().len(), 12);
    assert_eq!(pool(&rows, 100).await.unwrap().len(), 1);
    assert_eq!(pool(&rows[..2], 3).await.unwrap().len(), 1);
    // Rows that cancel each other out still give a direction.
    let opposite = pool(&[vec![1.0, 0.0], vec![-1.0, 0.0]], 2).await.unwrap();
    assert_eq!((opposite.len(), length(opposite.cells())), (1, 1.0));
    // More rows than are compared with each other at once: in parts, none lost.
    let many: Vec<Vec<f32>> = (0..2500u16).map(|n| vec![f32::from(n).cos(), f32::from(n).sin()]).collect();
    assert_eq!(pool(&many, 5).await.unwrap().len(), 834usize.div_ceil(5) * 2 + 832usize.div_ceil(5));
    assert!(pool(&[vec![0.0, 0.0]], 2).await.is_err(), "a row without a direction");
    assert!(pool(&rows, 0).await.is_err());
    let single = Arc::new(HashEncoder::new(8, VectorKind::Single));
    assert_eq!(PooledEncoder::new(single, 2).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(SegmentEncoder::info(&*pooled(3)).model, "hash-32+pool3");
    assert_eq!(QueryEncoder::info(&*pooled(3)).model, "hash-32");
}

mod cache {
    use super::*;
    use cogniverse_encoders::{CachedEncoder, VectorCache};
    use std::path::PathBuf;

    fn cached() -> Arc<CachedEncoder<HashEncoder>> {
        let hash = Arc::new(HashEncoder::new(32, VectorKind::Multi));
        Arc::new(CachedEncoder::new(hash, Arc::new(VectorCache::new(1 << 20))))
    }

    mod query {
        use super::*;
        cogniverse_sdk::query_encoder_contract! {
            make: async { (cached() as Arc<dyn QueryEncoder>, ()) }, skips: []
        }
    }

    mod segment {
        use super::*;
        cogniverse_sdk::segment_encoder_contract! {
            make: async { (cached() as Arc<dyn SegmentEncoder>, ()) }, skips: []
        }
    }

    #[tokio::test]
    async fn the_same_content_is_encoded_once() {
        let embedder = Embedder::new(None);
        let cache = Arc::new(VectorCache::new(1 << 20));
        let encoder = |embedder: &Arc<Embedder>| {
            CachedEncoder::new(Arc::new(EmbedderEncoder::new(embedder.clone()).unwrap()), Arc::clone(&cache))
        };
        let one = encoder(&embedder);
        let query = one.encode_query("same").await.unwrap();
        assert_eq!(query, one.encode_query("same").await.unwrap());
        let segment = SegmentContent::from_text("same");
        let as_segment = one.encode_segments(&[segment.clone(), segment.clone()]).await.unwrap();
        assert_ne!(as_segment[0], query, "a query's vectors are not a segment's");
        assert_eq!(as_segment, one.encode_segments(&[segment.clone(), segment.clone()]).await.unwrap());
        assert_eq!(embedder.calls.load(Ordering::SeqCst), 2);
        // Some known, some not: in order.
        let mixed = [SegmentContent::from_text("a"), segment, SegmentContent::from_text("b")];
        let made = one.encode_segments(&mixed).await.unwrap();
        assert_eq!((made.len(), &made[1]), (3, &as_segment[0]));
        // Another model has its own vectors.
        let mut other = Embedder::new(None);
        Arc::get_mut(&mut other).unwrap().info.model = "embedder@2".to_owned();
        encoder(&other).encode_query("same").await.unwrap();
        assert_eq!(other.calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_picture_counts_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let (cache, embedder) = (Arc::new(VectorCache::new(1 << 20)), Embedder::new(None));
        let encoder = CachedEncoder::new(Arc::new(EmbedderEncoder::new(embedder.clone()).unwrap()), cache);
        let with = |path: &PathBuf| SegmentContent::from_text("x").with_frames(vec![path.clone()]);
        let (a, same, other) = (file("a", "1"), file("b", "1"), file("c", "2"));
        for (path, calls) in [(&a, 1), (&same, 1), (&other, 2)] {
            encoder.encode_segments(&[with(path)]).await.unwrap();
            assert_eq!(embedder.calls.load(Ordering::SeqCst), calls);
        }
        file("a", "3");
        encoder.encode_segments(&[with(&a)]).await.unwrap();
        assert_eq!(embedder.calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn invariant_23_it_is_bounded() {
        let cache = Arc::new(VectorCache::new(4096));
        let encoder = CachedEncoder::new(Arc::new(HashEncoder::new(32, VectorKind::Multi)), Arc::clone(&cache));
        for number in 0..200 {
            encoder.encode_query(&format!("text {number}")).await.unwrap();
            assert!(cache.stats().bytes <= 4096);
        }
        let stats = cache.stats();
        assert!(stats.entries > 2 && stats.entries < 20 && stats.missed == 200, "{stats:?}");
        // What is larger than the whole cache is made each time, and pushes nothing out.
        encoder.encode_query(&"word ".repeat(100)).await.unwrap();
        assert_eq!(cache.stats().entries, stats.entries);
    }
}

/// One row a byte of a whole picture.
#[derive(Debug)]
struct Bytes(EncoderInfo, AtomicUsize);

impl Bytes {
    fn new() -> Arc<Self> {
        let info = EncoderInfo { model: "bytes".to_owned(), dims: 2, kind: VectorKind::Multi };
        Arc::new(Self(info, AtomicUsize::new(0)))
    }
}

#[async_trait]
impl PictureEncoder for Bytes {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }

    async fn encode_picture(&self, picture: &Picture) -> Result<Matrix<f32>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        if !picture.bytes().ends_with(&[0xae, 0x42, 0x60, 0x82]) {
            return Err(Error::invalid("the picture is cut"));
        }
        Matrix::new(2, picture.bytes().iter().flat_map(|byte| [f32::from(*byte), 1.0]).collect())
    }
}

#[async_trait]
impl SegmentEncoder for Bytes {
    fn info(&self) -> &EncoderInfo {
        &self.0
    }

    async fn encode_segments(&self, _: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        Ok(Vec::new())
    }
}

mod cached_picture {
    use super::*;
    cogniverse_sdk::picture_encoder_contract! {
        make: async {
            let cached = CachedEncoder::new(Bytes::new(), Arc::new(VectorCache::new(1 << 20)));
            (Arc::new(cached) as Arc<dyn PictureEncoder>, ())
        }, skips: []
    }
}

mod pooled_picture {
    use super::*;
    cogniverse_sdk::picture_encoder_contract! {
        make: async { (Arc::new(PooledEncoder::new(Bytes::new(), 3).unwrap()) as Arc<dyn PictureEncoder>, ()) }, skips: []
    }
}

#[tokio::test]
async fn a_picture_is_encoded_once_by_its_bytes_and_never_pooled() {
    let inner = Bytes::new();
    let cached = CachedEncoder::new(inner.clone(), Arc::new(VectorCache::new(1 << 20)));
    let picture = Picture::parse(cogniverse_sdk::contract::picture::png()).unwrap();
    let rows = cached.encode_picture(&picture).await.unwrap();
    assert_eq!(cached.encode_picture(&picture).await.unwrap(), rows);
    assert_eq!(inner.1.load(Ordering::SeqCst), 1);
    let pooled = PooledEncoder::new(inner, 3).unwrap();
    assert_eq!(pooled.encode_picture(&picture).await.unwrap().len(), picture.bytes().len());
}
