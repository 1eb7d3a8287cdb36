//! Products with rows quantized to bytes.

use super::*;

const STAGES: [CodeStage; 2] = [CodeStage::Coarse, CodeStage::Fine];
const UNBOUNDED: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

fn coded(rows: &[f32], dims: usize) -> Vec<u8> {
    let mut groups = Vec::new();
    assert_eq!(group_codes(rows, dims, |cell| cell, &mut groups), rows.len() / dims);
    assert_eq!(groups.len(), (rows.len() / dims).div_ceil(CODE_GROUP) * code_group_len(dims));
    groups
}

/// Normalized rows of normally distributed cells.
fn gaussian(rows: usize, dims: usize, mut state: u64) -> Vec<f32> {
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let mut cells = Vec::with_capacity(rows * dims);
    for _ in 0..rows {
        let row: Vec<f64> =
            (0..dims).map(|_| (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()).collect();
        let norm = row.iter().map(|cell| cell * cell).sum::<f64>().sqrt();
        cells.extend(row.iter().map(|cell| (cell / norm) as f32));
    }
    cells
}

/// The exact result lies within the bounds; where sums overflow there is none, and no bound.
fn contains((lower, upper): (f32, f32), exact: f32) -> bool {
    lower <= exact && exact <= upper || exact.is_nan() && (lower, upper) == UNBOUNDED
}

#[test]
fn codes_of_whole_numbers_are_exact_but_for_rounding() {
    let rows = [127.0, -3.0, 0.0, 5.0, 1.0, -127.0, 64.0, 2.0, 0.0, 9.0];
    for (dims, products) in [(5, vec![127.0 * 127.0 + 9.0 + 25.0 + 1.0, -127.0 * 127.0 - 192.0 + 10.0]), (10, vec![])] {
        let document = coded(&rows, dims);
        let expected = products.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let exact = FloatQuery::new(&rows[..dims], dims);
        for kernels in Kernels::available() {
            let exact = kernels.maxsim_f32(&exact, &rows);
            assert!(dims == 10 || exact == expected, "{exact}");
            for stage in STAGES {
                let bounds = kernels.maxsim_codes_bounds(&CodeQuery::new(&rows[..dims], dims), stage, &document);
                assert!(contains(bounds, exact) && bounds.1 - bounds.0 < exact.abs() * 1e-4, "{bounds:?} {exact}");
            }
        }
    }
}

#[test]
fn invariant_25_codes_that_do_not_fit_score_nothing() {
    for kernels in Kernels::available() {
        for stage in STAGES {
            let bounds = |query: &CodeQuery, document: &[u8]| kernels.maxsim_codes_bounds(query, stage, document);
            assert_eq!(bounds(&CodeQuery::new(&[1.0; 8], 8), &[]), (0.0, 0.0));
            assert_eq!(bounds(&CodeQuery::new(&[1.0; 8], 8), &[128; 255]), (0.0, 0.0));
            assert_eq!(bounds(&CodeQuery::new(&[], 8), &coded(&[1.0; 8], 8)), (0.0, 0.0));
            assert_eq!(bounds(&CodeQuery::new(&[1.0; 8], 0), &[128; 256]), (0.0, 0.0));
            let mut out = [(0.0, 0.0); CODE_GROUP];
            assert!(!kernels.codes_group_bounds(&CodeQuery::new(&[], 8), stage, &coded(&[1.0; 8], 8), &mut out));
            assert!(!kernels.codes_group_bounds(&CodeQuery::new(&[1.0; 8], 8), stage, &[128; 255], &mut out));
            // What may overflow, or is no number, has no bounds.
            let document = coded(&[1.0; 8], 8);
            for cell in [1e16, f32::MAX, f32::INFINITY, f32::NAN] {
                let mut row = [1.0; 8];
                row[3] = cell;
                assert_eq!(bounds(&CodeQuery::new(&row, 8), &document), UNBOUNDED);
                assert_eq!(bounds(&CodeQuery::new(&[1.0; 8], 8), &coded(&row, 8)), UNBOUNDED);
                assert_eq!(bounds(&CodeQuery::new(&[0.0; 8], 8), &coded(&[[1.0; 8], row].concat(), 8)), UNBOUNDED);
                assert!(kernels.codes_group_bounds(&CodeQuery::new(&row, 8), stage, &document, &mut out));
                assert_eq!(out, [UNBOUNDED; CODE_GROUP]);
            }
        }
    }
    assert_eq!(group_codes(&[1.0], 0, |cell| cell, &mut Vec::new()), 0);
}

#[test]
fn the_widest_rows_do_not_overflow() {
    for (dims, bounded) in [(16_384, true), (16_385, false)] {
        let rows: Vec<f32> = [1.0, -1.0].into_iter().flat_map(|cell| vec![cell; dims]).collect();
        let document = coded(&rows, dims);
        for kernels in Kernels::available() {
            for stage in STAGES {
                for row in rows.chunks(dims) {
                    let (lower, upper) = kernels.maxsim_codes_bounds(&CodeQuery::new(row, dims), stage, &document);
                    let exact = kernels.maxsim_f32(&FloatQuery::new(row, dims), &rows);
                    assert!(lower <= exact && exact <= upper, "{lower} {exact} {upper}");
                    assert_eq!(upper - lower < exact * 0.01, bounded, "{lower} {upper}");
                }
            }
        }
    }
}

#[test]
fn what_the_exact_kernels_round_is_included() {
    // Codes of themselves, whose odd product is always rounded in the same direction once sums are longer than a float.
    let dims = 8_192;
    let cells = vec![127.0; 2 * dims];
    let (query, document, exact) = (&cells, &cells, 2.0 * 127.0 * 127.0 * dims as f64);
    let codes = coded(document, dims);
    for kernels in Kernels::available() {
        let rounded = kernels.maxsim_f32(&FloatQuery::new(query, dims), document);
        assert!((f64::from(rounded) - exact).abs() > exact * 1e-5, "{rounded} {exact}: nothing is rounded");
        for stage in STAGES {
            let (lower, upper) = kernels.maxsim_codes_bounds(&CodeQuery::new(query, dims), stage, &codes);
            assert!(lower <= rounded && rounded <= upper, "{lower} {rounded} {upper}");
            assert!(upper - lower < rounded * 2e-3, "{lower} {rounded} {upper}");
        }
    }
}

/// Of 3,000, at most 4 % by the coarse bounds and 1.4 % by the fine ones; ten are a third of a percent.
#[test]
fn few_of_random_documents_reach_the_tenth_best_score() {
    let (documents, rows, dims) = (3_000, 8, 128);
    let cells: Vec<f32> =
        gaussian(documents * rows, dims, 7).into_iter().map(|cell| from_bf16(to_bf16(cell))).collect();
    // Each has a group of its own.
    let codes: Vec<u8> = cells.chunks(rows * dims).flat_map(|document| coded(document, dims)).collect();
    let query = gaussian(20, dims, 99);
    let (prepared, floats) = (CodeQuery::new(&query, dims), FloatQuery::new(&query, dims));
    for kernels in Kernels::available() {
        let documents = || cells.chunks(rows * dims);
        let mut exact: Vec<f32> = documents().map(|document| kernels.maxsim_f32(&floats, document)).collect();
        exact.sort_by(|a, b| b.total_cmp(a));
        for (stage, most) in STAGES.into_iter().zip([120, 40]) {
            let upper = |codes: &[u8]| kernels.maxsim_codes_bounds(&prepared, stage, codes).1;
            let reaching = codes.chunks(code_group_len(dims)).filter(|codes| upper(codes) >= exact[9]).count();
            assert!((10..=most).contains(&reaching), "{} {stage:?}: {reaching}", kernels.name());
        }
    }
}

/// Rows in which a single cell, or a whole row, is of another magnitude.
fn uneven(pool: &[f32], count: usize, dims: usize, skip: usize, tame: bool) -> Vec<f32> {
    let cell = |at: usize| pool[(at * 7 + at / 3 + skip) % pool.len()];
    (0..count * dims)
        .map(|at| match (tame, cell(at / dims + 5).to_bits() % 6) {
            (true, _) => cell(at).clamp(-2.0, 2.0),
            (false, 0) => cell(at).clamp(-2.0, 2.0) * 1e-30,
            (false, 1) => cell(at).clamp(-2.0, 2.0) * 1e13,
            (false, 2) => cell(at / dims),
            (false, 3) => cell(at).clamp(-2.0, 2.0) * if at % dims == dims / 2 { 1e9 } else { 1.0 },
            (false, 4) => cell(at).clamp(-2.0, 2.0) * 1e-44,
            (false, _) => cell(at),
        })
        .collect()
}

proptest! {
    #[test]
    fn code_bounds_contain_the_exact_result(
        dims in prop_oneof![3 => 1usize..140, 1 => 140usize..1_100], query_rows in 1usize..60, rows in 1usize..70,
        pool in prop::collection::vec(hostile(), 256), tame in any::<bool>(),
    ) {
        let query = uneven(&pool, query_rows, dims, 0, tame);
        let document: Vec<f32> = uneven(&pool, rows, dims, 3, tame);
        let halves: Vec<u16> = document.iter().copied().map(to_bf16).collect();
        let rounded: Vec<f32> = halves.iter().copied().map(from_bf16).collect();
        let (full, mut half) = (coded(&document, dims), Vec::new());
        let _ = group_codes(&halves, dims, from_bf16, &mut half);
        prop_assert_eq!(&half, &coded(&rounded, dims));
        let (prepared, floats) = (CodeQuery::new(&query, dims), FloatQuery::new(&query, dims));
        let first = CodeQuery::new(&query[..dims], dims);
        let lengths = |cells: &[f32]| cells.chunks(dims).map(|row| dot(row, row).sqrt()).collect::<Vec<f64>>();
        let scale = lengths(&query).iter().sum::<f64>() * lengths(&document).into_iter().fold(0.0, f64::max);
        for kernels in Kernels::available() {
            let name = kernels.name();
            for stage in STAGES {
                for (exact, codes) in [
                    (kernels.maxsim_f32(&floats, &document), &full),
                    (kernels.maxsim_bf16(&floats, &halves), &half),
                ] {
                    let bounds = kernels.maxsim_codes_bounds(&prepared, stage, codes);
                    prop_assert!(contains(bounds, exact), "{name} {stage:?}: {bounds:?} {exact}");
                    if tame {
                        // Twice the residuals, each at most half a step of a 127th in every dimension.
                        let share = if stage == CodeStage::Coarse { 0.016 } else { 0.009 };
                        let width = f64::from(bounds.1 - bounds.0);
                        prop_assert!(width <= scale * share * (dims as f64).sqrt() + 1e-6, "{name} {stage:?}: {bounds:?}");
                    }
                }
                for (group, own) in full.chunks(code_group_len(dims)).zip(document.chunks(dims * CODE_GROUP)) {
                    let (mut all, mut one) = ([(0.0, 0.0); CODE_GROUP], [(0.0, 0.0); CODE_GROUP]);
                    prop_assert!(kernels.codes_group_bounds(&prepared, stage, group, &mut all));
                    prop_assert!(kernels.codes_group_bounds(&first, stage, group, &mut one));
                    for ((row, all), one) in own.chunks(dims).zip(all).zip(one) {
                        let exact = kernels.maxsim_f32(&floats, row);
                        prop_assert!(contains(all, exact), "{name} {stage:?}: {all:?} {exact}");
                        let exact = kernels.dot_f32(&query[..dims], row);
                        prop_assert!(contains(one, exact), "{name} {stage:?}: {one:?} {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn all_kernels_add_up_the_same_codes(
        dims in 1usize..140, query_rows in 1usize..60, rows in 1usize..70, seed in any::<u64>(),
    ) {
        // Every value of a code, at scales that make one step much more than what is rounded.
        let cells = |count: usize, seed| random_bytes(count, seed).into_iter()
            .map(|byte| f32::from(byte.cast_signed())).collect::<Vec<f32>>();
        let query = CodeQuery::new(&cells(query_rows * dims, seed), dims);
        let document = coded(&cells(rows * dims, seed ^ 1), dims);
        for stage in STAGES {
            let mut expected = vec![0.0; query_rows];
            let most = (Kernels::scalar().code_best)(&query, stage, 0, &document, &mut expected);
            for kernels in Kernels::available() {
                let mut best = vec![0.0; query_rows];
                let own = (kernels.code_best)(&query, stage, 0, &document, &mut best);
                prop_assert_eq!((own.residual, own.norm), (most.residual, most.norm));
                // One step is about 2^-14 of the greatest product.
                for (row, (best, expected)) in best.into_iter().zip(&expected).enumerate() {
                    prop_assert!((best - expected).abs() <= most.norm * 1e-6, "{} {row}: {best} {expected}", kernels.name());
                }
                for group in document.chunks(code_group_len(dims)) {
                    for row in 0..query_rows {
                        let (mut own, mut expected) = ([0.0; CODE_GROUP], [0.0; CODE_GROUP]);
                        (kernels.code_lanes)(&query, stage, row, group, &mut own);
                        (Kernels::scalar().code_lanes)(&query, stage, row, group, &mut expected);
                        for (own, expected) in own.into_iter().zip(expected) {
                            prop_assert!((own - expected).abs() <= most.norm * 1e-6, "{}: {own} {expected}", kernels.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn pushed_rows_are_bounded_like_grouped_ones(dims in 1usize..40, rows in 1usize..40, seed in any::<u64>()) {
        let cells: Vec<f32> = random_bytes(rows * dims, seed).into_iter().map(f32::from).collect();
        let mut pushed = Vec::new();
        for (count, row) in cells.chunks(dims).enumerate() {
            let present = count % 3 != 1;
            push_codes(present.then(|| row.iter().copied()), count, dims, &mut pushed);
        }
        let query = CodeQuery::new(&cells[..dims], dims);
        for (count, row) in cells.chunks(dims).enumerate() {
            let alone = Kernels::detect().maxsim_codes_bounds(&query, CodeStage::Fine, &coded(row, dims));
            let mut out = [(9.0, 9.0); CODE_GROUP];
            let group = &pushed[count / CODE_GROUP * code_group_len(dims)..];
            prop_assert!(Kernels::detect().codes_group_bounds(&query, CodeStage::Fine, group, &mut out));
            let own = out[count % CODE_GROUP];
            if count % 3 == 1 {
                prop_assert!(own.0 < 0.0 && own.1 > 0.0 && own.1 < 1e-30, "{own:?}");
            } else {
                let near = 1e-5 * alone.0.abs().max(alone.1.abs()) + 1e-30;
                let close = (own.0 - alone.0).abs() <= near && (own.1 - alone.1).abs() <= near;
                prop_assert!(close, "{own:?} {alone:?}");
            }
        }
    }
}
