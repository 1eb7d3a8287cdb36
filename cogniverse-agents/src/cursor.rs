//! Pages of a search ([invariant 8](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#8)): which cursor belongs to which request.

use crate::request::{Grouping, SearchRequest};
use cogniverse_sdk::{Listing, PageCursor, ProfileName, Result, StrategyName, TenantId, TimeRange};
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
        }
    }
}

/// Where a page starts, and what its first page was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Position {
    /// The offset, of a request that names its profiles.
    Offset(usize),
    /// The offset with what a later page takes over from the first, whatever changed meanwhile.
    After {
        offset: usize,
        /// The profiles to which the first page was routed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profiles: Option<Vec<ProfileName>>,
        /// Whether the first page has the strategy's order, as the reranker failed.
        #[serde(default)]
        as_found: bool,
    },
}

impl Position {
    pub(crate) fn new(offset: usize, profiles: Option<Vec<ProfileName>>, as_found: bool) -> Self {
        if profiles.is_none() && !as_found { Self::Offset(offset) } else { Self::After { offset, profiles, as_found } }
    }

    pub(crate) fn offset(&self) -> usize {
        match self {
            Self::Offset(offset) | Self::After { offset, .. } => *offset,
        }
    }

    /// Returns the profiles of the first page, where they were routed.
    pub(crate) fn profiles(&self) -> Option<&[ProfileName]> {
        match self {
            Self::Offset(_) => None,
            Self::After { profiles, .. } => profiles.as_deref(),
        }
    }

    /// Returns whether the pages have the strategy's order, as the reranker failed at the first.
    pub(crate) fn is_as_found(&self) -> bool {
        matches!(self, Self::After { as_found: true, .. })
    }
}

/// Returns the cursor of the page that starts at a position.
pub(crate) fn at(position: &Position, request: &SearchRequest, generation: u64) -> Result<PageCursor> {
    PageCursor::seal(Listing::Search, &Bound::of(request, generation), position)
}

/// Returns the position of the request's page: the start without a cursor.
pub(crate) fn position(request: &SearchRequest, generation: u64) -> Result<Position> {
    let first = Ok(Position::Offset(0));
    request.cursor.as_ref().map_or(first, |cursor| cursor.open(Listing::Search, &Bound::of(request, generation)))
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
}
