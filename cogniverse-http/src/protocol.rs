//! The protocol that an adapter supplies to the client.

use crate::{answer::Answer, request::Request};
use cogniverse_sdk::Error;
use std::fmt::Debug;

/// An adapter's knowledge of its server.
///
/// A refusal is classified here and nowhere else: kind, whether another try can help ([`Error::retry`]), and a message in our
/// own words with the remedy. The server's words may repeat a user's text and belong in [`Error::with_withheld`].
pub trait Protocol: Debug + Send + Sync + 'static {
    /// Returns the server's name for messages, such as `Ollama` or `the model server`.
    fn server(&self) -> &str;

    /// Converts a response whose status is not a success to an error.
    fn refusal(&self, request: &Request, answer: &Answer) -> Error;
}
