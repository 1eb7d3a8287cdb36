//! Kernels for NEON on aarch64.
#![allow(unsafe_code, reason = "vector instructions; every pointer stays inside a slice whose length is checked first")]

mod bits;
mod codes;
mod floats;

use super::set::Kernels;

/// Returns the kernels if this machine supports them. Exact products with bits are the portable look-ups: there is no
/// instruction that looks up floats.
pub(super) fn kernels() -> Option<Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(Kernels {
        name: "neon",
        // SAFETY: the feature was just detected; the same holds for each line below.
        hamming_maxsim: |query, document| unsafe { bits::hamming_maxsim(query, document) },
        hamming_group: |query, row, group, out| unsafe { bits::hamming_group(query, row, group, out) },
        bit_codes: |query, document| unsafe { bits::bit_codes(query, document) },
        maxsim_bf16: |query, document| unsafe { floats::maxsim_bf16(query, document) },
        maxsim_f32: |query, document| unsafe { floats::maxsim_f32(query, document) },
        code_best: |query, stage, row, document, best| unsafe { codes::code_best(query, stage, row, document, best) },
        code_lanes: |query, stage, row, group, out| unsafe { codes::code_lanes(query, stage, row, group, out) },
        ..Kernels::scalar()
    })
}
