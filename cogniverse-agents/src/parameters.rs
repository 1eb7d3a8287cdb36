//! Search parameters in a customer's JSON.

use crate::request::{AnswerMode, Grouping, Like, SearchRequest};
use cogniverse_sdk::{
    Error, FacetRequest, Filter, Matrix, PageCursor, ProfileName, Result, Sort, StrategyName, TenantId, TimeRange,
    WordCondition,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::time::Duration;

/// The largest number of cells in the JSON vectors of one query.
const MAX_CELLS: usize = 1 << 20;

/// A [`SearchRequest`] without its tenant and its user, as a service may read it from a request body.
///
/// The tenant comes from the service's authentication, through [`SearchParameters::for_tenant`], so that no body can
/// name another one. Every member is optional; an unknown one is an error. A value outside its range is refused by
/// the search.
///
/// ```
/// use cogniverse_agents::SearchParameters;
/// use cogniverse_sdk::{ProfileName, TenantId};
///
/// let body = r#"{"query": "machine learning", "top_k": 5, "filter": {"start_time": {"gte": 60}}, "timeout_ms": 2000}"#;
/// let parameters: SearchParameters = serde_json::from_str(body)?;
/// let profile = ProfileName::parse("video_text_minilm_mv_segment").unwrap();
/// let request = parameters.for_tenant(TenantId::parse("acme_corp").unwrap(), profile);
/// assert_eq!((request.tenant.as_str(), request.top_k), ("acme_corp", 5));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SearchParameters {
    /// The query text.
    pub query: String,
    /// The language of the query, such as `de` (default: any).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The profiles to search; empty for the service's default, or for those that the query is routed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<ProfileName>,
    /// The number of results per page (default 10, at most 1,000).
    pub top_k: usize,
    /// The strategy; `None` (the default) uses each profile's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategyName>,
    /// A filter on the segments, in the form of [`Filter::from_json`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The time range, in seconds, that segments must overlap: `{"start": 0, "end": 60}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_range: Option<TimeRange>,
    /// The unit of results: `segments` (default) or `moments`.
    pub grouping: Grouping,
    /// The cursor from `next` of the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<PageCursor>,
    /// Query vectors to use instead of an encoder: one list of numbers per vector, all of one length, at most
    /// 1,048,576 numbers.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_rows", deserialize_with = "read_rows")]
    pub query_vectors: Option<Matrix<f32>>,
    /// Whether a text search may replace an encoder that fails (default `false`).
    pub allow_degraded: bool,
    /// The timeout in milliseconds (default: the strategy's own).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The reranker (default: the tenant's).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranker: Option<String>,
    /// Whether a text is made from the results: `routed` (default), `off`, `summary` or `report`.
    #[serde(skip_serializing_if = "is_routed")]
    pub answer: AnswerMode,
    /// Whether `"a phrase"`, `-without` and `prefix*` in the query are operators (default `false`: all of it is literal).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub operators: bool,
    /// Conditions on the words of segments, such as `{"phrase": "open sea"}`, `{"without": "harbour"}`, `{"prefix": "boat"}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordCondition>,
    /// Whether a query word that no segment has is replaced by similar ones (default `false`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub typos: bool,
    /// The order by a field: `{"field": "meta_rating", "descending": true}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// The fields by which the matched segments are counted: `[{"field": "video_id", "limit": 10}]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facets: Vec<FacetRequest>,
    /// The moment like which others are looked for: `{"video_id": "v1", "seconds": 12.5}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<Like>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_routed(answer: &AnswerMode) -> bool {
    *answer == AnswerMode::Routed
}

impl Default for SearchParameters {
    fn default() -> Self {
        Self {
            query: String::new(),
            language: None,
            profiles: Vec::new(),
            top_k: 10,
            strategy: None,
            filter: None,
            time_range: None,
            grouping: Grouping::default(),
            cursor: None,
            query_vectors: None,
            allow_degraded: false,
            timeout_ms: None,
            reranker: None,
            answer: AnswerMode::default(),
            operators: false,
            words: Vec::new(),
            typos: false,
            sort: None,
            facets: Vec::new(),
            like: None,
        }
    }
}

impl SearchParameters {
    /// Returns the request of a tenant. `profile` is searched where the parameters name none.
    #[must_use]
    pub fn for_tenant(self, tenant: TenantId, profile: ProfileName) -> SearchRequest {
        let given = !self.profiles.is_empty();
        let request = self.routed_for_tenant(tenant);
        if given { request } else { SearchRequest { profiles: vec![profile], ..request } }
    }

    /// Returns the request of a tenant, which is routed where the parameters name no profile.
    #[must_use]
    pub fn routed_for_tenant(self, tenant: TenantId) -> SearchRequest {
        let operators = self.operators;
        let request = SearchRequest {
            language: self.language,
            profiles: self.profiles,
            top_k: self.top_k,
            strategy: self.strategy,
            filter: self.filter,
            time_range: self.time_range,
            grouping: self.grouping,
            cursor: self.cursor,
            query_vectors: self.query_vectors,
            allow_degraded: self.allow_degraded,
            timeout: self.timeout_ms.map(Duration::from_millis),
            reranker: self.reranker,
            answer: self.answer,
            words: self.words,
            typos: self.typos,
            sort: self.sort,
            facets: self.facets,
            like: self.like,
            ..SearchRequest::routed(tenant, self.query)
        };
        if operators { request.with_operators() } else { request }
    }
}

impl From<SearchRequest> for SearchParameters {
    /// Converts a request, dropping its tenant and user.
    fn from(request: SearchRequest) -> Self {
        Self {
            query: request.query,
            language: request.language,
            profiles: request.profiles,
            top_k: request.top_k,
            strategy: request.strategy,
            filter: request.filter,
            time_range: request.time_range,
            grouping: request.grouping,
            cursor: request.cursor,
            query_vectors: request.query_vectors,
            allow_degraded: request.allow_degraded,
            reranker: request.reranker,
            answer: request.answer,
            // What a person wrote is taken apart already.
            operators: false,
            words: request.words,
            typos: request.typos,
            sort: request.sort,
            facets: request.facets,
            like: request.like,
            timeout_ms: request.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

fn write_rows<S: Serializer>(vectors: &Option<Matrix<f32>>, serializer: S) -> Result<S::Ok, S::Error> {
    vectors.as_ref().map(|matrix| matrix.rows().collect::<Vec<_>>()).serialize(serializer)
}

fn read_rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Matrix<f32>>, D::Error> {
    let Some(rows) = Option::<Vec<Vec<f32>>>::deserialize(deserializer)? else { return Ok(None) };
    let matrix = || {
        let cells = rows.iter().fold(0_usize, |sum, row| sum.saturating_add(row.len()));
        if rows.is_empty() || cells > MAX_CELLS {
            return Err(Error::invalid(format!("query_vectors has {cells} numbers; give 1 to {MAX_CELLS}")));
        }
        if !rows.iter().flatten().all(|cell| cell.is_finite()) {
            return Err(Error::invalid("query_vectors holds a number that is not finite"));
        }
        Matrix::from_rows(&rows)
    };
    matrix().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn whole() -> Value {
        json!({
            "query": "gradient descent",
            "language": "en",
            "profiles": ["frames", "chunks"],
            "top_k": 3,
            "strategy": "phased",
            "filter": {"video_id": "v1"},
            "time_range": {"start": 0.0, "end": 60.0},
            "grouping": "moments",
            "cursor": "abc",
            "query_vectors": [[0.5, 1.0], [2.0, 4.0]],
            "allow_degraded": true,
            "timeout_ms": 2000,
            "reranker": "signals",
            "answer": "summary",
        })
    }

    #[test]
    fn every_member_reaches_the_request_and_comes_back() {
        let parameters: SearchParameters = from_value(whole()).unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let request = parameters.clone().for_tenant(tenant.clone(), ProfileName::parse("other").unwrap());
        assert_eq!((&request.tenant, request.profiles.len(), request.memory.is_none()), (&tenant, 2, true));
        assert_eq!(request.timeout, Some(Duration::from_secs(2)));
        assert_eq!(SearchParameters::from(request), parameters);
        assert_eq!(serde_json::to_value(&parameters).unwrap(), whole());
    }

    #[test]
    fn nothing_given_is_the_default() {
        let parameters: SearchParameters = from_value(json!({})).unwrap();
        assert_eq!(parameters, SearchParameters::default());
        let (tenant, profile) = (TenantId::parse("acme").unwrap(), ProfileName::parse("frames").unwrap());
        assert_eq!(parameters.for_tenant(tenant.clone(), profile.clone()), SearchRequest::new(tenant, profile, ""));
    }

    #[test]
    fn invariant_01_a_body_names_no_tenant_and_no_user() {
        for wrong in [
            json!({"tenant": "globex"}),
            json!({"tenant_id": "globex"}),
            json!({"memory": {"user": "bob"}}),
            json!({"strategy": "a b"}),
            json!({"profiles": ["../x"]}),
            json!({"filter": {"video_id": null}}),
            json!({"time_range": {"start": 9.0, "end": 3.0}}),
            json!({"time_range": {"start": -1.0, "end": 3.0}}),
            json!({"query_vectors": [[1.0], [1.0, 2.0]]}),
            json!({"query_vectors": []}),
            json!({"query_vectors": [[1e300]]}),
            json!({"top_k": -1}),
        ] {
            assert!(from_value::<SearchParameters>(wrong.clone()).is_err(), "{wrong}");
        }
        let wide = json!({"query_vectors": [vec![0.5; MAX_CELLS + 1]]});
        assert!(from_value::<SearchParameters>(wide).unwrap_err().to_string().contains("1048576"));
    }
}
