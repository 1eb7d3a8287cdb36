//! Looking at the pictures of a video: each segment once, and what was seen is kept per tenant.

use super::{
    document::Segment,
    ffmpeg::{Ffmpeg, Pictures},
    fingerprint::VideoFile,
    frames::Frames,
    kept_files::{KeptFiles, KeptPart, KeptText},
    pipeline::Run,
    report::VideoReport,
    screens::Remembered,
    seeing::Eye,
    seeing_failure::SeeingFailure,
    telemetry,
};
use cogniverse_sdk::{Error, ErrorKind, Result, TenantId, TimeRange};
use std::collections::HashMap;
use tracing::Instrument;

/// The number of new texts after which they are written to the cache: what a crash can cost.
const SAVED_EVERY: usize = 16;

/// The texts of one video by the times of its segments, and where they are kept.
struct Known<'k> {
    kept: Option<(&'k KeptFiles, &'k TenantId, &'k str, String)>,
    texts: HashMap<(u64, u64), String>,
    unsaved: usize,
}

fn time(range: &TimeRange) -> (u64, u64) {
    (range.start().to_bits(), range.end().to_bits())
}

impl<'k> Known<'k> {
    async fn read(eye: &'k Eye<'_>, tenant: &'k TenantId, digest: &'k str, language: Option<&str>) -> Result<Self> {
        let kept = eye.kept().map(|kept| (kept, tenant, digest, eye.key(language)));
        let mut texts = HashMap::new();
        if let Some((kept, tenant, digest, key)) = &kept
            && let Some(stored) = kept.read(tenant, digest, key).await?
        {
            let part = |part: KeptPart| ((part.start.to_bits(), part.end.to_bits()), part.text);
            texts.extend(stored.segments.into_iter().map(part));
        }
        Ok(Self { kept, texts, unsaved: 0 })
    }

    async fn add(&mut self, range: &TimeRange, text: &str) {
        self.texts.insert(time(range), text.to_owned());
        self.unsaved += 1;
        if self.unsaved >= SAVED_EVERY {
            self.save().await;
        }
    }

    /// Writes the texts. Where that fails they are there, and only the next run has to ask for them again.
    async fn save(&mut self) {
        let Some((kept, tenant, digest, key)) = self.kept.as_ref().filter(|_| self.unsaved > 0) else { return };
        let part = |((start, end), text): (&(u64, u64), &String)| KeptPart {
            start: f64::from_bits(*start),
            end: f64::from_bits(*end),
            text: text.clone(),
        };
        let mut segments: Vec<KeptPart> = self.texts.iter().map(part).collect();
        segments.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.end.total_cmp(&b.end)));
        if let Err(error) = kept.write(tenant, digest, key, &KeptText { language: None, segments }).await {
            tracing::warn!(tenant.id = %tenant, "a {} could not be kept: {}", kept.kind().one(), error.chain());
        }
        self.unsaved = 0;
    }
}

impl Run {
    /// Fills in what is seen in the segments of a video. What the run does not look at stays as it is stored.
    ///
    /// # Errors
    /// An error that the next video would meet too, or that fails the video.
    pub(super) async fn see(
        &self,
        file: &VideoFile,
        pictures: Option<Pictures>,
        segments: &mut [Segment],
        report: &mut VideoReport,
    ) -> Result<()> {
        for segment in segments.iter_mut() {
            segment.keeps.description = !self.seeing.describes();
            segment.keeps.screen_text = !self.seeing.reads_screens();
        }
        let Some(pictures) = pictures else { return Ok(()) };
        for eye in self.seeing.eyes() {
            let span = telemetry::see(self.target.tenant(), eye.model(), matches!(eye, Eye::Describer(_)));
            let seen = self.see_with(&eye, file, pictures, segments, report).instrument(span.clone()).await;
            seen.inspect_err(|error| span.in_scope(|| telemetry::failed(error)))?;
        }
        Ok(())
    }

    async fn see_with(
        &self,
        eye: &Eye<'_>,
        file: &VideoFile,
        pictures: Pictures,
        segments: &mut [Segment],
        report: &mut VideoReport,
    ) -> Result<()> {
        let language = self.language.as_deref();
        let mut known = Known::read(eye, self.target.tenant(), &file.digest, language).await?;
        let (ffmpeg, remembered) = (&self.ingestor.ffmpeg, Remembered::default());
        let mut sight = Sight { eye, ffmpeg, file, pictures, frames: None, remembered };
        let (count, mut stopped, mut asked) = (segments.len(), None::<String>, 0);
        for (place, segment) in segments.iter_mut().enumerate() {
            if let Some(text) = known.texts.get(&time(&segment.range)) {
                eye.count(report);
                eye.put(segment, Some(text.clone()));
                continue;
            }
            let name = format!("{}/{}", segment.video_id, segment.segment_id);
            if let Some(reason) = &stopped {
                report.miss(&name, eye.what(), reason);
                eye.put(segment, None);
                continue;
            }
            // A model may take hours: who is suspended meanwhile gets nothing more.
            if asked % SAVED_EVERY == 0 {
                self.grant.renew().await?;
            }
            asked += 1;
            self.tell(eye.event(file.path.display().to_string(), place + 1, count));
            match sight.look(place, &segment.range, language).await {
                Ok(text) => {
                    known.add(&segment.range, &text).await;
                    eye.count(report);
                    eye.put(segment, Some(text));
                }
                Err(error) => {
                    let ends = error.kind() == ErrorKind::FailedPrecondition;
                    if ends || eye.on_failure() == SeeingFailure::FailVideo {
                        known.save().await;
                        return Err(error.with_context("segment", segment.segment_id));
                    }
                    report.miss(&name, eye.what(), &error.chain());
                    eye.put(segment, None);
                    // A server that is away would be waited for once more with every segment.
                    if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unexpected) {
                        stopped = Some(format!("not tried, as the one before failed: {error}"));
                    }
                }
            }
        }
        telemetry::seen(asked);
        known.save().await;
        Ok(())
    }
}

/// The pictures of one video, as they are needed.
struct Sight<'s> {
    eye: &'s Eye<'s>,
    ffmpeg: &'s Ffmpeg,
    file: &'s VideoFile,
    pictures: Pictures,
    frames: Option<Frames>,
    remembered: Remembered,
}

impl Sight<'_> {
    async fn look(&mut self, segment: usize, range: &TimeRange, language: Option<&str>) -> Result<String> {
        if self.frames.is_none() {
            self.frames = Some(self.eye.frames(self.pictures)?);
        }
        let frames = self.frames.as_ref().ok_or_else(|| Error::unexpected("there is no folder for pictures"))?;
        let pictures = frames.of(self.ffmpeg, &self.file.path, segment, range).await?;
        let seen = self.eye.look(&pictures, language, &mut self.remembered).await;
        // A film has more pictures than a disk should hold at once.
        frames.remove(&pictures);
        seen
    }
}
