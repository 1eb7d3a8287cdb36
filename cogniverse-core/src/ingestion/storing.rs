//! Storing of segments: what is stored already is left alone.

use super::{
    document::{Difference, Segment, difference, document},
    frames::Frames,
    minutes::{seconds_of, whole_seconds, within_quota},
    pipeline::Run,
    progress::ProgressEvent,
    report::VideoReport,
};
use crate::schemas::provenance::{self, EMBEDDING_MODEL, GIVEN, NONE, UNENCODED};
use cogniverse_sdk::{
    Document, DocumentId, DocumentOutcome, FieldName, Result, VideoId,
    document_store::{DocumentUpdate, GetRequest, PutRequest, UpdateRequest},
};
use std::{collections::HashMap, path::Path};

/// The number of segments encoded together.
const ENCODE_BATCH: usize = 16;

/// How a batch is stored.
#[derive(Clone, Copy, Default)]
pub(super) struct Storing<'v> {
    /// The pictures of the video, for encoders that see.
    pub(super) pictures: Option<(&'v Frames, &'v Path)>,
    /// Whether everything is encoded anew, as the stored segments may be of other content.
    pub(super) anew: bool,
}

impl Run {
    /// Stores the segments of a batch that are new or changed.
    pub(super) async fn batch(
        &self,
        segments: Vec<Segment>,
        how: Storing<'_>,
        reports: &mut HashMap<VideoId, VideoReport>,
    ) -> Result<()> {
        let done = segments.len();
        // A run may take hours: who is suspended meanwhile gets nothing more.
        self.grant.renew().await?;
        let (fresh, renamed) = self.fresh(segments, how, reports).await?;
        let (fresh, minutes) =
            within_quota((self.ingestor.quotas.as_ref(), self.target.tenant()), fresh, reports).await?;
        let mut lengths: HashMap<DocumentId, f64> = HashMap::new();
        let mut documents: Vec<Document> = Vec::with_capacity(fresh.len());
        let mut owners: HashMap<DocumentId, VideoId> = HashMap::new();
        let mut renames = Vec::with_capacity(renamed.len());
        for (video, rename) in renamed {
            owners.insert(rename.id.clone(), video);
            renames.push(rename);
        }
        for part in fresh.chunks(ENCODE_BATCH) {
            for (segment, vectors) in part.iter().zip(self.encode(part, how.pictures).await) {
                let made = vectors.and_then(|vectors| {
                    let rows = vectors.as_ref().or(segment.vectors.as_ref());
                    let model = self.model_of(vectors.is_some(), segment);
                    let (origin, now) = ((&self.cut, model.as_str()), self.ingestor.clock().now());
                    let document = document(segment, &self.schema, &self.tensors, rows, origin, now)?;
                    Ok((document, rows.is_none() && self.encoder.is_some()))
                });
                let Some(report) = reports.get_mut(&segment.video_id) else { continue };
                match made {
                    Ok((document, without_vectors)) => {
                        report.without_vectors += usize::from(without_vectors);
                        owners.insert(document.id.clone(), segment.video_id.clone());
                        lengths.insert(document.id.clone(), seconds_of(segment));
                        documents.push(document);
                    }
                    Err(error) => report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain()),
                }
            }
        }
        let mut outcomes = Vec::new();
        if !documents.is_empty() {
            let fed = self.ingestor.backend.put(PutRequest::new(self.target.clone(), documents)).await?;
            outcomes.extend(fed.outcomes);
        }
        if !renames.is_empty() {
            let fed = self.ingestor.backend.update(UpdateRequest::new(self.target.clone(), renames)).await?;
            outcomes.extend(fed.outcomes);
        }
        let is_stored = |outcome: &&DocumentOutcome| outcome.error.is_none();
        let stored = outcomes.iter().filter(is_stored).filter_map(|outcome| lengths.get(&outcome.id)).sum::<f64>();
        if let Some(minutes) = minutes {
            minutes.settle(whole_seconds(stored));
        }
        for outcome in outcomes {
            let Some(report) = owners.get(&outcome.id).and_then(|video| reports.get_mut(video)) else { continue };
            match outcome.error {
                None => report.stored += 1,
                Some(error) => report.refuse(outcome.id.as_str(), error.chain()),
            }
        }
        self.tell(ProgressEvent::SegmentsDone { count: done });
        Ok(())
    }

    /// Returns the segments that are missing or stored with other words, times or without available vectors, and the
    /// updates for those of which only the title, the location or metadata changed.
    async fn fresh(
        &self,
        segments: Vec<Segment>,
        how: Storing<'_>,
        reports: &mut HashMap<VideoId, VideoReport>,
    ) -> Result<(Vec<Segment>, Vec<(VideoId, DocumentUpdate)>)> {
        let mut ids = Vec::with_capacity(segments.len());
        let mut wanted = Vec::with_capacity(segments.len());
        for segment in segments {
            let Some(report) = reports.get_mut(&segment.video_id) else { continue };
            report.planned += 1;
            match self.cut.id(&segment.video_id, segment.segment_id) {
                Ok(id) => {
                    ids.push(id);
                    wanted.push(segment);
                }
                Err(error) => report.refuse(format!("{}/{}", segment.video_id, segment.segment_id), error.chain()),
            }
        }
        if ids.is_empty() {
            return Ok((wanted, Vec::new()));
        }
        // What says its model is whole by that; else the vectors themselves are looked for.
        let with_vectors =
            !self.says_model && (self.encoder.is_some() || wanted.iter().any(|segment| segment.vectors.is_some()));
        let request = GetRequest::new(self.target.clone(), ids);
        let stored = self.ingestor.backend.get(if with_vectors { request } else { request.without_vectors() }).await?;
        let (mut fresh, mut renamed) = (Vec::new(), Vec::new());
        for (mut segment, stored) in wanted.into_iter().zip(stored) {
            let stored = stored.map(|stored| stored.document);
            // Of other content under the same id, nothing that was seen holds.
            if let Some(stored) = stored.as_ref().filter(|_| !how.anew) {
                segment.keep(stored);
            }
            let encoded = segment.vectors.is_none()
                && self.encoder.is_some()
                && (how.pictures.is_some() || !segment.text().is_empty());
            let model = self.model_of(encoded, &segment);
            let origin = (&self.cut, model.as_str());
            let mut new = document(&segment, &self.schema, &self.tensors, None, origin, self.ingestor.clock().now())?;
            // A run without a model takes nothing away from what one with a model made of the same words.
            let keeps = self.encoder.is_none() && segment.vectors.is_none();
            if let Some(model) = stored.as_ref().and_then(|stored| stored.get(EMBEDDING_MODEL)).filter(|_| keeps) {
                new.fields.insert(FieldName::parse(EMBEDDING_MODEL)?, model.clone());
            }
            let has_vectors = |stored: &Document| self.says_model || !encoded || self.tensors.are_in(&stored.fields);
            let differs = stored.filter(has_vectors).filter(|_| !how.anew).map_or(Difference::Content, |stored| {
                difference(&stored.fields, &new.fields, segment.recorded_at.is_some())
            });
            match (reports.get_mut(&segment.video_id), differs) {
                (Some(report), Difference::None) => report.unchanged += 1,
                (Some(_), Difference::Names { assign, clear }) => {
                    let update = DocumentUpdate::assign(new.id, assign).with_clear(clear);
                    renamed.push((segment.video_id.clone(), update));
                }
                _ => fresh.push(segment),
            }
        }
        Ok((fresh, renamed))
    }

    /// Returns the name of the model of a segment's vectors, as documents record it.
    fn model_of(&self, encoded: bool, segment: &Segment) -> String {
        match &self.encoder {
            Some(encoder) if encoded => provenance::model_of(encoder.info()),
            _ if segment.vectors.is_some() => GIVEN.to_owned(),
            None if !segment.text().is_empty() => UNENCODED.to_owned(),
            _ => NONE.to_owned(),
        }
    }
}
