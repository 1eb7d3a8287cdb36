//! Judgements of spans.

use super::{AnnotatorKind, Continuation, ProjectName, SpanId, check_count, check_page_size};
use crate::{Error, Result, Timestamp};
use serde_json::{Map, Value};

/// A judgement of one span. The same span, name and identifier again replaces it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SpanAnnotation {
    /// The span.
    pub span_id: SpanId,
    /// What was judged, such as `relevance`.
    pub name: String,
    /// Who judged.
    pub annotator: AnnotatorKind,
    /// The judgement as a word.
    pub label: Option<String>,
    /// The judgement as a finite number.
    pub score: Option<f64>,
    /// Why.
    pub explanation: Option<String>,
    /// What else is known.
    pub metadata: Map<String, Value>,
    /// Tells judgements of one span and one name apart (default empty).
    pub identifier: String,
}

impl SpanAnnotation {
    /// A judgement without content yet; it needs a label, a score or an explanation.
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

    /// As a word.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// As a number.
    #[must_use]
    pub fn with_score(mut self, score: f64) -> Self {
        self.score = Some(score);
        self
    }

    /// Why.
    #[must_use]
    pub fn with_explanation(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// What else is known.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Tells it from others of the same span and name.
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

/// Judgements to write in one project.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnnotateSpans {
    /// Where the spans lie.
    pub project: ProjectName,
    /// The judgements, at most 1000.
    pub annotations: Vec<SpanAnnotation>,
}

impl AnnotateSpans {
    /// Of one project.
    #[must_use]
    pub fn new(project: ProjectName, annotations: Vec<SpanAnnotation>) -> Self {
        Self { project, annotations }
    }

    /// What every implementation refuses alike.
    ///
    /// # Errors
    /// `InvalidInput` for too many judgements, or one without a name, a content or a finite score.
    pub fn check(&self) -> Result<()> {
        check_count("annotations", self.annotations.len())?;
        self.annotations.iter().try_for_each(SpanAnnotation::check)
    }
}

/// What became of [`AnnotateSpans`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct AnnotateReceipt {
    /// How many judgements the store confirmed.
    pub written: usize,
}

impl AnnotateReceipt {
    /// From a store.
    #[must_use]
    pub fn new(written: usize) -> Self {
        Self { written }
    }
}

/// Which judgements of one project.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AnnotationQuery {
    /// Where the spans lie.
    pub project: ProjectName,
    /// Of which spans: 1 to 1000.
    pub spans: Vec<SpanId>,
    /// Only judgements of one of these names; empty: of any.
    pub names: Vec<String>,
    /// Judgements of a page (default 100, 1 to 1000).
    pub page_size: usize,
    /// Where to go on.
    pub continuation: Option<Continuation>,
}

impl AnnotationQuery {
    /// All judgements of some spans.
    #[must_use]
    pub fn new(project: ProjectName, spans: Vec<SpanId>) -> Self {
        Self { project, spans, names: Vec::new(), page_size: 100, continuation: None }
    }

    /// One more name to accept.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Judgements of a page.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Where to go on.
    #[must_use]
    pub fn with_continuation(mut self, continuation: Option<Continuation>) -> Self {
        self.continuation = continuation;
        self
    }

    /// What every implementation refuses alike.
    ///
    /// # Errors
    /// `InvalidInput` for a page size outside 1 to 1000, no span, or too many.
    pub fn check(&self) -> Result<()> {
        check_page_size(self.page_size)?;
        if self.spans.is_empty() {
            return Err(Error::invalid("no span to read annotations of; give at least one span id"));
        }
        check_count("spans", self.spans.len())
    }
}

/// A judgement as it was stored.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct StoredAnnotation {
    /// The judgement.
    pub annotation: SpanAnnotation,
    /// When it was written first.
    pub created_at: Timestamp,
    /// When it was written last.
    pub updated_at: Timestamp,
}

impl StoredAnnotation {
    /// From a store.
    #[must_use]
    pub fn new(annotation: SpanAnnotation, created_at: Timestamp, updated_at: Timestamp) -> Self {
        Self { annotation, created_at, updated_at }
    }
}

/// Judgements, and where to go on.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct AnnotationPage {
    /// The judgements.
    pub annotations: Vec<StoredAnnotation>,
    /// Where to go on; none: this was the end.
    pub next: Option<Continuation>,
}

impl AnnotationPage {
    /// From a store.
    #[must_use]
    pub fn new(annotations: Vec<StoredAnnotation>, next: Option<Continuation>) -> Self {
        Self { annotations, next }
    }
}
