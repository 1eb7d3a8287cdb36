//! Keys of JSON objects.

use std::borrow::Cow;

/// A key, borrowed where it holds no escape.
#[derive(serde::Deserialize)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);
