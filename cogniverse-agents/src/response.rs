//! What a search answers.

use crate::{cursor::PageCursor, recall::Recall};
use cogniverse_sdk::{
    DocumentId, FieldName, ProfileName, SchemaName, StrategyName, TenantId, search_backend::Coverage,
};
use std::ops::Range;

/// The answer to a search, with how it came about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SearchResponse {
    /// Whose videos these are.
    pub tenant: TenantId,
    /// Best first.
    pub results: Vec<SearchResult>,
    /// Give this back for the next page; none at the end.
    pub next: Option<PageCursor>,
    /// How each profile was searched, in the order asked.
    pub profiles: Vec<ProfileAnswer>,
    /// What was recalled of the user, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
}

impl SearchResponse {
    /// Whether any profile was searched in a lesser way than asked (invariant 18).
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.profiles.iter().any(|answer| answer.degraded.is_some())
    }

    /// Whether any profile's answer speaks of a part of its segments only.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.profiles.iter().any(|answer| answer.coverage != Coverage::Full)
    }
}

/// How one profile was searched.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ProfileAnswer {
    /// The profile.
    pub profile: ProfileName,
    /// The version of its configuration; 0 where it is the built-in one.
    pub config_version: u64,
    /// The base schema.
    pub schema: SchemaName,
    /// The strategy that ranked.
    pub strategy: StrategyName,
    /// The model that encoded the query, where one did.
    pub encoder: Option<String>,
    /// Segments that matched, shown or not.
    pub matched: u64,
    /// Why this is less than was asked for.
    pub degraded: Option<Degradation>,
    /// How much of the profile's segments the answer speaks of.
    pub coverage: Coverage,
}

/// Why an answer is less than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Degradation {
    /// The strategy that was asked for.
    pub wanted: StrategyName,
    /// What went wrong.
    pub reason: String,
}

/// One result: a segment, or a moment made of several.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct SearchResult {
    /// The video.
    pub video_id: String,
    /// Its title, where it has one.
    pub title: String,
    /// Where the result begins, in seconds from the video's start.
    pub start_time: f64,
    /// Where it ends, in seconds.
    pub end_time: f64,
    /// The strategy's score; over several profiles the sum of `1 / (60 + rank)`. Comparable within one answer only.
    pub score: f64,
    /// The strategy that found it; over several profiles, of the profile that ranked it best.
    pub strategy: StrategyName,
    /// The profile that found it; over several, the one that ranked it best.
    pub profile: ProfileName,
    /// The best segment's number in its video.
    pub segment_id: i64,
    /// What is said and seen there: the best segment's transcript, or its description where nothing is said.
    pub text: String,
    /// Why it is here, best segment first.
    pub evidence: Vec<Evidence>,
}

/// A segment that speaks for a result.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The document.
    pub document_id: DocumentId,
    /// The profile that found it.
    pub profile: ProfileName,
    /// Its place in that profile's list, from 1.
    pub rank: usize,
    /// Its score there.
    pub score: f64,
    /// The first phase's score, where a second phase replaced it.
    pub first_phase: Option<f64>,
    /// Its own stretch, in seconds.
    pub start_time: f64,
    /// Its own end, in seconds.
    pub end_time: f64,
    /// The text fields in which the query's words stand.
    pub snippets: Vec<Snippet>,
}

/// A text field in which the query's words stand.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Snippet {
    /// The field.
    pub field: FieldName,
    /// Its whole text.
    pub text: String,
    /// Byte ranges of the words, in order.
    pub matches: Vec<Range<usize>>,
}

impl Snippet {
    /// The text with each word between two marks, such as `**`.
    #[must_use]
    pub fn marked(&self, before: &str, after: &str) -> String {
        let (mut marked, mut last) = (String::new(), 0);
        for range in &self.matches {
            let (Some(gap), Some(word)) = (self.text.get(last..range.start), self.text.get(range.clone())) else {
                continue;
            };
            marked.extend([gap, before, word, after]);
            last = range.end;
        }
        marked.push_str(self.text.get(last..).unwrap_or_default());
        marked
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A result with one piece of evidence.
    pub(crate) fn result(profile: &str, rank: usize, video: &str, start_time: f64, end_time: f64) -> SearchResult {
        let profile = ProfileName::parse(profile).unwrap();
        let evidence = Evidence {
            document_id: DocumentId::parse(format!("{video}/{rank}")).unwrap(),
            profile: profile.clone(),
            rank,
            score: 1.0 / rank as f64,
            first_phase: None,
            start_time,
            end_time,
            snippets: Vec::new(),
        };
        SearchResult {
            video_id: video.to_owned(),
            title: String::new(),
            start_time,
            end_time,
            score: evidence.score,
            strategy: StrategyName::parse("bm25_only").unwrap(),
            profile,
            segment_id: rank as i64,
            text: String::new(),
            evidence: vec![evidence],
        }
    }

    #[test]
    fn marks_stand_around_words() {
        let field = FieldName::parse("audio_transcript").unwrap();
        let snippet = Snippet { field, text: "a café, then tea".into(), matches: vec![2..7, 14..17] };
        assert_eq!(snippet.marked("[", "]"), "a [café], then [tea]");
    }
}
