//! Calls to a server of models.

mod client;
mod config;
mod error;

pub(crate) use client::{Body, Client};
pub use config::ServerConfig;
pub(crate) use error::not_of_the_form;
