//! The bytes and nibbles of registers.

use std::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are read from an array of 32.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Looks up the nibbles of 32 bytes: each half of a table is repeated for both halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn look_up(table: &[u8; 32], low: __m256i, high: __m256i) -> (__m256i, __m256i) {
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
pub(super) fn nibbles(column: __m256i) -> (__m256i, __m256i) {
    let nibble = _mm256_set1_epi8(0x0f);
    (_mm256_and_si256(column, nibble), _mm256_and_si256(_mm256_srli_epi16::<4>(column), nibble))
}
