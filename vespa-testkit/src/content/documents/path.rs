//! The paths of `/document/v1`.

use crate::content::document_id::{DocumentId, Place};
use percent_encoding::percent_decode_str;

/// What a path means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route {
    /// `/document/v1/`
    All,
    /// The documents of a type in a namespace, or of one group of them.
    Type { namespace: String, document_type: String, place: Place },
    /// One document.
    Document(DocumentId),
}

/// A path that exists.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    pub(super) route: Route,
    /// As it was sent.
    pub(super) text: String,
}

impl Path {
    /// None where no such path exists; an error where a part of it is wrong.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let rest = text.strip_prefix("/document/v1")?;
        let path = |route| Some(Ok(Self { route, text: text.to_owned() }));
        let segments: Vec<&str> = rest.strip_prefix('/').unwrap_or(rest).split('/').collect();
        let (namespace, document_type, kind, rest) = match segments.as_slice() {
            [] | [""] => return path(Route::All),
            [namespace, document_type, kind, rest @ ..] => (decode(namespace), decode(document_type), *kind, rest),
            _ => return None,
        };
        let (place, rest) = match (kind, rest) {
            ("docid", rest) => (Place::Rest, rest),
            ("group", [group, rest @ ..]) => (Place::Group(decode(group)), rest),
            ("number", [number, rest @ ..]) => match number.parse() {
                Ok(number) => (Place::Number(number), rest),
                Err(_) => return Some(Err(format!("Failed parsing '{number}': For input string: \"{number}\""))),
            },
            _ => return None,
        };
        // A slash at the end changes nothing.
        let rest = match rest {
            [rest @ .., ""] => rest,
            rest => rest,
        };
        let rest = rest.iter().map(|part| decode(part)).collect::<Vec<_>>().join("/");
        if rest.is_empty() {
            return path(Route::Type { namespace, document_type, place });
        }
        path(Route::Document(DocumentId { namespace, document_type, place, rest }))
    }

    /// What may be done there.
    pub(super) fn methods(&self) -> &'static [&'static str] {
        match self.route {
            Route::All => &["GET", "POST", "DELETE"],
            _ => &["GET", "POST", "PUT", "DELETE"],
        }
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The message where nothing is.
pub(super) fn unknown(path: &str) -> String {
    let paths = [
        "/document/v1/",
        "/document/v1/{namespace}/{documentType}/docid/",
        "/document/v1/{namespace}/{documentType}/group/{group}/",
        "/document/v1/{namespace}/{documentType}/number/{number}/",
        "/document/v1/{namespace}/{documentType}/docid/{*}",
        "/document/v1/{namespace}/{documentType}/group/{group}/{*}",
        "/document/v1/{namespace}/{documentType}/number/{number}/{*}",
    ];
    format!("Nothing at '{path}'. Available paths are:\n{}", paths.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded_once() {
        let id = |path: &str| match Path::parse(path).unwrap().unwrap().route {
            Route::Document(id) => id.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(id("/document/v1/ns/t/docid/a%2Fb%25%C3%BC"), "id:ns:t::a/b%ü");
        assert_eq!(id("/document/v1/ns/t/docid/a/b%20c/"), "id:ns:t::a/b c");
        assert_eq!(id("/document/v1/ns/t/docid/%252F"), "id:ns:t::%2F");
        assert_eq!(id("/document/v1/ns/t/group/g%2F1/x"), "id:ns:t:g=g/1:x");
        assert_eq!(id("/document/v1/ns/t/number/5/x"), "id:ns:t:n=5:x");
        assert!(Path::parse("/document/v1/ns/t/number/z/x").unwrap().is_err());
        for nothing in ["/document/v1/ns", "/document/v1/ns/t", "/document/v1/ns/t/nope/x", "/document/v2/x"] {
            assert!(Path::parse(nothing).is_none(), "{nothing}");
        }
    }
}
