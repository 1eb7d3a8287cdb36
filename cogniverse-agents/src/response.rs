//! Search responses.

use crate::{recall::Recall, routing::Route, snippet::Snippet};
use cogniverse_sdk::{
    Correction, DocumentId, Facet, Generation, Metadata, PageCursor, ProfileName, SchemaName, SearchId, StrategyName,
    TenantId, Timestamp, search_backend::Coverage,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// The response to a search, with how it was computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SearchResponse {
    /// The tenant that was searched.
    pub tenant: TenantId,
    /// The id of this search, which verdicts on its results name.
    pub search_id: SearchId,
    /// The route, where the request names no profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The results, best first.
    pub results: Vec<SearchResult>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<PageCursor>,
    /// The details of each profile's search, in request order.
    pub profiles: Vec<ProfileAnswer>,
    /// The reranking of the results, where the request or the tenant's configuration names a reranker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reranking: Option<Reranking>,
    /// The text that was made from the results, where one was asked for. The results never depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// The recalled memories, where the request asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
}

impl SearchResponse {
    /// Returns whether the search was a lesser one than requested: a profile fell back, a routed profile was left out, or
    /// the results could not be reranked ([invariant 18](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#18)).
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.profiles.iter().any(|answer| answer.degraded.is_some())
            || self.route.as_ref().is_some_and(|route| !route.left_out.is_empty())
            || self.reranking.as_ref().is_some_and(|reranking| reranking.problem.is_some())
    }

    /// Returns whether any profile's answer covers only part of its segments.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.profiles.iter().any(|answer| answer.coverage != Coverage::Full)
    }
}

/// The details of one profile's search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProfileAnswer {
    /// The profile.
    pub profile: ProfileName,
    /// The version of the profile's configuration; 0 for a built-in profile.
    pub config_version: u64,
    /// The base schema.
    pub schema: SchemaName,
    /// The strategy that was used.
    pub strategy: StrategyName,
    /// The model that encoded the query; `None` where none did.
    pub encoder: Option<String>,
    /// The number of segments that matched, shown or not.
    pub matched: u64,
    /// The fallback, where the search was degraded.
    pub degraded: Option<Degradation>,
    /// The extent to which the profile's segments were searched.
    pub coverage: Coverage,
    /// The counts of the matched segments, in the order of the request's facets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facets: Vec<Facet>,
    /// The query words that were replaced by similar ones, where the request allows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<Correction>,
}

/// A fallback from the requested search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Degradation {
    /// The requested strategy.
    pub wanted: StrategyName,
    /// The cause.
    pub reason: String,
}

/// A result: a segment, or a moment merged from several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SearchResult {
    /// The video.
    pub video_id: String,
    /// The title; empty where the video has none.
    pub title: String,
    /// The start, in seconds from the start of the video.
    pub start_time: f64,
    /// The end, in seconds from the start of the video.
    pub end_time: f64,
    /// The strategy's score; over several profiles the sum of `weight / (60 + rank)`. Scores of different responses are
    /// not comparable.
    pub score: f64,
    /// The strategy that found it; with several profiles, that of the profile that ranked it best.
    pub strategy: StrategyName,
    /// The profile that found it; with several, the one that ranked it best.
    pub profile: ProfileName,
    /// The number of the best segment within the video.
    pub segment_id: i64,
    /// The transcript of the best segment; without one its description, or the text on screen.
    pub text: String,
    /// The path or address of the video with the start of the result, such as `https://videos.example/42#t=12.5`; `None` where
    /// the video has neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The metadata of the video, as far as the profile declares it.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
    /// The time of recording, or of storing where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
    /// The new score and its signals, where the result was reranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reranked: Option<Reranked>,
    /// The segments that support the result, best first.
    pub evidence: Vec<Evidence>,
}

/// A segment that supports a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The document.
    pub document_id: DocumentId,
    /// The profile that found it.
    pub profile: ProfileName,
    /// The rank in that profile's list, from 1.
    pub rank: usize,
    /// The score in that profile.
    pub score: f64,
    /// The first phase's score, where a second phase replaced it.
    pub first_phase: Option<f64>,
    /// The start of the segment in seconds.
    pub start_time: f64,
    /// The end of the segment in seconds.
    pub end_time: f64,
    /// The text fields that contain query words.
    pub snippets: Vec<Snippet>,
}

/// The reranking of a search's results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reranking {
    /// The reranker.
    pub reranker: String,
    /// The number of results that were scored anew; 0 on a page beyond them.
    pub considered: usize,
    /// The reason why the order is the strategy's after all; `None` where it is the reranker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The new place of a result, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reranked {
    /// The new score.
    pub score: f64,
    /// The signals that it is made of, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, f64>,
    /// The rank before, from 1.
    pub rank_before: usize,
}

/// A text made from the results of a search alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answer {
    /// The form: a summary or a report.
    pub generation: Generation,
    /// The statements, in the order of the text; empty where nothing was found.
    pub statements: Vec<Statement>,
    /// The model that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The number of citations that were dropped, as they name none of the results.
    pub dropped_citations: usize,
    /// The number of statements that were dropped, as no citation was left.
    pub dropped_statements: usize,
    /// The reason why the text is missing or incomplete; `None` for a complete one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A statement of an answer, which its citations support.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Statement {
    /// The text, without its citations.
    pub text: String,
    /// The moments that support it, at least one.
    pub citations: Vec<Citation>,
}

/// A moment that supports a statement: always one of the results of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Citation {
    /// The place of the result in the response, from 0.
    pub result: usize,
    /// The video.
    pub video_id: String,
    /// The start in seconds.
    pub start_time: f64,
    /// The end in seconds.
    pub end_time: f64,
}

/// Writes one statement per line, each with its citations: `text [video 0:12]`.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, statement) in self.statements.iter().enumerate() {
            if place > 0 {
                f.write_char('\n')?;
            }
            write!(f, "{statement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for citation in &self.citations {
            let whole = citation.start_time.max(0.0).floor();
            write!(f, " [{} {}:{:02}]", citation.video_id, (whole / 60.0).floor(), whole % 60.0)?;
        }
        Ok(())
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
            location: None,
            metadata: Metadata::new(),
            recorded_at: None,
            reranked: None,
            evidence: vec![evidence],
        }
    }
}
