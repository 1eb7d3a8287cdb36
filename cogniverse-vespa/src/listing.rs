//! Listings of documents in the order of a field, by searches of all.

use crate::{backend::VespaBackend, error::Api, response, search_request};
use cogniverse_core::schemas::MAX_WINDOW;
use cogniverse_sdk::{
    Error, ErrorCode, OwnedDocument, Result, Retry, deadline_in,
    document_store::{ListRequest, VisitPage},
};
use serde::{Deserialize, Serialize};

/// Where a listing goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    offset: usize,
}

/// One page. Vespa sorts the documents of each page anew, and no further than [`MAX_WINDOW`].
pub(crate) async fn page(backend: &VespaBackend, request: &ListRequest) -> Result<VisitPage> {
    request.check_page_size()?;
    let schema = backend.schema(&request.schema).await?;
    schema.check_sort(&request.sort)?;
    let offset = request.position::<Place>()?.map_or(0, |place| place.offset);
    if offset >= MAX_WINDOW {
        return Err(Error::invalid(format!(
            "Vespa lists the first {MAX_WINDOW} documents of an order; narrow the listing by a filter, such as a range of \"{}\"",
            request.sort.field
        ))
        .with_context("schema", &request.schema));
    }
    let size = request.page_size.min(MAX_WINDOW - offset);
    let timeout = backend.config().timeout;
    let body = search_request::list(&schema, request, (offset, size), timeout)?;
    let client = backend.client();
    let answer = client.send(Api::Search, deadline_in(timeout), &client.search(body.into())).await?;
    let found =
        response::read(answer.body(), &schema).map_err(|e| if answer.is_success() { e } else { answer.error() })?;
    if let Some(error) = found.errors.into_iter().next() {
        return Err(error.with_context("schema", &request.schema));
    }
    // A page with a gap would lose documents (invariant 9).
    if !answer.is_success() || !found.coverage.is_some_and(|coverage| coverage.full && coverage.degraded.is_none()) {
        return Err(Error::of(ErrorCode::BackendUnavailable, "Vespa listed a part of the documents only; try again")
            .with_retry(Retry::After(None))
            .with_context("schema", &request.schema));
    }
    let next = offset.saturating_add(found.hits.len());
    let more = !found.hits.is_empty() && found.total > next as u64;
    let mut documents = Vec::with_capacity(found.hits.len());
    for hit in found.hits {
        let hit = backend.hit(&request.schema, hit)?;
        documents.push(OwnedDocument::new(hit.schema, hit.document));
    }
    let continuation = more.then(|| request.seal(&Place { offset: next })).transpose()?;
    Ok(VisitPage::new(documents, continuation))
}
