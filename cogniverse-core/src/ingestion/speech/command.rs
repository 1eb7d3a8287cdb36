//! Transcription by a local program.

use crate::{
    ingestion::command_line::{self, fill, last_line},
    transcript::Transcript,
};
use async_trait::async_trait;
use cogniverse_sdk::{
    Error, ErrorCode, ErrorKind, Result, Retry,
    transcriber::{TranscribeRequest, Transcriber, TranscriberInfo, Transcription},
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::Command;

/// A transcriber that runs a program which writes an `.srt`, `.vtt` or `.json` transcript, such as whisper.cpp:
/// `whisper-cli -m model.bin -l {language} -f {audio} -osrt -of {out}`.
///
/// `{audio}` is replaced by the WAV file, `{out}` by a path without extension in an empty folder, `{out_dir}` by that
/// folder, and `{language}` by the language or `auto`. No shell is involved: quotes group words, and no other
/// character is special.
#[derive(Debug, Clone)]
pub struct CommandTranscriber {
    info: TranscriberInfo,
    words: Vec<String>,
    timeout: Duration,
}

impl CommandTranscriber {
    /// Parses a command line, which also serves as the model's name until [`CommandTranscriber::with_model`] sets
    /// one.
    ///
    /// # Errors
    /// `InvalidInput` for a command line without a program, without `{audio}`, without a placeholder for the output,
    /// or with an open quote.
    pub fn parse(line: &str) -> Result<Self> {
        let words = command_line::words("the transcriber", line)?;
        let names = |name: &str| words.iter().skip(1).any(|word| word.contains(name));
        if !names("{audio}") || !(names("{out}") || names("{out_dir}")) {
            return Err(Error::invalid(format!(
                "the transcriber's command {line:?} does not say where the sound is and where the words go; name {{audio}}, and {{out}} or {{out_dir}}"
            )));
        }
        let info = TranscriberInfo { model: line.split_whitespace().collect::<Vec<_>>().join(" ") };
        Ok(Self { info, words, timeout: Duration::from_secs(3600) })
    }

    /// Sets the model's name, which is part of the key of cached transcripts.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>) -> Self {
        self.info.model = name.into();
        self
    }

    /// Sets the timeout of one piece (default one hour).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn run(&self, request: &TranscribeRequest, folder: &Path) -> Result<std::process::Output> {
        let values: [(&str, OsString); 4] = [
            ("{audio}", request.audio.clone().into()),
            ("{out}", folder.join("out").into()),
            ("{out_dir}", folder.to_owned().into()),
            ("{language}", request.language.clone().unwrap_or_else(|| "auto".to_owned()).into()),
        ];
        let mut words = self.words.iter().map(|word| fill(word, &values));
        let program = words.next().unwrap_or_default();
        let name = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(self.timeout, command.output()).await {
            Ok(Ok(output)) if output.status.success() => Ok(output),
            Ok(Ok(output)) => {
                Err(Error::new(ErrorKind::Unavailable, format!("the transcriber {name} failed with {}", output.status))
                    .with_withheld(last_line(&output.stderr)))
            }
            Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::of(
                ErrorCode::TranscriberMissing,
                format!("the transcriber {name} is not installed; install it, or name it by its whole path"),
            )
            .with_source(e)),
            Ok(Err(e)) => {
                Err(Error::new(ErrorKind::Unavailable, format!("the transcriber {name} cannot be started"))
                    .with_source(e))
            }
            Err(_) => {
                let message = format!("the transcriber {name} took longer than {:?}", self.timeout);
                Err(Error::new(ErrorKind::Timeout, message).with_retry(Retry::After(None)))
            }
        }
    }
}

#[async_trait]
impl Transcriber for CommandTranscriber {
    fn info(&self) -> &TranscriberInfo {
        &self.info
    }

    async fn transcribe(&self, request: &TranscribeRequest) -> Result<Transcription> {
        tokio::fs::metadata(&request.audio).await.map_err(|e| {
            Error::new(ErrorKind::NotFound, format!("the audio {} cannot be read", request.audio.display()))
                .with_source(e)
        })?;
        let folder = tempfile::TempDir::with_prefix("cogniverse-words-").map_err(|e| {
            let message = "no folder for a transcript can be made; check the space and rights of the temporary folder";
            Error::new(ErrorKind::Unavailable, message).with_source(e)
        })?;
        let output = self.run(request, folder.path()).await?;
        let Some(path) = written(folder.path()) else {
            let message = "the transcriber wrote no .srt, .vtt or .json to {out}; check its arguments";
            return Err(Error::unexpected(message).with_withheld(last_line(&output.stderr)));
        };
        Ok(Transcription::from_parts(Transcript::read_parts(&path)?)?.with_language(request.language.clone()))
    }
}

/// Returns the transcript in a folder, the first of the three kinds.
fn written(folder: &Path) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.sort();
    ["srt", "vtt", "json"]
        .iter()
        .find_map(|kind| files.iter().find(|file| file.extension().is_some_and(|ending| ending == *kind)).cloned())
}

#[cfg(test)]
mod tests;
