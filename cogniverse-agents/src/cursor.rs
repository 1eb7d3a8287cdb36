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
        ..
    } = request;
    let parts = format!(
        "{tenant:?}{profiles:?}{query:?}{strategy:?}{filter:?}{time_range:?}{grouping:?}{query_vectors:?}{allow_degraded}"
    );
    URL_SAFE_NO_PAD.encode(Sha256::digest(parts))
}
