//! A running server, as a test holds it.

use crate::{
    config_server::ConfigServer,
    content::Content,
    faults::Faults,
    options::TestServerOptions,
    request_log::{RequestLog, SeenRequest},
    rollout::Rollout,
    server::{Port, Server},
    stop::Stop,
    transport,
};
use bytes::Bytes;
use cogniverse_sdk::{Error, ErrorKind, Result};
use std::{collections::BTreeMap, io, net::Ipv4Addr, path::Path, sync::Arc};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A running server. It stops when it is dropped.
///
/// Needs a Tokio runtime. Listens on 127.0.0.1 only.
#[derive(Debug)]
pub struct TestServer {
    server: Arc<Server>,
    url: String,
    config_url: String,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl TestServer {
    /// Starts on free ports, with no application.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] when no port can be had or no folder can be made.
    pub async fn start() -> Result<Self> {
        Self::start_with(TestServerOptions::default()).await
    }

    /// Starts with options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] when a port is taken or no folder can be made.
    pub async fn start_with(options: TestServerOptions) -> Result<Self> {
        let (container, config) = (listen(options.port).await?, listen(options.config_port).await?);
        let port = port_of(&container)?;
        let (url, config_url) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port_of(&config)?));
        let content = Content::new()
            .map_err(|e| Error::new(ErrorKind::Unavailable, "no folder for documents can be made").with_source(e))?;
        let content = Arc::new(content);
        let (stop, stopped) = Stop::channel();
        let rollout = Rollout::start(Arc::clone(&content), options.convergence_delay, stopped.clone());
        let deployments =
            ConfigServer::new(Arc::clone(&content), rollout, port, options.first_generation, options.session_lifetime);
        let (faults, log) = (Faults::default(), RequestLog::default());
        let server = Arc::new(Server { content, config: deployments, faults, log });
        let serve =
            |listener, port| tokio::spawn(transport::serve(listener, port, Arc::clone(&server), stopped.clone()));
        let tasks = vec![serve(container, Port::Container), serve(config, Port::Config)];
        Ok(Self { server, url, config_url, stop, tasks })
    }

    /// Returns the address for documents and searches: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the address for deployments: `http://127.0.0.1:port`.
    #[must_use]
    pub fn config_url(&self) -> &str {
        &self.config_url
    }

    /// Returns the controls that inject faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.server.faults
    }

    /// The last 10,000 requests, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.server.log.all()
    }

    /// Forgets the requests seen so far.
    pub fn forget_requests(&self) {
        self.server.log.clear();
    }

    /// The generation of the application; none where nothing is deployed.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.server.config.generation()
    }

    /// The files of the application, by path; none where nothing is deployed.
    #[must_use]
    pub fn application_files(&self) -> BTreeMap<String, Bytes> {
        self.server.config.application_files()
    }

    /// Deploys a package without the wire: the new generation, which is in force.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] where the package is refused, with the reason; [`ErrorKind::Conflict`] where another
    /// deployment came first.
    pub async fn deploy(&self, files: BTreeMap<String, Bytes>) -> Result<u64> {
        self.server.config.deploy(files).await.map_err(|refusal| {
            let kind = if refusal.is_conflict() { ErrorKind::Conflict } else { ErrorKind::InvalidInput };
            Error::new(kind, refusal.message())
        })
    }

    /// Deploys the package in a folder.
    ///
    /// # Errors
    ///
    /// As [`TestServer::deploy`]; [`ErrorKind::Unavailable`] where the folder can not be read.
    pub async fn deploy_folder(&self, folder: &Path) -> Result<u64> {
        let mut files = BTreeMap::new();
        read_folder(folder, "", &mut files).map_err(|e| {
            let message = format!("the package in \"{}\" can not be read", folder.display());
            Error::new(ErrorKind::Unavailable, message).with_source(e)
        })?;
        self.deploy(files).await
    }

    /// Stops: requests under way may finish, within two seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has stopped, too.
            let _ = task.await;
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| unavailable(port, e))
}

fn port_of(listener: &TcpListener) -> Result<u16> {
    listener.local_addr().map(|address| address.port()).map_err(|e| unavailable(0, e))
}

fn unavailable(port: u16, cause: io::Error) -> Error {
    let message = format!("port {port} of 127.0.0.1 can not be had; take another one, or 0 for any");
    Error::new(ErrorKind::Unavailable, message).with_source(cause)
}

fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Bytes>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, std::fs::read(entry.path())?.into());
        }
    }
    Ok(())
}
