//! The server as a program: its line, its package, its end.

use crate::support::{answer, client, package};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

fn program(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vespa-testkit"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test]
async fn the_program_says_where_it_listens_and_stops_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("schemas")).unwrap();
    for (path, content) in package(&["a"]) {
        std::fs::write(folder.path().join(path), content).unwrap();
    }
    for signal in ["INT", "TERM"] {
        let mut child = program(&["--port", "0", "--config-port", "0", "--app", folder.path().to_str().unwrap()]);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let urls = line.strip_prefix("listening on ").and_then(|rest| rest.strip_suffix(")\n")).unwrap();
        let (url, config_url) = urls.split_once(" (config ").unwrap();
        for base in [url, config_url] {
            let response = client().get(format!("{base}/state/v1/config")).send().await.unwrap();
            assert_eq!(answer(response).await.1["config"]["generation"], 1, "the package of --app is in force");
        }
        assert!(Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "{signal}");
    }
}

#[tokio::test]
async fn the_program_says_why_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let rows = [
        (vec!["--app", folder.path().to_str().unwrap()], "services.xml"),
        (vec!["--app", "/no/such/folder"], "/no/such/folder"),
        (vec!["--port", &port], port.as_str()),
    ];
    for (arguments, named) in rows {
        let output = program(&arguments).wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(named), "{said}");
    }
}
