//! Visiting documents: in pages, each document once; and as a stream, in slices side by side.
//!
//! Vespa gives whole buckets: more documents than asked for, up to a place where it can go on. A page gives as many as were
//! asked for, and its continuation holds Vespa's token with which documents of those buckets were given already; the next
//! page reads them again and gives the rest. So nothing is kept here between two pages, and a bucket that changes in between
//! neither loses nor repeats a document that was there throughout.

use crate::{
    backend::VespaBackend,
    condition::{Language, condition},
    document_json::{VisitSeed, WireVisit},
    document_path::{all_path, escape, field_set},
    error::Api,
    manifest::hash,
};
use cogniverse_core::schemas::Schema;
use cogniverse_http::{Method, unreadable};
use cogniverse_sdk::{
    Document, DocumentId, Error, ErrorCode, Filter, OwnedDocument, Result, Retry, TenantSchema, deadline_in,
    document_store::{VisitPage, VisitRequest},
};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize, de::DeserializeSeed};
use std::{collections::HashSet, sync::Arc};

/// The largest page of a visit.
const MAX_PAGE: usize = 1000;
/// Documents asked for at once in a streamed visit.
const STREAM_PAGE: usize = 500;

/// Where a visit goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    /// Vespa's token before the buckets that were read last.
    token: Option<String>,
    /// The number of documents requested with the token.
    wanted: usize,
    /// The documents of those buckets that were already returned.
    given: Vec<String>,
}

/// A part of a visit.
#[derive(Debug, Clone, Copy)]
struct Slice {
    of: usize,
    id: usize,
}

/// One page.
pub(crate) async fn page(backend: &VespaBackend, request: &VisitRequest) -> Result<VisitPage> {
    let size = request.page_size;
    if size == 0 || size > MAX_PAGE {
        return Err(Error::invalid(format!("a page of {size} documents; ask for 1 to {MAX_PAGE}")));
    }
    let schema = backend.schema(&request.schema).await?;
    let place = match request.position::<Place>()? {
        Some(place) => place,
        None => Place { wanted: size, ..Place::default() },
    };
    let visit = Visit {
        backend,
        name: &request.schema,
        schema: &schema,
        filter: request.filter.as_ref(),
        vectors: request.vectors,
    };
    let (documents, next) = visit.chunk(place.token.as_deref(), place.wanted, None).await?;
    let given: HashSet<&str> = place.given.iter().map(String::as_str).collect();
    let mut left: Vec<Document> =
        documents.into_iter().filter(|document| !given.contains(&*mark(&document.id))).collect();
    if left.len() <= size {
        let next = next.map(|token| Place { token: Some(token), wanted: size, given: Vec::new() });
        let continuation = next.map(|place| request.seal(&place)).transpose()?;
        return Ok(VisitPage::new(owned(&request.schema, left), continuation));
    }
    left.truncate(size);
    let given = place.given.into_iter().chain(left.iter().map(|document| mark(&document.id))).collect();
    let rest = Place { token: place.token, wanted: place.wanted, given };
    Ok(VisitPage::new(owned(&request.schema, left), Some(request.seal(&rest)?)))
}

/// The schema is that of each document's own id, which [`Visit::chunk`] compared.
fn owned(schema: &TenantSchema, documents: Vec<Document>) -> Vec<OwnedDocument> {
    documents.into_iter().map(|document| OwnedDocument::new(schema.clone(), document)).collect()
}

/// Enough of a hash to tell the documents of a few buckets apart.
fn mark(id: &DocumentId) -> String {
    hash(id.as_str().as_bytes()).chars().take(16).collect()
}

struct Visit<'a> {
    backend: &'a VespaBackend,
    name: &'a TenantSchema,
    schema: &'a Schema,
    filter: Option<&'a Filter>,
    vectors: bool,
}

impl Visit<'_> {
    /// The documents of some buckets, and where to go on.
    async fn chunk(
        &self,
        token: Option<&str>,
        wanted: usize,
        slice: Option<Slice>,
    ) -> Result<(Vec<Document>, Option<String>)> {
        let config = self.backend.config();
        let mut path = format!(
            "{}?cluster={}&wantedDocumentCount={wanted}&timeout={}s&format.tensors=hex-value&fieldSet={}",
            all_path(&config.namespace, self.name.physical_name()),
            config.content_cluster,
            config.timeout.as_secs().max(1),
            escape(&field_set(self.name, self.schema, self.vectors))
        );
        if let Some(filter) = self.filter {
            let selection = condition(Language::Selection(self.name.physical_name()), self.schema, filter)?;
            path.push_str(&format!("&selection={}", escape(&selection)));
        }
        if let Some(token) = token {
            path.push_str(&format!("&continuation={}", escape(token)));
        }
        if let Some(Slice { of, id }) = slice {
            path.push_str(&format!("&slices={of}&sliceId={id}"));
        }
        let client = self.backend.client();
        // A visit that found no bucket in time says 504 and has not moved: the same token again, by `send`.
        let deadline = deadline_in(config.timeout.saturating_mul(2));
        let answer = client.send(Api::Document, deadline, &client.document(Method::GET, &path)?).await?;
        if !answer.is_success() {
            return Err(answer.error().with_context("schema", self.name));
        }
        let mut json = serde_json::Deserializer::from_slice(answer.body());
        let WireVisit { documents, continuation, message } =
            VisitSeed(self.schema).deserialize(&mut json).map_err(|e| unreadable("Vespa", answer.body(), &e))?;
        if let Some(message) = message {
            return Err(Error::of(ErrorCode::BackendUnavailable, "the visit was broken off")
                .with_withheld(message)
                .with_retry(Retry::After(None))
                .with_context("schema", self.name));
        }
        let (namespace, name) = (&config.namespace, self.name.physical_name());
        let mut seen = HashSet::new();
        let mut own = Vec::with_capacity(documents.len());
        for document in documents {
            let shown = document.id.clone().unwrap_or_default();
            let document = document.into_document(namespace, name).ok_or_else(|| {
                Error::unexpected(format!("a visit of \"{name}\" gave a document of another place"))
                    .with_withheld(shown)
            })?;
            // Vespa may give a document again where nodes change.
            if seen.insert(document.id.clone()) {
                own.push(document);
            }
        }
        Ok((own, continuation))
    }
}

impl VespaBackend {
    /// Streams every document of a tenant schema, read by `slices` concurrent visits (from 1 to 64), in no particular
    /// order.
    ///
    /// Memory holds one chunk per slice. An error ends the stream of its slice; start a new visit.
    ///
    /// # Errors
    /// `NotFound` for a schema that is not deployed; `InvalidInput` for a filter that does not match the schema.
    pub async fn visit_all(
        &self,
        name: &TenantSchema,
        filter: Option<Filter>,
        slices: usize,
    ) -> Result<impl Stream<Item = Result<Document>> + Send + 'static> {
        if slices == 0 || slices > 64 {
            return Err(Error::invalid(format!("{slices} slices; ask for 1 to 64")));
        }
        let schema = self.schema(name).await?;
        if let Some(filter) = &filter {
            schema.check_filter(filter)?;
        }
        let (name, filter) = (Arc::new(name.clone()), Arc::new(filter));
        let of_slice = move |id: usize, backend: VespaBackend, schema: Arc<Schema>| {
            let (name, filter) = (Arc::clone(&name), Arc::clone(&filter));
            let slice = (slices > 1).then_some(Slice { of: slices, id });
            stream::unfold(Some(None::<String>), move |token| {
                let (backend, schema, name, filter) =
                    (backend.clone(), Arc::clone(&schema), Arc::clone(&name), Arc::clone(&filter));
                async move {
                    let token = token?;
                    let visit = Visit {
                        backend: &backend,
                        name: &name,
                        schema: &schema,
                        filter: filter.as_ref().as_ref(),
                        vectors: true,
                    };
                    match visit.chunk(token.as_deref(), STREAM_PAGE, slice).await {
                        Ok((documents, next)) => {
                            Some((documents.into_iter().map(Ok).collect::<Vec<_>>(), next.map(Some)))
                        }
                        Err(error) => Some((vec![Err(error)], None)),
                    }
                }
            })
            .flat_map(stream::iter)
            .boxed()
        };
        let backend = self.clone();
        Ok(stream::select_all((0..slices).map(move |id| of_slice(id, backend.clone(), Arc::clone(&schema)))))
    }
}
