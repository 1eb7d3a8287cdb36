//! Transcription of videos that have no transcript beside them.

mod audio;
mod command;
mod kept;
mod pieces;

pub use command::CommandTranscriber;
pub use kept::KeptTranscripts;

use super::{
    ffmpeg::{Ffmpeg, Probe},
    fingerprint::VideoFile,
    progress::ProgressEvent,
    report::TranscriptSource,
    telemetry,
};
use crate::transcript::Transcript;
use audio::Sound;
use cogniverse_sdk::{
    Error, Result, TenantId,
    transcriber::{TranscribeRequest, Transcriber, Transcription},
};
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc};
use tracing::Instrument;

/// The version of the transcription method; raising it invalidates cached transcripts.
const VERSION: u32 = 1;

/// The handling of a video whose transcription failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpeechFailure {
    /// The video fails: nothing of it is stored or changed, and the next run tries again.
    #[default]
    FailVideo,
    /// The segments are stored without transcript, replacing those of an earlier run, and the video counts as
    /// partial; the next run tries again.
    StoreWithoutWords,
}

/// The configuration of speech transcription. Only the transcriber is required.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Speech {
    /// The transcriber.
    pub transcriber: Arc<dyn Transcriber>,
    /// The cache of transcripts (default none).
    pub kept: Option<KeptTranscripts>,
    /// The handling of a failed transcription (default [`SpeechFailure::FailVideo`]).
    pub on_failure: SpeechFailure,
    /// The longest piece to transcribe at once, in seconds (default 600).
    pub piece_seconds: f64,
    /// The loudest silence, in decibels relative to full scale (default -45).
    pub silence_decibels: f64,
    /// The shortest silence that is cut out, in seconds (default 1).
    pub silence_seconds: f64,
}

impl Speech {
    /// Returns the name of the transcriber's model.
    pub(super) fn model(&self) -> &str {
        &self.transcriber.info().model
    }

    /// Creates a configuration with the default settings.
    #[must_use]
    pub fn new(transcriber: Arc<dyn Transcriber>) -> Self {
        Self {
            transcriber,
            kept: None,
            on_failure: SpeechFailure::default(),
            piece_seconds: 600.0,
            silence_decibels: -45.0,
            silence_seconds: 1.0,
        }
    }

    /// Caches transcripts in a folder, with one subfolder per tenant.
    #[must_use]
    pub fn kept_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.kept = Some(KeptTranscripts::new(folder));
        self
    }

    /// Sets [`Self::on_failure`].
    #[must_use]
    pub fn with_failure(mut self, failure: SpeechFailure) -> Self {
        self.on_failure = failure;
        self
    }

    /// Sets [`Self::piece_seconds`].
    #[must_use]
    pub fn with_piece_seconds(mut self, seconds: f64) -> Self {
        self.piece_seconds = seconds;
        self
    }

    /// Sets [`Self::silence_decibels`] and [`Self::silence_seconds`].
    #[must_use]
    pub fn with_silence(mut self, decibels: f64, seconds: f64) -> Self {
        (self.silence_decibels, self.silence_seconds) = (decibels, seconds);
        self
    }

    /// Refuses settings that make no pieces.
    pub(super) fn validate(&self) -> Result<()> {
        let fits = |value: f64, least: f64, most: f64| (least..=most).contains(&value);
        if !fits(self.piece_seconds, 1.0, 7200.0) {
            return Err(Error::invalid(format!("piece_seconds is {}; give 1 to 7200", self.piece_seconds)));
        }
        if !fits(self.silence_decibels, -120.0, 0.0) || !fits(self.silence_seconds, 0.1, 3600.0) {
            return Err(Error::invalid(format!(
                "silence of {} dB and {} s; give -120 to 0 dB and 0.1 to 3600 s",
                self.silence_decibels, self.silence_seconds
            )));
        }
        Ok(())
    }

    /// Returns the cache key of a transcript, apart from the video's content.
    fn key(&self, language: Option<&str>) -> String {
        let said = format!(
            "{VERSION}\0{}\0{language:?}\0{}\0{}\0{}",
            self.transcriber.info().model,
            self.piece_seconds,
            self.silence_decibels,
            self.silence_seconds
        );
        Sha256::digest(said.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The part of a run that a transcription needs.
pub(super) struct SpeechJob<'r> {
    pub(super) ffmpeg: &'r Ffmpeg,
    pub(super) tenant: &'r TenantId,
    pub(super) language: Option<&'r str>,
    pub(super) progress: &'r (dyn Fn(ProgressEvent) + Sync),
}

impl Speech {
    /// Returns the transcript of a video: from the cache or the transcriber.
    pub(super) async fn words(
        &self,
        job: &SpeechJob<'_>,
        file: &VideoFile,
        probe: &Probe,
    ) -> Result<(TranscriptSource, Transcript)> {
        if !probe.has_audio {
            return Ok((TranscriptSource::NoSound, Transcript::default()));
        }
        let tenant = job.tenant;
        let key = self.key(job.language);
        if let Some(kept) = &self.kept
            && let Some(transcription) = kept.read(tenant, &file.digest, &key).await?
        {
            return Ok((TranscriptSource::Kept, Transcript::from_transcription(transcription)?));
        }
        let span = telemetry::transcribe(tenant, &self.transcriber.info().model);
        let made = self.transcribe(job, file).instrument(span.clone()).await;
        let transcription = made.inspect_err(|error| span.in_scope(|| telemetry::failed(error)))?;
        if let Some(kept) = &self.kept
            && let Err(error) = kept.write(tenant, &file.digest, &key, &transcription).await
        {
            // The words are there; only the next run has to ask for them again.
            tracing::warn!(tenant.id = %tenant, "a transcript could not be kept: {}", error.chain());
        }
        Ok((TranscriptSource::Transcribed, Transcript::from_transcription(transcription)?))
    }

    async fn transcribe(&self, job: &SpeechJob<'_>, file: &VideoFile) -> Result<Transcription> {
        let sound = Sound::of(job.ffmpeg, &file.path, self.silence_decibels, self.silence_seconds).await?;
        let pieces = pieces::plan(sound.seconds, &sound.silences, self.piece_seconds);
        telemetry::pieces(pieces.len(), pieces.iter().map(pieces::Piece::seconds).sum());
        let asked = job.language.map(str::to_owned);
        let (mut parts, mut language) = (Vec::new(), asked.clone());
        for (number, piece) in pieces.iter().enumerate() {
            let name = file.path.display().to_string();
            (job.progress)(ProgressEvent::Transcribing { name, piece: number + 1, of: pieces.len() });
            let audio = sound.cut(piece).await?;
            let request = TranscribeRequest::new(audio.path()).with_language(asked.clone());
            let heard = self.transcriber.transcribe(&request).await.map_err(|e| {
                e.with_context("from_second", format!("{:.1}", piece.from))
                    .with_context("model", &self.transcriber.info().model)
            })?;
            check_times(&heard, piece.seconds())
                .map_err(|e| e.with_context("model", &self.transcriber.info().model))?;
            parts.extend(piece.place(&heard.cues));
            language = language.or(heard.language);
        }
        Ok(Transcription::from_parts(parts)?.with_language(language))
    }
}

/// The number of seconds by which a model may place words past the end of the audio, as it works in windows.
const BEYOND: f64 = 60.0;

/// Refuses times that are not in seconds, whose words would be lost or misplaced.
fn check_times(heard: &Transcription, seconds: f64) -> Result<()> {
    match heard.cues.iter().find(|cue| cue.range.end() > seconds + BEYOND) {
        None => Ok(()),
        Some(cue) => Err(Error::unexpected(format!(
            "the transcriber gave a cue from {} to {} s in a sound of {seconds:.1} s: it does not count in seconds; use another server or model",
            cue.range.start(),
            cue.range.end()
        ))),
    }
}
