//! Highlights of query words in results.

use cogniverse_sdk::FieldName;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use std::ops::Range;

/// A text field in which words of the query occur.
///
/// Its JSON holds the words' places twice, in bytes (`matches`) and in UTF-16 code units (`matches_utf16`, as JavaScript
/// counts), and the text as HTML with each word in a `<mark>` (`marked_html`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Snippet {
    /// The field.
    pub field: FieldName,
    /// Its whole text.
    pub text: String,
    /// Byte ranges of the words, in ascending order.
    pub matches: Vec<Range<usize>>,
}

impl Snippet {
    pub(crate) fn new(field: FieldName, text: String, matches: Vec<Range<usize>>) -> Self {
        Self { field, text, matches }
    }

    /// The text with each word between two markers, such as `**`.
    ///
    /// Nothing is escaped: for a web page use [`Snippet::marked_html`].
    #[must_use]
    pub fn marked(&self, before: &str, after: &str) -> String {
        self.joined(before, after, |text, marked| marked.push_str(text))
    }

    /// The text as HTML, with each word in a `<mark>` element. The text itself is escaped, so that a transcript cannot add
    /// markup to a page.
    #[must_use]
    pub fn marked_html(&self) -> String {
        self.joined("<mark>", "</mark>", |text, marked| {
            html_escape::encode_safe_to_string(text, marked);
        })
    }

    /// [`Snippet::matches`] in UTF-16 code units, as JavaScript, Java and C# count.
    #[must_use]
    pub fn matches_utf16(&self) -> Vec<Range<usize>> {
        let (mut units, mut last) = (0, 0);
        let mut at = |byte: usize| {
            units += self.text.get(last..byte).map_or(0, |gap| gap.encode_utf16().count());
            last = byte;
            units
        };
        let mut places = Vec::with_capacity(self.matches.len());
        for range in self.words() {
            let start = at(range.start);
            places.push(start..at(range.end));
        }
        places
    }

    /// The ranges that are words of the text; others, of a snippet that was made from JSON, are skipped.
    fn words(&self) -> impl Iterator<Item = &Range<usize>> {
        let mut last = 0;
        self.matches.iter().filter(move |range| {
            let fits = range.start >= last && self.text.get((*range).clone()).is_some();
            if fits {
                last = range.end;
            }
            fits
        })
    }

    fn joined(&self, before: &str, after: &str, push: impl Fn(&str, &mut String)) -> String {
        let (mut marked, mut last) = (String::with_capacity(self.text.len() + 16), 0);
        for range in self.words() {
            push(self.text.get(last..range.start).unwrap_or_default(), &mut marked);
            marked.push_str(before);
            push(self.text.get(range.clone()).unwrap_or_default(), &mut marked);
            marked.push_str(after);
            last = range.end;
        }
        push(self.text.get(last..).unwrap_or_default(), &mut marked);
        marked
    }
}

impl Serialize for Snippet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Snippet", 5)?;
        json.serialize_field("field", &self.field)?;
        json.serialize_field("text", &self.text)?;
        json.serialize_field("matches", &self.matches)?;
        json.serialize_field("matches_utf16", &self.matches_utf16())?;
        json.serialize_field("marked_html", &self.marked_html())?;
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::single_range_in_vec_init, reason = "one match")]
    fn snippet(text: &str, word: &str) -> Snippet {
        let start = text.find(word).unwrap();
        Snippet::new(FieldName::parse("audio_transcript").unwrap(), text.to_owned(), vec![start..start + word.len()])
    }

    #[test]
    fn markers_stand_around_words() {
        let field = FieldName::parse("audio_transcript").unwrap();
        let snippet = Snippet::new(field, "a café, then tea".into(), vec![2..7, 14..17]);
        assert_eq!(snippet.marked("[", "]"), "a [café], then [tea]");
    }

    #[test]
    fn a_transcript_adds_no_markup_to_a_page() {
        let marked = snippet("<script>alert('x')</script> & \"tea\"", "tea").marked_html();
        assert_eq!(marked.matches('<').count(), 2, "{marked}");
        assert!(
            marked.contains("<mark>tea</mark>") && marked.contains("&lt;script&gt;") && marked.contains("&amp;"),
            "{marked}"
        );
        // Also where a word itself is markup.
        assert!(!snippet("a <b> c", "<b>").marked_html().contains("<b>"));
    }

    #[test]
    fn places_are_counted_as_javascript_counts() {
        // Beyond the basic plane, combining marks, and right to left.
        for (text, word, units) in [
            ("🦀🦀 rust", "rust", 5..9),
            ("e\u{301}clair tea", "tea", 8..11),
            ("שלום tea", "tea", 5..8),
            ("a 👩‍🚀 b", "👩‍🚀", 2..7),
        ] {
            let snippet = snippet(text, word);
            assert_eq!(snippet.matches_utf16(), std::slice::from_ref(&units), "{text}");
            let utf16: Vec<u16> = text.encode_utf16().collect();
            assert_eq!(String::from_utf16(&utf16[units]).unwrap(), word);
        }
    }

    #[test]
    fn json_holds_every_form_and_is_read_again() {
        let snippet = snippet("🦀 tea", "tea");
        let json = serde_json::to_value(&snippet).unwrap();
        let field = "audio_transcript";
        let places = (json!([{"start": 5, "end": 8}]), json!([{"start": 3, "end": 6}]));
        let wanted = json!({"field": field, "text": "🦀 tea", "matches": places.0, "matches_utf16": places.1,
            "marked_html": "🦀 <mark>tea</mark>"});
        assert_eq!(json, wanted);
        assert_eq!(serde_json::from_value::<Snippet>(json).unwrap(), snippet);
        // Places that are none are skipped, wherever they came from.
        let odd = json!({"field": field, "text": "🦀 tea", "matches": [{"start": 1, "end": 2}, {"start": 9, "end": 99}, {"start": 6, "end": 5}]});
        let odd: Snippet = serde_json::from_value(odd).unwrap();
        assert_eq!((odd.marked("[", "]"), odd.matches_utf16().len()), ("🦀 tea".to_owned(), 0));
    }
}
