//! Pages of a search ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)): which cursor belongs to which request.

use crate::request::{Grouping, MAX_PROFILES, SearchRequest};
use cogniverse_sdk::{
    Error, ErrorCode, Generation, Listing, Modality, PageCursor, ProfileName, Result, RouteTier, Sort, StrategyName,
    TenantId, TimeRange, Timestamp, WordCondition,
};
use serde::{Deserialize, Serialize};

/// The request parameters that decide the order of results, which exclude the page size. Cursors of earlier releases
/// are bound to their JSON: do not reorder the fields.
#[derive(Serialize)]
struct Bound<'r> {
    tenant: &'r TenantId,
    profiles: &'r [ProfileName],
    query: &'r str,
    strategy: Option<&'r StrategyName>,
    filter: Option<serde_json::Value>,
    time_range: Option<TimeRange>,
    grouping: Grouping,
    query_vectors: Option<(usize, Vec<u32>)>,
    allow_degraded: bool,
    /// Absent for the first, as before there were generations.
    #[serde(skip_serializing_if = "is_first")]
    generation: u64,
    /// Absent where the request names none, as before there were rerankers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reranker: Option<&'r str>,
    // Absent where nothing is asked, as before there were these.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    words: &'r [WordCondition],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    typos: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<&'r Sort>,
    /// Absent where the request names none, as before there were languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'r str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_first(generation: &u64) -> bool {
    *generation == 1
}

impl<'r> Bound<'r> {
    fn of(request: &'r SearchRequest, generation: u64) -> Self {
        let SearchRequest {
            tenant,
            profiles,
            query,
            strategy,
            filter,
            time_range,
            grouping,
            query_vectors,
            allow_degraded,
            top_k: _,
            cursor: _,
            timeout: _,
            memory: _,
            answer: _,
            reranker,
            words,
            typos,
            sort,
            // They count all that match, whatever the page.
            facets: _,
            // What it stands for is in the query, the vectors and the filter.
            like: _,
            picture: _,
            language,
        } = request;
        Self {
            tenant,
            profiles,
            query,
            strategy: strategy.as_ref(),
            filter: filter.as_ref().map(cogniverse_sdk::Filter::canonical),
            time_range: *time_range,
            grouping: *grouping,
            query_vectors: query_vectors
                .as_ref()
                .map(|rows| (rows.width(), rows.cells().iter().map(|cell| cell.to_bits()).collect())),
            allow_degraded: *allow_degraded,
            generation,
            reranker: reranker.as_deref(),
            words,
            typos: *typos,
            sort: sort.as_ref(),
            language: language.as_deref(),
        }
    }
}

/// The start of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Position {
    /// The offset, as earlier releases wrote it: of a search that was neither routed nor reranked.
    Offset(usize),
    /// The offset, and what ordered the first page.
    After(After),
}

/// The part of the first page's order that later pages take over, so that pages never mix two orders.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct After {
    #[serde(rename = "o")]
    pub(crate) offset: usize,
    /// The strategy of each profile, in their order.
    #[serde(rename = "s")]
    pub(crate) strategies: Vec<StrategyName>,
    /// The weight of each profile; empty where each counts once.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) weights: Vec<f64>,
    /// The reranker; `None` where there was none, or where it failed at the first page.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reranker: Option<String>,
    /// The reranker that failed at the first page.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
    /// The time of recording that the query asked for, as it was then.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub(crate) recorded: Option<(Timestamp, Timestamp)>,
    /// The route, where the request names no profile.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<PinnedRoute>,
}

/// The route of the first page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PinnedRoute {
    #[serde(rename = "m")]
    pub(crate) modality: Modality,
    #[serde(rename = "g")]
    pub(crate) generation: Generation,
    #[serde(rename = "t")]
    pub(crate) tier: RouteTier,
    #[serde(rename = "c")]
    pub(crate) confidence: f64,
    #[serde(rename = "p")]
    pub(crate) profiles: Vec<ProfileName>,
}

impl Position {
    pub(crate) fn offset(&self) -> usize {
        match self {
            Self::Offset(offset) => *offset,
            Self::After(after) => after.offset,
        }
    }

    /// Returns what the first page pins; `None` for the first page itself, and for a cursor of an earlier release.
    pub(crate) fn pinned(&self) -> Option<&After> {
        match self {
            Self::Offset(_) => None,
            Self::After(after) => Some(after),
        }
    }

    /// Refuses what no first page could have pinned: a cursor is sealed against mistakes, not against forgery.
    fn check(&self, request: &SearchRequest) -> Result<()> {
        let Self::After(after) = self else { return Ok(()) };
        let profiles = after.route.as_ref().map_or(&request.profiles, |route| &route.profiles);
        let unique: std::collections::HashSet<&ProfileName> = profiles.iter().collect();
        let fits = (1..=MAX_PROFILES).contains(&profiles.len())
            && unique.len() == profiles.len()
            && after.strategies.len() == profiles.len()
            && (after.weights.is_empty() || after.weights.len() == profiles.len())
            && after.weights.iter().all(|weight| (0.0..=10.0).contains(weight))
            && after.route.is_some() == request.profiles.is_empty();
        if fits {
            return Ok(());
        }
        Err(Error::of(ErrorCode::PageCursorInvalid, "the page cursor holds what no first page has; begin without it"))
    }
}

/// Returns the cursor of the page that starts at a position.
pub(crate) fn at(position: &Position, request: &SearchRequest, generation: u64) -> Result<PageCursor> {
    PageCursor::seal(Listing::Search, &Bound::of(request, generation), position)
}

/// Returns the position of the request's page: the start without a cursor.
pub(crate) fn position(request: &SearchRequest, generation: u64) -> Result<Position> {
    let Some(cursor) = &request.cursor else { return Ok(Position::Offset(0)) };
    let position: Position = cursor.open(Listing::Search, &Bound::of(request, generation))?;
    position.check(request)?;
    Ok(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{FieldName, Filter, Matrix};

    fn request() -> SearchRequest {
        let (tenant, profile) = (TenantId::parse("acme").unwrap(), ProfileName::parse("frames").unwrap());
        SearchRequest::new(tenant, profile, "words")
    }

    fn ten() -> Position {
        Position::Offset(10)
    }

    fn opens(cursor: &PageCursor, request: SearchRequest) -> bool {
        position(&request.with_cursor(cursor.clone()), 1).is_ok()
    }

    #[test]
    fn invariant_08_a_cursor_is_of_everything_that_orders_results() {
        let by = |field: &str, value: &str| Filter::equals(FieldName::parse(field).unwrap(), value);
        let rows = |cell: f32| Matrix::new(2, vec![cell, 1.0]).unwrap();
        let range = |end: f64| TimeRange::new(0.0, end).unwrap();
        let other_tenant = SearchRequest { tenant: TenantId::parse("globex").unwrap(), ..request() };
        let others = [
            request(),
            other_tenant,
            SearchRequest { query: "other".to_owned(), ..request() },
            request().and_profile(ProfileName::parse("chunks").unwrap()),
            SearchRequest { profiles: vec![ProfileName::parse("chunks").unwrap()], ..request() },
            request().with_strategy(StrategyName::parse("bm25_only").unwrap()),
            request().with_strategy(StrategyName::parse("phased").unwrap()),
            request().with_filter(by("video_id", "a")),
            request().with_filter(by("video_id", "b")),
            request().with_time_range(range(1.0)),
            request().with_time_range(range(2.0)),
            request().grouped_by(Grouping::Moments),
            request().with_query_vectors(rows(0.5)),
            request().with_query_vectors(rows(0.25)),
            request().allowing_degraded(),
            request().with_reranker("signals"),
            request().with_reranker("none"),
            request().with_language("de"),
            request().with_language("fr"),
            SearchRequest { profiles: Vec::new(), ..request() },
        ];
        for (of, owner) in others.iter().enumerate() {
            let cursor = at(&ten(), owner, 1).unwrap();
            for (place, other) in others.iter().enumerate() {
                assert_eq!(opens(&cursor, other.clone()), of == place, "{owner:?} opened by {other:?}");
            }
        }
        let cursor = at(&ten(), &request(), 2).unwrap();
        assert!(!opens(&cursor, request()), "a cursor of another generation");
        let cursor = at(&ten(), &request(), 1).unwrap();
        let same = request().with_top_k(50).with_timeout(std::time::Duration::from_secs(1)).with_cursor(cursor);
        assert_eq!(position(&same, 1).unwrap().offset(), 10, "neither its size nor its timeout makes a page another's");
    }

    /// A cursor as the first release with this form wrote it. Were it refused, every customer's open page would break at an upgrade.
    #[test]
    fn a_release_keeps_the_cursors_of_the_one_before() {
        let filter = Filter::equals(FieldName::parse("video_id").unwrap(), "v1").negate();
        let request = request()
            .with_strategy(StrategyName::parse("phased").unwrap())
            .with_filter(filter)
            .with_time_range(TimeRange::new(0.0, 60.5).unwrap())
            .grouped_by(Grouping::Moments)
            .with_query_vectors(Matrix::new(2, vec![0.5, -1.0]).unwrap());
        let cursor = PageCursor::from_text("AQHNZZEZlAm5hRw9cDXLduBHMTBVCnH7FjOdoCqJEuggGz4y");
        assert_eq!(at(&ten(), &request, 1).unwrap(), cursor, "{}", at(&ten(), &request, 1).unwrap());
        assert_eq!(position(&request.with_cursor(cursor), 1).unwrap(), ten());
    }

    /// The seal has no key: what is pinned is checked like what a request says.
    #[test]
    fn invariant_23_a_forged_cursor_pins_no_more_than_a_request_may_ask_for() {
        let names = |count: usize| (0..count).map(|n| ProfileName::parse(format!("p{n}")).unwrap()).collect::<Vec<_>>();
        let strategies = |count: usize| vec![StrategyName::parse("bm25_only").unwrap(); count];
        let routed = SearchRequest { profiles: Vec::new(), ..request() };
        let pinned = |profiles: Vec<ProfileName>, weights: Vec<f64>| {
            let route = PinnedRoute {
                modality: Modality::Video,
                generation: Generation::RawResults,
                tier: RouteTier::FastPath,
                confidence: 0.9,
                profiles: profiles.clone(),
            };
            let strategies = strategies(profiles.len());
            Position::After(After { offset: 5, strategies, weights, route: Some(route), ..After::default() })
        };
        let opens = |position: &Position, request: &SearchRequest| {
            let cursor = at(position, request, 1).unwrap();
            super::position(&request.clone().with_cursor(cursor), 1).map_err(|error| error.code())
        };
        let good = pinned(names(3), vec![1.0, 0.5, 2.0]);
        assert_eq!(opens(&good, &routed), Ok(good.clone()));
        for bad in [
            pinned(Vec::new(), Vec::new()),
            pinned(names(400), Vec::new()),
            pinned([names(2), names(1)].concat(), Vec::new()),
            pinned(names(2), vec![1.0]),
            pinned(names(1), vec![f64::MAX]),
        ] {
            assert_eq!(opens(&bad, &routed), Err(ErrorCode::PageCursorInvalid), "{bad:?}");
        }
        // Of a request that names its profiles, none are taken from a cursor.
        assert_eq!(opens(&good, &request()), Err(ErrorCode::PageCursorInvalid));
    }
}
