//! The scoring kernels alone, one thread, each instruction set that this machine has, on 10,000 x 64 x 128 and a query of
//! 20 x 128 (the workload of `docs/performance.md`).

#![allow(missing_docs, reason = "a bench")]

use cogniverse_embedded::kernel::{
    BitFloatQuery, BitQuery, CODE_GROUP, CodeQuery, CodeStage, FloatQuery, GROUP, Kernels, code_group_len, group_codes,
    group_rows, grouped_len,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

/// Measures `kernel` of each instruction set over all documents, as a group of its own.
fn each_set<T>(
    criterion: &mut Criterion,
    name: &str,
    documents: &[T],
    document: usize,
    kernel: impl Fn(&Kernels, &[T]) -> f32,
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).throughput(Throughput::Elements((documents.len() / document) as u64));
    for set in Kernels::available() {
        group.bench_function(set.name(), |bencher| {
            bencher.iter(|| documents.chunks_exact(document).map(|document| kernel(&set, document)).sum::<f32>());
        });
    }
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    let bytes_per_row = DIMS / 8;
    let mut bits = Vec::new();
    for document in bytes(DOCUMENTS * ROWS * bytes_per_row, 3).chunks(ROWS * bytes_per_row) {
        let _ = group_rows(document, bytes_per_row, &mut bits);
    }
    let grouped = grouped_len(ROWS, bytes_per_row);
    let query = BitQuery::new(&bytes(QUERY_ROWS * bytes_per_row, 11), bytes_per_row);
    each_set(criterion, "hamming_maxsim", &bits, grouped, |set, document| {
        set.hamming_maxsim(black_box(&query), document)
    });
    each_set(criterion, "hamming_group, one query row", &bits, GROUP * bytes_per_row, |set, group| {
        let mut distances = [0; GROUP];
        let _ = set.hamming_group(black_box(&query), 0, group, &mut distances);
        black_box(distances).first().copied().unwrap_or(0) as f32
    });
    let cells = floats(QUERY_ROWS * DIMS, 9);
    let query = BitFloatQuery::new(&cells, DIMS, bytes_per_row, true);
    each_set(criterion, "maxsim_bits", &bits, grouped, |set, document| set.maxsim_bits(black_box(&query), document));
    each_set(criterion, "maxsim_bits_bounds", &bits, grouped, |set, document| {
        set.maxsim_bits_bounds(black_box(&query), document).0
    });
    each_set(criterion, "bits_group, one query row", &bits, GROUP * bytes_per_row, |set, group| {
        let mut products = [0.0; GROUP];
        let _ = set.bits_group(black_box(&query), 0, group, &mut products);
        black_box(products).first().copied().unwrap_or(0.0)
    });
    drop(bits);

    let query = FloatQuery::new(&cells, DIMS);
    let single = floats(DIMS, 9);
    let documents = floats(DOCUMENTS * ROWS * DIMS, 5);
    let halves = bf16(&documents);
    each_set(criterion, "maxsim_bf16", &halves, ROWS * DIMS, |set, document| {
        set.maxsim_bf16(black_box(&query), document)
    });
    each_set(criterion, "maxsim_f32", &documents, ROWS * DIMS, |set, document| {
        set.maxsim_f32(black_box(&query), document)
    });
    let dots = |products: [f32; ROWS]| black_box(products).first().copied().unwrap_or(0.0);
    each_set(criterion, "dots_f32, one query row", &documents, ROWS * DIMS, |set, rows| {
        let mut products = [0.0; ROWS];
        set.dots_f32(black_box(&single), rows, &mut products);
        dots(products)
    });
    each_set(criterion, "dots_bf16, one query row", &halves, ROWS * DIMS, |set, rows| {
        let mut products = [0.0; ROWS];
        set.dots_bf16(black_box(&single), rows, &mut products);
        dots(products)
    });
    // The same work on one document again and again: from the cache, not from memory.
    let first = documents.get(..ROWS * DIMS).unwrap_or_default();
    let cached = first.repeat(64);
    each_set(criterion, "maxsim_f32, 64 documents in cache", &cached, ROWS * DIMS, |set, _| {
        set.maxsim_f32(black_box(&query), first)
    });
    let (first, cached) = (bf16(first), bf16(&cached));
    each_set(criterion, "maxsim_bf16, 64 documents in cache", &cached, ROWS * DIMS, |set, _| {
        set.maxsim_bf16(black_box(&query), &first)
    });
}

/// Normalized rows around a center of the same length, whose cells are sums of eight bytes, nearly normally distributed.
fn rows(count: usize, center: &[f32], mut state: u64) -> Vec<f32> {
    let mut cells = Vec::with_capacity(count * DIMS);
    for _ in 0..count {
        let start = cells.len();
        cells.extend(center.iter().map(|center| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let sum: u32 = state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes().into_iter().map(u32::from).sum();
            center + (sum as f32 - 1020.0) / 209.0
        }));
        let row = cells.get_mut(start..).unwrap_or_default();
        let norm = row.iter().map(|cell| cell * cell).sum::<f32>().sqrt();
        row.iter_mut().for_each(|cell| *cell /= norm);
    }
    cells
}

/// Prints the share of documents whose upper bound reaches the tenth best score.
fn print_share(name: &str, query: &[f32], halves: &[u16], codes: &[u8]) {
    let (floats, prepared, kernels) = (FloatQuery::new(query, DIMS), CodeQuery::new(query, DIMS), Kernels::detect());
    let mut exact: Vec<f32> =
        halves.chunks(ROWS * DIMS).map(|document| kernels.maxsim_bf16(&floats, document)).collect();
    exact.sort_by(|a, b| b.total_cmp(a));
    let tenth = exact.get(9).copied().unwrap_or(0.0);
    for stage in [CodeStage::Coarse, CodeStage::Fine] {
        let documents = codes.chunks(code_group_len(DIMS) * ROWS / CODE_GROUP);
        let reaching =
            documents.filter(|codes| kernels.maxsim_codes_bounds(&prepared, stage, codes).1 >= tenth).count();
        println!("{name}, {stage:?}: {reaching} of {DOCUMENTS} documents reach the tenth best score");
    }
}

/// Bounds from codes beside the exact products that they spare.
fn codes(criterion: &mut Criterion) {
    let center = [0.0; DIMS];
    let query = rows(QUERY_ROWS, &center, 3);
    for clusters in [50, 0] {
        let mut halves = Vec::new();
        let mut around = center;
        for document in 0..DOCUMENTS as u64 {
            if clusters > 0 {
                around = rows(1, &center, 77 + document % clusters).try_into().unwrap_or(center).map(|cell| cell * 8.0);
            }
            halves.extend(bf16(&rows(ROWS, &around, 1_000 + document * 7_919)));
        }
        let mut codes = Vec::new();
        let started = std::time::Instant::now();
        group_codes(&halves, DIMS, |cell| f32::from_bits(u32::from(cell) << 16), &mut codes);
        println!("coded in {:?}, {} bytes of {}", started.elapsed(), codes.len(), halves.len() * 2);
        let near = rows(QUERY_ROWS, &around, 5);
        print_share(
            if clusters > 0 { "clustered" } else { "random" },
            if clusters > 0 { &near } else { &query },
            &halves,
            &codes,
        );
        if clusters > 0 {
            continue;
        }
        let length = code_group_len(DIMS) * ROWS / CODE_GROUP;
        for count in [2, 8, QUERY_ROWS] {
            let own = query.get(..count * DIMS).unwrap_or_default();
            let (prepared, floats) = (CodeQuery::new(own, DIMS), FloatQuery::new(own, DIMS));
            for stage in [CodeStage::Coarse, CodeStage::Fine] {
                each_set(
                    criterion,
                    &format!("codes, {count} query rows, {stage:?}"),
                    &codes,
                    length,
                    |set, document| set.maxsim_codes_bounds(black_box(&prepared), stage, document).1,
                );
            }
            each_set(
                criterion,
                &format!("beside codes: maxsim_bf16, {count} query rows"),
                &halves,
                ROWS * DIMS,
                |set, document| set.maxsim_bf16(black_box(&floats), document),
            );
        }
        let single = CodeQuery::new(query.get(..DIMS).unwrap_or_default(), DIMS);
        each_set(criterion, "codes of groups, one query row", &codes, code_group_len(DIMS), |set, group| {
            let mut bounds = [(0.0, 0.0); CODE_GROUP];
            let _ = set.codes_group_bounds(black_box(&single), CodeStage::Coarse, group, &mut bounds);
            black_box(bounds).first().map_or(0.0, |bounds| bounds.1)
        });
    }
}

criterion_group!(benches, kernels, codes);
criterion_main!(benches);
