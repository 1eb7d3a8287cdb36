//! Text on screen by a program.

use crate::ingestion::{picture_files, program::Program};
use async_trait::async_trait;
use cogniverse_sdk::{
    ErrorCode, Result,
    screen_reader::{ReadScreensRequest, ScreenReader, ScreenReaderInfo, ScreenText},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// A reader that runs a program, which is started once and answers one line of JSON for each line that it reads:
/// `{"id": 1, "pictures": ["/tmp/a.jpg", "/tmp/b.jpg"], "language": null}` is answered by
/// `{"id": 1, "screens": [{"lines": ["…", …]}, {"lines": []}]}`, or by `{"id": 1, "error": "…"}`.
/// `examples/screen_reader.py` is one for `RapidOCR`.
///
/// No shell is involved: quotes group words, and no other character is special.
#[derive(Debug)]
pub struct CommandScreenReader {
    info: ScreenReaderInfo,
    program: Program,
}

impl CommandScreenReader {
    /// Parses a command line, which also serves as the model's name until [`Self::with_model`] sets one. Nothing is
    /// started yet.
    ///
    /// # Errors
    /// `InvalidInput` for a command line without a program or with an open quote.
    pub fn parse(line: &str) -> Result<Self> {
        let program = Program::parse("the screen reader", ErrorCode::ScreenReaderMissing, line)?;
        Ok(Self { info: ScreenReaderInfo { model: line.split_whitespace().collect::<Vec<_>>().join(" ") }, program })
    }

    /// Sets the model's name, which is part of the key of cached texts.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<String>) -> Self {
        self.info.model = name.into();
        self
    }

    /// Sets the timeout of one segment, the start of the program included (default 5 minutes).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.program = self.program.with_timeout(timeout);
        self
    }
}

#[async_trait]
impl ScreenReader for CommandScreenReader {
    fn info(&self) -> &ScreenReaderInfo {
        &self.info
    }

    async fn read_screens(&self, request: &ReadScreensRequest) -> Result<Vec<ScreenText>> {
        request.check()?;
        let ask = Map::from_iter([
            ("pictures".to_owned(), picture_files::checked(&request.pictures).await?),
            ("language".to_owned(), request.language.clone().map_or(Value::Null, Value::from)),
        ]);
        ScreenText::from_answer(&self.program.ask(ask).await?, request.pictures.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::contract::picture::{PictureFile, png};
    use std::sync::Arc;

    /// Reads the name of each picture, which is not what is written there.
    const READER: &str = r#"python3 -c 'import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    screens = [{"lines": [asked["language"] or "any", path.rsplit("/", 1)[1]]} for path in asked["pictures"]]
    print(json.dumps({"id": asked["id"], "screens": screens[:int(sys.argv[1])]}), flush=True)'"#;

    fn reader(most: usize) -> CommandScreenReader {
        CommandScreenReader::parse(&format!("{READER} {most}")).unwrap()
    }

    mod contract {
        use super::*;
        cogniverse_sdk::screen_reader_contract! {
            make: async { (Arc::new(reader(16)) as Arc<dyn ScreenReader>, ()) }, skips: []
        }
    }

    #[tokio::test]
    async fn each_picture_has_its_own_text_and_none_is_left_out() {
        let (one, two) = (PictureFile::new(&png()), PictureFile::new(&png()));
        let request = ReadScreensRequest::new(vec![one.path(), two.path()]).with_language(Some("de".into()));
        let read = reader(16).read_screens(&request).await.unwrap();
        let name = |file: &PictureFile| file.path().file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!((&read[0].lines, &read[1].lines), (&vec!["de".into(), name(&one)], &vec!["de".into(), name(&two)]));
        let error = reader(1).read_screens(&request).await.unwrap_err();
        assert!(error.to_string().contains("1 screens for 2 pictures"), "{error}");
    }
}
