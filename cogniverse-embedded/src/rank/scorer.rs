//! Scores of documents of one block.

use super::{bm25::Bm25, vectors::QueryVectors};
use crate::{
    index::{BlockView, FloatRows},
    kernel::Kernels,
    rank::float_access::FloatAccess,
};
use cogniverse_core::schemas::Metric;
use cogniverse_sdk::Result;

/// A score, made ready for a query and a snapshot.
#[derive(Debug)]
pub(crate) enum Scorer<'q> {
    Constant(f64),
    Bm25(Bm25),
    /// `sum over query rows of max over document rows of their dot product`; with one row each, the dot product.
    MaxSim {
        field: usize,
        query: &'q QueryVectors,
    },
    /// `sum over query rows of max over document rows of 1 / (1 + differing bits)`.
    HammingMaxSim {
        field: usize,
        query: &'q QueryVectors,
    },
    /// As `MaxSim`, over bits read as 0 and 1, or as -1 and 1.
    FloatBits {
        field: usize,
        query: &'q QueryVectors,
        signed: bool,
    },
    Closeness {
        field: usize,
        query: &'q QueryVectors,
        metric: Metric,
    },
    /// `1 / (1 + differing bits)`.
    HammingCloseness {
        field: usize,
        query: &'q QueryVectors,
    },
    Sum(Vec<Scorer<'q>>),
    Scaled(f64, Box<Scorer<'q>>),
}

impl Scorer<'_> {
    /// Adds `weight` times the score of each of `places` to `scores`. A document without the vector adds nothing.
    pub(crate) fn add(
        &self,
        view: &BlockView,
        places: &[u32],
        weight: f64,
        floats: &FloatAccess<'_>,
        scores: &mut [f64],
    ) -> Result<()> {
        let kernels = Kernels::detect();
        match self {
            Self::Constant(value) => scores.iter_mut().for_each(|score| *score += weight * value),
            Self::Sum(parts) => {
                return parts.iter().try_for_each(|part| part.add(view, places, weight, floats, scores));
            }
            Self::Scaled(factor, part) => return part.add(view, places, weight * factor, floats, scores),
            Self::Bm25(bm25) => {
                let mut all = vec![0.0; view.block.len()];
                bm25.add(view, weight, &mut all);
                for (score, place) in scores.iter_mut().zip(places) {
                    *score += all.get(*place as usize).copied().unwrap_or(0.0);
                }
            }
            Self::HammingMaxSim { field, query } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                for (score, place) in scores.iter_mut().zip(places) {
                    let document = arena.get(*place as usize);
                    *score += weight * f64::from(kernels.hamming_maxsim(query.bits(), arena.words(), document));
                }
            }
            Self::FloatBits { field, query, signed } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                for (score, place) in scores.iter_mut().zip(places) {
                    let document = arena.rows(*place as usize);
                    let value = kernels.maxsim_bits(query.floats(), query.dims(), arena.words(), &document, *signed);
                    *score += weight * f64::from(value);
                }
            }
            Self::HammingCloseness { field, query } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                for (score, place) in scores.iter_mut().zip(places) {
                    let document = arena.get(*place as usize);
                    if !document.is_empty() {
                        *score += weight / (1.0 + f64::from(kernels.hamming_words(query.bits(), document)));
                    }
                }
            }
            Self::MaxSim { field, query } => {
                return floats.for_each(view, *field, places, |index, rows| {
                    let value = match rows {
                        FloatRows::Half(cells) => kernels.maxsim_bf16(query.floats(), query.dims(), cells),
                        FloatRows::Full(cells) => kernels.maxsim_f32(query.floats(), query.dims(), cells),
                    };
                    if let Some(score) = scores.get_mut(index) {
                        *score += weight * f64::from(value);
                    }
                });
            }
            Self::Closeness { field, query, metric } => {
                return floats.for_each(view, *field, places, |index, rows| {
                    let widened;
                    let cells = match rows {
                        FloatRows::Full(cells) => cells,
                        FloatRows::Half(cells) => {
                            widened = cells
                                .iter()
                                .map(|cell| cogniverse_sdk::quantize::from_bf16(*cell))
                                .collect::<Vec<f32>>();
                            &widened
                        }
                    };
                    if let (Some(score), false) = (scores.get_mut(index), cells.is_empty()) {
                        *score += weight * closeness(&kernels, *metric, query.floats(), cells);
                    }
                });
            }
        }
        Ok(())
    }
}

/// `1 / (1 + distance)` in the metric, as Vespa defines both; for the dot product, the product itself.
fn closeness(kernels: &Kernels, metric: Metric, query: &[f32], document: &[f32]) -> f64 {
    let dot = |a, b| f64::from(kernels.dot_f32(a, b));
    let product = dot(query, document);
    let cosine = || {
        let norms = (dot(query, query) * dot(document, document)).sqrt();
        if norms > 0.0 { (product / norms).clamp(-1.0, 1.0) } else { 0.0 }
    };
    let distance = match metric {
        Metric::DotProduct => return product,
        Metric::Angular => cosine().acos(),
        Metric::PrenormalizedAngular => 1.0 - cosine(),
        Metric::Euclidean => query.iter().zip(document).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt(),
        // Bits, never floats: the schema's check refuses it here.
        Metric::Hamming => return 0.0,
    };
    1.0 / (1.0 + distance)
}
