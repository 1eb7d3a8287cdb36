//! The `TelemetryProvider` implementation.

use crate::{
    client::PhoenixClient,
    wire::{self, Cursors, Data, NewAnnotation, Page, WireAnnotation, WireProject, WireSpan},
};
use async_trait::async_trait;
use cogniverse_http::Repeat;
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Result, Retry,
    telemetry_provider::{
        AnnotateReceipt, AnnotateSpans, AnnotationPage, AnnotationQuery, Continuation, ErasureReceipt, ProjectInfo,
        ProjectName, Settle, SpanId, SpanPage, SpanQuery, TelemetryProvider,
    },
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::time::{Instant, sleep};

/// The largest number of ids per request, given the length of a URL.
const IDS_PER_CALL: usize = 100;

impl PhoenixClient {
    /// Lists every project, newest first, across tenants: for administrators only.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`].
    pub async fn list_projects(&self) -> Result<Vec<ProjectInfo>> {
        let (mut projects, mut cursor, mut cursors) = (Vec::new(), None::<String>, Cursors::default());
        loop {
            let call = self.get(["v1", "projects"]).with_query("limit", 100).with_queries("cursor", cursor);
            let page: Page<WireProject> = self.json(call).await?;
            // One that this library cannot address by its name is not one of ours.
            projects.extend(page.data.into_iter().filter_map(|project| {
                Some(ProjectInfo::new(ProjectName::parse(&project.name).ok()?, project.description))
            }));
            cursor = cursors.next(page.next_cursor)?;
            if cursor.is_none() {
                return Ok(projects);
            }
        }
    }

    /// Creates a project if it does not exist. Spans create theirs implicitly; this is for a project without any.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`].
    pub async fn create_project(&self, project: &ProjectName, description: &str) -> Result<ProjectInfo> {
        // Asked for first: the same name again is answered by a 500 and a reset connection.
        if let Some(known) = self.find_project(project).await? {
            return Ok(known);
        }
        let body = json!({"name": project.as_str(), "description": description});
        let made: Result<Data<WireProject>> = self.json(self.post(["v1", "projects"], &body, Repeat::Never)?).await;
        match made {
            Ok(made) => Ok(ProjectInfo::new(project.clone(), made.data.description)),
            // Somebody else may have been quicker.
            Err(error) => self.find_project(project).await?.ok_or(error),
        }
    }

    /// Deletes one trace of a project, and returns whether it existed.
    ///
    /// # Errors
    /// Those of [`TelemetryProvider`].
    pub async fn delete_trace(
        &self,
        project: &ProjectName,
        trace: &cogniverse_sdk::telemetry_provider::TraceId,
    ) -> Result<bool> {
        // The route names no project: whose trace it is must be known before.
        let query = SpanQuery::new(project.clone()).with_trace(trace.clone()).with_page_size(1);
        if self.read_spans(query).await?.spans.is_empty() {
            return Ok(false);
        }
        self.done(self.delete(["v1", "traces", trace.as_str()])).await
    }

    /// Counts the spans of a project by paging through them.
    async fn count_spans(&self, project: &ProjectName) -> Result<u64> {
        let (mut count, mut next) = (0, None);
        loop {
            let query = SpanQuery::new(project.clone()).with_page_size(1000).with_continuation(next);
            let page = match self.read_spans(query).await {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(count),
                page => page?,
            };
            count += page.spans.len() as u64;
            next = page.next;
            if next.is_none() {
                return Ok(count);
            }
        }
    }

    /// Refuses spans that are not of a project.
    async fn require_spans(&self, project: &ProjectName, wanted: BTreeSet<&SpanId>) -> Result<()> {
        let wanted: Vec<&SpanId> = wanted.into_iter().collect();
        for ids in wanted.chunks(IDS_PER_CALL) {
            let query = SpanQuery::new(project.clone())
                .with_spans(ids.iter().copied().cloned())
                .with_page_size(IDS_PER_CALL.max(1));
            let found: BTreeSet<SpanId> =
                self.read_spans(query).await?.spans.into_iter().map(|span| span.span_id).collect();
            if let Some(missing) = ids.iter().find(|id| !found.contains(**id)) {
                return Err(Error::of(
                    ErrorCode::TraceUnknown,
                    format!(
                        "project {project} has no span {missing}; spans are visible about a second after their export"
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl TelemetryProvider for PhoenixClient {
    async fn find_project(&self, project: &ProjectName) -> Result<Option<ProjectInfo>> {
        let found: Option<Data<WireProject>> = self.find(self.get(["v1", "projects", project.as_str()])).await?;
        // Phoenix takes its own ids here too; a project whose id is this name is not the one that was asked for.
        Ok(found
            .filter(|found| found.data.name == project.as_str())
            .map(|found| ProjectInfo::new(project.clone(), found.data.description)))
    }

    async fn read_spans(&self, query: SpanQuery) -> Result<SpanPage> {
        query.check()?;
        if self.find_project(&query.project).await?.is_none() {
            return Err(unknown(&query.project));
        }
        let mut call = self
            .get(["v1", "projects", query.project.as_str(), "spans"])
            .with_query("sort", "start_time")
            .with_query("order", "asc")
            .with_query("limit", query.page_size)
            .with_queries("cursor", query.continuation.iter().map(Continuation::as_str))
            .with_queries("name", &query.names)
            .with_queries("span_kind", query.kinds.iter().map(|kind| kind.as_str()))
            .with_queries("status_code", query.statuses.iter().map(|status| status.as_str()))
            .with_queries("trace_id", query.traces.iter().map(|id| id.as_str()))
            .with_queries("span_id", query.spans.iter().map(|id| id.as_str()))
            .with_queries("attribute", query.attributes.iter().map(|(key, value)| format!("{key}:{}", written(value))));
        if let Some(window) = &query.window {
            call = call.with_query("start_time", window.from()).with_query("end_time", window.to());
        }
        if query.roots_only {
            call = call.with_query("parent_id", "null");
        }
        let page: Page<WireSpan> = self.json(call).await?;
        let spans = page.data.into_iter().map(WireSpan::into_span).collect::<Result<Vec<_>>>()?;
        let next = wire::after(query.continuation.as_ref().map(Continuation::as_str), page.next_cursor)?;
        Ok(SpanPage::new(spans, next.map(Continuation::new)))
    }

    async fn annotate_spans(&self, request: AnnotateSpans) -> Result<AnnotateReceipt> {
        request.check()?;
        if request.annotations.is_empty() {
            return Ok(AnnotateReceipt::new(0));
        }
        self.require_spans(&request.project, request.annotations.iter().map(|one| &one.span_id).collect()).await?;
        let data: Vec<NewAnnotation<'_>> = request.annotations.iter().map(NewAnnotation::of).collect();
        // Asked to wait: otherwise a span that is not there is answered by 200.
        let call =
            self.post(["v1", "span_annotations"], &json!({"data": data}), Repeat::Always)?.with_query("sync", true);
        let written: Page<Value> = self.json(call).await?;
        Ok(AnnotateReceipt::new(written.data.len()))
    }

    async fn read_annotations(&self, query: AnnotationQuery) -> Result<AnnotationPage> {
        query.check()?;
        self.require_spans(&query.project, query.spans.iter().collect()).await?;
        let call = self
            .get(["v1", "projects", query.project.as_str(), "span_annotations"])
            .with_query("limit", query.page_size)
            .with_queries("cursor", query.continuation.iter().map(Continuation::as_str))
            .with_queries("span_ids", query.spans.iter().map(|id| id.as_str()))
            .with_queries("include_annotation_names", &query.names);
        let page: Page<WireAnnotation> = self.json(call).await?;
        let annotations = page.data.into_iter().map(WireAnnotation::into_stored).collect::<Result<Vec<_>>>()?;
        let next = wire::after(query.continuation.as_ref().map(Continuation::as_str), page.next_cursor)?;
        Ok(AnnotationPage::new(annotations, next.map(Continuation::new)))
    }

    async fn erase_project(&self, project: &ProjectName, settle: Settle) -> Result<ErasureReceipt> {
        let begun = Instant::now();
        let spans_before =
            if self.find_project(project).await?.is_some() { self.count_spans(project).await? } else { 0 };
        let (mut deletions, mut absent_since) = (0, None);
        loop {
            if self.find_project(project).await?.is_some() {
                absent_since = None;
                // Phoenix stores spans for seconds after it took them: a project may come back, and goes again.
                deletions += u32::from(self.done(self.delete(["v1", "projects", project.as_str()])).await?);
            } else {
                let since = *absent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= settle.absent_for {
                    return Ok(ErasureReceipt::new(project.clone(), spans_before, deletions, since.elapsed()));
                }
            }
            if begun.elapsed() >= settle.total {
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("project {project} came back after {deletions} deletions; stop what writes to it and erase again"),
                )
                .with_retry(Retry::After(None)));
            }
            sleep(settle.poll).await;
        }
    }
}

fn unknown(project: &ProjectName) -> Error {
    Error::of(
        ErrorCode::TraceUnknown,
        format!(
            "Phoenix has no project {project}; it is made by the tenant's first span, about a second after its export"
        ),
    )
}

/// A value as Phoenix reads it in a filter: JSON, so that the text `12` is not the number.
fn written(value: &Value) -> String {
    value.to_string()
}
