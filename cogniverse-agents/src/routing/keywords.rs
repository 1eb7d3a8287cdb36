//! The keywords: what the words of a query say by themselves.

use super::{
    decision::Verdict,
    folded::folded,
    labels::MODALITIES,
    lexicon::{ANY_MODALITY, Labels, Lexicon, ONE_KIND},
};
use cogniverse_sdk::{Generation, Modality, RouteTier};

/// The confidence by the number of words that name a kind of content.
const CONFIDENCE: [f64; 4] = [0.3, 0.6, 0.75, 0.85];
/// The place of the label that stands for several kinds.
const MIXED: Labels = 1 << 4;
const SUMMARY: Labels = 1 << 6;
const REPORT: Labels = 1 << 7;

/// Returns the verdict of the words of a query. Without a word that names a kind of content, a video is asked for.
pub(crate) fn decide(query: &str) -> Verdict {
    let text = folded(query);
    let hits = Lexicon::shipped().find(&text);
    let all = hits.iter().fold(0, |all, hit| all | hit.labels);
    let kinds: Vec<_> = hits.iter().filter(|hit| hit.labels & ANY_MODALITY != 0).collect();
    let named = (all & ONE_KIND).count_ones();
    let modality = match all & ONE_KIND {
        _ if all & MIXED != 0 || named > 1 => Modality::Mixed,
        one => MODALITIES.iter().zip(0..).find(|(_, place)| one == 1 << place).map_or(Modality::Video, |(m, _)| *m),
    };
    let generation = match all {
        _ if all & REPORT != 0 => Generation::Report,
        _ if all & SUMMARY != 0 => Generation::Summary,
        _ => Generation::RawResults,
    };
    let confidence = CONFIDENCE.get(kinds.len()).or(CONFIDENCE.last()).copied().unwrap_or_default();
    let words: Vec<String> =
        kinds.iter().filter_map(|hit| text.get(hit.place.clone())).take(3).map(|word| format!("\"{word}\"")).collect();
    let reason = match words.is_empty() {
        true => "no word names a kind of content; videos are searched".to_owned(),
        false => format!("{} name{} {modality}", words.join(", "), if words.len() == 1 { "s" } else { "" }),
    };
    Verdict { modality, generation, confidence, tier: RouteTier::Keyword, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_in_every_script() {
        for (query, modality, generation, confidence) in [
            ("gradient descent", Modality::Video, Generation::RawResults, 0.3),
            ("a Podcast", Modality::Audio, Generation::RawResults, 0.6),
            ("Fotos vom Hafen", Modality::Image, Generation::RawResults, 0.6),
            ("videos and photos", Modality::Mixed, Generation::RawResults, 0.75),
            ("summarize the invoice", Modality::Document, Generation::Summary, 0.6),
            ("契約書", Modality::Document, Generation::RawResults, 0.6),
            ("", Modality::Video, Generation::RawResults, 0.3),
        ] {
            let found = decide(query);
            assert_eq!((found.modality, found.generation), (modality, generation), "{query}: {}", found.reason);
            assert!((found.confidence - confidence).abs() < 1e-9, "{query}: {}", found.confidence);
        }
    }
}
