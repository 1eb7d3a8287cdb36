//! The role that reads text on screen: slides, signs, subtitles in the picture.

use crate::{Error, Result, frame_describer::check_pictures};
use async_trait::async_trait;
use serde_json::Value;
use std::{fmt, path::PathBuf};

/// The largest number of lines of one picture.
pub const MAX_LINES: usize = 1_000;
/// The largest number of characters of one picture.
pub const MAX_CHARS: usize = 64_000;

/// A description of a screen reader.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ScreenReaderInfo {
    /// The model, with its revision where known; part of the key under which texts are cached.
    pub model: String,
}

/// A request to read the text of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadScreensRequest {
    /// The paths of the pictures (JPEG, PNG or WebP), 1 to [`MAX_PICTURES`](crate::frame_describer::MAX_PICTURES).
    pub pictures: Vec<PathBuf>,
    /// The language of the text as an ISO 639-1 code, for readers with a model for each; `None` (the default) leaves it
    /// to the reader.
    pub language: Option<String>,
}

impl ReadScreensRequest {
    /// Creates a request for pictures.
    #[must_use]
    pub fn new(pictures: Vec<PathBuf>) -> Self {
        Self { pictures, language: None }
    }

    /// Sets the language of the text.
    #[must_use]
    pub fn with_language(mut self, language: Option<String>) -> Self {
        self.language = language;
        self
    }

    /// Validates the request. Implementations call this before they send anything.
    ///
    /// # Errors
    /// `InvalidInput` for no pictures, for too many, and for a language that is no code.
    pub fn check(&self) -> Result<()> {
        check_pictures(&self.pictures, self.language.as_deref())
    }
}

/// The text of one picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ScreenText {
    /// The lines in reading order, none of them empty. No lines: nothing is written there.
    pub lines: Vec<String>,
}

impl ScreenText {
    /// Creates a text: blanks are collapsed and empty lines dropped.
    ///
    /// # Errors
    /// `Unexpected` for more than [`MAX_LINES`] or [`MAX_CHARS`].
    pub fn new(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let (mut kept, mut characters) = (Vec::new(), 0);
        for line in lines {
            let line = line.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
            characters += line.chars().count();
            if kept.len() >= MAX_LINES || characters > MAX_CHARS {
                return Err(Error::unexpected(format!(
                    "the screen reader answered more than {MAX_LINES} lines or {MAX_CHARS} characters of one picture; use another model"
                )));
            }
            if !line.is_empty() {
                kept.push(line);
            }
        }
        Ok(Self { lines: kept })
    }

    /// Reads the answer for `count` pictures: `{"screens": [{"lines": ["…", …]}, …]}`, one screen per picture in order.
    /// A screen may also be a list of lines or a text, and a line an object with `text`.
    ///
    /// # Errors
    /// `Unexpected` for another form, for another number of screens, and what [`Self::new`] refuses.
    pub fn from_answer(answer: &Value, count: usize) -> Result<Vec<Self>> {
        let screens = answer.get("screens").unwrap_or(answer).as_array();
        let screens = screens.ok_or_else(|| form("there is no list of screens", answer))?;
        if screens.len() != count {
            return Err(form(&format!("{} screens for {count} pictures", screens.len()), answer));
        }
        screens.iter().map(Self::from_value).collect()
    }

    fn from_value(screen: &Value) -> Result<Self> {
        match screen.get("lines").or_else(|| screen.get("text")).unwrap_or(screen) {
            Value::String(text) => Self::new(text.lines()),
            Value::Array(lines) => {
                let text = |line: &Value| line.get("text").unwrap_or(line).as_str().map(str::to_owned);
                let lines: Option<Vec<String>> = lines.iter().map(text).collect();
                Self::new(lines.ok_or_else(|| form("a line is no text", screen))?)
            }
            _ => Err(form("a screen has no lines", screen)),
        }
    }
}

fn form(why: &str, answer: &Value) -> Error {
    let said: String = answer.to_string().chars().take(300).collect();
    Error::unexpected(format!(
        "the screen reader's answer cannot be read: {why}; it answers {{\"screens\": [{{\"lines\": [\"…\"]}}]}}"
    ))
    .with_withheld(said)
}

/// A model that reads text in pictures.
///
/// # Contract
/// Returns one [`ScreenText`] per picture, in order. A picture without text gives no lines and no error. A picture is
/// never left out silently.
///
/// # Errors
/// What [`ReadScreensRequest::check`] refuses; `NotFound`, `Unavailable` or `InvalidInput` for a file that is missing,
/// unreadable, too large or no picture; `Unavailable`, `Timeout` or `RateLimited`, with a retry hint, where the model
/// cannot be reached or is busy; `FailedPrecondition` where a program is not installed; `Unexpected` for an answer that
/// cannot be read.
///
/// # Cancellation
/// Dropping the future may waste work and leaves no state behind.
#[async_trait]
pub trait ScreenReader: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the reader.
    fn info(&self) -> &ScreenReaderInfo;

    /// Reads the text of each picture.
    async fn read_screens(&self, request: &ReadScreensRequest) -> Result<Vec<ScreenText>>;
}

const _: fn(&dyn ScreenReader) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_read_liberally_and_counted_strictly() {
        let two = [vec!["Title".to_owned(), "a b".to_owned()], vec![]];
        for answer in [
            json!({"id": 3, "screens": [{"lines": ["Title", " a  b ", " "]}, {"lines": []}]}),
            json!({"screens": [["Title", "a b"], []]}),
            json!({"screens": [{"text": "Title\n\na b"}, ""]}),
            json!([{"lines": [{"text": "Title", "confidence": 0.9}, {"text": "a b"}]}, {"lines": []}]),
        ] {
            let read = ScreenText::from_answer(&answer, 2).unwrap();
            assert_eq!(read.iter().map(|text| text.lines.clone()).collect::<Vec<_>>(), two, "{answer}");
        }
        let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
        for (answer, part) in [
            (json!({"screens": [["secret"]]}), "1 screens for 2"),
            (json!({"error": "secret"}), "no list of screens"),
            (json!({"screens": [["secret"], null]}), "no lines"),
            (json!({"screens": [["secret"], [7]]}), "no text"),
            (json!({"screens": [[], many]}), "more than 1000 lines"),
            (json!({"screens": ["x".repeat(70_000), ""]}), "64000 characters"),
        ] {
            let error = ScreenText::from_answer(&answer, 2).unwrap_err();
            assert!(error.to_string().contains(part) && !error.chain().contains("secret"), "{part}: {error:?}");
        }
    }
}
