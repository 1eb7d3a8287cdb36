//! What a span costs its caller: made, given three attributes, ended, queued. Beside it a plain `opentelemetry_sdk` provider
//! with a batch processor, and a telemetry that is off. Both throw away what they export.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench")]

use cogniverse_foundation::telemetry::{ExportError, ScopeBatch, SpanExporter, TelemetryManager, TelemetrySettings};
use cogniverse_sdk::TenantId;
use criterion::{Criterion, criterion_group, criterion_main};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData},
};
use std::{hint::black_box, time::Duration};

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    fn export(&mut self, batches: &[ScopeBatch]) -> Result<(), ExportError> {
        black_box(batches.len());
        Ok(())
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        black_box(batch.len());
        Ok(())
    }
}

fn cogniverse(telemetry: &TelemetryManager, tenants: &[TenantId], turn: &mut usize) {
    *turn += 1;
    if let Some(tenant) = tenants.get(*turn % tenants.len()) {
        let span = telemetry.span("video_search", black_box(tenant));
        span.set_attribute("profile", "video_text_minilm_mv_segment");
        span.set_attribute("search.top_k", 10);
        span.set_attribute("hits", 3);
    }
}

fn spans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("span");
    let settings = TelemetrySettings::new().with_export_interval(Duration::from_millis(50));
    for count in [1, 1_000] {
        let tenants: Vec<TenantId> = (0..count).map(|n| TenantId::parse(format!("tenant-{n}")).unwrap()).collect();
        let telemetry = TelemetryManager::new(settings.clone(), Nowhere).unwrap();
        let mut turn = 0;
        group.bench_function(format!("cogniverse/{count}_tenants"), |bencher| {
            bencher.iter(|| cogniverse(&telemetry, &tenants, &mut turn));
        });
    }
    let batch = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_millis(50)).build();
    let processor = BatchSpanProcessor::builder(Nowhere).with_batch_config(batch).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let tracer = provider.tracer("bench");
    group.bench_function("opentelemetry_sdk/one_provider", |bencher| {
        bencher.iter(|| {
            let mut span = tracer.start("video_search");
            span.set_attribute(KeyValue::new("profile", "video_text_minilm_mv_segment"));
            span.set_attribute(KeyValue::new("search.top_k", 10));
            span.set_attribute(KeyValue::new("hits", 3));
        });
    });
    let (off, acme) = (TelemetryManager::disabled(), [TenantId::parse("acme").unwrap()]);
    let mut turn = 0;
    group.bench_function("cogniverse/off", |bencher| bencher.iter(|| cogniverse(&off, &acme, &mut turn)));
    group.finish();
}

criterion_group!(benches, spans);
criterion_main!(benches);
