//! Upper bounds of scores, in much less time than the scores take.

use super::{
    scorer::{Scorer, Scoring, closeness_of},
    vectors::QueryVectors,
};
use crate::{
    index::{CODE_RUN, Codes},
    kernel::{BitFloatQuery, CODE_GROUP, CodeQuery, CodeStage, Kernels},
};
use cogniverse_core::schemas::Metric;
use cogniverse_sdk::Result;

/// More than what one function of the standard library may lose of a closeness.
const SLACK: f64 = 1e-12;

/// Lower and upper bounds of a sum over query rows.
type Bounds = (f64, f64);

/// What a search asks of the bounds of a stretch of documents.
struct Ask<'a> {
    weight: f64,
    /// The score below which documents are passed over.
    bar: f64,
    ceilings: &'a mut [f64],
    found: &'a mut [bool],
}

impl Scorer<'_> {
    /// Writes a number that each place's score does not exceed to `ceilings`, and marks in `found` those with something to score,
    /// in much less time than the scores take; `false` where this scorer knows no such numbers, and nothing that was written is one. Where a number is below `bar`, it
    /// need not be tight.
    pub(crate) fn ceilings(
        &self,
        scoring: &Scoring<'_>,
        weight: f64,
        (ceilings, bar): (&mut [f64], f64),
        found: &mut [bool],
    ) -> Result<bool> {
        let ask = Ask { weight, bar, ceilings, found };
        match self {
            Self::Scaled(factor, part) => part.ceilings(scoring, weight * factor, (ask.ceilings, bar), ask.found),
            Self::FloatBits { field, query } => of_bits(scoring, *field, query, ask),
            Self::MaxSim { field, query } => of_codes(scoring, *field, query, ask, |bounds, _| bounds),
            // Of the others, distances are not computed from the product.
            Self::Closeness { field, query, metric: metric @ (Metric::Angular | Metric::PrenormalizedAngular) } => {
                let own = f64::from(Kernels::detect().dot_f32(query.cells(), query.cells()));
                of_codes(scoring, *field, query, ask, |(low, high), other| {
                    let of = |product, slack| closeness_of(*metric, product, own, other) * slack;
                    (of(low, 1.0 - SLACK), of(high, 1.0 + SLACK))
                })
            }
            Self::Closeness { field, query, metric: Metric::DotProduct } => {
                of_codes(scoring, *field, query, ask, |bounds, _| bounds)
            }
            _ => Ok(false),
        }
    }
}

/// Returns the bound from above of a weighted score.
fn ceiling(weight: f64, (low, high): Bounds) -> f64 {
    if weight >= 0.0 { weight * high } else { weight * low }
}

fn of_bits(scoring: &Scoring<'_>, field: usize, query: &[BitFloatQuery], ask: Ask<'_>) -> Result<bool> {
    let kernels = Kernels::detect();
    let Some(arena) = scoring.view.block.bits(field).filter(|arena| !arena.is_single()) else { return Ok(false) };
    for ((place, bound), found) in scoring.places.iter().zip(ask.ceilings).zip(ask.found) {
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
        *bound = ceiling(ask.weight, (low, high));
    }
    Ok(true)
}

/// Computes bounds from the codes of a float field. `score` turns bounds of products, and a document's product with itself, into
/// those of the score.
fn of_codes(
    scoring: &Scoring<'_>,
    field: usize,
    query: &QueryVectors,
    ask: Ask<'_>,
    score: impl Fn(Bounds, f64) -> Bounds,
) -> Result<bool> {
    let Scoring { view, places, floats, meter } = scoring;
    if !Kernels::detect().has_fast_codes() {
        return Ok(false);
    }
    let mut any = false;
    let mut rest = (ask.ceilings, ask.found);
    for run in places.chunk_by(|a, b| *a as usize / CODE_RUN == *b as usize / CODE_RUN) {
        let ((ceilings, others), (found, unseen)) = (rest.0.split_at_mut(run.len()), rest.1.split_at_mut(run.len()));
        rest = (others, unseen);
        let number = run.first().map_or(0, |place| *place as usize / CODE_RUN);
        let codes = floats.codes(view, field, number, meter)?;
        any |= codes.is_some();
        let mut bounded = codes.as_deref().map(|codes| Bounded { scoring, codes, query: query.codes(), group: None });
        for ((place, bound), found) in run.iter().zip(ceilings).zip(found) {
            let local = *place as usize % CODE_RUN;
            // Where nothing is known, the score itself is computed.
            *bound = f64::INFINITY;
            if view.block.cells_at(field, *place as usize).is_none() {
                *bound = 0.0;
                continue;
            }
            *found = true;
            let Some(bounded) = bounded.as_mut().filter(|bounded| bounded.codes.arena.has(local)) else { continue };
            let other = f64::from(bounded.codes.products.get(local).copied().unwrap_or(0.0));
            for stage in [CodeStage::Coarse, CodeStage::Fine] {
                *bound = ceiling(ask.weight, score(bounded.at(local, stage)?, other));
                if *bound < ask.bar {
                    break;
                }
            }
        }
    }
    Ok(any)
}

/// The bounds of a run of documents.
struct Bounded<'a> {
    scoring: &'a Scoring<'a>,
    codes: &'a Codes,
    query: &'a [CodeQuery],
    /// The last group of single vectors, with its bounds.
    group: Option<(usize, CodeStage, [Bounds; CODE_GROUP])>,
}

impl Bounded<'_> {
    /// Returns bounds of the sum of a document's products.
    fn at(&mut self, local: usize, stage: CodeStage) -> Result<Bounds> {
        let kernels = Kernels::detect();
        if self.codes.arena.is_single() {
            return self.in_group(local, stage);
        }
        let document = self.codes.arena.get(local);
        let (mut low, mut high) = (0.0, 0.0);
        for run in self.query {
            self.scoring.meter.spend(run.rows().saturating_mul(document.len()) / 4)?;
            let bounds = kernels.maxsim_codes_bounds(run, stage, document);
            low += f64::from(bounds.0);
            high += f64::from(bounds.1);
        }
        Ok((low, high))
    }

    fn in_group(&mut self, local: usize, stage: CodeStage) -> Result<Bounds> {
        let number = local / CODE_GROUP;
        let known = self.group.as_ref().filter(|(known, of, _)| (*known, *of) == (number, stage));
        let group = match known {
            Some((_, _, group)) => group,
            None => {
                let codes = self.codes.arena.group(local);
                let mut group = [(0.0, 0.0); CODE_GROUP];
                for run in self.query {
                    self.scoring.meter.spend(run.rows().saturating_mul(codes.len()) / 4)?;
                    let mut bounds = [(0.0, 0.0); CODE_GROUP];
                    if Kernels::detect().codes_group_bounds(run, stage, codes, &mut bounds) {
                        for (sum, bounds) in group.iter_mut().zip(bounds) {
                            sum.0 += f64::from(bounds.0);
                            sum.1 += f64::from(bounds.1);
                        }
                    }
                }
                &self.group.insert((number, stage, group)).2
            }
        };
        Ok(group.get(local % CODE_GROUP).copied().unwrap_or((f64::NEG_INFINITY, f64::INFINITY)))
    }
}
