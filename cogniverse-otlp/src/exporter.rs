//! The OTLP exporter of `TelemetryManager`.

use crate::{
    config::{OtlpConfig, OtlpProtocol},
    grpc::Grpc,
    http::Http,
    wire,
};
use cogniverse_foundation::telemetry::{ExportError, ScopeBatch, SpanExporter};
use cogniverse_http::Endpoint;
use cogniverse_sdk::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};

/// A span exporter over OTLP. Its connections live on the pipeline's worker thread; it starts no other.
#[derive(Debug)]
pub struct OtlpExporter {
    config: OtlpConfig,
    endpoint: Endpoint,
    /// Created on the worker thread, as a runtime must not be dropped inside another.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    sender: Sender,
    runtime: Runtime,
}

#[derive(Debug)]
enum Sender {
    Http(Http),
    Grpc(Box<Grpc>),
}

impl OtlpExporter {
    /// Creates an exporter. It does not connect yet.
    ///
    /// # Errors
    /// `InvalidInput` for an address or a key that cannot be used.
    pub fn new(config: OtlpConfig) -> Result<Self> {
        let endpoint = config.checked()?;
        Ok(Self { config, endpoint, running: None })
    }

    fn start(&self) -> Result<Running> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| {
            Error::new(ErrorKind::Unavailable, "no connection can be made on this machine").with_source(e)
        })?;
        let _entered = runtime.enter();
        let sender = match self.config.protocol {
            OtlpProtocol::Http => Sender::Http(Http::new(&self.config, self.endpoint.clone())?),
            OtlpProtocol::Grpc => Sender::Grpc(Box::new(Grpc::new(&self.config, self.endpoint.clone())?)),
        };
        drop(_entered);
        Ok(Running { sender, runtime })
    }
}

impl SpanExporter for OtlpExporter {
    fn export(&mut self, batches: &[ScopeBatch]) -> std::result::Result<(), ExportError> {
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start().map_err(|error| ExportError::Retry { after: None, error })?,
        };
        let running = self.running.insert(running);
        for request in wire::requests(batches, &self.config.service_name) {
            match &mut running.sender {
                Sender::Http(http) => running.runtime.block_on(http.send(&request))?,
                Sender::Grpc(grpc) => running.runtime.block_on(grpc.send(request))?,
            }
        }
        Ok(())
    }
}
