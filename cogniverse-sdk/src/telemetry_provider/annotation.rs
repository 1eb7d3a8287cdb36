//! Span annotations.

use super::{AnnotatorKind, Continuation, ProjectName, SpanId, check_count, check_page_size};
use crate::{Error, Result, Timestamp};
use serde_json::{Map, Value};

/// A judgement of one span. Writing the same span, name and identifier again replaces it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SpanAnnotation {
    /// The span.
    pub span_id: SpanId,
    /// The name of the criterion, such as `relevance`.
    pub name: String,
    /// The kind of annotator.
    pub annotator: AnnotatorKind,
    /// The judgement as a label.
    pub label: Option<String>,
    /// The judgement as a finite number.
    pub score: Option<f64>,
    /// The explanation.
    pub explanation: Option<String>,
    /// Additional data.
    pub metadata: Map<String, Value>,
    /// An identifier that distinguishes annotations of the same span and name (default empty).
    pub identifier: String,
}

impl SpanAnnotation {
    /// Creates an annotation without content; it needs a label, a score or an explanation.
    #[must_use]
    pub fn new(span_id: SpanId, name: impl Into<String>, annotator: AnnotatorKind) -> Self {
        Self {
            span_id,
            name: name.into(),
            annotator,
            label: None,
            score: None,
            explanation: None,
            metadata: Map::new(),
            identifier: String::new(),
        }
    }

    /// Sets the label.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the score.
    #[must_use]
    pub fn with_score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Sets the explanation.
    #[must_use]
    pub fn with_explanation(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// Sets the additional data.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets the identifier.
    #[must_use]
    pub fn with_identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = identifier.into();
        self
    }

    fn check(&self) -> Result<()> {
        if self.name.trim().is_empty() {
            return Err(Error::invalid(format!("an annotation of span {} has no name; give it one", self.span_id)));
        }
        if self.score.is_some_and(|score| !score.is_finite()) {
            return Err(Error::invalid(format!("annotation {:?} has a score that is no number; omit it", self.name)));
        }
        if self.label.is_none() && self.score.is_none() && self.explanation.is_none() {
            return Err(Error::invalid(format!(
                "annotation {:?} says nothing; give it a label, a score or an explanation",
                self.name
            )));
        }
        Ok(())
    }
}

/// A request to write annotations in one project.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnnotateSpans {
    /// The project of the spans.
    pub project: ProjectName,
    /// The annotations, at most 1,000.
    pub annotations: Vec<SpanAnnotation>,
}

impl AnnotateSpans {
    /// Creates a request.
    #[must_use]
    pub fn new(project: ProjectName, annotations: Vec<SpanAnnotation>) -> Self {
        Self { project, annotations }
    }

    /// Validates the request. Every implementation calls this first.
    ///
    /// # Errors
    /// `InvalidInput` for too many annotations, and for one without a name, without content or with a score that is
    /// not finite.
    pub fn check(&self) -> Result<()> {
        check_count("annotations", self.annotations.len())?;
        self.annotations.iter().try_for_each(SpanAnnotation::check)
    }
}

/// The result of an [`AnnotateSpans`] request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct AnnotateReceipt {
    /// The number of annotations that the store confirmed.
    pub written: usize,
}

impl AnnotateReceipt {
    /// Creates a receipt; for implementations.
    #[must_use]
    pub fn new(written: usize) -> Self {
        Self { written }
    }
}

/// A query for the annotations of some spans of one project.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnnotationQuery {
    /// The project of the spans.
    pub project: ProjectName,
    /// The spans, from 1 to 1,000.
    pub spans: Vec<SpanId>,
    /// The annotation names to accept; empty accepts any.
    pub names: Vec<String>,
    /// The largest number of annotations in a page (default 100; from 1 to 1,000).
    pub page_size: usize,
    /// The position to continue from; `None` for the first page.
    pub continuation: Option<Continuation>,
}

impl AnnotationQuery {
    /// Creates a query for all annotations of some spans.
    #[must_use]
    pub fn new(project: ProjectName, spans: Vec<SpanId>) -> Self {
        Self { project, spans, names: Vec::new(), page_size: 100, continuation: None }
    }

    /// Adds a name to accept.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Sets the position to continue from.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<Continuation>) -> Self {
        self.continuation = continuation;
        self
    }

    /// Validates the query. Every implementation calls this first.
    ///
    /// # Errors
    /// `InvalidInput` for a page size outside 1 to 1,000, and for no spans or too many.
    pub fn check(&self) -> Result<()> {
        check_page_size(self.page_size)?;
        if self.spans.is_empty() {
            return Err(Error::invalid("no span to read annotations of; give at least one span id"));
        }
        check_count("spans", self.spans.len())
    }
}

/// A stored annotation.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct StoredAnnotation {
    /// The annotation.
    pub annotation: SpanAnnotation,
    /// The time of the first write.
    pub created_at: Timestamp,
    /// The time of the last write.
    pub updated_at: Timestamp,
}

impl StoredAnnotation {
    /// Creates a stored annotation; for implementations.
    #[must_use]
    pub fn new(annotation: SpanAnnotation, created_at: Timestamp, updated_at: Timestamp) -> Self {
        Self { annotation, created_at, updated_at }
    }
}

/// One page of annotations.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct AnnotationPage {
    /// The annotations.
    pub annotations: Vec<StoredAnnotation>,
    /// The position of the next page; `None` at the end.
    pub next: Option<Continuation>,
}

impl AnnotationPage {
    /// Creates a page; for implementations.
    #[must_use]
    pub fn new(annotations: Vec<StoredAnnotation>, next: Option<Continuation>) -> Self {
        Self { annotations, next }
    }
}
