//! Models that turn queries and segments into vectors.
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
//! | `MiniLmEncoder` | `local-models` | all-MiniLM-L6-v2 from a folder, one vector a text or one a token |

mod hash;
#[cfg(feature = "local-models")]
mod minilm;
mod text;

pub use hash::HashEncoder;
#[cfg(feature = "local-models")]
pub use minilm::{MiniLmEncoder, Pooling};
