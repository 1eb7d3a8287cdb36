//! TLS and mutual TLS, with a server that Python makes of certificates that the `openssl` command line makes.

#![cfg(feature = "tls")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

use cogniverse_sdk::{Error, ErrorKind, SchemaStore, contract::fixture};
use cogniverse_vespa::{VespaBackend, VespaConfig};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Answers as a config server whose application is not this library's; takes only clients that its CA knows.
const SERVER: &str = r#"
import http.server, json, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        found = self.path == "/application/v2/tenant/default/application/default"
        body = json.dumps({"generation": 1} if found else {"error-code": "NOT_FOUND", "message": "none"}).encode()
        if self.path.endswith("/content/services.xml"):
            found, body = True, b"<services version='1.0'><content id='cogniverse' version='1.0'><documents/></content></services>"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
context.load_verify_locations("ca.pem")
context.verify_mode = ssl.CERT_REQUIRED
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// A CA with a server and a client, a CA that knows neither with a client of its own.
const CERTIFICATES: &str = r#"
set -e
authority() { openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1"; }
issue() {
  openssl req -newkey rsa:2048 -nodes -keyout "$2.key" -out "$2.csr" -subj "/CN=$2"
  printf '%s\n' "subjectAltName=IP:127.0.0.1" "extendedKeyUsage=serverAuth,clientAuth" >"$2.ext"
  openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1.key" -CAcreateserial -out "$2.pem" -days 2 -extfile "$2.ext"
}
authority ca; authority other
issue ca server; issue ca client; issue other stranger
"#;

/// A server with its certificates; it runs until it is dropped.
struct World {
    folder: TempDir,
    process: Child,
    url: String,
}

impl World {
    /// None, with the reason said, where a program is missing.
    fn start() -> Option<Self> {
        for program in ["openssl", "python3", "bash"] {
            let argument = if program == "openssl" { "version" } else { "--version" };
            if Command::new(program).arg(argument).stdout(Stdio::null()).status().is_err() {
                assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI has no {program}");
                eprintln!("skipped: {program} is not there");
                return None;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("bash").args(["-c", CERTIFICATES]).current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut process = Command::new("python3")
            .args(["-c", SERVER])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.trim().is_empty(), "the server did not start");
        Some(Self { folder, process, url: format!("https://127.0.0.1:{}", port.trim()) })
    }

    fn pem(&self, names: &[&str]) -> Vec<u8> {
        names.iter().flat_map(|name| std::fs::read(Path::join(self.folder.path(), name)).unwrap()).collect()
    }

    fn config(&self) -> VespaConfig {
        VespaConfig::new(&self.url, &self.url).with_attempts(1)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn list(config: VespaConfig) -> Result<usize, Error> {
    Ok(VespaBackend::new(config)?.list_schemas(&fixture::tenant("acme")).await?.len())
}

#[tokio::test]
async fn each_side_shows_a_certificate_that_the_other_trusts() {
    let Some(world) = World::start() else { return };
    let client = world.pem(&["client.pem", "client.key"]);
    let stranger = world.pem(&["stranger.pem", "stranger.key"]);
    let trusting = world.config().with_ca_certificate(world.pem(&["ca.pem"]));
    assert_eq!(list(trusting.clone().with_client_certificate(client.clone())).await.unwrap(), 0);
    for (case, config) in [
        ("no authority", world.config().with_client_certificate(client.clone())),
        (
            "an unknown authority",
            world.config().with_ca_certificate(world.pem(&["other.pem"])).with_client_certificate(client),
        ),
        ("no client certificate", trusting.clone()),
        ("a client certificate of another authority", trusting.with_client_certificate(stranger)),
    ] {
        let error = list(config).await.expect_err(case);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{case}: {error:?}");
    }
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_have_is_refused() {
    let Some(world) = World::start() else { return };
    let url = world.url.replace("127.0.0.1", "localhost");
    let config = VespaConfig::new(&url, &url).with_attempts(1).with_ca_certificate(world.pem(&["ca.pem"]));
    let error = list(config.with_client_certificate(world.pem(&["client.pem", "client.key"]))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[test]
fn nonsense_in_place_of_a_certificate_is_refused_at_once() {
    let Some(world) = World::start() else { return };
    let broken = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n".to_vec();
    let hollow = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for nonsense in [b"nonsense".to_vec(), Vec::new(), broken, hollow] {
        for config in [
            world.config().with_ca_certificate(nonsense.clone()),
            world.config().with_client_certificate(nonsense.clone()),
            world.config().with_client_certificate([nonsense.clone(), world.pem(&["client.key"])].concat()),
        ] {
            let made = VespaBackend::new(config).map(|_| String::from_utf8_lossy(&nonsense).into_owned());
            let error = made.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        }
    }
    let key = world.pem(&["client.key"]);
    let secret: String = String::from_utf8(key.clone()).unwrap().lines().nth(1).unwrap().to_owned();
    for half in [world.pem(&["client.pem"]), key, world.pem(&["client.pem", "server.key"])] {
        let error = VespaBackend::new(world.config().with_client_certificate(half)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(!format!("{error:?}").contains(&secret));
    }
}
