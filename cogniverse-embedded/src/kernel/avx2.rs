//! Kernels for AVX2 with FMA.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

mod bits;
mod codes;
mod float_bits;
mod floats;
mod lanes;

use super::set::Kernels;

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
        code_best: |query, stage, row, document, best| unsafe { codes::code_best(query, stage, row, document, best) },
        code_lanes: |query, stage, row, group, out| unsafe { codes::code_lanes(query, stage, row, group, out) },
    })
}
