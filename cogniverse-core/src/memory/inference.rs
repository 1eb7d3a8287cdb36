//! Queries to the language model, with validation of its answers.

use super::{
    bounds,
    decision::{Answer, Answers, Facts, MAX_FACTS},
    prompt, telemetry,
};
use crate::models::ModelRegistry;
use cogniverse_sdk::{ChatMessage, ChatRequest, FinishReason, LanguageModel, Memory, TenantId};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tracing::Instrument;

/// The default timeout of one answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The source of a tenant's language model.
#[derive(Debug, Clone)]
pub(super) enum Models {
    /// One model for all tenants.
    One(Arc<dyn LanguageModel>),
    /// The model that each tenant's configuration names.
    OfTenants(ModelRegistry),
}

impl Models {
    /// Returns the model of a tenant for one turn; `None` where it has none.
    pub(super) async fn of(&self, tenant: &TenantId, timeout: Duration) -> Result<Option<Inference>, Problem> {
        let model = match self {
            Self::One(model) => Some(Arc::clone(model)),
            Self::OfTenants(models) => {
                let found =
                    models.of(tenant).await.map_err(|e| format!("there is no language model: {}", e.chain()))?;
                found.map(|found| found.model)
            }
        };
        Ok(model.map(|model| Inference { model, timeout }))
    }
}

/// A language model that extracts facts and decides about them.
#[derive(Debug, Clone)]
pub(super) struct Inference {
    model: Arc<dyn LanguageModel>,
    timeout: Duration,
}

/// The reason an answer cannot be used.
pub(super) type Problem = String;

impl Inference {
    /// Extracts facts from messages, each valid as a memory.
    pub(super) async fn facts(&self, tenant: &TenantId, messages: &[ChatMessage]) -> Result<Vec<String>, Problem> {
        let Facts { facts } = self.ask(tenant, "facts", prompt::facts(messages)).await?;
        if facts.len() > MAX_FACTS {
            return Err(format!("the model {} drew {} facts of one turn", self.model.model(), facts.len()));
        }
        let mut fit = Vec::with_capacity(facts.len());
        for fact in facts.iter().filter(|fact| !fact.trim().is_empty()) {
            let fact = bounds::check_text(fact).map_err(|e| format!("a fact of the model: {}", e.message()))?;
            fit.push(fact.to_owned());
        }
        Ok(fit)
    }

    /// Decides what to do about facts, given the known memories.
    pub(super) async fn decide(
        &self,
        tenant: &TenantId,
        facts: &[&str],
        known: &[Memory],
    ) -> Result<Vec<Answer>, Problem> {
        let Answers { decisions } = self.ask(tenant, "decisions", prompt::decisions(facts, known)).await?;
        Ok(decisions)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        tenant: &TenantId,
        what: &'static str,
        request: ChatRequest,
    ) -> Result<T, Problem> {
        let name = self.model.model();
        let span = telemetry::ask(tenant, name, what);
        let asked = self.model.chat(request.with_timeout(self.timeout)).instrument(span.clone());
        // A model that does not keep its timeout must not keep its caller.
        let answer = match tokio::time::timeout(self.timeout, asked).await {
            Err(_) => return Err(format!("the model {name} did not answer within {:?}", self.timeout)),
            Ok(Err(error)) => {
                span.in_scope(|| telemetry::failed(&error));
                return Err(format!("the model {name} failed: {}", error.chain()));
            }
            Ok(Ok(answer)) => answer,
        };
        if let Some(tokens) = answer.prompt_tokens {
            span.record("llm.token_count.prompt", tokens);
        }
        if let Some(tokens) = answer.completion_tokens {
            span.record("llm.token_count.completion", tokens);
        }
        if answer.prompt_cut {
            return Err(format!("what was said is longer than the context of the model {name}"));
        }
        // Whether an answer whose end is not said is whole, its JSON shows.
        if answer.finish == FinishReason::Length {
            return Err(format!("the answer of the model {name} was cut"));
        }
        // The parser's own words may repeat what the model said, and this text goes to logs.
        serde_json::from_str(&answer.text).map_err(|e| {
            let (kind, line, column) = (e.classify(), e.line(), e.column());
            format!(
                "the answer of the model {name} is not what was asked for ({kind:?} at line {line}, column {column})"
            )
        })
    }
}
