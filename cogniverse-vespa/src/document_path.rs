//! Addresses of `/document/v1`, and document ids as Vespa writes them.

use cogniverse_core::schemas::Schema;
use cogniverse_sdk::{DocumentId, Error, Result, TenantSchema, schema::FieldType};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but what RFC 3986 leaves unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');

/// A text as one part of a path or a query.
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The path of a document type's document.
pub(crate) fn type_path(namespace: &str, schema: &str, user: &str) -> String {
    format!("/document/v1/{namespace}/{schema}/docid/{}", utf8_percent_encode(user, RESERVED))
}

/// The path of a document of a group; without a user part, of all its documents.
pub(crate) fn group_path(namespace: &str, schema: &str, group: &str, user: &str) -> String {
    let (group, user) = (utf8_percent_encode(group, RESERVED), utf8_percent_encode(user, RESERVED));
    format!("/document/v1/{namespace}/{schema}/group/{group}/{user}")
}

/// The path of all documents of a type.
pub(crate) fn all_path(namespace: &str, schema: &str) -> String {
    format!("/document/v1/{namespace}/{schema}/docid")
}

/// Refuses the two ids that no path can name: every client and proxy reads them as a step in the path, escaped or not.
pub(crate) fn check_id(id: &DocumentId) -> Result<()> {
    match id.as_str() {
        "." | ".." => Err(Error::invalid(format!("the document id \"{id}\" means a step in a path; give another"))),
        _ => Ok(()),
    }
}

/// Which fields an answer holds.
pub(crate) fn field_set(name: &TenantSchema, schema: &Schema, vectors: bool) -> String {
    let fields = schema.fields().iter().filter(|field| vectors || !matches!(field.field_type, FieldType::Tensor(_)));
    let fields: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
    if fields.is_empty() { "[id]".to_owned() } else { format!("{}:{}", name.physical_name(), fields.join(",")) }
}

/// `id:<namespace>:<type>::<user>` in its parts that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FullId<'t> {
    pub(crate) namespace: &'t str,
    pub(crate) schema: &'t str,
    pub(crate) user: &'t str,
}

impl<'t> FullId<'t> {
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let mut parts = text.strip_prefix("id:")?.splitn(4, ':');
        let (namespace, schema, _group, user) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self { namespace, schema, user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_06_any_id_is_one_part_of_the_path() {
        for (id, path) in [
            ("v/1", "v%2F1"),
            ("a b%c", "a%20b%25c"),
            ("ü?x#y&z", "%C3%BC%3Fx%23y%26z"),
            ("../../other/docid/1", "..%2F..%2Fother%2Fdocid%2F1"),
        ] {
            let path = format!("/document/v1/ns/video/docid/{path}");
            assert_eq!(type_path("ns", "video", id), path);
            let url = url::Url::parse("http://h:1").unwrap().join(&path).unwrap();
            assert_eq!(url.path(), path, "nothing is resolved away");
        }
        for step in [".", ".."] {
            assert!(check_id(&DocumentId::parse(step).unwrap()).is_err());
        }
        assert!(check_id(&DocumentId::parse("...").unwrap()).is_ok());
    }

    #[test]
    fn ids_are_taken_apart() {
        let id = FullId::parse("id:ns:video_acme::v/1:2::3").unwrap();
        assert_eq!((id.namespace, id.schema, id.user), ("ns", "video_acme", "v/1:2::3"));
        assert_eq!(FullId::parse("id:ns:video:g=a:x").unwrap().user, "x");
        assert!(FullId::parse("index:video/0/abc").is_none());
    }
}
