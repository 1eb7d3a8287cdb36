//! Resolution of tenants' language models.
//!
//! A tenant's configuration names its model as `provider/model`; [`ModelRegistry`] creates it through the provider
//! that the service registered. Tenants that chose none get the service's own model.

use crate::tenants::TenantCache;
use cogniverse_foundation::{ConfigManager, ConfigSection, Source, SystemConfig, Versioned};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, LanguageModel, LanguageModelProvider, Result, TenantId};
use lru::LruCache;
use parking_lot::Mutex;
use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

/// The provider of a model name without one.
const DEFAULT_PROVIDER: &str = "ollama";

/// The number of tenants whose models are cached.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The source of a model choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelOrigin {
    /// The tenant's configuration names it explicitly.
    Chosen,
    /// The default or a template names it, and the service has its provider.
    Template,
    /// It is the service's own, for tenants that chose none.
    Service,
}

/// The language model of a tenant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TenantModel {
    /// The model.
    pub model: Arc<dyn LanguageModel>,
    /// The source of the choice.
    pub origin: ModelOrigin,
}

/// A registry that resolves tenants' language models from their current configuration at each call. Clones share a
/// cache.
///
/// `llm_model` is parsed as `provider/model`; a name without a slash, such as `mistral:7b-instruct`, belongs to
/// `ollama`. A `base_url` other than the default is called only where the service allows its origin, which is checked
/// again here, in case the service has restricted its list since.
#[derive(Debug, Clone)]
pub struct ModelRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ConfigManager,
    providers: BTreeMap<String, Arc<dyn LanguageModelProvider>>,
    own: Option<Arc<dyn LanguageModel>>,
    /// Cached models by tenant, with the configuration that names them, as versions restart after an erasure.
    made: Mutex<LruCache<TenantId, (Versioned<SystemConfig>, TenantModel)>>,
}

impl ModelRegistry {
    /// Creates a registry from providers by name and the service's own model.
    #[must_use]
    pub fn new(
        config: ConfigManager,
        providers: BTreeMap<String, Arc<dyn LanguageModelProvider>>,
        own: Option<Arc<dyn LanguageModel>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { config, providers, own, made: Mutex::new(LruCache::new(KEPT)) }) }
    }

    /// Returns the model of a tenant; `None` where it chose none and the service has neither the default's provider
    /// nor a model of its own.
    ///
    /// # Errors
    /// `FailedPrecondition` where the tenant chose a provider that the service does not have; `PermissionDenied` for
    /// an address that the service does not allow; `InvalidInput` for a malformed model name; any error of the
    /// configuration store.
    pub async fn of(&self, tenant: &TenantId) -> Result<Option<TenantModel>> {
        let inner = &self.inner;
        let config = match inner.config.get_system_config(tenant).await {
            Ok(config) => config,
            // A tenant that was made without a configuration has the service's own model.
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(self.own()),
            Err(e) => return Err(e),
        };
        if let Some((known, made)) = inner.made.lock().get(tenant)
            && *known == config
        {
            return Ok(Some(made.clone()));
        }
        let resolved = self.resolve(tenant, &config).await.map_err(|e| e.with_context("tenant", tenant))?;
        if let Some(resolved) = &resolved {
            inner.made.lock().put(tenant.clone(), (config, resolved.clone()));
        }
        Ok(resolved)
    }

    async fn resolve(&self, tenant: &TenantId, config: &Versioned<SystemConfig>) -> Result<Option<TenantModel>> {
        let chosen = self.is_chosen(tenant).await?;
        let (provider, name) = Self::split(&config.value.llm_model);
        let Some(found) = self.inner.providers.get(provider) else {
            return if chosen { Err(self.missing(provider, &config.value.llm_model)) } else { Ok(self.own()) };
        };
        let default = SystemConfig::default_for(tenant);
        let address = match config.value.base_url == default.base_url {
            true => None,
            false => Some(self.inner.config.allowed_origins().check("base_url", &config.value.base_url)?),
        };
        let model = found.model(name, address.as_ref().map(|url| url.as_str())).await?;
        let origin = if chosen { ModelOrigin::Chosen } else { ModelOrigin::Template };
        Ok(Some(TenantModel { model, origin }))
    }

    /// Returns whether the model or its address was set explicitly, rather than by a template or default.
    async fn is_chosen(&self, tenant: &TenantId) -> Result<bool> {
        let sources = self.inner.config.field_sources::<SystemConfig>(tenant).await?;
        let set = |field: &str| {
            sources.get(field).is_some_and(|found| matches!(found.source, Source::Set | Source::Rollback { .. }))
        };
        Ok(set("llm_model") || set("base_url"))
    }

    fn split(model: &str) -> (&str, &str) {
        match model.split_once('/') {
            Some((provider, name)) => (provider, name),
            None => (DEFAULT_PROVIDER, model),
        }
    }

    fn own(&self) -> Option<TenantModel> {
        let model = self.inner.own.clone()?;
        Some(TenantModel { model, origin: ModelOrigin::Service })
    }

    fn missing(&self, provider: &str, model: &str) -> Error {
        let unknown = Error::unknown("provider of language models", provider, self.inner.providers.keys());
        let message = format!(
            "llm_model is \"{model}\": {}; register it by CogniverseBuilder::language_model_provider, or name another model",
            unknown.message()
        );
        Error::of(ErrorCode::LanguageModelUnknown, message)
    }
}

impl TenantCache for ModelRegistry {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.inner.made.lock().pop(tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        u64::from(self.inner.made.lock().contains(tenant))
    }
}
