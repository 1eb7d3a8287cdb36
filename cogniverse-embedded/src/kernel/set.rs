//! A set of kernels.

use super::{
    bit_float_query::BitFloatQuery,
    bit_query::{BitQuery, WIDEST},
    float_query::FloatQuery,
    layout::GROUP,
    scalar,
};
use cogniverse_sdk::quantize::from_bf16;

/// Query and at least one document row of its length.
type MaxSim<T> = fn(&FloatQuery, &[T]) -> f32;
/// A vector, as many rows of its length as there are products, and those.
type Dots<T> = fn(&[f32], &[T], &mut [f32]);

/// A set of kernels. Cheap to copy; [`Kernels::detect`] returns the fastest one.
///
/// The product of a query row with a document row is the same in the last bit wherever the two stand among others.
#[derive(Debug, Clone, Copy)]
pub struct Kernels {
    pub(super) name: &'static str,
    /// Here and below: at least one whole group, and a query of at most [`WIDEST`] bytes but for the portable kernels.
    pub(super) hamming_maxsim: fn(&BitQuery, &[u8]) -> f32,
    pub(super) hamming_group: fn(&BitQuery, usize, &[u8], &mut [u32; GROUP]),
    pub(super) maxsim_bits: fn(&BitFloatQuery, &[u8]) -> f32,
    pub(super) bits_group: fn(&BitFloatQuery, usize, &[u8], &mut [f32; GROUP]),
    pub(super) bit_codes: fn(&BitFloatQuery, &[u8]) -> f64,
    pub(super) maxsim_bf16: MaxSim<u16>,
    pub(super) maxsim_f32: MaxSim<f32>,
    pub(super) dots_bf16: Dots<u16>,
    pub(super) dots_f32: Dots<f32>,
}

const SCALAR: Kernels = Kernels {
    name: "scalar",
    hamming_maxsim: scalar::hamming_maxsim,
    hamming_group: scalar::hamming_group,
    maxsim_bits: scalar::maxsim_bits,
    bits_group: scalar::bits_group,
    bit_codes: scalar::bit_codes,
    maxsim_bf16: |query, document| scalar::maxsim(query, document, from_bf16),
    maxsim_f32: |query, document| scalar::maxsim(query, document, |cell| cell),
    dots_bf16: |query, rows, out| scalar::dots(query, rows, out, from_bf16),
    dots_f32: |query, rows, out| scalar::dots(query, rows, out, |cell| cell),
};

impl Kernels {
    /// Returns the portable kernels.
    #[must_use]
    pub fn scalar() -> Self {
        SCALAR
    }

    /// Returns `scalar`, `avx2`, `avx512` or `neon`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the kernels for rows of `bytes` bytes.
    fn wide_enough(&self, bytes: usize) -> &Self {
        if bytes > WIDEST { &SCALAR } else { self }
    }

    /// Computes `sum over query rows of 1 / (1 + least number of differing bits)` for a document grouped by
    /// [`super::group_rows`].
    #[must_use]
    pub fn hamming_maxsim(&self, query: &BitQuery, document: &[u8]) -> f32 {
        match whole_groups(document, query.bytes()) {
            [] => 0.0,
            groups => (self.wide_enough(query.bytes()).hamming_maxsim)(query, groups),
        }
    }

    /// Counts the bits by which a query row differs from each row of a group, and returns whether both exist.
    pub fn hamming_group(&self, query: &BitQuery, row: usize, group: &[u8], out: &mut [u32; GROUP]) -> bool {
        let group = first_group(group, query.bytes()).filter(|_| row < query.rows());
        if let Some(group) = group {
            (self.wide_enough(query.bytes()).hamming_group)(query, row, group, out);
        }
        group.is_some()
    }

    /// Computes MaxSim of float rows with bits, read as 0 and 1 or as -1 and 1 as the query was prepared. Padding bits
    /// beyond the query's dimensions are ignored.
    #[must_use]
    pub fn maxsim_bits(&self, query: &BitFloatQuery, document: &[u8]) -> f32 {
        match whole_groups(document, query.bytes()) {
            [] => 0.0,
            groups => (self.wide_enough(query.bytes()).maxsim_bits)(query, groups),
        }
    }

    /// Computes a lower and an upper bound of [`Kernels::maxsim_bits`] in less time. They are infinite where sums might
    /// overflow, and for rows longer than 65,528 bits.
    #[must_use]
    pub fn maxsim_bits_bounds(&self, query: &BitFloatQuery, document: &[u8]) -> (f32, f32) {
        match whole_groups(document, query.bytes()) {
            [] => (0.0, 0.0),
            groups if query.is_bounded() => query.bounds((self.bit_codes)(query, groups)),
            _ => (f32::NEG_INFINITY, f32::INFINITY),
        }
    }

    /// Computes the products of a query row with the bits of each row of a group, and returns whether both exist.
    pub fn bits_group(&self, query: &BitFloatQuery, row: usize, group: &[u8], out: &mut [f32; GROUP]) -> bool {
        let group = first_group(group, query.bytes()).filter(|_| row < query.rows());
        if let Some(group) = group {
            (self.wide_enough(query.bytes()).bits_group)(query, row, group, out);
        }
        group.is_some()
    }

    /// Computes MaxSim of float rows with bfloat16 rows in single precision, without rounding the query.
    #[must_use]
    pub fn maxsim_bf16(&self, query: &FloatQuery, document: &[u16]) -> f32 {
        Self::maxsim(query, document, self.maxsim_bf16, self.dots_bf16)
    }

    /// Computes MaxSim of float rows with float rows.
    #[must_use]
    pub fn maxsim_f32(&self, query: &FloatQuery, document: &[f32]) -> f32 {
        Self::maxsim(query, document, self.maxsim_f32, self.dots_f32)
    }

    fn maxsim<T>(query: &FloatQuery, document: &[T], many: MaxSim<T>, dots: Dots<T>) -> f32 {
        if query.rows() == 0 || document.len() < query.dims() {
            return 0.0;
        }
        if query.rows() > 1 {
            return many(query, document);
        }
        // A single row would leave most lanes of the interleaved kernels unused.
        let mut best = f32::NEG_INFINITY;
        let mut products = [0.0; 64];
        for rows in document.chunks(query.dims() * products.len()) {
            let count = rows.len() / query.dims();
            let products = products.get_mut(..count).unwrap_or_default();
            dots(query.cells(), rows, products);
            best = products.iter().copied().fold(best, f32::max);
        }
        best
    }

    /// Computes the dot product of two vectors; where the lengths differ, of what both have.
    #[must_use]
    pub fn dot_f32(&self, a: &[f32], b: &[f32]) -> f32 {
        let dims = a.len().min(b.len());
        let mut product = [0.0];
        self.dots_f32(a.get(..dims).unwrap_or_default(), b, &mut product);
        let [product] = product;
        product
    }

    /// Computes the dot products of a vector with consecutive rows of its length, as many as `rows` and `out` hold.
    /// The rest of `out` is not written.
    pub fn dots_f32(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        Self::dots(query, rows, out, self.dots_f32);
    }

    /// Computes the same with bfloat16 rows, without rounding the query.
    pub fn dots_bf16(&self, query: &[f32], rows: &[u16], out: &mut [f32]) {
        Self::dots(query, rows, out, self.dots_bf16);
    }

    fn dots<T>(query: &[f32], rows: &[T], out: &mut [f32], dots: Dots<T>) {
        let count = rows.len().checked_div(query.len()).unwrap_or(0).min(out.len());
        if let (Some(rows), Some(out), 1..) = (rows.get(..count * query.len()), out.get_mut(..count), count) {
            dots(query, rows, out);
        }
    }
}

fn whole_groups(document: &[u8], bytes: usize) -> &[u8] {
    let group = bytes.saturating_mul(GROUP);
    let groups = document.len().checked_div(group).unwrap_or(0);
    document.get(..groups * group).unwrap_or_default()
}

fn first_group(groups: &[u8], bytes: usize) -> Option<&[u8]> {
    groups.get(..bytes.saturating_mul(GROUP)).filter(|group| !group.is_empty())
}
