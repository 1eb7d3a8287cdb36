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
    assert_eq!(srt.language(), None);
    let json = Transcript::parse(JSON, "json").unwrap();
    assert_eq!((json.cues(), json.language()), (srt.cues(), Some("en")));
}

#[test]
fn wrong_files_are_refused_with_the_line() {
    let table = [
        ("srt", "1\n00:00:01,000 -> 00:00:02,000\nx\n", "line 2"),
        ("srt", "1\n00:00:99,000 --> 00:00:02,000\nx\n", "line 2"),
        ("srt", "1\n00:00:05,000 --> 00:00:02,000\nx\n", "line 2"),
        ("srt", "no times at all\n", "line 1: no times follow"),
        ("vtt", "00:01.000 --> 00:02.000\nx\n", "WEBVTT"),
        ("vtt", "WEBVTTX\n", "WEBVTT"),
        ("json", "{\"segments\": 3}", "not a transcript"),
        ("json", "{\"text\": \"x\"}", "not a transcript"),
        ("json", "[{\"start\": 5, \"end\": 1, \"text\": \"x\"}]", "segment 1"),
        ("json", "[0, true, null, \"x\"]", "segment 1: it is not a segment"),
        ("txt", "", "json, srt, vtt"),
    ];
    for (kind, text, part) in table {
        let error = Transcript::parse(text, kind).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(Transcript::parse("", "srt").unwrap().cues().is_empty());
    assert!(Transcript::parse("WEBVTT", "vtt").unwrap().cues().is_empty());
}

/// (start, end, text) of each cue.
fn cues(text: &str, kind: &str) -> Vec<(f64, f64, String)> {
    let read = Transcript::parse(text, kind).unwrap();
    assert!(read.problems().is_empty(), "{:?}", read.problems());
    read.cues().iter().map(|cue| (cue.range.start(), cue.range.end(), cue.text.clone())).collect()
}

fn said(text: &str, kind: &str) -> Vec<String> {
    cues(text, kind).into_iter().map(|(_, _, text)| text).collect()
}

#[test]
fn lines_may_end_in_carriage_returns_alone() {
    for (text, kind) in [(SRT, "srt"), (VTT, "vtt")] {
        let old = text.replace("\r\n", "\n").replace('\n', "\r");
        assert_eq!(Transcript::parse(&old, kind).unwrap(), Transcript::parse(text, kind).unwrap());
    }
}

#[test]
fn one_bad_cue_costs_one_cue() {
    let text = "1\n00:46:54,400 --> 00:48:43,290\nproduced by\n\n2\n00:48:43,290 --> 00:46:59,520\na team\n\n3\n00:46:59,520 --> 00:47:06,080\nof gardeners\n\n4\n00:50 --> soon\nlost\n\n5\n00:51:00,000 -> 00:52:00,000\nlost too\n\n6\n00:53:00,000 --> 00:54:00,000\nkept\n";
    let read = Transcript::parse(text, "srt").unwrap();
    assert_eq!(
        read.cues().iter().map(|cue| cue.text.as_str()).collect::<Vec<_>>(),
        ["produced by", "of gardeners", "kept"]
    );
    assert_eq!(read.problem_count(), 3);
    for (problem, parts) in read.problems().iter().zip([
        ["line 6", "00:48:43,290 --> 00:46:59,520"],
        ["line 14", "00:50 --> soon"],
        ["line 18", "00:51:00,000 -> 00:52:00,000"],
    ]) {
        assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
    }
}

#[test]
fn overlapping_and_unsorted_cues_are_kept_in_order_of_time() {
    let text = "WEBVTT\n\n00:00:03.000 --> 00:00:06.000\n<v Bob>in the shed\n\n00:00:01.000 --> 00:00:05.000\n<v Ann>where is the rake\n";
    assert_eq!(cues(text, "vtt"), [(1.0, 5.0, "where is the rake".into()), (3.0, 6.0, "in the shed".into())]);
    let read = Transcript::parse(text, "vtt").unwrap();
    let within = |from: f64, to: f64| read.text_within(&TimeRange::new(from, to).unwrap());
    assert_eq!((within(0.0, 4.0), within(4.0, 9.0)), ("where is the in".into(), "rake the shed".into()));
    assert_eq!(
        said(
            r#"{"segments": [{"start": 0.0, "end": 5.0, "text": "one"}, {"start": 4.0, "end": 6.0, "text": "two"}]}"#,
            "json"
        ),
        ["one", "two"]
    );
}

#[test]
fn blank_lines_comments_and_settings_are_as_the_specification_says() {
    let text = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n00:01.000 --> 00:03.000 line:0 position:20%\n \nhello\n\nNOTE\tchecked by Ann --> twice\nmore\n\nSTYLE\n::cue(b) { color: red }\n\nREGION\nid:fred\n\nnamed\n00:04.000 --> 00:05.000\nbye\n00:06.000 --> 00:07.000\nat once\n\n01:00:08.000-->01:00:09.000\nlater\n";
    assert_eq!(said(text, "vtt"), ["hello", "bye", "at once", "later"]);
    assert_eq!(cues(text, "vtt")[3].0, 3608.0);
    // What stands alone is passed over by players, and said.
    let read = Transcript::parse(
        "WEBVTT\n\n00:01.000 --> 00:03.000\nhello\n\nbehind an empty line\n\n00:04.000 --> 00:05.000\nbye\n",
        "vtt",
    )
    .unwrap();
    assert_eq!((read.cues().len(), read.problem_count()), (2, 1));
    assert!(read.problems()[0].starts_with("line 6"), "{:?}", read.problems());
}

#[test]
fn subrip_is_read_as_players_do() {
    assert_eq!(
        said("1\n00:00:01,000 --> 00:00:03,000\nwelcome\n2\n00:00:40,000 --> 00:00:43,000\nplanting\n", "srt"),
        ["welcome", "planting"]
    );
    assert_eq!(
        said("00:00:01,000 --> 00:00:03,000 X1:1 X2:2\nno numbers\n\n00:00:04.500 --> 0:00:05.5\nno commas\n", "srt"),
        ["no numbers", "no commas"]
    );
    assert_eq!(
        said("1\n00:00:01,000 --> 00:00:03,000\nin two\n\nparts\n\n2\n00:00:04,000 --> 00:00:05,000\n42\n", "srt"),
        ["in two parts", "42"]
    );
    assert_eq!(said("1\n00:00:01,000 --> 00:00:03,000\ncut off\n\n2\n", "srt"), ["cut off"]);
    assert_eq!(said("WEBVTT\n\n00:01.000 --> 00:03.000\nunder a wrong name\n", "srt"), ["under a wrong name"]);
    assert_eq!(
        said(
            "1\n00:00:01,000 --> 00:00:03,000\n{\\an8}The sign says {\\i1}closed{\\i0}<br/>today\\Nand I <3 it\n",
            "srt"
        ),
        ["The sign says closed today and I <3 it"]
    );
}

#[test]
fn a_spoken_number_is_no_number_of_a_cue() {
    let times = |n: u32| format!("00:00:0{n},000 --> 00:00:0{n},900\n");
    let bare = format!("{}It was\n1984\n\n{}2\n\n{}1\n", times(1), times(3), times(5));
    assert_eq!(said(&bare, "srt"), ["It was 1984", "2", "1"]);
    let numbered = format!("1\n{}It was\n1984\n\n2\n{}2\n3\n{}1\n", times(1), times(3), times(5));
    assert_eq!(said(&numbered, "srt"), ["It was 1984", "2", "1"]);
}

#[test]
fn times_beyond_all_numbers_cost_one_cue() {
    let hours = "9".repeat(400);
    let text = format!("1\n{hours}:00:00,000 --> {hours}:00:01,000\nlost\n\n2\n00:00:01,000 --> 00:00:02,000\nkept\n");
    let read = Transcript::parse(&text, "srt").unwrap();
    assert_eq!((read.cues().len(), read.problem_count()), (1, 1));
    let json = format!(
        r#"[{{"start": "{hours}:00:00", "end": 1, "text": "lost"}}, {{"start": 1, "end": 2, "text": "kept"}}]"#
    );
    assert_eq!(Transcript::parse(&json, "json").unwrap().cues().len(), 1);
}

#[test]
fn a_cue_of_many_lines_is_compared_with_the_next_in_good_time() {
    let lines = "a\n".repeat(200_000);
    let text = format!("1\n00:00:01,000 --> 00:00:02,000\n{lines}b\n\n2\n00:00:02,000 --> 00:00:03,000\n{lines}");
    let begun = std::time::Instant::now();
    assert_eq!(Transcript::parse(&text, "srt").unwrap().cues().len(), 2);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn rolling_captions_say_each_word_once() {
    let raw = "WEBVTT\nKind: captions\nLanguage: en\n\n00:00:00.240 --> 00:00:02.310 align:start position:0%\n \nwelcome<00:00:00.640><c> to</c><00:00:01.020><c> the</c><00:00:01.140><c> garden</c>\n\n00:00:02.310 --> 00:00:02.320 align:start position:0%\nwelcome to the garden\n \n\n00:00:02.320 --> 00:00:05.110 align:start position:0%\nwelcome to the garden\ntoday<00:00:02.640><c> we</c><00:00:03.040><c> plant</c><00:00:03.540><c> tomatoes</c>\n\n00:00:05.110 --> 00:00:05.120 align:start position:0%\ntoday we plant tomatoes\n \n";
    assert_eq!(said(raw, "vtt"), ["welcome to the garden", "today we plant tomatoes"]);
    let cue = |number: u32, lines: &[&str]| {
        format!("{number}\n00:00:{number:02},000 --> 00:00:{:02},000\n{}\n\n", number + 1, lines.join("\n"))
    };
    let file = |cues: &[&[&str]]| cues.iter().zip(1..).map(|(lines, number)| cue(number, lines)).collect::<String>();
    let scrolls: [&[&str]; 4] = [&["one a"], &["one a", "two b"], &["two b", "three c"], &["three c", "four d"]];
    assert_eq!(said(&file(&scrolls), "srt").join(" "), "one a two b three c four d");
    let grows: [&[&str]; 3] = [&["I"], &["I like"], &["I like tea"]];
    assert_eq!(said(&file(&grows), "srt").join(" "), "I like tea");
    let two: [&[&str]; 2] = [&["welcome to the garden"], &["welcome to the garden", "today"]];
    assert_eq!(said(&file(&two), "srt").join(" "), "welcome to the garden today");
    // Who says a thing twice is heard twice.
    let chorus: [&[&str]; 4] = [&["la la la"], &["la la la"], &["and then"], &["we sang"]];
    assert_eq!(said(&file(&chorus), "srt").join(" "), "la la la la la la and then we sang");
    let answers: [&[&str]; 4] = [&["No."], &["No. I will not."], &["Why?"], &["So."]];
    assert_eq!(said(&file(&answers), "srt").join(" "), "No. No. I will not. Why? So.");
}

#[test]
fn json_of_many_programs_says_the_same() {
    let whisperx = r#"{"segments": [{"start": 0.0, "end": 2.0, "text": " welcome", "avg_logprob": NaN, "words": [{"word": "welcome", "score": -Infinity}]}, {"text": " 15.09.2021", "words": []}, {"start": 3.0, "end": 4.0, "text": " bye \"NaN\" Infinity"}], "word_segments": []}"#;
    let read = Transcript::parse(whisperx, "json").unwrap();
    assert_eq!(
        read.cues().iter().map(|cue| cue.text.as_str()).collect::<Vec<_>>(),
        ["welcome", "bye \"NaN\" Infinity"]
    );
    assert_eq!(read.problems(), ["segment 2: it has no times"]);
    let expected = [(1.0, 2.5, "hello there".to_owned()), (3.0, 4.0, "bye".to_owned())];
    for text in [
        r#"{"systeminfo": "x", "params": {}, "result": {"language": "en"}, "transcription": [{"timestamps": {"from": "00:00:01,000", "to": "00:00:02,500"}, "offsets": {"from": 1000, "to": 2500}, "text": " hello there"}, {"offsets": {"from": 3000, "to": 4000}, "text": " bye"}]}"#,
        r#"[[1, 0, 1.0, 2.5, " hello there", [50364, 1], 0.0, NaN], [2, 0, 3.0, 4.0, " bye", [], 0.0, -0.3]]"#,
        r#"{"text": "hello there bye", "chunks": [{"timestamp": [1.0, 2.5], "text": " hello there"}, {"timestamp": [3.0, 4.0], "text": " bye"}]}"#,
        r#"{"wireMagic": "pb3", "events": [{"tStartMs": 0, "dDurationMs": 9000, "id": 1}, {"tStartMs": 1000, "dDurationMs": 1500, "segs": [{"utf8": "hello"}, {"utf8": " there", "tOffsetMs": 300}]}, {"tStartMs": 2500, "aAppend": 1, "segs": [{"utf8": "\n"}]}, {"tStartMs": 3000, "dDurationMs": 1000, "segs": [{"utf8": "bye"}]}]}"#,
        r#"[{"text": "hello there", "start": 1.0, "duration": 1.5}, {"text": "bye", "start": 3.0, "duration": 1.0}]"#,
        r#"{"version": "1.0.0", "segments": [{"speaker": "A", "startTime": 1.0, "endTime": 2.5, "body": "hello there"}, {"startTime": 3, "endTime": 4, "body": "bye"}]}"#,
        r#"{"segments": [{"start": "1.0", "end": "00:00:02,500", "text": "hello there", "extra": {"a": [1]}}, {"start": 3, "end": 4, "text": "bye"}]}"#,
    ] {
        assert_eq!(cues(text, "json"), expected, "{text}");
    }
}

#[test]
fn a_long_cue_is_not_gone_through_for_every_stretch() {
    let (words, stretches) = (1 << 20, 20_000);
    let text = vec!["word"; words].join(" ");
    let mut raw = vec![Cue { range: TimeRange::new(0.0, 20_000.0).unwrap(), text }];
    // And one that lasts does not make the short ones be gone through.
    raw.extend((0..100_000).map(|n| {
        let at = f64::from(n) / 5.0;
        Cue { range: TimeRange::new(at, at + 0.2).unwrap(), text: "short".into() }
    }));
    let read = Transcript::of(raw);
    let begun = std::time::Instant::now();
    let of = |part: u32| read.text_within(&TimeRange::new(f64::from(part), f64::from(part) + 1.0).unwrap());
    let said: usize = (0..stretches).map(|part| of(part).split_whitespace().count()).sum();
    assert_eq!(said, words + 100_000);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

proptest! {
    #[test]
    fn no_word_is_lost_or_said_twice(gaps in prop::collection::vec((0.0f64..3.0, 0.0f64..9.0, 1usize..9), 0..9), step in 0.5f64..20.0) {
        let (mut time, mut word, mut cues) = (0.0, 0, Vec::new());
        for (gap, length, words) in gaps {
            time += gap;
            let text = (word..word + words).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
            cues.push(Cue { range: TimeRange::new(time, time + length).unwrap(), text });
            time += length;
            word += words;
        }
        let transcript = Transcript::of(cues);
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
