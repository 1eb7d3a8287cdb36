//! Packed forms of vectors, bit for bit as Vespa expects them.
//!
//! A bit is 1 only where the value is above 0; bits are packed most significant first, so dimension 0 is bit 7 of
//! byte 0, and an incomplete last byte is padded with zeros. bfloat16 is the upper half of a float32, truncated.

use crate::{Matrix, Result};

/// Returns the number of bytes that hold `dims` sign bits.
#[must_use]
pub fn packed_bytes(dims: usize) -> usize {
    dims.div_ceil(8)
}

/// Appends the packed sign bits of one vector to `out`.
pub fn pack_bits(row: &[f32], out: &mut Vec<u8>) {
    for chunk in row.chunks(8) {
        let byte = chunk.iter().enumerate().fold(0u8, |byte, (i, value)| byte | (u8::from(*value > 0.0) << (7 - i)));
        out.push(byte);
    }
}

/// Packs the sign bits of every row.
///
/// # Errors
/// `InvalidInput` for rows of width 0.
pub fn pack_rows(rows: &Matrix<f32>) -> Result<Matrix<u8>> {
    let mut bytes = Vec::with_capacity(rows.len() * packed_bytes(rows.width()));
    for row in rows.rows() {
        pack_bits(row, &mut bytes);
    }
    Matrix::new(packed_bytes(rows.width()), bytes)
}

/// Truncates a float to bfloat16.
#[must_use]
pub fn to_bf16(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}

/// Converts a bfloat16 to a float.
#[must_use]
pub fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(row: &[f32]) -> Vec<u8> {
        let mut out = Vec::new();
        pack_bits(row, &mut out);
        out
    }

    #[test]
    fn bits_are_most_significant_first_and_zero_is_zero() {
        assert_eq!(packed(&[1.0, 0.0, 1.0, -1.0]), [0xa0]);
        assert_eq!(packed(&[0.0; 8]), [0x00]);
        assert_eq!(packed(&[1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.1]), [0xaa, 0x80]);
        assert_eq!(packed(&[-0.0]), [0]);
    }

    #[test]
    fn bfloat16_truncates() {
        assert_eq!(to_bf16(1.0), 0x3f80);
        assert_eq!(to_bf16(f32::from_bits(0x3f80_ffff)), 0x3f80);
    }

    proptest! {
        #[test]
        fn bfloat16_keeps_two_digits(value in -1000.0f32..1000.0) {
            prop_assert!((from_bf16(to_bf16(value)) - value).abs() <= value.abs() / 128.0);
        }
    }
}
