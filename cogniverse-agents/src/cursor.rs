//! Pages that belong to one tenant and one query (invariant 8).

use crate::request::SearchRequest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cogniverse_sdk::{Error, Result, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Where the next page begins: opaque, and refused for another tenant or another query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageCursor(String);

#[derive(Serialize, Deserialize)]
struct Token {
    tenant: TenantId,
    query: String,
    offset: usize,
}

impl PageCursor {
    /// From the text of one.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn at(offset: usize, request: &SearchRequest) -> Result<Self> {
        let token = Token { tenant: request.tenant.clone(), query: fingerprint(request), offset };
        let json = serde_json::to_vec(&token)
            .map_err(|e| Error::unexpected("a page cursor cannot be written").with_source(e))?;
        Ok(Self(URL_SAFE_NO_PAD.encode(json)))
    }

    /// Where the request's page begins: 0 without a cursor.
    pub(crate) fn offset(request: &SearchRequest) -> Result<usize> {
        let Some(cursor) = &request.cursor else { return Ok(0) };
        let token = URL_SAFE_NO_PAD.decode(&cursor.0).ok().and_then(|json| serde_json::from_slice::<Token>(&json).ok());
        match token {
            Some(token) if token.tenant == request.tenant && token.query == fingerprint(request) => Ok(token.offset),
            Some(_) => {
                Err(Error::invalid("the page cursor belongs to another tenant or another query; begin without it"))
            }
            None => Err(Error::invalid("the page cursor cannot be read; give it back as it came")),
        }
    }
}

/// Everything that decides the order of results; the size of a page does not.
fn fingerprint(request: &SearchRequest) -> String {
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
    } = request;
    let parts = format!(
        "{tenant:?}{profiles:?}{query:?}{strategy:?}{filter:?}{time_range:?}{grouping:?}{query_vectors:?}{allow_degraded}"
    );
    URL_SAFE_NO_PAD.encode(Sha256::digest(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Grouping;
    use cogniverse_sdk::{FieldName, Filter, Matrix, ProfileName, StrategyName, TimeRange};

    fn request() -> SearchRequest {
        let (tenant, profile) = (TenantId::parse("acme").unwrap(), ProfileName::parse("frames").unwrap());
        SearchRequest::new(tenant, profile, "words")
    }

    fn opens(cursor: &PageCursor, request: SearchRequest) -> bool {
        PageCursor::offset(&request.with_cursor(cursor.clone())).is_ok()
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
        ];
        for (of, owner) in others.iter().enumerate() {
            let cursor = PageCursor::at(10, owner).unwrap();
            for (at, other) in others.iter().enumerate() {
                assert_eq!(opens(&cursor, other.clone()), of == at, "{owner:?} opened by {other:?}");
            }
        }
        let cursor = PageCursor::at(10, &request()).unwrap();
        let same = request().with_top_k(50).with_timeout(std::time::Duration::from_secs(1)).with_cursor(cursor);
        assert_eq!(PageCursor::offset(&same).unwrap(), 10, "neither its size nor its timeout makes a page another's");
    }
}
