//! The scoring kernels alone, one thread, each instruction set that this machine has, on 10,000 x 64 x 128 and a query of
//! 20 x 128 (the workload of `docs/performance.md`).

#![allow(missing_docs, reason = "a bench")]

use cogniverse_embedded::kernel::{Kernels, bit_words, interleaved_len, pack_bits_interleaved, query_words};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const DOCUMENTS: usize = 10_000;
const ROWS: usize = 64;
const DIMS: usize = 128;
const QUERY_ROWS: usize = 20;

/// Bytes of an `xorshift` generator.
fn bytes(count: usize, mut state: u64) -> Vec<u8> {
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn floats(count: usize, state: u64) -> Vec<f32> {
    bytes(count, state).into_iter().map(|byte| (f32::from(byte) - 127.5) / 1_000.0).collect()
}

/// The upper half of a float's bits.
fn bf16(cells: &[f32]) -> Vec<u16> {
    cells.iter().map(|cell| (cell.to_bits() >> 16) as u16).collect()
}

fn kernels(criterion: &mut Criterion) {
    let words = bit_words(DIMS / 8);
    let mut bits = Vec::new();
    for document in bytes(DOCUMENTS * ROWS * DIMS / 8, 3).chunks(ROWS * DIMS / 8) {
        pack_bits_interleaved(document, DIMS / 8, &mut bits);
    }
    let document_words = interleaved_len(ROWS, words);
    let cells = floats(DOCUMENTS * ROWS * DIMS, 5);
    let halves = bf16(&cells);
    let query = floats(QUERY_ROWS * DIMS, 9);
    let query_bits: Vec<u64> = bytes(QUERY_ROWS * DIMS / 8, 11).chunks(DIMS / 8).flat_map(query_words).collect();

    let mut group = criterion.benchmark_group("kernels");
    group.sample_size(20).throughput(Throughput::Elements(DOCUMENTS as u64));
    for set in Kernels::available() {
        let name = set.name();
        group.bench_function(BenchmarkId::new("hamming_maxsim", name), |bencher| {
            bencher.iter(|| {
                bits.chunks_exact(document_words)
                    .map(|document| set.hamming_maxsim(black_box(&query_bits), words, document))
                    .sum::<f32>()
            });
        });
        group.bench_function(BenchmarkId::new("maxsim_bits", name), |bencher| {
            bencher.iter(|| {
                bits.chunks_exact(document_words)
                    .map(|document| set.maxsim_bits(black_box(&query), DIMS, words, document, true))
                    .sum::<f32>()
            });
        });
        group.bench_function(BenchmarkId::new("maxsim_bf16", name), |bencher| {
            bencher.iter(|| {
                halves
                    .chunks_exact(ROWS * DIMS)
                    .map(|document| set.maxsim_bf16(black_box(&query), DIMS, document))
                    .sum::<f32>()
            });
        });
        group.bench_function(BenchmarkId::new("maxsim_f32", name), |bencher| {
            bencher.iter(|| {
                cells
                    .chunks_exact(ROWS * DIMS)
                    .map(|document| set.maxsim_f32(black_box(&query), DIMS, document))
                    .sum::<f32>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
