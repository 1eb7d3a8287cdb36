//! The router.

use super::{
    classifier::{Classifier, Corrections},
    decision::Verdict,
    decision::as_path,
    keywords, language_model, vote,
};
use crate::tenant_lru::TenantLru;
use cogniverse_core::{
    models::ModelRegistry,
    tenants::{TenantCache, TenantGrant},
};
use cogniverse_foundation::{RoutingConfig, RoutingMode, SystemConfig};
use cogniverse_sdk::{Error, ErrorKind, Generation, Modality, PathVerdict, Result, RouteTier, TenantId};
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// The number of cached decisions, over all tenants.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// The number of tenants whose corrections are cached.
const CORRECTED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);
/// The time for which a decision is cached.
const CACHE_TIME: Duration = Duration::from_secs(300);
/// The longest query that is cached, in bytes.
const LONGEST_CACHED: usize = 1024;

/// The cache key beside the tenant: its generation, the versions of the routing and the system configuration, and the query.
type Key = (u64, u64, u64, String);

/// A router of queries, which decides what each asks for. Cheap to clone; clones share caches, whose entries are each one
/// tenant's.
#[derive(Debug, Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    models: Option<ModelRegistry>,
    decided: TenantLru<Key, (Instant, Decision)>,
    /// By the tenant's generation and the version of the routing configuration.
    corrections: TenantLru<(u64, u64), Arc<Corrections>>,
}

/// A decision about a query.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    /// The fast path's confidence, whatever decided in the end.
    pub(crate) fast_confidence: Option<f64>,
    pub(crate) took: Duration,
    /// The verdicts of the other paths that were asked.
    pub(crate) paths: Vec<PathVerdict>,
    /// Whether a language model was asked.
    asked_model: bool,
    /// Whether it was asked and did not answer.
    pub(crate) slow_failed: bool,
}

impl Default for Router {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Router {
    /// Creates a router; without models the slow path is skipped.
    #[must_use]
    pub fn new(models: Option<ModelRegistry>) -> Self {
        let (decided, corrections) = (TenantLru::new(CACHED), TenantLru::new(CORRECTED));
        Self { inner: Arc::new(Inner { models, decided, corrections }) }
    }

    /// Begins to train the classifier on a thread of its own, which takes some 100 ms once for each process, so that the
    /// first search without a profile does not wait for it.
    pub fn warm_up() {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(Classifier::ready());
        }
    }

    /// Returns the registry of tenants' models.
    pub(crate) fn models(&self) -> Option<&ModelRegistry> {
        self.inner.models.as_ref()
    }

    /// Classifies a query by the fast path alone, without a tenant: the most probable modality and generation, and the
    /// confidence in both.
    ///
    /// ```
    /// use cogniverse_agents::{Generation, Router};
    /// use cogniverse_sdk::Modality;
    ///
    /// let (modality, generation, confidence) = Router::classify("summarize the podcast about interest rates");
    /// assert_eq!((modality, generation), (Modality::Audio, Generation::Summary));
    /// assert!(confidence > 0.5);
    /// ```
    #[must_use]
    pub fn classify(query: &str) -> (Modality, Generation, f64) {
        let verdict = Classifier::shipped().decide(query, None);
        (verdict.modality, verdict.generation, verdict.confidence)
    }

    /// Decides about a query of the grant's tenant by its configuration.
    ///
    /// # Errors
    /// `Corrupt` for a configuration that cannot be read. A path that fails is no error: the next one decides.
    pub(crate) async fn decide(&self, grant: &TenantGrant, query: &str) -> Result<Decision> {
        let began = Instant::now();
        let (tenant, query) = (grant.tenant(), query.trim());
        let config = grant.routing()?;
        let key = (grant.generation(), config.version, grant.config().version::<SystemConfig>(), query.to_owned());
        if let Some((since, known)) = self.inner.decided.get(tenant, &key)
            && since.elapsed() < CACHE_TIME
        {
            return Ok(Decision { took: began.elapsed(), ..known });
        }
        if config.value.enable_fast_path {
            Classifier::ready().await?;
        }
        let corrections = self.corrections(tenant, (grant.generation(), config.version), &config.value);
        let (decision, complete) = self.ask(grant, &config.value, corrections.as_deref(), query).await;
        let decision = Decision { took: began.elapsed(), ..decision };
        // A model that is down for a moment does not decide for the next minutes; and what no model was asked about is
        // decided sooner than it is looked up.
        if complete && decision.asked_model && query.len() <= LONGEST_CACHED {
            self.inner.decided.put(tenant, key, (Instant::now(), decision.clone()));
        }
        Ok(decision)
    }

    fn corrections(&self, tenant: &TenantId, version: (u64, u64), config: &RoutingConfig) -> Option<Arc<Corrections>> {
        let learned = config.learned.as_ref()?;
        if let Some(known) = self.inner.corrections.get(tenant, &version) {
            return Some(known);
        }
        let made = Arc::new(Corrections::of(learned));
        self.inner.corrections.put(tenant, version, Arc::clone(&made));
        Some(made)
    }

    /// Asks the paths in the order of the mode; `true` where each that was needed answered.
    async fn ask(
        &self,
        grant: &TenantGrant,
        config: &RoutingConfig,
        corrections: Option<&Corrections>,
        query: &str,
    ) -> (Decision, bool) {
        let fast = config.enable_fast_path.then(|| Classifier::shipped().decide(query, corrections));
        let fast_confidence = fast.as_ref().map(|fast| fast.confidence);
        let took = Duration::ZERO;
        if let Some(verdict) = alone(config, fast.as_ref()) {
            let paths = Vec::new();
            let decision = Decision { verdict, fast_confidence, took, paths, asked_model: false, slow_failed: false };
            return (decision, true);
        }
        let slow = match config.enable_slow_path {
            true => self.slow(grant, config, query).await,
            false => Slow::Absent,
        };
        let (complete, asked_model) = (!matches!(slow, Slow::Failed(_)), !matches!(slow, Slow::Absent));
        let note = match &slow {
            Slow::Failed(why) => format!(" (the slow path failed: {why})"),
            _ => String::new(),
        };
        let slow = match slow {
            Slow::Decided(verdict) => Some(verdict),
            _ => None,
        };
        let by_words = keywords::decide(query);
        let paths = slow.iter().chain([&by_words]).map(as_path).collect();
        let mut verdict = together(config, fast, slow, by_words);
        verdict.reason.push_str(&note);
        (Decision { verdict, fast_confidence, took, paths, asked_model, slow_failed: !complete }, complete)
    }

    async fn slow(&self, grant: &TenantGrant, config: &RoutingConfig, query: &str) -> Slow {
        let budget = Duration::from_millis(config.max_routing_time_ms);
        // Of a call with a deadline, routing takes half at most.
        let budget = grant.time_left().map_or(budget, |left| budget.min(left / 2));
        let Some(models) = &self.inner.models else { return Slow::Absent };
        let asked = async {
            match models.of(grant.tenant()).await? {
                Some(found) => language_model::decide(&*found.model, query, budget).await.map(Slow::Decided),
                None => Ok(Slow::Absent),
            }
        };
        match tokio::time::timeout(budget, asked).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => failed(grant.tenant(), &error),
            Err(_) => {
                let error = Error::new(ErrorKind::Timeout, format!("the language model took longer than {budget:?}"));
                failed(grant.tenant(), &error)
            }
        }
    }
}

fn failed(tenant: &TenantId, error: &Error) -> Slow {
    tracing::warn!(tenant.id = %tenant, "the slow path of routing failed: {}", error.chain());
    Slow::Failed(error.code().to_string())
}

/// Returns the verdict of the fast path where it decides alone.
pub(crate) fn alone(config: &RoutingConfig, fast: Option<&Verdict>) -> Option<Verdict> {
    let is_sure = |verdict: &&Verdict| verdict.confidence >= config.fast_path_confidence_threshold;
    fast.filter(|_| config.routing_mode != RoutingMode::Ensemble).filter(is_sure).cloned()
}

/// Combines the verdicts of the paths where the fast one does not decide alone.
pub(crate) fn together(
    config: &RoutingConfig,
    fast: Option<Verdict>,
    slow: Option<Verdict>,
    words: Verdict,
) -> Verdict {
    let tier = match config.routing_mode {
        RoutingMode::Ensemble => RouteTier::Ensemble,
        RoutingMode::Hybrid => RouteTier::Hybrid,
        RoutingMode::Tiered => match slow {
            Some(sure) if sure.confidence >= config.slow_path_confidence_threshold => return sure,
            // No path is sure: the surest of them decides.
            unsure => {
                let others: Vec<Verdict> = fast.into_iter().chain(unsure).collect();
                return vote::surest(others, words);
            }
        },
    };
    let verdicts: Vec<Verdict> = fast.into_iter().chain(slow).chain([words.clone()]).collect();
    vote::combine(&verdicts, tier).unwrap_or(words)
}

/// The outcome of the slow path.
enum Slow {
    Decided(Verdict),
    /// It is off, or the tenant has no model.
    Absent,
    Failed(String),
}

impl TenantCache for Router {
    fn forget_tenant(&self, tenant: &TenantId) {
        self.inner.decided.forget_tenant(tenant);
        self.inner.corrections.forget_tenant(tenant);
    }

    fn holds(&self, tenant: &TenantId) -> u64 {
        self.inner.decided.holds(tenant) + self.inner.corrections.holds(tenant)
    }
}
