//! Distances, exact: there is no graph here.

use super::tensor::Tensor;

/// The distance of the nearest of a document's vectors.
pub(crate) fn distance(stored: &Tensor, query: &Tensor, metric: &str) -> Option<f64> {
    let query = query.blocks.values().next()?;
    let distances = stored.blocks.values().filter(|vector| vector.len() == query.len());
    distances.map(|vector| of(vector, query, metric)).min_by(f64::total_cmp)
}

/// How Vespa turns a distance into a score.
pub(crate) fn closeness(distance: f64, metric: &str) -> f64 {
    if metric == "dotproduct" { -distance } else { 1.0 / (1.0 + distance) }
}

fn of(a: &[f64], b: &[f64], metric: &str) -> f64 {
    let dot = || a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    match metric {
        "hamming" => a.iter().zip(b).map(|(a, b)| f64::from(((*a as i8) ^ (*b as i8)).count_ones())).sum(),
        "dotproduct" => -dot(),
        "prenormalized-angular" => 1.0 - dot() / (norm(b) * norm(b)).max(f64::MIN_POSITIVE),
        "angular" => (dot() / (norm(a) * norm(b)).max(f64::MIN_POSITIVE)).clamp(-1.0, 1.0).acos(),
        _ => a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
    }
}
