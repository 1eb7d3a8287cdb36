//! From statements to a schema, with the checks that a "prepare" makes of it alone.

use super::{
    property::property,
    schema::{Field, Input, RankProfile, Schema, Summary},
    tree::{self, Statement},
};
use crate::content::{
    data_type::{DataType, TypeError},
    tensor::TensorType,
};
use std::collections::BTreeMap;

const IN_SCHEMA: &[&str] = &[
    "document",
    "field",
    "fieldset",
    "struct",
    "import",
    "documentid",
    "document-summary",
    "index",
    "constant",
    "onnx-model",
    "model",
    "rank-profile",
    "raw-as-base64-in-summary",
    "stemming",
    "annotation",
    "search",
    "rank-type",
];
const IN_DOCUMENT: &[&str] = &["field", "struct", "annotation", "compression", "fieldset", "header", "body"];
const IN_FIELD: &[&str] = &[
    "indexing",
    "attribute",
    "index",
    "match",
    "rank",
    "rank-type",
    "dictionary",
    "stemming",
    "normalizing",
    "bolding",
    "summary",
    "summary-to",
    "sorting",
    "alias",
    "weight",
    "weightedset",
    "struct-field",
    "id",
    "linguistics",
    "query-command",
    "indexing-rewrite",
    "header",
    "body",
];
const IN_PROFILE: &[&str] = &[
    "inputs",
    "constants",
    "function",
    "macro",
    "first-phase",
    "second-phase",
    "global-phase",
    "match-features",
    "summary-features",
    "rank-features",
    "rank-properties",
    "num-threads-per-search",
    "min-hits-per-thread",
    "num-search-partitions",
    "post-filter-threshold",
    "approximate-threshold",
    "termwise-limit",
    "match-phase",
    "diversity",
    "ignore-default-rank-features",
    "strict",
    "rank",
    "rank-type",
    "mutate",
    "target-hits-max-adjustment-factor",
    "filter-threshold",
    "filter-first-threshold",
    "filter-first-exploration",
    "exploration-slack",
    "weakand",
    "use-significance-model",
    "significance",
    "stopword-limit",
    "adjust-target",
    "onnx-model",
    "constant",
    "matchfeatures",
    "prefetch-tensors",
    "field-match",
    "elementwise",
];
/// Reads the schema of a file.
///
/// # Errors
/// The message of Vespa's refusal, without "Invalid application package".
pub(crate) fn read(file: &str, text: &str) -> Result<Schema, String> {
    let parsing = |why: String| format!("Failed parsing schema from '{file}': {why}");
    let statements = tree::parse(text).map_err(parsing)?;
    let [statement] = statements.as_slice() else {
        return Err(if statements.is_empty() {
            "No schema content".to_owned()
        } else {
            parsing(unexpected(statements.last()))
        });
    };
    let mut words = statement.words();
    let (Some("schema" | "search"), Some(name), None | Some("inherits")) = (words.next(), words.next(), words.next())
    else {
        return Err(parsing(unexpected(Some(statement))));
    };
    let stem = file.strip_suffix(".sd").unwrap_or(file);
    let mut schema = Schema { name: name.to_owned(), ..Schema::default() };
    let mut reader = Reader { schema: &mut schema, structs: Vec::new(), documents: 0 };
    reader.body(statement).map_err(|error| match error {
        Refusal::Syntax(why) => parsing(why),
        Refusal::Meaning(why) => why,
    })?;
    if reader.documents == 0 {
        return Err(format!(
            "For schema '{name}': A search specification must have an equally named document inside of it."
        ));
    }
    if name != stem {
        return Err(format!("The file containing schema '{name}' must be named '{name}.sd', but is '{file}'"));
    }
    schema.check()?;
    schema.inherit()?;
    Ok(schema)
}

pub(super) enum Refusal {
    Syntax(String),
    Meaning(String),
}

fn unexpected(statement: Option<&Statement>) -> String {
    let (word, line) = statement.map_or(("<EOF>", 1), |statement| (statement.keyword(), statement.line));
    format!("Encountered \" <IDENTIFIER> \"{word}\"\" at line {line}.")
}

fn known(statement: &Statement, words: &[&str]) -> Result<(), Refusal> {
    if words.contains(&statement.keyword()) { Ok(()) } else { Err(Refusal::Syntax(unexpected(Some(statement)))) }
}

struct Reader<'s> {
    schema: &'s mut Schema,
    structs: Vec<String>,
    documents: usize,
}

impl Reader<'_> {
    fn body(&mut self, statement: &Statement) -> Result<(), Refusal> {
        let inside = |word| statement.children.iter().filter(move |child| child.keyword() == word);
        let documents = inside("document");
        let structs = inside("struct")
            .chain(documents.flat_map(|document| &document.children).filter(|c| c.keyword() == "struct"));
        self.structs = structs.filter_map(|found| found.words().nth(1)).map(str::to_owned).collect();
        for child in &statement.children {
            known(child, IN_SCHEMA)?;
            match child.keyword() {
                "document" => self.document(child)?,
                "field" => self.field(child, true)?,
                "fieldset" => self.field_set(child)?,
                "document-summary" => self.summary(child)?,
                "rank-profile" => self.profile(child)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn document(&mut self, statement: &Statement) -> Result<(), Refusal> {
        let name = statement.words().nth(1).unwrap_or(&self.schema.name);
        if name != self.schema.name {
            return Err(Refusal::Meaning(format!(
                "schema '{0}' can only contain document named '{0}', not '{name}'",
                self.schema.name
            )));
        }
        self.documents += 1;
        for child in &statement.children {
            known(child, IN_DOCUMENT)?;
            match child.keyword() {
                "field" => self.field(child, false)?,
                "fieldset" => self.field_set(child)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn field(&mut self, statement: &Statement, derived: bool) -> Result<(), Refusal> {
        let rest = statement.head.strip_prefix("field").unwrap_or_default().trim_start();
        let parts = rest.split_once(char::is_whitespace).and_then(|(name, rest)| {
            Some((name, rest.trim_start().strip_prefix("type").filter(|rest| rest.starts_with(char::is_whitespace))?))
        });
        let (name, data_type) = parts.ok_or_else(|| Refusal::Syntax(unexpected(Some(statement))))?;
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Refusal::Syntax(format!(
                "Encountered \" <IDENTIFIER_WITH_DASH> \"{name}\"\" at line {}.",
                statement.line
            )));
        }
        let document = &self.schema.name;
        if self.schema.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name)) {
            return Err(Refusal::Meaning(format!(
                "document '{document}' error: Duplicate (case insensitively) field '{name}' in document type '{document}'"
            )));
        }
        let data_type = DataType::parse(data_type, &self.structs).map_err(|error| {
            Refusal::Meaning(match error {
                TypeError::Unknown(text) => format!("unknown type named '{text}' in context document '{document}'"),
                TypeError::Tensor(why) => {
                    let data_type: String = data_type.split_whitespace().collect();
                    format!("Illegal type in field {name} type {data_type}: {why}")
                }
            })
        })?;
        let mut field = Field {
            name: name.to_owned(),
            data_type,
            derived,
            attribute: false,
            index: false,
            summary: false,
            script: String::new(),
            bm25: false,
            fast_search: false,
            paged: false,
            rank_filter: false,
            distance_metric: None,
            links: 16,
            explore: 200,
            match_cased: false,
            match_word: false,
            dictionary_cased: false,
            stemming: None,
        };
        for child in &statement.children {
            known(child, IN_FIELD)?;
            property(&mut field, child)?;
        }
        self.schema.fields.push(field);
        Ok(())
    }

    fn field_set(&mut self, statement: &Statement) -> Result<(), Refusal> {
        let name = statement.words().nth(1).ok_or_else(|| Refusal::Syntax(unexpected(Some(statement))))?;
        let fields = statement.children.iter().filter(|child| child.keyword() == "fields");
        let names = fields.flat_map(|child| child.text().split(',')).map(|name| name.trim().to_owned());
        self.schema.field_sets.insert(name.to_owned(), names.filter(|name| !name.is_empty()).collect());
        Ok(())
    }

    fn summary(&mut self, statement: &Statement) -> Result<(), Refusal> {
        let (name, inherits) = named(statement)?;
        let mut summary = Summary { name, inherits, fields: Vec::new() };
        for child in statement.children.iter().filter(|child| child.keyword() == "summary") {
            let name = child.words().nth(1).unwrap_or_default();
            let source = child.children.iter().find(|child| child.keyword() == "source");
            summary.fields.push((name.to_owned(), source.map_or(name, |source| source.text()).to_owned()));
        }
        self.schema.summaries.push(summary);
        Ok(())
    }

    fn profile(&mut self, statement: &Statement) -> Result<(), Refusal> {
        let (name, inherits) = named(statement)?;
        if self.schema.profile(&name).is_some() {
            return Err(Refusal::Meaning(format!(
                "schema '{}' error: already has rank-profile {name}",
                self.schema.name
            )));
        }
        let mut profile = RankProfile { name, inherits, ..RankProfile::default() };
        for child in &statement.children {
            known(child, IN_PROFILE)?;
            let sub = |word: &str| child.children.iter().find(|inner| inner.keyword() == word);
            match child.keyword() {
                "inputs" => inputs(child, &mut profile.inputs)?,
                "function" | "macro" => {
                    let head: String =
                        child.words().filter(|word| !matches!(*word, "function" | "macro" | "inline")).collect();
                    let body = sub("expression").map_or("", Statement::text);
                    if let Some(name) = head.strip_suffix("()") {
                        profile.functions.insert(name.to_owned(), body.to_owned());
                    }
                }
                "first-phase" => {
                    phase(child, &["expression", "keep-rank-count", "total-keep-rank-count", "rank-score-drop-limit"])?;
                    profile.first_phase = sub("expression").map(|found| found.text().to_owned());
                }
                "second-phase" => {
                    phase(child, &["expression", "rerank-count", "total-rerank-count", "rank-score-drop-limit"])?;
                    profile.second_phase = sub("expression").map(|found| found.text().to_owned());
                    profile.rerank_count = sub("rerank-count").and_then(|found| found.text().parse().ok());
                }
                "global-phase" => {
                    phase(child, &["expression", "rerank-count", "rank-score-drop-limit"])?;
                    profile.global_phase = sub("expression").map(|found| found.text().to_owned());
                    profile.global_rerank_count = sub("rerank-count").and_then(|found| found.text().parse().ok());
                }
                "match-features" => profile.match_features.extend(features(child)),
                "summary-features" => profile.summary_features.extend(features(child)),
                _ => {}
            }
        }
        self.schema.profiles.push(profile);
        Ok(())
    }
}

fn phase(statement: &Statement, words: &[&str]) -> Result<(), Refusal> {
    statement.children.iter().try_for_each(|child| known(child, words))
}

fn named(statement: &Statement) -> Result<(String, Vec<String>), Refusal> {
    let plain = statement.head.replace(',', " ");
    let mut words = plain.split_whitespace().skip(1);
    let name = words.next().ok_or_else(|| Refusal::Syntax(unexpected(Some(statement))))?.to_owned();
    let inherits = words.skip_while(|word| *word == "inherits").map(str::to_owned).collect();
    Ok((name, inherits))
}

fn features(statement: &Statement) -> Vec<String> {
    let text = match statement.value.as_deref() {
        Some(value) => value.to_owned(),
        None => statement.children.iter().map(|child| format!("{}\n", child.head)).collect(),
    };
    let parts = text.split(|c: char| c.is_whitespace()).filter(|part| !part.is_empty() && *part != "inherits");
    parts.map(str::to_owned).collect()
}

fn inputs(statement: &Statement, inputs: &mut BTreeMap<String, Input>) -> Result<(), Refusal> {
    for child in &statement.children {
        let (name, kind) = child.head.split_once(char::is_whitespace).unwrap_or((&child.head, ""));
        let name = name.strip_prefix("query(").and_then(|name| name.strip_suffix(')')).unwrap_or(name);
        let input = match kind.trim() {
            tensor if tensor.starts_with("tensor") => {
                Input::Tensor(TensorType::parse(tensor).map_err(Refusal::Meaning)?)
            }
            _ => Input::Number,
        };
        inputs.insert(name.to_owned(), input);
    }
    Ok(())
}
