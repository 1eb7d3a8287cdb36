//! Products of quantized float query rows with codes.

use crate::kernel::{
    code_layout::{CODE_GROUP, Header, LINE, lines},
    code_query::{CodeQuery, CodeStage, Codes, Extremes},
};

/// Writes the upper bound of a query row for each row of a group, relative to the query row's length and without its error.
pub(crate) fn code_lanes(query: &CodeQuery, stage: CodeStage, row: usize, group: &[u8], out: &mut [f32; CODE_GROUP]) {
    let scaled = |codes: &Codes| {
        let step = codes.steps.get(row).copied().unwrap_or(0.0);
        products(codes, query.rows(), row, lines(group)).map(|product| step * product as f32)
    };
    let mut sums = scaled(query.high());
    if stage == CodeStage::Fine {
        sums.iter_mut().zip(scaled(query.low())).for_each(|(sum, low)| *sum += low);
    }
    let header = Header::of(group);
    for ((out, sum), (scale, residual)) in out.iter_mut().zip(sums).zip(header.scales.iter().zip(header.residuals)) {
        *out = sum * scale + residual * query.stretch();
    }
}

/// Writes the greatest of these over all rows of a document, for as many query rows from `first` on as there is room for.
pub(crate) fn code_best(
    query: &CodeQuery,
    stage: CodeStage,
    first: usize,
    document: &[u8],
    best: &mut [f32],
) -> Extremes {
    let mut most = Extremes::default();
    best.fill(f32::NEG_INFINITY);
    for group in document.chunks_exact(query.group_len()) {
        for (row, best) in best.iter_mut().enumerate() {
            let mut lanes = [0.0; CODE_GROUP];
            code_lanes(query, stage, first + row, group, &mut lanes);
            *best = lanes.into_iter().fold(*best, f32::max);
        }
        let header = Header::of(group);
        for (residual, norm) in header.residuals.into_iter().zip(header.norms) {
            most.raise(Extremes { residual: residual * query.stretch(), norm });
        }
    }
    most
}

/// Computes the sums of products of codes, exactly. Pairs of products of 16-bit numbers are added at once, for which most
/// machines have an instruction.
fn products(codes: &Codes, rows: usize, row: usize, lines: &[[u8; LINE]]) -> [i32; CODE_GROUP] {
    // Two sums for each row, of two dimensions.
    let mut sums = [0i32; 2 * CODE_GROUP];
    for (word, line) in codes.words.iter().skip(row).step_by(rows.max(1)).zip(lines) {
        let [a, b, c, d] = word.to_le_bytes().map(|own| i16::from(own.cast_signed()));
        let own = [a, b, c, d, a, b, c, d];
        let cells = line.map(i16::from);
        for (sums, cells) in sums.as_chunks_mut::<4>().0.iter_mut().zip(cells.as_chunks::<8>().0) {
            for ((sum, own), cells) in sums.iter_mut().zip(own.as_chunks::<2>().0).zip(cells.as_chunks::<2>().0) {
                let ([a, b], [c, d]) = (own.map(i32::from), cells.map(i32::from));
                *sum += a * c + b * d;
            }
        }
    }
    let start = codes.starts.get(row).copied().unwrap_or(0);
    let mut products = [start; CODE_GROUP];
    products.iter_mut().zip(sums.as_chunks::<2>().0).for_each(|(product, [a, b])| *product += a + b);
    products
}
