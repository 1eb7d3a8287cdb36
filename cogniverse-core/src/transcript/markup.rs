//! Removal of markup from subtitle lines.

use super::cue_form::{Form, seconds};

/// The SubRip tags that players know; other text in angle brackets is kept.
const TAGS: [&str; 23] = [
    "b", "big", "br", "c", "center", "div", "em", "font", "i", "lang", "p", "rt", "ruby", "s", "small", "span",
    "strike", "strong", "sub", "sup", "tt", "u", "v",
];
/// The largest length in bytes of a time tag or an override.
const SHORT: usize = 64;

/// Returns the plain text of a line, in time linear in its length.
pub(super) fn plain(line: &str, form: Form) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    // Where the next '>' and '}' stand, counted from the end of the line, so that no stretch is looked through twice.
    let (mut angle, mut brace) = (Closing::new('>'), Closing::new('}'));
    while let Some(at) = rest.find(['<', '{', '\\']) {
        let (before, found) = rest.split_at(at);
        text.push_str(before);
        let markup = match found.as_bytes().first() {
            Some(b'<') => {
                angle.inner(found).and_then(|inner| tag(inner, form).map(|as_text| (inner.len() + 2, as_text)))
            }
            Some(b'{') => brace.inner(found).filter(|inner| is_override(inner)).map(|inner| (inner.len() + 2, "")),
            _ => ["\\N", "\\n", "\\h"].iter().any(|escape| found.starts_with(escape)).then_some((2, " ")),
        };
        let (length, as_text) = markup.unwrap_or((1, found.get(..1).unwrap_or_default()));
        text.push_str(as_text);
        rest = found.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    let text = html_escape::decode_html_entities(&text);
    text.chars().filter(|c| !is_direction(*c)).collect()
}

/// A closing character, found once for all openings before it.
struct Closing {
    sign: char,
    /// The number of bytes after it; `None` where there is no more.
    behind: Option<usize>,
    looked: bool,
}

impl Closing {
    fn new(sign: char) -> Self {
        Self { sign, behind: None, looked: false }
    }

    /// Returns the text between the first `open` and the next closing character.
    fn inner<'a>(&mut self, open: &'a str) -> Option<&'a str> {
        if !self.looked || self.behind.is_some_and(|behind| behind >= open.len()) {
            self.looked = true;
            self.behind = open.find(self.sign).map(|at| open.len() - at - 1);
        }
        open.get(1..open.len() - self.behind? - 1)
    }
}

/// Returns the replacement of a tag; `None` where the text is not a tag.
fn tag(inner: &str, form: Form) -> Option<&'static str> {
    let name = inner.strip_prefix('/').unwrap_or(inner);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    let (name, after) = name.split_at(end);
    let name = name.to_ascii_lowercase();
    let is_time = form == Form::Vtt && inner.len() <= SHORT && seconds(inner).is_some();
    let is_tag = match form {
        // A class or an annotation may follow; an empty name closes whatever is open.
        Form::Vtt => {
            is_time
                || inner == "/"
                || (name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && (after.is_empty() || after.starts_with(['.', ' ', '\t', '/'])))
        }
        Form::Srt => {
            TAGS.contains(&name.as_str()) && (after.is_empty() || after.starts_with([' ', '\t', '/', '.', '=']))
        }
    };
    is_tag.then_some(if name == "br" || name == "p" || name == "div" { " " } else { "" })
}

/// Returns whether the text is a style override, such as `{\an8}` or `{y:i}`.
fn is_override(inner: &str) -> bool {
    let mut chars = inner.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(letter), Some(':')) => inner.len() <= SHORT && letter.is_ascii_alphabetic() && !inner.contains(' '),
        _ => false,
    }
}

/// Returns whether a character is an invisible direction mark.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_taken_out_and_text_is_not() {
        for (line, srt, vtt) in [
            ("<i>Hello</i> <FONT color=\"red\">you</FONT>", "Hello you", "Hello you"),
            ("{\\an8}The sign says {\\i1}closed{\\i0}", "The sign says closed", "The sign says closed"),
            ("{y:i}slanted {not a tag} {}", "slanted {not a tag} {}", "slanted {not a tag} {}"),
            ("Hello<br/>there\\Nyou\\hall", "Hello there you all", "Hello there you all"),
            ("I <3 you, a < b > c", "I <3 you, a < b > c", "I <3 you, a < b > c"),
            ("write to <ann@example.com>", "write to <ann@example.com>", "write to <ann@example.com>"),
            ("<sighs> well", "<sighs> well", " well"),
            (
                "don&#39;t &quot;x&quot; R&amp;D caf&eacute; &lrm;here &gt;&gt; &amp;lt;",
                "don't \"x\" R&D café here >> &lt;",
                "don't \"x\" R&D café here >> &lt;",
            ),
            ("a C:\\path \\ {open <open", "a C:\\path \\ {open <open", "a C:\\path \\ {open <open"),
            ("&unknown; & &#xe9;", "&unknown; & é", "&unknown; & é"),
        ] {
            assert_eq!(plain(line, Form::Srt), srt);
            assert_eq!(plain(line, Form::Vtt), vtt);
        }
        let karaoke = "welcome<00:00:00.640><c> to</c><00:00:01.020><c.yellow> the</c> <v Ann Lee>garden</v><00:01>";
        assert_eq!(plain(karaoke, Form::Vtt), "welcome to the garden");
    }

    #[test]
    fn a_line_of_open_signs_is_read_once() {
        // 1 MiB each: minutes and hours where each sign looks for its end through all the rest.
        let begun = std::time::Instant::now();
        for sign in ["<", "{", "<{x", "<q <q ", "<1", "{a:", "&"] {
            let long = sign.repeat((1 << 20) / sign.len());
            for form in [Form::Srt, Form::Vtt] {
                assert_eq!(plain(&long, form), long);
                // With an end behind all of them, which each sees.
                assert!(plain(&format!("{long}>}}"), form).len() <= long.len() + 2);
            }
        }
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }
}
