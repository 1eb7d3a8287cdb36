//! The labels that the fast path tells apart: kinds of content, and forms of answer.

use cogniverse_sdk::{Generation, Modality};

/// The kinds of content that are told apart. Text in itself is a document.
pub(crate) const MODALITIES: [Modality; 5] =
    [Modality::Video, Modality::Image, Modality::Audio, Modality::Document, Modality::Mixed];
/// The number of labels of both regressions.
pub(crate) const LABELS: usize = MODALITIES.len() + Generation::ALL.len();

/// Returns the name of the label at a place.
pub(crate) fn label_at(place: usize) -> &'static str {
    match MODALITIES.get(place) {
        Some(modality) => modality.as_str(),
        None => Generation::ALL.get(place - MODALITIES.len()).map_or("", |generation| generation.as_str()),
    }
}

pub(crate) fn place_of(label: &str) -> Option<usize> {
    (0..LABELS).find(|place| label_at(*place) == label)
}

/// Returns the place of a modality among the labels.
pub(crate) fn modality_place(modality: Modality) -> usize {
    let modality = if modality == Modality::Text { Modality::Document } else { modality };
    MODALITIES.iter().position(|known| *known == modality).unwrap_or(0)
}
