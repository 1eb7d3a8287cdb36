use super::*;
use std::{os::unix::fs::PermissionsExt, sync::Arc};
use tempfile::TempDir;

/// A program of a few lines of shell, and its line. It refuses what is no WAV file.
fn program(folder: &TempDir, body: &str, arguments: &str) -> CommandTranscriber {
    let path = folder.path().join("hear it");
    let text = format!("#!/bin/sh\nhead -c 4 \"$1\" | grep -q RIFF || {{ echo not audio >&2; exit 3; }}\n{body}\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    CommandTranscriber::parse(&format!("'{}' {arguments}", path.display())).unwrap()
}

mod contract {
    use super::*;
    cogniverse_sdk::transcriber_contract! {
        make: async {
            let folder = tempfile::tempdir().unwrap();
            let transcriber = program(&folder, ": > \"$2.srt\"", "{audio} {out}");
            (Arc::new(transcriber) as Arc<dyn Transcriber>, folder)
        }, skips: []
    }
}

async fn hear(transcriber: &CommandTranscriber, folder: &TempDir) -> Result<Transcription> {
    let audio = folder.path().join("a {out} b.wav");
    std::fs::write(&audio, cogniverse_sdk::contract::transcriber::wav(&[0; 100])).unwrap();
    transcriber.transcribe(&TranscribeRequest::new(audio).with_language(Some("de".to_owned()))).await
}

#[tokio::test]
async fn each_kind_of_file_is_read() {
    let srt = "printf '1\\n00:00:01,000 --> 00:00:02,500\\nguten Tag\\n' > \"$2.srt\"";
    let vtt = "printf 'WEBVTT\\n\\n00:01.000 --> 00:02.500\\nguten Tag\\n' > \"$2/any name.vtt\"";
    let json = "printf '{\"segments\": [{\"start\": 1.0, \"end\": 2.5, \"text\": \"guten Tag\"}]}' > \"$2\"";
    for (body, arguments) in [(srt, "{audio} {out}"), (vtt, "{audio} {out_dir}"), (json, "{audio} {out}.json")] {
        let folder = tempfile::tempdir().unwrap();
        let said = hear(&program(&folder, body, arguments), &folder).await.unwrap();
        assert_eq!((said.cues[0].range.start(), said.cues[0].range.end()), (1.0, 2.5));
        assert_eq!(said.cues[0].text, "guten Tag");
    }
    // Cues that overlap are a model's habit, and no reason to lose its words.
    let folder = tempfile::tempdir().unwrap();
    let json = "echo '[{\"start\": 0, \"end\": 3, \"text\": \"one\"}, {\"start\": 2, \"end\": 4, \"text\": \"two\"}]' > \"$2.json\"";
    let said = hear(&program(&folder, json, "{audio} {out}"), &folder).await.unwrap();
    assert_eq!((said.cues.len(), said.cues[1].range.start()), (2, 3.0));
    // The language is said where it is asked for; blanks and braces in names stay.
    let folder = tempfile::tempdir().unwrap();
    let body =
        "echo \"[{\\\"start\\\": 0, \\\"end\\\": 1, \\\"text\\\": \\\"$3 $(basename \"$1\")\\\"}]\" > \"$2.json\"";
    let said = hear(&program(&folder, body, "{audio} {out} --lang={language}"), &folder).await.unwrap();
    assert_eq!(said.cues[0].text, "--lang=de a {out} b.wav");
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let failed = program(&folder, "echo out of memory >&2; exit 9", "{audio} {out}");
    let error = hear(&failed, &folder).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Unavailable && error.to_string().contains("failed with exit status: 9"),
        "{error}"
    );
    // What a program prints may be what it heard.
    assert!(!error.chain().contains("memory") && error.withheld() == Some("out of memory"), "{error:?}");
    let silent = program(&folder, "true", "{audio} {out}");
    assert!(hear(&silent, &folder).await.unwrap_err().to_string().contains("wrote no .srt"));
    let wrong = program(&folder, "echo nonsense > \"$2.json\"", "{audio} {out}");
    assert!(hear(&wrong, &folder).await.unwrap_err().to_string().contains("not a transcript"));
    let endless = program(&folder, "exec sleep 60", "{audio} {out}").with_timeout(Duration::from_millis(200));
    assert_eq!(hear(&endless, &folder).await.unwrap_err().kind(), ErrorKind::Timeout);
    let missing = CommandTranscriber::parse("no-such-program-anywhere {audio} {out}").unwrap();
    assert_eq!(hear(&missing, &folder).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    for line in ["", "  ", "hear {audio}", "hear {out}", "{audio} {out}", "hear '{audio} {out}"] {
        assert_eq!(CommandTranscriber::parse(line).unwrap_err().kind(), ErrorKind::InvalidInput, "{line:?}");
    }
    assert_eq!(missing.with_model("m").info().model, "m");
}
