//! The two things that a run looks for in pictures: descriptions, and text on screen.

use super::{
    describing::Describing,
    document::Segment,
    ffmpeg::Pictures,
    frames::Frames,
    kept_files::KeptFiles,
    progress::ProgressEvent,
    report::VideoReport,
    request::IngestRequest,
    screens::{Remembered, ScreenReading},
    seeing_failure::SeeingFailure,
};
use crate::schemas::Schema;
use cogniverse_sdk::{Error, ErrorCode, Result};
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc};

/// The part of a run that looks at pictures.
#[derive(Debug, Clone, Default)]
pub(super) struct Seeing {
    describing: Option<Arc<Describing>>,
    screens: Option<Arc<ScreenReading>>,
}

impl Seeing {
    /// Decides what a run looks at.
    ///
    /// # Errors
    /// `FailedPrecondition` where the request asks for what is not set up, or the deployed schema has no field for it;
    /// `InvalidInput` for settings that make no pictures.
    pub(super) fn of(
        (describing, screens): (Option<&Arc<Describing>>, Option<&Arc<ScreenReading>>),
        request: &IngestRequest,
        schema: &Schema,
    ) -> Result<Self> {
        let mut seeing = Self::default();
        if request.describing {
            let describing =
                describing.ok_or_else(|| missing(ErrorCode::FrameDescriberMissing, "a frame describer"))?;
            describing.validate()?;
            has_field(schema, "segment_description")?;
            seeing.describing = Some(Arc::clone(describing));
        }
        if request.reading_screens {
            let screens = screens.ok_or_else(|| missing(ErrorCode::ScreenReaderMissing, "a screen reader"))?;
            screens.validate()?;
            has_field(schema, "screen_text")?;
            seeing.screens = Some(Arc::clone(screens));
        }
        Ok(seeing)
    }

    pub(super) fn describes(&self) -> bool {
        self.describing.is_some()
    }

    pub(super) fn reads_screens(&self) -> bool {
        self.screens.is_some()
    }

    /// Returns what decides the outcome of a look at the same pictures.
    pub(super) fn models(&self, language: Option<&str>) -> Vec<String> {
        self.eyes().map(|eye| eye.key(language)).collect()
    }

    /// Returns what is looked for, one after the other.
    pub(super) fn eyes(&self) -> impl Iterator<Item = Eye<'_>> {
        let describer = self.describing.as_deref().map(Eye::Describer);
        describer.into_iter().chain(self.screens.as_deref().map(Eye::Reader))
    }
}

fn missing(code: ErrorCode, what: &str) -> Error {
    Error::of(
        code,
        format!("the request needs {what} and none is registered; register one where the ingestor is built"),
    )
}

fn has_field(schema: &Schema, field: &str) -> Result<()> {
    match schema.field(field) {
        Some(_) => Ok(()),
        None => Err(Error::of(
            ErrorCode::SchemaDiffers,
            format!(
                "the deployed schema {} has no field {field}; deploy the profile again, or another one",
                schema.name()
            ),
        )),
    }
}

/// One of the two things that are looked for.
pub(super) enum Eye<'s> {
    Describer(&'s Describing),
    Reader(&'s ScreenReading),
}

impl Eye<'_> {
    pub(super) fn kept(&self) -> Option<&KeptFiles> {
        match self {
            Self::Describer(describing) => describing.kept.as_ref(),
            Self::Reader(screens) => screens.kept.as_ref(),
        }
    }

    pub(super) fn on_failure(&self) -> SeeingFailure {
        match self {
            Self::Describer(describing) => describing.on_failure,
            Self::Reader(screens) => screens.on_failure,
        }
    }

    pub(super) fn model(&self) -> &str {
        match self {
            Self::Describer(describing) => &describing.describer.info().model,
            Self::Reader(screens) => &screens.reader.info().model,
        }
    }

    pub(super) fn frames(&self, pictures: Pictures) -> Result<Frames> {
        let (most, side) = match self {
            Self::Describer(describing) => (describing.pictures, describing.longest_side),
            Self::Reader(screens) => (screens.pictures, screens.longest_side),
        };
        let frames = Frames::new(pictures)?.with_most(most).with_longest_side(side);
        Ok(if matches!(self, Self::Reader(_)) { frames.with_prints() } else { frames })
    }

    /// Returns the cache key of a video's texts, apart from its content.
    pub(super) fn key(&self, language: Option<&str>) -> String {
        let said = match self {
            Self::Describer(describing) => describing.settings(language),
            Self::Reader(screens) => screens.settings(language),
        };
        Sha256::digest(said.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn event(&self, name: String, segment: usize, of: usize) -> ProgressEvent {
        match self {
            Self::Describer(_) => ProgressEvent::Describing { name, segment, of },
            Self::Reader(_) => ProgressEvent::ReadingScreens { name, segment, of },
        }
    }

    /// Puts a text into a segment; `None` keeps what is stored of it.
    pub(super) fn put(&self, segment: &mut Segment, text: Option<String>) {
        match (self, text) {
            (Self::Describer(_), Some(text)) => segment.description = text,
            (Self::Describer(_), None) => segment.keeps.description = true,
            (Self::Reader(_), Some(text)) => segment.screen_text = text,
            (Self::Reader(_), None) => segment.keeps.screen_text = true,
        }
    }

    pub(super) fn count(&self, report: &mut VideoReport) {
        match self {
            Self::Describer(_) => report.described += 1,
            Self::Reader(_) => report.screens_read += 1,
        }
    }

    /// Looks at the pictures of one segment.
    pub(super) async fn look(
        &self,
        pictures: &[PathBuf],
        language: Option<&str>,
        remembered: &mut Remembered,
    ) -> Result<String> {
        match self {
            Self::Describer(describing) => describing.look(pictures, language).await,
            Self::Reader(screens) => screens.look(pictures, language, remembered).await,
        }
    }

    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Describer(_) => "not described",
            Self::Reader(_) => "screen not read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ingestion::{CommandScreenReader, IngestSource},
        schemas::EmbeddedSchemaLoader,
    };
    use cogniverse_sdk::{ProfileName, SchemaLoader, SchemaName, TenantId};

    #[tokio::test]
    async fn a_schema_without_the_field_is_named_before_anything_is_read() {
        let load = async |name: &str| {
            let base = EmbeddedSchemaLoader.load(&SchemaName::parse(name).unwrap()).await.unwrap();
            Schema::compile(base).unwrap()
        };
        let screens = Arc::new(ScreenReading::new(Arc::new(CommandScreenReader::parse("reader").unwrap())));
        let (tenant, profile) = (TenantId::parse("acme").unwrap(), ProfileName::parse("p").unwrap());
        let request = IngestRequest::new(tenant, profile, IngestSource::Files(Vec::new())).reading_screens();
        let with = |schema: &Schema| Seeing::of((None, Some(&screens)), &request, schema);
        let seeing = with(&load("video_text_minilm_mv_segment").await).unwrap();
        assert!(seeing.reads_screens() && !seeing.describes());
        let error = with(&load("agent_memories").await).unwrap_err();
        assert_eq!(error.code(), ErrorCode::SchemaDiffers);
        assert!(
            error.to_string().contains("screen_text") && error.to_string().contains("deploy the profile"),
            "{error}"
        );
    }
}
