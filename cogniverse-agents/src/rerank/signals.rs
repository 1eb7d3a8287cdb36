//! The reranker by five signals.

use async_trait::async_trait;
use cogniverse_sdk::{Error, Modality, RerankItem, RerankRequest, RerankScore, Reranker, Result, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};
use unicode_segmentation::UnicodeSegmentation;

/// The weights of the five signals, which add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SignalWeights {
    /// Of the kind of content that is asked for (default 0.3).
    pub cross_modal: f64,
    /// Of the time that is asked for (default 0.2).
    pub temporal: f64,
    /// Of what a result says that others do not (default 0.2).
    pub complementarity: f64,
    /// Of being among the first of its video and kind (default 0.15).
    pub diversity: f64,
    /// Of the score of the search (default 0.15).
    pub original: f64,
}

impl Default for SignalWeights {
    fn default() -> Self {
        Self { cross_modal: 0.3, temporal: 0.2, complementarity: 0.2, diversity: 0.15, original: 0.15 }
    }
}

impl SignalWeights {
    /// Creates weights, in the order of the fields.
    ///
    /// # Errors
    /// `InvalidInput` for a negative weight, and for weights whose sum is not 1 (within 0.01).
    pub fn new(weights: [f64; 5]) -> Result<Self> {
        let [cross_modal, temporal, complementarity, diversity, original] = weights;
        let sum: f64 = weights.iter().sum();
        let is_weight = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        if !weights.iter().all(is_weight) || (sum - 1.0).abs() > 0.01 {
            return Err(Error::invalid(format!("the weights {weights:?} must be 0 or more and add up to 1")));
        }
        Ok(Self { cross_modal, temporal, complementarity, diversity, original })
    }
}

/// A reranker by five signals, each from 0 to 1, which needs no model: how well the kind of content fits, how near the time
/// is, how much a result says that the others do not, how many better ones of its video and kind there are, and the score of
/// the search.
///
/// The scores of one request are normalised to the range from 0 to 1, as those of strategies have no common scale.
///
/// ```
/// use cogniverse_agents::SignalReranker;
/// use cogniverse_sdk::{RerankItem, RerankRequest, Reranker};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cogniverse_sdk::Result<()> {
/// let items = vec![
///     RerankItem::new("a", "talk", "gradient descent", 9.0),
///     RerankItem::new("b", "talk", "gradient descent", 8.9),
///     RerankItem::new("c", "demo", "a robot arm", 8.8),
/// ];
/// let scores = SignalReranker::default().rerank(RerankRequest::new("gradient", items)).await?;
/// assert!(scores[2].score > scores[1].score, "it repeats nothing");
/// assert_eq!(scores[0].signals["original"], 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SignalReranker {
    weights: SignalWeights,
}

impl SignalReranker {
    /// Creates a reranker with weights.
    #[must_use]
    pub fn new(weights: SignalWeights) -> Self {
        Self { weights }
    }
}

#[async_trait]
impl Reranker for SignalReranker {
    async fn rerank(&self, request: RerankRequest) -> Result<Vec<RerankScore>> {
        request.check()?;
        let items = &request.items;
        let complementarity = complementarity(items);
        let diversity = diversity(items);
        let original = normalised(items);
        let weights = &self.weights;
        let scored = items.iter().zip(complementarity).zip(diversity).zip(original);
        let score = |(((item, complementarity), diversity), original): (((&RerankItem, f64), f64), f64)| {
            let signals = [
                ("cross_modal", weights.cross_modal, cross_modal(item, &request.modalities)),
                ("temporal", weights.temporal, temporal(item, request.recorded)),
                ("complementarity", weights.complementarity, complementarity),
                ("diversity", weights.diversity, diversity),
                ("original", weights.original, original),
            ];
            let sum = signals.iter().map(|(_, weight, signal)| weight * signal).sum();
            signals.into_iter().fold(RerankScore::new(sum), |score, (name, _, signal)| score.with_signal(name, signal))
        };
        Ok(scored.map(score).collect())
    }
}

/// Returns the fit of a result's kind to the kinds that are asked for.
fn cross_modal(item: &RerankItem, asked: &[Modality]) -> f64 {
    if asked.is_empty() || item.modalities.is_empty() {
        return 0.5;
    }
    let main = |kind: &Modality| item.modalities.first() == Some(kind);
    let is_any = |kind: &Modality| item.modalities.contains(kind);
    let related = |kind: &Modality| item.modalities.first().is_some_and(|main| are_related(*main, *kind));
    match () {
        () if asked.iter().any(main) => 1.0,
        // What the result is beside its main kind.
        () if asked.iter().any(is_any) => 0.85,
        () if asked.iter().any(related) => 0.7,
        () if asked.contains(&Modality::Mixed) => 0.8,
        () => 0.3,
    }
}

fn are_related(a: Modality, b: Modality) -> bool {
    use Modality::{Audio, Document, Image, Text, Video};
    matches!(
        (a, b),
        (Video, Image | Audio) | (Image | Audio, Video) | (Document, Text | Image) | (Text | Image, Document)
    )
}

/// Returns the nearness of a result's time to the time that is asked for.
fn temporal(item: &RerankItem, asked: Option<(Timestamp, Timestamp)>) -> f64 {
    let (Some(time), Some((start, end))) = (item.recorded_at, asked) else { return 0.5 };
    if time < start || time > end {
        let away = if time < start { start.duration_since(time) } else { time.duration_since(end) };
        return match away.as_hours() / 24 {
            0..30 => 0.5,
            30..90 => 0.3,
            90..365 => 0.2,
            _ => 0.1,
        };
    }
    let whole = end.duration_since(start).as_secs_f64();
    if whole <= 0.0 {
        return 1.0;
    }
    let centrality = 1.0 - 2.0 * (0.5 - time.duration_since(start).as_secs_f64() / whole).abs();
    0.7 + 0.3 * centrality
}

/// The number of words of a result that are compared with others': a text may be of megabytes.
const WORDS: usize = 512;

/// Returns the share of each result's words that the others do not have: 1 less the mean overlap of its words with those of each other.
fn complementarity(items: &[RerankItem]) -> Vec<f64> {
    let words: Vec<HashSet<u32>> = {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut number = |word: &str| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(word.to_lowercase()).or_insert(next)
        };
        items.iter().map(|item| item.text.unicode_words().take(WORDS).map(&mut number).collect()).collect()
    };
    let mut overlaps = vec![0.0; items.len()];
    for (at, own) in words.iter().enumerate() {
        for (other_at, other) in words.iter().enumerate().skip(at + 1) {
            let overlap = jaccard(own, other);
            for place in [at, other_at] {
                if let Some(sum) = overlaps.get_mut(place) {
                    *sum += overlap;
                }
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 500")]
    let others = items.len().saturating_sub(1).max(1) as f64;
    overlaps.into_iter().map(|sum| 1.0 - sum / others).collect()
}

#[expect(clippy::cast_precision_loss, reason = "words of a result")]
fn jaccard(a: &HashSet<u32>, b: &HashSet<u32>) -> f64 {
    let (small, large) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let both = small.iter().filter(|word| large.contains(word)).count();
    let all = a.len() + b.len() - both;
    if all == 0 { 0.0 } else { both as f64 / all as f64 }
}

/// Returns a signal that falls with the number of better results of the same source and kind. By score and not by place, so that the order of the
/// request does not count.
fn diversity(items: &[RerankItem]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| {
        let (Some(a), Some(b)) = (items.get(*a), items.get(*b)) else { return std::cmp::Ordering::Equal };
        b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id))
    });
    let mut before: BTreeMap<(&str, Option<Modality>), usize> = BTreeMap::new();
    let mut found = vec![0.0; items.len()];
    for place in order {
        let Some(item) = items.get(place) else { continue };
        let better = before.entry((&item.source, item.modalities.first().copied())).or_default();
        if let Some(slot) = found.get_mut(place) {
            *slot = match *better {
                0 => 1.0,
                1 => 0.8,
                2 => 0.6,
                3 => 0.4,
                _ => 0.2,
            };
        }
        *better += 1;
    }
    found
}

/// The scores of the search in the range from 0 to 1; of equal ones all are 1.
fn normalised(items: &[RerankItem]) -> Vec<f64> {
    let lowest = items.iter().map(|item| item.score).fold(f64::INFINITY, f64::min);
    let highest = items.iter().map(|item| item.score).fold(f64::NEG_INFINITY, f64::max);
    // Halves, as the range of two finite numbers may not be finite.
    let range = highest / 2.0 - lowest / 2.0;
    let share = |item: &RerankItem| if range > 0.0 { (item.score / 2.0 - lowest / 2.0) / range } else { 1.0 };
    items.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    cogniverse_sdk::reranker_contract!(async { (Box::new(SignalReranker::default()), ()) });

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
    }

    #[test]
    fn of_a_text_of_megabytes_the_first_words_are_compared() {
        let same: String = (0..WORDS).map(|number| format!("w{number} ")).collect();
        let text = |end: &str| format!("{same}{}", format!("{end} ").repeat(200_000));
        let items = [item("a", "v", &text("harbour"), 1.0), item("b", "v", &text("crane"), 1.0)];
        assert!(complementarity(&items).into_iter().all(|of_own| of_own.abs() < 1e-9));
    }

    fn item(id: &str, source: &str, text: &str, score: f64) -> RerankItem {
        RerankItem::new(id, source, text, score).with_modalities([Modality::Video])
    }

    async fn rerank(request: RerankRequest) -> Vec<RerankScore> {
        SignalReranker::default().rerank(request).await.unwrap()
    }

    #[tokio::test]
    async fn each_signal_is_as_it_is_described() {
        let at = |day: i64| Timestamp::from_second(1_700_000_000 + day * 86_400).unwrap();
        let items = vec![
            item("a", "v", "one two", 3.0).recorded_at(Some(at(5))),
            item("b", "v", "two three", 2.0).recorded_at(Some(at(-20))),
            item("c", "w", "four", 1.0).with_modalities([Modality::Document]).recorded_at(Some(at(110))),
        ];
        let request = RerankRequest::new("q", items).with_modalities([Modality::Video]).with_recorded(at(0), at(10));
        let scores = rerank(request).await;
        let signal = |place: usize, name: &str| scores[place].signals[name];
        for (place, wanted) in [1.0, 1.0, 0.3].into_iter().enumerate() {
            close(signal(place, "cross_modal"), wanted);
        }
        for (place, wanted) in [1.0, 0.5, 0.2].into_iter().enumerate() {
            close(signal(place, "temporal"), wanted);
        }
        for (place, wanted) in [1.0 - 1.0 / 6.0, 1.0 - 1.0 / 6.0, 1.0].into_iter().enumerate() {
            close(signal(place, "complementarity"), wanted);
        }
        for (place, wanted) in [1.0, 0.8, 1.0].into_iter().enumerate() {
            close(signal(place, "diversity"), wanted);
        }
        for (place, wanted) in [1.0, 0.5, 0.0].into_iter().enumerate() {
            close(signal(place, "original"), wanted);
        }
        close(scores[1].score, 0.3 + 0.2 * 0.5 + 0.2 * (5.0 / 6.0) + 0.15 * 0.8 + 0.15 * 0.5);
    }

    #[tokio::test]
    async fn huge_scores_do_not_swamp_the_other_signals() {
        for scores in [[f64::MAX, 0.0, f64::MIN], [1e300, 1e299, -1e300], [5.0, 5.0, 5.0]] {
            let items = scores.iter().zip(["a", "b", "c"]).map(|(score, id)| item(id, id, "text", *score)).collect();
            for score in rerank(RerankRequest::new("q", items)).await {
                assert!((0.0..=1.0).contains(&score.score), "{score:?}");
            }
        }
    }

    #[test]
    fn weights_add_up_to_one() {
        assert_eq!(SignalWeights::new([0.3, 0.2, 0.2, 0.15, 0.15]).unwrap(), SignalWeights::default());
        for wrong in [[0.5; 5], [-0.1, 0.5, 0.2, 0.2, 0.2], [f64::NAN, 0.3, 0.3, 0.2, 0.2], [0.0; 5]] {
            assert!(SignalWeights::new(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn scores_are_shares_and_do_not_depend_on_the_order(
            of in proptest::collection::vec((0_u8..6, "[a-d ]{0,12}", -1e6_f64..1e6), 1..24), turn in 0_usize..24,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let items: Vec<RerankItem> = of
                .iter()
                .enumerate()
                .map(|(id, (source, text, score))| item(&id.to_string(), &source.to_string(), text, *score))
                .collect();
            let mut turned = items.clone();
            turned.rotate_left(turn % items.len());
            turned.reverse();
            let (first, second) = runtime.block_on(async {
                (rerank(RerankRequest::new("a", items.clone())).await, rerank(RerankRequest::new("a", turned.clone())).await)
            });
            for (item, score) in items.iter().zip(first) {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&score.score));
                let place = turned.iter().position(|other| other.id == item.id).unwrap();
                prop_assert!((second[place].score - score.score).abs() < 1e-9);
            }
        }
    }
}
