//! Vectors, and their validation against a tensor type.

use crate::{CellType, Error, Result, TensorShape, TensorType};

/// A row-major matrix.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Matrix<T> {
    width: usize,
    cells: Vec<T>,
}

impl<T: Copy> Matrix<T> {
    /// Creates a matrix of `cells.len() / width` rows.
    ///
    /// # Errors
    /// `InvalidInput` where the width is 0 or does not divide the number of cells.
    pub fn new(width: usize, cells: Vec<T>) -> Result<Self> {
        if width == 0 || !cells.len().is_multiple_of(width) {
            return Err(Error::invalid(format!("{} cells do not make rows of {width}", cells.len())));
        }
        Ok(Self { width, cells })
    }

    /// Creates a matrix from rows of equal length.
    ///
    /// # Errors
    /// `InvalidInput` where there is no row, or rows differ in length.
    pub fn from_rows<R: AsRef<[T]>>(rows: &[R]) -> Result<Self> {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        let mut cells = Vec::with_capacity(width * rows.len());
        for (index, row) in rows.iter().enumerate() {
            let row = row.as_ref();
            if row.len() != width {
                return Err(Error::invalid(format!("row {index} has {} cells and row 0 has {width}", row.len())));
            }
            cells.extend_from_slice(row);
        }
        Self::new(width, cells)
    }

    /// Returns the number of cells in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Iterates over the rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, T> {
        self.cells.chunks_exact(self.width.max(1))
    }

    /// Returns all cells, row by row.
    #[must_use]
    pub fn cells(&self) -> &[T] {
        &self.cells
    }
}

/// A tensor of a document: floats, or sign bits packed eight to a byte (see [`crate::quantize`]).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tensor {
    /// A single float vector.
    Vector(Vec<f32>),
    /// One float vector per patch or token, labelled from 0.
    Vectors(Matrix<f32>),
    /// A single packed vector.
    Bits(Vec<u8>),
    /// One packed vector per patch or token, labelled from 0.
    BitRows(Matrix<u8>),
}

impl Tensor {
    /// Checks the cell type, shape and width against a tensor type, and refuses NaN and infinities ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).
    ///
    /// # Errors
    /// `InvalidInput` that names the given and the expected form.
    pub fn check(&self, tensor_type: &TensorType) -> Result<()> {
        let (binary, shape, width) = match self {
            Self::Vector(cells) => (false, TensorShape::Single, cells.len()),
            Self::Vectors(rows) => (false, TensorShape::Multi, rows.width()),
            Self::Bits(bytes) => (true, TensorShape::Single, bytes.len()),
            Self::BitRows(rows) => (true, TensorShape::Multi, rows.width()),
        };
        if binary != (tensor_type.cell() == CellType::Int8) || shape != tensor_type.shape() {
            return Err(Error::invalid(format!("a {} does not fit {tensor_type}", self.describe())));
        }
        if width != tensor_type.size() {
            return Err(Error::invalid(format!(
                "a vector of {width} cells does not fit {tensor_type}, which has {}; check the encoder's dimensions",
                tensor_type.size()
            )));
        }
        match self {
            Self::Vector(cells) => check_finite(cells),
            Self::Vectors(rows) if rows.is_empty() => {
                Err(Error::invalid(format!("no vector for {tensor_type}; give at least one row")))
            }
            Self::Vectors(rows) => check_finite(rows.cells()),
            Self::Bits(_) => Ok(()),
            Self::BitRows(rows) if rows.is_empty() => {
                Err(Error::invalid(format!("no vector for {tensor_type}; give at least one row")))
            }
            Self::BitRows(_) => Ok(()),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Vector(_) => "single float vector",
            Self::Vectors(_) => "float multi-vector",
            Self::Bits(_) => "single bit vector",
            Self::BitRows(_) => "bit multi-vector",
        }
    }
}

/// The largest magnitude of a cell. Products and sums of larger values overflow a float, and infinite scores cannot
/// be ranked.
pub const MAX_CELL: f32 = 1e15;

/// Refuses NaN, infinities and magnitudes above [`MAX_CELL`] ([invariant 17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)), so that every score of accepted vectors
/// is finite.
///
/// # Errors
/// `InvalidInput` with the index and the value of the first such cell.
pub fn check_finite(cells: &[f32]) -> Result<()> {
    let fits = |cell: &f32| cell.abs() <= MAX_CELL;
    // Without a way out in the middle the compiler looks at several cells at once.
    if cells.iter().fold(true, |all, cell| all & fits(cell)) {
        return Ok(());
    }
    match cells.iter().enumerate().find(|(_, cell)| !fits(cell)) {
        Some((index, cell)) if cell.is_finite() => Err(Error::invalid(format!(
            "cell {index} of a vector is {cell:e} and scores of such cells are not finite; keep cells within {MAX_CELL:e}, for example by normalizing"
        ))),
        Some((index, cell)) => {
            Err(Error::invalid(format!("cell {index} of a vector is {cell}; vectors must be finite")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_17_dimensions_and_nan_are_refused() {
        let multi = TensorType::parse("tensor<bfloat16>(patch{}, v[4])").unwrap();
        let good = Tensor::Vectors(Matrix::new(4, vec![0.5; 8]).unwrap());
        good.check(&multi).unwrap();
        let wide = Tensor::Vectors(Matrix::new(8, vec![0.5; 8]).unwrap());
        assert!(wide.check(&multi).unwrap_err().to_string().contains("check the encoder"));
        let nan = Tensor::Vectors(Matrix::new(4, vec![0.5, f32::NAN, 0.0, 0.0]).unwrap());
        assert!(nan.check(&multi).unwrap_err().to_string().contains("cell 1"));
        assert!(Tensor::Vector(vec![0.5; 4]).check(&multi).is_err());
        assert!(Tensor::Bits(vec![1; 4]).check(&multi).is_err());
        assert!(Matrix::<f32>::new(3, vec![0.0; 4]).is_err());
        assert!(Matrix::<f32>::new(0, vec![]).is_err());
    }
}
