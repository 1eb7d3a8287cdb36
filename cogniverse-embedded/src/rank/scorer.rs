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
    /// Writes a number that each place's score does not exceed to `ceilings`, and marks in `found` those with something to score,
    /// in much less time than the scores take; `false` where this scorer knows no such number.
    pub(crate) fn ceilings(
        &self,
        scoring: &Scoring<'_>,
        weight: f64,
        ceilings: &mut [f64],
        found: &mut [bool],
    ) -> Result<bool> {
        let (field, query) = match self {
            Self::Scaled(factor, part) => return part.ceilings(scoring, weight * factor, ceilings, found),
            Self::FloatBits { field, query } => (*field, query),
            _ => return Ok(false),
        };
        let kernels = Kernels::detect();
        let Some(arena) = scoring.view.block.bits(field).filter(|arena| !arena.is_single()) else { return Ok(false) };
        for ((place, ceiling), found) in scoring.places.iter().zip(ceilings).zip(found) {
            let document = arena.get(*place as usize);
            *found |= !document.is_empty();
            let (mut low, mut high) = (0.0, 0.0);
            for run in query {
                scoring.meter.spend(run.rows().saturating_mul(document.len()) / 4)?;
                let bounds = kernels.maxsim_bits_bounds(run, document);
                // Rounding keeps an order: sums in the order of the scores' own are still bounds of them.
                low += f64::from(bounds.0);
                high += f64::from(bounds.1);
            }
            *ceiling = if weight >= 0.0 { weight * high } else { weight * low };
        }
        Ok(true)
    }

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
                    let cells = match rows {
                        FloatRows::Half(cells) => cells.len(),
                        FloatRows::Full(cells) => cells.len(),
                    };
                    let work = |run: &FloatQuery| run.rows().saturating_mul(cells);
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

/// Returns `1 / (1 + distance)` in the metric, as defined by Vespa; for the dot product, the product itself. `own` is the
/// product of the query with itself.
fn closeness(kernels: &Kernels, metric: Metric, (query, own): (&[f32], f64), document: &[f32]) -> f64 {
    let dot = |a, b| f64::from(kernels.dot_f32(a, b));
    let product = dot(query, document);
    let cosine = || {
        let norms = (own * dot(document, document)).sqrt();
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
