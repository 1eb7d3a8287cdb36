//! Ingestion of segments files.

use super::{
    document::Segment,
    names::Names,
    pipeline::{BATCH, Run},
    progress::ProgressEvent,
    report::{IngestReport, VideoReport, VideoStatus},
    segments_file::{BadLine, LineSegment, SegmentsFile},
    sidecar::Sidecar,
    storing::Storing,
    telemetry,
};
use crate::{
    catalogue::{Origin, StoredVideo},
    schemas::provenance,
    text::Language,
    worker::blocking,
};
use cogniverse_sdk::{Result, VideoId};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

/// The number of failed videos of a segments file that are logged; the report has all.
const LOGGED: usize = 100;
/// The number of bytes of a segments file read together, plus the rest of the last line.
const BATCH_BYTES: u64 = 16 << 20;

/// The number of records that are read and written together.
const RECORDS: usize = 500;

/// The videos of a segments file.
#[derive(Default)]
struct Videos {
    reports: HashMap<VideoId, VideoReport>,
    /// In the order of their first lines.
    order: Vec<VideoId>,
    /// The names of each by its last line, joined with what people set.
    names: HashMap<VideoId, Names>,
}

impl Run {
    pub(super) async fn segments_file(&self, path: &Path) -> Result<IngestReport> {
        let flight = self.ingestor.flights.of(&self.target, &self.cut, &path.display().to_string());
        let _alone = flight.lock().await;
        let source = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        let path = path.to_owned();
        let mut file = blocking(move || SegmentsFile::open(&path)).await?;
        let mut videos = Videos::default();
        let mut bad = VideoReport::new("lines that are no segment", None);
        loop {
            let (returned, read) = blocking(move || read_batch(file)).await?;
            file = returned;
            self.tell(ProgressEvent::Read { bytes: file.read, of: file.size });
            let at_end = read.is_empty();
            let mut segments = Vec::with_capacity(read.len());
            for line in read {
                match line {
                    Ok(segment) => segments.push(segment),
                    Err(BadLine { name, error }) => bad.refuse(name, error.chain()),
                }
            }
            let segments = self.named(segments, &mut videos).await?;
            self.batch(segments, Storing::default(), &mut videos.reports).await?;
            if at_end {
                break;
            }
        }
        let mut reports: Vec<VideoReport> =
            videos.order.iter().filter_map(|video| videos.reports.remove(video)).collect();
        reports.iter_mut().for_each(VideoReport::settle);
        self.record_lines(&reports, videos.names, &source).await?;
        let failed = reports.iter().filter(|video| video.status == VideoStatus::Failed);
        failed.take(LOGGED).for_each(|video| telemetry::video_failed(self.target.tenant(), video));
        if bad.refused_count > 0 {
            bad.planned = bad.refused_count;
            reports.push(bad);
        }
        Ok(IngestReport::of(reports))
    }

    /// Gives segments the names of their videos: what people set in the catalogue is kept.
    async fn named(&self, lines: Vec<LineSegment>, videos: &mut Videos) -> Result<Vec<Segment>> {
        let mut seen = HashSet::new();
        let ids: Vec<VideoId> =
            lines.iter().map(|line| &line.segment.video_id).filter(|id| seen.insert(*id)).cloned().collect();
        let found = self.ingestor.catalogue().get(self.target.tenant(), self.cut.profile(), &ids).await?;
        let known: HashMap<&VideoId, StoredVideo> =
            ids.iter().zip(found).filter_map(|(id, known)| Some((id, known?))).collect();
        for id in ids.iter().filter(|id| !videos.reports.contains_key(*id)).collect::<Vec<_>>() {
            videos.reports.insert(id.clone(), VideoReport::new(id.as_str(), Some(id.clone())));
            videos.order.push(id.clone());
        }
        let mut segments = Vec::with_capacity(lines.len());
        for LineSegment { mut segment, metadata } in lines {
            let said = Sidecar::of_line(&metadata, &self.profile);
            if let Some(report) = videos.reports.get_mut(&segment.video_id) {
                report.leave_out(&said.left_out);
            }
            let mut names = Names::new(&said, &segment.title, known.get(&segment.video_id));
            if !segment.source_url.is_empty() && names.url.is_none() {
                names.url = Some(segment.source_url.clone());
            }
            segment.title.clone_from(&names.title);
            if let Some(url) = &names.url {
                segment.source_url.clone_from(url);
            }
            segment.metadata.clone_from(&names.metadata);
            videos.names.insert(segment.video_id.clone(), names);
            segments.push(self.in_language(segment));
        }
        Ok(segments)
    }

    /// Gives a segment that names no language the run's.
    fn in_language(&self, mut segment: Segment) -> Segment {
        let own = || self.language.as_deref().and_then(Language::of).map(|language| language.to_string());
        segment.language = segment.language.take().or_else(own);
        segment
    }

    /// Records the videos of the file in the catalogue.
    async fn record_lines(
        &self,
        reports: &[VideoReport],
        mut names: HashMap<VideoId, Names>,
        source: &str,
    ) -> Result<()> {
        let now = self.ingestor.clock().now();
        let model = self.encoder.as_ref().map(|encoder| provenance::model_of(encoder.info()));
        for part in reports.chunks(RECORDS) {
            let ids: Vec<VideoId> = part.iter().filter_map(|report| report.video_id.clone()).collect();
            let known = self.ingestor.catalogue().get(self.target.tenant(), self.cut.profile(), &ids).await?;
            let mut changed = Vec::new();
            for (report, known) in part.iter().filter(|report| report.video_id.is_some()).zip(known) {
                let Some((id, names)) = report.video_id.as_ref().and_then(|id| names.remove_entry(id)) else {
                    continue;
                };
                let mut record = known.clone().unwrap_or_else(|| self.new_record(id));
                let is_new = report.status != VideoStatus::Unchanged || known.is_none();
                names.write(&mut record);
                record.settle(report, is_new.then_some(now));
                record.origin = Origin::Segments;
                (record.report, record.stamp, record.video.digest) = (None, None, None);
                record.video.source = Some(source.to_owned());
                record.video.model.clone_from(&model);
                if known.as_ref() != Some(&record) {
                    changed.push(record);
                }
            }
            self.ingestor.catalogue().put(self.target.tenant(), &changed).await?;
        }
        Ok(())
    }
}

type Lines = Vec<Result<LineSegment, BadLine>>;

fn read_batch(mut file: SegmentsFile) -> Result<(SegmentsFile, Lines)> {
    let mut lines = Vec::with_capacity(BATCH);
    let from = file.read;
    // Long lines are few at a time.
    while lines.len() < BATCH && file.read - from < BATCH_BYTES {
        match file.next()? {
            Some(line) => lines.push(line),
            None => break,
        }
    }
    Ok((file, lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.jsonl");
        let words = "x".repeat(10 << 20);
        let line = |n: u32| {
            format!(r#"{{"video_id":"v","segment_id":{n},"start_time":0,"end_time":1,"audio_transcript":"{words}"}}"#)
        };
        std::fs::write(&path, (0..5).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let (mut file, mut counts) = (SegmentsFile::open(&path).unwrap(), Vec::new());
        loop {
            let (next, lines) = read_batch(file).unwrap();
            file = next;
            counts.push(lines.len());
            if lines.is_empty() {
                break;
            }
        }
        assert_eq!(counts, [2, 2, 1, 0]);
    }
}
