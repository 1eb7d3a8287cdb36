//! Local encoders, which turn queries and segments into vectors, and wrappers of encoders.
//!
//! ```
//! use cogniverse_encoders::HashEncoder;
//! use cogniverse_sdk::{QueryEncoder, VectorKind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cogniverse_sdk::Result<()> {
//! let encoder = HashEncoder::new(128, VectorKind::Multi);
//! assert_eq!(encoder.encode_query("two words").await?.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! | item | feature | description |
//! |---|---|---|
//! | [`HashEncoder`] | | vectors derived from spelling, for tests and trials |
//! | [`EmbedderEncoder`] | | any `TextEmbedder`, such as Ollama's or OpenAI's, as an encoder |
//! | [`PooledEncoder`] | | a multi-vector encoder whose vectors are pooled by a factor |
//! | [`CachedEncoder`], [`VectorCache`] | | an encoder with a cache |
//! | `MiniLmEncoder` | `local-models` | all-MiniLM-L6-v2 from a folder, one vector per text or per token |
//! | `ColPaliEncoder` | `local-models` | ColPali from a folder: text and pictures, one vector per token or patch |
//!
//! Models behind a server are in `cogniverse-model-servers`; this crate does no networking.

mod cache;
mod cluster;
#[cfg(feature = "local-models")]
mod colpali;
mod embedder;
mod hash;
#[cfg(feature = "local-models")]
mod minilm;
mod pooled;
mod rows;
#[cfg(feature = "local-models")]
mod text;

pub use cache::{CacheStats, CachedEncoder, VectorCache};
#[cfg(feature = "local-models")]
pub use colpali::ColPaliEncoder;
pub use embedder::EmbedderEncoder;
pub use hash::HashEncoder;
#[cfg(feature = "local-models")]
pub use minilm::{MiniLmEncoder, Pooling};
pub use pooled::PooledEncoder;
