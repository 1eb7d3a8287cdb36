//! HTTP client of the cogniverse adapters.
//!
//! Every adapter that talks to a server over HTTP (Ollama, OpenAI-compatible servers, model servers, Phoenix, OTLP
//! collectors, Vespa) builds on the types of this crate, so that addresses, keys, deadlines, retries and oversized answers are
//! handled once, in one way:
//!
//! - [`Address`] and [`ApiKey`] are fields of a configuration: they load from a file and never show a secret.
//! - [`Endpoint`] is a checked base address; requests are made by appending path segments, never by joining strings.
//! - [`HttpClient`] sends a [`Request`] under a deadline, retries what may be repeated ([`Repeat`], [`RetryPolicy`]), reads at
//!   most [`Request::max_answer_bytes`], and turns every failure into an [`Error`](cogniverse_sdk::Error) without the server's
//!   words in its message.
//! - [`Protocol`] is what an adapter adds: the server's name, and what its refusals mean.
//! - [`Lines`] reads a streamed answer line by line.
//!
//! ```
//! use cogniverse_http::{Address, Answer, HttpClient, Protocol, Request, RetryPolicy};
//! use cogniverse_sdk::{Error, ErrorKind};
//!
//! #[derive(Debug)]
//! struct Weather;
//!
//! impl Protocol for Weather {
//!     fn server(&self) -> &str {
//!         "the weather station"
//!     }
//!     fn refusal(&self, _: &Request, answer: &Answer) -> Error {
//!         Error::new(ErrorKind::Unavailable, format!("the weather station answered {}", answer.status()))
//!     }
//! }
//!
//! # async fn run() -> cogniverse_sdk::Result<()> {
//! let endpoint = Address::from("http://localhost:9000").endpoint("the weather station")?;
//! let client = HttpClient::new(Weather, endpoint, None, RetryPolicy::default())?;
//! let request = client.get(["v1", "today"]).with_query("unit", "celsius");
//! let today: serde_json::Value = client.json(&request).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | Module | Contents |
//! |---|---|
//! | `address`, `endpoint` | addresses as configured, and as checked |
//! | `api_key`, `connection` | secrets; certificates and the version of HTTP |
//! | `request`, `answer`, `lines` | what is sent, what comes back whole, and what comes back as a stream |
//! | `retry_policy`, `retry_after` | when to try again |
//! | `client`, `protocol`, `failure` | sending; what an adapter adds; failures without an answer |
//! | `seconds` | durations in configuration files |

mod address;
mod answer;
mod api_key;
mod client;
mod connection;
mod endpoint;
mod failure;
mod lines;
mod protocol;
mod request;
mod retry_after;
mod retry_policy;
pub mod seconds;

pub use address::Address;
pub use answer::Answer;
pub use api_key::ApiKey;
pub use client::HttpClient;
pub use connection::{Connection, Pem};
pub use endpoint::{Endpoint, shown_address};
pub use failure::{is_unsent, unreadable};
pub use lines::Lines;
pub use protocol::Protocol;
pub use request::{Repeat, Request};
pub use reqwest::{Method, StatusCode, header};
pub use retry_after::retry_after;
pub use retry_policy::RetryPolicy;
