//! OTLP over gRPC.

use crate::{config::OtlpConfig, http::warn_of_partial};
use cogniverse_foundation::telemetry::ExportError;
use cogniverse_sdk::{Error, ErrorKind, Result};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

#[derive(Debug)]
pub(crate) struct Grpc {
    client: TraceServiceClient<Channel>,
    url: String,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Grpc {
    pub(crate) fn new(config: &OtlpConfig, url: String) -> Result<Self> {
        let wrong =
            |e: &dyn std::fmt::Display| Error::invalid(format!("the OTLP endpoint {url:?} cannot be used: {e}"));
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|e| wrong(&e))?
            .timeout(config.timeout)
            .connect_timeout(config.timeout);
        #[cfg(feature = "tls")]
        let endpoint = match url.starts_with("https://") {
            true => endpoint
                .tls_config(tonic::transport::ClientTlsConfig::new().with_native_roots())
                .map_err(|e| wrong(&e))?,
            false => endpoint,
        };
        let mut authorization: Option<MetadataValue<Ascii>> =
            config.authorization().map(|value| value.parse()).transpose().map_err(|e| wrong(&e))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self { client: TraceServiceClient::new(endpoint.connect_lazy()), url, authorization })
    }

    pub(crate) async fn send(&mut self, request: ExportTraceServiceRequest) -> Result<(), ExportError> {
        let mut request = Request::new(request);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let answer = self.client.export(request).await.map_err(|status| self.error(&status))?;
        warn_of_partial(&self.url, answer.get_ref());
        Ok(())
    }

    fn error(&self, status: &Status) -> ExportError {
        let message = format!("{} answered {:?}: {}", self.url, status.code(), status.message());
        let error = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => return ExportError::Refused(Error::invalid(message)),
            Code::Unauthenticated | Code::PermissionDenied => {
                Error::new(ErrorKind::Unauthenticated, format!("{message}; set an API key that may write spans"))
            }
            _ => Error::new(ErrorKind::Unavailable, message),
        };
        ExportError::Retry { after: None, error }
    }
}
