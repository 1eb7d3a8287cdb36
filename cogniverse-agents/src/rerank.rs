//! Reranking: results scored anew, and why.

mod dates;
mod language_model;
mod signals;

pub use language_model::LanguageModelReranker;
pub use signals::{SignalReranker, SignalWeights};

use crate::{response::SearchResult, tenant_lru::TenantLru};
use cogniverse_core::{
    models::ModelRegistry,
    tenants::{TenantCache, TenantGrant},
};
use cogniverse_sdk::{
    Error, ErrorCode, Modality, ProfileName, RerankItem, RerankRequest, RerankScore, Reranker, Result, TenantId,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    sync::Arc,
};

/// The name of the reranker by five signals.
pub const SIGNALS: &str = "signals";
/// The name of the reranker by the tenant's language model.
pub const LANGUAGE_MODEL: &str = "language_model";
/// The name of the reranker that changes nothing.
pub const NONE: &str = "none";

/// The largest number of results that are scored anew; those after them keep their order.
pub(crate) const RERANKED: usize = 100;
/// The number of searches whose new scores are cached, over all tenants.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// The cache key beside the tenant: reranker, model, query, and the results.
type Key = (String, String, String, Vec<String>);

/// How the results of a search were reranked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reranking {
    /// The reranker.
    pub reranker: String,
    /// The number of results that were scored anew.
    pub considered: usize,
    /// The reason why the order is the strategy's after all; `None` where it is the reranker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The new place of a result, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reranked {
    /// The new score.
    pub score: f64,
    /// The signals that it is made of, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, f64>,
    /// The rank before, from 1.
    pub rank_before: usize,
}

/// The rerankers of an agent, by name.
#[derive(Debug)]
pub(crate) struct Rerankers {
    by_name: BTreeMap<String, Arc<dyn Reranker>>,
    models: Option<ModelRegistry>,
    /// The scores of later pages are those of the first.
    scored: TenantLru<Key, Arc<Vec<RerankScore>>>,
}

/// What a search says to its reranker.
pub(crate) struct Asked<'r> {
    pub(crate) query: &'r str,
    pub(crate) modality: Option<Modality>,
    /// The kinds of content of each profile.
    pub(crate) kinds: &'r HashMap<ProfileName, Vec<Modality>>,
}

impl Rerankers {
    pub(crate) fn new(by_name: BTreeMap<String, Arc<dyn Reranker>>, models: Option<ModelRegistry>) -> Self {
        Self { by_name, models, scored: TenantLru::new(CACHED) }
    }

    /// Returns whether a search with this reranker is reranked at all.
    ///
    /// # Errors
    /// `NotFound` with the existing rerankers.
    pub(crate) fn check(&self, name: Option<&str>) -> Result<bool> {
        match name {
            None | Some(NONE) => Ok(false),
            Some(SIGNALS | LANGUAGE_MODEL) => Ok(true),
            Some(name) if self.by_name.contains_key(name) => Ok(true),
            Some(name) => {
                let known = [NONE, SIGNALS, LANGUAGE_MODEL].into_iter().chain(self.by_name.keys().map(String::as_str));
                Err(Error::unknown("reranker", name, known).with_code(ErrorCode::NotFound))
            }
        }
    }

    /// Returns the reranker of a name, and the name of its model.
    async fn named(&self, tenant: &TenantId, name: &str) -> Result<(Arc<dyn Reranker>, String)> {
        if let Some(own) = self.by_name.get(name) {
            return Ok((Arc::clone(own), String::new()));
        }
        if name == SIGNALS {
            return Ok((Arc::new(SignalReranker::default()), String::new()));
        }
        let found = match &self.models {
            Some(models) => models.of(tenant).await?,
            None => None,
        };
        let model = found.ok_or_else(no_model)?.model;
        let named = model.model().to_owned();
        Ok((Arc::new(LanguageModelReranker::new(model)), named))
    }

    /// Scores the first results anew and puts them into their order; the rest follow as they were.
    ///
    /// # Errors
    /// Any error of the reranker, upon which the results are as they were.
    pub(crate) async fn rerank(
        &self,
        grant: &TenantGrant,
        name: &str,
        asked: &Asked<'_>,
        results: &mut Vec<SearchResult>,
    ) -> Result<usize> {
        let considered = results.len().min(RERANKED);
        let items: Vec<RerankItem> = results.iter().take(considered).map(|result| item(result, asked)).collect();
        let (reranker, model) = self.named(grant.tenant(), name).await?;
        let key = (name.to_owned(), model, asked.query.to_owned(), items.iter().map(|item| item.id.clone()).collect());
        let scores = match self.scored.get(grant.tenant(), &key) {
            Some(known) => known,
            None => {
                let mut request = RerankRequest::new(asked.query, items)
                    .with_modalities(asked.modality)
                    .with_timeout(grant.time_left());
                request.recorded = dates::asked_for(asked.query, cogniverse_sdk::Timestamp::now());
                let scores = Arc::new(reranker.rerank(request).await?);
                if scores.len() != considered || scores.iter().any(|score| !score.score.is_finite()) {
                    let message =
                        format!("the reranker \"{name}\" gave {} scores for {considered} results", scores.len());
                    return Err(Error::unexpected(message));
                }
                // Cheap ones are computed again, the same each time.
                if name != SIGNALS {
                    self.scored.put(grant.tenant(), key, Arc::clone(&scores));
                }
                scores
            }
        };
        let rest = results.split_off(considered);
        for ((result, score), rank_before) in results.iter_mut().zip(scores.iter()).zip(1..) {
            let RerankScore { score, signals, .. } = score.clone();
            result.reranked = Some(Reranked { score, signals, rank_before });
        }
        let score = |result: &SearchResult| result.reranked.as_ref().map_or(f64::NEG_INFINITY, |found| found.score);
        // Of equal scores the better one of before stays before.
        results.sort_by(|a, b| score(b).total_cmp(&score(a)));
        results.extend(rest);
        Ok(considered)
    }
}

impl TenantCache for Rerankers {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.scored.forget_tenant(tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.scored.holds(tenant)
    }
}

fn item(result: &SearchResult, asked: &Asked<'_>) -> RerankItem {
    let document = result.evidence.first().map(|evidence| evidence.document_id.as_str()).unwrap_or_default();
    let kinds = asked.kinds.get(&result.profile).cloned().unwrap_or_default();
    // Two results may have one document in two profiles.
    RerankItem::new(
        format!("{}:{document}:{}", result.profile, result.start_time),
        &result.video_id,
        format!("{} {}", result.title, result.text),
        if result.score.is_finite() { result.score } else { 0.0 },
    )
    .with_modalities(kinds)
    .recorded_at(result.recorded_at)
}

fn no_model() -> Error {
    let message = "the reranker \"language_model\" needs a language model; give the builder one, or use \"signals\"";
    Error::of(ErrorCode::LanguageModelMissing, message)
}
