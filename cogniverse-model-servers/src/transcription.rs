//! Speech to text behind OpenAI's transcription route.

use crate::{
    client::{Body, Client},
    config::ServerConfig,
    error::not_of_the_form,
};
use async_trait::async_trait;
use cogniverse_sdk::{
    Error, ErrorKind, Result,
    transcriber::{TranscribeRequest, Transcriber, TranscriberInfo, Transcription},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The largest file that is sent: what OpenAI takes. Thirteen minutes of 16 kHz samples.
const MAX_BYTES: usize = 25 << 20;

/// The largest answer that is read: many times the words and times of the longest file.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A model behind `POST /v1/audio/transcriptions`, as OpenAI, vLLM, speaches and others serve it: a form with the file, the
/// model and `response_format=verbose_json`, answered by segments with their times.
#[derive(Debug, Clone)]
pub struct OpenAiTranscriber {
    client: Client,
    info: TranscriberInfo,
    model: String,
    max_bytes: usize,
}

#[derive(Deserialize)]
struct Answer {
    /// Always there, also for silence: an answer without it is an error that calls itself a success.
    text: String,
    language: Option<String>,
    segments: Option<Vec<Segment>>,
}

#[derive(Deserialize)]
struct Segment {
    start: f64,
    end: f64,
    text: String,
}

impl OpenAiTranscriber {
    /// A model of a server. Nothing is sent yet. The address stands before `/v1`: `http://localhost:8000`.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be used, or a model without a name.
    pub fn new(server: ServerConfig, model: impl Into<String>) -> Result<Self> {
        let model = model.into();
        if model.trim().is_empty() || model.contains(['\r', '\n']) {
            return Err(Error::invalid("the model's name is empty or has two lines; name a model of the server"));
        }
        let info = TranscriberInfo { model: model.clone() };
        Ok(Self { client: Client::new(server)?, info, model, max_bytes: MAX_BYTES })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Says which revision of the model the server runs, so that transcripts of another are not taken for its own.
    #[must_use]
    pub fn with_revision(mut self, revision: &str) -> Self {
        self.info.model = format!("{}@{revision}", self.model);
        self
    }

    /// The largest file that is sent (default 25 MB).
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    fn form(&self, audio: &[u8], language: Option<&str>) -> Result<Body> {
        // Its own hash cannot stand in a file.
        let hash = Sha256::digest(audio);
        let boundary: String = hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        let mut bytes = Vec::with_capacity(audio.len() + 1024);
        let fields = [
            ("model", self.model.as_str()),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "segment"),
            ("temperature", "0"),
        ];
        for (name, value) in fields.into_iter().chain(language.map(|language| ("language", language))) {
            let field = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            bytes.extend_from_slice(field.as_bytes());
        }
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"audio.wav\"\r\ncontent-type: audio/wav\r\n\r\n"
        );
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(audio);
        bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Body::new(&format!("multipart/form-data; boundary={boundary}"), bytes)
    }
}

#[async_trait]
impl Transcriber for OpenAiTranscriber {
    fn info(&self) -> &TranscriberInfo {
        &self.info
    }

    async fn transcribe(&self, request: &TranscribeRequest) -> Result<Transcription> {
        let language = request.language.as_deref();
        if language.is_some_and(|code| code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-')) {
            return Err(Error::invalid(format!(
                "the language {language:?} is not a language code; give one such as \"en\""
            )));
        }
        let path = request.audio.display();
        let audio = tokio::fs::read(&request.audio).await.map_err(|e| {
            let kind =
                if e.kind() == std::io::ErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Unavailable };
            Error::new(kind, format!("the audio {path} cannot be read")).with_source(e)
        })?;
        if audio.len() > self.max_bytes {
            return Err(Error::invalid(format!(
                "the audio {path} has {} bytes and at most {} are sent; cut it into shorter pieces",
                audio.len(),
                self.max_bytes
            )));
        }
        let body = self.form(&audio, language)?;
        let answer: Answer = self.client.post(&["v1", "audio", "transcriptions"], &body, MAX_ANSWER_BYTES).await?;
        let segments = answer.segments.unwrap_or_default();
        let timed = segments.iter().any(|segment| !segment.text.trim().is_empty());
        let segments = match timed {
            true => segments,
            false if answer.text.trim().is_empty() => Vec::new(),
            false => {
                return Err(not_of_the_form(
                    "POST /v1/audio/transcriptions",
                    "words without times: the server must know response_format verbose_json",
                    answer.text.as_bytes(),
                ));
            }
        };
        let parts = segments.into_iter().map(|segment| (segment.start, segment.end, segment.text));
        Ok(Transcription::from_parts(parts)?.with_language(answer.language))
    }
}
