//! Provenance of segments: the profile that cut them, and the model of their vectors.
//!
//! Both are attributes that a schema may declare. Segments of a schema without them are not checked.

use super::Schema;
use cogniverse_sdk::{EncoderInfo, FieldName, Filter, ProfileName, Result, VectorKind};

/// The field that names the profile that cut the segment.
pub const PROFILE: &str = "profile";
/// The field that names the model of the segment's vectors.
pub const EMBEDDING_MODEL: &str = "embedding_model";
/// The model name of vectors supplied with the segment, whose origin the supplier vouches for.
pub const GIVEN: &str = "given";
/// The model name of a segment without anything to encode.
pub const NONE: &str = "none";
/// The model name of a segment stored by a run without an encoder.
pub const UNENCODED: &str = "unencoded";

/// Returns the model name that documents record for an encoder, which includes the form of its vectors.
#[must_use]
pub fn model_of(info: &EncoderInfo) -> String {
    let kind = match info.kind {
        VectorKind::Single => "single",
        VectorKind::Multi => "multi",
    };
    format!("{} {kind} {}", info.model, info.dims)
}

/// Returns the filter for segments of a profile; `None` where the schema does not record it.
///
/// # Errors
/// None for the names that this module uses.
pub fn of_profile(schema: &Schema, profile: &ProfileName) -> Result<Option<Filter>> {
    let field = FieldName::parse(PROFILE)?;
    Ok(schema.is_attribute(&field).then(|| Filter::equals(field, profile.as_str())))
}

/// Returns the filter for segments of none of the profiles, including those of unknown profile; `None` where the
/// schema does not record it.
///
/// # Errors
/// None for the names that this module uses.
pub fn of_none_of(schema: &Schema, profiles: &[ProfileName]) -> Result<Option<Filter>> {
    let field = FieldName::parse(PROFILE)?;
    let names = profiles.iter().map(|profile| profile.as_str().into()).collect();
    Ok((schema.is_attribute(&field) && !profiles.is_empty()).then(|| Filter::In(field, names).negate()))
}

/// Returns the filter for segments with the encoder's or supplied vectors; `None` where the schema does not record
/// it.
///
/// # Errors
/// None for the names that this module uses.
pub fn of_encoder(schema: &Schema, info: &EncoderInfo) -> Result<Option<Filter>> {
    let field = FieldName::parse(EMBEDDING_MODEL)?;
    let models = vec![model_of(info).as_str().into(), GIVEN.into()];
    Ok(schema.is_attribute(&field).then_some(Filter::In(field, models)))
}

/// Returns the filter for segments with another or an unknown model's vectors; `None` where the schema does not
/// record it.
///
/// # Errors
/// None for the names that this module uses.
pub fn of_other_encoders(schema: &Schema, info: &EncoderInfo) -> Result<Option<Filter>> {
    let field = FieldName::parse(EMBEDDING_MODEL)?;
    let models = vec![model_of(info).as_str().into(), GIVEN.into(), NONE.into()];
    Ok(schema.is_attribute(&field).then(|| Filter::In(field, models).negate()))
}
