//! The [`LanguageModelProvider`] implementation.

use crate::{OpenAiClient, OpenAiConfig, OpenAiModel};
use async_trait::async_trait;
use cogniverse_sdk::{LanguageModel, LanguageModelProvider, Result};
use std::sync::Arc;

/// A provider of an OpenAI-compatible server's models, for tenants that select one in their configuration.
#[derive(Debug, Clone)]
pub struct OpenAiProvider {
    client: OpenAiClient,
}

impl OpenAiProvider {
    /// Creates a provider with an address, and with the same settings for other addresses that tenants may choose;
    /// the API key is sent to this address only.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OpenAiConfig) -> Result<Self> {
        Ok(Self { client: OpenAiClient::new(config)? })
    }
}

#[async_trait]
impl LanguageModelProvider for OpenAiProvider {
    async fn model(&self, name: &str, base_url: Option<&str>) -> Result<Arc<dyn LanguageModel>> {
        let client = match base_url {
            None => self.client.clone(),
            Some(url) => OpenAiClient::new(self.client.config().at(url)?)?,
        };
        Ok(Arc::new(OpenAiModel::new(client, name)?))
    }
}
