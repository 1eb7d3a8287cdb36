//! Scorers of the documents of one block.

use super::{bm25::Bm25, vectors::QueryVectors};
use crate::{
    index::{BitArena, BlockView, FloatRows},
    kernel::{BitFloatQuery, BitQuery, FloatQuery, GROUP, Kernels},
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
        query: Vec<BitFloatQuery>,
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
#[derive(Clone, Copy)]
pub(crate) struct Scoring<'a> {
    pub(crate) view: &'a BlockView,
    pub(crate) places: &'a [u32],
    pub(crate) floats: FloatAccess<'a>,
    pub(crate) meter: &'a Meter<'a>,
}

impl Scoring<'_> {
    /// Sums `kernel` over the runs of a query, so that the clock is checked between the pieces of a long one. `work`
    /// is the number of multiply-adds of each.
    #[inline]
    fn in_runs<Q>(&self, runs: &[Q], work: impl Fn(&Q) -> usize, kernel: impl Fn(&Q) -> f32) -> Result<f64> {
        let mut sum = 0.0;
        for run in runs {
            self.meter.spend(work(run))?;
            sum += f64::from(kernel(run));
        }
        Ok(sum)
    }

    /// Adds `weight` times a value of each document of a single-vector field, computed for a group at a time, and
    /// marks those that have a vector.
    fn in_groups(
        &self,
        arena: BitArena<'_>,
        weight: f64,
        (scores, found): (&mut [f64], &mut [bool]),
        kernel: impl Fn(&[u8], &mut [f64; GROUP]),
    ) -> Result<()> {
        let mut values = [0.0; GROUP];
        let mut computed = None;
        for ((place, score), found) in self.places.iter().zip(scores).zip(found) {
            let place = *place as usize;
            if !arena.has(place) {
                continue;
            }
            if computed != Some(place / GROUP) {
                self.meter.spend(GROUP * arena.bytes())?;
                kernel(arena.group(place), &mut values);
                computed = Some(place / GROUP);
            }
            *found = true;
            *score += weight * values.get(place % GROUP).copied().unwrap_or(0.0);
        }
        Ok(())
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
                bm25.add((view, scoring.meter), weight, *first, &mut all)?;
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let value = all.get(place - *first as usize).copied().unwrap_or(0.0);
                    *score += value;
                    *found |= value != 0.0;
                }
            }
            Self::HammingMaxSim { field, query } | Self::HammingCloseness { field, query } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                if arena.is_single() {
                    return scoring.in_groups(arena, weight, (scores, found), |group, values| {
                        *values = [0.0; GROUP];
                        let mut distances = [0; GROUP];
                        for (run, row) in query.bits().iter().flat_map(|run| (0..run.rows()).map(move |row| (run, row)))
                        {
                            if kernels.hamming_group(run, row, group, &mut distances) {
                                let similar = distances.map(|distance| 1.0 / (1.0 + f64::from(distance)));
                                values.iter_mut().zip(similar).for_each(|(value, similar)| *value += similar);
                            }
                        }
                    });
                }
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let document = arena.get(place);
                    *found |= !document.is_empty();
                    let work = |run: &BitQuery| run.rows() * document.len() / 8;
                    *score +=
                        weight * scoring.in_runs(query.bits(), work, |run| kernels.hamming_maxsim(run, document))?;
                }
            }
            Self::FloatBits { field, query } => {
                let Some(arena) = view.block.bits(*field) else { return Ok(()) };
                if arena.is_single() {
                    return scoring.in_groups(arena, weight, (scores, found), |group, values| {
                        *values = [0.0; GROUP];
                        let mut products = [0.0; GROUP];
                        for (run, row) in query.iter().flat_map(|run| (0..run.rows()).map(move |row| (run, row))) {
                            if kernels.bits_group(run, row, group, &mut products) {
                                values.iter_mut().zip(products).for_each(|(value, add)| *value += f64::from(add));
                            }
                        }
                    });
                }
                for ((place, score), found) in targets().zip(scores).zip(found) {
                    let document = arena.get(place);
                    *found |= !document.is_empty();
                    let work = |run: &BitFloatQuery| run.rows().saturating_mul(document.len());
                    *score += weight * scoring.in_runs(query, work, |run| kernels.maxsim_bits(run, document))?;
                }
            }
            Self::MaxSim { field, query } => {
                return floats.for_each(view, places, *field, |index, rows| {
                    let work = |run: &FloatQuery| run.rows().saturating_mul(rows.len());
                    let value = scoring.in_runs(query.floats(), work, |run| match rows {
                        FloatRows::Half(cells) => kernels.maxsim_bf16(run, cells),
                        FloatRows::Full(cells) => kernels.maxsim_f32(run, cells),
                    })?;
                    if let (Some(score), Some(found)) = (scores.get_mut(index), found.get_mut(index)) {
                        *score += weight * value;
                        *found |= !rows.is_empty();
                    }
                    Ok(())
                });
            }
            Self::Closeness { field, query, metric } => {
                // The query's own product is the same for all, and the room of widened cells is made once.
                let own = f64::from(kernels.dot_f32(query.cells(), query.cells()));
                let mut widened = Vec::new();
                return floats.for_each(view, places, *field, |index, rows| {
                    let cells = match rows {
                        FloatRows::Full(cells) => cells,
                        FloatRows::Half(cells) => {
                            widened.clear();
                            widened.extend(cells.iter().map(|cell| cogniverse_sdk::quantize::from_bf16(*cell)));
                            &*widened
                        }
                    };
                    scoring.meter.spend(cells.len())?;
                    if let (Some(score), Some(found), false) =
                        (scores.get_mut(index), found.get_mut(index), cells.is_empty())
                    {
                        *score += weight * closeness(&kernels, *metric, (query.cells(), own), cells);
                        *found = true;
                    }
                    Ok(())
                });
            }
        }
        Ok(())
    }
}

/// Returns the closeness of a query and a document, of which `own` is the query's product with itself.
fn closeness(kernels: &Kernels, metric: Metric, (query, own): (&[f32], f64), document: &[f32]) -> f64 {
    let dot = |a, b| f64::from(kernels.dot_f32(a, b));
    match metric {
        Metric::Euclidean => {
            let distance = query.iter().zip(document).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            1.0 / (1.0 + distance)
        }
        Metric::DotProduct => dot(query, document),
        _ => closeness_of(metric, dot(query, document), own, dot(document, document)),
    }
}

/// Returns `1 / (1 + distance)` in a metric of angles, as defined by Vespa, from the product of two vectors and those of each with
/// itself. It does not fall where the product rises.
pub(super) fn closeness_of(metric: Metric, product: f64, own: f64, other: f64) -> f64 {
    let norms = (own * other).sqrt();
    let cosine = if norms > 0.0 { (product / norms).clamp(-1.0, 1.0) } else { 0.0 };
    let distance = match metric {
        Metric::Angular => cosine.acos(),
        Metric::PrenormalizedAngular => 1.0 - cosine,
        // Bits, never floats: the schema's check refuses it here. The others are not computed from angles.
        Metric::Hamming | Metric::DotProduct | Metric::Euclidean => return 0.0,
    };
    1.0 / (1.0 + distance)
}
