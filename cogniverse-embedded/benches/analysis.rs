//! The analysis of texts into terms, in bytes a second on one core: English prose (the guides of this repository, in pieces as long
//! as a segment's transcript), and texts of other scripts (the judged sets of `tests/data/languages`); and the reading of subtitles.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench stops where its texts cannot be read")]

use cogniverse_core::{
    text::{Analyzer, Language},
    transcript::Transcript,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::{fs, hint::black_box, path::Path};

/// About the length of what is said in half a minute.
const PIECE: usize = 400;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn guides() -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.chunks(PIECE / 6).map(|words| words.join(" ")).collect()
}

fn analyze(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("analysis");
    let mut bench = |name: &str, language: Option<Language>, texts: &[String]| {
        group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
        group.bench_function(name, |bencher| {
            let analyzer = Analyzer::of(language);
            bencher.iter(|| {
                let mut terms = 0;
                for text in texts {
                    analyzer.tokens(black_box(text), |token| terms += token.term.len());
                }
                terms
            });
        });
    };
    bench("en", None, &guides());
    for language in ["de", "ru", "ar", "hi", "zh", "ja", "ko"] {
        let path = root().join(format!("tests/data/languages/{language}.tsv"));
        let text = fs::read_to_string(path).unwrap();
        let texts: Vec<String> =
            text.lines().filter_map(|line| line.rsplit('\t').next()).cycle().take(500).map(str::to_owned).collect();
        bench(language, Language::of(language), &texts);
    }
    group.finish();
}

/// Subtitles of a day, as they are read from a file.
fn subtitles(criterion: &mut Criterion) {
    let clock = |seconds: u32, point: char| {
        format!("{:02}:{:02}:{:02}{point}500", seconds / 3600, seconds / 60 % 60, seconds % 60)
    };
    let words = guides();
    let cue = |point: char, (number, text): (u32, &String)| {
        let text: String = text.chars().filter(|c| *c != '<' && *c != '&').take(80).collect();
        format!("{}\n{} --> {}\n{text}\n\n", number + 1, clock(number * 3, point), clock(number * 3 + 2, point))
    };
    let of = |point: char| (0..28_000u32).zip(words.iter().cycle()).map(|next| cue(point, next)).collect::<String>();
    let mut group = criterion.benchmark_group("subtitles");
    group.sample_size(10);
    for (kind, text) in [("srt", of(',')), ("vtt", format!("WEBVTT\n\n{}", of('.')))] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(kind, |bencher| {
            bencher.iter(|| Transcript::parse(black_box(&text), kind).unwrap().cues().len());
        });
    }
    group.finish();
}

criterion_group!(benches, analyze, subtitles);
criterion_main!(benches);
