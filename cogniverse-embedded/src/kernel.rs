//! Scoring kernels, selected at run time by CPU features.
//!
//! | kernel | formula |
//! |---|---|
//! | [`Kernels::hamming_maxsim`] | sum over query rows of max over document rows of `1 / (1 + differing bits)` |
//! | [`Kernels::hamming_group`] | differing bits of one vector and each of 32 |
//! | [`Kernels::maxsim_bf16`], [`Kernels::maxsim_f32`] | sum over query rows of max over document rows of the dot product |
//! | [`Kernels::maxsim_bits`] | the same, the document's bits read as 0 and 1, or as -1 and 1 |
//! | [`Kernels::maxsim_bits_bounds`] | bounds of that, in less time |
//! | [`Kernels::maxsim_codes_bounds`] | bounds of MaxSim with float rows, from the rows quantized to bytes |
//! | [`Kernels::codes_group_bounds`] | the same for each of 16 documents of one row |
//! | [`Kernels::bits_group`], [`Kernels::dots_f32`], [`Kernels::dots_bf16`] | dot products of one vector and each of many |
//!
//! Queries are prepared once per search: [`BitQuery`], [`BitFloatQuery`], [`FloatQuery`], [`CodeQuery`]. Sign
//! bits are stored in groups of 32 rows ([`group_rows`]) and codes in groups of 16 ([`group_codes`]), as bytes without
//! alignment and the same on every machine, so that a document may lie in a mapped file.
//!
//! x86-64 has AVX-512 and AVX2 kernels, aarch64 has NEON ones. Other machines use portable ones, written so that the
//! compiler vectorizes them. A document without rows scores 0. Lengths that do not match are rounded down to whole rows or groups.

#[cfg(target_arch = "x86_64")]
mod ahead;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bit_float_query;
mod bit_query;
mod code_layout;
mod code_query;
mod float_query;
mod layout;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
mod set;
#[cfg(test)]
mod tests;

pub use bit_float_query::BitFloatQuery;
pub use bit_query::BitQuery;
pub use code_layout::{CODE_GROUP, code_group_len, group_codes, push_codes};
pub use code_query::{CodeQuery, CodeStage};
pub use float_query::FloatQuery;
pub use layout::{GROUP, group_rows, grouped_len, grouped_row, push_row};
pub use set::Kernels;
use std::sync::OnceLock;

impl Kernels {
    /// Returns the fastest kernels of this machine, detected once per process.
    #[must_use]
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Kernels> = OnceLock::new();
        *DETECTED.get_or_init(|| Self::available().into_iter().next_back().unwrap_or(Self::scalar()))
    }

    /// Returns all kernels that this machine supports, slowest first, for tests and benches.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut all = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx2::kernels());
            all.extend(avx512::kernels());
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(neon::kernels());
        all
    }
}
