//! What both harness crates share: reading .npy, measuring, and one JSON line per figure.
use std::{
    fs,
    io::{Read, Write},
    path::Path,
    time::Instant,
};

/// The shape and the raw cells of an .npy file.
pub fn npy(path: &str) -> (Vec<usize>, Vec<u8>) {
    let mut file = fs::File::open(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut head = [0u8; 10];
    file.read_exact(&mut head).unwrap();
    let mut text = vec![0u8; u16::from_le_bytes([head[8], head[9]]) as usize];
    file.read_exact(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let begin = text.find("'shape': (").unwrap() + 10;
    let end = begin + text[begin..].find(')').unwrap();
    let shape = text[begin..end].split(',').filter_map(|n| n.trim().parse().ok()).collect();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    (shape, bytes)
}

pub fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

pub fn i64s(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect()
}

/// Exact top lists, `width` ids a query.
pub struct Truth {
    ids: Vec<i64>,
    width: usize,
}

impl Truth {
    pub fn load(path: &str) -> Option<Self> {
        if !Path::new(path).exists() {
            return None;
        }
        let (shape, bytes) = npy(path);
        Some(Self { ids: i64s(&bytes), width: shape[1] })
    }

    pub fn recall10(&self, query: usize, found: &[i64]) -> f64 {
        let best = &self.ids[query * self.width..query * self.width + 10];
        found.iter().take(10).filter(|id| best.contains(id)).count() as f64 / 10.0
    }
}

pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() { f64::NAN } else { sorted[((sorted.len() - 1) as f64 * q).round() as usize] }
}

/// CPU seconds of the whole machine (not idle) and of this process, at a moment.
pub struct Load(Instant, f64, f64);

impl Load {
    pub fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let all: Vec<f64> =
            stat.lines().next().unwrap().split_whitespace().skip(1).map(|v| v.parse().unwrap()).collect();
        let busy = (all.iter().take(8).sum::<f64>() - all[3] - all[4]) / 100.0;
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let own: Vec<f64> =
            own.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|v| v.parse().unwrap()).collect();
        Self(Instant::now(), busy, (own[0] + own[1]) / 100.0)
    }

    /// Cores that other processes used since, and that this one used.
    pub fn since(&self) -> (f64, f64) {
        let (now, wall) = (Self::now(), self.0.elapsed().as_secs_f64().max(0.01));
        (((now.1 - self.1) - (now.2 - self.2)).max(0.0) / wall, (now.2 - self.2) / wall)
    }
}

/// Waits at most so many seconds until other processes use less than a quarter core.
pub fn quiet(seconds: f64) {
    if std::env::var("SMALL").is_ok_and(|small| small == "1") {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        let load = Load::now();
        std::thread::sleep(std::time::Duration::from_millis(300));
        if load.since().0 < 0.25 {
            return;
        }
    }
}

fn status(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|v| v.parse().ok()).unwrap_or(f64::NAN)
}

pub fn rss_mb() -> f64 {
    status("VmRSS:") / 1024.0
}

/// Resident memory that is not a mapped file's.
pub fn anon_mb() -> f64 {
    status("RssAnon:") / 1024.0
}

pub fn threads() -> f64 {
    status("Threads:")
}

pub fn fds() -> f64 {
    fs::read_dir("/proc/self/fd").unwrap().count() as f64 - 1.0
}

pub fn disk_mb(path: impl AsRef<Path>) -> f64 {
    fn bytes(path: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(path) else { return 0 };
        entries
            .flatten()
            .map(|entry| match entry.metadata() {
                Ok(data) if data.is_dir() => bytes(&entry.path()),
                Ok(data) => data.len(),
                Err(_) => 0,
            })
            .sum()
    }
    bytes(path.as_ref()) as f64 / 1e6
}

/// One figure, to the screen and to the file that `PERF_OUT` names.
pub fn figure(part: &str, who: &str, what: &str, metric: &str, value: f64, more: serde_json::Value) {
    let mut row = serde_json::json!({"part": part, "who": who, "what": what, "metric": metric, "value": value});
    if let (Some(row), Some(more)) = (row.as_object_mut(), more.as_object()) {
        row.extend(more.clone());
    }
    println!("{row}");
    if let Ok(path) = std::env::var("PERF_OUT") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{row}").unwrap();
    }
}

/// Runs `call` on each query, two to warm up, then whole passes until `seconds` are over (`passes` at most); the ids of
/// the first pass.
pub fn latency(
    (part, who, what, threads): (&str, &str, &str, usize),
    queries: usize,
    passes: usize,
    seconds: f64,
    truth: Option<&Truth>,
    mut call: impl FnMut(usize) -> Vec<i64>,
) -> Vec<Vec<i64>> {
    for query in 0..queries.min(2) {
        call(query);
    }
    quiet(10.0);
    let (load, begun) = (Load::now(), Instant::now());
    let (mut times, mut found) = (Vec::new(), Vec::new());
    for pass in 0..passes {
        for query in 0..queries {
            let start = Instant::now();
            let ids = call(query);
            times.push(start.elapsed().as_secs_f64() * 1e3);
            if pass == 0 {
                found.push(ids);
            }
        }
        let spent = begun.elapsed().as_secs_f64();
        if spent * (pass + 2) as f64 / (pass + 1) as f64 > seconds {
            break;
        }
    }
    let (others, own) = load.since();
    let recall = truth.map(|truth| {
        found.iter().enumerate().map(|(query, ids)| truth.recall10(query, ids)).sum::<f64>() / found.len() as f64
    });
    let more = serde_json::json!({
        "threads": threads, "n": times.len(), "p90": quantile(&times, 0.9), "min": quantile(&times, 0.0),
        "recall": recall, "other_cores": (others * 100.0).round() / 100.0, "own_cores": (own * 100.0).round() / 100.0,
    });
    figure(part, who, what, "ms", quantile(&times, 0.5), more);
    found
}
