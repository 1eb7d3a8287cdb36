//! The catalogue of a tenant's videos, and the jobs that ingest them.
//!
//! Both are documents of the tenant's schema `video_catalogue` on the search backend, so that erasure, backups and the check of
//! isolation reach them like every other document.

mod details;
mod job;
mod record;
mod service;
pub(crate) mod store;
mod thumbnails;
mod update;

pub use details::{SpokenSegment, VideoDetails};
pub(crate) use job::KEPT as KEPT_JOBS;
pub use job::{JobId, JobPage, JobRecord, JobState};
pub(crate) use record::{Origin, Stamp, StoredVideo};
pub use record::{VideoRecord, VideoState};
pub use service::{VideoCatalogue, VideoPage, VideoQuery, VideoSort};
pub(crate) use store::CatalogueStore;
pub use update::VideoUpdate;
