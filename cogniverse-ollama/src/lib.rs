//! Language models, text embedding and description of pictures by Ollama.
//!
//! Ollama answers 200 in many failures: a truncated prompt, incomplete JSON, an empty list of vectors, a broken
//! stream. Here each of these is an error or a flag in the answer.
//!
//! ```no_run
//! use cogniverse_ollama::{OllamaClient, OllamaConfig, OllamaEmbedder, OllamaModel};
//! use cogniverse_sdk::{ChatMessage, ChatRequest, LanguageModel, TextEmbedder, TextKind};
//!
//! # async fn run() -> cogniverse_sdk::Result<()> {
//! let client = OllamaClient::new(OllamaConfig::new("http://localhost:11434"))?;
//! let model = OllamaModel::new(client.clone(), "ollama/gemma3:4b")?;
//! let request = ChatRequest::new(vec![ChatMessage::user("Why is the sky blue?")]).with_max_tokens(200);
//! let answer = model.chat_streamed(request, &mut |piece| print!("{piece}")).await?;
//! println!("\n{:?}, {:?} tokens", answer.finish, answer.completion_tokens);
//!
//! let embedder = OllamaEmbedder::connect(client, "all-minilm").await?;
//! let rows = embedder.embed(&["a cat sits on the mat".to_owned()], TextKind::Document).await?;
//! assert_eq!(rows.width(), embedder.info().dims);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `config`, `options` | address and timeouts; model options |
//! | `model_name` | names with and without prefix and tag |
//! | `client` | every call by name |
//! | `generation`, `models`, `pull` | requests and results of the calls |
//! | `chat`, `embedder`, `provider` | the roles `LanguageModel`, `TextEmbedder` and `LanguageModelProvider` |
//! | `describer` | the role `FrameDescriber`, by models that see |
//! | `wire`, `error` | Ollama's JSON; its errors in one table |

mod chat;
mod client;
mod config;
mod describer;
mod embedder;
mod error;
mod generation;
mod model_name;
mod models;
mod options;
mod provider;
mod pull;
mod wire;

pub use chat::OllamaModel;
pub use client::{Health, OllamaClient};
pub use config::OllamaConfig;
pub use describer::OllamaDescriber;
pub use embedder::OllamaEmbedder;
pub use generation::{Generation, PromptRequest, Timings};
pub use model_name::ModelName;
pub use models::{LoadedModel, ModelDetails, StoredModel};
pub use options::{KeepAlive, OllamaOptions, OverlongPrompt};
pub use provider::OllamaProvider;
pub use pull::PullProgress;
