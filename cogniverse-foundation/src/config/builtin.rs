//! Built-in profiles.

use super::profile::BackendProfile;
use super::segmentation::Segmentation;
use cogniverse_sdk::{ProfileName, Result, SchemaName};
use std::collections::BTreeMap;

/// The name of profile and schema, the segmentation, and the dimensions of a vector.
const BUILTIN: [(&str, Segmentation, usize); 7] = [
    ("video_colpali_smol500_mv_frame", Segmentation::Frames { every_seconds: 1.0, max_frames: 3000 }, 128),
    ("video_colqwen_omni_mv_chunk_30s", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 5.0 }, 128),
    ("video_videoprism_base_mv_chunk_30s", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 0.0 }, 768),
    ("video_videoprism_large_mv_chunk_30s", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 0.0 }, 1024),
    ("video_videoprism_lvt_base_sv_chunk_6s", Segmentation::Chunks { seconds: 6.0, overlap_seconds: 1.0 }, 768),
    ("video_videoprism_lvt_large_sv_chunk_6s", Segmentation::Chunks { seconds: 6.0, overlap_seconds: 1.0 }, 1024),
    ("video_text_minilm_mv_segment", Segmentation::Chunks { seconds: 30.0, overlap_seconds: 0.0 }, 384),
];

/// Returns the profiles that every tenant has by default. None names an encoder: an application that registers one
/// sets the profile again with its name, for one tenant or for all.
///
/// # Errors
/// None in a released version: the names are constants that a test parses.
pub fn builtin_profiles() -> Result<BTreeMap<ProfileName, BackendProfile>> {
    BUILTIN
        .into_iter()
        .map(|(name, segmentation, dimensions)| {
            let profile = BackendProfile::new(SchemaName::parse(name)?, segmentation).with_dimensions(dimensions);
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
