//! A tenant schema as Vespa's schema language (`schemas/<name>.sd`).
//!
//! | of the base schema | in Vespa | why |
//! |---|---|---|
//! | text with `index` | `summary | index | attribute` | searched on disk, shown from memory |
//! | `string`, `array<string>` attributes | `match { word cased }` | a filter compares ids as they are written |
//! | the attribute `language` | `set_language`, before the others | texts are stemmed by it |
//! | tensors | `attribute`, and `index` where the base schema asks | never in a summary |
//! | all but tensors | `document-summary cogniverse` of attributes | hits cost no read of the document store |
//! | functions | `function inline` | the same value, computed in place: no function is shared between phases' nodes |
//! | rank profiles with a second or global phase | `match-features { firstPhase }` | the scores of both phases come back |
//! | signals of a global phase | `rankingExpression(f)`, in it and in `match-features` | content nodes compute them: of a plain `f`, the container would ask for the documents' tensors and compute it itself |

use crate::retrieval::{self, TOKEN_INPUTS};
use cogniverse_core::{
    schemas::{Formula, Fusion, Scale, Schema, Signal, Strategy},
    text::LANGUAGE_FIELD,
};
use cogniverse_sdk::{
    Error, Result, TensorShape, TensorType,
    schema::{Field, FieldType, Index, Indexing, RankProfile},
};
use std::fmt::Write;

/// The summary that searches ask for.
pub(crate) const SUMMARY: &str = "cogniverse";
/// The rank profile of counts: no feature is computed.
pub(crate) const UNRANKED: &str = "cogniverse_unranked";
/// The field set that a query's words are looked for in.
pub(crate) const TEXT_FIELDS: &str = "default";

/// Words that mean something else where a name stands, in YQL or in a schema.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "by",
    "contains",
    "count",
    "desc",
    "documentid",
    "each",
    "false",
    "from",
    "group",
    "in",
    "like",
    "limit",
    "matches",
    "not",
    "null",
    "offset",
    "or",
    "order",
    "output",
    "range",
    "rank",
    "relevance",
    "sddocname",
    "select",
    "source",
    "sources",
    "timeout",
    "true",
    "where",
];

/// The schema's text under a physical name.
///
/// # Errors
/// `InvalidInput` for a name that Vespa reserves, or a setting or expression that could not stand where it would.
pub(crate) fn render(schema: &Schema, name: &str) -> Result<String> {
    write(schema, name).map_err(|e| e.with_context("schema", schema.name()))
}

fn write(schema: &Schema, name: &str) -> Result<String> {
    let base = schema.base();
    let mut out = Lines::default();
    out.open(format_args!("schema {name}"));
    out.line("documentid: attribute");
    out.open(format_args!("document {name}"));
    // The language first: texts are stemmed by it.
    let is_language = |field: &&Field| schema.has_languages() && field.name.as_str() == LANGUAGE_FIELD;
    let (languages, others): (Vec<&Field>, Vec<&Field>) = schema.fields().iter().partition(is_language);
    for field in languages.into_iter().chain(others) {
        write_field(&mut out, field).map_err(|e| e.with_context("field", &field.name))?;
    }
    out.close();
    let declared = base.fieldsets.iter().any(|set| set.name == TEXT_FIELDS);
    if !declared && !schema.text_fields().is_empty() {
        write_field_set(&mut out, TEXT_FIELDS, schema.text_fields());
    }
    for set in &base.fieldsets {
        plain_word(&set.name, "the field set")?;
        write_field_set(&mut out, &set.name, &set.fields);
    }
    out.open(format_args!("document-summary {SUMMARY}"));
    out.line("summary documentid {}");
    for field in schema.fields().iter().filter(|field| is_shown(field)) {
        out.line(format_args!("summary {} {{}}", field.name));
    }
    out.close();
    out.open(format_args!("rank-profile {UNRANKED}"));
    out.block("first-phase", "expression: 0.0");
    out.close();
    for profile in &base.rank_profiles {
        write_profile(&mut out, schema, profile).map_err(|e| e.with_context("rank_profile", &profile.name))?;
    }
    out.close();
    Ok(out.text)
}

fn is_shown(field: &Field) -> bool {
    !matches!(field.field_type, FieldType::Tensor(_))
}

fn write_field(out: &mut Lines, field: &Field) -> Result<()> {
    let name = field.name.as_str();
    if RESERVED.contains(&name) || name.starts_with("cogniverse_") {
        return Err(Error::invalid(format!("Vespa keeps the name \"{name}\" for itself; rename the field")));
    }
    let text = field.field_type == FieldType::String && field.has(Indexing::Index);
    let indexed = field.has(Indexing::Index);
    out.open(format_args!("field {name} type {}", vespa_type(&field.field_type)));
    match &field.field_type {
        FieldType::Tensor(_) if indexed => out.line("indexing: attribute | index"),
        FieldType::Tensor(_) => out.line("indexing: attribute"),
        _ if text => out.line("indexing: summary | index | attribute"),
        FieldType::String if name == LANGUAGE_FIELD => out.line("indexing: set_language | summary | attribute"),
        _ => out.line("indexing: summary | attribute"),
    }
    let fast = field.attribute.iter().any(|setting| setting == "fast-search");
    if !text && matches!(field.field_type, FieldType::String | FieldType::StringArray) {
        out.open("match");
        out.line("word");
        out.line("cased");
        out.close();
        if fast {
            out.open("dictionary");
            out.line("btree");
            out.line("cased");
            out.close();
            out.line("rank: filter");
        }
    }
    if !field.attribute.is_empty() {
        out.open("attribute");
        for setting in &field.attribute {
            out.line(plain_setting(setting)?);
        }
        out.close();
    }
    match &field.index {
        Some(Index::Setting(setting)) => out.line(format_args!("index: {}", plain_setting(setting)?)),
        Some(Index::Graph { hnsw }) => {
            out.open("index");
            out.open("hnsw");
            out.line(format_args!("max-links-per-node: {}", hnsw.max_links_per_node));
            out.line(format_args!("neighbors-to-explore-at-insert: {}", hnsw.neighbors_to_explore_at_insert));
            out.close();
            out.close();
        }
        None => {}
    }
    out.close();
    Ok(())
}

fn write_field_set(out: &mut Lines, name: &str, fields: &[cogniverse_sdk::FieldName]) {
    let fields: Vec<&str> = fields.iter().map(cogniverse_sdk::FieldName::as_str).collect();
    out.block(format_args!("fieldset {name}"), format_args!("fields: {}", fields.join(", ")));
}

fn write_profile(out: &mut Lines, schema: &Schema, profile: &RankProfile) -> Result<()> {
    if profile.name.as_str() == UNRANKED {
        return Err(Error::invalid(format!("the name \"{UNRANKED}\" is taken; rename the rank profile")));
    }
    out.open(format_args!("rank-profile {}", profile.name));
    let strategy = schema.strategy(&profile.name).ok();
    let tokens = strategy.and_then(|strategy| retrieval::graph_of_tokens(schema, strategy));
    let fusion = strategy.and_then(Strategy::fusion);
    if !profile.inputs.is_empty() {
        out.open("inputs");
        for input in &profile.inputs {
            out.line(format_args!("{} {}", plain_input(&input.name)?, input.tensor_type));
        }
        if let Some(tensor) = tokens {
            for place in 0..TOKEN_INPUTS {
                out.line(format_args!("query({}) {}", retrieval::token_input(place), dense(tensor)));
            }
        }
        out.close();
    }
    for function in &profile.functions {
        plain_word(&function.name, "the function")?;
        out.block(
            format_args!("function inline {}()", function.name),
            format_args!("expression: {}", plain_expression(&function.expression)?),
        );
    }
    out.block("first-phase", format_args!("expression: {}", plain_expression(&profile.first_phase.expression)?));
    let mut features: Vec<String> = Vec::new();
    if let Some(second) = &profile.second_phase {
        out.open("second-phase");
        out.line(format_args!("rerank-count: {}", second.rerank_count));
        out.line(format_args!("expression: {}", plain_expression(&second.expression)?));
        out.close();
    }
    if let Some(fusion) = fusion {
        out.open("global-phase");
        out.line(format_args!("rerank-count: {}", fusion.count));
        out.line(format_args!("expression: {}", plain_expression(&formula(&fusion.formula, fusion))?));
        out.close();
    }
    if profile.second_phase.is_some() || fusion.is_some() {
        features.push("firstPhase".to_owned());
    }
    let signals = fusion.iter().flat_map(|fusion| &fusion.signals).map(feature);
    for feature in profile.match_features.iter().cloned().chain(signals) {
        plain_expression(&feature)?;
        if !features.contains(&feature) {
            features.push(feature);
        }
    }
    if !features.is_empty() {
        out.open("match-features");
        for feature in features {
            out.line(feature);
        }
        out.close();
    }
    out.close();
    Ok(())
}

/// A signal as the feature that a content node returns with a hit.
fn feature(signal: &Signal) -> String {
    if signal.name.contains('(') { signal.name.clone() } else { format!("rankingExpression({})", signal.name) }
}

/// The formula of a global phase, in the order in which it is computed.
fn formula(of: &Formula, fusion: &Fusion) -> String {
    let nested = |part: &Formula| {
        let text = formula(part, fusion);
        if matches!(part, Formula::Sum(..) | Formula::Scaled(..)) { format!("({text})") } else { text }
    };
    match of {
        Formula::Constant(value) => value.to_string(),
        Formula::Normalized { signal, scale } => {
            let feature = fusion.signals.get(*signal).map(feature).unwrap_or_default();
            match scale {
                Scale::Linear => format!("normalize_linear({feature})"),
                Scale::ReciprocalRank { k } => format!("reciprocal_rank({feature}, {k})"),
            }
        }
        Formula::Sum(left, right) => {
            let right = if matches!(**right, Formula::Sum(..)) { nested(right) } else { formula(right, fusion) };
            format!("{} + {right}", formula(left, fusion))
        }
        Formula::Scaled(factor, part) => format!("{factor} * {}", nested(part)),
    }
}

/// The type of one vector of a tensor.
fn dense(tensor: &TensorType) -> String {
    let text = tensor.to_string();
    match (tensor.shape(), tensor.mapped()) {
        (TensorShape::Multi, Some(mapped)) => text.replace(&format!("{mapped}{{}}, "), ""),
        _ => text,
    }
}

fn vespa_type(field_type: &FieldType) -> String {
    field_type.to_string()
}

fn plain_word<'t>(text: &'t str, what: &str) -> Result<&'t str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(word) || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::invalid(format!("{what} \"{text}\" is not a word of [A-Za-z0-9_]")));
    }
    Ok(text)
}

/// `fast-search`, `distance-metric: angular`: nothing that could end the line or the block it stands in.
fn plain_setting(text: &str) -> Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | ' ' | '.');
    if text.is_empty() || !text.chars().all(plain) {
        return Err(Error::invalid(format!("\"{text}\" is not a field setting")));
    }
    Ok(text)
}

fn plain_input(text: &str) -> Result<&str> {
    let name = text.strip_prefix("query(").and_then(|rest| rest.strip_suffix(')'));
    plain_word(name.unwrap_or_default(), "the input")?;
    Ok(text)
}

fn plain_expression(text: &str) -> Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_ .,+-*/()<>=!?:&|".contains(c);
    if text.trim().is_empty() || !text.chars().all(plain) {
        return Err(Error::invalid(format!("\"{text}\" holds what no ranking expression of a schema here may hold")));
    }
    Ok(text)
}

/// Indented lines: Vespa wants one property a line.
#[derive(Default)]
struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:width$}{line}", "", width = self.depth * 2);
    }

    fn open(&mut self, head: impl std::fmt::Display) {
        self.line(format_args!("{head} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.line("}");
    }

    fn block(&mut self, head: impl std::fmt::Display, only: impl std::fmt::Display) {
        self.open(head);
        self.line(only);
        self.close();
    }
}
