//! Scoring kernels of the search path, picked at run time. The only place with `unsafe`.
//!
//! | kernel | formula |
//! |---|---|
//! | [`Kernels::hamming_maxsim`] | sum over query rows of max over document rows of `1 / (1 + differing bits)` |
//! | [`Kernels::maxsim_bf16`], [`Kernels::maxsim_f32`] | sum over query rows of max over document rows of the dot product |
//! | [`Kernels::maxsim_bits`] | the same, the document's bits read as 0 and 1, or as -1 and 1 |
//! | [`Kernels::dot_f32`], [`Kernels::hamming_words`] | one vector against one |
//!
//! On x86-64 there are AVX-512 (with VPOPCNTDQ) and AVX2 kernels. Elsewhere the plain ones run, written so that the
//! compiler vectorises them. A document without rows scores 0. Lengths that do not fit are rounded down to whole rows.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod layout;
mod scalar;
#[cfg(test)]
mod tests;

pub use layout::{ROW_GROUP, bit_words, interleaved_len, pack_bits_interleaved, query_words};
use std::sync::OnceLock;

/// Query rows x words, words of a row, interleaved document.
type HammingMaxSim = fn(&[u64], usize, &[u64]) -> f32;
/// Query rows x dims, dims, document rows x dims.
type MaxSim<T> = fn(&[f32], usize, &[T]) -> f32;
/// Query rows x dims, dims, words of a row, interleaved document, bits are -1 and 1.
type MaxSimBits = fn(&[f32], usize, usize, &[u64], bool) -> f32;

/// One set of kernels. Cheap to copy; [`Kernels::detect`] gives the fastest that this machine runs.
#[derive(Debug, Clone, Copy)]
pub struct Kernels {
    name: &'static str,
    hamming_maxsim: HammingMaxSim,
    maxsim_bf16: MaxSim<u16>,
    maxsim_f32: MaxSim<f32>,
    maxsim_bits: MaxSimBits,
    dot_f32: fn(&[f32], &[f32]) -> f32,
}

impl Kernels {
    /// The fastest kernels that this machine runs; asked once per process.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Kernels> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::available().into_iter().next_back().unwrap_or(Self::scalar()))
    }

    /// The plain kernels.
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

    /// All kernels that this machine runs, the slowest first: for tests and benches.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx2::kernels());
            all.extend(avx512::kernels());
        }
        all
    }

    /// `scalar`, `avx2` or `avx512`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `sum over query rows of 1 / (1 + least number of differing bits)`. `query` holds rows of `words` words, `document`
    /// rows interleaved by [`pack_bits_interleaved`].
    #[must_use]
    pub fn hamming_maxsim(&self, query: &[u64], words: usize, document: &[u64]) -> f32 {
        if words == 0 || document.len() < words * ROW_GROUP {
            0.0
        } else {
            (self.hamming_maxsim)(query, words, document)
        }
    }

    /// MaxSim of float rows on bfloat16 rows, in single precision; the query is not rounded.
    #[must_use]
    pub fn maxsim_bf16(&self, query: &[f32], dims: usize, document: &[u16]) -> f32 {
        if dims == 0 || document.len() < dims { 0.0 } else { (self.maxsim_bf16)(query, dims, document) }
    }

    /// MaxSim of float rows on float rows.
    #[must_use]
    pub fn maxsim_f32(&self, query: &[f32], dims: usize, document: &[f32]) -> f32 {
        if dims == 0 || document.len() < dims { 0.0 } else { (self.maxsim_f32)(query, dims, document) }
    }

    /// MaxSim of float rows on bits read as 0 and 1, or as -1 and 1 where `signed`. Padding bits beyond `dims` do not count.
    #[must_use]
    pub fn maxsim_bits(&self, query: &[f32], dims: usize, words: usize, document: &[u64], signed: bool) -> f32 {
        let fits = dims > 0 && dims <= words * 64 && document.len() >= words * ROW_GROUP;
        if fits { (self.maxsim_bits)(query, dims, words, document, signed) } else { 0.0 }
    }

    /// The dot product of two vectors of one length.
    #[must_use]
    pub fn dot_f32(&self, a: &[f32], b: &[f32]) -> f32 {
        (self.dot_f32)(a, b)
    }

    /// Differing bits of two packed vectors of one length.
    #[must_use]
    pub fn hamming_words(&self, a: &[u64], b: &[u64]) -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}
