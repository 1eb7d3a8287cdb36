//! Which language model thinks for a tenant.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use async_trait::async_trait;
use cogniverse_core::{
    models::{ModelOrigin, ModelRegistry},
    tenants::TenantCache,
};
use cogniverse_foundation::{AllowedOrigins, ConfigManager, InMemoryConfigStore, SystemConfig, Template};
use cogniverse_sdk::{
    ChatAnswer, ChatRequest, ConfigEntry, ConfigKey, ConfigOwner, ConfigStore, Error, ErrorKind, Expected,
    LanguageModel, LanguageModelProvider, Result, TenantId,
    config_store::{ConfigPage, ConfigVersions, ListConfig, PutConfig},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

#[derive(Debug)]
struct Named(String);

#[async_trait]
impl LanguageModel for Named {
    fn model(&self) -> &str {
        &self.0
    }
    async fn chat(&self, _: ChatRequest) -> Result<ChatAnswer> {
        Ok(ChatAnswer::new(""))
    }
    async fn chat_streamed(
        &self,
        request: ChatRequest,
        _: &mut (dyn for<'p> FnMut(&'p str) + Send),
    ) -> Result<ChatAnswer> {
        self.chat(request).await
    }
}

#[derive(Debug, Default)]
struct Provider {
    name: &'static str,
    made: AtomicUsize,
}

#[async_trait]
impl LanguageModelProvider for Provider {
    async fn model(&self, name: &str, base_url: Option<&str>) -> Result<Arc<dyn LanguageModel>> {
        self.made.fetch_add(1, Ordering::SeqCst);
        let at = base_url.unwrap_or("home");
        Ok(Arc::new(Named(format!("{}|{name}|{at}", self.name))))
    }
}

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

struct World {
    config: ConfigManager,
    ollama: Arc<Provider>,
    models: ModelRegistry,
}

impl World {
    fn new(names: &[&'static str], own: Option<&str>) -> Self {
        let allowed = AllowedOrigins::none().allow("http://models.internal:8000").unwrap();
        let config = ConfigManager::new(Arc::new(InMemoryConfigStore::new())).with_allowed_origins(allowed);
        let ollama = Arc::new(Provider { name: "ollama", ..Provider::default() });
        let mut providers: BTreeMap<String, Arc<dyn LanguageModelProvider>> = BTreeMap::new();
        for name in names {
            let provider: Arc<dyn LanguageModelProvider> =
                if *name == "ollama" { ollama.clone() } else { Arc::new(Provider { name, ..Provider::default() }) };
            providers.insert((*name).to_owned(), provider);
        }
        let own = own.map(|name| Arc::new(Named(name.to_owned())) as Arc<dyn LanguageModel>);
        let models = ModelRegistry::new(config.clone(), providers, own);
        Self { config, ollama, models }
    }

    async fn make(&self, id: &str, overrides: &[(&str, &str)]) -> TenantId {
        let overrides: Map<String, Value> =
            overrides.iter().map(|(field, value)| ((*field).to_owned(), Value::from(*value))).collect();
        self.config.create_from_template(&tenant(id), Template::Startup, overrides).await.unwrap();
        tenant(id)
    }

    async fn of(&self, tenant: &TenantId) -> (String, ModelOrigin) {
        let found = self.models.of(tenant).await.unwrap().unwrap();
        (found.model.model().to_owned(), found.origin)
    }
}

#[tokio::test]
async fn each_tenant_has_the_model_that_its_configuration_names() {
    use ModelOrigin::{Chosen, Template as Given};
    let world = World::new(&["ollama", "openai", "own"], Some("service"));
    for (id, overrides, model, origin) in [
        ("default", &[][..], "ollama|gemma3:4b|home", Given),
        ("bare", &[("llm_model", "deepseek-r1:7b")], "ollama|deepseek-r1:7b|home", Chosen),
        ("named", &[("llm_model", "ollama/qwen3:8b")], "ollama|qwen3:8b|home", Chosen),
        ("slashes", &[("llm_model", "openai/meta-llama/Llama-3")], "openai|meta-llama/Llama-3|home", Chosen),
        ("other", &[("llm_model", "own/house")], "own|house|home", Chosen),
    ] {
        let tenant = world.make(id, overrides).await;
        assert_eq!(world.of(&tenant).await, (model.to_owned(), origin), "{id}");
    }
    let away = world.make("away", &[("base_url", "http://models.internal:8000/v1")]).await;
    assert_eq!(world.of(&away).await, ("ollama|gemma3:4b|http://models.internal:8000/v1".to_owned(), Chosen));
}

#[tokio::test]
async fn the_services_own_model_thinks_for_those_who_chose_none_and_for_nobody_else() {
    let world = World::new(&["openai"], Some("service"));
    let chose_none = world.make("acme", &[]).await;
    assert_eq!(world.of(&chose_none).await, ("service".to_owned(), ModelOrigin::Service));
    // Made without a configuration.
    assert_eq!(world.of(&tenant("bare")).await, ("service".to_owned(), ModelOrigin::Service));
    let chose = world.make("globex", &[("llm_model", "ollama/qwen3:8b")]).await;
    let error = world.models.of(&chose).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    for word in ["ollama", "openai", "language_model_provider", "globex"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert!(World::new(&["openai"], None).models.of(&tenant("bare")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_model_is_made_once_a_version_and_a_change_holds_from_the_next_call() {
    let world = World::new(&["ollama"], None);
    let acme = world.make("acme", &[]).await;
    for _ in 0..3 {
        assert_eq!(world.of(&acme).await.0, "ollama|gemma3:4b|home");
    }
    assert_eq!(world.ollama.made.load(Ordering::SeqCst), 1);
    world.config.update(&acme, |config: &mut SystemConfig| config.llm_model = "ollama/other".into()).await.unwrap();
    assert_eq!(world.of(&acme).await, ("ollama|other|home".to_owned(), ModelOrigin::Chosen));
    // Set again to what the template had said: it is chosen now.
    world.config.update(&acme, |config: &mut SystemConfig| config.llm_model = "ollama/gemma3:4b".into()).await.unwrap();
    assert_eq!(world.of(&acme).await, ("ollama|gemma3:4b|home".to_owned(), ModelOrigin::Chosen));
    assert_eq!(world.ollama.made.load(Ordering::SeqCst), 3);
    // Versions begin again behind an erasure, and the model does too.
    world.config.erase_tenant(&acme).await.unwrap();
    world.make("acme", &[("llm_model", "ollama/anew")]).await;
    assert_eq!(world.of(&acme).await.0, "ollama|anew|home");
    assert_eq!(world.ollama.made.load(Ordering::SeqCst), 4);
    world.models.forget_tenant(&acme);
    world.of(&acme).await;
    assert_eq!(world.ollama.made.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn an_address_that_is_allowed_no_more_is_called_no_more() {
    let world = World::new(&["ollama"], Some("service"));
    let acme = world.make("acme", &[("base_url", "http://models.internal:8000")]).await;
    let stricter = ConfigManager::new(Arc::clone(world.config.store()));
    let providers: BTreeMap<String, Arc<dyn LanguageModelProvider>> =
        [("ollama".to_owned(), world.ollama.clone() as Arc<dyn LanguageModelProvider>)].into();
    let models = ModelRegistry::new(stricter, providers, Some(Arc::new(Named("service".into()))));
    let error = models.of(&acme).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(world.ollama.made.load(Ordering::SeqCst), 0, "nothing was called");
}

/// A store that can be made to fail.
#[derive(Debug)]
struct Failing(InMemoryConfigStore, AtomicBool);

impl Failing {
    fn check(&self) -> Result<()> {
        match self.1.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Unavailable, "the store is away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ConfigStore for Failing {
    async fn put(&self, request: PutConfig) -> Result<ConfigEntry> {
        self.0.put(request).await
    }
    async fn get(&self, key: &ConfigKey, version: Option<u64>) -> Result<Option<ConfigEntry>> {
        self.check()?;
        self.0.get(key, version).await
    }
    async fn history(&self, key: &ConfigKey, before: Option<u64>, limit: usize) -> Result<ConfigVersions> {
        self.check()?;
        self.0.history(key, before, limit).await
    }
    async fn list(&self, request: ListConfig) -> Result<ConfigPage> {
        self.0.list(request).await
    }
    async fn delete(&self, key: &ConfigKey, expected: Expected) -> Result<ConfigEntry> {
        self.0.delete(key, expected).await
    }
    async fn erase_tenant(&self, tenant: &TenantId) -> Result<u64> {
        self.0.erase_tenant(tenant).await
    }
    async fn export(
        &self,
        owner: &ConfigOwner,
        after: Option<cogniverse_sdk::PageCursor>,
        limit: usize,
    ) -> Result<ConfigPage> {
        self.0.export(owner, after, limit).await
    }
    async fn import(&self, entries: Vec<ConfigEntry>) -> Result<u64> {
        self.0.import(entries).await
    }
    async fn change_mark(&self) -> Result<Option<u64>> {
        self.0.change_mark().await
    }
}

#[tokio::test]
async fn invariant_09_what_could_not_be_read_is_no_default() {
    let store = Arc::new(Failing(InMemoryConfigStore::new(), AtomicBool::new(false)));
    let config = ConfigManager::new(store.clone());
    config.create_from_template(&tenant("acme"), Template::Startup, Map::new()).await.unwrap();
    let models = ModelRegistry::new(config, BTreeMap::new(), Some(Arc::new(Named("service".into()))));
    assert!(models.of(&tenant("acme")).await.unwrap().is_some());
    store.1.store(true, Ordering::SeqCst);
    assert_eq!(models.of(&tenant("acme")).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
