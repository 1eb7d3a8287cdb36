//! Kernels for AVX2 with FMA.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

mod bits;
mod float_bits;
mod floats;

use super::set::Kernels;
use std::arch::x86_64::*;

/// Returns the kernels if this machine supports them.
pub(super) fn kernels() -> Option<Kernels> {
    let runs = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    runs.then_some(Kernels {
        name: "avx2",
        // SAFETY: the features were just detected; the same holds for each line below.
        hamming_maxsim: |query, document| unsafe { bits::hamming_maxsim(query, document) },
        hamming_group: |query, row, group, out| unsafe { bits::hamming_group(query, row, group, out) },
        maxsim_bits: |query, document| unsafe { float_bits::maxsim_bits(query, document) },
        bits_group: |query, row, group, out| unsafe { float_bits::bits_group(query, row, group, out) },
        bit_codes: |query, document| unsafe { float_bits::bit_codes(query, document) },
        maxsim_bf16: |query, document| unsafe { floats::maxsim_bf16(query, document) },
        maxsim_f32: |query, document| unsafe { floats::maxsim_f32(query, document) },
        dots_bf16: |query, rows, out| unsafe { floats::dots(query, rows, out) },
        dots_f32: |query, rows, out| unsafe { floats::dots(query, rows, out) },
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are read from an array of 32.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Looks up the nibbles of 32 bytes: each half of a table is repeated for both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up(table: &[u8; 32], low: __m256i, high: __m256i) -> (__m256i, __m256i) {
    // SAFETY: twice 16 bytes are read from an array of 32.
    let (for_low, for_high) =
        unsafe { (_mm_loadu_si128(table.as_ptr().cast()), _mm_loadu_si128(table.as_ptr().add(16).cast())) };
    (
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(for_low), low),
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(for_high), high),
    )
}

#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(column: __m256i) -> (__m256i, __m256i) {
    let nibble = _mm256_set1_epi8(0x0f);
    (_mm256_and_si256(column, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(column), nibble))
}
