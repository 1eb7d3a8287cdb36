//! Where a visit goes on: the last id, and the visit it belongs to.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use cogniverse_sdk::{
    Error, Result, SchemaName, TenantId,
    document_store::{Continuation, VisitRequest},
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Token {
    tenant: TenantId,
    base: SchemaName,
    filter: String,
    after: String,
}

pub(crate) fn encode(after: &str, request: &VisitRequest) -> Result<Continuation> {
    let token = Token {
        tenant: request.schema.tenant().clone(),
        base: request.schema.base().clone(),
        filter: format!("{:?}", request.filter),
        after: after.to_owned(),
    };
    let json =
        serde_json::to_vec(&token).map_err(|e| Error::unexpected("a continuation cannot be written").with_source(e))?;
    Ok(Continuation::new(URL_SAFE_NO_PAD.encode(json)))
}

/// The last id, where the token belongs to this tenant, schema and filter (invariant 8).
pub(crate) fn decode(continuation: &Continuation, request: &VisitRequest) -> Result<String> {
    let token =
        URL_SAFE_NO_PAD.decode(continuation.as_str()).ok().and_then(|json| serde_json::from_slice::<Token>(&json).ok());
    match token {
        Some(token)
            if token.tenant == *request.schema.tenant()
                && token.base == *request.schema.base()
                && token.filter == format!("{:?}", request.filter) =>
        {
            Ok(token.after)
        }
        Some(_) => Err(Error::invalid("the continuation belongs to another visit; begin this one without it")),
        None => Err(Error::invalid("the continuation cannot be read; give it back as it came")),
    }
}
