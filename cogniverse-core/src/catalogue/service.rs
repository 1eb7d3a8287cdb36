//! The catalogue as services use it.

use super::{
    details::{SpokenSegment, VideoDetails},
    job::{JobId, JobPage, JobRecord},
    record::{StoredVideo, VideoRecord, VideoState},
    thumbnails::Thumbnails,
    update::VideoUpdate,
};
use crate::{ingestion::Ingestor, tenants::TenantGrant};
use cogniverse_sdk::{
    Error, ErrorCode, FieldName, FieldValue, Operation, PageCursor, ProfileName, Result, SchemaName, Sort, TenantId,
    VideoId, document::Fields, document_store::DocumentUpdate,
};
use serde::{Deserialize, Serialize};

/// The largest page of videos or jobs.
const MAX_PAGE: usize = 1000;
/// The longest title and address in bytes.
const MAX_TEXT: usize = 4096;

/// The order of a listing of videos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VideoSort {
    /// By title, without regard to case.
    #[default]
    Title,
    /// By the time of the last ingest that changed anything.
    IngestedAt,
    /// By the time of recording; videos without one come last.
    RecordedAt,
    /// By length; videos without one come last.
    Duration,
}

impl VideoSort {
    fn field(self) -> &'static str {
        match self {
            Self::Title => "title_key",
            Self::IngestedAt => "ingested_at",
            Self::RecordedAt => "recorded_at",
            Self::Duration => "duration",
        }
    }
}

/// A request for a page of the videos of a tenant in a profile.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VideoQuery {
    /// The tenant.
    pub tenant: TenantId,
    /// The profile.
    pub profile: ProfileName,
    /// The order (default: by title).
    pub sort: VideoSort,
    /// Whether the order is reversed (default `false`).
    pub descending: bool,
    /// Only videos in this state (default: all).
    pub state: Option<VideoState>,
    /// The number of videos of a page (default 100; 1 to 1,000).
    pub page_size: usize,
    /// The cursor of the page to return; `None` for the first.
    pub cursor: Option<PageCursor>,
}

impl VideoQuery {
    /// Creates a request for the first hundred videos by title.
    #[must_use]
    pub fn new(tenant: TenantId, profile: ProfileName) -> Self {
        Self { tenant, profile, sort: VideoSort::Title, descending: false, state: None, page_size: 100, cursor: None }
    }

    /// Sets the order.
    #[must_use]
    pub fn sorted_by(mut self, sort: VideoSort) -> Self {
        self.sort = sort;
        self
    }

    /// Reverses the order.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Restricts the listing to videos in a state.
    #[must_use]
    pub fn with_state(mut self, state: VideoState) -> Self {
        self.state = Some(state);
        self
    }

    /// Sets the page size.
    #[must_use]
    pub fn with_page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Sets the cursor of the page to return.
    #[must_use]
    pub fn with_cursor(mut self, cursor: Option<PageCursor>) -> Self {
        self.cursor = cursor;
        self
    }
}

/// A page of videos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VideoPage {
    /// The videos.
    pub videos: Vec<VideoRecord>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<PageCursor>,
}

/// The catalogue of any tenant's videos. Cheap to clone; clones share the cache of thumbnails.
#[derive(Debug, Clone)]
pub struct VideoCatalogue {
    ingestor: Ingestor,
    thumbnails: Thumbnails,
}

impl VideoCatalogue {
    /// Creates the catalogue of what an ingestor stores.
    #[must_use]
    pub fn new(ingestor: Ingestor) -> Self {
        let thumbnails = Thumbnails::default();
        ingestor.gate().register_cache(thumbnails.cache());
        Self { ingestor, thumbnails }
    }

    /// Returns the same catalogue for the caller of an ingestor.
    #[must_use]
    pub fn for_caller(&self, ingestor: Ingestor) -> Self {
        Self { ingestor, thumbnails: self.thumbnails.clone() }
    }

    async fn admit(&self, tenant: &TenantId, operation: Operation) -> Result<TenantGrant> {
        self.ingestor.gate().admit(tenant, operation).await
    }

    /// Lists the videos of a tenant in a profile.
    ///
    /// # Errors
    /// `InvalidInput` for a page size out of range or a cursor of another listing; those of the gate; any error of the backend.
    pub async fn videos(&self, query: VideoQuery) -> Result<VideoPage> {
        check_page(query.page_size)?;
        let grant = self.admit(&query.tenant, Operation::ReadDocuments).await?;
        let by = FieldName::parse(query.sort.field())?;
        let sort = if query.descending { Sort::descending(by) } else { Sort::ascending(by) };
        let page = (query.page_size, query.cursor);
        let listing = self.ingestor.catalogue().list_videos(&query.tenant, &query.profile, query.state, sort, page);
        let found = grant.run(listing).await?;
        Ok(VideoPage { videos: found.items.into_iter().map(|stored| stored.video).collect(), next: found.next })
    }

    /// Returns a video with its transcript.
    ///
    /// # Errors
    /// `NotFound` where the profile has no video of the id; those of the gate; any error of the backend.
    pub async fn video(&self, tenant: &TenantId, profile: &ProfileName, id: &VideoId) -> Result<VideoDetails> {
        let grant = self.admit(tenant, Operation::ReadDocuments).await?;
        let stored = self.stored(tenant, profile, id).await?;
        let segments = self.ingestor.segments_of(&grant, profile, id).await?;
        let mut spoken = Vec::new();
        let visit = segments.each(|document| {
            let seconds = |field: &str| document.get(field).and_then(FieldValue::as_f64).unwrap_or_default();
            let text = document.text("audio_transcript");
            if !text.is_empty() {
                spoken.push(SpokenSegment {
                    segment_id: document.get("segment_id").and_then(FieldValue::as_i64).unwrap_or_default(),
                    start_time: seconds("start_time"),
                    end_time: seconds("end_time"),
                    text: text.to_owned(),
                });
            }
        });
        let count = grant.run(visit).await?;
        spoken.sort_by_key(|segment| segment.segment_id);
        Ok(VideoDetails::new(stored.video, count, spoken))
    }

    async fn stored(&self, tenant: &TenantId, profile: &ProfileName, id: &VideoId) -> Result<StoredVideo> {
        let found = self.ingestor.catalogue().get(tenant, profile, std::slice::from_ref(id)).await?;
        found.into_iter().flatten().next().ok_or_else(|| {
            Error::of(
                ErrorCode::VideoUnknown,
                format!("profile \"{profile}\" has no video \"{id}\" in its catalogue; list its videos, or ingest it"),
            )
            .with_context("tenant", tenant)
        })
    }

    /// Deletes a video with all its segments, and returns how many these were. An interrupted deletion is finished by calling it
    /// again.
    ///
    /// # Errors
    /// As [`VideoCatalogue::video`].
    pub async fn delete_video(&self, tenant: &TenantId, profile: &ProfileName, id: &VideoId) -> Result<u64> {
        let grant = self.admit(tenant, Operation::WriteDocuments).await?;
        let segments = self.ingestor.segments_of(&grant, profile, id).await?;
        let _alone = segments.alone().await;
        let stored = self.stored(tenant, profile, id).await?;
        let removed = segments.delete(stored).await?;
        self.thumbnails.forget(tenant, profile, id);
        Ok(removed)
    }

    /// Forgets the videos of a schema that the caller is about to drop with all its segments, and returns how many these were.
    ///
    /// # Errors
    /// Any error of the backend; calling it again finishes it.
    pub async fn forget_schema(&self, grant: &TenantGrant, base: &SchemaName) -> Result<u64> {
        let (tenant, store) = (grant.tenant(), self.ingestor.catalogue());
        let mut forgotten = 0;
        for profile in grant.config().profiles()?.filter(|profile| profile.config.value.schema == *base) {
            let mut ids = Vec::new();
            store.all(tenant, &profile.name, |stored| ids.push(stored.video.video_id)).await?;
            store.remove(tenant, &profile.name, &ids).await?;
            forgotten += ids.len() as u64;
        }
        Ok(forgotten)
    }

    /// Changes what is said about a video, in its record and all its segments, without encoding anything anew.
    ///
    /// # Errors
    /// `InvalidInput` for metadata that the profile does not declare, or a value of another type; as [`VideoCatalogue::video`].
    pub async fn update_video(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
        id: &VideoId,
        update: VideoUpdate,
    ) -> Result<VideoRecord> {
        let grant = self.admit(tenant, Operation::WriteDocuments).await?;
        let segments = self.ingestor.segments_of(&grant, profile, id).await?;
        let _alone = segments.alone().await;
        let mut stored = self.stored(tenant, profile, id).await?;
        let (assign, clear) = apply(&mut stored, &grant, profile, update)?;
        // Without its stamp, the next ingest mends what an interruption leaves here.
        let stamp = stored.stamp.take();
        self.ingestor.catalogue().put(tenant, std::slice::from_ref(&stored)).await?;
        segments.update(|id| DocumentUpdate::assign(id, assign.clone()).with_clear(clear.clone())).await?;
        stored.stamp = stamp;
        self.ingestor.catalogue().put(tenant, std::slice::from_ref(&stored)).await?;
        Ok(stored.video)
    }

    /// Returns a picture of a video at a time, as JPEG of at most 480 pixels' width. It is made from the file by ffmpeg, and cached.
    ///
    /// # Errors
    /// `FailedPrecondition` where the file is not there any more, has other content, or was a stream; as
    /// [`VideoCatalogue::video`], and those of ffmpeg.
    pub async fn thumbnail(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
        id: &VideoId,
        seconds: f64,
    ) -> Result<std::sync::Arc<[u8]>> {
        let grant = self.admit(tenant, Operation::ReadDocuments).await?;
        let stored = self.stored(tenant, profile, id).await?;
        grant.run(self.thumbnails.get(self.ingestor.ffmpeg(), tenant, &stored, seconds)).await
    }

    /// Lists the ingest jobs of a tenant, the newest first; the last 500 are kept.
    ///
    /// # Errors
    /// As [`VideoCatalogue::videos`].
    pub async fn jobs(&self, tenant: &TenantId, page_size: usize, cursor: Option<PageCursor>) -> Result<JobPage> {
        check_page(page_size)?;
        let grant = self.admit(tenant, Operation::ReadDocuments).await?;
        let now = self.ingestor.gate().clock().now();
        let (jobs, next) = grant.run(self.ingestor.catalogue().list_jobs(tenant, (page_size, cursor))).await?;
        Ok(JobPage::new(jobs.into_iter().map(|job| job.seen_at(now)).collect(), next))
    }

    /// Returns an ingest job.
    ///
    /// # Errors
    /// `NotFound` for a job that does not exist or is not kept any more; those of the gate; any error of the backend.
    pub async fn job(&self, tenant: &TenantId, id: &JobId) -> Result<JobRecord> {
        let grant = self.admit(tenant, Operation::ReadDocuments).await?;
        let found = grant.run(self.ingestor.catalogue().job(tenant, id.as_str())).await?;
        let job = found.ok_or_else(|| {
            Error::of(ErrorCode::JobUnknown, format!("there is no job {id}; list the jobs"))
                .with_context("tenant", tenant)
        })?;
        Ok(job.seen_at(self.ingestor.gate().clock().now()))
    }
}

fn check_page(size: usize) -> Result<()> {
    match size {
        1..=MAX_PAGE => Ok(()),
        _ => Err(Error::invalid(format!("the page size is {size}; give 1 to {MAX_PAGE}"))),
    }
}

fn check_length(what: &str, text: &str) -> Result<()> {
    match text.len() {
        0..=MAX_TEXT => Ok(()),
        length => {
            let message = format!("the {what} has {length} bytes; give at most {MAX_TEXT}");
            Err(Error::of(ErrorCode::TextTooLong, message))
        }
    }
}

/// Changes a record, and returns the fields of its segments to set and to clear.
fn apply(
    stored: &mut StoredVideo,
    grant: &TenantGrant,
    profile: &ProfileName,
    update: VideoUpdate,
) -> Result<(Fields, Vec<FieldName>)> {
    let declared = &grant.config().profile(profile)?.config.value.metadata;
    let (mut assign, mut clear) = (Fields::new(), Vec::new());
    if let Some(title) = update.title {
        check_length("title", &title)?;
        assign.insert(FieldName::parse("video_title")?, title.clone().into());
        stored.video.title = title;
        stored.by_hand.title = true;
    }
    if let Some(url) = update.url {
        check_length("address", &url)?;
        assign.insert(FieldName::parse("source_url")?, url.clone().into());
        stored.video.url = Some(url);
        stored.by_hand.url = true;
    }
    if let Some(at) = update.recorded_at {
        stored.video.recorded_at = Some(at);
        stored.by_hand.recorded_at = true;
    }
    for (name, value) in update.metadata {
        let Some(kind) = declared.get(&name) else {
            return Err(Error::of(
                ErrorCode::MetadataInvalid,
                format!("profile \"{profile}\" declares no metadata \"{name}\"; declare it, or leave it out"),
            ));
        };
        match value {
            Some(value) => {
                let value = kind.admit(&value).map_err(|e| e.with_context("metadata", &name))?;
                assign.insert(name.field()?, value.to_field());
                stored.video.metadata.insert(name.clone(), value);
            }
            None => {
                clear.push(name.field()?);
                stored.video.metadata.remove(&name);
            }
        }
        stored.by_hand.metadata.insert(name);
    }
    Ok((assign, clear))
}
