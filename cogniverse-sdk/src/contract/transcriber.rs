//! The contract suite of [`crate::Transcriber`].

#![expect(clippy::expect_used, reason = "a contract suite asserts")]

use super::Outcome;
use crate::{
    Transcriber,
    transcriber::{TranscribeRequest, Transcription},
};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// The sample rate, in samples per second.
const RATE: u32 = 16_000;

/// A temporary audio file, removed on drop.
struct Sound(PathBuf);

impl Sound {
    fn new(bytes: &[u8]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cogniverse-sound-{}-{}.wav", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("write a sound");
        Self(path)
    }

    fn request(&self) -> TranscribeRequest {
        TranscribeRequest::new(&self.0)
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Encodes samples as a WAV file: 16-bit, one channel, 16 kHz.
#[must_use]
pub fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = u32::try_from(samples.len() * 2).expect("a short sound");
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&bytes.to_le_bytes());
    samples.iter().for_each(|sample| file.extend_from_slice(&sample.to_le_bytes()));
    file
}

/// Encodes the given number of seconds of silence.
fn silence(seconds: usize) -> Vec<u8> {
    wav(&vec![0; RATE as usize * seconds])
}

fn fits(made: &Transcription) {
    let mut before = 0.0;
    for cue in &made.cues {
        assert!(cue.range.start() >= before, "cues overlap at {before} s");
        assert!(!cue.text.trim().is_empty(), "a cue without words");
        before = cue.range.end();
    }
}

/// Silent audio is not an error; any cues have ordered times.
pub async fn silence_is_no_error(transcriber: &dyn Transcriber) -> Outcome {
    assert!(!transcriber.info().model.is_empty());
    for seconds in [1, 3] {
        let sound = Sound::new(&silence(seconds));
        fits(&transcriber.transcribe(&sound.request()).await.expect("transcribe silence"));
    }
    Outcome::Ran
}

/// A language hint is accepted.
pub async fn a_language_may_be_said(transcriber: &dyn Transcriber) -> Outcome {
    let sound = Sound::new(&silence(1));
    let request = sound.request().with_language(Some("en".to_owned()));
    fits(&transcriber.transcribe(&request).await.expect("transcribe with a language"));
    Outcome::Ran
}

/// A missing file is an error, never an empty transcript.
pub async fn a_missing_file_is_an_error(transcriber: &dyn Transcriber) -> Outcome {
    let missing = TranscribeRequest::new(Path::new("/nowhere/at/all.wav"));
    assert!(transcriber.transcribe(&missing).await.is_err());
    Outcome::Ran
}

/// A file that is not audio is an error, never an empty transcript.
pub async fn what_is_no_audio_is_an_error(transcriber: &dyn Transcriber) -> Outcome {
    let text = Sound::new(b"this is no sound at all, whatever its name says");
    assert!(transcriber.transcribe(&text.request()).await.is_err());
    Outcome::Ran
}

/// Expands to one test per case.
#[macro_export]
macro_rules! transcriber_contract {
    (make: $make:expr, skips: [$($skip:literal),* $(,)?]) => {
        $crate::contract_cases! {
            transcriber, $make, [$($skip),*];
            silence_is_no_error, a_language_may_be_said, a_missing_file_is_an_error, what_is_no_audio_is_an_error
        }
    };
}
