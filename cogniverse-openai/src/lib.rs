//! Language models, text embedding and description of pictures by servers that speak OpenAI's API: vLLM, llama.cpp, LM Studio, OpenAI.
//!
//! The servers agree on successful responses and on little else; differences are handled in every known form, and a
//! malformed response is an error. Use `cogniverse-ollama` for Ollama: its native API reports truncated prompts, and
//! this one does not.
//!
//! ```no_run
//! use cogniverse_openai::{OpenAiClient, OpenAiConfig, OpenAiEmbedder, OpenAiModel};
//! use cogniverse_sdk::{ChatMessage, ChatRequest, LanguageModel, TextEmbedder, TextKind};
//!
//! # async fn run() -> cogniverse_sdk::Result<()> {
//! let client = OpenAiClient::new(OpenAiConfig::new("http://localhost:8000/v1"))?;
//! let model = OpenAiModel::new(client.clone(), "google/gemma-3-4b-it")?;
//! let request = ChatRequest::new(vec![ChatMessage::user("Why is the sky blue?")]).with_max_tokens(200);
//! let answer = model.chat_streamed(request, &mut |piece| print!("{piece}")).await?;
//! println!("\n{:?}", answer.finish);
//!
//! let embedder = OpenAiEmbedder::connect(client, "intfloat/e5-small-v2").await?.with_prefixes("query: ", "passage: ");
//! let rows = embedder.embed(&["a cat sits on the mat".to_owned()], TextKind::Document).await?;
//! assert_eq!(rows.width(), embedder.info().dims);
//! # Ok(())
//! # }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | address, key and timeouts |
//! | `client` | the HTTP client |
//! | `chat`, `events` | the role `LanguageModel`; answers that come as server-sent events |
//! | `embedder`, `provider` | the roles `TextEmbedder` and `LanguageModelProvider` |
//! | `describer` | the role `FrameDescriber`, by models that see |
//! | `wire`, `error` | OpenAI's JSON; errors in the form of each server |

mod chat;
mod client;
mod config;
mod describer;
mod embedder;
mod error;
mod events;
mod provider;
mod wire;

pub use chat::OpenAiModel;
pub use client::OpenAiClient;
pub use config::{OpenAiConfig, TokenLimitField};
pub use describer::OpenAiDescriber;
pub use embedder::OpenAiEmbedder;
pub use provider::OpenAiProvider;
