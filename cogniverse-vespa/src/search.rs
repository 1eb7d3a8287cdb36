//! `SearchBackend`: a search of one tenant schema.

use crate::{
    backend::{VespaBackend, named},
    client::VespaClient,
    document_path::FullId,
    error::Api,
    response::{self, Found, Hit},
    search_request::{self, SearchRequest},
    wire::SearchCoverage,
};
use async_trait::async_trait;
use bytes::Bytes;
use cogniverse_core::{
    schemas::{Schema, Strategy},
    text::highlights,
};
use cogniverse_sdk::{
    BackendHit, BackendHits, BackendQuery, Document, DocumentId, Error, ErrorKind, Result, SearchBackend, TenantSchema,
    deadline_in,
    search_backend::{Coverage, PartialCause},
};
use std::time::Duration;

/// What the way to Vespa and back may take beside the search's own time.
const WAY: Duration = Duration::from_secs(1);

#[async_trait]
impl SearchBackend for VespaBackend {
    async fn search(&self, query: BackendQuery) -> Result<BackendHits> {
        self.run(&query).await.map_err(|e| named(e, "search"))
    }
}

impl VespaBackend {
    async fn run(&self, query: &BackendQuery) -> Result<BackendHits> {
        let schema = self.schema(&query.schema).await?;
        let strategy = schema.check_query(query)?;
        let Some(SearchRequest { body, words, timeout }) = search_request::search(&schema, query, strategy)? else {
            return Ok(BackendHits::default());
        };
        let found = self.ask(&query.schema, &schema, body.into(), timeout).await;
        let found = found.map_err(|e| e.with_context("strategy", &query.strategy))?;
        self.hits(query, &schema, strategy, &words, found)
    }

    async fn ask(&self, name: &TenantSchema, schema: &Schema, body: Bytes, timeout: Duration) -> Result<Found> {
        let client: &VespaClient = self.client();
        let deadline = deadline_in(timeout.saturating_add(WAY));
        let answer = client.send(Api::Search, deadline, &client.search(body)).await;
        let answer = answer.map_err(|e| e.with_context("schema", name))?;
        let read = response::read(answer.body(), schema);
        let found = match read {
            Ok(found) => found,
            Err(e) if answer.is_success() => return Err(e.with_context("schema", name)),
            Err(_) => return Err(answer.error().with_context("schema", name)),
        };
        // Errors beside hits are a partial answer; errors without hits are no answer (invariant 9).
        if found.hits.is_empty() {
            if let Some(error) = found.errors.into_iter().next() {
                if error.kind() == ErrorKind::NotFound {
                    self.catalog().forget();
                }
                return Err(error.with_context("schema", name));
            }
            if !answer.is_success() {
                return Err(answer.error().with_context("schema", name));
            }
            return Ok(Found { errors: Vec::new(), ..found });
        }
        Ok(found)
    }

    fn hits(
        &self,
        query: &BackendQuery,
        schema: &Schema,
        strategy: &Strategy,
        words: &[String],
        found: Found,
    ) -> Result<BackendHits> {
        let coverage = coverage(&found);
        let texts = if strategy.inputs().text { schema.text_fields() } else { &[] };
        let rescored = strategy.rescored();
        let mut hits = Vec::with_capacity(found.hits.len());
        for (place, hit) in found.hits.into_iter().enumerate() {
            let first_phase = hit.document.first_phase;
            let mut hit = self.hit(&query.schema, hit)?;
            // The best so many of all were among the best so many of their node, so they have a later phase's score.
            hit.first_phase = first_phase.filter(|_| query.offset.saturating_add(place) < rescored);
            if hit.schema == query.schema {
                hit.highlights = highlights(&hit.document, texts, words);
            }
            hits.push(hit);
        }
        Ok(BackendHits::new(hits, found.total).with_coverage(coverage))
    }

    /// A hit under the schema that its own id names, whatever was asked for ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
    fn hit(&self, asked: &TenantSchema, hit: Hit) -> Result<BackendHit> {
        let Hit { relevance, document } = hit;
        let foreign = |what: &str| {
            Error::unexpected(format!("a hit of schema \"{asked}\" is {what}; it was not shown"))
                .with_context("tenant", asked.tenant())
        };
        let full = document.document_id.as_deref().ok_or_else(|| foreign("without a document id"))?;
        let id = FullId::parse(full).ok_or_else(|| foreign("without a document id"))?;
        if document.schema.as_deref().is_some_and(|name| name != id.schema) || id.namespace != self.config().namespace {
            return Err(foreign("of another application's document"));
        }
        let schema = if id.schema == asked.physical_name() {
            asked.clone()
        } else {
            self.catalog().owner(id.schema).ok_or_else(|| foreign("of a schema that is not this library's"))?
        };
        let id = DocumentId::parse(id.user)?;
        let document = Document { id, fields: document.fields.unwrap_or_default() };
        Ok(BackendHit::new(schema, document, relevance))
    }
}

/// Returns the coverage of a response. Vespa's own flag is not enough: with no node in service it reports "full".
fn coverage(found: &Found) -> Coverage {
    let partial = |cause, reason: String| Coverage::Partial { cause, reason };
    if let Some(error) = found.errors.first() {
        let cause = if error.kind() == ErrorKind::Timeout { PartialCause::Timeout } else { PartialCause::Error };
        return partial(cause, error.to_string());
    }
    let Some(SearchCoverage { coverage, documents, full, degraded }) = &found.coverage else { return Coverage::Full };
    if let Some(why) = degraded {
        let (cause, what) = if why.timeout || why.adaptive_timeout || why.anntimeout {
            (PartialCause::Timeout, "the search ran out of time")
        } else if why.match_phase {
            (PartialCause::Limited, "the search was limited to a part of the matches")
        } else if why.non_ideal_state {
            (PartialCause::Nodes, "content nodes are missing or catching up")
        } else {
            (PartialCause::Error, "Vespa calls the answer degraded")
        };
        return partial(cause, format!("{what}: {coverage} % of the documents ({documents}) were looked at"));
    }
    if *full {
        return Coverage::Full;
    }
    partial(PartialCause::Nodes, format!("{coverage} % of the documents ({documents}) were looked at"))
}
