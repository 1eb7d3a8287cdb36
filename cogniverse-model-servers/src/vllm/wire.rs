//! `POST /pooling`, as vLLM serves it: texts as `input`, pictures as `messages`; rows of floats come back as `data[i].data`.

use serde::{Deserialize, Serialize};

/// Texts as a list.
#[derive(Serialize)]
pub(super) struct Texts<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

impl<'a> Texts<'a> {
    pub(crate) fn new(model: &'a str, input: &'a [String]) -> Self {
        Self { model, input, encoding_format: "float" }
    }
}

/// One message.
#[derive(Serialize)]
pub(super) struct Chat<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    encoding_format: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Address<'a> },
}

#[derive(Serialize)]
struct Address<'a> {
    url: &'a str,
}

impl<'a> Chat<'a> {
    fn new(model: &'a str, content: Vec<Part<'a>>) -> Self {
        Self { model, messages: [Message { role: "user", content }], encoding_format: "float" }
    }

    pub(crate) fn text(model: &'a str, text: &'a str) -> Self {
        Self::new(model, vec![Part::Text { text }])
    }

    pub(crate) fn picture(model: &'a str, uri: &'a str, prompt: &'a str) -> Self {
        let mut content = vec![Part::ImageUrl { image_url: Address { url: uri } }];
        if !prompt.is_empty() {
            content.push(Part::Text { text: prompt });
        }
        Self::new(model, content)
    }
}

#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) data: Vec<Item>,
}

#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) index: usize,
    /// A row a token. Older releases call it `embedding`.
    #[serde(alias = "embedding")]
    pub(super) data: Vec<Vec<f32>>,
}
