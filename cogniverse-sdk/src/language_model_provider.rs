//! Providers of chat models by name.

use crate::{LanguageModel, Result};
use async_trait::async_trait;
use std::{fmt::Debug, sync::Arc};

/// A factory of language models for one kind of server.
///
/// A service registers each provider under a name; a tenant's configuration then selects a model as `provider/model`.
///
/// # How to implement
/// Creating a model sends nothing. `base_url` was chosen by a tenant and allowed by the service: never follow a
/// redirect from it, and never send it the credentials of the provider's own address.
#[async_trait]
pub trait LanguageModelProvider: Debug + Send + Sync + 'static {
    /// Returns the model of the given name, at the provider's own address or at `base_url` where one is given.
    ///
    /// # Errors
    /// `InvalidInput` for a malformed model name or an address that cannot be used.
    async fn model(&self, name: &str, base_url: Option<&str>) -> Result<Arc<dyn LanguageModel>>;
}

const _: Option<&dyn LanguageModelProvider> = None;
