//! Matching and ranking the documents of one type.
//!
//! A phase that the embedded engine knows as a strategy is scored by it; any other by `plain`, which knows numbers,
//! attributes and words. The engine is always asked for a first phase over all documents: which of them matched, and which
//! of those a second phase scores again, is decided here.

use super::{Failure, groups, order, plain::Plain, request::SearchRequest};
use crate::content::{
    Running,
    analysis::Analysis,
    document_id,
    engine::{Engine, EnginePart, Phase},
    global_phase,
    matching::Matching,
    nearest,
    sd::{RankProfile, Schema},
    store::Key,
    value::Value,
};
use std::collections::{BTreeMap, BTreeSet};

/// One type's share of a search: everything that scoring needs, taken out of the store.
pub(super) struct Part {
    pub(super) schema: std::sync::Arc<Schema>,
    profile: RankProfile,
    pub(super) matched: BTreeSet<Key>,
    pub(super) documents: usize,
    engine: EnginePart,
    plain: Plain,
    /// The hits that the global phase scores; 0 where it is left out.
    global_rerank_count: usize,
}

/// A scored match.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    pub(super) document_type: String,
    pub(super) key: Key,
    pub(super) score: f64,
    pub(super) features: BTreeMap<String, f64>,
}

/// Matches, and takes what ranking will need.
pub(super) fn part(running: &mut Running, search: &SearchRequest, name: &str) -> Result<Part, Failure> {
    let lost = || Failure::new(8, "Error in search reply.", format!("no document type '{name}'"));
    let schema = running.package.schemas.get(name).cloned().ok_or_else(lost)?;
    order::check(search, &schema)?;
    groups::check(search, &schema)?;
    let documents = running.documents.entry(name.to_owned()).or_default();
    let condition = &search.statement.condition;
    let all: BTreeSet<Key> = documents.iter().map(|(key, _)| *key).collect();
    let analysis = Analysis::of(&schema, documents, search.language.as_deref());
    let matching = Matching { schema: &schema, documents, inputs: &search.inputs, analysis: &analysis };
    let matched = matching.matches(condition, &all);
    let profile = schema.profile(&search.profile).or_else(|| schema.profile("default")).cloned().unwrap_or_default();
    let global_rerank_count = search.global_rerank_count.unwrap_or_else(|| profile.global_rerank_count.unwrap_or(100));
    if !search.order.is_empty() && profile.global_phase.is_some() && global_rerank_count > 0 {
        return Err(Failure::illegal("Sorting is not supported with global phase"));
    }
    let words = condition.words();
    let nearest_inputs = condition.nearest();
    let mut plain = Plain::new(&schema, &profile, documents, &matched, &words, &analysis);
    plain.numbers = search.numbers.clone();
    for item in &nearest_inputs {
        let (Some(field), Some(query)) = (schema.field(&item.field), search.inputs.get(&item.input)) else { continue };
        let metric = field.distance_metric.as_deref().unwrap_or("euclidean");
        for key in &matched {
            let Some(Value::Tensor(stored)) = documents.at(key).and_then(|stored| stored.fields.get(&field.name))
            else {
                continue;
            };
            if let Some(distance) = nearest::distance(stored, query, metric) {
                plain.closeness.insert((field.name.clone(), *key), nearest::closeness(distance, metric));
            }
        }
    }
    let vectors = nearest_inputs.iter().map(|item| (item.field.clone(), item.input.clone())).collect();
    let engine = EnginePart::new(&schema, documents, (words, search.language.clone()), search.inputs.clone(), vectors);
    Ok(Part { documents: documents.len(), schema, profile, matched, engine, plain, global_rerank_count })
}

/// Scores the matches, best first. `window` is how many hits the request reaches.
pub(super) async fn rank(engine: &mut Engine, part: &Part, window: usize) -> Result<Vec<Scored>, String> {
    let features = &part.profile.match_features;
    engine.learn(&part.engine).await?;
    let first = phase(engine, part, Phase::First, part.profile.first_phase.as_deref(), &BTreeMap::new()).await?;
    let mut scored: Vec<Scored> = part
        .matched
        .iter()
        .map(|key| {
            let score = first.get(key).copied().unwrap_or(0.0);
            let mut values: BTreeMap<String, f64> =
                features.iter().filter_map(|name| Some((name.clone(), part.plain.score(name, key, score)?))).collect();
            if features.iter().any(|name| name == "firstPhase") {
                values.insert("firstPhase".to_owned(), score);
            }
            Scored { document_type: part.schema.name.clone(), key: *key, score, features: values }
        })
        .collect();
    sort(&mut scored);
    if let Some(expression) = part.profile.second_phase.as_deref() {
        let rest = scored.split_off(scored.len().min(part.profile.rerank_count.unwrap_or(100)));
        let second = phase(engine, part, Phase::Second, Some(expression), &first).await?;
        for hit in &mut scored {
            hit.score = second.get(&hit.key).copied().unwrap_or(0.0);
        }
        sort(&mut scored);
        // Those that were not scored again stay below, in their order.
        if let (Some(worst), Some(best)) = (scored.last(), rest.first()) {
            let shift = (worst.score - best.score).min(0.0);
            scored.extend(rest.into_iter().map(|hit| Scored { score: hit.score + shift, ..hit }));
        }
    }
    if part.global_rerank_count > 0
        && let Some(expression) = part.profile.global_phase.as_deref()
    {
        global(engine, part, expression, window, &mut scored).await?;
    }
    Ok(scored)
}

/// The container's part: of the hits that content nodes return, the best are scored again, and the rest stay below.
async fn global(
    engine: &mut Engine,
    part: &Part,
    expression: &str,
    window: usize,
    scored: &mut Vec<Scored>,
) -> Result<(), String> {
    let count = part.global_rerank_count;
    // What lies beyond is never returned, whatever its score.
    let returned = scored.len().min(count.max(window));
    let mut beyond = scored.split_off(returned);
    let mut plain = part.plain.clone();
    let mut text = expression.to_owned();
    let reached = scored.len().min(count);
    for (place, normalizer) in global_phase::normalizers(expression).iter().enumerate() {
        let values = phase(engine, part, Phase::Signal(place), Some(normalizer.signal), &BTreeMap::new()).await?;
        let value = |hit: &Scored| values.get(&hit.key).copied().unwrap_or(0.0);
        for hit in scored.iter_mut() {
            hit.features.insert(normalizer.feature.to_owned(), value(hit));
        }
        let values: Vec<f64> = scored.iter().take(reached).map(value).collect();
        let name = format!("normalized_{place}");
        for (hit, value) in scored.iter().zip(normalizer.normalize(&values)) {
            plain.set(&name, hit.key, value);
        }
        text = text.replace(normalizer.call, &format!("attribute({name})"));
    }
    let before: Vec<f64> = scored.iter().take(reached).map(|hit| hit.score).collect();
    for hit in scored.iter_mut().take(reached) {
        hit.score = plain.score(&text, &hit.key, hit.score).unwrap_or(0.0);
    }
    let after: Vec<f64> = scored.iter().take(reached).map(|hit| hit.score).collect();
    let mut rest: Vec<f64> = scored.iter().skip(reached).map(|hit| hit.score).collect();
    global_phase::rescale(&before, &after, &mut rest);
    scored.iter_mut().skip(reached).zip(rest).for_each(|(hit, score)| hit.score = score);
    sort(scored);
    scored.append(&mut beyond);
    Ok(())
}

async fn phase(
    engine: &mut Engine,
    part: &Part,
    phase: Phase,
    expression: Option<&str>,
    first: &BTreeMap<Key, f64>,
) -> Result<BTreeMap<Key, f64>, String> {
    if let Some(scores) = engine.scores(&part.engine, &part.profile, phase).await? {
        let by_gid: BTreeMap<String, Key> = part.matched.iter().map(|key| (document_id::hex(key.1), *key)).collect();
        return Ok(scores.into_iter().filter_map(|(gid, score)| Some((*by_gid.get(&gid)?, score))).collect());
    }
    let default = if part.profile.name == "unranked" { "0" } else { "nativeRank" };
    let expression = expression.unwrap_or(default);
    let score = |key: &Key| part.plain.score(expression, key, first.get(key).copied().unwrap_or(0.0)).unwrap_or(0.0);
    Ok(part.matched.iter().map(|key| (*key, score(key))).collect())
}

/// Best first; equal ones in the order of their global ids.
pub(super) fn sort(scored: &mut [Scored]) {
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.1.cmp(&b.key.1)));
}
