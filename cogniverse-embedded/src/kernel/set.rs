//! A set of kernels.

use super::{
    bit_float_query::BitFloatQuery,
    bit_query::{BitQuery, WIDEST},
    code_layout::{CODE_GROUP, Header},
    code_query::{BoundSum, CodeQuery, CodeStage, Extremes, GroupSum},
    float_query::FloatQuery,
    layout::GROUP,
    scalar,
};
use cogniverse_sdk::quantize::from_bf16;

/// Query and at least one document row of its length.
type MaxSim<T> = fn(&FloatQuery, &[T]) -> f32;
/// A vector, as many rows of its length as there are products, and those.
type Dots<T> = fn(&[f32], &[T], &mut [f32]);

/// The number of query rows whose products with codes are held at once.
const RUN: usize = 48;

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
    /// Query rows from a number on, as many as there are results, and at least one whole group.
    pub(super) code_best: fn(&CodeQuery, CodeStage, usize, &[u8], &mut [f32]) -> Extremes,
    /// One query row and one group.
    pub(super) code_lanes: fn(&CodeQuery, CodeStage, usize, &[u8], &mut [f32; CODE_GROUP]),
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
    code_best: scalar::code_best,
    code_lanes: scalar::code_lanes,
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

    /// Returns whether bounds from codes take less time than exact products: the portable kernels' take more for several
    /// query rows.
    #[must_use]
    pub fn has_fast_codes(&self) -> bool {
        self.name != SCALAR.name
    }

    /// Computes a lower and an upper bound of [`Kernels::maxsim_bf16`] and [`Kernels::maxsim_f32`] for a document grouped
    /// by [`super::group_codes`], in less time. They are infinite for rows of a norm above 10^15 and above 16,384
    /// dimensions.
    #[must_use]
    pub fn maxsim_codes_bounds(&self, query: &CodeQuery, stage: CodeStage, document: &[u8]) -> (f32, f32) {
        let length = query.group_len();
        let document = document.get(..document.len() / length * length).unwrap_or_default();
        if document.is_empty() || query.rows() == 0 {
            return (0.0, 0.0);
        }
        if !query.is_bounded() {
            return (f32::NEG_INFINITY, f32::INFINITY);
        }
        let mut sum = BoundSum::default();
        let mut best = [0.0; RUN];
        for first in (0..query.rows()).step_by(RUN) {
            let best = best.get_mut(..(query.rows() - first).min(RUN)).unwrap_or_default();
            let most = (self.code_best)(query, stage, first, document, best);
            query.add(stage, first, best, most, &mut sum);
        }
        query.bounds(sum)
    }

    /// Computes bounds of the same for each row of a group, taken as a document of its own, and returns whether there
    /// are query rows and a group. With one query row they bound dot products as well.
    pub fn codes_group_bounds(
        &self,
        query: &CodeQuery,
        stage: CodeStage,
        group: &[u8],
        out: &mut [(f32, f32); CODE_GROUP],
    ) -> bool {
        let Some(group) = group.get(..query.group_len()).filter(|_| query.rows() > 0) else { return false };
        if !query.is_bounded() {
            out.fill((f32::NEG_INFINITY, f32::INFINITY));
            return true;
        }
        let (header, mut sum) = (Header::of(group), GroupSum::default());
        let mut lanes = [0.0; CODE_GROUP];
        for row in 0..query.rows() {
            (self.code_lanes)(query, stage, row, group, &mut lanes);
            query.add_lanes(stage, row, &lanes, &header, &mut sum);
        }
        query.lane_bounds(&sum, out);
        true
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
