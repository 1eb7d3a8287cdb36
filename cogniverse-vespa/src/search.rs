//! `SearchBackend`: a search of one tenant schema.

use crate::{
    backend::{VespaBackend, named},
    client::VespaClient,
    document_path::FullId,
    error::Api,
    facets,
    response::{self, Found, Hit},
    search_request::{self, SearchRequest},
    wire::SearchCoverage,
};
use async_trait::async_trait;
use bytes::Bytes;
use cogniverse_core::{
    schemas::{Schema, Strategy},
    text::{Language, highlights, query_terms},
};
use cogniverse_sdk::{
    BackendHit, BackendHits, BackendQuery, Document, DocumentId, Error, ErrorKind, Facet, Filter, Result,
    SearchBackend, TenantSchema, deadline_in,
    schema::FieldType,
    search_backend::{Coverage, PartialCause},
};
use std::{collections::HashMap, time::Duration};

/// What the way to Vespa and back may take beside the search's own time.
const WAY: Duration = Duration::from_secs(1);

/// Returns the terms that highlights mark in documents of a language.
fn words_in(query: &BackendQuery, language: Option<Language>) -> Vec<String> {
    let text = query.text.as_deref().unwrap_or_default();
    query_terms(text, language).into_iter().map(|(term, _)| term).collect()
}

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
        let Some(SearchRequest { body, timeout }) = search_request::search(&schema, query, strategy)? else {
            let none = query.facets.iter().map(|facet| Facet::new(facet.field.clone(), Vec::new(), 0));
            return Ok(BackendHits::default().with_facets(none.collect()));
        };
        let found = self.ask(&query.schema, &schema, body.into(), timeout).await;
        let found = found.map_err(|e| e.with_context("strategy", &query.strategy))?;
        let facets = self.facets(query, &schema, strategy, &found).await?;
        Ok(self.hits(query, &schema, strategy, found)?.with_facets(facets))
    }

    /// Returns the counts by fields. The documents that have none of the listed values are asked for where they may have several.
    async fn facets(
        &self,
        query: &BackendQuery,
        schema: &Schema,
        strategy: &Strategy,
        found: &Found,
    ) -> Result<Vec<Facet>> {
        let mut all = Vec::with_capacity(query.facets.len());
        for (number, request) in query.facets.iter().enumerate() {
            let values = facets::listed(schema, (number, request), &found.groups)?;
            let is_list =
                schema.field(request.field.as_str()).is_some_and(|field| field.field_type == FieldType::StringArray);
            let others = match is_list && !values.is_empty() {
                false => found.total.saturating_sub(values.iter().map(|listed| listed.count).sum()),
                true => {
                    let listed = values.iter().map(|listed| listed.value.clone()).collect();
                    let others = Filter::In(request.field.clone(), listed).negate();
                    let filter = query.filter.iter().cloned().chain([others]).collect();
                    let mut rest = query.clone().with_filter(Some(Filter::All(filter))).with_page(0, 0);
                    (rest.facets, rest.sort) = (Vec::new(), None);
                    match search_request::matching(schema, &rest, strategy)? {
                        None => 0,
                        Some(request) => {
                            self.ask(&query.schema, schema, request.body.into(), request.timeout).await?.total
                        }
                    }
                }
            };
            all.push(Facet::new(request.field.clone(), values, others));
        }
        Ok(all)
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
        if found.hits.is_empty() && found.groups.is_empty() {
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

    fn hits(&self, query: &BackendQuery, schema: &Schema, strategy: &Strategy, found: Found) -> Result<BackendHits> {
        let mut terms: HashMap<Option<Language>, Vec<String>> = HashMap::new();
        let coverage = coverage(&found);
        let texts = if strategy.inputs().text { schema.text_fields() } else { &[] };
        let rescored = strategy.rescored();
        let mut hits = Vec::with_capacity(found.hits.len());
        for (place, hit) in found.hits.into_iter().enumerate() {
            let first_phase = hit.document.first_phase;
            let mut hit = self.hit(&query.schema, hit)?;
            if query.sort.is_some() {
                // What Vespa computed of a score beside the order says nothing.
                hit.score = 0.0;
            }
            // The best so many of all were among the best so many of their node, so they have a later phase's score.
            hit.first_phase =
                first_phase.filter(|_| query.sort.is_none() && query.offset.saturating_add(place) < rescored);
            if hit.schema == query.schema {
                // As its own language has the words.
                let language = schema.language_of(&hit.document.fields);
                let words = terms.entry(language).or_insert_with(|| words_in(query, language));
                hit.highlights = highlights(&hit.document, language, texts, words);
            }
            hits.push(hit);
        }
        Ok(BackendHits::new(hits, found.total).with_coverage(coverage))
    }

    /// A hit under the schema that its own id names, whatever was asked for ([invariant 5](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#5)).
    pub(crate) fn hit(&self, asked: &TenantSchema, hit: Hit) -> Result<BackendHit> {
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
