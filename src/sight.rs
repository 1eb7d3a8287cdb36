//! The wiring of what looks at pictures.

use cogniverse_core::{
    ingestion::{Describing, Ingestor, KeptFiles, KeptKind, ScreenReading},
    surfaces::KeptSurface,
};
use cogniverse_sdk::{PictureEncoder, TenantSurface};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The parts that look at pictures.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(crate) describing: Option<Describing>,
    pub(crate) screens: Option<ScreenReading>,
    pub(crate) pictures: BTreeMap<String, Arc<dyn PictureEncoder>>,
}

impl Sight {
    /// Gives an ingestor its parts, and returns the surfaces of what is kept of them in a folder. The surfaces are there
    /// without the parts too: an earlier run may have kept something.
    pub(crate) fn wire(self, mut ingestor: Ingestor, folder: &Path) -> (Ingestor, Vec<Arc<dyn TenantSurface>>) {
        let files = |kind: KeptKind| KeptFiles::new(kind, folder.join(kind.as_str()));
        let (mut descriptions, mut texts) = (files(KeptKind::Descriptions), files(KeptKind::ScreenTexts));
        if let Some(mut describing) = self.describing {
            descriptions = describing.kept.get_or_insert(descriptions).clone();
            ingestor = ingestor.with_frame_describer(describing);
        }
        if let Some(mut screens) = self.screens {
            texts = screens.kept.get_or_insert(texts).clone();
            ingestor = ingestor.with_screen_reader(screens);
        }
        (ingestor, vec![Arc::new(KeptSurface::new(descriptions)), Arc::new(KeptSurface::new(texts))])
    }
}
