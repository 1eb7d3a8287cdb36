//! Words for videos that have no transcript beside them.

mod audio;
mod command;
mod kept;
mod pieces;

pub use command::CommandTranscriber;
pub use kept::KeptTranscripts;

use super::{
    ffmpeg::{Ffmpeg, Probe},
    fingerprint::VideoFile,
    pipeline::Run,
    progress::ProgressEvent,
    report::TranscriptSource,
    telemetry,
};
use crate::transcript::Transcript;
use audio::Sound;
use cogniverse_sdk::{
    Error, Result,
    transcriber::{TranscribeRequest, Transcriber, Transcription},
};
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc};
use tracing::Instrument;

/// Counts up when the same model would be asked in another way, so that older transcripts are made anew.
const VERSION: u32 = 1;

/// What becomes of a video whose speech could not be written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpeechFailure {
    /// It fails: nothing of it is stored or changed, and the next run tries again.
    #[default]
    FailVideo,
    /// Its segments are stored without words, in place of what an earlier run stored of them, and it counts as partial; the
    /// next run tries again.
    StoreWithoutWords,
}

/// Who writes down what is said, and how. Each setting but the transcriber has a default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Speech {
    /// Who.
    pub transcriber: Arc<dyn Transcriber>,
    /// Where transcripts are kept, so that a second run needs none (default none: they are not kept).
    pub kept: Option<KeptTranscripts>,
    /// What becomes of a video whose speech could not be written down (default [`SpeechFailure::FailVideo`]).
    pub on_failure: SpeechFailure,
    /// The longest piece that is sent at once, in seconds (default 600).
    pub piece_seconds: f64,
    /// How loud silence may be, in decibels below the loudest possible (default -45).
    pub silence_decibels: f64,
    /// How long it must last to be cut out, in seconds (default 1).
    pub silence_seconds: f64,
}

impl Speech {
    /// A transcriber with the defaults.
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

    /// Keeps transcripts in a folder, each tenant's in one of its own.
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

    /// What, beside the video's content, decides what its transcript says.
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

impl Run {
    /// What is said in a video: from a file beside it, kept from an earlier run, or written down now.
    pub(super) async fn words(&self, file: &VideoFile, probe: &Probe) -> (TranscriptSource, Result<Transcript>) {
        match self.find_words(file, probe).await {
            Ok((source, transcript)) => (source, Ok(transcript)),
            Err(error) => (TranscriptSource::Failed, Err(error)),
        }
    }

    async fn find_words(&self, file: &VideoFile, probe: &Probe) -> Result<(TranscriptSource, Transcript)> {
        let Some(speech) = &self.ingestor.speech else { return Ok((TranscriptSource::None, Transcript::default())) };
        if !probe.has_audio {
            return Ok((TranscriptSource::NoSound, Transcript::default()));
        }
        let tenant = self.target.tenant();
        let key = speech.key(self.language.as_deref());
        if let Some(kept) = &speech.kept
            && let Some(transcription) = kept.read(tenant, &file.digest, &key).await?
        {
            return Ok((TranscriptSource::Kept, Transcript::from_transcription(transcription)?));
        }
        let span = telemetry::transcribe(tenant, &speech.transcriber.info().model);
        let made = self.transcribe(speech, file).instrument(span.clone()).await;
        let transcription = made.inspect_err(|error| span.in_scope(|| telemetry::failed(error)))?;
        if let Some(kept) = &speech.kept
            && let Err(error) = kept.write(tenant, &file.digest, &key, &transcription).await
        {
            // The words are there; only the next run has to ask for them again.
            tracing::warn!(tenant.id = %tenant, "a transcript could not be kept: {}", error.chain());
        }
        Ok((TranscriptSource::Transcribed, Transcript::from_transcription(transcription)?))
    }

    async fn transcribe(&self, speech: &Speech, file: &VideoFile) -> Result<Transcription> {
        let ffmpeg: &Ffmpeg = &self.ingestor.ffmpeg;
        let sound = Sound::of(ffmpeg, &file.path, speech).await?;
        let pieces = pieces::plan(sound.seconds, &sound.silences, speech.piece_seconds);
        telemetry::pieces(pieces.len(), pieces.iter().map(pieces::Piece::seconds).sum());
        let (mut parts, mut language) = (Vec::new(), self.language.clone());
        for (number, piece) in pieces.iter().enumerate() {
            let name = file.path.display().to_string();
            self.tell(ProgressEvent::Transcribing { name, piece: number + 1, of: pieces.len() });
            let audio = sound.cut(piece).await?;
            let request = TranscribeRequest::new(audio.path()).with_language(self.language.clone());
            let heard = speech.transcriber.transcribe(&request).await.map_err(|e| {
                e.with_context("from_second", format!("{:.1}", piece.from))
                    .with_context("model", &speech.transcriber.info().model)
            })?;
            parts.extend(piece.place(&heard.cues));
            language = language.or(heard.language);
        }
        Ok(Transcription::from_parts(parts)?.with_language(language))
    }
}
