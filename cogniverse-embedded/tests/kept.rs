//! What was stored is there as it was written, or it is said that it is not; and nothing of others is touched.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

use cogniverse_embedded::{Durability, EmbeddedBackend, EmbeddedConfig};
use cogniverse_sdk::{
    BackendQuery, BaseSchema, Document, DocumentStore, ErrorCode, ErrorKind, Filter, SchemaName, SchemaStore,
    SearchBackend, TenantSchema, Tensor,
    contract::fixture::{axis, deploy, document, field, id, row, schema, schema_of, strategy, tenant},
    document_store::{DeleteRequest, GetRequest, PutRequest, VisitRequest},
    schema_store::{DeployRequest, SchemaDeployment},
};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

fn config(folder: &Path) -> EmbeddedConfig {
    EmbeddedConfig::new(folder).with_durability(Durability::ProcessCrash)
}

async fn open(folder: &Path) -> EmbeddedBackend {
    EmbeddedBackend::open(config(folder)).await.unwrap()
}

async fn put(backend: &EmbeddedBackend, of: &str, documents: i64) {
    let documents: Vec<Document> =
        (0..documents).map(|n| document("v", n, &format!("words of {n}"), axis((n % 8) as usize))).collect();
    let count = documents.len();
    assert_eq!(backend.put(PutRequest::new(schema_of(of), documents)).await.unwrap().stored(), count);
}

fn store(folder: &Path, of: &str, generation: u32) -> PathBuf {
    folder.join(format!("tenants/{of}/contract_video.{generation}/documents.sqlite"))
}

fn words(of: &str) -> BackendQuery {
    BackendQuery::new(schema_of(of), strategy("bm25_only")).with_text("words")
}

/// A database as it stands where a process died before it made the tables.
fn half_made(path: &Path) {
    let _ = fs::remove_file(path);
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(connection);
    assert!(fs::metadata(path).unwrap().len() > 0);
}

/// The vectors that a document names: field, bytes and checksum.
fn vectors_of(store: &Path, tensors: &str) -> Vec<(String, Vec<u8>, i64)> {
    let one = |part: &str| {
        let parts: Vec<&str> = part.split(':').collect();
        let number = |place: usize| parts[place].parse::<usize>().unwrap();
        let file = fs::read(store.with_file_name(format!("vectors.{}", parts[1]))).unwrap();
        (parts[0].to_owned(), file[number(2)..number(2) + number(3)].to_vec(), number(4) as i64)
    };
    tensors.split(',').filter(|part| !part.is_empty()).map(one).collect()
}

/// Brings a store to the format in which the SQLite file held the vectors.
fn to_format_2(store: &Path) {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE vectors_embedding (row INTEGER PRIMARY KEY, cells BLOB NOT NULL, sum INTEGER NOT NULL);
             CREATE TABLE vectors_embedding_binary (row INTEGER PRIMARY KEY, cells BLOB NOT NULL, sum INTEGER NOT NULL);
             ALTER TABLE documents ADD COLUMN terms BLOB NOT NULL DEFAULT x'0102';
             DROP TABLE vector_files; DROP TABLE blocks; UPDATE meta SET value = '2' WHERE key = 'format';",
        )
        .unwrap();
    let mut select = connection.prepare("SELECT row, id, fields, terms, tensors FROM documents").unwrap();
    let documents: Vec<(i64, String, String, Vec<u8>, String)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (row, id, fields, terms, tensors) in documents {
        let vectors = vectors_of(store, &tensors);
        for (field, cells, sum) in &vectors {
            let insert = format!("INSERT INTO vectors_{field} VALUES (?1, ?2, ?3)");
            connection.execute(&insert, rusqlite::params![row, cells, sum]).unwrap();
        }
        let names = vectors.iter().map(|(field, ..)| field.as_str()).collect::<Vec<_>>().join(",");
        let mut sum = crc32fast::Hasher::new();
        for part in [id.as_bytes(), fields.as_bytes(), &terms, names.as_bytes()] {
            sum.update(&(part.len() as u64).to_le_bytes());
            sum.update(part);
        }
        connection
            .execute(
                "UPDATE documents SET tensors = ?2, sum = ?3 WHERE row = ?1",
                rusqlite::params![row, names, sum.finalize()],
            )
            .unwrap();
    }
    fs::remove_file(store.with_file_name("vectors.1")).unwrap();
}

/// Brings a data folder of format 2 to the format before checksums, names of stores and records of drops, as version 0.1.0
/// wrote it.
fn to_format_1(folder: &Path, store: &Path) {
    rusqlite::Connection::open(store)
        .unwrap()
        .execute_batch(
            "ALTER TABLE documents DROP COLUMN tensors; ALTER TABLE documents DROP COLUMN sum;
             ALTER TABLE vectors_embedding DROP COLUMN sum; ALTER TABLE vectors_embedding_binary DROP COLUMN sum;
             UPDATE meta SET value = '1' WHERE key = 'format'; DELETE FROM meta WHERE key IN ('store', 'moment');",
        )
        .unwrap();
    rusqlite::Connection::open(folder.join("catalog.sqlite"))
        .unwrap()
        .execute_batch("DROP TABLE drops; ALTER TABLE deployments DROP COLUMN store; PRAGMA user_version = 1;")
        .unwrap();
    fs::remove_file(folder.join("catalog.sqlite-made")).unwrap();
}

#[tokio::test]
async fn folders_of_the_versions_before_open_with_all_that_is_in_them() {
    for format in [1, 2] {
        of_an_earlier_version(format).await;
    }
}

async fn of_an_earlier_version(format: u32) {
    let folder = tempfile::tempdir().unwrap();
    let (get, near) = (
        || GetRequest::new(schema_of("acme"), (0..9).map(|n| id(&format!("v/{n}"))).collect()),
        || BackendQuery::new(schema_of("acme"), strategy("phased")).with_vectors(row(axis(3))).with_page(0, 20),
    );
    let (before, ranked) = {
        let backend = open(folder.path()).await;
        deploy(&backend, &["acme"]).await;
        put(&backend, "acme", 8).await;
        let bare = Document::new(id("v/8")).with(field("video_id"), "v").with(field("audio_transcript"), "words");
        backend.put(PutRequest::new(schema_of("acme"), vec![bare])).await.unwrap();
        (backend.get(get()).await.unwrap(), backend.search(near()).await.unwrap())
    };
    let file = store(folder.path(), "acme", 1);
    to_format_2(&file);
    if format == 1 {
        to_format_1(folder.path(), &file);
    }
    // Twice: what was brought up to date is of this version now.
    for _ in 0..2 {
        let backend = open(folder.path()).await;
        assert_eq!(backend.get(get()).await.unwrap(), before);
        assert_eq!(backend.search(near()).await.unwrap(), ranked);
        let verified = backend.verify(&schema_of("acme")).await.unwrap();
        assert!(verified.is_whole() && (verified.documents, verified.vectors) == (9, 16), "{verified:?}");
        put(&backend, "acme", 8).await;
    }
}

/// Before the tables were made nobody was told of the store.
#[tokio::test]
async fn a_process_that_died_while_it_made_a_file_leaves_a_folder_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    half_made(&folder.path().join("catalog.sqlite"));
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    let file = store(folder.path(), "acme", 1);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    half_made(&file);
    put(&backend, "acme", 3).await;
    drop(backend);
    assert_eq!(open(folder.path()).await.count(&schema_of("acme"), None).await.unwrap(), 3);
}

#[tokio::test]
async fn invariant_09_a_store_that_became_empty_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path(), "acme", 1);
    {
        let backend = open(folder.path()).await;
        deploy(&backend, &["acme"]).await;
        put(&backend, "acme", 5).await;
    }
    let kept = fs::read(&file).unwrap();
    fs::write(&file, "").unwrap();
    let backend = open(folder.path()).await;
    let error = backend.count(&schema_of("acme"), None).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("empty"), "{error:?}");
    drop(backend);
    half_made(&file);
    let backend = open(folder.path()).await;
    let error = backend.count(&schema_of("acme"), None).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("tables are missing"), "{error:?}");
    assert!(error.to_string().contains("drop the schema by name"), "{error}");
    drop(backend);
    // The catalog and what it says of itself.
    fs::write(&file, kept).unwrap();
    let catalog = folder.path().join("catalog.sqlite");
    let kept = fs::read(&catalog).unwrap();
    let ruins: [fn(&Path); 3] =
        [|path| fs::remove_file(path).unwrap(), |path| fs::write(path, "").unwrap(), |path| half_made(path)];
    for ruin in ruins {
        ruin(&catalog);
        let error = EmbeddedBackend::open(config(folder.path())).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("start over"), "{error:?}");
    }
    fs::write(&catalog, kept).unwrap();
    assert_eq!(open(folder.path()).await.count(&schema_of("acme"), None).await.unwrap(), 5);
}

#[cfg(unix)]
#[tokio::test]
async fn invariant_09_nothing_is_stored_in_a_file_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path(), "acme", 1);
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 5).await;
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", file.display()));
    }
    let late = PutRequest::new(schema_of("acme"), vec![document("w", 0, "late", axis(0))]);
    let error = backend.put(late).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("removed while it was open"), "{error:?}");
    assert_eq!(backend.search(words("acme")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let get = GetRequest::new(schema_of("acme"), vec![id("v/1")]);
    assert_eq!(backend.get(get).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let nothing = DeleteRequest::matching(schema_of("acme"), Filter::equals(field("video_id"), "nobody"));
    assert_eq!(backend.delete(nothing).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!file.exists(), "a reader made no new one");
    drop(backend);
    assert_eq!(open(folder.path()).await.count(&schema_of("acme"), None).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// The latest writes stand in SQLite's log alone: a process that dies after its removal has lost them.
#[cfg(unix)]
#[tokio::test]
async fn invariant_09_nothing_is_stored_in_a_log_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 5).await;
    fs::remove_file(store(folder.path(), "acme", 1).with_extension("sqlite-wal")).unwrap();
    let late = PutRequest::new(schema_of("acme"), vec![document("w", 0, "late", axis(0))]);
    let error = backend.put(late).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("log"), "{error:?}");
    assert_eq!(backend.search(words("acme")).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A folder of a backup, of an earlier deployment of the same schema, in the place of the one that is deployed.
#[tokio::test]
async fn invariant_09_an_earlier_deployments_file_is_not_this_ones() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 5).await;
    drop(backend);
    let earlier = fs::read(store(folder.path(), "acme", 1)).unwrap();
    let backend = open(folder.path()).await;
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 1).await;
    drop(backend);
    fs::write(store(folder.path(), "acme", 2), earlier).unwrap();
    let error = open(folder.path()).await.count(&schema_of("acme"), None).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("another deployment"), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn opening_removes_nothing_but_what_a_drop_named() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    {
        let backend = open(two.path()).await;
        deploy(&backend, &["acme"]).await;
        put(&backend, "acme", 5).await;
    }
    {
        let backend = open(one.path()).await;
        deploy(&backend, &["x", "y", "z"]).await;
        put(&backend, "x", 1).await;
    }
    // Another folder's tenant behind a link, one that was put back, and files of others.
    std::os::unix::fs::symlink(two.path().join("tenants/acme"), one.path().join("tenants/acme")).unwrap();
    let back = one.path().join("tenants/y/contract_video.1");
    fs::create_dir_all(&back).unwrap();
    fs::copy(store(two.path(), "acme", 1), back.join("documents.sqlite")).unwrap();
    fs::write(one.path().join("tenants/README.txt"), "x").unwrap();
    fs::write(one.path().join("tenants/x/.DS_Store"), "x").unwrap();
    let backend = open(one.path()).await;
    let expected = ["README.txt", "acme", "x/.DS_Store", "y/contract_video.1"];
    assert_eq!(backend.strays().await.unwrap(), expected.map(|path| one.path().join("tenants").join(path)));
    assert!(store(two.path(), "acme", 1).exists() && back.join("documents.sqlite").exists());
    // A drop through a link removes nothing behind it, also where a folder of the dropped deployment's name is there.
    deploy(&backend, &["acme"]).await;
    let behind = two.path().join("tenants/acme/contract_video.4");
    fs::create_dir(&behind).unwrap();
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    assert!(store(two.path(), "acme", 1).exists() && behind.exists());
    assert_eq!(backend.count(&schema_of("x"), None).await.unwrap(), 1);
}

/// A disk of its own, which nobody can remove while it is there; gone however the test ends.
#[cfg(unix)]
struct Mounted(PathBuf);

#[cfg(unix)]
impl Mounted {
    fn at(folder: &Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(folder).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }
}

#[cfg(unix)]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}

/// A drop whose folder cannot be removed is not done, can be asked for again, and is ended by the next opening.
#[cfg(unix)]
#[tokio::test]
async fn a_drop_that_failed_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme", "globex"]).await;
    put(&backend, "acme", 1).await;
    put(&backend, "globex", 1).await;
    let deployment = folder.path().join("tenants/acme/contract_video.1");
    let blocked = deployment.join("blocked");
    fs::create_dir(&blocked).unwrap();
    let Some(mounted) = Mounted::at(&blocked) else {
        println!("skipped: this machine lets nobody mount a disk");
        return;
    };
    let failed = backend.drop_schema(&schema_of("acme")).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(backend.count(&schema_of("acme"), None).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(backend.drop_schema(&schema_of("acme")).await.is_err(), "it is still there, and that is said");
    drop(mounted);
    backend.drop_schema(&schema_of("acme")).await.unwrap();
    assert!(!deployment.exists());
    assert_eq!(backend.drop_schema(&schema_of("acme")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(backend.count(&schema_of("globex"), None).await.unwrap(), 1);
}

#[tokio::test]
async fn fields_whose_names_differ_by_case_keep_their_own_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let mut two = serde_json::to_value(&*schema()).unwrap();
    two["document"]["fields"].as_array_mut().unwrap().push(serde_json::json!(
        {"name": "Embedding", "type": "tensor<bfloat16>(patch{}, v[8])", "indexing": ["attribute"]}
    ));
    let definition: Arc<BaseSchema> = Arc::new(serde_json::from_value(two).unwrap());
    let both = document("v", 0, "words", axis(0)).with(field("Embedding"), Tensor::Vectors(row(axis(5))));
    let upper =
        Document::new(id("w/0")).with(field("video_id"), "w").with(field("Embedding"), Tensor::Vectors(row(axis(3))));
    for round in 0..2 {
        let backend = open(folder.path()).await;
        if round == 0 {
            let deployment = SchemaDeployment { schema: schema_of("acme"), definition: Arc::clone(&definition) };
            backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
            let documents = vec![both.clone(), upper.clone()];
            assert_eq!(backend.put(PutRequest::new(schema_of("acme"), documents)).await.unwrap().stored(), 2);
        }
        let found = backend.get(GetRequest::new(schema_of("acme"), vec![id("v/0"), id("w/0")])).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|found| found.unwrap().document).collect();
        assert_eq!(found, [both.clone(), upper.clone()]);
    }
}

/// Two that change the ranking at once, and two that deploy first at once, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deployments_at_once_leave_catalog_and_store_together() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    let with = |name: &str| {
        let mut changed = (*schema()).clone();
        let mut profile = changed.rank_profiles[0].clone();
        profile.name = strategy(name);
        changed.rank_profiles.push(profile);
        DeployRequest::new(vec![SchemaDeployment { schema: schema_of("acme"), definition: Arc::new(changed) }])
    };
    for round in 0..60 {
        let start = Arc::new(tokio::sync::Barrier::new(8));
        let deploys: Vec<_> = (0..8)
            .map(|n| {
                let (backend, request, start) = (backend.clone(), with(["one", "two"][n % 2]), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    backend.deploy(request).await.map(drop)
                })
            })
            .collect();
        for deploy in deploys {
            deploy.await.unwrap().unwrap_or_else(|e| panic!("round {round}: {e:?}"));
        }
        put(&backend, "acme", 1).await;
        let listed = backend.list_schemas(&tenant("acme")).await.unwrap();
        for name in ["one", "two"] {
            let deployed = listed[0].definition.rank_profiles.iter().any(|profile| profile.name == strategy(name));
            let query = BackendQuery::new(schema_of("acme"), strategy(name)).with_text("words");
            assert_eq!(backend.search(query).await.is_ok(), deployed, "round {round}, {name}");
        }
        if round % 2 == 1 {
            backend.drop_schema(&schema_of("acme")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn names_that_are_not_deployed_take_nobodys_place() {
    let folder = tempfile::tempdir().unwrap();
    let backend = EmbeddedBackend::open(config(folder.path()).with_max_open_schemas(2)).await.unwrap();
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 1).await;
    for n in 0..8 {
        let unknown = TenantSchema::new(&tenant("globex"), &SchemaName::parse(format!("nothing{n}")).unwrap());
        assert_eq!(backend.count(&unknown, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(backend.resources().open_schemas, 1);
}

/// An opening that takes longer than a call may wait goes on, is one for all who ask, and takes nothing of a search's own time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_goes_on_for_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut definition = (*schema()).clone();
    let words_only = definition.rank_profiles.iter_mut().find(|profile| profile.name == strategy("bm25_only")).unwrap();
    words_only.timeout = Some(0.25);
    {
        let backend = open(folder.path()).await;
        let deployment = SchemaDeployment { schema: schema_of("acme"), definition: Arc::new(definition) };
        backend.deploy(DeployRequest::new(vec![deployment])).await.unwrap();
        put(&backend, "acme", 5).await;
    }
    // As long as this is held, the store cannot be opened.
    let hold = || {
        let other = rusqlite::Connection::open(store(folder.path(), "acme", 1)).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    };
    let patient = Duration::from_millis(300);
    let backend = EmbeddedBackend::open(config(folder.path()).with_open_timeout(patient)).await.unwrap();
    let held = hold();
    for limit in [None, Some(Duration::from_millis(30)), Some(Duration::from_secs(60))] {
        let begun = std::time::Instant::now();
        let error = backend.search(words("acme").with_timeout(limit)).await.unwrap_err();
        assert!(error.code() == ErrorCode::SchemaOpening && error.is_retryable(), "{limit:?}: {error:?}");
        assert!(error.to_string().contains("being opened still"), "{limit:?}: {error}");
        let took = begun.elapsed();
        assert!(took >= limit.unwrap_or(patient).min(patient) && took < patient * 5, "{limit:?}: {took:?}");
    }
    drop(held);
    // The first call's opening was not given up with it: a later one waits for its rest.
    while let Err(error) = backend.search(words("acme")).await {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    }
    drop(backend);
    let backend = open(folder.path()).await;
    let held = hold();
    let searches: Vec<_> = (0..20)
        .map(|_| {
            let backend = backend.clone();
            tokio::spawn(async move { backend.search(words("acme")).await })
        })
        .collect();
    // More than twice what the strategy allows itself.
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(held);
    for search in searches {
        assert_eq!(search.await.unwrap().unwrap().matched, 5);
    }
    assert_eq!(backend.resources().open_schemas, 1);
    assert_eq!(backend.close_tenant(&tenant("acme")), 0);
    assert_eq!((backend.warm(&tenant("acme")).await.unwrap(), backend.resources().open_schemas), (1, 1));
}

const FEW_FILES: &str = "COGNIVERSE_FEW_FILES";

/// Not a test of its own: the process that may open few files.
#[cfg(unix)]
#[tokio::test]
async fn a_process_of_few_files() {
    let Some(folder) = std::env::var_os(FEW_FILES).map(PathBuf::from) else { return };
    let limit = rustix::process::Rlimit { current: Some(96), maximum: Some(96) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let backend = open(&folder).await;
    let tenants: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    deploy(&backend, &tenants.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for round in 0..2 {
        for tenant in &tenants {
            if round == 0 {
                put(&backend, tenant, 1).await;
            }
            assert_eq!(backend.search(words(tenant)).await.unwrap().matched, 1);
        }
    }
    // Others of the process took nearly all: idle connections are closed for the store that is asked for.
    let held: Vec<_> = (0..200).map_while(|_| fs::File::open("/dev/null").ok()).collect();
    let room = held.len().saturating_sub(12);
    let _held: Vec<_> = held.into_iter().take(room).collect();
    for of in &tenants {
        assert_eq!(backend.search(words(of)).await.unwrap().matched, 1);
    }
    // Of a store that is open without a connection, that one's files come from those of other stores.
    drop(_held);
    let last = tenants.last().unwrap();
    assert_eq!(backend.close_tenant(&tenant(last)), 0);
    assert_eq!(backend.warm(&tenant(last)).await.unwrap(), 1);
    for of in tenants.iter().take(30) {
        assert_eq!(backend.search(words(of)).await.unwrap().matched, 1);
    }
    let _held: Vec<_> = (0..200).map_while(|_| fs::File::open("/dev/null").ok()).collect();
    assert_eq!(backend.search(words(last)).await.unwrap().matched, 1);
    println!("all were answered");
}

#[cfg(unix)]
#[test]
fn more_tenants_than_the_process_may_open_files_for_are_all_served() {
    let folder = tempfile::tempdir().unwrap();
    let process = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_few_files", "--nocapture"])
        .env(FEW_FILES, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&process.stdout);
    assert!(said.contains("all were answered"), "{said}{}", String::from_utf8_lossy(&process.stderr));
}

#[tokio::test]
async fn a_visit_costs_what_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    for video in ["a", "b", "c"] {
        let documents = (0..40).map(|n| document(video, n, "words", axis(0)));
        backend.put(PutRequest::new(schema_of("acme"), documents.collect())).await.unwrap();
    }
    let mut request = VisitRequest::new(schema_of("acme"))
        .with_filter(Filter::equals(field("video_id"), "b"))
        .with_page_size(7)
        .without_vectors();
    // What a visit reads is checked: it does not notice that documents which it does not find are damaged.
    let other = rusqlite::Connection::open(store(folder.path(), "acme", 1)).unwrap();
    assert_eq!(other.execute("UPDATE documents SET sum = sum + 1 WHERE id NOT LIKE 'b/%'", []).unwrap(), 80);
    let all = backend.visit(VisitRequest::new(schema_of("acme"))).await;
    assert_eq!(all.unwrap_err().kind(), ErrorKind::Corrupt);
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = backend.visit(request.clone()).await.unwrap();
        pages += 1;
        assert!(page.documents.iter().all(|document| document.text("video_id") == "b"));
        ids.extend(page.documents.into_iter().map(|document| document.id.to_string()));
        match page.continuation {
            Some(next) => request = request.with_continuation(Some(next)),
            None => break,
        }
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((ids.len(), sorted, pages), (40, ids.clone(), 6));
}

/// Also where the damage keeps the schema from opening: all of it is named, not the first alone.
#[tokio::test]
async fn verify_names_the_documents_that_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path(), "acme", 1);
    let backend = open(folder.path()).await;
    deploy(&backend, &["acme"]).await;
    put(&backend, "acme", 8).await;
    let damage = "UPDATE documents SET fields = replace(fields, 'words', 'swords') WHERE id = 'v/2';
                  UPDATE documents SET tensors = replace(tensors, 'binary:1:', 'binary:2:') WHERE id = 'v/6'";
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch(damage).unwrap();
    let tensors: String =
        connection.query_row("SELECT tensors FROM documents WHERE id = 'v/5'", [], |row| row.get(0)).unwrap();
    let (field, cells, _) = vectors_of(&file, &tensors).pop().unwrap();
    assert_eq!(field, "embedding");
    let vectors = file.with_file_name("vectors.1");
    let mut bytes = fs::read(&vectors).unwrap();
    let place = tensors.rsplit(':').nth(2).unwrap().parse::<usize>().unwrap();
    bytes[place..place + cells.len()].fill(0);
    drop(connection);
    // In place, as it is mapped.
    fs::File::options().write(true).open(&vectors).unwrap().write_all(&bytes).unwrap();
    for round in 0..2 {
        let found = backend.verify(&schema_of("acme")).await.unwrap();
        let what: Vec<&str> = found.damages.iter().map(|damage| damage.what.as_str()).collect();
        assert_eq!((found.documents, found.damaged), (8, 3), "round {round}: {what:?}");
        assert!(what[0].contains("document v/2 is not as it was written"), "{what:?}");
        assert!(what[1].contains("\"embedding\" of document v/5 are not as they were written"), "{what:?}");
        assert!(what[2].contains("document v/6 is not as it was written"), "{what:?}");
        // Then closed: it cannot be opened any more.
        assert_eq!(backend.close_tenant(&tenant("acme")), 0);
    }
    let error = backend.search(words("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    fs::remove_file(&file).unwrap();
    assert_eq!(backend.verify(&schema_of("acme")).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Documents are found by an index: one that names another id, or misses one, is damage and no absence.
#[tokio::test]
async fn a_damaged_index_of_documents_is_no_absence() {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path(), "acme", 1);
    {
        let backend = open(folder.path()).await;
        deploy(&backend, &["acme"]).await;
        let documents = [10, 14, 18].map(|n| document("v", n, "words", axis(0)));
        backend.put(PutRequest::new(schema_of("acme"), documents.to_vec())).await.unwrap();
    }
    let whole = fs::read(&file).unwrap();
    let places: Vec<usize> = (0..whole.len() - 4).filter(|at| &whole[*at..*at + 4] == b"v/14").collect();
    let mut damages = 0;
    for place in places {
        let mut damaged = whole.clone();
        // In order still.
        damaged[place + 3] = b'5';
        fs::write(&file, damaged).unwrap();
        let backend = open(folder.path()).await;
        // A copy in a page's unused part is nobody's.
        match backend.get(GetRequest::new(schema_of("acme"), vec![id("v/14")])).await {
            Ok(found) => assert!(found[0].is_some(), "byte {place}: an absence"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {place}: {error:?}");
                damages += 1;
            }
        }
    }
    assert!(damages >= 2, "{damages}: in the table, and in its index");
}

/// Every bit of the file may flip: what is read is what was written, or an error.
#[tokio::test]
async fn a_flipped_bit_is_never_other_content_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let file = store(folder.path(), "acme", 1);
    let documents: Vec<Document> =
        (0..40).map(|n| document("v", n, &format!("words that number {n} says"), axis((n % 8) as usize))).collect();
    let ids: Vec<_> = documents.iter().map(|document| document.id.clone()).collect();
    {
        let backend = open(folder.path()).await;
        deploy(&backend, &["acme"]).await;
        assert_eq!(backend.put(PutRequest::new(schema_of("acme"), documents)).await.unwrap().stored(), 40);
    }
    let get = || GetRequest::new(schema_of("acme"), ids.clone());
    let visit = || VisitRequest::new(schema_of("acme")).with_page_size(100);
    let near = || BackendQuery::new(schema_of("acme"), strategy("phased")).with_vectors(row(axis(3))).with_page(0, 50);
    let (read, visited, said, found) = {
        let backend = open(folder.path()).await;
        let verified = backend.verify(&schema_of("acme")).await.unwrap();
        assert!(verified.is_whole() && verified.documents == 40 && verified.vectors == 80, "{verified:?}");
        (
            backend.get(get()).await.unwrap(),
            backend.visit(visit()).await.unwrap(),
            backend.search(words("acme").with_page(0, 50)).await.unwrap(),
            backend.search(near()).await.unwrap(),
        )
    };
    let vectors = file.with_file_name("vectors.1");
    let (whole, whole_vectors) = (fs::read(&file).unwrap(), fs::read(&vectors).unwrap());
    let (mut noticed, mut harmless) = (0, 0);
    for flip in 0..400_usize {
        // Every fourth in the file of vectors.
        let (bits, vector_bits) = (whole.len() * 8, whole_vectors.len() * 8);
        let of_vectors = flip % 4 == 0;
        let bit = flip.wrapping_mul(2_654_435_761) % if of_vectors { vector_bits } else { bits };
        let (mut damaged, mut damaged_vectors) = (whole.clone(), whole_vectors.clone());
        let flipped = if of_vectors { &mut damaged_vectors } else { &mut damaged };
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, damaged).unwrap();
        fs::write(&vectors, damaged_vectors).unwrap();
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{ending}", file.display()));
        }
        let backend = open(folder.path()).await;
        let mut errors = 0;
        let mut same = |same: Result<bool, cogniverse_sdk::Error>, what: &str| match same {
            Ok(same) => assert!(same, "bit {bit}: {what} is other than what was written"),
            Err(_) => errors += 1,
        };
        same(backend.get(get()).await.map(|now| now == read), "a document");
        same(backend.visit(visit()).await.map(|now| now == visited), "a visit");
        same(backend.search(words("acme").with_page(0, 50)).await.map(|now| now == said), "a search of words");
        same(backend.search(near()).await.map(|now| now == found), "a search of vectors");
        if errors == 0 { harmless += 1 } else { noticed += 1 }
    }
    assert!(noticed > 50, "{noticed} noticed, {harmless} changed nothing that is read");
}

/// A drop on the condition that nothing is there, beside writers: what was stored is there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_schema_is_dropped_and_nothing_stored_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let backend = open(folder.path()).await;
    let acme = schema_of("acme");
    assert_eq!(backend.drop_empty_schema(&acme).await.unwrap_err().kind(), ErrorKind::NotFound);
    let mut kept = 0;
    for round in 0..60 {
        deploy(&backend, &["acme"]).await;
        let store = {
            let (backend, acme) = (backend.clone(), acme.clone());
            tokio::spawn(async move {
                let one = document("v", round, "words", axis(0));
                backend.put(PutRequest::new(acme, vec![one])).await.is_ok_and(|report| report.stored() == 1)
            })
        };
        if round % 3 == 0 {
            tokio::task::yield_now().await;
        }
        let dropped = backend.drop_empty_schema(&acme).await.unwrap();
        let stored = store.await.unwrap();
        assert_ne!(stored, dropped, "round {round}");
        if stored {
            kept += 1;
            assert_eq!(backend.count(&acme, None).await.unwrap(), 1);
            backend.drop_schema(&acme).await.unwrap();
        }
    }
    assert!(kept > 0, "no round had the writer first");
}
