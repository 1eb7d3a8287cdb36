//! Peers that are Rust crates: next-plaid 1.8.5 and tantivy 0.27.
#[path = "../../src/probe.rs"]
#[allow(dead_code, reason = "ours uses the rest of it")]
mod probe;

use ndarray::{Array2, ArrayView2};
use next_plaid::{IndexConfig, MmapIndex, SearchParameters, binary};
use probe::{Load, Truth, anon_mb, disk_mb, f32s, figure, latency, npy, rss_mb};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{fs, path::Path, time::Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["plaid-kernels", part, data, threads] => plaid_kernels(part, data, threads.parse().unwrap()),
        ["plaid-build", part, data, dir] => plaid_build(part, data, dir),
        ["plaid-search", part, data, dir, threads] => plaid_search(part, data, dir, threads.parse().unwrap()),
        ["tantivy", data, dir, ids] => tantivy_text(data, dir, ids),
        _ => panic!("usage: plaid-kernels|plaid-build|plaid-search|tantivy ..."),
    }
}

fn top(scores: &[f32]) -> Vec<i64> {
    let mut order: Vec<i64> = (0..scores.len() as i64).collect();
    order.select_nth_unstable_by(10, |a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
    order.truncate(10);
    order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
    order
}

fn load(part: &str, data: &str) -> ((usize, usize, usize), Vec<f32>, Vec<Array2<f32>>, Option<Truth>) {
    let (shape, bytes) = npy(&format!("{data}/{part}.npy"));
    let (query_shape, query_bytes) = npy(&format!("{data}/{part}_q.npy"));
    let cells = f32s(&query_bytes);
    let size = query_shape[1] * query_shape[2];
    let queries = cells
        .chunks_exact(size)
        .map(|q| Array2::from_shape_vec((query_shape[1], query_shape[2]), q.to_vec()).unwrap())
        .collect();
    ((shape[0], shape[1], shape[2]), f32s(&bytes), queries, Truth::load(&format!("{data}/{part}_gt.npy")))
}

fn plaid_kernels(part: &str, data: &str, threads: usize) {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let ((n, p, d), x, queries, truth) = load(part, data);
    let view = |i: usize| ArrayView2::from_shape((p, d), &x[i * p * d..(i + 1) * p * d]).unwrap();
    let bits: Vec<Array2<u8>> = (0..n).map(|i| binary::binarize(&view(i))).collect();
    let run = |what: &str, score: &(dyn Fn(usize) -> Vec<f32> + Sync)| {
        latency((part, "next-plaid", what, threads), queries.len(), 3, 12.0, truth.as_ref(), |q| top(&score(q)));
    };
    run("bits, int8 query", &|q| {
        let query = binary::quantize_query_i8(&queries[q].view());
        bits.par_iter().map(|doc| binary::maxsim_binary_i8(&query, &doc.view(), d)).collect()
    });
    run("exact f32", &|q| {
        (0..n).into_par_iter().map(|i| next_plaid::maxsim::maxsim_score(&queries[q].view(), &view(i))).collect()
    });
}

/// Trains with `NS` samples for k-means (default 800, as in the facts).
fn plaid_build(part: &str, data: &str, dir: &str) {
    let ((n, p, d), x, ..) = load(part, data);
    fs::create_dir_all(dir).unwrap();
    let docs: Vec<Array2<f32>> =
        (0..n).map(|i| Array2::from_shape_vec((p, d), x[i * p * d..(i + 1) * p * d].to_vec()).unwrap()).collect();
    drop(x);
    let samples = std::env::var("NS").ok().and_then(|s| s.parse().ok()).unwrap_or(800);
    let config = IndexConfig { nbits: 4, force_cpu: true, n_samples_kmeans: Some(samples), ..Default::default() };
    let (load, begun) = (Load::now(), Instant::now());
    MmapIndex::create_with_kmeans(&docs, dir, &config).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let rate = json!({"seconds": seconds, "other_cores": load.since().0});
    figure(part, "next-plaid", "pq4 index, build", "docs/s", n as f64 / seconds, rate);
    figure(part, "next-plaid", "pq4 index, on disk", "MB", disk_mb(dir), json!({}));
    fs::write(Path::new(dir).join("built"), format!("{seconds}")).unwrap();
}

fn plaid_search(part: &str, data: &str, dir: &str, threads: usize) {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    let (_, bytes) = npy(&format!("{data}/{part}_q.npy"));
    let cells = f32s(&bytes);
    let queries: Vec<Array2<f32>> =
        cells.chunks_exact(20 * 128).map(|q| Array2::from_shape_vec((20, 128), q.to_vec()).unwrap()).collect();
    let truth = Truth::load(&format!("{data}/{part}_gt.npy"));
    let begun = Instant::now();
    let index = MmapIndex::load(dir).unwrap();
    figure(part, "next-plaid", "pq4 index, open", "ms", begun.elapsed().as_secs_f64() * 1e3, json!({"threads": threads}));
    for (probe, full) in [(8, 256), (4, 128)] {
        let parameters = SearchParameters {
            top_k: 10,
            n_ivf_probe: probe,
            n_full_scores: full,
            centroid_score_threshold: Some(0.4),
            ..Default::default()
        };
        let what = format!("pq4 index, probe {probe}, full {full}");
        latency((part, "next-plaid", &what, threads), queries.len(), 5, 6.0, truth.as_ref(), |q| {
            index.search(&queries[q], &parameters, None).unwrap().passage_ids
        });
    }
    figure(part, "next-plaid", "pq4 index, memory", "MB", rss_mb(), json!({"anon": anon_mb()}));
}

fn tantivy_text(data: &str, dir: &str, ids: &str) {
    use tantivy::{
        Index, IndexWriter, TantivyDocument, Term,
        collector::TopDocs,
        query::{BooleanQuery, Occur, Query, TermQuery},
        schema::{IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value as _},
    };
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).unwrap();
    let mut schema = Schema::builder();
    // No positions: ours keeps none either.
    let words = TextFieldIndexing::default().set_tokenizer("en_stem").set_index_option(IndexRecordOption::WithFreqs);
    let text = TextOptions::default().set_indexing_options(words).set_stored();
    let fields = ["title", "description", "transcript"].map(|name| schema.add_text_field(name, text.clone()));
    let number = schema.add_u64_field("number", STORED);
    let index = Index::create_in_dir(dir, schema.build()).unwrap();
    let docs: Vec<Value> = lines(&format!("{data}/text.jsonl"));
    let begun = Instant::now();
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 200_000_000).unwrap();
    for (i, doc) in docs.iter().enumerate() {
        let mut out = TantivyDocument::default();
        for (field, name) in fields.iter().zip(["title", "description", "transcript"]) {
            out.add_text(*field, doc[name].as_str().unwrap());
        }
        out.add_u64(number, i as u64);
        writer.add_document(out).unwrap();
    }
    writer.commit().unwrap();
    writer.wait_merging_threads().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let rate = docs.len() as f64 / seconds;
    figure("bm25", "tantivy", "feed, one commit, 1 thread", "docs/s", rate, json!({"seconds": seconds}));
    figure("bm25", "tantivy", "on disk", "MB", disk_mb(dir), json!({}));
    drop((docs, index));
    let begun = Instant::now();
    let index = Index::open_in_dir(dir).unwrap();
    let reader = index.reader().unwrap();
    let searcher = reader.searcher();
    figure("bm25", "tantivy", "open", "ms", begun.elapsed().as_secs_f64() * 1e3, json!({}));
    let queries: Vec<Value> = lines(&format!("{data}/text_q.jsonl"));
    let mut all = serde_json::Map::new();
    for kind in ["w3", "w10"] {
        // One flat union of all words in all fields, so that block-max WAND applies.
        let mut tokenizer = index.tokenizers().get("en_stem").unwrap();
        let mut query = |q: usize| {
            let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
            let mut stream = tokenizer.token_stream(queries[q][kind].as_str().unwrap());
            while stream.advance() {
                for field in fields {
                    let term = Term::from_field_text(field, &stream.token().text);
                    parts.push((Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))));
                }
            }
            let found = searcher.search(&BooleanQuery::new(parts), &TopDocs::with_limit(10).order_by_score()).unwrap();
            found
                .into_iter()
                .map(|(_, address)| {
                    let doc: TantivyDocument = searcher.doc(address).unwrap();
                    doc.get_first(number).unwrap().as_u64().unwrap() as i64
                })
                .collect::<Vec<i64>>()
        };
        let found = latency(("bm25", "tantivy", kind, 1), queries.len(), 20, 5.0, None, &mut query);
        all.insert(kind.into(), json!(found));
    }
    fs::write(ids, Value::from(all).to_string()).unwrap();
    figure("bm25", "tantivy", "memory", "MB", rss_mb(), json!({"anon": anon_mb()}));
}

fn lines(path: &str) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
