//! The documents of the catalogue.

use super::{
    job::JobRecord,
    record::{StoredVideo, VideoState},
};
use crate::{
    guarded_backend::GuardedBackend,
    schemas::{CATALOGUE_BASE as BASE, SchemaManager},
    text::cleaned,
};
use cogniverse_sdk::{
    Document, DocumentId, DocumentStore, Error, ErrorCode, FieldName, FieldValue, Filter, PageCursor, ProfileName,
    Result, SchemaName, SchemaStore, Sort, TenantId, TenantSchema, VideoId,
    document::Fields,
    document_store::{DeleteRequest, GetRequest, ListRequest, PutRequest, VisitRequest},
};
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// The number of records that are read or written together.
pub(crate) const BATCH: usize = 500;
/// The kinds of records.
const VIDEO: &str = "video";
const JOB: &str = "job";
/// The field of the file that a video came from.
const SOURCE: &str = "source_file";
/// The longest sort key of a title in bytes.
const MAX_KEY: usize = 256;

/// A reader and writer of the records of any tenant. It asks for no grant: its callers are admitted.
#[derive(Debug, Clone)]
pub(crate) struct CatalogueStore {
    backend: GuardedBackend,
    schemas: SchemaManager,
}

/// A page of the catalogue's documents.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<PageCursor>,
}

impl CatalogueStore {
    pub(crate) fn new(backend: GuardedBackend, schemas: SchemaManager) -> Self {
        Self { backend, schemas }
    }

    fn target(tenant: &TenantId) -> Result<TenantSchema> {
        Ok(TenantSchema::new(tenant, &SchemaName::parse(BASE)?))
    }

    /// Deploys the catalogue of a tenant unless it is there.
    pub(crate) async fn prepare(&self, tenant: &TenantId) -> Result<()> {
        let target = Self::target(tenant)?;
        match self.backend.served(&target).await {
            Err(error) if error.code() == ErrorCode::SchemaNotDeployed => {
                self.schemas.deploy(tenant, target.base()).await.map(drop)
            }
            found => found.map(drop),
        }
    }

    /// Returns what was read; `None` where the tenant has no catalogue, as it has ingested nothing yet.
    fn unless_absent<T>(read: Result<T>) -> Result<Option<T>> {
        match read {
            Err(error) if error.code() == ErrorCode::SchemaNotDeployed => Ok(None),
            read => read.map(Some),
        }
    }

    async fn put_documents(&self, tenant: &TenantId, documents: Vec<Document>) -> Result<()> {
        let target = Self::target(tenant)?;
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let part = documents.by_ref().take(BATCH).collect();
            let fed = self.backend.put(PutRequest::new(target.clone(), part)).await?;
            if let Some(error) = fed.outcomes.into_iter().find_map(|outcome| outcome.error) {
                return Err(error.with_context("schema", BASE));
            }
        }
        Ok(())
    }

    /// Stores records of videos, each in place of an earlier one.
    pub(crate) async fn put(&self, tenant: &TenantId, videos: &[StoredVideo]) -> Result<()> {
        let documents = videos.iter().map(video_document).collect::<Result<Vec<_>>>()?;
        self.put_documents(tenant, documents).await
    }

    /// Reads records by id, in the order of the ids.
    pub(crate) async fn get(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
        ids: &[VideoId],
    ) -> Result<Vec<Option<StoredVideo>>> {
        let target = Self::target(tenant)?;
        let mut found = Vec::with_capacity(ids.len());
        for part in ids.chunks(BATCH) {
            let keys = part.iter().map(|id| video_key(profile, id)).collect::<Result<Vec<_>>>()?;
            match Self::unless_absent(self.backend.get(GetRequest::new(target.clone(), keys).without_vectors()).await)?
            {
                None => found.extend(part.iter().map(|_| None)),
                Some(documents) => {
                    for document in documents {
                        found.push(document.map(|document| stored_video(&document)).transpose()?);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Reads the records of a profile whose source is one of the given ones, by source.
    pub(crate) async fn of_sources(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
        sources: &[String],
    ) -> Result<HashMap<String, Vec<StoredVideo>>> {
        let mut found: HashMap<String, Vec<StoredVideo>> = HashMap::new();
        for part in sources.chunks(BATCH) {
            let values = part.iter().map(|source| text(source)).collect();
            let filter = of(VIDEO, Some(profile))?.and(Filter::In(field(SOURCE)?, values));
            let mut cursor = None;
            loop {
                // By the index of the field: a visit would look at every record.
                let page = self.list(tenant, filter.clone(), Sort::ascending(field(SOURCE)?), (BATCH, cursor)).await?;
                for document in &page.items {
                    let video = stored_video(document)?;
                    if let Some(source) = &video.video.source {
                        found.entry(source.clone()).or_default().push(video);
                    }
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Reads every record of a profile.
    pub(crate) async fn all(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
        mut each: impl FnMut(StoredVideo) + Send,
    ) -> Result<()> {
        let filter = of(VIDEO, Some(profile))?;
        self.visit(tenant, filter, |document| {
            each(stored_video(document)?);
            Ok(())
        })
        .await
    }

    async fn visit(
        &self,
        tenant: &TenantId,
        filter: Filter,
        mut each: impl FnMut(&Document) -> Result<()> + Send,
    ) -> Result<()> {
        let mut visit =
            VisitRequest::new(Self::target(tenant)?).with_filter(filter).with_page_size(BATCH).without_vectors();
        loop {
            let Some(page) = Self::unless_absent(self.backend.visit(visit.clone()).await)? else { return Ok(()) };
            for found in &page.documents {
                each(&found.document)?;
            }
            if page.continuation.is_none() {
                return Ok(());
            }
            visit = visit.with_continuation(page.continuation);
        }
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: Filter,
        sort: Sort,
        page: (usize, Option<PageCursor>),
    ) -> Result<Page<Document>> {
        let request = ListRequest::new(Self::target(tenant)?, sort)
            .with_filter(Some(filter))
            .with_page_size(page.0)
            .with_continuation(page.1);
        let page = Self::unless_absent(self.backend.list(request).await)?;
        Ok(page.map_or(Page { items: Vec::new(), next: None }, |page| Page {
            items: page.documents.into_iter().map(|found| found.document).collect(),
            next: page.continuation,
        }))
    }

    /// Lists records in the order of a field.
    pub(super) async fn list_videos(
        &self,
        tenant: &TenantId,
        profile: &ProfileName,
        state: Option<VideoState>,
        sort: Sort,
        page: (usize, Option<PageCursor>),
    ) -> Result<Page<StoredVideo>> {
        let mut filter = of(VIDEO, Some(profile))?;
        if let Some(state) = state {
            filter = filter.and(Filter::equals(field("status")?, state.as_str()));
        }
        let found = self.list(tenant, filter, sort, page).await?;
        let items = found.items.iter().map(stored_video).collect::<Result<_>>()?;
        Ok(Page { items, next: found.next })
    }

    /// Removes records of videos.
    pub(crate) async fn remove(&self, tenant: &TenantId, profile: &ProfileName, ids: &[VideoId]) -> Result<()> {
        for part in ids.chunks(BATCH) {
            let keys = part.iter().map(|id| video_key(profile, id)).collect::<Result<Vec<_>>>()?;
            let request = DeleteRequest::ids(Self::target(tenant)?, keys);
            Self::unless_absent(self.backend.delete(request).await)?;
        }
        Ok(())
    }

    /// Stores the record of a job.
    pub(crate) async fn put_job(&self, tenant: &TenantId, job: &JobRecord) -> Result<()> {
        self.put_documents(tenant, vec![job_document(job)?]).await
    }

    /// Reads the record of a job.
    pub(super) async fn job(&self, tenant: &TenantId, id: &str) -> Result<Option<JobRecord>> {
        let request = GetRequest::new(Self::target(tenant)?, vec![job_key(id)?]).without_vectors();
        let found = Self::unless_absent(self.backend.get(request).await)?;
        found.into_iter().flatten().flatten().next().map(|document| stored_job(&document)).transpose()
    }

    /// Lists jobs, the newest first.
    pub(crate) async fn list_jobs(
        &self,
        tenant: &TenantId,
        page: (usize, Option<PageCursor>),
    ) -> Result<(Vec<JobRecord>, Option<PageCursor>)> {
        let found = self.list(tenant, of(JOB, None)?, Sort::descending(field("ingested_at")?), page).await?;
        Ok((found.items.iter().map(stored_job).collect::<Result<_>>()?, found.next))
    }

    /// Removes records of jobs.
    pub(crate) async fn remove_jobs(&self, tenant: &TenantId, jobs: &[JobRecord]) -> Result<()> {
        let keys = jobs.iter().map(|job| job_key(job.id.as_str())).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            return Ok(());
        }
        Self::unless_absent(self.backend.delete(DeleteRequest::ids(Self::target(tenant)?, keys)).await).map(drop)
    }
}

fn field(name: &str) -> Result<FieldName> {
    Ok(FieldName::parse(name)?)
}

fn text(text: &str) -> FieldValue {
    FieldValue::from(&*cleaned(text))
}

fn of(kind: &str, profile: Option<&ProfileName>) -> Result<Filter> {
    let filter = Filter::equals(field("kind")?, kind);
    Ok(match profile {
        Some(profile) => filter.and(Filter::equals(field("profile")?, profile.as_str())),
        None => filter,
    })
}

fn video_key(profile: &ProfileName, id: &VideoId) -> Result<DocumentId> {
    Ok(DocumentId::parse(format!("{VIDEO}/{profile}/{id}"))?)
}

fn job_key(id: &str) -> Result<DocumentId> {
    Ok(DocumentId::parse(format!("{JOB}/{id}"))?)
}

/// Returns the form of a title that orders it: without case, and of bounded length.
fn title_key(title: &str) -> String {
    let folded: String = title.nfkd().flat_map(char::to_lowercase).collect();
    let end = folded.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_KEY).last();
    folded.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

fn fields(of: impl IntoIterator<Item = (&'static str, FieldValue)>) -> Result<Fields> {
    of.into_iter().map(|(name, value)| Ok((field(name)?, value))).collect()
}

fn video_document(stored: &StoredVideo) -> Result<Document> {
    let video = &stored.video;
    let mut values = vec![
        ("kind", VIDEO.into()),
        ("profile", video.profile.as_str().into()),
        ("status", video.state.as_str().into()),
        ("title_key", text(&title_key(&video.title))),
        ("ingested_at", FieldValue::Integer(video.ingested_at.as_millisecond())),
        ("record", text(&stored.to_json()?)),
    ];
    values.extend(video.source.as_ref().map(|source| (SOURCE, text(source))));
    values.extend(video.recorded_at.map(|at| ("recorded_at", FieldValue::Integer(at.as_millisecond()))));
    values.extend(video.duration.map(|seconds| ("duration", FieldValue::Float(seconds))));
    Ok(Document { id: video_key(&video.profile, &video.video_id)?, fields: fields(values)? })
}

fn job_document(job: &JobRecord) -> Result<Document> {
    let record = serde_json::to_string(job).map_err(|e| Error::unexpected("a job cannot be written").with_source(e))?;
    let values = [
        ("kind", JOB.into()),
        ("profile", job.profile.as_str().into()),
        ("ingested_at", FieldValue::Integer(job.started_at.as_millisecond())),
        ("record", text(&record)),
    ];
    Ok(Document { id: job_key(job.id.as_str())?, fields: fields(values)? })
}

fn stored_video(document: &Document) -> Result<StoredVideo> {
    StoredVideo::from_json(document.text("record")).map_err(|e| e.with_context("document", &document.id))
}

fn stored_job(document: &Document) -> Result<JobRecord> {
    serde_json::from_str(document.text("record")).map_err(|e| {
        let problem = cogniverse_sdk::json_problem(&e);
        Error::of(ErrorCode::Corrupt, format!("a job's record cannot be read: {problem}"))
            .with_context("document", &document.id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_ordered_without_case_and_bounded() {
        assert_eq!(title_key("Ünïcode Talk"), title_key("ünïcode talk"));
        assert!(title_key(&"é".repeat(1000)).len() <= MAX_KEY);
        assert_eq!(title_key(""), "");
    }
}
