//! Scorers of the documents of one block.

use super::{bm25::Bm25, vectors::QueryVectors};
use crate::{
    index::{BlockView, FloatRows},
    kernel::Kernels,
    rank::{float_access::FloatAccess, meter::Meter},
};
use cogniverse_core::schemas::Metric;
use cogniverse_sdk::Result;

/// A scoring function, prepared for a query and a snapshot.
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
    /// The same as `MaxSim`, over bits read as 0 and 1 or as -1 and 1.
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

/// The documents of one block to score, in order of place.
pub(crate) struct Scoring<'a> {
    pub(crate) view: &'a BlockView,
    pub(crate) places: &'a [u32],
    pub(crate) floats: &'a FloatAccess<'a>,
    pub(crate) meter: &'a Meter<'a>,
}

/// The largest number of cells in one kernel call.
const KERNEL_WORK: usize = 4 << 20;

impl Scoring<'_> {
    /// Sums `kernel` over runs of the query's rows, each of `row` items, so that the clock is checked between the
    /// pieces of a document with many vectors. Nearly all documents are a single piece.
    #[inline]
    fn in_runs<T>(
        &self,
        (query, rows): (&[T], usize),
        row: usize,
        document: usize,
        kernel: impl Fn(&[T]) -> f32,
    ) -> Result<f64> {
        let work = rows.saturating_mul(document);
        if work <= KERNEL_WORK {
            self.meter.spend(work)?;
            return Ok(f64::from(kernel(query)));
        }
        let (row, run) = (row.max(1), (KERNEL_WORK / document.max(1)).max(1));
        let mut sum = 0.0;
        for run in query.chunks(run.saturating_mul(row)) {
            self.meter.spend((run.len() / row).saturating_mul(document))?;
            sum += f64::from(kernel(run));
        }
        Ok(sum)
    }
}

impl Scorer<'_> {
    /// Adds `weight` times the score of each place to `scores`, and marks in `found` those with something to score.
    pub(crate) fn add(&self, scoring: &Scoring<'_>, weight: f64, scores: &mut [f64], found: &mut [bool]) -> Result<()> {
        let kernels = Kernels::detect();
        let Scoring { view, places, floats, .. } = scoring;
        let targets = || places.iter().map(|place| *place as usize);
        match self {
            Self::Constant(value) => scores.iter_mut().for_each(|score| *score += weight * value),
            Self::Sum(parts) => return parts.iter().try_for_each(|part| part.add(scoring, weight, scores, found)),
            Self::Scaled(factor, part) => return part.add(scoring, weight * factor, scores, found),
            Self::Bm25(bm25) => {
                let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(()) };
                let mut all = vec![0.0; (last - first) as usize + 1];
                bm25.add(scoring, weight, *first, &mut all)?;
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let value = all.get(place - *first as usize).copied().unwrap_or(0.0);
                    *score += value;
                    *found |= value != 0.0;
                }
            }
            Self::HammingMaxSim { field, query } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let document = arena.get(place);
                    *found |= !document.is_empty();
                    *score += weight
                        * scoring.in_runs((query.bits(), query.rows()), arena.words(), document.len(), |run| {
                            kernels.hamming_maxsim(run, arena.words(), document)
                        })?;
                }
            }
            Self::FloatBits { field, query, signed } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let document = arena.rows(place);
                    *found |= !document.is_empty();
                    *score += weight
                        * scoring.in_runs(
                            (query.floats(), query.rows()),
                            query.dims(),
                            document.len() * 64,
                            |run| kernels.maxsim_bits(run, query.dims(), arena.words(), &document, *signed),
                        )?;
                }
            }
            Self::HammingCloseness { field, query } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let document = arena.get(place);
                    if !document.is_empty() {
                        scoring.meter.spend(document.len())?;
                        *found = true;
                        *score += weight / (1.0 + f64::from(kernels.hamming_words(query.bits(), document)));
                    }
                }
            }
            Self::MaxSim { field, query } => {
                return floats.for_each(scoring, *field, |index, rows| {
                    let value = match rows {
                        FloatRows::Half(cells) => {
                            scoring.in_runs((query.floats(), query.rows()), query.dims(), cells.len(), |run| {
                                kernels.maxsim_bf16(run, query.dims(), cells)
                            })
                        }
                        FloatRows::Full(cells) => {
                            scoring.in_runs((query.floats(), query.rows()), query.dims(), cells.len(), |run| {
                                kernels.maxsim_f32(run, query.dims(), cells)
                            })
                        }
                    }?;
                    if let (Some(score), Some(found)) = (scores.get_mut(index), found.get_mut(index)) {
                        *score += weight * value;
                        *found |= !rows.is_empty();
                    }
                    Ok(())
                });
            }
            Self::Closeness { field, query, metric } => {
                return floats.for_each(scoring, *field, |index, rows| {
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
                    scoring.meter.spend(cells.len())?;
                    if let (Some(score), Some(found), false) =
                        (scores.get_mut(index), found.get_mut(index), cells.is_empty())
                    {
                        *score += weight * closeness(&kernels, *metric, query.floats(), cells);
                        *found = true;
                    }
                    Ok(())
                });
            }
        }
        Ok(())
    }
}

/// Returns `1 / (1 + distance)` in the metric, as defined by Vespa; for the dot product, the product itself.
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
