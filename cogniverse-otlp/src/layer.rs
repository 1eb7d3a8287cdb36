//! Conversion of `tracing` spans to tenants' spans.

use cogniverse_foundation::telemetry::{
    AttributeValue, Entered, FIELD_TENANT, Span as TenantSpan, SpanKind, TelemetryManager, TelemetryScope,
};
use cogniverse_sdk::TenantId;
use std::{cell::RefCell, fmt};
use tracing::{
    Event, Id, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// The field with the kind of work, as in OpenInference.
const KIND: &str = "openinference.span.kind";
/// A field with a JSON array of objects, which OpenInference flattens into attributes.
const DOCUMENTS: &str = "retrieval.documents";

/// A `tracing` layer that converts the spans of this library, and of added targets, to spans of the tenant in their
/// field `tenant.id` (empty for the system). A span without the field inherits its parent's tenant; if no ancestor
/// has one, it is counted and not exported.
#[derive(Debug)]
pub struct TenantLayer {
    telemetry: TelemetryManager,
    targets: Vec<String>,
    level: Level,
}

/// Ours, kept with a `tracing` span.
struct Ours(TenantSpan);

thread_local! {
    static ENTERED: RefCell<Vec<(Id, Entered)>> = const { RefCell::new(Vec::new()) };
}

impl TenantLayer {
    /// Creates a layer for the library's own spans.
    #[must_use]
    pub fn new(telemetry: &TelemetryManager) -> Self {
        // A global subscriber lives as long as the process and must not keep the last export waiting.
        Self { telemetry: telemetry.detached(), targets: vec!["cogniverse".to_owned()], level: Level::INFO }
    }

    /// Adds a target, such as `my_service`, with the targets below it.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.targets.push(target.into());
        self
    }

    /// Sets the most verbose level of spans and events (default `INFO`; the library's small steps, such as reading a
    /// configuration value, are `DEBUG`).
    #[must_use]
    pub fn with_max_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        *metadata.level() <= self.level
            && self.targets.iter().any(|own| {
                target.strip_prefix(own.as_str()).is_some_and(|rest| {
                    rest.is_empty() || rest.starts_with("::") || own == "cogniverse" && rest.starts_with('_')
                })
            })
    }

    fn scope<S>(&self, named: Option<&str>, parent: Option<&SpanRef<'_, S>>) -> Option<TelemetryScope>
    where
        S: for<'a> LookupSpan<'a>,
    {
        match named {
            Some("") => Some(TelemetryScope::System),
            Some(tenant) => TenantId::parse(tenant).ok().map(TelemetryScope::Tenant),
            None => ours(parent?).and_then(|span| span.scope().cloned()),
        }
    }
}

/// The nearest of ours: the span's own, or that of who it lies in.
fn ours<S>(span: &SpanRef<'_, S>) -> Option<TenantSpan>
where
    S: for<'a> LookupSpan<'a>,
{
    span.scope().find_map(|span| span.extensions().get::<Ours>().map(|ours| ours.0.clone()))
}

impl<S> Layer<S> for TenantLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.telemetry.is_enabled() || !self.wants(attributes.metadata()) {
            return;
        }
        let Some(span) = context.span(id) else { return };
        let parent = span.parent();
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let Some(scope) = self.scope(fields.tenant.as_deref(), parent.as_ref()) else {
            return self.telemetry.count_unscoped();
        };
        // Under the parent's, where that is of the same scope; else under what this thread works in.
        let above = parent.as_ref().and_then(ours).filter(|above| above.scope() == Some(&scope));
        let name = attributes.metadata().name();
        let own = above.map_or_else(|| self.telemetry.span_of(name, scope), |above| above.child(name));
        fields.put(&own);
        span.extensions_mut().insert(Ours(own));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let Some(own) = span.extensions().get::<Ours>().map(|ours| ours.0.clone()) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        fields.put(&own);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !self.wants(event.metadata()) {
            return;
        }
        let Some(own) = context.event_span(event).as_ref().and_then(ours) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.message.take().unwrap_or_else(|| event.metadata().name().to_owned());
        if *event.metadata().level() == Level::ERROR {
            own.record_error(fields.error.take().unwrap_or_else(|| "error".to_owned()), &message);
        } else {
            let kind = fields.error.take().map(|kind| ("exception.type".into(), kind.into()));
            let others = fields.others.into_iter().map(|(key, value)| (key.into(), value));
            let attributes = kind.into_iter().chain(others).collect();
            own.add_event(message, attributes);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let own = context.span(id).and_then(|span| span.extensions().get::<Ours>().map(|ours| ours.0.clone()));
        if let Some(own) = own {
            let entered = own.enter();
            ENTERED.with(|stack| {
                if let Ok(mut stack) = stack.try_borrow_mut() {
                    stack.push((id.clone(), entered));
                }
            });
        }
    }

    fn on_exit(&self, id: &Id, _context: Context<'_, S>) {
        let left = ENTERED.with(|stack| {
            let mut stack = stack.try_borrow_mut().ok()?;
            let place = stack.iter().rposition(|(entered, _)| entered == id)?;
            Some(stack.remove(place))
        });
        drop(left);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let own = context.span(&id).and_then(|span| span.extensions_mut().remove::<Ours>());
        // Outside of the registry's locks: this is where the span ends.
        drop(own);
    }
}

/// What a span or an event says.
#[derive(Default)]
struct Fields {
    tenant: Option<String>,
    kind: Option<String>,
    error: Option<String>,
    message: Option<String>,
    documents: Option<String>,
    others: Vec<(&'static str, AttributeValue)>,
}

impl Fields {
    fn put(self, span: &TenantSpan) {
        if let Some(kind) = self.kind.as_deref().and_then(SpanKind::parse) {
            span.set_kind(kind);
        }
        for (key, value) in self.others {
            span.set_attribute(key, value);
        }
        let documents = self.documents.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let documents: Vec<serde_json::Map<String, serde_json::Value>> = documents.unwrap_or_default();
        for (number, document) in documents.into_iter().enumerate() {
            for (key, value) in document {
                span.set_attribute(format!("{DOCUMENTS}.{number}.document.{key}"), attribute(value));
            }
        }
    }

    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            FIELD_TENANT => self.tenant = Some(text),
            KIND => self.kind = Some(text),
            "message" => self.message = Some(text),
            DOCUMENTS => self.documents = Some(text),
            "exception.type" => self.error = Some(text),
            name => self.others.push((name, text.into())),
        }
    }
}

fn attribute(value: serde_json::Value) -> AttributeValue {
    match value {
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Bool(value) => value.into(),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(AttributeValue::Integer)
            .or_else(|| number.as_f64().map(AttributeValue::Float))
            .unwrap_or(AttributeValue::Bool(false)),
        other => other.to_string().into(),
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.push((field.name(), value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.push((field.name(), value.into()));
    }
}
