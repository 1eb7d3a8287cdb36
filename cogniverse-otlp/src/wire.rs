//! Conversion of spans to OTLP messages.

use cogniverse_foundation::telemetry::{AttributeValue, ScopeBatch, SpanRecord, SpanStatus};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status},
};
use prost::Message;

/// The resource attribute by which Phoenix files spans.
const PROJECT: &str = "openinference.project.name";
/// Bytes of one request: gRPC servers refuse messages above 4 MiB unless told otherwise.
const MAX_REQUEST_BYTES: usize = 3 << 20;

/// Requests that hold all batches: each batch in a resource of its own, or in several where it is large.
pub(crate) fn requests(batches: &[ScopeBatch], service: &str) -> Vec<ExportTraceServiceRequest> {
    let mut requests = Vec::new();
    let (mut resources, mut bytes) = (Vec::new(), 0);
    for batch in batches {
        let mut spans = Vec::with_capacity(batch.spans.len());
        for record in &batch.spans {
            let span = span_of(record);
            let size = span.encoded_len();
            if bytes > 0 && bytes + size > MAX_REQUEST_BYTES {
                if !spans.is_empty() {
                    resources.push(resource(batch, std::mem::take(&mut spans), service));
                }
                requests.push(ExportTraceServiceRequest { resource_spans: std::mem::take(&mut resources) });
                bytes = 0;
            }
            bytes += size;
            spans.push(span);
        }
        if !spans.is_empty() {
            resources.push(resource(batch, spans, service));
        }
    }
    if !resources.is_empty() {
        requests.push(ExportTraceServiceRequest { resource_spans: resources });
    }
    requests
}

fn resource(batch: &ScopeBatch, spans: Vec<Span>, service: &str) -> ResourceSpans {
    let mut attributes = vec![text("service.name", service), text(PROJECT, &batch.project)];
    attributes.extend(batch.scope.tenant().map(|tenant| text("tenant.id", tenant.as_str())));
    let scope = InstrumentationScope {
        name: "cogniverse".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }],
        schema_url: String::new(),
    }
}

fn span_of(record: &SpanRecord) -> Span {
    let mut attributes: Vec<KeyValue> = record.attributes.iter().map(|(key, value)| pair(key, value)).collect();
    attributes.extend(record.kind.as_str().map(|kind| text("openinference.span.kind", kind)));
    attributes.extend(record.scope.tenant().map(|tenant| text("tenant.id", tenant.as_str())));
    let events = record.events.iter().map(|event| span::Event {
        time_unix_nano: event.time,
        name: event.name.to_string(),
        attributes: event.attributes.iter().map(|(key, value)| pair(key, value)).collect(),
        dropped_attributes_count: 0,
    });
    let (code, message) = match &record.status {
        SpanStatus::Unset => (status::StatusCode::Unset, String::new()),
        SpanStatus::Ok => (status::StatusCode::Ok, String::new()),
        SpanStatus::Error(message) => (status::StatusCode::Error, message.clone()),
    };
    Span {
        trace_id: record.trace_id.to_bytes().to_vec(),
        span_id: record.span_id.to_bytes().to_vec(),
        parent_span_id: record.parent_id.map(|id| id.to_bytes().to_vec()).unwrap_or_default(),
        name: record.name.to_string(),
        kind: span::SpanKind::Internal.into(),
        start_time_unix_nano: record.start,
        end_time_unix_nano: record.end,
        attributes,
        dropped_attributes_count: record.left_out,
        events: events.collect(),
        status: Some(Status { message, code: code.into() }),
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    any(key, Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: &AttributeValue) -> KeyValue {
    any(
        key,
        match value {
            AttributeValue::Text(text) => Value::StringValue(text.to_string()),
            AttributeValue::Integer(number) => Value::IntValue(*number),
            AttributeValue::Float(number) => Value::DoubleValue(*number),
            AttributeValue::Bool(value) => Value::BoolValue(*value),
        },
    )
}

fn any(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
