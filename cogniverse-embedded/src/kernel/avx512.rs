//! Kernels for AVX-512.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

mod bits;
mod codes;
mod float_bits;
mod floats;

use super::set::Kernels;

/// Returns the kernels if this machine supports them. Without BITALG, distances are computed as on AVX2, and
/// without VNNI so are products with codes.
pub(super) fn kernels() -> Option<Kernels> {
    let runs = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq");
    let base = super::avx2::kernels().filter(|_| runs)?;
    let mut set = Kernels {
        name: "avx512",
        // SAFETY: the features were just detected; the same holds for each line below.
        maxsim_bits: |query, document| unsafe { float_bits::maxsim_bits(query, document) },
        bits_group: |query, row, group, out| unsafe { float_bits::bits_group(query, row, group, out) },
        maxsim_bf16: |query, document| unsafe { floats::maxsim_bf16(query, document) },
        maxsim_f32: |query, document| unsafe { floats::maxsim_f32(query, document) },
        ..base
    };
    if is_x86_feature_detected!("avx512bitalg") {
        // SAFETY: as above.
        set.hamming_maxsim = |query, document| unsafe { bits::hamming_maxsim(query, document) };
        set.hamming_group = |query, row, group, out| unsafe { bits::hamming_group(query, row, group, out) };
    }
    if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: as above.
        set.code_best =
            |query, stage, row, document, best| unsafe { codes::code_best(query, stage, row, document, best) };
        set.code_lanes = |query, stage, row, group, out| unsafe { codes::code_lanes(query, stage, row, group, out) };
    }
    Some(set)
}
