//! Ingestion of many videos: which are new, which are known, which are gone.

use super::{
    fingerprint::{self, VideoFile},
    input::{Body, VideoInput},
    names::Names,
    pipeline::Run,
    progress::ProgressEvent,
    report::{IngestReport, TranscriptSource, VideoReport, VideoStatus},
    sidecar::Sidecar,
    stamp, telemetry,
    video::Work,
    video_segments::VideoSegments,
};
use crate::{
    catalogue::{Origin, Stamp, StoredVideo, VideoState},
    files,
    schemas::provenance,
    transcript::FoundTranscript,
    worker::blocking,
};
use cogniverse_sdk::{Error, ErrorCode, FieldName, Filter, Result, VideoId};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinSet;
use tracing::{Instrument, instrument::WithSubscriber};

/// The number of videos that are looked up together.
const LOOKUP: usize = 500;

/// What a look at a video found, before its content is read.
enum Prepared {
    /// There is something to do.
    Work(Box<Work>),
    /// There is nothing to do.
    Settled(Box<VideoReport>),
}

/// An error before the content of a video is known.
enum Trouble {
    /// Of this video's file: the others go on.
    OfVideo(Error),
    /// Of the tenant, the store or the catalogue: the next video would meet it too.
    OfRun(Error),
}

/// What a run knows of the videos that it has seen.
#[derive(Default)]
struct Seen {
    /// The path of each id.
    paths: HashMap<VideoId, PathBuf>,
    /// Videos whose path has other content now, with the id of that.
    former: Vec<(StoredVideo, VideoId)>,
    /// Whether the content of some video could not be read, so that it may be any of them.
    unread: bool,
}

/// The running work: a video's place in the source, and its report.
type Running = JoinSet<(usize, Result<VideoReport>)>;

impl Run {
    /// Ingests videos. With `prune`, what the catalogue has of that folder and the source does not is removed at the end.
    pub(super) async fn videos(
        self: &Arc<Self>,
        inputs: Vec<VideoInput>,
        concurrency: usize,
        prune: Option<PathBuf>,
    ) -> Result<IngestReport> {
        self.tell(ProgressEvent::Started { videos: inputs.len() });
        let mut reports = BTreeMap::new();
        let (mut running, mut seen) = (Running::new(), Seen::default());
        let paths: Vec<Option<String>> = inputs.iter().map(|input| input.path().and_then(absolute)).collect();
        let mut places = inputs.iter().zip(&paths).enumerate();
        loop {
            let part: Vec<_> = places.by_ref().take(LOOKUP).collect();
            if part.is_empty() {
                break;
            }
            let sources: Vec<String> = part.iter().filter_map(|(_, (_, path))| (*path).clone()).collect();
            let store = self.ingestor.catalogue();
            let mut known = store.of_sources(self.target.tenant(), self.cut.profile(), &sources).await?;
            for (place, (input, source)) in part {
                let of_source = source.as_ref().and_then(|source| known.remove(source)).unwrap_or_default();
                match self.prepare(input, source.clone(), of_source, &mut seen).await {
                    Ok(Prepared::Settled(report)) => {
                        let report = *report;
                        self.tell(ProgressEvent::VideoFinished { name: report.name.clone(), status: report.status });
                        reports.insert(place, report);
                    }
                    Ok(Prepared::Work(work)) => {
                        while running.len() >= concurrency {
                            self.finish_one(&mut running, &mut reports).await?;
                        }
                        self.spawn(&mut running, place, *work);
                    }
                    Err(Trouble::OfRun(error)) => return Err(error),
                    Err(Trouble::OfVideo(error)) => {
                        seen.unread = true;
                        let report = VideoReport::new(input.name(), None).failed(error.chain());
                        telemetry::video_failed(self.target.tenant(), &report);
                        self.tell(ProgressEvent::VideoFinished { name: report.name.clone(), status: report.status });
                        reports.insert(place, report);
                    }
                }
            }
        }
        while !running.is_empty() {
            self.finish_one(&mut running, &mut reports).await?;
        }
        let mut report = IngestReport::of(reports.into_values().collect());
        if seen.unread {
            // It may be any of those that would be removed, under another name: they stay until a run could read everything.
            return Ok(report);
        }
        self.remove_former(seen, &mut report).await?;
        if let Some(folder) = prune {
            let present: HashSet<String> = paths.into_iter().flatten().collect();
            self.prune(&folder, &present, &mut report).await?;
        }
        Ok(report)
    }

    fn spawn(self: &Arc<Self>, running: &mut Running, place: usize, work: Work) {
        let run = Arc::clone(self);
        let span = telemetry::video(run.target.tenant(), &work.name);
        let task = async move {
            let report = run.video(work).await;
            match &report {
                Ok(report) => telemetry::video_done(report),
                Err(error) => telemetry::failed(error),
            }
            (place, report)
        };
        running.spawn(task.instrument(span).with_current_subscriber());
    }

    async fn finish_one(&self, running: &mut Running, reports: &mut BTreeMap<usize, VideoReport>) -> Result<()> {
        if let Some(joined) = running.join_next().await {
            let (place, report) = joined.map_err(|e| Error::unexpected("a video's task ended early").with_source(e))?;
            let report = report?;
            self.tell(ProgressEvent::VideoFinished { name: report.name.clone(), status: report.status });
            reports.insert(place, report);
        }
        Ok(())
    }

    /// Looks at a video: whether it is as it was when it was ingested, and if not, what it is.
    async fn prepare(
        &self,
        input: &VideoInput,
        source: Option<String>,
        of_source: Vec<StoredVideo>,
        seen: &mut Seen,
    ) -> Result<Prepared, Trouble> {
        let given = input.given_id().map_err(Trouble::OfVideo)?;
        let (path, spooled) = match &input.body {
            Body::File(path) => (path.clone(), None),
            Body::Stream(stream) => {
                let (folder, path) = stream.spool().await.map_err(Trouble::OfVideo)?;
                (path, Some(folder))
            }
        };
        let (stamp, sidecar) = self.look(&path, spooled.is_some()).await.map_err(Trouble::OfVideo)?;
        let sidecar = sidecar.overridden_by(input, &self.profile);
        let fits = |stored: &&StoredVideo| given.as_ref().is_none_or(|given| stored.video.video_id == *given);
        let mut of_source = of_source;
        of_source
            .sort_by_key(|stored| (stored.stamp.is_none() || stored.stamp != stamp, stored.video.video_id.clone()));
        if let Some(known) = of_source.iter().find(fits)
            && let Some(report) =
                self.unchanged(known, &stamp, &sidecar, &path, input.name()).await.map_err(Trouble::OfRun)?
            && !seen.paths.contains_key(&known.video.video_id)
        {
            seen.note(known.video.video_id.clone(), &path, &of_source);
            return Ok(Prepared::Settled(Box::new(report)));
        }
        let identify = path.clone();
        let mut file = blocking(move || VideoFile::identify(&identify)).await.map_err(Trouble::OfVideo)?;
        let same_content = of_source.iter().find(|known| known.video.digest.as_ref() == Some(&file.digest));
        // An id that somebody gave stays with its file.
        let kept = same_content.or_else(|| of_source.iter().find(|known| known.is_id_given));
        let is_id_given = given.is_some() || kept.is_some_and(|kept| given.is_none() && kept.is_id_given);
        if let Some(id) = given.or_else(|| kept.map(|kept| kept.video.video_id.clone())) {
            file.id = id;
        } else if let Some(other) =
            self.other_of_content(&file, source.as_deref(), seen).await.map_err(Trouble::OfRun)?
        {
            let ours = self.words_beside(&path).await.map_err(Trouble::OfVideo)?;
            // What is wrong with theirs is said of them.
            let theirs = self.words_beside(&other).await.unwrap_or_default();
            // A copy without words of its own is a copy.
            if let Some(ours) = ours.filter(|ours| theirs.as_ref() != Some(ours)) {
                file = file.told_apart_by(&ours).map_err(Trouble::OfVideo)?;
            }
        }
        if let Some(first) = seen.paths.get(&file.id) {
            let mut report = VideoReport::new(input.name(), Some(file.id.clone()))
                .failed(format!("the same content as {}", first.display()));
            report.status = VideoStatus::Duplicate;
            return Ok(Prepared::Settled(Box::new(report)));
        }
        seen.note(file.id.clone(), &path, &of_source);
        let name = input.name();
        Ok(Prepared::Work(Box::new(Work { file, name, sidecar, is_id_given, stamp, source, spooled })))
    }

    /// Reads what can be read of a video without its content.
    async fn look(&self, path: &Path, is_spooled: bool) -> Result<(Option<Stamp>, Sidecar)> {
        let (path, beside, plan) = (path.to_owned(), Arc::clone(&self.beside), self.plan.clone());
        let profile = self.profile.clone();
        blocking(move || {
            // Not even the kind of thing is sure before it is opened.
            files::open_regular("the video", &path)?;
            let stamp = if is_spooled { None } else { stamp::of(&path, &beside, &plan)? };
            Ok((stamp, Sidecar::beside(&beside, &path, &profile)?))
        })
        .await
    }

    /// Returns the report of a video that is as it was when it was ingested; `None` where that is not sure.
    async fn unchanged(
        &self,
        known: &StoredVideo,
        stamp: &Option<Stamp>,
        sidecar: &Sidecar,
        path: &Path,
        name: String,
    ) -> Result<Option<VideoReport>> {
        let title = fingerprint::title_of(path);
        let is_same = stamp.is_some()
            && *stamp == known.stamp
            && known.video.state == VideoState::Done
            && Names::new(sidecar, &title, Some(known)).are_in(known);
        let (true, Some(last)) = (is_same, &known.report) else { return Ok(None) };
        if self.count(&known.video.video_id).await? != known.video.segments as u64 {
            return Ok(None);
        }
        let mut report = VideoReport { name, ..last.clone() }.with_sidecar(sidecar);
        (report.unchanged, report.stored, report.removed) = (report.planned, 0, 0);
        (report.status, report.reason) = (VideoStatus::Unchanged, None);
        if report.transcript == TranscriptSource::Transcribed {
            report.transcript = TranscriptSource::Kept;
        }
        Ok(Some(report))
    }

    /// Counts the stored segments of a video.
    async fn count(&self, video: &VideoId) -> Result<u64> {
        let mut filter = Filter::equals(FieldName::parse("video_id")?, video.as_str());
        if let Some(of_profile) = provenance::of_profile(&self.schema, self.cut.profile())? {
            filter = filter.and(of_profile);
        }
        self.ingestor.backend.count(&self.target, Some(&filter)).await
    }

    /// Returns the path of another file that has the content of a file, and is there.
    async fn other_of_content(&self, file: &VideoFile, source: Option<&str>, seen: &Seen) -> Result<Option<PathBuf>> {
        if let Some(path) = seen.paths.get(&file.id) {
            return Ok(Some(path.clone()));
        }
        let known = self.record(&file.id).await?;
        let Some(other) = known.and_then(|known| known.video.source).filter(|other| Some(other.as_str()) != source)
        else {
            return Ok(None);
        };
        let (other, digest) = (PathBuf::from(other), file.digest.clone());
        blocking(move || {
            // Where it is gone or another by now, this file was renamed.
            let is_there = VideoFile::identify(&other).is_ok_and(|found| found.digest == digest);
            Ok(is_there.then_some(other))
        })
        .await
    }

    /// Returns a digest of the transcript beside a video; `None` where there is none.
    async fn words_beside(&self, path: &Path) -> Result<Option<String>> {
        let (path, beside, language) = (path.to_owned(), Arc::clone(&self.beside), self.language.clone());
        blocking(move || {
            let FoundTranscript { transcript: Some((file, _)), .. } = beside.find(&path, language.as_deref())? else {
                return Ok(None);
            };
            let (file, _) = files::open_regular("the transcript", &file)?;
            let read = fingerprint::digest(file);
            read.map(|(digest, _)| Some(digest))
                .map_err(|e| Error::of(ErrorCode::FileUnreadable, "the transcript cannot be read on").with_source(e))
        })
        .await
    }

    /// Removes videos whose path has other content now, once that is stored.
    async fn remove_former(&self, seen: Seen, report: &mut IngestReport) -> Result<()> {
        for (former, by) in seen.former {
            let id = &former.video.video_id;
            if seen.paths.contains_key(id) {
                continue;
            }
            let new = report.videos.iter_mut().find(|video| video.video_id.as_ref() == Some(&by));
            if let Some(new) = new.filter(|new| matches!(new.status, VideoStatus::Done | VideoStatus::Unchanged)) {
                new.replaced.push(id.clone());
                self.remove(former).await?;
            }
        }
        Ok(())
    }

    /// Removes the videos of a folder that are not there any more.
    async fn prune(&self, folder: &Path, present: &HashSet<String>, report: &mut IngestReport) -> Result<()> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let kept: HashSet<VideoId> = report.videos.iter().filter_map(|video| video.video_id.clone()).collect();
        let mut gone = Vec::new();
        let store = self.ingestor.catalogue();
        store
            .all(self.target.tenant(), self.cut.profile(), |stored| {
                let source = stored.video.source.as_ref().filter(|_| stored.origin == Origin::File);
                let is_gone =
                    source.is_some_and(|source| Path::new(source).starts_with(&folder) && !present.contains(source));
                if is_gone && !kept.contains(&stored.video.video_id) {
                    gone.push(stored);
                }
            })
            .await?;
        for stored in gone {
            report.prune(stored.video.source.clone().unwrap_or_default());
            self.remove(stored).await?;
        }
        Ok(())
    }

    async fn remove(&self, stored: StoredVideo) -> Result<()> {
        let segments = self.segments_of(stored.video.video_id.clone())?;
        let _alone = segments.alone().await;
        // Another run may have found it elsewhere meanwhile: it is what that run says.
        match self.record(&stored.video.video_id).await? {
            Some(now) if now.video.source == stored.video.source => segments.delete(now).await.map(drop),
            _ => Ok(()),
        }
    }

    pub(super) fn segments_of(&self, id: VideoId) -> Result<VideoSegments> {
        self.ingestor.segments(self.target.tenant(), &self.schema, self.cut.clone(), id)
    }
}

impl Seen {
    fn note(&mut self, id: VideoId, path: &Path, of_source: &[StoredVideo]) {
        let former = of_source.iter().filter(|stored| stored.video.video_id != id && stored.origin == Origin::File);
        self.former.extend(former.map(|stored| (stored.clone(), id.clone())));
        self.paths.insert(id, path.to_owned());
    }
}

/// Returns an absolute path as text; `None` for one that is no text: two such could look alike, and one be taken for the other.
fn absolute(path: &Path) -> Option<String> {
    std::path::absolute(path).ok()?.to_str().map(str::to_owned)
}
