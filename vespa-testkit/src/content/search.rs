//! `/search/`: a request is read, its condition matched, its matches ranked, and the answer written.

mod groups;
mod hits;
mod order;
mod parameters;
mod plain;
mod rank;
mod request;
mod target;

use super::{Content, ContentFaults};
use crate::message::{Reply, Request};
use http::StatusCode;
use request::SearchRequest;
use serde_json::{Map, Value, json};

pub(super) async fn handle(content: &Content, request: &Request, faults: &ContentFaults) -> Reply {
    // One search at a time: what the engine is told and what it is asked belong together.
    let mut engine = content.engine.lock().await;
    let plan = {
        let mut state = content.state.write();
        let Some(running) = state.as_mut() else {
            return Reply::bytes(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "There is no application; deploy one");
        };
        SearchRequest::read(request, running)
            .and_then(|search| target::targets(running, &search).map(|targets| (search, targets)))
            .and_then(|(search, targets)| {
                let parts = targets.types.iter().map(|name| rank::part(running, &search, name));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                Ok((search, targets, parts))
            })
    };
    let (search, targets, parts) = match plan {
        Ok(plan) => plan,
        Err(failure) => return failure.reply(),
    };
    let mut ranked = Vec::new();
    for part in &parts {
        match rank::rank(&mut engine, part, search.offset.saturating_add(search.hits)).await {
            Ok(scored) => ranked.extend(scored),
            Err(message) => {
                // What it was to learn is not known any more: it begins anew.
                for part in &parts {
                    engine.forget(&part.schema.name).await;
                    if let Some(running) = content.state.write().as_mut()
                        && let Some(documents) = running.documents.get_mut(&part.schema.name)
                    {
                        documents.all_changed();
                    }
                }
                return Failure::new(8, "Error in search reply.", message).reply();
            }
        }
    }
    drop(engine);
    let state = content.state.read();
    let Some(running) = state.as_ref() else { return Failure::new(10, "Backend communication error.", "gone").reply() };
    hits::answer(running, &search, &targets, &parts, ranked, faults)
}

/// Why a search has no answer.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    code: u16,
    summary: &'static str,
    message: String,
    source: Option<String>,
}

impl Failure {
    fn new(code: u16, summary: &'static str, message: impl Into<String>) -> Self {
        Self { code, summary, message: message.into(), source: None }
    }

    /// A parameter that cannot be.
    fn illegal(message: impl Into<String>) -> Self {
        Self::new(3, "Illegal query", message)
    }

    /// A parameter that names what is not there.
    fn invalid(message: impl Into<String>) -> Self {
        Self::new(4, "Invalid query parameter", message)
    }

    fn from(mut self, source: &str) -> Self {
        self.source = Some(source.to_owned());
        self
    }

    fn json(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".to_owned(), Value::from(self.code));
        error.insert("summary".to_owned(), Value::from(self.summary));
        if let Some(source) = &self.source {
            error.insert("source".to_owned(), Value::from(source.as_str()));
        }
        error.insert("message".to_owned(), Value::from(self.message.as_str()));
        Value::Object(error)
    }

    fn status(&self) -> StatusCode {
        match self.code {
            0 | 10 => StatusCode::SERVICE_UNAVAILABLE,
            3 | 4 | 17 => StatusCode::BAD_REQUEST,
            12 => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reply(&self) -> Reply {
        let body = json!({"root": {
            "id": "toplevel", "relevance": 1.0, "fields": {"totalCount": 0}, "errors": [self.json()],
        }});
        Reply::json(self.status(), &body)
    }
}
