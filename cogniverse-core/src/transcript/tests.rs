use super::*;
use proptest::prelude::*;

const SRT: &str = "\u{feff}1\r\n00:00:01,000 --> 00:00:03,500\r\n<i>Hello</i> there\r\nsecond line\r\n\r\n2\r\n00:00:04,000 --> 00:00:05,000\r\nbye &amp; thanks\r\n";
const VTT: &str = "WEBVTT - title\nKind: captions\n\nNOTE a note\nof two lines\n\nSTYLE\n::cue {}\n\nintro\n00:01.000 --> 00:03.500 align:start position:0%\n<v Ann>Hello there\nsecond line\n\n00:00:04.000 --> 00:00:05.000\nbye &amp; thanks\n";
const JSON: &str = r#"{"language": "en", "segments": [{"id": 0, "start": 1.0, "end": 3.5, "text": " Hello there second line"}, {"start": 4.0, "end": 5.0, "text": "bye & thanks"}]}"#;

#[test]
fn three_formats_say_the_same() {
    let srt = Transcript::parse(SRT, "srt").unwrap();
    assert_eq!(srt.cues().len(), 2);
    assert_eq!(srt.cues()[0].text, "Hello there second line");
    assert_eq!(srt.cues()[1].text, "bye & thanks");
    assert_eq!((srt.cues()[0].range.start(), srt.cues()[0].range.end()), (1.0, 3.5));
    assert_eq!(Transcript::parse(VTT, "vtt").unwrap(), srt);
    assert_eq!(Transcript::parse(JSON, "json").unwrap(), srt);
}

#[test]
fn wrong_files_are_refused_with_the_line() {
    let table = [
        ("srt", "1\n00:00:01,000 -> 00:00:02,000\nx\n", "line 2"),
        ("srt", "1\n00:00:99,000 --> 00:00:02,000\nx\n", "line 2"),
        ("srt", "1\n00:00:05,000 --> 00:00:02,000\nx\n", "line 2"),
        (
            "srt",
            "1\n00:00:01,000 --> 00:00:04,000\nx\n\n2\n00:00:03,000 --> 00:00:05,000\ny\n",
            "line 6 begins at 3.000 s, before the one at line 2 ends at 4.000 s",
        ),
        ("vtt", "00:01.000 --> 00:02.000\nx\n", "WEBVTT"),
        ("json", "{\"segments\": 3}", "no transcript"),
        ("json", "[{\"start\": 5, \"end\": 1, \"text\": \"x\"}]", "line 1"),
        ("txt", "", "json, srt, vtt"),
    ];
    for (kind, text, part) in table {
        let error = Transcript::parse(text, kind).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(Transcript::parse("", "srt").unwrap().cues().is_empty());
    let rounded = "1\n00:00:01,000 --> 00:00:02,010\nx\n\n2\n00:00:02,000 --> 00:00:03,000\ny\n";
    assert_eq!(Transcript::parse(rounded, "srt").unwrap().cues().len(), 2);
}

proptest! {
    #[test]
    fn no_word_is_lost_or_said_twice(gaps in prop::collection::vec((0.0f64..3.0, 0.0f64..9.0, 1usize..9), 0..9), step in 0.5f64..20.0) {
        let (mut time, mut word, mut cues) = (0.0, 0, Vec::new());
        for (gap, length, words) in gaps {
            time += gap;
            let text = (word..word + words).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
            cues.push(RawCue { line: 1, start: time, end: time + length, text });
            time += length;
            word += words;
        }
        let transcript = Transcript::from_cues(cues).unwrap();
        let mut said = Vec::new();
        for part in 0..=(time / step) as usize {
            let range = TimeRange::new(part as f64 * step, (part + 1) as f64 * step).unwrap();
            said.extend(transcript.text_within(&range).split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        }
        prop_assert_eq!(said, (0..word).map(|n| format!("w{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn invariant_25_any_file_is_answered(text in "[0-9:,.>\\- \\nWEBVT<&;a-c]{0,80}", kind in "srt|vtt|json") {
        let _ = Transcript::parse(&text, &kind);
        let _ = Transcript::parse(&format!("WEBVTT\n{text}"), "vtt");
    }
}
