//! Encoders and speech to text by model servers.
//!
//! ```no_run
//! use cogniverse_model_servers::{ServerConfig, VllmConfig, VllmEncoder};
//!
//! # async fn run() -> cogniverse_sdk::Result<()> {
//! let server = ServerConfig::new("http://localhost:8000");
//! let encoder = VllmEncoder::connect(VllmConfig::new(server, "vidore/colqwen2-v1.0-hf")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | Item | What it is |
//! |---|---|
//! | [`ServerConfig`] | where a model server is, and how it is called |
//! | [`VllmEncoder`] | ColPali, ColQwen and other multi-vector models, by vLLM's `POST /pooling` |
//! | [`OpenAiTranscriber`] | speech to text, by OpenAI's `POST /v1/audio/transcriptions` |

mod client;
mod config;
mod error;
mod probe;
mod transcription;
mod vllm;

pub use config::ServerConfig;
pub use transcription::OpenAiTranscriber;
pub use vllm::{TextForm, VllmConfig, VllmEncoder};
