//! Reranking: results scored anew, and why.

mod dates;
mod language_model;
mod signals;

pub use language_model::LanguageModelReranker;
pub use signals::{SignalReranker, SignalWeights};

use crate::{
    response::{Reranked, SearchResult},
    tenant_lru::TenantLru,
};
use cogniverse_core::{
    models::ModelRegistry,
    tenants::{TenantCache, TenantGrant},
};
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Modality, ProfileName, RerankItem, RerankRequest, RerankScore, Reranker, Result,
    TenantId, Timestamp,
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

/// The name of the reranker by five signals.
pub const SIGNALS: &str = "signals";
/// The name of the reranker by the tenant's language model.
pub const LANGUAGE_MODEL: &str = "language_model";
/// The name of the reranker that changes nothing.
pub const NONE: &str = "none";

/// The largest number of results that are scored anew; those after them keep their order.
pub(crate) const RERANKED: usize = 100;
/// The longest that a reranker may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The share of the time that is left of a search which its reranker may take.
const SHARE: f64 = 0.6;
/// The number of searches whose new scores are cached, over all tenants.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// The cache key beside the tenant: a digest of everything that a reranker is told, its name and its model.
type Key = [u8; 32];

/// The rerankers of an agent, by name.
#[derive(Debug)]
pub(crate) struct Rerankers {
    by_name: BTreeMap<String, Arc<dyn Reranker>>,
    models: Option<ModelRegistry>,
    /// The scores of later pages are those of the first.
    scored: TenantLru<Key, Arc<Vec<RerankScore>>>,
}

/// The question of a search to its reranker.
pub(crate) struct Asked<'r> {
    pub(crate) query: &'r str,
    pub(crate) modality: Option<Modality>,
    /// The time of recording that the query asks for.
    pub(crate) recorded: Option<(Timestamp, Timestamp)>,
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
    pub(crate) fn check(&self, name: &str) -> Result<bool> {
        match name {
            NONE => Ok(false),
            SIGNALS | LANGUAGE_MODEL => Ok(true),
            name if self.by_name.contains_key(name) => Ok(true),
            name => {
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
        // A cursor may name one that this process does not have.
        self.check(name)?;
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
        let mut request = RerankRequest::new(asked.query, items).with_modalities(asked.modality);
        request.recorded = asked.recorded;
        let key = key(name, &model, &request);
        // Cheap ones are computed again, the same each time.
        let known = if name == SIGNALS { None } else { self.scored.get(grant.tenant(), &key) };
        let scores = match known {
            Some(known) => known,
            None => {
                // A text may still have to be written, and the results are there already.
                let limit = grant.time_left().map_or(TIMEOUT, |left| left.mul_f64(SHARE).min(TIMEOUT));
                let scored = reranker.rerank(request.with_timeout(Some(limit)));
                let scores = tokio::time::timeout(limit, scored).await.map_err(|_| {
                    Error::new(ErrorKind::Timeout, format!("the reranker \"{name}\" took longer than {limit:?}"))
                })??;
                if scores.len() != considered || scores.iter().any(|score| !score.score.is_finite()) {
                    let message =
                        format!("the reranker \"{name}\" gave {} scores for {considered} results", scores.len());
                    return Err(Error::unexpected(message));
                }
                let scores = Arc::new(scores);
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

/// Returns a digest of a request to a reranker: a text that was corrected, or another kind that is asked for, is another.
fn key(name: &str, model: &str, request: &RerankRequest) -> Key {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    [name, model, &request.query].iter().for_each(|text| add(text.as_bytes()));
    add(format!("{:?} {:?}", request.modalities, request.recorded).as_bytes());
    for item in &request.items {
        [&item.id, &item.source, &item.text].iter().for_each(|text| add(text.as_bytes()));
        add(format!("{:?} {:?}", item.modalities, item.recorded_at).as_bytes());
        add(&item.score.to_bits().to_le_bytes());
    }
    hash.finalize().into()
}

/// Returns the time of recording that a query asks for.
pub(crate) fn recorded(query: &str, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    dates::asked_for(query, now)
}

/// Returns whether an error says that the reranker's model is not there.
pub(crate) fn is_missing(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::LanguageModelMissing | ErrorCode::LanguageModelUnknown)
}

/// Returns the part of a failure that a customer may be told.
pub(crate) fn problem(error: &Error) -> String {
    format!("{}: {}", error.code(), error.public().message())
}

fn no_model() -> Error {
    let message = "the reranker \"language_model\" needs a language model; give the builder one, or use \"signals\"";
    Error::of(ErrorCode::LanguageModelMissing, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cursor may come from a process that had it.
    #[tokio::test]
    async fn a_reranker_that_is_not_here_is_no_other() {
        let here = Rerankers::new(BTreeMap::new(), None);
        let error = here.named(&TenantId::parse("acme").unwrap(), "cross_encoder").await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound);
        assert!(error.to_string().contains("cross_encoder") && error.to_string().contains(SIGNALS), "{error}");
    }
}
