//! The container's part of ranking: normalizers of signals over the hits that a global phase scores again.

/// A call of a normalizer in an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Normalizer<'e> {
    /// The call as it stands in the expression.
    pub(super) call: &'e str,
    /// What is normalized, as a match feature and as an expression.
    pub(super) feature: &'e str,
    pub(super) signal: &'e str,
    /// The `k` of a reciprocal rank; none of a linear normalizer.
    k: Option<f64>,
}

/// The calls of normalizers in an expression.
pub(super) fn normalizers(expression: &str) -> Vec<Normalizer<'_>> {
    let mut found = Vec::new();
    for name in ["normalize_linear(", "reciprocal_rank("] {
        for (start, _) in expression.match_indices(name) {
            let Some(call) = expression.get(start..).and_then(call) else { continue };
            let inner = call.get(name.len()..call.len() - 1).unwrap_or_default();
            let (signal, k) = match inner.rsplit_once(',') {
                // The comma may be one of the signal's own.
                Some((signal, k)) if k.trim().parse::<f64>().is_ok() => (signal, k.trim().parse().ok()),
                _ => (inner, Some(60.0)),
            };
            let k = k.filter(|_| name.starts_with("reciprocal"));
            let feature = signal.trim();
            let function = feature.strip_prefix("rankingExpression(").and_then(|rest| rest.strip_suffix(')'));
            found.push(Normalizer { call, feature, signal: function.unwrap_or(feature), k });
        }
    }
    found
}

/// A call, from its name to the parenthesis that ends it.
fn call(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (place, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth <= 1 => return text.get(..=place),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

impl Normalizer<'_> {
    /// The values of hits, given in the order of the phases before.
    pub(super) fn normalize(&self, values: &[f64]) -> Vec<f64> {
        let Some(k) = self.k else {
            let (low, high) = bounds(values);
            let (scale, midpoint) = if high > low { (1.0 / (high - low), (low + high) * 0.5) } else { (0.0, 0.0) };
            return values.iter().map(|value| 0.5 + scale * (value - midpoint)).collect();
        };
        let better = |place: usize, value: f64| {
            let beats = |(other, found): (usize, &f64)| *found > value || (*found == value && other < place);
            values.iter().enumerate().filter(|(other, found)| beats((*other, found))).count()
        };
        values.iter().enumerate().map(|(place, value)| 1.0 / (k + 1.0 + better(place, *value) as f64)).collect()
    }
}

fn bounds(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// Moves the scores of hits that were not scored again below those that were.
pub(super) fn rescale(before: &[f64], after: &[f64], rest: &mut [f64]) {
    let ((low, high), (new_low, new_high)) = (bounds(before), bounds(after));
    if low > new_low {
        let scale = (new_high - new_low).max(1.0) / (high - low).max(1.0);
        rest.iter_mut().for_each(|score| *score = *score * scale + (new_low - low * scale));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_with_their_arguments() {
        let found = normalizers(
            "0.3 * normalize_linear(closeness(field, a)) + reciprocal_rank(bm25(t), 10)+reciprocal_rank( rankingExpression(f) )",
        );
        let calls: Vec<_> = found.iter().map(|normalizer| (normalizer.signal, normalizer.k)).collect();
        assert_eq!(calls, [("closeness(field, a)", None), ("bm25(t)", Some(10.0)), ("f", Some(60.0))]);
        assert!(found[0].call.ends_with("a))"), "{found:?}");
    }

    #[test]
    fn values_are_those_of_vespas_container() {
        let of = |expression: &'static str, values: &[f64]| normalizers(expression)[0].normalize(values);
        assert_eq!(of("normalize_linear(f)", &[3.0, 1.0, 2.0]), [1.0, 0.0, 0.5]);
        assert_eq!(of("normalize_linear(f)", &[2.0, 2.0]), [0.5, 0.5]);
        assert_eq!(of("reciprocal_rank(f, 0)", &[1.0, 9.0, 1.0]), [0.5, 1.0, 1.0 / 3.0]);
        let mut rest = [9.0];
        rescale(&[30.0, 10.0], &[0.9, 0.1], &mut rest);
        assert_eq!(rest, [9.0 * (1.0 / 20.0) + (0.1 - 10.0 * (1.0 / 20.0))]);
    }
}
