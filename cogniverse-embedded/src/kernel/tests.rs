mod codes;

use super::*;
use cogniverse_sdk::quantize::{from_bf16, pack_bits, to_bf16};
use proptest::prelude::*;

fn close(a: f32, b: f64, magnitude: f64) -> bool {
    (f64::from(a) - b).abs() <= 1e-4 * magnitude.max(b.abs()).max(1.0)
}

fn differing(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn maxsim(query: &[f32], dims: usize, document: &[f32]) -> f64 {
    if document.is_empty() {
        return 0.0;
    }
    let best = |a: &[f32]| document.chunks_exact(dims).map(|b| dot(a, b)).fold(f64::NEG_INFINITY, f64::max);
    query.chunks_exact(dims).map(best).sum()
}

fn grouped(rows: &[u8], bytes: usize) -> Vec<u8> {
    let mut groups = Vec::new();
    assert_eq!(group_rows(rows, bytes, &mut groups), rows.len() / bytes);
    assert_eq!(groups.len(), grouped_len(rows.len() / bytes, bytes));
    groups
}

/// Bytes of a linear congruential generator.
fn random_bytes(count: usize, mut state: u64) -> Vec<u8> {
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

#[test]
fn hand_computed() {
    for kernels in Kernels::available() {
        // Bits 10100000 and 11000000 against 10000000: one bit differs from each.
        let document = grouped(&[0b1010_0000, 0b1100_0000], 1);
        assert_eq!(document.len(), 32);
        assert_eq!(kernels.hamming_maxsim(&BitQuery::new(&[0b1000_0000], 1), &document), 0.5, "{}", kernels.name());
        assert_eq!(kernels.hamming_maxsim(&BitQuery::new(&[0b1100_0000], 1), &document), 1.0);
        let mut distances = [0; GROUP];
        assert!(kernels.hamming_group(&BitQuery::new(&[0, 0b1100_0000], 1), 1, &document, &mut distances));
        assert_eq!(distances[..3], [2, 0, 0]);
        // Dimensions 0 and 2, then 0 and 1.
        let query = [1.0, 10.0, 100.0];
        let mut products = [0.0; GROUP];
        for (signed, first, second) in [(false, 101.0, 11.0), (true, 91.0, -89.0)] {
            let query = BitFloatQuery::new(&query, 3, 1, signed);
            assert_eq!(kernels.maxsim_bits(&query, &document), first);
            let (lower, upper) = kernels.maxsim_bits_bounds(&query, &document);
            assert!(lower <= first && first <= upper && upper - lower < 1.0, "{lower} {upper}");
            assert!(kernels.bits_group(&query, 0, &document, &mut products));
            assert_eq!(products[..3], [first, second, second]);
        }
        let query = FloatQuery::new(&[1.0, 2.0], 2);
        assert_eq!(kernels.maxsim_f32(&query, &[3.0, 4.0, 5.0, 0.0]), 11.0);
        assert_eq!(kernels.maxsim_bf16(&query, &[3.0, 4.0, 5.0, 0.0].map(to_bf16)), 11.0);
        let query = FloatQuery::new(&[1.0, 2.0, -1.0, 0.0], 2);
        assert_eq!(kernels.maxsim_f32(&query, &[3.0, 4.0, 5.0, 0.0]), 8.0);
        assert_eq!(kernels.dot_f32(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
    }
}

#[test]
fn invariant_25_what_does_not_fit_scores_nothing() {
    for kernels in Kernels::available() {
        assert_eq!(kernels.hamming_maxsim(&BitQuery::new(&[1, 2], 0), &[1; 64]), 0.0);
        assert_eq!(kernels.hamming_maxsim(&BitQuery::new(&[1, 2], 2), &[]), 0.0);
        assert_eq!(kernels.hamming_maxsim(&BitQuery::new(&[1, 2], 2), &[1; 63]), 0.0);
        assert_eq!(kernels.hamming_maxsim(&BitQuery::new(&[1, 1, 7], 2), &[1; 65]), 1.0);
        assert!(!kernels.hamming_group(&BitQuery::new(&[1, 2], 2), 0, &[1; 63], &mut [0; GROUP]));
        assert!(!kernels.hamming_group(&BitQuery::new(&[1, 2], 2), 1, &[1; 64], &mut [0; GROUP]));
        assert_eq!(kernels.maxsim_f32(&FloatQuery::new(&[1.0], 0), &[1.0]), 0.0);
        assert_eq!(kernels.maxsim_f32(&FloatQuery::new(&[1.0; 5], 4), &[1.0; 3]), 0.0);
        assert_eq!(kernels.maxsim_f32(&FloatQuery::new(&[1.0; 5], 4), &[1.0; 7]), 4.0);
        assert_eq!(kernels.maxsim_f32(&FloatQuery::new(&[1.0; 11], 4), &[1.0; 7]), 8.0);
        assert_eq!(kernels.maxsim_bits(&BitFloatQuery::new(&[1.0; 9], 9, 1, false), &[0xff; 32]), 0.0);
        assert_eq!(kernels.maxsim_bits(&BitFloatQuery::new(&[1.0], 0, 1, false), &[0xff; 32]), 0.0);
        assert_eq!(kernels.maxsim_bits(&BitFloatQuery::new(&[1.0], 1, 1, false), &[0xff; 31]), 0.0);
        assert_eq!(kernels.maxsim_bits_bounds(&BitFloatQuery::new(&[1.0], 1, 1, false), &[0xff; 31]), (0.0, 0.0));
        assert_eq!(kernels.dot_f32(&[], &[]), 0.0);
        assert_eq!(kernels.dot_f32(&[], &[1.0]), 0.0);
        let mut products = [7.0; 3];
        kernels.dots_f32(&[1.0, 2.0], &[1.0; 5], &mut products);
        assert_eq!(products, [3.0, 3.0, 7.0]);
    }
    assert_eq!(group_rows(&[1, 2, 3], 0, &mut Vec::new()), 0);
    assert_eq!(group_rows(&[1, 2, 3], 2, &mut Vec::new()), 1);
}

#[test]
fn rows_too_long_for_the_counters_are_compared() {
    let bytes = 9_000;
    let document = grouped(&vec![0xff; bytes], bytes);
    for kernels in Kernels::available() {
        let mut distances = [0; GROUP];
        assert!(kernels.hamming_group(&BitQuery::new(&vec![0; bytes], bytes), 0, &document, &mut distances));
        assert_eq!(distances, [72_000; GROUP]);
        let query = BitFloatQuery::new(&vec![1.0; bytes * 8], bytes * 8, bytes, false);
        assert_eq!(kernels.maxsim_bits(&query, &document), 72_000.0);
        assert_eq!(kernels.maxsim_bits_bounds(&query, &document), (f32::NEG_INFINITY, f32::INFINITY));
    }
}

/// Values that round badly, vanish or overflow.
fn hostile() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -2.0f32..2.0,
        1 => prop::sample::select(vec![0.0, -0.0, 1e-45, -1e-40, 1e30, -1e30, 3e38, -3e38, 1e-30, 16_777_216.0, 0.1]),
        1 => any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |cell| cell.is_finite()),
    ]
}

proptest! {
    #[test]
    fn hamming_is_exact(bytes in 1usize..130, query_rows in 0usize..10, rows in 0usize..70, seed in any::<u64>()) {
        let query = random_bytes(query_rows * bytes, seed);
        let document = random_bytes(rows * bytes, seed ^ 1);
        let expected: f32 = if rows == 0 { 0.0 } else { query.chunks(bytes)
            .map(|q| document.chunks(bytes).map(|d| differing(q, d)).min().unwrap())
            .map(|least| 1.0 / (1.0 + least as f32)).sum() };
        let groups = grouped(&document, bytes);
        let prepared = BitQuery::new(&query, bytes);
        let mut pushed = Vec::new();
        document.chunks(bytes).enumerate().for_each(|(count, row)| push_row(row, count, bytes, &mut pushed));
        prop_assert_eq!(pushed.len(), groups.len());
        for kernels in Kernels::available() {
            let score = kernels.hamming_maxsim(&prepared, &groups);
            prop_assert!((score - expected).abs() < 1e-5, "{}: {} {}", kernels.name(), score, expected);
            for (number, q) in query.chunks(bytes).enumerate() {
                for (rows, group) in document.chunks(bytes * GROUP).zip(pushed.chunks(bytes * GROUP)) {
                    let mut distances = [0; GROUP];
                    prop_assert!(kernels.hamming_group(&prepared, number, group, &mut distances));
                    for (lane, row) in rows.chunks(bytes).enumerate() {
                        prop_assert_eq!(distances[lane], differing(q, row), "{}", kernels.name());
                        prop_assert!(grouped_row(group, lane).eq(row.iter().copied()));
                    }
                }
            }
        }
    }

    #[test]
    fn floats_agree_with_double_precision(
        dims in 1usize..200, query_rows in 0usize..70, rows in 0usize..70,
        pool in prop::collection::vec(-2.0f32..2.0, 512),
    ) {
        let take = |count: usize, skip: usize| (0..count).map(|i| pool[(i * 7 + i / 5 + skip) % pool.len()]).collect::<Vec<f32>>();
        let query = take(query_rows * dims, 0);
        let document: Vec<f32> = take(rows * dims, 3).into_iter().map(|cell| from_bf16(to_bf16(cell))).collect();
        let halves: Vec<u16> = document.iter().copied().map(to_bf16).collect();
        let expected = maxsim(&query, dims, &document);
        let size = query.iter().map(|cell| f64::from(cell.abs())).sum::<f64>();
        let bytes = dims.div_ceil(8);
        let mut packed_rows = Vec::new();
        document.chunks(dims).for_each(|row| pack_bits(row, &mut packed_rows));
        // What lies beyond the dimensions is ignored.
        if dims % 8 > 0 {
            packed_rows.chunks_mut(bytes).for_each(|row| row[bytes - 1] |= 1);
        }
        let groups = grouped(&packed_rows, bytes);
        let prepared = FloatQuery::new(&query, dims);
        let bits = |low: f32| document.iter().map(|cell| if *cell > 0.0 { 1.0 } else { low }).collect::<Vec<f32>>();
        for kernels in Kernels::available() {
            let name = kernels.name();
            prop_assert!(close(kernels.maxsim_f32(&prepared, &document), expected, size), "{name} f32");
            prop_assert_eq!(kernels.maxsim_bf16(&prepared, &halves), kernels.maxsim_f32(&prepared, &document), "{}", name);
            for (signed, low) in [(false, 0.0), (true, -1.0)] {
                let cells = bits(low);
                let expected = maxsim(&query, dims, &cells);
                let prepared = BitFloatQuery::new(&query, dims, bytes, signed);
                let score = kernels.maxsim_bits(&prepared, &groups);
                prop_assert!(close(score, expected, size), "{name} bits {signed}: {score} {expected}");
                for (number, own) in query.chunks(dims).enumerate().take(2) {
                    for (rows, group) in cells.chunks(dims * GROUP).zip(groups.chunks(bytes * GROUP)) {
                        let mut products = [0.0; GROUP];
                        prop_assert!(kernels.bits_group(&prepared, number, group, &mut products));
                        for (row, product) in rows.chunks(dims).zip(products) {
                            prop_assert!(close(product, dot(own, row), size), "{name} group {signed}");
                        }
                    }
                }
            }
            if let (Some(own), true) = (query.get(..dims), rows > 0) {
                let (mut wide, mut half) = (vec![0.0; rows], vec![0.0; rows]);
                kernels.dots_f32(own, &document, &mut wide);
                kernels.dots_bf16(own, &halves, &mut half);
                prop_assert_eq!(&wide, &half);
                for (row, product) in document.chunks(dims).zip(wide) {
                    prop_assert!(close(product, dot(own, row), size), "{name} dots");
                    // The same in the last bit, alone and among others.
                    prop_assert_eq!(product, kernels.dot_f32(own, row));
                }
            }
        }
    }

    #[test]
    fn a_row_scores_the_same_alone_and_among_others(
        dims in 1usize..70, query_rows in 1usize..60, rows in 1usize..20, pool in prop::collection::vec(hostile(), 256),
    ) {
        let cell = |i: usize| pool[(i * 7 + i / 3) % pool.len()] / 1e20;
        let query: Vec<f32> = (0..query_rows * dims).map(cell).collect();
        let document: Vec<f32> = (0..rows * dims).map(|i| cell(i + 11)).collect();
        let prepared = FloatQuery::new(&query, dims);
        for kernels in Kernels::available() {
            for row in document.chunks(dims) {
                let alone = kernels.maxsim_f32(&prepared, row);
                for copies in [2, 7] {
                    prop_assert_eq!(alone, kernels.maxsim_f32(&prepared, &row.repeat(copies)), "{}", kernels.name());
                }
            }
            // One row of the query is the best of itself, whatever stands beside it.
            let best = |row: &[f32]| document.chunks(dims)
                .map(|own| kernels.maxsim_f32(&FloatQuery::new(&[row, row].concat(), dims), own) / 2.0)
                .fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = query.chunks(dims * 48).map(|panel| panel.chunks(dims).map(best).sum::<f32>()).sum();
            prop_assert_eq!(sum, if query_rows == 1 { sum } else { kernels.maxsim_f32(&prepared, &document) });
        }
    }

    #[test]
    fn bounds_contain_the_exact_result(
        dims in 1usize..1_200, query_rows in 0usize..25, rows in 0usize..70, signed in any::<bool>(),
        pool in prop::collection::vec(hostile(), 256), tame in any::<bool>(), seed in any::<u64>(),
    ) {
        let cell = |i: usize| { let cell = pool[(i * 7 + i / 3) % pool.len()]; if tame { cell.clamp(-2.0, 2.0) } else { cell } };
        let query: Vec<f32> = (0..query_rows * dims).map(cell).collect();
        let bytes = dims.div_ceil(8);
        let groups = grouped(&random_bytes(rows * bytes, seed), bytes);
        let prepared = BitFloatQuery::new(&query, dims, bytes, signed);
        let magnitude: f32 = query.iter().map(|cell| cell.abs()).sum();
        for kernels in Kernels::available() {
            let exact = kernels.maxsim_bits(&prepared, &groups);
            let (lower, upper) = kernels.maxsim_bits_bounds(&prepared, &groups);
            // Where sums overflow there is no result to contain, and no bound.
            let contained = lower <= exact && exact <= upper;
            prop_assert!(contained || (exact.is_nan() && upper - lower == f32::INFINITY), "{}: {lower} {exact} {upper}", kernels.name());
            if tame {
                prop_assert!(upper - lower <= magnitude * 0.02 + 1e-6, "{}: {lower} {exact} {upper}", kernels.name());
            }
        }
    }
}
