//! The trace store's side of an optimization: spans of searches, and annotations of them.

use super::judge::Judgement;
use cogniverse_sdk::{
    ErrorKind, Experience, ExperienceNote, ExperienceStore, Modality, Result, RouteAnnotation, RouteLabel, SearchId,
    TenantId, TimeWindow, Timestamp,
    telemetry_provider::{
        AnnotateSpans, AnnotationQuery, AnnotatorKind, ProjectName, Span, SpanAnnotation, SpanId, SpanQuery,
        StoredAnnotation, TelemetryProvider,
    },
};
use serde_json::{Map, Value};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The span of a search.
const SEARCH: &str = "cogniverse.search";
/// The name of annotations of routes.
pub(super) const ANNOTATION: &str = "routing_annotation";
/// The identifier of the judge's annotations.
const JUDGE: &str = "cogniverse-judge";
/// The time before the newest span that is looked at again, as trace stores take spans in late. One that comes later still
/// joins nothing.
const LATE: Duration = Duration::from_secs(3600);
/// The time that the first look goes back.
const FIRST_LOOK: Duration = Duration::from_secs(7 * 24 * 3600);
const PAGE: usize = 200;

/// A tenant's project in a trace store.
#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) provider: Arc<dyn TelemetryProvider>,
    pub(super) name: ProjectName,
}

/// The result of a look at a project.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The number of experiences whose span was not known before.
    pub(super) new: u64,
    /// The start of the newest span.
    pub(super) read_until: Option<Timestamp>,
}

fn before(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// Returns the start of a look. A clock that was ahead for a while has seen nothing of what is to come.
fn look_from(read_until: Option<Timestamp>, now: Timestamp) -> Timestamp {
    read_until.map_or_else(|| before(now, FIRST_LOOK), |until| before(until.min(now), LATE))
}

impl Project {
    /// Reads the spans of searches since the last look, and notes each at its experience. One that was seen before changes
    /// nothing.
    pub(super) async fn look(
        &self,
        store: &dyn ExperienceStore,
        tenant: &TenantId,
        read_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Seen> {
        let mut seen = Seen { new: 0, read_until };
        if self.provider.find_project(&self.name).await?.is_none() {
            return Ok(seen);
        }
        let from = look_from(read_until, now);
        // To the next second, as the window ends before its end.
        let to = now.saturating_add(Duration::from_secs(1)).unwrap_or(Timestamp::MAX);
        let query = SpanQuery::new(self.name.clone()).with_name(SEARCH).with_page_size(PAGE);
        let query = query.with_window(Some(TimeWindow::new(from, to)?));
        let mut continuation = None;
        loop {
            let page = self.provider.read_spans(query.clone().with_continuation(continuation)).await?;
            for span in page.spans {
                seen.read_until = seen.read_until.max(Some(span.start));
                let Some(id) = text(&span, "search.id").and_then(|id| SearchId::parse(id).ok()) else { continue };
                if store.get(tenant, &id).await?.is_some_and(|known| known.span.is_none()) {
                    store.note(tenant, &id, ExperienceNote::Span(span.span_id)).await?;
                    seen.new += 1;
                }
            }
            continuation = page.next;
            if continuation.is_none() {
                return Ok(seen);
            }
        }
    }

    /// Returns the queries of searches by the spans that are there, `None` for one without a text; `None` for a project that
    /// is not there.
    pub(super) async fn queries(&self, spans: &[SpanId]) -> Result<Option<HashMap<SpanId, Option<String>>>> {
        let mut found = HashMap::new();
        if spans.is_empty() {
            return Ok(Some(found));
        }
        let query = SpanQuery::new(self.name.clone()).with_spans(spans.iter().cloned()).with_page_size(PAGE);
        let mut continuation = None;
        loop {
            let page = match self.provider.read_spans(query.clone().with_continuation(continuation)).await {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                page => page?,
            };
            for span in page.spans {
                let query = text(&span, "input.value").map(str::to_owned);
                found.insert(span.span_id, query);
            }
            continuation = page.next;
            if continuation.is_none() {
                return Ok(Some(found));
            }
        }
    }

    /// Writes a judge's annotation.
    pub(super) async fn annotate(&self, span: &SpanId, judgement: Judgement, is_for_review: bool) -> Result<()> {
        let mut metadata = Map::from_iter([("requires_review".to_owned(), Value::Bool(is_for_review))]);
        if let Some(suggested) = judgement.suggested {
            metadata.insert("suggested_modality".to_owned(), suggested.as_str().into());
        }
        let mut annotation = SpanAnnotation::new(span.clone(), ANNOTATION, AnnotatorKind::Llm)
            .with_label(judgement.label.as_str())
            .with_score(judgement.confidence)
            .with_metadata(metadata);
        annotation.identifier = JUDGE.to_owned();
        self.provider.annotate_spans(AnnotateSpans::new(self.name.clone(), vec![annotation])).await?;
        Ok(())
    }

    /// Reads the annotations of experiences, and notes those that are new; returns their number.
    pub(super) async fn read_annotations(
        &self,
        store: &dyn ExperienceStore,
        tenant: &TenantId,
        experiences: &[&Experience],
    ) -> Result<u64> {
        let mut new = 0;
        // Nothing is known of spans in a project that is not there: it may come back, or have had another name.
        if experiences.is_empty() || self.provider.find_project(&self.name).await?.is_none() {
            return Ok(new);
        }
        for some in experiences.chunks(PAGE) {
            let by_span: HashMap<SpanId, &Experience> =
                some.iter().filter_map(|experience| Some((experience.span.clone()?, *experience))).collect();
            let (annotations, gone) = self.annotations(by_span.keys().cloned().collect()).await?;
            for experience in gone.iter().filter_map(|span| by_span.get(span)) {
                store.note(tenant, &experience.id, ExperienceNote::SpanGone).await?;
            }
            let mut of_span: HashMap<SpanId, Vec<RouteAnnotation>> = HashMap::new();
            for stored in annotations {
                if let Some(read) = as_annotation(&stored) {
                    of_span.entry(stored.annotation.span_id).or_default().push(read);
                }
            }
            for (span, annotations) in of_span {
                let (Some(experience), Some(read)) = (by_span.get(&span), together(annotations)) else { continue };
                let mut noted = (*experience).clone();
                noted.note(&ExperienceNote::Annotation(read.clone()));
                if noted.annotation != experience.annotation {
                    new += u64::from(store.note(tenant, &experience.id, ExperienceNote::Annotation(read)).await?);
                }
            }
        }
        Ok(new)
    }

    /// Returns the annotations of spans, and the spans that are gone. One that was erased makes a request fail as a whole:
    /// then the spans that are there are asked for.
    async fn annotations(&self, spans: Vec<SpanId>) -> Result<(Vec<StoredAnnotation>, Vec<SpanId>)> {
        match self.annotations_of(&spans).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            annotations => return Ok((annotations?, Vec::new())),
        }
        let Some(known) = self.queries(&spans).await? else { return Ok((Vec::new(), Vec::new())) };
        let (there, gone): (Vec<SpanId>, Vec<SpanId>) = spans.into_iter().partition(|span| known.contains_key(span));
        let found = if there.is_empty() { Vec::new() } else { self.annotations_of(&there).await? };
        Ok((found, gone))
    }

    async fn annotations_of(&self, spans: &[SpanId]) -> Result<Vec<StoredAnnotation>> {
        let query = AnnotationQuery::new(self.name.clone(), spans.to_vec()).with_name(ANNOTATION).with_page_size(PAGE);
        let (mut found, mut continuation) = (Vec::new(), None);
        loop {
            let page = self.provider.read_annotations(query.clone().with_continuation(continuation)).await?;
            found.extend(page.annotations);
            continuation = page.next;
            if continuation.is_none() {
                return Ok(found);
            }
        }
    }
}

fn text<'s>(span: &'s Span, attribute: &str) -> Option<&'s str> {
    span.attributes.get(attribute)?.as_str()
}

/// Reads an annotation of a route. A person names the right kind of content in the metadata, or as the first word of the
/// explanation.
fn as_annotation(stored: &StoredAnnotation) -> Option<RouteAnnotation> {
    let annotation = &stored.annotation;
    let label: RouteLabel = annotation.label.as_deref()?.trim().parse().ok()?;
    let named = annotation.metadata.get("suggested_modality").and_then(Value::as_str);
    let said = annotation.explanation.as_deref().and_then(|text| text.split([' ', ':', ',', '.']).next());
    let suggested: Option<Modality> = named.or(said).and_then(|word| word.trim().to_lowercase().parse().ok());
    let for_review = annotation.metadata.get("requires_review") == Some(&Value::Bool(true));
    let label =
        if for_review && annotation.annotator == AnnotatorKind::Llm { RouteLabel::InsufficientInfo } else { label };
    Some(RouteAnnotation::new(label, annotation.annotator, stored.updated_at).with_suggested(suggested))
}

/// Returns what the annotations of one span say together: people stand above judges, the newest of each counts, and people
/// who contradict each other make the route ambiguous.
fn together(annotations: Vec<RouteAnnotation>) -> Option<RouteAnnotation> {
    let is_human = |annotation: &&RouteAnnotation| annotation.annotator == AnnotatorKind::Human;
    let people: Vec<&RouteAnnotation> = annotations.iter().filter(is_human).collect();
    let newest =
        |of: &[&RouteAnnotation]| of.iter().max_by_key(|annotation| annotation.at).map(|newest| (*newest).clone());
    let Some(last) = newest(&people) else { return newest(&annotations.iter().collect::<Vec<_>>()) };
    // Who names no kind of content agrees with who does; beside a route that was right a kind says nothing.
    let mut named: Vec<Modality> = people.iter().filter_map(|one| one.suggested).collect();
    named.sort_unstable_by_key(|kind| kind.as_str());
    named.dedup();
    let is_wrong = last.label == RouteLabel::WrongRouting;
    let agree = people.iter().all(|one| one.label == last.label) && (!is_wrong || named.len() <= 1);
    match agree {
        true => Some(last.with_suggested(named.first().copied().filter(|_| is_wrong))),
        false => Some(RouteAnnotation::new(RouteLabel::Ambiguous, AnnotatorKind::Human, last.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(label: RouteLabel, suggested: Option<Modality>, second: i64) -> RouteAnnotation {
        let at = Timestamp::from_second(second).unwrap();
        RouteAnnotation::new(label, AnnotatorKind::Human, at).with_suggested(suggested)
    }

    #[test]
    fn a_clock_that_was_ahead_blinds_no_look() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(look_from(Some(at(100_000)), at(50_000)), at(50_000 - 3600));
        assert_eq!(look_from(Some(at(40_000)), at(50_000)), at(40_000 - 3600));
        assert!(look_from(None, at(0)) < at(0));
    }

    #[test]
    fn people_who_agree_do_so_in_whatever_words() {
        let (right, wrong) = (RouteLabel::CorrectRouting, RouteLabel::WrongRouting);
        let both = |a, b| together(vec![a, b]).map(|read| (read.label, read.suggested));
        // "video, fine" names a kind, and "fine" does not.
        assert_eq!(both(said(right, Some(Modality::Video), 1), said(right, None, 2)), Some((right, None)));
        let named = Some((wrong, Some(Modality::Audio)));
        assert_eq!(both(said(wrong, Some(Modality::Audio), 1), said(wrong, None, 2)), named);
        assert_eq!(both(said(wrong, None, 1), said(wrong, Some(Modality::Audio), 2)), named);
        let apart = Some((RouteLabel::Ambiguous, None));
        assert_eq!(both(said(wrong, Some(Modality::Audio), 1), said(wrong, Some(Modality::Image), 2)), apart);
        assert_eq!(both(said(right, None, 1), said(wrong, None, 2)), apart);
    }
}
