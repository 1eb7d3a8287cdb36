//! The server as a program.
//!
//! Prints `listening on http://127.0.0.1:P (config http://127.0.0.1:Q)` when it is ready; stops on SIGINT and SIGTERM.

use clap::Parser;
use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
};
use tokio::signal::unix::{SignalKind, signal};
use vespa_testkit::{TestServer, TestServerOptions};

/// A server with Vespa's wire, for tests. It keeps nothing.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The port for documents and searches; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The port for deployments; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    config_port: u16,
    /// A folder with an application package, deployed at start.
    #[arg(long)]
    app: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let options = TestServerOptions::default().with_port(arguments.port).with_config_port(arguments.config_port);
    let server = TestServer::start_with(options).await?;
    if let Some(folder) = &arguments.app {
        server.deploy_folder(folder).await?;
    }
    let mut out = io::stdout();
    writeln!(out, "listening on {} (config {})", server.url(), server.config_url())?;
    out.flush()?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    server.stop().await;
    Ok(())
}
