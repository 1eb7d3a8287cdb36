//! What goes over the wire besides the requests themselves: the token, connections, time, and answers that are none.

#![allow(clippy::unwrap_used, reason = "a test asserts")]

mod front;
mod world;

use bytes::Bytes;
use cogniverse_core::schemas::SchemaManager;
use cogniverse_sdk::{
    BaseSchema, ConfigKey, ConfigOwner, ConfigScope, ConfigStore, DocumentStore, Error, ErrorKind, SchemaLoader,
    SchemaName, SchemaStore, SearchBackend,
    contract::fixture,
    document_store::{GetRequest, PutRequest},
};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use front::{Front, Manner};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use vespa_testkit::TestServer;

const TOKEN: &str = "s3cret-t0ken";
/// How late a call may be that has run out of time.
const GRACE: Duration = Duration::from_secs(3);

/// A test server with a front before each of its two addresses.
struct Watched {
    container: Front,
    config_server: Front,
    server: TestServer,
}

impl Watched {
    async fn start() -> Self {
        let server = TestServer::start().await.unwrap();
        Self {
            container: Front::start(Manner::Pass(server.url().to_owned())).await,
            config_server: Front::start(Manner::Pass(server.config_url().to_owned())).await,
            server,
        }
    }

    /// With a tenant and ten documents, which did not come through the fronts.
    async fn filled() -> Self {
        let watched = Self::start().await;
        let direct = VespaConfig::new(watched.server.url(), watched.server.config_url());
        world::fill(&VespaBackend::new(direct).unwrap(), "acme", 10).await;
        watched
    }

    fn config(&self) -> VespaConfig {
        VespaConfig::new(&self.container.url, &self.config_server.url).with_bearer_token(TOKEN)
    }

    fn backend(&self) -> VespaBackend {
        VespaBackend::new(self.config()).unwrap()
    }
}

async fn search(backend: &VespaBackend) -> Result<usize, Error> {
    search_within(backend, Duration::from_secs(30)).await
}

async fn search_within(backend: &VespaBackend, timeout: Duration) -> Result<usize, Error> {
    Ok(backend.search(world::words("acme", "common").with_timeout(Some(timeout))).await?.hits.len())
}

async fn get(backend: &VespaBackend) -> Result<(), Error> {
    backend.get(GetRequest::new(fixture::schema_of("acme"), vec![fixture::id("v/0")])).await.map(|_| ())
}

#[tokio::test]
async fn the_token_goes_with_every_call() {
    let watched = Watched::start().await;
    let backend = watched.backend();
    world::fill(&backend, "acme", 10).await;
    assert_eq!(search(&backend).await.unwrap(), 10);
    get(&backend).await.unwrap();
    assert_eq!(backend.count(&fixture::schema_of("acme"), None).await.unwrap(), 10);
    backend.drop_schema(&fixture::schema_of("acme")).await.unwrap();
    let seen: Vec<_> = watched.container.seen().into_iter().chain(watched.config_server.seen()).collect();
    for part in ["/search/", "/document/v1/", "/session", "/prepared", "/active", "/content/", "/serviceconverge"] {
        assert!(seen.iter().any(|seen| seen.path.contains(part)), "nothing was asked of {part}");
    }
    for seen in seen {
        assert_eq!(seen.authorization.as_deref(), Some("Bearer s3cret-t0ken"), "{}", seen.path);
    }
}

#[tokio::test]
async fn no_text_holds_the_token() {
    let watched = Watched::filled().await;
    let (config, backend) = (watched.config(), watched.backend());
    search(&backend).await.unwrap();
    let mut texts =
        vec![format!("{config:?}"), format!("{config:#?}"), format!("{backend:?}"), format!("{backend:#?}")];
    for manner in [
        Manner::Say(401, Bytes::from_static(b"{\"message\":\"who are you?\"}")),
        Manner::Say(200, Bytes::from_static(b"nonsense")),
        Manner::Redirect(watched.server.url().to_owned()),
    ] {
        watched.container.behave(manner.clone());
        watched.config_server.behave(manner);
        let listed = backend.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
        for error in [search(&backend).await.unwrap_err(), get(&backend).await.unwrap_err(), listed] {
            texts.extend([error.to_string(), format!("{error:?}"), error.chain().to_string()]);
            texts.push(serde_json::to_string(&error).unwrap());
        }
    }
    let unreachable = VespaConfig::new("http://127.0.0.1:1", "http://127.0.0.1:1").with_bearer_token(TOKEN);
    let error = VespaBackend::new(unreachable.with_attempts(1)).unwrap();
    let error = error.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
    texts.extend([error.to_string(), format!("{error:?}"), error.chain().to_string()]);
    let wrong = VespaBackend::new(watched.config().with_bearer_token(format!("{TOKEN}\n"))).unwrap_err();
    texts.extend([wrong.to_string(), format!("{wrong:?}")]);
    for text in texts {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

#[tokio::test]
async fn invariant_23_a_slow_server_ends_in_timeout_in_time() {
    let watched = Watched::filled().await;
    let limit = Duration::from_millis(500);
    let backend = VespaBackend::new(watched.config().with_timeout(limit).with_deploy_timeout(limit)).unwrap();
    search(&backend).await.unwrap();
    for manner in [Manner::Silent, Manner::Dripping] {
        watched.container.behave(manner.clone());
        watched.config_server.behave(manner.clone());
        let start = Instant::now();
        let error = search_within(&backend, limit).await.unwrap_err();
        // Besides the search's own time, a second for its way.
        assert!(start.elapsed() < limit + GRACE, "{manner:?}: {:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Timeout, "{manner:?}: {error:?}");
        let start = Instant::now();
        let error = get(&backend).await.unwrap_err();
        assert!(start.elapsed() < limit + GRACE, "{manner:?}: {:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Timeout, "{manner:?}: {error:?}");
        let start = Instant::now();
        let error = backend.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
        assert!(start.elapsed() < limit + GRACE, "{manner:?}: {:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Timeout, "{manner:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_redirect_takes_the_token_nowhere() {
    let watched = Watched::filled().await;
    let elsewhere = Front::start(Manner::Pass(watched.server.url().to_owned())).await;
    let backend = watched.backend();
    search(&backend).await.unwrap();
    watched.container.behave(Manner::Redirect(format!("{}/search/", elsewhere.url)));
    watched.config_server.behave(Manner::Redirect(format!("{}/", elsewhere.url)));
    assert_eq!(search(&backend).await.unwrap_err().kind(), ErrorKind::Unexpected);
    assert_eq!(get(&backend).await.unwrap_err().kind(), ErrorKind::Unexpected);
    let put = PutRequest::new(fixture::schema_of("acme"), world::documents(1));
    assert_eq!(backend.put(put).await.unwrap().stored(), 0);
    backend.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_of_bounded_length() {
    let watched = Watched::filled().await;
    let backend = VespaBackend::new(watched.config().with_attempts(1)).unwrap();
    search(&backend).await.unwrap();
    let long = "é".repeat(1 << 15);
    let texts = [
        long.clone(),
        format!("{{\"root\":\"{long}\"}}"),
        format!("{{\"{long}\":1}}"),
        format!("{{\"root\":{{\"errors\":[{{\"code\":1,\"summary\":\"{long}\",\"message\":\"{long}\"}}]}}}}"),
        format!("{{\"root\":{{\"children\":[{{\"relevance\":\"{long}\"}}]}}}}"),
        format!("{{\"error-code\":\"{long}\",\"message\":\"{long}\"}}"),
        format!("{{\"generation\":\"{long}\",\"pathId\":1}}"),
    ];
    for (number, text) in texts.into_iter().enumerate() {
        for status in [200, 400, 500] {
            watched.container.behave(Manner::Say(status, text.clone().into()));
            watched.config_server.behave(Manner::Say(status, text.clone().into()));
            let searched = search(&backend).await.unwrap_err();
            let listed = backend.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
            // A text that is JSON may be a document without fields.
            let got = get(&backend).await.err();
            for error in [Some(searched), Some(listed), got].into_iter().flatten() {
                let length = format!("{error:?}").len().max(error.chain().to_string().len());
                assert!(length < 8_000, "case {number}, status {status}: {length} bytes in an error");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_kept() {
    let watched = Watched::filled().await;
    let backend = watched.backend();
    search(&backend).await.unwrap();
    watched.container.behave(Manner::Flood(300));
    let error = search(&backend).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, false), "{error:?}");
    assert!(error.to_string().contains("ask for less"), "{error}");
}

#[tokio::test]
async fn searches_keep_one_connection_and_feeding_uses_http_2() {
    let watched = Watched::filled().await;
    let backend = watched.backend();
    for _ in 0..50 {
        assert_eq!(search(&backend).await.unwrap(), 10);
    }
    assert_eq!(watched.container.accepted(), 1);
    assert!(watched.container.seen().iter().all(|seen| !seen.http2));
    let feeder = VespaBackend::new(watched.config().with_feed(2, 64)).unwrap();
    let report = feeder.put(PutRequest::new(fixture::schema_of("acme"), world::documents(200))).await.unwrap();
    assert_eq!(report.stored(), 200);
    let fed = |seen: &front::Seen| seen.path.starts_with("/document/v1/");
    assert!(watched.container.seen().iter().filter(|seen| fed(seen)).all(|seen| seen.http2));
    assert_eq!(watched.container.connections(fed), 2);
}

/// A 404 that a proxy or another server gives says nothing of what Vespa holds: it is never "no document", "no application" or
/// "no configuration", and nothing is deployed from it.
#[tokio::test]
async fn invariant_09_a_404_in_others_words_is_no_absence() {
    let watched = Watched::filled().await;
    let config = watched.config().with_attempts(1).with_deploy_timeout(Duration::from_millis(300));
    let backend = VespaBackend::new(config).unwrap();
    let store = backend.config_store().await.unwrap();
    get(&backend).await.unwrap();
    let generation = watched.server.generation();
    let key = ConfigKey::new(ConfigOwner::System, ConfigScope::System, "system", "k");
    for page in ["<html>404 Not Found</html>", "404 page not found", "{}", "{\"error\":\"not found\"}"] {
        watched.container.behave(Manner::Say(404, Bytes::from_static(page.as_bytes())));
        let errors = [get(&backend).await.unwrap_err(), store.get(&key, None).await.unwrap_err()];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{page}: {error:?}");
        }
        watched.container.behave(Manner::Pass(watched.server.url().to_owned()));
        watched.config_server.behave(Manner::Say(404, Bytes::from_static(page.as_bytes())));
        let listed = backend.list_schemas(&fixture::tenant("acme")).await.unwrap_err();
        let dropped = backend.drop_schema(&fixture::schema_of("acme")).await.unwrap_err();
        let deployed = world::deploy(&backend, &["globex"]).await.unwrap_err();
        for error in [listed, dropped, deployed] {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{page}: {error:?}");
        }
        watched.config_server.behave(Manner::Pass(watched.server.config_url().to_owned()));
    }
    assert_eq!(watched.server.generation(), generation);
}

/// What a search goes by is known; who lists wants to know what is deployed now.
#[tokio::test]
async fn schemas_are_served_while_the_config_server_is_dead_or_hangs() {
    let watched = Watched::filled().await;
    let age = Duration::from_millis(50);
    let backend = VespaBackend::new(watched.config().with_attempts(1).with_catalog_age(age)).unwrap();
    let schemas = SchemaManager::new(Arc::new(NoSchemas), Arc::new(backend.clone()));
    let (tenant, base) = (fixture::tenant("acme"), fixture::schema().name.clone());
    schemas.schema(&tenant, &base).await.unwrap();
    let dead = Manner::Say(503, Bytes::from_static(b"{}"));
    for manner in [dead, Manner::Silent] {
        watched.config_server.behave(manner.clone());
        for _ in 0..3 {
            tokio::time::sleep(age * 2).await;
            let start = Instant::now();
            assert_eq!(backend.served(&fixture::schema_of("acme")).await.unwrap().schema, fixture::schema_of("acme"));
            schemas.schema(&tenant, &base).await.unwrap();
            assert!(start.elapsed() < GRACE * 2, "{manner:?}: {:?}", start.elapsed());
        }
        if !matches!(manner, Manner::Silent) {
            assert_eq!(backend.list_schemas(&tenant).await.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
    // What nobody knows of is no absence.
    assert_ne!(backend.served(&fixture::schema_of("globex")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// Base schemas that nobody asks for.
#[derive(Debug)]
struct NoSchemas;

#[async_trait::async_trait]
impl SchemaLoader for NoSchemas {
    async fn list(&self) -> Result<Vec<SchemaName>, Error> {
        Ok(Vec::new())
    }
    async fn load(&self, base: &SchemaName) -> Result<Arc<BaseSchema>, Error> {
        Err(Error::unknown("schema", base, Vec::<String>::new()))
    }
}
