//! The fourth stage of a search: lists are fused, reranked, and cut into pages.

use crate::{
    cursor::{self, Position},
    fusion,
    request::{Grouping, SearchRequest},
    rerank::{Asked, Rerankers, Reranking},
    response::SearchResult,
    retrieve::{Part, Window},
    route::Routed,
};
use cogniverse_core::tenants::TenantGrant;
use cogniverse_sdk::{Error, ErrorCode, Modality, PageCursor, ProfileName, Result};
use std::collections::HashMap;

/// The largest number of segments of each profile that are fused, merged into moments or reranked.
const WINDOW: usize = 500;

/// How the results of a search are arranged, known before they are retrieved.
#[derive(Debug)]
pub(crate) struct Arrangement {
    /// Whether the backend makes the pages: of one profile's segments in the order of their strategy.
    direct: bool,
    /// The reranker, where there is one.
    reranker: Option<String>,
    /// The kinds of content of each profile.
    kinds: HashMap<ProfileName, Vec<Modality>>,
    /// The weight of each profile.
    weights: HashMap<ProfileName, f64>,
    position: Position,
}

/// The outcome of the stage.
#[derive(Debug)]
pub(crate) struct Arranged {
    pub(crate) results: Vec<SearchResult>,
    pub(crate) next: Option<PageCursor>,
    pub(crate) reranking: Option<Reranking>,
}

impl Arrangement {
    /// Decides how the results of the plans are arranged.
    pub(crate) fn new(
        request: &SearchRequest,
        reranker: Option<String>,
        plans: &[crate::plan::Plan],
        position: Position,
    ) -> Self {
        Self {
            direct: plans.len() == 1 && request.grouping == Grouping::Segments && reranker.is_none(),
            reranker,
            kinds: plans.iter().map(|plan| (plan.profile.clone(), plan.modalities.clone())).collect(),
            weights: plans.iter().map(|plan| (plan.profile.clone(), plan.weight)).collect(),
            position,
        }
    }

    /// Returns the hits to ask each profile for.
    pub(crate) fn window(&self, request: &SearchRequest, grant: &TenantGrant) -> Window {
        // One profile's segments are paged by the backend; what is fused, merged or reranked is paged here, over a fixed
        // window.
        let (skip, take) = if self.direct { (self.position.offset(), request.top_k) } else { (0, WINDOW) };
        Window { skip, take, deadline: grant.deadline() }
    }

    /// Arranges what was retrieved.
    ///
    /// # Errors
    /// Any error of the reranker on a page after the first, as the first page had its order.
    pub(crate) async fn arrange(
        self,
        grant: &TenantGrant,
        request: &SearchRequest,
        routed: &Routed,
        rerankers: &Rerankers,
        parts: Vec<Part>,
    ) -> Result<(Vec<crate::response::ProfileAnswer>, Arranged)> {
        let (answers, lists): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.answer, part.results)).unzip();
        let offset = self.position.offset();
        if self.direct {
            let total = answers.first().map_or(0, |answer| usize::try_from(answer.matched).unwrap_or(usize::MAX));
            let results: Vec<SearchResult> = lists.into_iter().flatten().collect();
            let next = self.next(offset, results.len(), total, false, grant, request, routed)?;
            return Ok((answers, Arranged { results, next, reranking: None }));
        }
        let mut fused = fusion::fuse(lists, request.grouping, &self.weights);
        let reranking = self.rerank(grant, request, routed, rerankers, &mut fused).await?;
        let total = fused.len();
        let results: Vec<SearchResult> = fused.into_iter().skip(offset).take(request.top_k).collect();
        let as_found = reranking.as_ref().is_some_and(|reranking| reranking.problem.is_some());
        let next = self.next(offset, results.len(), total, as_found, grant, request, routed)?;
        Ok((answers, Arranged { results, next, reranking }))
    }

    async fn rerank(
        &self,
        grant: &TenantGrant,
        request: &SearchRequest,
        routed: &Routed,
        rerankers: &Rerankers,
        fused: &mut Vec<SearchResult>,
    ) -> Result<Option<Reranking>> {
        let Some(name) = &self.reranker else { return Ok(None) };
        let is_first = request.cursor.is_none();
        if self.position.is_as_found() {
            let problem = Some("the first page was not reranked, and this one follows it".to_owned());
            return Ok(Some(Reranking { reranker: name.clone(), considered: 0, problem }));
        }
        let modality = routed.route.as_ref().map(|route| route.modality);
        let asked = Asked { query: &request.query, modality, kinds: &self.kinds };
        match rerankers.rerank(grant, name, &asked, fused).await {
            Ok(considered) => Ok(Some(Reranking { reranker: name.clone(), considered, problem: None })),
            Err(error) if is_first && !is_callers(&error) => {
                tracing::warn!(tenant.id = %grant.tenant(), reranker = name.as_str(), "results are not reranked: {}", error.chain());
                let problem = Some(format!("{}: {}", error.code(), error.public().message()));
                Ok(Some(Reranking { reranker: name.clone(), considered: 0, problem }))
            }
            Err(error) => Err(error.with_context("reranker", name)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a page is of all of them")]
    fn next(
        &self,
        offset: usize,
        shown: usize,
        total: usize,
        as_found: bool,
        grant: &TenantGrant,
        request: &SearchRequest,
        routed: &Routed,
    ) -> Result<Option<PageCursor>> {
        let end = offset + shown;
        if end >= total || shown == 0 {
            return Ok(None);
        }
        let profiles = routed.route.as_ref().map(|route| route.profiles.clone());
        cursor::at(&Position::new(end, profiles, as_found), request, grant.generation()).map(Some)
    }
}

/// Returns whether an error is the caller's to mend, and not a failure of the reranker.
fn is_callers(error: &Error) -> bool {
    matches!(error.code(), ErrorCode::LanguageModelMissing | ErrorCode::LanguageModelUnknown)
}
