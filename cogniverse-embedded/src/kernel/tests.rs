use super::*;
use cogniverse_sdk::quantize::{from_bf16, to_bf16};
use proptest::prelude::*;

fn close(a: f32, b: f64) -> bool {
    (f64::from(a) - b).abs() <= 1e-4 * b.abs().max(1.0)
}

/// Reads the bits of a packed row one by one, in Vespa's order.
fn unpacked(row: &[u8]) -> Vec<bool> {
    row.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect()
}

fn maxsim(query: &[f32], dims: usize, document: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    query
        .chunks_exact(dims)
        .map(|a| document.chunks_exact(dims).map(|b| dot(a, b)).fold(f64::NEG_INFINITY, f64::max))
        .sum()
}

#[test]
fn hand_computed() {
    for kernels in Kernels::available() {
        // Bits 10100000 and 11000000 against 10000000: one bit differs from each.
        let mut document = Vec::new();
        assert_eq!(pack_bits_interleaved(&[0b1010_0000, 0b1100_0000], 1, &mut document), 2);
        assert_eq!(document.len(), interleaved_len(2, 1));
        assert_eq!(kernels.hamming_maxsim(&query_words(&[0b1000_0000]), 1, &document), 0.5, "{}", kernels.name());
        assert_eq!(kernels.hamming_maxsim(&query_words(&[0b1100_0000]), 1, &document), 1.0);
        // Dimensions 0 and 2, then 0 and 1.
        let query = [1.0, 10.0, 100.0];
        assert_eq!(kernels.maxsim_bits(&query, 3, 1, &document, false), 101.0);
        assert_eq!(kernels.maxsim_bits(&query, 3, 1, &document, true), 91.0);
        assert_eq!(kernels.maxsim_f32(&[1.0, 2.0], 2, &[3.0, 4.0, 5.0, 0.0]), 11.0);
        let halves: Vec<u16> = [3.0, 4.0, 5.0, 0.0].map(to_bf16).into();
        assert_eq!(kernels.maxsim_bf16(&[1.0, 2.0], 2, &halves), 11.0);
        assert_eq!(kernels.dot_f32(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 32.0);
        assert_eq!(kernels.hamming_words(&[0b111], &[0b010]), 2);
    }
}

#[test]
fn invariant_25_what_does_not_fit_scores_nothing() {
    for kernels in Kernels::available() {
        assert_eq!(kernels.hamming_maxsim(&[1, 2], 0, &[]), 0.0);
        assert_eq!(kernels.hamming_maxsim(&[1, 2], 2, &[1, 2, 3]), 0.0);
        assert_eq!(kernels.maxsim_f32(&[1.0], 0, &[1.0]), 0.0);
        assert_eq!(kernels.maxsim_f32(&[1.0; 5], 4, &[1.0; 3]), 0.0);
        assert_eq!(kernels.maxsim_f32(&[1.0; 5], 4, &[1.0; 7]), 4.0);
        assert_eq!(kernels.maxsim_bits(&[1.0; 65], 65, 1, &[0; 8], false), 0.0);
        assert_eq!(kernels.dot_f32(&[], &[]), 0.0);
    }
    assert_eq!(pack_bits_interleaved(&[1, 2, 3], 0, &mut Vec::new()), 0);
    assert_eq!(pack_bits_interleaved(&[1, 2, 3], 2, &mut Vec::new()), 1);
}

proptest! {
    #[test]
    fn hamming_is_exact(bytes in 1usize..130, query_rows in 0usize..10, rows in 1usize..20, seed in any::<u64>()) {
        let mut random = seed;
        let mut byte = || { random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); (random >> 33) as u8 };
        let query: Vec<u8> = (0..query_rows * bytes).map(|_| byte()).collect();
        let document: Vec<u8> = (0..rows * bytes).map(|_| byte()).collect();
        let differing = |a: &[u8], b: &[u8]| unpacked(a).iter().zip(unpacked(b)).filter(|(a, b)| **a != *b).count();
        let expected: f32 = query.chunks(bytes)
            .map(|q| document.chunks(bytes).map(|d| differing(q, d)).min().unwrap())
            .map(|least| 1.0 / (1.0 + least as f32)).sum();
        let mut packed = Vec::new();
        pack_bits_interleaved(&document, bytes, &mut packed);
        let words: Vec<u64> = query.chunks(bytes).flat_map(query_words).collect();
        for kernels in Kernels::available() {
            let score = kernels.hamming_maxsim(&words, bit_words(bytes), &packed);
            prop_assert!((score - expected).abs() < 1e-5, "{}: {} {}", kernels.name(), score, expected);
        }
    }

    #[test]
    fn floats_agree_with_double_precision(
        dims in 1usize..200, query_rows in 0usize..9, rows in 1usize..14,
        pool in prop::collection::vec(-2.0f32..2.0, 512),
    ) {
        let take = |count: usize, skip: usize| (0..count).map(|i| pool[(i * 7 + skip) % pool.len()]).collect::<Vec<f32>>();
        let query = take(query_rows * dims, 0);
        let document: Vec<f32> = take(rows * dims, 3).into_iter().map(|cell| from_bf16(to_bf16(cell))).collect();
        let halves: Vec<u16> = document.iter().copied().map(to_bf16).collect();
        let expected = maxsim(&query, dims, &document);
        let bytes = dims.div_ceil(8);
        let mut packed_rows = Vec::new();
        document.chunks(dims).for_each(|row| cogniverse_sdk::quantize::pack_bits(row, &mut packed_rows));
        let mut packed = Vec::new();
        pack_bits_interleaved(&packed_rows, bytes, &mut packed);
        let bits = |low: f32| document.iter().map(|cell| if *cell > 0.0 { 1.0 } else { low }).collect::<Vec<f32>>();
        for kernels in Kernels::available() {
            prop_assert!(close(kernels.maxsim_f32(&query, dims, &document), expected), "{} f32", kernels.name());
            prop_assert!(close(kernels.maxsim_bf16(&query, dims, &halves), expected), "{} bf16", kernels.name());
            for (signed, low) in [(false, 0.0), (true, -1.0)] {
                let expected = maxsim(&query, dims, &bits(low));
                let score = kernels.maxsim_bits(&query, dims, bit_words(bytes), &packed, signed);
                prop_assert!(close(score, expected), "{} bits {signed}: {score} {expected}", kernels.name());
            }
        }
    }
}
