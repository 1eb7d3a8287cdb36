//! Ingestion in the background, under a handle.

use super::{
    pipeline::Ingestor,
    progress::{ProgressEvent, ProgressSink},
    report::{IngestReport, VideoStatus},
    request::IngestRequest,
};
use crate::catalogue::{CatalogueStore, JobId, JobRecord, JobState, KEPT_JOBS};
use cogniverse_sdk::{Clock, Error, ErrorCode, Operation, Result, TenantId};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tracing::{Instrument, instrument::WithSubscriber};

/// The time between two signs of life in the record.
const BEAT: Duration = Duration::from_secs(5);
/// The number of records that are looked through for ones that are not kept any more.
const LOOK: usize = 1000;

/// An ingest that runs in the background. It goes on where the handle is dropped.
#[derive(Debug)]
pub struct IngestJob {
    id: JobId,
    task: JoinHandle<Result<IngestReport>>,
    cancel: Arc<Notify>,
    state: watch::Receiver<JobRecord>,
}

impl IngestJob {
    /// Returns the id, under which the catalogue keeps its record.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// Returns how far it is.
    #[must_use]
    pub fn progress(&self) -> JobRecord {
        self.state.borrow().clone()
    }

    /// Waits until there is something new, and returns how far it is; `None` once it has ended.
    pub async fn changed(&mut self) -> Option<JobRecord> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }

    /// Ends it soon. What is stored stays.
    pub fn cancel(&self) {
        self.cancel.notify_one();
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Those of [`Ingestor::ingest`]; `Conflict` where it was cancelled.
    ///
    /// # Cancellation
    /// It goes on where the wait is given up.
    pub async fn wait(self) -> Result<IngestReport> {
        self.task.await.map_err(|e| Error::unexpected("the ingest ended early").with_source(e))?
    }
}

/// Counts progress into the record of a job, and hands it on.
#[derive(Debug)]
struct Counting {
    state: watch::Sender<JobRecord>,
    clock: Arc<dyn Clock>,
    then: Option<Arc<dyn ProgressSink>>,
}

impl ProgressSink for Counting {
    fn event(&self, event: &ProgressEvent) {
        self.state.send_modify(|job| {
            match event {
                ProgressEvent::Started { videos } => job.videos = *videos,
                ProgressEvent::SegmentsDone { count } => job.segments += count,
                ProgressEvent::VideoFinished { status, .. } => {
                    job.finished += 1;
                    job.failed += usize::from(matches!(status, VideoStatus::Failed | VideoStatus::Partial));
                }
                _ => {}
            }
            job.changed_at = self.clock.now();
        });
        if let Some(then) = &self.then {
            then.event(event);
        }
    }
}

impl Ingestor {
    /// Starts an ingest in the background and returns its handle. Its record is kept in the tenant's catalogue, so that a service
    /// that restarts can report its outcome.
    ///
    /// # Errors
    /// Those of the gate; any error of the backend while the record is written.
    pub async fn start(&self, mut request: IngestRequest) -> Result<IngestJob> {
        let tenant = request.tenant.clone();
        // The ingest itself is counted.
        let _grant = self.gate().within_call().admit(&tenant, Operation::Ingest).await?;
        self.catalogue().prepare(&tenant).await?;
        forget_old(self.catalogue(), &tenant).await?;
        let clock = Arc::clone(self.gate().clock());
        let job = JobRecord::new(request.profile.clone(), request.source.to_string(), clock.now());
        self.catalogue().put_job(&tenant, &job).await?;
        let id = job.id.clone();
        let (sender, state) = watch::channel(job);
        let sink = Counting { state: sender.clone(), clock: Arc::clone(&clock), then: request.progress.take() };
        request.progress = Some(Arc::new(sink));
        let cancel = Arc::new(Notify::new());
        let work = run(self.clone(), request, sender, Arc::clone(&cancel), clock);
        let task = tokio::spawn(work.in_current_span().with_current_subscriber());
        Ok(IngestJob { id, task, cancel, state })
    }
}

async fn run(
    ingestor: Ingestor,
    request: IngestRequest,
    state: watch::Sender<JobRecord>,
    cancel: Arc<Notify>,
    clock: Arc<dyn Clock>,
) -> Result<IngestReport> {
    let tenant = request.tenant.clone();
    let ends = Arc::new(Notify::new());
    let signs =
        beat(ingestor.catalogue().clone(), tenant.clone(), state.clone(), (Arc::clone(&clock), Arc::clone(&ends)));
    let beat = tokio::spawn(signs);
    let ended = {
        let mut work = pin!(ingestor.ingest(request));
        tokio::select! {
            result = &mut work => Some(result),
            () = cancel.notified() => None,
        }
    };
    let is_cancelled = ended.is_none();
    let result = ended.unwrap_or_else(|| {
        Err(Error::of(ErrorCode::Conflict, "the ingest was cancelled; what is stored stays, ingest again to go on"))
    });
    // A write that it has begun is waited for: given up, it could still come after the one of the end.
    ends.notify_one();
    if let Err(error) = beat.await {
        tracing::warn!(tenant.id = %tenant, "a job's signs of life ended early: {error}");
    }
    state.send_modify(|job| {
        job.changed_at = clock.now();
        job.state = match &result {
            Ok(report) if report.is_complete() => JobState::Done,
            Ok(_) => JobState::Incomplete,
            Err(_) if is_cancelled => JobState::Cancelled,
            Err(_) => JobState::Failed,
        };
        job.error = result.as_ref().err().map(Error::public);
    });
    let last = state.borrow().clone();
    if let Err(error) = ingestor.catalogue().put_job(&tenant, &last).await {
        // The record says of itself that it gives no sign of life.
        tracing::warn!(tenant.id = %tenant, job = %last.id, "the end of a job is not recorded: {}", error.chain());
    }
    result
}

async fn beat(
    store: CatalogueStore,
    tenant: TenantId,
    state: watch::Sender<JobRecord>,
    (clock, ends): (Arc<dyn Clock>, Arc<Notify>),
) {
    let mut ticks = tokio::time::interval(BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = ends.notified() => return,
        }
        let job = JobRecord { changed_at: clock.now(), ..state.borrow().clone() };
        if let Err(error) = store.put_job(&tenant, &job).await {
            tracing::warn!(tenant.id = %tenant, job = %job.id, "a job's progress is not recorded: {}", error.chain());
        }
    }
}

/// Removes the records of jobs beyond those that are kept.
async fn forget_old(store: &CatalogueStore, tenant: &TenantId) -> Result<()> {
    let (jobs, _) = store.list_jobs(tenant, (LOOK, None)).await?;
    let old: Vec<JobRecord> =
        jobs.into_iter().skip(KEPT_JOBS - 1).filter(|job| job.state != JobState::Running).collect();
    store.remove_jobs(tenant, &old).await
}
