//! The stored segments of one video in one profile.

use super::{
    document::Cut,
    pipeline::{BATCH, Ingestor},
};
use crate::{
    catalogue::{StoredVideo, VideoState},
    schemas::Schema,
    tenants::TenantGrant,
};
use cogniverse_sdk::{
    Document, DocumentId, FieldName, Filter, ProfileName, Result, TenantId, TenantSchema, VideoId,
    document_store::{DeleteRequest, DocumentUpdate, UpdateRequest, VisitRequest},
    filter::Range,
};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// The page size of visits.
const VISIT_PAGE: usize = 500;

/// The stored segments of a video in a profile.
#[derive(Debug, Clone)]
pub(crate) struct VideoSegments {
    pub(super) ingestor: Ingestor,
    pub(super) target: TenantSchema,
    pub(super) cut: Cut,
    pub(super) video: VideoId,
    /// Whether the number of a segment can be filtered by.
    pub(super) is_numbered: bool,
}

impl Ingestor {
    /// Returns the segments of a video of the grant's tenant.
    pub(crate) async fn segments_of(
        &self,
        grant: &TenantGrant,
        profile: &ProfileName,
        video: &VideoId,
    ) -> Result<VideoSegments> {
        let base = &grant.config().profile(profile)?.config.value.schema;
        let schema = self.schemas().schema(grant.tenant(), base).await?;
        self.segments(grant.tenant(), &schema, Cut::new(profile.clone(), base), video.clone())
    }

    pub(super) fn segments(
        &self,
        tenant: &TenantId,
        schema: &Arc<Schema>,
        cut: Cut,
        video: VideoId,
    ) -> Result<VideoSegments> {
        let is_numbered = schema.is_attribute(&FieldName::parse("segment_id")?);
        let target = TenantSchema::new(tenant, schema.name());
        Ok(VideoSegments { ingestor: self.clone(), target, cut, video, is_numbered })
    }
}

impl VideoSegments {
    /// Waits until no other call of this process works on the video, and keeps them waiting as long as the guard lives.
    pub(crate) async fn alone(&self) -> OwnedMutexGuard<()> {
        self.ingestor.flights.of(&self.target, &self.cut, self.video.as_str()).lock_owned().await
    }

    /// Visits the segments, and returns how many there are.
    pub(crate) async fn each(&self, mut each: impl FnMut(&Document) + Send) -> Result<usize> {
        let of_video = Filter::equals(FieldName::parse("video_id")?, self.video.as_str());
        self.visit(of_video, |document| each(document)).await
    }

    async fn visit(&self, filter: Filter, mut each: impl FnMut(&Document) + Send) -> Result<usize> {
        let mut visit =
            VisitRequest::new(self.target.clone()).with_filter(filter).with_page_size(VISIT_PAGE).without_vectors();
        let mut count = 0;
        loop {
            let page = self.ingestor.backend.visit(visit.clone()).await?;
            // Other profiles of the schema have segments of the same video.
            for found in page.documents.iter().filter(|found| self.number(&found.document.id).is_some()) {
                each(&found.document);
                count += 1;
            }
            if page.continuation.is_none() {
                return Ok(count);
            }
            visit = visit.with_continuation(page.continuation);
        }
    }

    fn number(&self, id: &DocumentId) -> Option<i64> {
        self.cut.number(&self.video, id)
    }

    /// Applies an update to each segment.
    pub(crate) async fn update(&self, of: impl Fn(DocumentId) -> DocumentUpdate + Send) -> Result<()> {
        let mut ids = Vec::new();
        self.each(|document| ids.push(document.id.clone())).await?;
        for part in ids.chunks(BATCH) {
            let updates = part.iter().cloned().map(&of).collect();
            let fed = self.ingestor.backend.update(UpdateRequest::new(self.target.clone(), updates)).await?;
            if let Some(error) = fed.outcomes.into_iter().find_map(|outcome| outcome.error) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes the segments numbered `planned` and above, which an earlier run of this profile stored, and returns how many.
    ///
    /// A count decides whether documents need to be read.
    pub(super) async fn remove_from(&self, planned: usize) -> Result<u64> {
        let planned = i64::try_from(planned).unwrap_or(i64::MAX);
        let mut of_video = Filter::equals(FieldName::parse("video_id")?, self.video.as_str());
        if self.is_numbered {
            let from = Range { gte: Some(planned.into()), ..Range::default() };
            of_video = of_video.and(Filter::Range(FieldName::parse("segment_id")?, from));
        }
        if self.ingestor.backend.count(&self.target, Some(&of_video)).await? == 0 {
            return Ok(0);
        }
        let mut stale = Vec::new();
        self.visit(of_video, |document| {
            if self.number(&document.id).is_some_and(|number| number >= planned) {
                stale.push(document.id.clone());
            }
        })
        .await?;
        let mut removed = 0;
        for part in stale.chunks(BATCH) {
            removed += self.ingestor.backend.delete(DeleteRequest::ids(self.target.clone(), part.to_vec())).await?;
        }
        Ok(removed)
    }

    /// Deletes the video with its record: first it is recorded that it is being deleted, last the record goes.
    pub(crate) async fn delete(&self, mut stored: StoredVideo) -> Result<u64> {
        let (tenant, profile) = (self.target.tenant(), stored.video.profile.clone());
        stored.video.state = VideoState::Deleting;
        stored.stamp = None;
        self.ingestor.catalogue().put(tenant, std::slice::from_ref(&stored)).await?;
        let removed = self.remove_from(0).await?;
        self.ingestor.catalogue().remove(tenant, &profile, std::slice::from_ref(&self.video)).await?;
        Ok(removed)
    }
}
