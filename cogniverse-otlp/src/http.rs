//! OTLP as protobuf over HTTP.

use crate::config::OtlpConfig;
use cogniverse_foundation::telemetry::ExportError;
use cogniverse_http::{Answer, Endpoint, HttpClient, Protocol, Request, RetryPolicy, StatusCode, header::HeaderValue};
use cogniverse_sdk::{Error, ErrorCode, ErrorKind, Result, Retry};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use std::time::Duration;

const PROTOBUF: &str = "application/x-protobuf";
/// A collector answers with a few words.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What the adapter knows of collectors.
#[derive(Debug)]
struct Collector;

impl Protocol for Collector {
    fn server(&self) -> &str {
        "the OTLP collector"
    }

    fn refusal(&self, _: &Request, answer: &Answer) -> Error {
        let status = answer.status();
        let again = Retry::After(answer.retry_after());
        let (kind, retry, message) = match status.as_u16() {
            400 | 413 | 415 | 422 => {
                (ErrorKind::InvalidInput, Retry::Never, format!("the OTLP collector refused spans with {status}"))
            }
            401 | 403 => (
                ErrorKind::Unauthenticated,
                again,
                format!("the OTLP collector refused the API key with {status}; set one that may write spans"),
            ),
            _ => (ErrorKind::Unavailable, again, format!("the OTLP collector answered {status}")),
        };
        Error::new(kind, message).with_retry(retry).with_withheld(String::from_utf8_lossy(answer.body()))
    }
}

#[derive(Debug)]
pub(crate) struct Http {
    client: HttpClient<Collector>,
    timeout: Duration,
}

impl Http {
    pub(crate) fn new(config: &OtlpConfig, endpoint: Endpoint) -> Result<Self> {
        let client = HttpClient::new(Collector, endpoint, config.api_key(), RetryPolicy::default())?;
        Ok(Self { client, timeout: config.timeout })
    }

    /// Sends once: the pipeline tries again.
    pub(crate) async fn send(&self, request: &ExportTraceServiceRequest) -> Result<(), ExportError> {
        let call = self.client.post([]).with_max_answer_bytes(MAX_ANSWER_BYTES);
        let call = call.with_body(HeaderValue::from_static(PROTOBUF), request.encode_to_vec());
        let sent = self.client.within(self.timeout, &call, self.client.answer_once(&call)).await;
        let answer = sent.map_err(|error| self.retry(error))?;
        if !answer.is_success() {
            let error = self.client.refusal(&call, &answer);
            return Err(match error.kind() {
                ErrorKind::InvalidInput => ExportError::Refused(self.named(error)),
                _ => self.retry(error),
            });
        }
        let kind = answer.content_type();
        // Some accept the spans and say so in their own way.
        if answer.body().is_empty() || kind.starts_with(PROTOBUF) {
            return self.partial(answer.body());
        }
        if kind.starts_with("application/json") {
            return self.partial_json(answer.body());
        }
        if matches!(answer.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT) && !kind.starts_with("text/html") {
            return Ok(());
        }
        Err(self.foreign(&format!("answered {kind:?}, so it is no OTLP endpoint; give one that ends in /v1/traces")))
    }

    fn partial(&self, body: &[u8]) -> Result<(), ExportError> {
        let answer = ExportTraceServiceResponse::decode(body)
            .map_err(|_| self.foreign("answered with what is no OTLP message"))?;
        warn_of_partial(self.client.endpoint(), &answer);
        Ok(())
    }

    /// The same as OTLP writes it in JSON; other JSON says nothing of single spans.
    fn partial_json(&self, body: &[u8]) -> Result<(), ExportError> {
        let answer: serde_json::Value =
            serde_json::from_slice(body).map_err(|_| self.foreign("calls its answer JSON, and it is none"))?;
        // 64-bit numbers are texts in it.
        let rejected = answer.pointer("/partialSuccess/rejectedSpans");
        let rejected = rejected.and_then(|n| n.as_i64().or_else(|| n.as_str()?.parse().ok())).unwrap_or(0);
        if rejected > 0 {
            tracing::warn!(rejected, "{} took the request but not all spans", self.client.endpoint());
        }
        Ok(())
    }

    fn foreign(&self, why: &str) -> ExportError {
        self.retry(Error::of(ErrorCode::BackendUnavailable, format!("{} {why}", self.client.endpoint())))
    }

    fn retry(&self, error: Error) -> ExportError {
        let after = if let Retry::After(after) = error.retry() { after } else { None };
        ExportError::Retry { after, error: self.named(error) }
    }

    fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", self.client.endpoint())
    }
}

/// Reports that spans were not taken, but not which: the collector's words may repeat what is in a span.
pub(crate) fn warn_of_partial(endpoint: &Endpoint, answer: &ExportTraceServiceResponse) {
    if let Some(partial) = answer.partial_success.as_ref().filter(|partial| partial.rejected_spans > 0) {
        tracing::warn!(rejected = partial.rejected_spans, "{endpoint} took the request but not all spans");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sender_hides_its_key() {
        let config = OtlpConfig::http("http://127.0.0.1:9").with_api_key("s3cret");
        let endpoint = config.checked().unwrap();
        let http = Http::new(&config, endpoint.clone()).unwrap();
        let grpc = crate::grpc::Grpc::new(&config, endpoint).unwrap();
        let shown = format!("{http:?} {grpc:?}");
        assert!(shown.contains("127.0.0.1") && !shown.contains("s3cret"), "{shown}");
    }

    #[tokio::test]
    async fn invariant_19_a_secret_in_an_address_is_in_no_error() {
        let config = OtlpConfig::http("http://127.0.0.1:1/v1/traces?key=s3cret");
        let http = Http::new(&config, config.checked().unwrap()).unwrap();
        let ExportError::Retry { error, .. } = http.send(&ExportTraceServiceRequest::default()).await.unwrap_err()
        else {
            panic!("nobody there is no refusal");
        };
        let shown = format!("{config:?} {http:?} {error} {error:?} {}", error.chain());
        assert!(shown.contains("127.0.0.1:1/v1/traces") && !shown.contains("s3cret"), "{shown}");
    }
}
