//! One kernel at a time on seeded data, for callgrind to count its instructions: `.ci/instructions.py` runs it and compares
//! with `instructions.tsv`. 64 documents of 64 x 128, and a query of 20 x 128 or of one row.

#![allow(missing_docs, reason = "a bench")]

use cogniverse_embedded::kernel::{
    BitFloatQuery, BitQuery, CODE_GROUP, CodeQuery, CodeStage, FloatQuery, GROUP, Kernels, code_group_len, group_codes,
    group_rows, grouped_len, push_codes, push_row,
};
use std::hint::black_box;
use std::process::ExitCode;

const DOCUMENTS: usize = 64;
const ROWS: usize = 64;
const DIMS: usize = 128;
const BYTES: usize = DIMS / 8;
const QUERY_ROWS: usize = 20;

/// What is measured, with its data.
type Work = Box<dyn Fn() -> f32>;
type OfSet = fn(Kernels) -> Work;
type OfAny = fn() -> Work;

/// The kernel sets that are counted: valgrind emulates AVX2 and no AVX-512.
const SETS: [&str; 2] = ["avx2", "scalar"];
/// The name in place of a set for what is the same in all.
const ANY: &str = "any";

/// What each kernel set has of its own.
const KERNELS: [(&str, OfSet); 13] = [
    ("hamming_maxsim", |set| {
        let query = BitQuery::new(&bytes(QUERY_ROWS * BYTES, 11), BYTES);
        each(bits(), grouped_len(ROWS, BYTES), move |document| set.hamming_maxsim(&query, document))
    }),
    ("hamming_group", |set| {
        let query = BitQuery::new(&bytes(BYTES, 11), BYTES);
        each(bits(), GROUP * BYTES, move |group| {
            let mut distances = [0; GROUP];
            let _ = set.hamming_group(&query, 0, group, &mut distances);
            first(black_box(distances).map(|distance| distance as f32))
        })
    }),
    ("maxsim_bits", |set| {
        let query = bit_float_query(QUERY_ROWS);
        each(bits(), grouped_len(ROWS, BYTES), move |document| set.maxsim_bits(&query, document))
    }),
    ("maxsim_bits_bounds", |set| {
        let query = bit_float_query(QUERY_ROWS);
        each(bits(), grouped_len(ROWS, BYTES), move |document| set.maxsim_bits_bounds(&query, document).1)
    }),
    ("bits_group", |set| {
        let query = bit_float_query(1);
        each(bits(), GROUP * BYTES, move |group| {
            let mut products = [0.0; GROUP];
            let _ = set.bits_group(&query, 0, group, &mut products);
            first(black_box(products))
        })
    }),
    ("maxsim_bf16", |set| {
        let query = FloatQuery::new(&query_cells(QUERY_ROWS), DIMS);
        each(halves(), ROWS * DIMS, move |document| set.maxsim_bf16(&query, document))
    }),
    ("maxsim_f32", |set| {
        let query = FloatQuery::new(&query_cells(QUERY_ROWS), DIMS);
        each(document_cells(), ROWS * DIMS, move |document| set.maxsim_f32(&query, document))
    }),
    ("dots_bf16", |set| {
        let query = query_cells(1);
        each(halves(), ROWS * DIMS, move |rows| {
            let mut products = [0.0; ROWS];
            set.dots_bf16(&query, rows, &mut products);
            first(black_box(products))
        })
    }),
    ("dots_f32", |set| {
        let query = query_cells(1);
        each(document_cells(), ROWS * DIMS, move |rows| {
            let mut products = [0.0; ROWS];
            set.dots_f32(&query, rows, &mut products);
            first(black_box(products))
        })
    }),
    ("maxsim_codes_bounds_coarse", |set| maxsim_codes_bounds(set, CodeStage::Coarse)),
    ("maxsim_codes_bounds_fine", |set| maxsim_codes_bounds(set, CodeStage::Fine)),
    ("codes_group_bounds_coarse", |set| codes_group_bounds(set, CodeStage::Coarse)),
    ("codes_group_bounds_fine", |set| codes_group_bounds(set, CodeStage::Fine)),
];

/// What is the same in all sets: documents are laid out and quantized, and queries prepared.
const STAGES: [(&str, OfAny); 8] = [
    ("group_rows", || {
        let rows = bytes(DOCUMENTS * ROWS * BYTES, 3);
        Box::new(move || {
            let mut groups = Vec::with_capacity(rows.len());
            rows.chunks(ROWS * BYTES).map(|document| group_rows(document, BYTES, &mut groups) as f32).sum::<f32>()
                + black_box(&groups).len() as f32
        })
    }),
    ("push_row", || {
        let rows = bytes(DOCUMENTS * ROWS * BYTES, 3);
        Box::new(move || {
            let mut groups = Vec::with_capacity(rows.len());
            rows.chunks(BYTES).enumerate().for_each(|(count, row)| push_row(row, count, BYTES, &mut groups));
            black_box(&groups).len() as f32
        })
    }),
    ("group_codes", || {
        let halves = halves();
        Box::new(move || black_box(codes(&halves)).len() as f32)
    }),
    ("push_codes", || {
        let cells = document_cells();
        Box::new(move || {
            let mut groups = Vec::with_capacity(DOCUMENTS * ROWS / CODE_GROUP * code_group_len(DIMS));
            for (count, row) in cells.chunks(DIMS).enumerate() {
                push_codes(Some(row.iter().copied()), count, DIMS, &mut groups);
            }
            black_box(&groups).len() as f32
        })
    }),
    ("bit_query", || {
        let rows = bytes(QUERY_ROWS * BYTES, 11);
        Box::new(move || black_box(BitQuery::new(&rows, BYTES)).rows() as f32)
    }),
    ("bit_float_query", || {
        let cells = query_cells(QUERY_ROWS);
        Box::new(move || black_box(BitFloatQuery::new(&cells, DIMS, BYTES, true)).rows() as f32)
    }),
    ("float_query", || {
        let cells = query_cells(QUERY_ROWS);
        Box::new(move || black_box(FloatQuery::new(&cells, DIMS)).rows() as f32)
    }),
    ("code_query", || {
        let cells = query_cells(QUERY_ROWS);
        Box::new(move || black_box(CodeQuery::new(&cells, DIMS)).rows() as f32)
    }),
];

fn maxsim_codes_bounds(set: Kernels, stage: CodeStage) -> Work {
    let query = CodeQuery::new(&query_cells(QUERY_ROWS), DIMS);
    each(codes(&halves()), ROWS / CODE_GROUP * code_group_len(DIMS), move |document| {
        set.maxsim_codes_bounds(&query, stage, document).1
    })
}

fn codes_group_bounds(set: Kernels, stage: CodeStage) -> Work {
    let query = CodeQuery::new(&query_cells(1), DIMS);
    each(codes(&halves()), code_group_len(DIMS), move |group| {
        let mut bounds = [(0.0, 0.0); CODE_GROUP];
        let _ = set.codes_group_bounds(&query, stage, group, &mut bounds);
        first(black_box(bounds).map(|(_, upper)| upper))
    })
}

/// Returns the work of a kernel over all `documents`, each of `length`.
fn each<T: 'static>(documents: Vec<T>, length: usize, kernel: impl Fn(&[T]) -> f32 + 'static) -> Work {
    Box::new(move || black_box(&documents).chunks_exact(length).map(&kernel).sum())
}

fn first<const N: usize>(results: [f32; N]) -> f32 {
    results.first().copied().unwrap_or(0.0)
}

/// Bytes of an `xorshift` generator.
fn bytes(count: usize, mut state: u64) -> Vec<u8> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

fn floats(count: usize, state: u64) -> Vec<f32> {
    bytes(count, state).into_iter().map(|byte| (f32::from(byte) - 127.5) / 1_000.0).collect()
}

fn query_cells(rows: usize) -> Vec<f32> {
    floats(rows * DIMS, 9)
}

fn bit_float_query(rows: usize) -> BitFloatQuery {
    BitFloatQuery::new(&query_cells(rows), DIMS, BYTES, true)
}

fn document_cells() -> Vec<f32> {
    floats(DOCUMENTS * ROWS * DIMS, 5)
}

/// The upper half of each cell's bits.
fn halves() -> Vec<u16> {
    document_cells().into_iter().map(|cell| (cell.to_bits() >> 16) as u16).collect()
}

fn bits() -> Vec<u8> {
    let mut groups = Vec::new();
    for document in bytes(DOCUMENTS * ROWS * BYTES, 3).chunks(ROWS * BYTES) {
        let _ = group_rows(document, BYTES, &mut groups);
    }
    groups
}

fn codes(halves: &[u16]) -> Vec<u8> {
    let mut groups = Vec::with_capacity(DOCUMENTS * ROWS / CODE_GROUP * code_group_len(DIMS));
    for document in halves.chunks(ROWS * DIMS) {
        let _ = group_codes(document, DIMS, |cell| f32::from_bits(u32::from(cell) << 16), &mut groups);
    }
    groups
}

/// Callgrind counts from the entry of this function to its return. What it does with the result keeps the call from
/// becoming a jump, after which the return would not be seen.
#[inline(never)]
fn measured(work: &Work) -> f32 {
    black_box(work())
}

/// Prepares what a set and a name say.
fn prepare(set: &str, name: &str) -> Result<Work, String> {
    let named = |known: &str| known == name;
    if set == ANY {
        let stage = STAGES.iter().find(|(known, _)| named(known));
        return stage.map(|(_, prepare)| prepare()).ok_or_else(|| format!("no stage is named {name:?}; see `list`"));
    }
    let available = Kernels::available();
    let names: Vec<_> = available.iter().map(Kernels::name).collect();
    let kernels = available.iter().find(|kernels| kernels.name() == set);
    let kernels =
        kernels.ok_or_else(|| format!("this processor has no kernel set {set:?}, but {}", names.join(", ")))?;
    let kernel = KERNELS.iter().find(|(known, _)| named(known));
    kernel.map(|(_, prepare)| prepare(*kernels)).ok_or_else(|| format!("no kernel is named {name:?}; see `list`"))
}

/// Returns the sets and names that are counted.
fn counted() -> impl Iterator<Item = (&'static str, &'static str)> {
    let kernels = SETS.into_iter().flat_map(|set| KERNELS.iter().map(move |(name, _)| (set, *name)));
    kernels.chain(STAGES.iter().map(|(name, _)| (ANY, *name)))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => counted().for_each(|(set, name)| println!("{set}\t{name}")),
        [set, name] if !name.starts_with('-') => match prepare(set, name) {
            Ok(work) => println!("{set}\t{name}\tresult {}", measured(&work)),
            Err(message) => {
                eprintln!("{message}");
                return ExitCode::from(2);
            }
        },
        // Each of them once, where this processor has the set.
        arguments if arguments.contains(&"--test") => {
            let works = counted().filter_map(|(set, name)| prepare(set, name).ok());
            println!("{} run", works.map(|work| measured(&work)).filter(|result| result.is_finite()).count());
        }
        _ => println!("instructions list, or instructions SET KERNEL; they are counted by .ci/instructions.py"),
    }
    ExitCode::SUCCESS
}
