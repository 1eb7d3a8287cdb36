//! The properties of a field.

use super::{read::Refusal, schema::Field, tree::Statement};

const ATTRIBUTE: &[&str] = &[
    "fast-search",
    "fast-access",
    "fast-rank",
    "paged",
    "mutable",
    "distance-metric",
    "sorting",
    "alias",
    "enable-bit-vectors",
    "enable-only-bit-vector",
];
const INDEXING: &[&str] = &[
    "attribute",
    "index",
    "summary",
    "input",
    "set_language",
    "lowercase",
    "normalize",
    "tokenize",
    "embed",
    "binarize",
    "pack_bits",
    "to_array",
    "to_string",
    "to_int",
    "to_long",
    "to_double",
    "to_float",
    "to_bool",
    "to_epoch_second",
    "to_wset",
    "to_pos",
    "now",
    "chunk",
    "get_field",
    "get_var",
    "set_var",
    "for_each",
    "if",
    "switch",
    "split",
    "join",
    "trim",
    "hash",
    "ngram",
    "random",
    "substring",
    "echo",
    "guard",
    "clear_state",
    "base64encode",
    "base64decode",
    "flatten",
    "hostname",
    "hexencode",
    "hexdecode",
    "optimize_predicate",
    "passthrough",
    "select_input",
    "this",
    "zcurve",
    "to_byte",
    "exact",
    "_",
    "generate",
    "busy_wait",
    "to_uri",
];

/// Takes one property into a field.
pub(super) fn property(field: &mut Field, statement: &Statement) -> Result<(), Refusal> {
    let wrong =
        |word: &str| Refusal::Syntax(format!("Encountered \" <IDENTIFIER> \"{word}\"\" at line {}.", statement.line));
    // `attribute: x` and `attribute { x \n y: z }` say the same.
    let settings = || -> Vec<(String, String)> {
        let own = statement.value.iter().map(|value| match value.split_once(':') {
            Some((name, value)) => (name.trim().to_owned(), value.trim().to_owned()),
            None => (value.clone(), String::new()),
        });
        let inner =
            statement.children.iter().map(|child| (child.head.clone(), child.value.clone().unwrap_or_default()));
        own.chain(inner).collect()
    };
    match statement.keyword() {
        "indexing" => {
            let script = statement.text();
            if statement.value.as_ref().is_some_and(|value| value.contains(':')) {
                return Err(wrong(":"));
            }
            for step in script.split(['|', ';']).map(str::trim).filter(|step| !step.is_empty()) {
                let word = step.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
                if !INDEXING.contains(&word) && !step.starts_with(['{', '(', '"']) {
                    return Err(Refusal::Syntax(format!(
                        "Could not parse indexing statement: Encountered \" <IDENTIFIER> \"{word}\"\" at line {}.",
                        statement.line
                    )));
                }
                field.attribute |= word == "attribute";
                field.index |= word == "index";
                field.summary |= word == "summary";
            }
            field.script = script.to_owned();
        }
        "attribute" => {
            for (name, value) in settings() {
                if !ATTRIBUTE.contains(&name.split_whitespace().next().unwrap_or_default()) {
                    return Err(wrong(&name));
                }
                field.fast_search |= name == "fast-search";
                field.paged |= name == "paged";
                if name == "distance-metric" {
                    field.distance_metric = Some(value);
                }
            }
        }
        "index" => {
            field.bm25 |= settings().iter().any(|(name, _)| name == "enable-bm25");
            let graph =
                statement.children.iter().filter(|child| child.keyword() == "hnsw").flat_map(|child| &child.children);
            for setting in graph {
                let number = setting.text().parse().map_err(|_| wrong(setting.text()))?;
                match setting.keyword() {
                    "max-links-per-node" => field.links = number,
                    "neighbors-to-explore-at-insert" => field.explore = number,
                    _ => {}
                }
            }
        }
        "match" => {
            for (name, _) in settings() {
                field.match_cased |= name == "cased";
                field.match_word |= matches!(name.as_str(), "word" | "exact");
            }
        }
        "dictionary" => field.dictionary_cased |= settings().iter().any(|(name, _)| name == "cased"),
        "rank" => field.rank_filter |= settings().iter().any(|(name, _)| name == "filter"),
        "stemming" => field.stemming = Some(statement.text().to_owned()),
        _ => {}
    }
    Ok(())
}
