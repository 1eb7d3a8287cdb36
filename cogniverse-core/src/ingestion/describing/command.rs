//! Descriptions by a program.

use crate::ingestion::{picture_files, program::Program};
use async_trait::async_trait;
use cogniverse_sdk::{
    ErrorCode, Result,
    frame_describer::{DescribeRequest, DescriberInfo, FrameDescriber, FrameDescription},
};
use serde_json::{Map, Value};
use std::time::Duration;

/// A describer that runs a program, which is started once and answers one line of JSON for each line that it reads:
/// `{"id": 1, "pictures": ["/tmp/a.jpg"], "prompt": "…", "language": "de"}` is answered by
/// `{"id": 1, "description": "…", "tags": ["…"]}`, or by `{"id": 1, "error": "…"}`. The language may be null.
///
/// No shell is involved: quotes group words, and no other character is special.
#[derive(Debug)]
pub struct CommandDescriber {
    info: DescriberInfo,
    program: Program,
}

impl CommandDescriber {
    /// Parses a command line, which also serves as the model's name until [`Self::with_model`] sets one. Nothing is
    /// started yet.
    ///
    /// # Errors
    /// `InvalidInput` for a command line without a program or with an open quote.
    pub fn parse(line: &str) -> Result<Self> {
        let program = Program::parse("the frame describer", ErrorCode::FrameDescriberMissing, line)?;
        Ok(Self { info: DescriberInfo { model: line.split_whitespace().collect::<Vec<_>>().join(" ") }, program })
    }

    /// Sets the model's name, which is part of the key of cached descriptions.
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
impl FrameDescriber for CommandDescriber {
    fn info(&self) -> &DescriberInfo {
        &self.info
    }

    async fn describe(&self, request: &DescribeRequest) -> Result<FrameDescription> {
        request.check()?;
        let ask = Map::from_iter([
            ("pictures".to_owned(), picture_files::checked(&request.pictures).await?),
            ("prompt".to_owned(), request.prompt().into()),
            ("language".to_owned(), request.language.clone().map_or(Value::Null, Value::from)),
        ]);
        FrameDescription::from_value(&self.program.ask(ask).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::{
        ErrorKind,
        contract::picture::{PictureFile, png},
    };
    use std::sync::Arc;

    /// Says the same of all pictures.
    fn describer(answer: &str) -> CommandDescriber {
        let line = format!(
            "sh -c 'while read -r line; do id=$(printf %s \"$line\" | sed \"s/.*\\\"id\\\":\\([0-9]*\\).*/\\1/\"); echo \"{{\\\"id\\\": $id, {answer}}}\"; done'"
        );
        CommandDescriber::parse(&line).unwrap()
    }

    mod contract {
        use super::*;
        cogniverse_sdk::frame_describer_contract! {
            make: async {
                let describer = describer(r#"\"description\": \"stripes\", \"tags\": []"#);
                (Arc::new(describer) as Arc<dyn FrameDescriber>, ())
            }, skips: []
        }
    }

    #[tokio::test]
    async fn an_answer_without_a_description_is_an_error() {
        let picture = PictureFile::new(&png());
        let request = DescribeRequest::new(vec![picture.path()]);
        let error = describer(r#"\"tags\": null"#).describe(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}");
        let said = describer(r#"\"description\": \"a b\", \"tags\": [\"c\"]"#).with_model("m");
        assert_eq!(said.info().model, "m");
        assert_eq!(said.describe(&request).await.unwrap().to_segment_text(), "a b\nc");
        let missing = CommandDescriber::parse("no-such-program-anywhere").unwrap();
        let error = missing.describe(&request).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (ErrorCode::FrameDescriberMissing, ErrorKind::FailedPrecondition));
    }
}
