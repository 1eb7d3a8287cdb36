//! The [`LanguageModelProvider`] implementation.

use crate::{OllamaClient, OllamaConfig, OllamaModel};
use async_trait::async_trait;
use cogniverse_sdk::{LanguageModel, LanguageModelProvider, Result};
use std::sync::Arc;

/// A provider of Ollama's models, for tenants that select one in their configuration.
#[derive(Debug, Clone)]
pub struct OllamaProvider {
    client: OllamaClient,
}

impl OllamaProvider {
    /// Creates a provider with an address, and with the same settings for other addresses that tenants may choose;
    /// the API key is sent to this address only.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OllamaConfig) -> Result<Self> {
        Ok(Self { client: OllamaClient::new(config)? })
    }
}

#[async_trait]
impl LanguageModelProvider for OllamaProvider {
    async fn model(&self, name: &str, base_url: Option<&str>) -> Result<Arc<dyn LanguageModel>> {
        let client = match base_url {
            None => self.client.clone(),
            Some(url) => OllamaClient::new(self.client.config().at(url)?)?,
        };
        Ok(Arc::new(OllamaModel::new(client, name)?))
    }
}
