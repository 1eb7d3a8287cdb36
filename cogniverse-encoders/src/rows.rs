//! Normalization of rows.

use cogniverse_sdk::{EncoderInfo, Error, Result};

/// Normalizes a row to length 1.
pub(crate) fn unit(row: &mut [f32], info: &EncoderInfo) -> Result<()> {
    let length = row.iter().map(|cell| f64::from(*cell) * f64::from(*cell)).sum::<f64>().sqrt();
    if length <= f64::from(f32::MIN_POSITIVE) {
        return Err(Error::unexpected(format!("model {} answered a vector without a direction: all zero", info.model)));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a cell of a unit vector")]
    row.iter_mut().for_each(|cell| *cell = (f64::from(*cell) / length) as f32);
    Ok(())
}
