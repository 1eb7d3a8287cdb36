//! A trace store in memory, for tests.

use async_trait::async_trait;
use cogniverse_sdk::{
    Error, ErrorCode, Result,
    telemetry_provider::{
        AnnotateReceipt, AnnotateSpans, AnnotationPage, AnnotationQuery, Continuation, ErasureReceipt, ProjectInfo,
        ProjectName, Settle, Span, SpanPage, SpanQuery, StoredAnnotation, TelemetryProvider,
    },
};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// A trace store in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct InMemoryTraces(Arc<Mutex<BTreeMap<ProjectName, Project>>>);

#[derive(Debug, Default)]
struct Project {
    spans: Vec<Span>,
    annotations: Vec<StoredAnnotation>,
}

impl InMemoryTraces {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores spans; a span whose id exists is left unchanged.
    pub fn store(&self, project: &ProjectName, spans: Vec<Span>) {
        let mut projects = self.0.lock();
        let known = &mut projects.entry(project.clone()).or_default().spans;
        for span in spans {
            if !known.iter().any(|known| known.span_id == span.span_id) {
                known.push(span);
            }
        }
        known.sort_by(|a, b| (a.start, a.span_id.as_str()).cmp(&(b.start, b.span_id.as_str())));
    }
}

fn unknown(project: &ProjectName) -> Error {
    Error::of(ErrorCode::TraceUnknown, format!("there is no project {project}; it is made by its first span"))
}

fn matches(query: &SpanQuery, span: &Span) -> bool {
    let any = |wanted: bool, empty: bool| empty || wanted;
    query.window.as_ref().is_none_or(|window| window.contains(span.start))
        && (!query.roots_only || span.parent_id.is_none())
        && any(query.names.contains(&span.name), query.names.is_empty())
        && any(query.kinds.contains(&span.kind), query.kinds.is_empty())
        && any(query.statuses.contains(&span.status), query.statuses.is_empty())
        && any(query.traces.contains(&span.trace_id), query.traces.is_empty())
        && any(query.spans.contains(&span.span_id), query.spans.is_empty())
        && query.attributes.iter().all(|(key, value)| span.attributes.get(key) == Some(value))
}

/// Returns a page of the items after a position, and the position after the page.
fn page<T: Clone>(all: Vec<T>, size: usize, after: Option<&Continuation>) -> Result<(Vec<T>, Option<Continuation>)> {
    let first: usize = match after {
        Some(after) => after.as_str().parse().map_err(|_| Error::invalid("the continuation is of another query"))?,
        None => 0,
    };
    let next = (first + size < all.len()).then(|| Continuation::new((first + size).to_string()));
    Ok((all.into_iter().skip(first).take(size).collect(), next))
}

#[async_trait]
impl TelemetryProvider for InMemoryTraces {
    async fn find_project(&self, project: &ProjectName) -> Result<Option<ProjectInfo>> {
        Ok(self.0.lock().contains_key(project).then(|| ProjectInfo::new(project.clone(), None)))
    }

    async fn read_spans(&self, query: SpanQuery) -> Result<SpanPage> {
        query.check()?;
        let projects = self.0.lock();
        let found = projects.get(&query.project).ok_or_else(|| unknown(&query.project))?;
        let spans = found.spans.iter().filter(|span| matches(&query, span)).cloned().collect();
        let (spans, next) = page(spans, query.page_size, query.continuation.as_ref())?;
        Ok(SpanPage::new(spans, next))
    }

    async fn annotate_spans(&self, request: AnnotateSpans) -> Result<AnnotateReceipt> {
        request.check()?;
        let mut projects = self.0.lock();
        let found = projects.get_mut(&request.project).ok_or_else(|| unknown(&request.project))?;
        for annotation in &request.annotations {
            if !found.spans.iter().any(|span| span.span_id == annotation.span_id) {
                let message = format!("project {} has no span {}", request.project, annotation.span_id);
                return Err(Error::of(ErrorCode::TraceUnknown, message));
            }
        }
        let (now, written) = (Timestamp::now(), request.annotations.len());
        for annotation in request.annotations {
            let same = |known: &&mut StoredAnnotation| {
                let known = &known.annotation;
                (&known.span_id, &known.name, &known.identifier)
                    == (&annotation.span_id, &annotation.name, &annotation.identifier)
            };
            match found.annotations.iter_mut().find(same) {
                Some(known) => *known = StoredAnnotation::new(annotation, known.created_at, now),
                None => found.annotations.push(StoredAnnotation::new(annotation, now, now)),
            }
        }
        Ok(AnnotateReceipt::new(written))
    }

    async fn read_annotations(&self, query: AnnotationQuery) -> Result<AnnotationPage> {
        query.check()?;
        let projects = self.0.lock();
        let found = projects.get(&query.project).ok_or_else(|| unknown(&query.project))?;
        if let Some(missing) = query.spans.iter().find(|id| !found.spans.iter().any(|span| span.span_id == **id)) {
            return Err(Error::of(ErrorCode::TraceUnknown, format!("project {} has no span {missing}", query.project)));
        }
        let wanted = |known: &&StoredAnnotation| {
            query.spans.contains(&known.annotation.span_id)
                && (query.names.is_empty() || query.names.contains(&known.annotation.name))
        };
        let annotations = found.annotations.iter().filter(wanted).cloned().collect();
        let (annotations, next) = page(annotations, query.page_size, query.continuation.as_ref())?;
        Ok(AnnotationPage::new(annotations, next))
    }

    async fn erase_project(&self, project: &ProjectName, settle: Settle) -> Result<ErasureReceipt> {
        let gone = self.0.lock().remove(project);
        let spans = gone.as_ref().map_or(0, |project| project.spans.len() as u64);
        Ok(ErasureReceipt::new(project.clone(), spans, u32::from(gone.is_some()), settle.absent_for))
    }
}
