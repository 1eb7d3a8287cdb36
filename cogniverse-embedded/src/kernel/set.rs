//! A set of kernels.

use super::{layout::ROW_GROUP, scalar};

/// Query rows, words per row, interleaved document.
type HammingMaxSim = fn(&[u64], usize, &[u64]) -> f32;
/// Query rows, dimensions, document rows.
type MaxSim<T> = fn(&[f32], usize, &[T]) -> f32;
/// Query rows, dimensions, words per row, interleaved document, whether bits mean -1 and 1.
type MaxSimBits = fn(&[f32], usize, usize, &[u64], bool) -> f32;

/// A set of kernels. Cheap to copy; [`Kernels::detect`] returns the fastest one.
#[derive(Debug, Clone, Copy)]
pub struct Kernels {
    pub(super) name: &'static str,
    pub(super) hamming_maxsim: HammingMaxSim,
    pub(super) maxsim_bf16: MaxSim<u16>,
    pub(super) maxsim_f32: MaxSim<f32>,
    pub(super) maxsim_bits: MaxSimBits,
    pub(super) dot_f32: fn(&[f32], &[f32]) -> f32,
}

impl Kernels {
    /// Returns the portable kernels.
    #[must_use]
    pub fn scalar() -> Self {
        Self {
            name: "scalar",
            hamming_maxsim: scalar::hamming_maxsim,
            maxsim_bf16: scalar::maxsim_bf16,
            maxsim_f32: scalar::maxsim_f32,
            maxsim_bits: scalar::maxsim_bits,
            dot_f32: scalar::dot_f32,
        }
    }

    /// Returns `scalar`, `avx2` or `avx512`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Computes `sum over query rows of 1 / (1 + least number of differing bits)`. `query` holds rows of `words`
    /// words, `document` rows interleaved by [`pack_bits_interleaved`].
    #[must_use]
    pub fn hamming_maxsim(&self, query: &[u64], words: usize, document: &[u64]) -> f32 {
        if words == 0 || document.len() < words * ROW_GROUP {
            0.0
        } else {
            (self.hamming_maxsim)(query, words, document)
        }
    }

    /// Computes MaxSim of float rows with bfloat16 rows in single precision, without rounding the query.
    #[must_use]
    pub fn maxsim_bf16(&self, query: &[f32], dims: usize, document: &[u16]) -> f32 {
        if dims == 0 || document.len() < dims { 0.0 } else { (self.maxsim_bf16)(query, dims, document) }
    }

    /// Computes MaxSim of float rows with float rows.
    #[must_use]
    pub fn maxsim_f32(&self, query: &[f32], dims: usize, document: &[f32]) -> f32 {
        if dims == 0 || document.len() < dims { 0.0 } else { (self.maxsim_f32)(query, dims, document) }
    }

    /// Computes MaxSim of float rows with bits, read as 0 and 1 or, where `signed`, as -1 and 1. Padding bits beyond
    /// `dims` are ignored.
    #[must_use]
    pub fn maxsim_bits(&self, query: &[f32], dims: usize, words: usize, document: &[u64], signed: bool) -> f32 {
        let fits = dims > 0 && dims <= words * 64 && document.len() >= words * ROW_GROUP;
        if fits { (self.maxsim_bits)(query, dims, words, document, signed) } else { 0.0 }
    }

    /// Computes the dot product of two vectors of equal length.
    #[must_use]
    pub fn dot_f32(&self, a: &[f32], b: &[f32]) -> f32 {
        (self.dot_f32)(a, b)
    }

    /// Counts the differing bits of two packed vectors of equal length.
    #[must_use]
    pub fn hamming_words(&self, a: &[u64], b: &[u64]) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}
