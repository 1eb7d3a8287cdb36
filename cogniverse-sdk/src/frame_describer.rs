//! The role that describes what the pictures of a segment show.

use crate::{Error, Result, language_model::json_in};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{fmt, path::PathBuf};

/// The largest number of pictures of one request.
pub const MAX_PICTURES: usize = 16;
/// The largest answer of a model, in bytes. What is longer is a model that repeats itself.
pub const MAX_ANSWER_BYTES: usize = 16 << 10;
/// The largest number of characters of a description.
pub const MAX_TEXT_CHARS: usize = 4_000;
/// The largest number of tags.
pub const MAX_TAGS: usize = 32;
/// The largest number of characters of a tag.
pub const MAX_TAG_CHARS: usize = 80;
/// The version of [`DescribeRequest::prompt`], part of the key under which descriptions are cached.
pub const PROMPT_VERSION: u32 = 1;

/// A description of a frame describer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct DescriberInfo {
    /// The model, with its revision where known; part of the key under which descriptions are cached.
    pub model: String,
}

/// A request to describe the pictures of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescribeRequest {
    /// The paths of the pictures (JPEG, PNG or WebP) in time order, 1 to [`MAX_PICTURES`].
    pub pictures: Vec<PathBuf>,
    /// The language of the description as an ISO 639-1 code; `None` (the default) leaves it to the model.
    pub language: Option<String>,
}

impl DescribeRequest {
    /// Creates a request for pictures in time order.
    #[must_use]
    pub fn new(pictures: Vec<PathBuf>) -> Self {
        Self { pictures, language: None }
    }

    /// Sets the language of the description.
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

    /// Returns the instruction for a general model, whose answer [`FrameDescription::from_answer`] reads.
    #[must_use]
    pub fn prompt(&self) -> String {
        let what = match self.pictures.len() {
            1 => "This picture is a frame of a video.",
            _ => "These pictures are frames of one scene of a video, in order of time.",
        };
        let language = match &self.language {
            Some(code) => format!(" Write in the language with the ISO 639-1 code \"{code}\"."),
            None => String::new(),
        };
        format!(
            "{what} Describe what can be seen in one or two plain sentences: people, things, places and actions. \
             Name only what is visible. Then give up to ten short tags.{language} \
             Answer with JSON: {{\"description\": \"...\", \"tags\": [\"...\"]}}"
        )
    }

    /// Returns the JSON schema of the answer to [`Self::prompt`].
    #[must_use]
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "description": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["description", "tags"],
            "additionalProperties": false,
        })
    }
}

/// Validates the pictures and the language of a request.
pub(crate) fn check_pictures(pictures: &[PathBuf], language: Option<&str>) -> Result<()> {
    if !(1..=MAX_PICTURES).contains(&pictures.len()) {
        return Err(Error::invalid(format!("{} pictures are given; give 1 to {MAX_PICTURES}", pictures.len())));
    }
    let is_code = |code: &str| {
        (2..=16).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match language.filter(|code| !is_code(code)) {
        Some(code) => Err(Error::invalid(format!("the language {code:?} is not a code; give one such as \"en\""))),
        None => Ok(()),
    }
}

/// A description of the pictures of a segment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct FrameDescription {
    /// The description, in one line. The language is the model's.
    pub text: String,
    /// The tags, each once, in the model's order.
    pub tags: Vec<String>,
}

impl FrameDescription {
    /// Creates a description: blanks are collapsed, and a tag that is empty or repeated (without regard to case) is
    /// dropped.
    ///
    /// # Errors
    /// `Unexpected` where neither a text nor a tag is left, for a text of more than [`MAX_TEXT_CHARS`], and for more
    /// than [`MAX_TAGS`] tags or a tag of more than [`MAX_TAG_CHARS`].
    pub fn new(text: &str, tags: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let text = one_line(text);
        let mut kept: Vec<String> = Vec::new();
        for tag in tags {
            let tag = one_line(tag.as_ref().trim().trim_start_matches('#'));
            if !tag.is_empty() && !kept.iter().any(|known| known.to_lowercase() == tag.to_lowercase()) {
                kept.push(tag);
            }
            if kept.len() > MAX_TAGS {
                return Err(too_long(&format!("more than {MAX_TAGS} tags")));
            }
        }
        if text.is_empty() && kept.is_empty() {
            return Err(Error::unexpected("the describer answered neither a description nor a tag; use another model"));
        }
        let characters = text.chars().count();
        if characters > MAX_TEXT_CHARS {
            return Err(too_long(&format!("a description of {characters} characters, more than {MAX_TEXT_CHARS}")));
        }
        if kept.iter().any(|tag| tag.chars().count() > MAX_TAG_CHARS) {
            return Err(too_long(&format!("a tag of more than {MAX_TAG_CHARS} characters")));
        }
        Ok(Self { text, tags: kept })
    }

    /// Reads the answer of a model. JSON is found in a Markdown fence, behind a `<think>` block and within prose; its
    /// description may be called `description`, `caption` or `text`, and its tags may be a list or one string with
    /// commas. An answer that is no JSON is taken as the description itself.
    ///
    /// # Errors
    /// `Unexpected` for more than [`MAX_ANSWER_BYTES`], for JSON that is cut or has no description, for an answer that
    /// ends within its `<think>` block, and what [`Self::new`] refuses.
    pub fn from_answer(answer: &str) -> Result<Self> {
        if answer.len() > MAX_ANSWER_BYTES {
            let said: String = answer.chars().take(300).collect();
            return Err(too_long(&format!("{} bytes, more than {MAX_ANSWER_BYTES}", answer.len())).with_withheld(said));
        }
        match json_in(answer, true).map(serde_json::from_str) {
            Some(Ok(value @ Value::Object(_))) => return Self::from_value(&value),
            Some(Ok(Value::String(said))) => return Self::new(&said, [""; 0]),
            _ => {}
        }
        let said = match answer.rsplit_once("</think>") {
            Some((_, said)) => said,
            None if answer.contains("<think>") => {
                return Err(Error::unexpected("the describer thought until its answer was cut; allow it more tokens")
                    .with_withheld(answer));
            }
            None => answer,
        };
        let said = said.trim().trim_start_matches('\u{feff}').trim_matches('`').trim();
        if said.starts_with(['{', '[']) || said.starts_with("json") {
            return Err(Error::unexpected("the describer answered JSON that cannot be read").with_withheld(answer));
        }
        Self::new(said, [""; 0])
    }

    /// Reads the JSON object of an answer, as [`Self::from_answer`] does.
    ///
    /// # Errors
    /// `Unexpected` for an object without a description and without tags, and what [`Self::new`] refuses.
    pub fn from_value(value: &Value) -> Result<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| value.get(name).filter(|value| !value.is_null()));
        let text = first(&["description", "caption", "text"]);
        let tags: Vec<&str> = match first(&["tags", "keywords", "labels"]) {
            Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(tags)) => tags.split([',', ';', '\n']).collect(),
            _ => Vec::new(),
        };
        match text.map(Value::as_str) {
            Some(Some(text)) => Self::new(text, tags),
            None if !tags.is_empty() => Self::new("", tags),
            _ => {
                Err(Error::unexpected("the describer answered JSON without a description")
                    .with_withheld(value.to_string()))
            }
        }
    }

    /// Returns description and tags as the text of a segment: the tags stand in a line of their own.
    #[must_use]
    pub fn to_segment_text(&self) -> String {
        let tags = self.tags.join(", ");
        [self.text.as_str(), tags.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

fn too_long(what: &str) -> Error {
    Error::unexpected(format!("the describer answered {what}; limit its answers, or use another model"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A model that sees.
///
/// # Contract
/// Returns a description of all pictures together, as one scene. Pictures are never left out silently: what the model
/// cannot take is an error. A model that cannot see is refused where it is connected, and never asked to guess.
///
/// # Errors
/// What [`DescribeRequest::check`] refuses; `NotFound`, `Unavailable` or `InvalidInput` for a file that is missing,
/// unreadable, too large or no picture; `Unavailable`, `Timeout` or `RateLimited`, with a retry hint, where the model
/// cannot be reached or is busy; `FailedPrecondition` where a program is not installed; `Unexpected` for an answer that
/// cannot be read.
///
/// # Cancellation
/// Dropping the future may waste work and leaves no state behind.
#[async_trait]
pub trait FrameDescriber: fmt::Debug + Send + Sync + 'static {
    /// Returns a description of the describer.
    fn info(&self) -> &DescriberInfo;

    /// Describes the pictures of one segment.
    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription>;
}

const _: fn(&dyn FrameDescriber) = |_| {};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn read(answer: &str) -> Result<(String, Vec<String>)> {
        FrameDescription::from_answer(answer).map(|read| (read.text, read.tags))
    }

    #[test]
    fn an_answer_is_read_in_every_form_that_models_give_it() {
        let plain = r##"{"description": "A red  car\nin snow", "tags": ["car", "#Snow", "snow", " "]}"##;
        let expected = ("A red car in snow".to_owned(), vec!["car".to_owned(), "Snow".to_owned()]);
        for answer in [
            plain.to_owned(),
            format!("```json\n{plain}\n```"),
            format!("<think>a car? {{\"description\": \"wrong\"}}</think>\n{plain}"),
            format!("Sure! Here it is: {plain} I hope this helps."),
            format!("\u{feff}{plain}"),
            plain.replace("description", "caption"),
            plain.replace(r##"["car", "#Snow", "snow", " "]"##, "\"car, #Snow\""),
        ] {
            assert_eq!(read(&answer).unwrap(), expected, "{answer}");
        }
        let said = |text: &str| (text.to_owned(), Vec::new());
        assert_eq!(read("A red car.").unwrap(), said("A red car."));
        assert_eq!(read("<think>hm</think>A red car.").unwrap(), said("A red car."));
        assert_eq!(read("\"A red car.\"").unwrap(), said("A red car."));
        assert_eq!(read(r#"{"description": "x", "tags": null}"#).unwrap(), said("x"));
        // Another language stays as it is.
        assert_eq!(read(r#"{"description": "雪の中の赤い車"}"#).unwrap(), said("雪の中の赤い車"));
        let read = FrameDescription::from_answer(plain).unwrap();
        assert_eq!(read.to_segment_text(), "A red car in snow\ncar, Snow");
        assert_eq!(FrameDescription::new("", ["a"]).unwrap().to_segment_text(), "a");
    }

    #[test]
    fn what_cannot_be_read_or_is_too_long_is_an_error_and_never_empty() {
        let long = "word ".repeat(200_000);
        let many: String = (0..40).map(|n| format!("tag{n},")).collect();
        for (answer, part) in [
            ("", "neither a description nor a tag"),
            ("  \n", "neither a description nor a tag"),
            (r#"{"description": "", "tags": []}"#, "neither a description nor a tag"),
            (r#"{"answer": "a car"}"#, "without a description"),
            (r#"{"description": 7}"#, "without a description"),
            (r#"{"description": "a ca"#, "cannot be read"),
            ("```json\n{\"description\": \"a ca", "cannot be read"),
            ("<think>a car, or perhaps", "thought until"),
            (long.as_str(), "1000000 bytes"),
            (&long[..10_000], "9999 characters"),
            (&format!(r#"{{"description": "x", "tags": "{many}"}}"#), "more than 32 tags"),
            (&format!(r#"{{"description": "x", "tags": ["{}"]}}"#, &long[..100]), "a tag of more than 80"),
        ] {
            let error = read(answer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unexpected);
            assert!(error.to_string().contains(part), "{part}: {error}");
            // What a model said may repeat what is private in a picture.
            assert!(!error.chain().contains("a ca"), "{error:?}");
        }
    }

    #[test]
    fn a_request_is_checked_and_its_prompt_names_the_language() {
        let request = |count: usize| DescribeRequest::new(vec![PathBuf::from("a.jpg"); count]);
        assert!(request(1).check().is_ok() && request(MAX_PICTURES).check().is_ok());
        for wrong in [request(0), request(17), request(1).with_language(Some("en\n".into()))] {
            assert_eq!(wrong.check().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert!(request(2).with_language(Some("de".into())).prompt().contains("\"de\""));
        assert_ne!(request(1).prompt(), request(2).prompt());
    }
}
