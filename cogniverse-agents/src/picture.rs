//! Pictures as queries.

use crate::{
    plan::{Planner, join},
    request::SearchRequest,
};
use cogniverse_core::{schemas::provenance, tenants::TenantGrant};
use cogniverse_sdk::{Error, ErrorCode, PictureEncoder, Result, TenantSchema};
use std::{collections::BTreeMap, sync::Arc};

/// The registered encoders of pictures, by the name that profiles use.
pub(crate) type PictureEncoders = BTreeMap<String, Arc<dyn PictureEncoder>>;

/// Makes the request for what looks like a picture: its vectors are the query's, and segments of another model are left out.
pub(crate) async fn resolve(
    (planner, encoders): (&Planner, &PictureEncoders),
    grant: &TenantGrant,
    mut request: SearchRequest,
) -> Result<SearchRequest> {
    let (Some(picture), [profile]) = (request.picture.take(), request.profiles.as_slice()) else { return Ok(request) };
    let config = &grant.config().profile(profile)?.config.value;
    let name = config.encoder.as_deref().unwrap_or_default();
    let encoder = encoders.get(name).ok_or_else(|| {
        Error::of(
            ErrorCode::EncoderMissing,
            format!(
                "profile \"{profile}\" has no encoder that takes pictures ({}); register one under the name of its encoder",
                if name.is_empty() { "it has none at all" } else { name }
            ),
        )
    })?;
    let info = encoder.info();
    config.check_encoder(info).map_err(|e| e.with_context("profile", profile))?;
    let rows = encoder.encode_picture(&picture).await.map_err(|e| e.with_context("encoder", &info.model))?;
    if rows.width() != info.dims || rows.is_empty() {
        return Err(Error::of(
            ErrorCode::EncoderFailed,
            format!("encoder {} promised vectors of {} cells and made {}", info.model, info.dims, rows.width()),
        ));
    }
    let schema = planner.schema(&TenantSchema::new(&request.tenant, &config.schema)).await?;
    request.filter = join(request.filter, provenance::of_encoder(&schema, info)?);
    request.query_vectors = Some(rows);
    Ok(request)
}
