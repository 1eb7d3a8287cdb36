//! Encoders, speech to text and sight by model servers.
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
//! | [`HttpDescriber`], [`HttpScreenReader`] | descriptions of pictures, and text on screen, by a server of one's own |

mod client;
mod config;
mod error;
mod probe;
mod seeing;
mod transcription;
mod vllm;

pub use config::ServerConfig;
pub use seeing::{HttpDescriber, HttpScreenReader};
pub use transcription::OpenAiTranscriber;
pub use vllm::{TextForm, VllmConfig, VllmEncoder};
