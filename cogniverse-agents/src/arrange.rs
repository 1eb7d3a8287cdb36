//! The fourth stage of a search: lists are fused, reranked, and cut into pages.

use crate::{
    cursor::{self, After, PinnedRoute, Position},
    fusion,
    plan::Plan,
    request::{Grouping, SearchRequest},
    rerank::{self, Asked, RERANKED, Rerankers},
    response::{ProfileAnswer, Reranking, SearchResult},
    retrieve::{Part, Window},
    route::Routed,
};
use cogniverse_core::tenants::TenantGrant;
use cogniverse_sdk::{Modality, PageCursor, ProfileName, Result, Timestamp};
use std::collections::HashMap;

/// The largest number of segments of each profile that are fused or merged into moments.
const WINDOW: usize = 500;

/// The arrangement of the results of a search, known before they are retrieved.
#[derive(Debug)]
pub(crate) struct Arrangement {
    /// Whether the pages are of one profile's segments, which the backend can count and cut.
    is_plain: bool,
    reranker: Choice,
    /// The kinds of content of each profile.
    kinds: HashMap<ProfileName, Vec<Modality>>,
    /// The part that later pages take over.
    after: After,
    offset: usize,
}

/// The reranker of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// None: the order is the strategy's.
    Nobody,
    /// One that the request names: what is wrong with its name is the caller's to mend.
    Asked(String),
    /// The tenant's own, or that of the first page.
    Own(String),
    /// One that failed at the first page, or that cannot work here.
    Failed(String, String),
}

/// The outcome of the stage.
#[derive(Debug)]
pub(crate) struct Arranged {
    pub(crate) results: Vec<SearchResult>,
    pub(crate) next: Option<PageCursor>,
    pub(crate) reranking: Option<Reranking>,
}

impl Choice {
    /// Chooses the reranker: that of the first page, of the request, or of the tenant.
    ///
    /// # Errors
    /// `NotFound` for one that the request names and that is not registered.
    pub(crate) fn new(
        rerankers: &Rerankers,
        grant: &TenantGrant,
        request: &SearchRequest,
        position: &Position,
    ) -> Result<Self> {
        if let Some(pinned) = position.pinned() {
            let failed = || "the first page was not reranked, and this one follows it".to_owned();
            return Ok(match (&pinned.reranker, &pinned.failed) {
                (Some(name), _) => Self::Own(name.clone()),
                (None, Some(name)) => Self::Failed(name.clone(), failed()),
                (None, None) => Self::Nobody,
            });
        }
        if let Some(name) = &request.reranker {
            return Ok(if rerankers.check(name)? { Self::Asked(name.clone()) } else { Self::Nobody });
        }
        // A page of an earlier release was not reranked.
        let own = grant.routing()?.value.default_reranker.clone().filter(|_| request.cursor.is_none());
        Ok(match own {
            None => Self::Nobody,
            // A tenant's mistake does not end the searches of those who did not make it.
            Some(name) => match rerankers.check(&name) {
                Ok(true) => Self::Own(name),
                Ok(false) => Self::Nobody,
                Err(error) => Self::Failed(name, rerank::problem(&error)),
            },
        })
    }
}

impl Arrangement {
    /// Decides how the results of the plans are arranged.
    pub(crate) fn new(
        request: &SearchRequest,
        reranker: Choice,
        plans: &[Plan],
        position: &Position,
        now: Timestamp,
    ) -> Self {
        let mut after = position.pinned().cloned().unwrap_or_default();
        if position.pinned().is_none() {
            after.strategies = plans.iter().map(|plan| plan.strategy.name().clone()).collect();
            let weights: Vec<f64> = plans.iter().map(|plan| plan.weight).collect();
            if plans.len() > 1 && weights.iter().any(|weight| (weight - 1.0).abs() > f64::EPSILON) {
                after.weights = weights;
            }
            if reranker != Choice::Nobody {
                after.recorded = rerank::recorded(&request.query, now);
            }
        }
        Self {
            is_plain: plans.len() == 1 && request.grouping == Grouping::Segments,
            reranker,
            kinds: plans.iter().map(|plan| (plan.profile.clone(), plan.modalities.clone())).collect(),
            after,
            offset: position.offset(),
        }
    }

    /// Returns whether the backend makes the page: of one profile's segments, none of which is reranked.
    fn is_direct(&self) -> bool {
        let is_reranked = matches!(self.reranker, Choice::Asked(_) | Choice::Own(_));
        // Beyond those that are reranked the order is the strategy's.
        self.is_plain && (!is_reranked || self.offset >= RERANKED)
    }

    /// Returns the hits to ask each profile for.
    pub(crate) fn window(&self, request: &SearchRequest, grant: &TenantGrant) -> Window {
        let (skip, take) = match (self.is_direct(), self.is_plain) {
            (true, _) => (self.offset, request.top_k),
            (false, true) => (0, RERANKED.max(self.offset + request.top_k)),
            // What is fused or merged is paged here, over a fixed window.
            (false, false) => (0, WINDOW),
        };
        Window { skip, take, deadline: grant.deadline() }
    }

    /// Arranges what was retrieved.
    ///
    /// # Errors
    /// Any error of the reranker on a page after the first, as the first page had its order.
    pub(crate) async fn arrange(
        mut self,
        grant: &TenantGrant,
        request: &SearchRequest,
        routed: &Routed,
        rerankers: &Rerankers,
        parts: Vec<Part>,
    ) -> Result<(Vec<ProfileAnswer>, Arranged)> {
        let (answers, lists): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.answer, part.results)).unzip();
        let matched = answers.first().map_or(0, |answer| usize::try_from(answer.matched).unwrap_or(usize::MAX));
        if self.is_direct() {
            let results: Vec<SearchResult> = lists.into_iter().flatten().collect();
            let reranking = self.follow();
            let next = self.next(results.len(), matched, grant, request, routed)?;
            return Ok((answers, Arranged { results, next, reranking }));
        }
        let weights: HashMap<ProfileName, f64> =
            routed.profiles.iter().cloned().zip(self.after.weights.iter().copied()).collect();
        let mut fused = fusion::fuse(lists, request.grouping, &weights);
        let reranking = self.rerank(grant, request, routed, rerankers, &mut fused).await?;
        let total = if self.is_plain { matched } else { fused.len() };
        let results: Vec<SearchResult> = fused.into_iter().skip(self.offset).take(request.top_k).collect();
        let next = self.next(results.len(), total, grant, request, routed)?;
        Ok((answers, Arranged { results, next, reranking }))
    }

    /// Returns the report of a reranker that did not score this page's results.
    fn follow(&mut self) -> Option<Reranking> {
        let (reranker, problem) = match self.reranker.clone() {
            Choice::Nobody => return None,
            Choice::Asked(name) | Choice::Own(name) => (name, None),
            Choice::Failed(name, problem) => {
                self.after.failed = Some(name.clone());
                (name, Some(problem))
            }
        };
        Some(Reranking { reranker, considered: 0, problem })
    }

    async fn rerank(
        &mut self,
        grant: &TenantGrant,
        request: &SearchRequest,
        routed: &Routed,
        rerankers: &Rerankers,
        fused: &mut Vec<SearchResult>,
    ) -> Result<Option<Reranking>> {
        let (name, is_asked) = match self.reranker.clone() {
            Choice::Asked(name) => (name, true),
            Choice::Own(name) => (name, false),
            Choice::Nobody | Choice::Failed(..) => return Ok(self.follow()),
        };
        let modality = routed.route.as_ref().map(|route| route.modality);
        let asked = Asked { query: &request.query, modality, recorded: self.after.recorded, kinds: &self.kinds };
        match rerankers.rerank(grant, &name, &asked, fused).await {
            Ok(considered) => {
                self.after.reranker = Some(name.clone());
                Ok(Some(Reranking { reranker: name, considered, problem: None }))
            }
            // A later page has the order of the first, and one that is asked for by name and cannot work is the caller's to
            // mend.
            Err(error) if request.cursor.is_some() || (is_asked && rerank::is_missing(&error)) => {
                Err(error.with_context("reranker", &name))
            }
            Err(error) => {
                tracing::warn!(tenant.id = %grant.tenant(), reranker = name.as_str(), "results are not reranked: {}", error.chain());
                self.reranker = Choice::Failed(name, rerank::problem(&error));
                Ok(self.follow())
            }
        }
    }

    fn next(
        &self,
        shown: usize,
        total: usize,
        grant: &TenantGrant,
        request: &SearchRequest,
        routed: &Routed,
    ) -> Result<Option<PageCursor>> {
        let end = self.offset.saturating_add(shown);
        if end >= total || shown == 0 {
            return Ok(None);
        }
        let mut after = After { offset: end, ..self.after.clone() };
        after.route = routed.route.as_ref().map(|route| PinnedRoute {
            modality: route.modality,
            generation: route.generation,
            tier: route.tier,
            confidence: route.confidence,
            profiles: route.profiles.clone(),
        });
        // A page of the backend's before anything was reranked.
        if let Choice::Asked(name) | Choice::Own(name) = &self.reranker {
            after.reranker = Some(name.clone());
        }
        cursor::at(&Position::After(after), request, grant.generation()).map(Some)
    }
}
