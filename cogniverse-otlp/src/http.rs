//! OTLP as protobuf over HTTP.

use crate::config::OtlpConfig;
use cogniverse_foundation::telemetry::ExportError;
use cogniverse_sdk::{Error, ErrorKind, Result};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use reqwest::{
    Client, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use std::time::Duration;

const PROTOBUF: &str = "application/x-protobuf";
/// Of an answer that says why; more is not read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    url: String,
    authorization: Option<HeaderValue>,
}

impl Http {
    pub(crate) fn new(config: &OtlpConfig, url: String) -> Result<Self> {
        let client = Client::builder()
            .timeout(config.timeout)
            // A redirect would turn the request into another.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| Error::unexpected("no HTTP client can be made").with_source(e))?;
        let authorization = config.authorization().map(HeaderValue::try_from).transpose();
        let mut authorization =
            authorization.map_err(|_| Error::invalid("the API key holds a character that no header can"))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self { client, url, authorization })
    }

    pub(crate) async fn send(&self, request: &ExportTraceServiceRequest) -> Result<(), ExportError> {
        let mut call = self.client.post(&self.url).header(CONTENT_TYPE, PROTOBUF).body(request.encode_to_vec());
        if let Some(authorization) = &self.authorization {
            call = call.header(AUTHORIZATION, authorization.clone());
        }
        let answer = call.send().await.map_err(|e| self.retry(None, "cannot be reached", Some(e)))?;
        let (status, after) = (answer.status(), retry_after(&answer));
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let body = read(answer).await.map_err(|e| self.retry(after, "broke off its answer", Some(e)))?;
        if status == StatusCode::OK {
            if body.is_empty() || kind.starts_with(PROTOBUF) {
                return self.partial(&body);
            }
            let why = format!("answered {kind:?}, so it is no OTLP endpoint; give one that ends in /v1/traces");
            return Err(self.retry(after, &why, None));
        }
        let said = String::from_utf8_lossy(&body);
        let said: String = said.chars().take(300).collect();
        let error = match status.as_u16() {
            400 | 413 | 415 | 422 => {
                let message = format!("{} refused spans with {status}: {said}", self.url);
                return Err(ExportError::Refused(Error::invalid(message)));
            }
            401 | 403 => Error::new(
                ErrorKind::Unauthenticated,
                format!("{} refused the API key with {status}: {said}; set one that may write spans", self.url),
            ),
            _ => Error::new(ErrorKind::Unavailable, format!("{} answered {status}: {said}", self.url)),
        };
        Err(ExportError::Retry { after, error })
    }

    fn partial(&self, body: &[u8]) -> Result<(), ExportError> {
        let answer = ExportTraceServiceResponse::decode(body)
            .map_err(|_| self.retry(None, "answered with what is no OTLP message", None))?;
        warn_of_partial(&self.url, &answer);
        Ok(())
    }

    fn retry(&self, after: Option<Duration>, why: &str, source: Option<reqwest::Error>) -> ExportError {
        let error = Error::new(ErrorKind::Unavailable, format!("{} {why}", self.url));
        ExportError::Retry { after, error: source.into_iter().fold(error, |error, source| error.with_source(source)) }
    }
}

/// Says which spans the other side took the request of, but not them.
pub(crate) fn warn_of_partial(url: &str, answer: &ExportTraceServiceResponse) {
    if let Some(partial) = answer.partial_success.as_ref().filter(|partial| partial.rejected_spans > 0) {
        tracing::warn!(
            rejected = partial.rejected_spans,
            "{url} took the request but not all spans: {}",
            partial.error_message
        );
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn read(mut answer: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() >= MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sender_hides_its_key() {
        let config = OtlpConfig::http("http://127.0.0.1:9").with_api_key("s3cret");
        let http = Http::new(&config, "http://127.0.0.1:9/v1/traces".into()).unwrap();
        let grpc = crate::grpc::Grpc::new(&config, "http://127.0.0.1:9".into()).unwrap();
        let shown = format!("{http:?} {grpc:?}");
        assert!(shown.contains("127.0.0.1") && !shown.contains("s3cret"), "{shown}");
    }
}
