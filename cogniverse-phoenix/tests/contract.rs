//! The contract suite, in memory and on a real Phoenix.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

mod real;

use async_trait::async_trait;
use cogniverse_phoenix::InMemoryTraces;
use cogniverse_sdk::{
    contract::telemetry_provider::{SpanWriter, telemetry_provider},
    telemetry_provider::{ProjectName, Span},
};

#[derive(Debug)]
struct Memory(InMemoryTraces);

#[async_trait]
impl SpanWriter for Memory {
    async fn write(&self, project: &ProjectName, spans: Vec<Span>) {
        self.0.store(project, spans);
    }
}

#[tokio::test]
async fn in_memory() {
    let traces = InMemoryTraces::new();
    telemetry_provider(&traces, &Memory(traces.clone())).await;
}

#[tokio::test]
async fn on_a_real_phoenix() {
    let Some(phoenix) = real::phoenix() else { return };
    telemetry_provider(&phoenix.client, &phoenix).await;
}
