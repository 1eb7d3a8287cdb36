//! A cache of vectors, and encoders that use it.

use async_trait::async_trait;
use cogniverse_sdk::{
    EncoderInfo, Error, Matrix, Picture, PictureEncoder, QueryEncoder, Result, SegmentContent, SegmentEncoder,
};
use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};

/// The role of a text or picture for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Query,
    Picture,
    Segment,
}

/// A cache key: the model with its revision, kind and dimensions, the role, and the content's SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    info: EncoderInfo,
    role: Role,
    content: [u8; 32],
}

/// A bounded cache of vectors with eviction of the least recently used. Any number of encoders may share one.
///
/// The key needs no tenant: a vector depends only on the model and the content, both of which are part of the key,
/// and a caller must have the content to look it up. An encoder whose vectors depend on the tenant must say so in
/// [`EncoderInfo::model`], or not be cached.
pub struct VectorCache {
    inner: Mutex<Inner>,
    max_bytes: usize,
}

struct Inner {
    vectors: LruCache<Key, Matrix<f32>>,
    bytes: usize,
    found: u64,
    missed: u64,
}

/// Statistics of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// The number of cached texts and segments.
    pub entries: usize,
    /// The size of the cached vectors in bytes.
    pub bytes: usize,
    /// The number of cache hits.
    pub found: u64,
    /// The number of cache misses.
    pub missed: u64,
}

impl fmt::Debug for VectorCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorCache").field("max_bytes", &self.max_bytes).field("stats", &self.stats()).finish()
    }
}

impl VectorCache {
    /// Creates a cache of at most `max_bytes` bytes of vectors.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let inner = Inner { vectors: LruCache::unbounded(), bytes: 0, found: 0, missed: 0 };
        Self { inner: Mutex::new(inner), max_bytes }
    }

    /// Returns the statistics.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let inner = self.inner.lock();
        CacheStats { entries: inner.vectors.len(), bytes: inner.bytes, found: inner.found, missed: inner.missed }
    }

    fn get(&self, key: &Key) -> Option<Matrix<f32>> {
        let mut inner = self.inner.lock();
        let found = inner.vectors.get(key).cloned();
        if found.is_some() {
            inner.found += 1;
        } else {
            inner.missed += 1;
        }
        found
    }

    fn put(&self, key: Key, rows: &Matrix<f32>) {
        let size = |key: &Key, rows: &Matrix<f32>| size_of_val(rows.cells()) + size_of::<Key>() + key.info.model.len();
        let added = size(&key, rows);
        if added > self.max_bytes {
            return;
        }
        let mut inner = self.inner.lock();
        if let Some((key, old)) = inner.vectors.push(key, rows.clone()) {
            inner.bytes = inner.bytes.saturating_sub(size(&key, &old));
        }
        inner.bytes += added;
        while inner.bytes > self.max_bytes {
            let Some((key, old)) = inner.vectors.pop_lru() else { break };
            inner.bytes = inner.bytes.saturating_sub(size(&key, &old));
        }
    }
}

/// An encoder with a cache, keyed by the content of texts and pictures rather than by their names.
#[derive(Debug)]
pub struct CachedEncoder<E: ?Sized> {
    cache: Arc<VectorCache>,
    inner: Arc<E>,
}

impl<E: ?Sized> CachedEncoder<E> {
    /// Wraps an encoder with a cache.
    #[must_use]
    pub fn new(inner: Arc<E>, cache: Arc<VectorCache>) -> Self {
        Self { cache, inner }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: QueryEncoder + ?Sized> QueryEncoder for CachedEncoder<E> {
    fn info(&self) -> &EncoderInfo {
        self.inner.info()
    }

    async fn encode_query(&self, text: &str) -> Result<Matrix<f32>> {
        let content = Sha256::digest(text.as_bytes()).into();
        let key = Key { info: self.inner.info().clone(), role: Role::Query, content };
        if let Some(rows) = self.cache.get(&key) {
            return Ok(rows);
        }
        let rows = self.inner.encode_query(text).await?;
        self.cache.put(key, &rows);
        Ok(rows)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: PictureEncoder + ?Sized> PictureEncoder for CachedEncoder<E> {
    fn info(&self) -> &EncoderInfo {
        self.inner.info()
    }

    async fn encode_picture(&self, picture: &Picture) -> Result<Matrix<f32>> {
        let content = Sha256::digest(picture.bytes()).into();
        let key = Key { info: self.inner.info().clone(), role: Role::Picture, content };
        if let Some(rows) = self.cache.get(&key) {
            return Ok(rows);
        }
        let rows = self.inner.encode_picture(picture).await?;
        self.cache.put(key, &rows);
        Ok(rows)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: SegmentEncoder + ?Sized> SegmentEncoder for CachedEncoder<E> {
    fn info(&self) -> &EncoderInfo {
        self.inner.info()
    }

    async fn encode_segments(&self, segments: &[SegmentContent]) -> Result<Vec<Matrix<f32>>> {
        let mut made: Vec<Option<Matrix<f32>>> = Vec::with_capacity(segments.len());
        let (mut keys, mut wanted) = (Vec::new(), Vec::new());
        for segment in segments {
            // What cannot be read is the encoder's to name.
            let key = fingerprint(segment).await.map(|content| Key {
                info: self.inner.info().clone(),
                role: Role::Segment,
                content,
            });
            let found = key.as_ref().and_then(|key| self.cache.get(key));
            if found.is_none() {
                keys.push(key);
                wanted.push(segment.clone());
            }
            made.push(found);
        }
        if !wanted.is_empty() {
            let fresh = self.inner.encode_segments(&wanted).await?;
            if fresh.len() != wanted.len() {
                return Err(Error::unexpected(format!(
                    "encoder {} was given {} segments and answered {}",
                    self.inner.info().model,
                    wanted.len(),
                    fresh.len()
                )));
            }
            let mut fresh = fresh.into_iter().zip(keys);
            for slot in made.iter_mut().filter(|slot| slot.is_none()) {
                if let Some((rows, key)) = fresh.next() {
                    if let Some(key) = key {
                        self.cache.put(key, &rows);
                    }
                    *slot = Some(rows);
                }
            }
        }
        Ok(made.into_iter().flatten().collect())
    }
}

/// Hashes the content of a segment, each part prefixed by its length so that no two contents collide.
async fn fingerprint(segment: &SegmentContent) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(segment.text.as_bytes());
    for frame in &segment.frames {
        add(&tokio::fs::read(frame).await.ok()?);
    }
    Some(hasher.finalize().into())
}
