//! OTLP over gRPC.

use crate::{config::OtlpConfig, http::warn_of_partial};
use cogniverse_foundation::telemetry::ExportError;
use cogniverse_http::{ApiKey, Endpoint};
use cogniverse_sdk::{Error, ErrorCode, Result};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint as GrpcEndpoint},
};

#[derive(Debug)]
pub(crate) struct Grpc {
    client: TraceServiceClient<Channel>,
    endpoint: Endpoint,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Grpc {
    pub(crate) fn new(config: &OtlpConfig, endpoint: Endpoint) -> Result<Self> {
        let wrong =
            |e: &dyn std::fmt::Display| Error::invalid(format!("the OTLP endpoint {endpoint} cannot be used: {e}"));
        let channel = GrpcEndpoint::from_shared(endpoint.url().as_str().to_owned())
            .map_err(|e| wrong(&e))?
            .timeout(config.timeout)
            .connect_timeout(config.timeout);
        #[cfg(feature = "tls")]
        let channel = match endpoint.url().scheme() {
            "https" => channel
                .tls_config(tonic::transport::ClientTlsConfig::new().with_native_roots())
                .map_err(|e| wrong(&e))?,
            _ => channel,
        };
        let bearer = config.api_key().map(ApiKey::bearer).transpose()?;
        let authorization = bearer.map(|value| MetadataValue::try_from(value.as_bytes()));
        let mut authorization: Option<MetadataValue<Ascii>> = authorization.transpose().map_err(|e| wrong(&e))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self { client: TraceServiceClient::new(channel.connect_lazy()), endpoint, authorization })
    }

    pub(crate) async fn send(&mut self, request: ExportTraceServiceRequest) -> Result<(), ExportError> {
        let mut request = Request::new(request);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let answer = self.client.export(request).await.map_err(|status| self.error(&status))?;
        warn_of_partial(&self.endpoint, answer.get_ref());
        Ok(())
    }

    fn error(&self, status: &Status) -> ExportError {
        let message = format!("{} answered {:?}", self.endpoint, status.code());
        let error = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => {
                return ExportError::Refused(Error::invalid(message).with_withheld(status.message()));
            }
            Code::Unauthenticated | Code::PermissionDenied => {
                Error::of(ErrorCode::BackendUnauthenticated, format!("{message}; set an API key that may write spans"))
            }
            _ => Error::of(ErrorCode::BackendUnavailable, message),
        };
        ExportError::Retry { after: None, error: error.with_withheld(status.message()) }
    }
}
