//! Built-in profiles.

use super::profile::BackendProfile;
use super::segmentation::Segmentation;
use cogniverse_sdk::{Modality, ProfileName, Result, SchemaName};
use std::collections::BTreeMap;

/// The profile of transcripts.
const TEXT: &str = "video_text_minilm_mv_segment";
/// The name of profile and schema, the segmentation, and the dimensions of a vector.
const BUILTIN: [(&str, Segmentation, usize); 7] = [
    ("video_colpali_smol500_mv_frame", Segmentation::Frames { every_seconds: 1.0, max_frames: 3000 }, 128),
    ("video_colqwen_omni_mv_chunk_30s", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 5.0 }, 128),
    ("video_videoprism_base_mv_chunk_30s", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 0.0 }, 768),
    ("video_videoprism_large_mv_chunk_30s", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 0.0 }, 1024),
    ("video_videoprism_lvt_base_sv_chunk_6s", Segmentation::Chunks { seconds: 6.0, overlap_seconds: 1.0 }, 768),
    ("video_videoprism_lvt_large_sv_chunk_6s", Segmentation::Chunks { seconds: 6.0, overlap_seconds: 1.0 }, 1024),
    (TEXT, Segmentation::Chunks { seconds: 30.0, overlap_seconds: 0.0 }, 384),
];

/// Returns the kinds of content that a profile's model can tell apart.
fn modalities(name: &str) -> &'static [Modality] {
    use Modality::{Audio, Document, Image, Video};
    match name {
        // What is said, as text.
        TEXT => &[Video, Audio, Document],
        // Pictures of frames, read as pages.
        "video_colpali_smol500_mv_frame" => &[Video, Image, Document],
        // It hears as well as it sees.
        "video_colqwen_omni_mv_chunk_30s" => &[Video, Image, Audio],
        _ => &[Video],
    }
}

/// Returns the profiles that every tenant has by default. None names an encoder: an application that registers one
/// sets the profile again with its name, for one tenant or for all.
///
/// # Errors
/// None in a released version: the names are constants that a test parses.
pub fn builtin_profiles() -> Result<BTreeMap<ProfileName, BackendProfile>> {
    BUILTIN
        .into_iter()
        .map(|(name, segmentation, dimensions)| {
            let profile = BackendProfile::new(SchemaName::parse(name)?, segmentation)
                .with_dimensions(dimensions)
                .with_modalities(modalities(name).iter().copied());
            Ok((ProfileName::parse(name)?, profile))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_seven_are_valid() {
        let profiles = builtin_profiles().unwrap();
        assert_eq!(profiles.len(), 7);
        for (name, profile) in profiles {
            profile.validate().unwrap();
            assert_eq!(profile.schema.as_str(), name.as_str());
            assert_eq!((profile.encoder, profile.default_strategy), (None, None));
        }
    }
}
