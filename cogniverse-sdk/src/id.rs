//! Validated string ids, made only by `parse`.

use crate::{Error, ErrorCode};

/// The error of a text that is not a valid id, with the value and the reason.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("invalid {kind} {value:?}: {reason}")]
pub struct InvalidId {
    pub(crate) kind: &'static str,
    pub(crate) value: String,
    pub(crate) reason: &'static str,
}

impl From<InvalidId> for Error {
    fn from(invalid: InvalidId) -> Self {
        Error::of(ErrorCode::NameInvalid, invalid.to_string())
    }
}

macro_rules! string_id {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Parses and validates an id.
            ///
            /// # Errors
            /// [`InvalidId`](crate::id::InvalidId) with the value and the reason.
            pub fn parse(text: impl AsRef<str>) -> std::result::Result<Self, $crate::id::InvalidId> {
                let text = text.as_ref();
                $check(text).map_err(|reason| $crate::id::InvalidId {
                    kind: stringify!($name),
                    value: text.chars().take(80).collect(),
                    reason,
                })?;
                Ok(Self(text.into()))
            }

            /// Returns the id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::InvalidId;
            fn from_str(text: &str) -> std::result::Result<Self, $crate::id::InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::id::InvalidId;
            fn try_from(text: String) -> std::result::Result<Self, $crate::id::InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

pub(crate) use string_id;

string_id! {
    /// A customer of the service: 1 to 64 ASCII letters, digits, `_`, `-`, `.` or `:`, starting with a letter or
    /// digit.
    ///
    /// There is no default tenant; every id must be parsed from a name:
    ///
    /// ```compile_fail
    /// let tenant = cogniverse_sdk::TenantId::default();
    /// ```
    TenantId, tenant
}
impl TenantId {
    /// Returns the name of the tenant's folder. The mapping is injective and safe on case-insensitive file systems:
    /// `[a-z0-9_-]` stay as they are, every other byte becomes `%` and two hex digits.
    #[must_use]
    pub fn file_name(&self) -> String {
        let mut name = String::with_capacity(self.as_str().len());
        for byte in self.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
                other => name.push_str(&format!("%{other:02x}")),
            }
        }
        name
    }
}

string_id! {
    /// The name of a profile, which sets how a kind of video content is segmented, encoded and ranked: 1 to 100 of
    /// `[A-Za-z0-9_-]`.
    ProfileName, profile
}
string_id! {
    /// The name of a base schema: 1 to 64 of `[a-z0-9_]`, starting with a letter.
    SchemaName, schema
}
string_id! {
    /// The name of a base schema's field: 1 to 64 of `[A-Za-z0-9_]`, not starting with a digit.
    FieldName, word
}
string_id! {
    /// The name of a base schema's rank profile: 1 to 64 of `[A-Za-z0-9_]`, not starting with a digit.
    StrategyName, word
}
string_id! {
    /// The id of a document within one tenant schema: 1 to 512 bytes without control characters.
    DocumentId, document
}
string_id! {
    /// The id of a video within one tenant: 1 to 256 bytes without control characters.
    VideoId, video
}

fn length(text: &str, max: usize, reason: &'static str) -> Result<(), &'static str> {
    match text.len() {
        0 => Err("it is empty"),
        n if n > max => Err(reason),
        _ => Ok(()),
    }
}

fn tenant(text: &str) -> Result<(), &'static str> {
    length(text, 64, "it is longer than 64 characters")?;
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':')) {
        return Err("it has a character outside [A-Za-z0-9_.:-]");
    }
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err("it must start with a letter or digit")
    }
}

fn profile(text: &str) -> Result<(), &'static str> {
    length(text, 100, "it is longer than 100 characters")?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        Ok(())
    } else {
        Err("it has a character outside [A-Za-z0-9_-]")
    }
}

fn schema(text: &str) -> Result<(), &'static str> {
    length(text, 64, "it is longer than 64 characters")?;
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err("it has a character outside [a-z0-9_]");
    }
    if text.starts_with(|c: char| c.is_ascii_lowercase()) {
        Ok(())
    } else {
        Err("it must start with a lower-case letter")
    }
}

fn word(text: &str) -> Result<(), &'static str> {
    length(text, 64, "it is longer than 64 characters")?;
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err("it has a character outside [A-Za-z0-9_]");
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) { Err("it must not start with a digit") } else { Ok(()) }
}

fn printable(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) { Err("it has a control character") } else { Ok(()) }
}

fn document(text: &str) -> Result<(), &'static str> {
    length(text, 512, "it is longer than 512 bytes")?;
    printable(text)
}

fn video(text: &str) -> Result<(), &'static str> {
    length(text, 256, "it is longer than 256 bytes")?;
    printable(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tenants() {
        for good in ["a", "acme_corp", "acme:prod", "9lives", "A.b-c", &"x".repeat(64)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", "-a", ":a", "a b", "a/b", "é", "a\0", &"x".repeat(65), "../x"] {
            assert!(TenantId::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            TenantId::parse("a b").unwrap_err().to_string(),
            "invalid TenantId \"a b\": it has a character outside [A-Za-z0-9_.:-]"
        );
    }

    #[test]
    fn serde_validates() {
        assert!(serde_json::from_str::<TenantId>("\"../x\"").is_err());
        assert_eq!(serde_json::to_string(&TenantId::parse("a:b").unwrap()).unwrap(), "\"a:b\"");
    }

    proptest! {
        #[test]
        fn invariant_25_any_text_is_refused_or_kept(text in "\\PC*") {
            if let Ok(id) = TenantId::parse(&text) {
                prop_assert_eq!(id.as_str(), text);
            }
            let _ = (ProfileName::parse("x"), SchemaName::parse("x"), DocumentId::parse("x"));
        }
    }
}
