//! Models that turn queries and segments into vectors, and speech into words.
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
//! | item | feature | what it is |
//! |---|---|---|
//! | [`HashEncoder`] | | vectors from spelling alone: for tests, and to see a profile work without a model |
//! | [`EmbedderEncoder`] | | any `TextEmbedder`, such as Ollama's or OpenAI's, as an encoder |
//! | [`PooledEncoder`] | | any encoder of many vectors, with one of every few left |
//! | `VllmEncoder` | `http` | ColPali, ColQwen and their like behind vLLM's pooling route |
//! | `CachedEncoder`, `VectorCache` | `http` | any encoder, asked once for the same |
//! | `OpenAiTranscriber` | `http` | speech to text behind OpenAI's transcription route |
//! | `MiniLmEncoder` | `local-models` | all-MiniLM-L6-v2 from a folder, one vector a text or one a token |
//! | `ColPaliEncoder` | `local-models` | ColPali from a folder: texts and pictures, one vector a token or patch |
//!
//! `http` adds an HTTP client and nothing that must run; HTTPS is the feature `tls`. Without features the crate knows no network.

#[cfg(feature = "http")]
mod cache;
mod cluster;
#[cfg(feature = "local-models")]
mod colpali;
mod embedder;
mod hash;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "local-models")]
mod minilm;
mod pooled;
mod rows;
#[cfg(feature = "local-models")]
mod text;
#[cfg(feature = "http")]
mod transcription;
#[cfg(feature = "http")]
mod vllm;

#[cfg(feature = "http")]
pub use cache::{CacheStats, CachedEncoder, VectorCache};
#[cfg(feature = "local-models")]
pub use colpali::ColPaliEncoder;
pub use embedder::EmbedderEncoder;
pub use hash::HashEncoder;
#[cfg(feature = "http")]
pub use http::ServerConfig;
#[cfg(feature = "local-models")]
pub use minilm::{MiniLmEncoder, Pooling};
pub use pooled::PooledEncoder;
#[cfg(feature = "http")]
pub use transcription::OpenAiTranscriber;
#[cfg(feature = "http")]
pub use vllm::{TextForm, VllmConfig, VllmEncoder};
