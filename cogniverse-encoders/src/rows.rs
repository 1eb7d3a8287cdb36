//! What a model answered, checked against what it promised.

use cogniverse_sdk::{EncoderInfo, Error, Matrix, Result, tensor::check_finite};

/// Width and cells of an answer (invariant 17).
pub(crate) fn check(rows: &Matrix<f32>, info: &EncoderInfo) -> Result<()> {
    let model = &info.model;
    if rows.is_empty() {
        return Err(Error::unexpected(format!("model {model} answered no vector")));
    }
    if rows.width() != info.dims {
        return Err(Error::unexpected(format!(
            "model {model} answered vectors of {} cells and promised {}; was another model put in its place? Connect anew",
            rows.width(),
            info.dims
        )));
    }
    check_finite(rows.cells()).map_err(|e| {
        Error::unexpected(format!("model {model} answered a cell that is no finite number")).with_source(e)
    })
}

/// Brings a row to length 1.
pub(crate) fn unit(row: &mut [f32], info: &EncoderInfo) -> Result<()> {
    let length = row.iter().map(|cell| f64::from(*cell) * f64::from(*cell)).sum::<f64>().sqrt();
    if length <= f64::from(f32::MIN_POSITIVE) {
        return Err(Error::unexpected(format!("model {} answered a vector without a direction: all zero", info.model)));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a cell of a unit vector")]
    row.iter_mut().for_each(|cell| *cell = (f64::from(*cell) / length) as f32);
    Ok(())
}
