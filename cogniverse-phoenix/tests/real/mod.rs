//! The real Phoenix that CI starts (`../shared/components/phoenix.sh`).

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test file uses its part; a test asserts")]

use async_trait::async_trait;
use cogniverse_phoenix::{PhoenixClient, PhoenixConfig};
use cogniverse_sdk::{
    contract::telemetry_provider::SpanWriter,
    telemetry_provider::{ProjectName, Span, SpanQuery, TelemetryProvider},
};
use std::time::Duration;

/// The admin secret of `phoenix.sh start-auth`.
pub(crate) const ADMIN: &str = "admin-0123456789abcdef0123456789abcdef";

#[derive(Debug)]
pub(crate) struct Phoenix {
    pub(crate) url: String,
    pub(crate) client: PhoenixClient,
}

/// The address in a variable; where it must be there and is not, the test fails.
pub(crate) fn address(variable: &str) -> Option<String> {
    match std::env::var(variable) {
        Ok(url) => Some(url),
        Err(_) => {
            assert!(std::env::var_os("COGNIVERSE_CI").is_none(), "CI must start a Phoenix and set {variable}");
            eprintln!("skipped: no Phoenix; start one and set {variable}");
            None
        }
    }
}

pub(crate) fn phoenix() -> Option<Phoenix> {
    let url = address("COGNIVERSE_PHOENIX_URL")?;
    let client = PhoenixClient::new(PhoenixConfig::new(&url)).unwrap();
    Some(Phoenix { url, client })
}

impl Phoenix {
    /// Waits until a project holds so many spans.
    pub(crate) async fn wait_for(&self, project: &ProjectName, count: usize) -> Vec<Span> {
        wait_for(&self.client, project, count).await
    }
}

pub(crate) async fn wait_for(client: &PhoenixClient, project: &ProjectName, count: usize) -> Vec<Span> {
    let mut seen = 0;
    for _ in 0..200 {
        if client.find_project(project).await.unwrap().is_some() {
            let spans = client.read_spans(SpanQuery::new(project.clone()).with_page_size(1000)).await.unwrap().spans;
            seen = spans.len();
            if seen >= count {
                return spans;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{project} holds {seen} spans after 20 s, not {count}");
}

#[async_trait]
impl SpanWriter for Phoenix {
    async fn write(&self, project: &ProjectName, spans: Vec<Span>) {
        let count = spans.len();
        let data: Vec<serde_json::Value> = spans
            .into_iter()
            .map(|span| {
                serde_json::json!({
                    "name": span.name,
                    "context": {"trace_id": span.trace_id.as_str(), "span_id": span.span_id.as_str()},
                    "span_kind": span.kind.as_str(), "parent_id": span.parent_id.map(|id| id.to_string()),
                    "start_time": span.start.to_string(), "end_time": span.end.to_string(),
                    "status_code": span.status.as_str(), "status_message": span.status_message,
                    "attributes": span.attributes,
                })
            })
            .collect();
        let mut url = reqwest::Url::parse(&self.url).unwrap();
        url.path_segments_mut().unwrap().extend(["v1", "projects", project.as_str(), "spans"]);
        let answer = reqwest::Client::new().post(url).json(&serde_json::json!({ "data": data })).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        self.wait_for(project, count).await;
    }
}
