//! Scoring kernels, selected at run time by CPU features.
//!
//! | kernel | formula |
//! |---|---|
//! | [`Kernels::hamming_maxsim`] | sum over query rows of max over document rows of `1 / (1 + differing bits)` |
//! | [`Kernels::maxsim_bf16`], [`Kernels::maxsim_f32`] | sum over query rows of max over document rows of the dot product |
//! | [`Kernels::maxsim_bits`] | the same, the document's bits read as 0 and 1, or as -1 and 1 |
//! | [`Kernels::dot_f32`], [`Kernels::hamming_words`] | one vector against one |
//!
//! x86-64 has AVX-512 (with VPOPCNTDQ) and AVX2 kernels. Other machines use portable ones, written so that the
//! compiler vectorizes them. A document without rows scores 0. Lengths that do not match are rounded down to whole
//! rows.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod layout;
mod scalar;
mod set;
#[cfg(test)]
mod tests;

pub use layout::{ROW_GROUP, bit_words, interleaved_len, pack_bits_interleaved, query_words};
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
        all
    }
}
