//! Every command and every piece of code of the README and `docs`, as written and in order, on one data folder.
//!
//! An example runs as the binary that Cargo built of it; addresses of services are replaced by those that the environment names
//! (`.ci/run` does). A command that the list does not know fails the test: it is run, or somebody says here why it is not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod world;

use cogniverse_tests::root;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Mutex,
    time::{Duration, Instant, SystemTime},
};
use vespa_testkit::TestServer;
use world::ffmpeg_is_there;

/// A fenced block: its file, its language with what is said of it, its text.
struct Block {
    file: String,
    language: String,
    text: String,
}

/// The README first, then the guides by name.
fn blocks() -> Vec<Block> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    files.insert(0, root().join("README.md"));
    let mut blocks = Vec::new();
    for path in files {
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let mut open: Option<Block> = None;
        for line in text.lines() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block { file: file.clone(), language: language.to_owned(), text: String::new() });
                }
                (None, Some(block)) => block.text.extend([line, "\n"]),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{file}: a block is not closed");
    }
    blocks
}

/// The words of a line as a shell reads them: quotes, and comments.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "a quote is not closed: {line}");
    words.extend(word);
    words
}

/// The commands of the shell's blocks, in order, each with its file.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut commands = Vec::new();
    for block in blocks() {
        if !["sh", "bash", "console"].contains(&block.language.as_str()) {
            continue;
        }
        for line in block.text.replace("\\\n", " ").lines() {
            let words = words(line.strip_prefix("$ ").unwrap_or(line));
            if !words.is_empty() {
                commands.push((block.file.clone(), words));
            }
        }
    }
    commands
}

/// What is not run here, by how the command begins, and why.
const ELSEWHERE: [(&str, &str); 22] = [
    ("cargo test --workspace", "it is the run that this test belongs to"),
    ("cargo run --features local-models --example search", "needs a model: .ci/models.sh runs models"),
    (
        "cargo run --release --features local-models --example evaluate_retrieval",
        "needs a model: .ci/models.sh runs it",
    ),
    ("cargo bench --bench search_path", "measures: .ci/run tests that it runs"),
    ("cargo bench --bench operations", "measures: .ci/run tests that it runs"),
    ("cargo bench --bench backup", "measures: .ci/run tests that it runs"),
    ("cargo bench --bench tenancy", "measures: .ci/run tests that it runs"),
    ("cargo bench --bench routing", "measures: .ci/run tests that it runs"),
    (
        "cargo run --example search -- --tenant-id routed --answer",
        "needs an Ollama: tests/routing.rs asks one, and .ci/run runs it",
    ),
    ("cargo bench --bench memory", "measures: .ci/run tests that it runs"),
    ("cargo bench -p cogniverse-embedded --bench kernels", "measures: .ci/run tests that it runs"),
    ("cargo bench -p cogniverse-embedded --bench analysis", "measures: .ci/run tests that it runs"),
    ("cargo bench -p cogniverse-embedded --bench words", "measures: .ci/run tests that it runs"),
    ("cargo bench -p cogniverse-otlp --bench span", "measures: .ci/run tests that it runs"),
    ("cargo bench -p cogniverse-vespa --bench client", "measures: .ci/run tests that it runs"),
    ("cargo test -p cogniverse-otlp --test ten_thousand", "a test of the workspace's run"),
    ("cargo run --release -p cogniverse-vespa --example", "measures: .ci/vespa-numbers.sh runs it"),
    ("cargo test --release -p cogniverse-vespa --lib digits_are", "measures a release build"),
    (".ci/vespa-numbers.sh", "measures: .ci/run runs it"),
    ("cargo run -p cogniverse-example-service", "examples/service/tests starts it"),
    ("curl", "examples/service/tests calls the service"),
    ("docker run", "needs Docker; the commands after it run on vespa-testkit"),
];

enum Way {
    Example(String, Vec<String>),
    Elsewhere(&'static str),
}

fn way(command: &[String]) -> Option<Way> {
    let line = command.join(" ");
    if let Some((_, why)) = ELSEWHERE.iter().find(|(start, _)| line.starts_with(start)) {
        return Some(Way::Elsewhere(why));
    }
    let rest = command.strip_prefix(&["cargo".to_owned(), "run".to_owned()])?;
    let rest = if rest.first()? == "--release" { &rest[1..] } else { rest };
    let [flag, name, arguments @ ..] = rest else { return None };
    let arguments = match arguments {
        [] => Vec::new(),
        [dashes, arguments @ ..] if dashes == "--" => arguments.to_vec(),
        _ => return None,
    };
    (flag == "--example").then(|| Way::Example(name.clone(), arguments))
}

/// An example's binary, as Cargo built it beside this test. `cargo test --test guides` builds none: one that is missing, or older
/// than what it is made of, is built here.
fn binary(name: &str) -> PathBuf {
    static BUILDS: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDS.lock().unwrap();
    let here = std::env::current_exe().unwrap();
    let built = here.parent().unwrap().parent().unwrap().join("examples").join(name);
    let age = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if age(&built) < newest_source() {
        let cargo = Command::new(env!("CARGO")).args(["build", "--quiet", "--examples"]).current_dir(root()).status();
        assert!(cargo.unwrap().success() && built.exists(), "the example {name} cannot be built");
    }
    built
}

/// When the sources of the examples and of the library's crates changed last.
fn newest_source() -> Option<SystemTime> {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            path.is_dir() && (name.starts_with("cogniverse-") || ["src", "examples", "vespa-testkit"].contains(&&*name))
        })
        .collect();
    let mut newest = None;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "json") {
                newest = newest.max(fs::metadata(&path).unwrap().modified().ok());
            }
        }
    }
    newest
}

/// A folder to work in that looks like the clone's to what the guides say, with a video.
struct Reader(tempfile::TempDir);

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root().join("examples"), folder.path().join("examples")).unwrap();
        let videos = folder.path().join("videos/acme_corp");
        fs::create_dir_all(&videos).unwrap();
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=duration=4:size=128x72:rate=5", "-pix_fmt", "yuv420p"])
            .arg(videos.join("lesson.mp4"))
            .status();
        assert!(made.unwrap().success());
        fs::write(videos.join("lesson.srt"), "1\n00:00:00,500 --> 00:00:03,000\nmachine learning in a minute\n")
            .unwrap();
        Self(folder)
    }

    fn run(&self, example: &str, arguments: &[&str], vespa: Option<&TestServer>) -> Output {
        let mut command = Command::new(binary(example));
        command.args(arguments).current_dir(self.0.path());
        for name in ["COGNIVERSE_DATA_DIR", "COGNIVERSE_BACKEND", "COGNIVERSE_PHOENIX_URL"] {
            command.env_remove(name);
        }
        if let Some(server) = vespa {
            command.env("COGNIVERSE_VESPA_URL", server.url()).env("COGNIVERSE_VESPA_CONFIG_URL", server.config_url());
        }
        command.output().unwrap()
    }

    fn succeeds(&self, example: &str, arguments: &[&str], vespa: Option<&TestServer>) -> String {
        let output = self.run(example, arguments, vespa);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{example} {}:\n{out}{err}", arguments.join(" "));
        format!("{out}{err}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_guides_runs_as_written_in_order_on_one_folder() {
    if !ffmpeg_is_there() {
        return;
    }
    let (reader, server) = (Reader::new(), TestServer::start().await.unwrap());
    let phoenix = std::env::var("COGNIVERSE_PHOENIX_URL").ok();
    let mut ran = 0;
    let all = commands();
    tokio::task::spawn_blocking(move || {
        for (file, command) in &all {
            let line = command.join(" ");
            let known = way(command).unwrap_or_else(|| panic!("{file}: nobody said how to run this: {line}"));
            let (name, arguments) = match known {
                Way::Elsewhere(why) => {
                    println!("skipped ({why}): {line}");
                    continue;
                }
                Way::Example(name, arguments) => (name, arguments),
            };
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            if let Some(place) = arguments.iter().position(|word| *word == "http://localhost:6006") {
                let Some(phoenix) = &phoenix else {
                    println!("skipped (no Phoenix here; .ci/run has one): {line}");
                    continue;
                };
                arguments[place] = phoenix;
            }
            let vespa = arguments.contains(&"vespa").then_some(&server);
            println!("{line}");
            // A person reads the line in between; Phoenix shows a project about a second after its first span.
            let later = Instant::now() + Duration::from_secs(60);
            let not_yet = || {
                let said = reader.run(&name, &arguments, vespa).stderr;
                Instant::now() < later && String::from_utf8_lossy(&said).contains("about a second after its export")
            };
            while name == "tenant_analytics" && not_yet() {
                std::thread::sleep(Duration::from_millis(500));
            }
            reader.succeeds(&name, &arguments, vespa);
            ran += 1;
        }
        assert!(ran >= 10, "only {ran} commands were run");
    })
    .await
    .unwrap();
}

#[test]
fn a_command_outside_of_a_block_is_one_that_a_block_or_the_list_has() {
    // A command in a table or a sentence is copied like any other. It stands in a block as well, or is known to need something.
    let spoken = [
        "cargo run --example memory",
        "cargo bench --bench memory",
        "cargo run -p vespa-testkit -- --port 8080 --config-port 19071",
    ];
    let files = blocks().into_iter().map(|block| block.file).collect::<std::collections::BTreeSet<_>>();
    for file in files {
        let text = fs::read_to_string(root().join(&file)).unwrap();
        for piece in text.split('`').filter(|piece| piece.starts_with("cargo ")) {
            assert!(spoken.contains(&piece), "{file}: write this command in a block, or name it here: {piece}");
        }
    }
}

#[test]
fn every_piece_of_code_is_compiled_and_the_readmes_runs_twice() {
    /// Compiled by the doc tests of `src/lib.rs`; the services that they name are not at hand.
    const COMPILED: [&str; 18] = [
        "docs/backup.md",
        "docs/doctor.md",
        "docs/encoders.md",
        "docs/errors.md",
        "docs/health.md",
        "docs/in-your-service.md",
        "docs/isolation.md",
        "docs/memory.md",
        "docs/models.md",
        "docs/operations-guide.md",
        "docs/quotas.md",
        "docs/routing.md",
        "docs/seeing.md",
        "docs/speech.md",
        "docs/telemetry.md",
        "docs/tenants.md",
        "docs/vespa.md",
        "docs/videos.md",
    ];
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let service = fs::read_to_string(root().join("examples/service.rs")).unwrap();
    let health = fs::read_to_string(root().join("tests/health.rs")).unwrap();
    let plain = |text: &str| -> Vec<String> {
        let shown = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line).trim().to_owned());
        shown.filter(|line| !line.is_empty() && !line.starts_with("//!")).collect()
    };
    for block in blocks().iter().filter(|block| block.language.starts_with("rust")) {
        match block.file.as_str() {
            "README.md" => assert_eq!(plain(&block.text), plain(&service), "the README and examples/service.rs differ"),
            // A template with names to fill in; each backend's contract test is one that is filled in.
            "docs/adding-a-backend.md" => assert_eq!(block.language, "rust,ignore"),
            // With a crate that the facade does not have.
            "docs/health.md" if block.language == "rust,ignore" => {
                assert!(health.contains(block.text.trim()), "{}: not as tests/health.rs has it", block.file);
            }
            file if COMPILED.contains(&file) => {
                assert_eq!(block.language, "rust,no_run", "{file}");
                assert!(library.contains(&format!("include_str!(\"../{file}\")")), "{file} is in no doc test");
            }
            file => panic!("{file}: nobody said how to compile this:\n{}", block.text),
        }
    }
    if ffmpeg_is_there() {
        let reader = Reader::new();
        for _ in 0..2 {
            let said = reader.succeeds("service", &[], None);
            assert!(said.contains("machine learning in a minute"), "{said}");
        }
    }
}

#[test]
fn flags_are_flags_wherever_they_stand_and_a_table_shows_the_words() {
    let folder = Reader::without_videos();
    let tenant = ["--tenant-id", "acme_corp"];
    let with = |rest: &[&'static str]| [&tenant[..], rest].concat();
    folder.succeeds("create_tenant", &tenant, None);
    folder.succeeds("deploy_schemas", &tenant, None);
    let line = serde_json::json!({"video_id": "v1", "video_title": "machine learning", "segment_id": 0, "start_time": 0.0,
        "end_time": 1.0, "segment_description": "", "audio_transcript": "we begin with a spreadsheet"});
    let second = serde_json::json!({"video_id": "v2", "video_title": "other", "segment_id": 0, "start_time": 0.0,
        "end_time": 1.0, "segment_description": "", "audio_transcript": "machine learning again"});
    fs::write(folder.0.path().join("own.jsonl"), format!("{line}\n{second}\n")).unwrap();
    folder.succeeds("ingest_videos", &with(&["--segments", "own.jsonl"]), None);
    let json = folder.succeeds("search", &with(&["machine", "learning", "--top-k", "1", "--json"]), None);
    let answer: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(answer["hits"].as_array().unwrap().len(), 1, "{answer}");
    let table = folder.succeeds("search", &with(&["machine", "learning"]), None);
    assert!(table.contains("we begin with a spreadsheet") && table.contains("«machine» «learning» again"), "{table}");
}

#[test]
fn spans_that_nobody_takes_are_said_with_their_number_and_place() {
    let folder = Reader::without_videos();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nowhere}");
    let tenant = ["--tenant-id", "acme_corp"];
    folder.succeeds("create_tenant", &tenant, None);
    folder.succeeds("deploy_schemas", &tenant, None);
    for (example, rest) in [("search", vec!["words"]), ("memory", vec!["--add", "likes tea", "tea"])] {
        let arguments = [&tenant[..], &["--phoenix-url", &url], &rest].concat();
        let said = folder.succeeds(example, &arguments, None);
        let warning =
            said.lines().find(|line| line.starts_with("warning: ")).unwrap_or_else(|| panic!("{example}: {said}"));
        assert!(warning.contains("spans could not be delivered to") && warning.contains(&url), "{warning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_remembers_on_the_backend_that_it_is_told() {
    let (folder, server) = (Reader::without_videos(), TestServer::start().await.unwrap());
    tokio::task::spawn_blocking(move || {
        let add = ["--backend", "vespa", "--tenant-id", "acme_corp", "--add", "User prefers tea", "tea"];
        let said = folder.succeeds("memory", &add, Some(&server));
        assert!(said.contains("1 memories"), "{said}");
        assert!(!folder.0.path().join("cogniverse-data").join("tenants").exists());
        let elsewhere = folder.succeeds("memory", &["--tenant-id", "acme_corp", "tea"], None);
        assert!(elsewhere.contains("0 memories"), "{elsewhere}");
    })
    .await
    .unwrap();
}

impl Reader {
    fn without_videos() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}
