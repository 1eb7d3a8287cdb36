//! A Vespa that answers at once and keeps nothing, to measure clients with.
//!
//! Needs: nothing. Prints: `listening on http://127.0.0.1:P`, and serves until it is stopped. One port is the container and
//! the config server both, over HTTP/1.1 and HTTP/2 in the clear: `/document/v1` says that all is stored, `/search/` gives
//! the same ten hits, and one tenant schema is deployed. `GET /sink/search` gives the last search's body back.
//!
//! `cargo run --release -p cogniverse-vespa --example sink -- --port 0`

mod answers;
#[path = "../measured/corpus.rs"]
mod corpus;
mod server;

use anyhow::Result;
use clap::Parser;
use std::{net::Ipv4Addr, sync::Arc};
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(about = "A Vespa that answers at once and keeps nothing")]
struct Options {
    /// Where to listen; 0 takes a free port
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let port = listener.local_addr()?.port();
    let answers = Arc::new(answers::Answers::new(port)?);
    println!("listening on http://127.0.0.1:{port}");
    server::serve(listener, answers).await
}
