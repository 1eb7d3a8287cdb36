//! How the examples show an answer: as a table, and as JSON.

use cogniverse::{SearchResponse, SearchResult};
use serde_json::{Value, json};
use std::io::IsTerminal;

/// The profile of text segments: it needs no model.
pub(crate) const TEXT_PROFILE: &str = "video_text_minilm_mv_segment";

/// `m:ss.s`
pub(crate) fn clock(seconds: f64) -> String {
    format!("{}:{:04.1}", (seconds / 60.0).floor(), seconds % 60.0)
}

/// A table in the examples' style.
pub(crate) fn plain_table<const N: usize>(header: [&str; N]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(110);
    }
    table.set_header(header);
    table
}

/// Results as a table, best first, the query's words marked.
pub(crate) fn table(results: &[SearchResult]) -> String {
    let mut table = plain_table(["", "video", "time", "score", "text"]);
    for (result, place) in results.iter().zip(1..) {
        // The words that are shown beside it, marked: a title has a column of its own.
        let snippets = result.evidence.first().map(|evidence| evidence.snippets.as_slice()).unwrap_or_default();
        let snippet = snippets.iter().find(|snippet| snippet.text == result.text);
        let text = snippet.map_or_else(|| result.text.clone(), |snippet| snippet.marked("«", "»"));
        let name = if result.title.is_empty() { &result.video_id } else { &result.title };
        let time = format!("{}–{}", clock(result.start_time), clock(result.end_time));
        table.add_row([
            place.to_string(),
            name.clone(),
            time,
            format!("{:.3}", result.score),
            text.chars().take(240).collect(),
        ]);
    }
    table.to_string()
}

/// An answer as one JSON object.
pub(crate) fn answer_json(answer: &SearchResponse) -> Value {
    let hit = |result: &cogniverse::SearchResult| {
        json!({
            "video_id": result.video_id, "segment_id": result.segment_id, "title": result.title,
            "start_time": result.start_time, "end_time": result.end_time, "score": result.score,
            "strategy": result.strategy, "profile": result.profile, "text": result.text,
        })
    };
    let mut json = json!({
        "tenant_id": answer.tenant, "search_id": answer.search_id, "hits": answer.results.iter().map(hit).collect::<Vec<_>>(),
        "profiles": answer.profiles, "degraded": answer.is_degraded(), "partial": answer.is_partial(),
        "next": answer.next,
    });
    if let Some(object) = json.as_object_mut() {
        let more =
            [("route", json!(answer.route)), ("answer", json!(answer.answer)), ("reranking", json!(answer.reranking))];
        object
            .extend(more.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.to_owned(), value)));
    }
    json
}
