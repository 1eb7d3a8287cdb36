//! The builder's encoders and describer of pictures, and its reader of text on screen.

use super::CogniverseBuilder;
use cogniverse_core::ingestion::{Describing, ScreenReading};
use cogniverse_sdk::{FrameDescriber, PictureEncoder, ScreenReader};
use std::sync::Arc;

impl CogniverseBuilder {
    /// Registers an encoder of pictures under the name that profiles use, for searches by a picture.
    #[must_use]
    pub fn picture_encoder(mut self, name: impl Into<String>, encoder: Arc<dyn PictureEncoder>) -> Self {
        self.sight.pictures.insert(name.into(), encoder);
        self
    }

    /// Sets the describer of pictures, for requests that ask for it (default: none). Descriptions are cached in the data
    /// folder, so that nothing is described twice.
    #[must_use]
    pub fn frame_describer(self, describer: Arc<dyn FrameDescriber>) -> Self {
        self.describing(Describing::new(describer))
    }

    /// Sets the describer of pictures with its settings. Where they name no folder, descriptions are cached in the data
    /// folder.
    #[must_use]
    pub fn describing(mut self, describing: Describing) -> Self {
        self.sight.describing = Some(describing);
        self
    }

    /// Sets the reader of text on screen, for requests that ask for it (default: none). Texts are cached in the data
    /// folder, so that nothing is read twice.
    #[must_use]
    pub fn screen_reader(self, reader: Arc<dyn ScreenReader>) -> Self {
        self.screen_reading(ScreenReading::new(reader))
    }

    /// Sets the reader of text on screen with its settings. Where they name no folder, texts are cached in the data folder.
    #[must_use]
    pub fn screen_reading(mut self, screens: ScreenReading) -> Self {
        self.sight.screens = Some(screens);
        self
    }
}
