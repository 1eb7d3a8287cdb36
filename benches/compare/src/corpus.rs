//! Documents and queries: from the generator's files, or made here for the large corpora.
use crate::{
    field,
    probe::{Truth, f32s, npy},
};
use cogniverse_sdk::{Document, DocumentId, Matrix, Tensor, quantize::pack_rows};
use serde_json::Value;

const ROWS: usize = 64;
const DIMS: usize = 128;
const CONCEPTS: usize = 4096;

/// `SplitMix64`, as in the workspace's benches.
pub struct Seeded(pub u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Near enough to normal: the sum of four 16-bit numbers of one draw, with variance 1.
    fn normal(&mut self) -> f32 {
        let bits = self.next();
        let sum = (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
        (sum as f32 / 65536.0 - 2.0) * 3.0f32.sqrt()
    }

    pub fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| format!("word{}", 20_000.0_f32.powf(self.unit()) as u32)).collect::<Vec<_>>().join(" ")
    }
}

fn unit_row(row: &mut [f32]) {
    let length = row.iter().map(|c| c * c).sum::<f32>().sqrt();
    row.iter_mut().for_each(|c| *c /= length);
}

/// What is fed.
pub enum Corpus {
    Vectors { shape: Vec<usize>, cells: Vec<f32>, single: bool },
    Made { count: usize, concepts: Vec<f32> },
    Text(Vec<Value>),
}

impl Corpus {
    pub fn load(part: &str, data: &str) -> Self {
        if part == "bm25" {
            return Self::Text(lines(&format!("{data}/text.jsonl")));
        }
        if part.starts_with("scale") {
            return Self::Made { count: scale_of(part), concepts: concepts() };
        }
        let (shape, bytes) = npy(&format!("{data}/{part}.npy"));
        Self::Vectors { single: shape[1] == 1, cells: f32s(&bytes), shape }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Vectors { shape, .. } => shape[0],
            Self::Made { count, .. } => *count,
            Self::Text(lines) => lines.len(),
        }
    }

    pub fn document(&self, i: usize) -> Document {
        let (video, segment) = (i / 50, i % 50);
        let start = segment as f64 * 10.0;
        let mut seeded = Seeded(i as u64);
        let document = Document::new(DocumentId::parse(format!("v{video}/{i}")).unwrap())
            .with(field("video_id"), format!("v{video}"))
            .with(field("segment_id"), segment as i64)
            .with(field("start_time"), start)
            .with(field("end_time"), start + 10.0);
        match self {
            Self::Text(lines) => {
                let text = |name: &str| lines[i][name].as_str().unwrap().to_owned();
                document
                    .with(field("video_title"), text("title"))
                    .with(field("segment_description"), text("description"))
                    .with(field("audio_transcript"), text("transcript"))
            }
            Self::Vectors { shape, cells, single } => {
                let size = shape[1] * shape[2];
                let cells = cells[i * size..(i + 1) * size].to_vec();
                let rows = Matrix::new(shape[2], cells).unwrap();
                let bits = pack_rows(&rows).unwrap();
                let document = document
                    .with(field("video_title"), seeded.text(4))
                    .with(field("audio_transcript"), seeded.text(20));
                if *single {
                    document
                        .with(field("embedding"), Tensor::Vector(rows.cells().to_vec()))
                        .with(field("embedding_binary"), Tensor::Bits(bits.cells().to_vec()))
                } else {
                    document
                        .with(field("segment_description"), seeded.text(20))
                        .with(field("embedding"), Tensor::Vectors(rows))
                        .with(field("embedding_binary"), Tensor::BitRows(bits))
                }
            }
            Self::Made { concepts, .. } => {
                let rows = Matrix::new(DIMS, made(i, concepts)).unwrap();
                let bits = pack_rows(&rows).unwrap();
                document
                    .with(field("video_title"), seeded.text(4))
                    .with(field("segment_description"), seeded.text(20))
                    .with(field("audio_transcript"), seeded.text(20))
                    .with(field("embedding"), Tensor::Vectors(rows))
                    .with(field("embedding_binary"), Tensor::BitRows(bits))
            }
        }
    }
}

fn concepts() -> Vec<f32> {
    let mut seeded = Seeded(99);
    let mut cells: Vec<f32> = (0..CONCEPTS * DIMS).map(|_| seeded.normal()).collect();
    cells.chunks_exact_mut(DIMS).for_each(unit_row);
    cells
}

/// The rows of a made document: noisy copies of 48 concepts.
fn made(i: usize, concepts: &[f32]) -> Vec<f32> {
    let mut seeded = Seeded(0xfeed_0000_0000 + i as u64);
    let mine: Vec<usize> = (0..48).map(|_| seeded.below(CONCEPTS)).collect();
    let noise = 0.75 / (DIMS as f32).sqrt();
    let mut cells = Vec::with_capacity(ROWS * DIMS);
    for _ in 0..ROWS {
        let concept = mine[seeded.below(mine.len())] * DIMS;
        let begin = cells.len();
        cells.extend(concepts[concept..concept + DIMS].iter().map(|c| c + noise * seeded.normal()));
        unit_row(&mut cells[begin..]);
    }
    cells
}

/// How many documents a part named `scale200000` has.
pub fn scale_of(part: &str) -> usize {
    part.trim_start_matches("scale").parse().unwrap()
}

/// The document that a query on a made corpus comes from.
pub fn target(query: usize, count: usize) -> usize {
    Seeded(0xabcd + query as u64).below(count)
}

pub struct Queries {
    pub rows: Vec<Matrix<f32>>,
    pub truth: Option<Truth>,
}

impl Queries {
    pub fn load(part: &str, data: &str) -> Self {
        if part.starts_with("scale") {
            let (concepts, count) = (concepts(), scale_of(part));
            let noise = 0.65 / (DIMS as f32).sqrt();
            let rows = (0..30).map(|query| {
                let source = made(target(query, count), &concepts);
                let mut seeded = Seeded(0x5eed + query as u64);
                let mut cells: Vec<f32> = source[..20 * DIMS].iter().map(|c| c + noise * seeded.normal()).collect();
                cells.chunks_exact_mut(DIMS).for_each(unit_row);
                Matrix::new(DIMS, cells).unwrap()
            });
            return Self { rows: rows.collect(), truth: None };
        }
        let (shape, bytes) = npy(&format!("{data}/{part}_q.npy"));
        let cells = f32s(&bytes);
        let rows =
            cells.chunks_exact(shape[1] * shape[2]).map(|q| Matrix::new(shape[2], q.to_vec()).unwrap()).collect();
        Self { rows, truth: Truth::load(&format!("{data}/{part}_gt.npy")) }
    }
}

pub fn lines(path: &str) -> Vec<Value> {
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
