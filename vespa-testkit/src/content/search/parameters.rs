//! The parameters of a search: a JSON body flattened, and the address over it.

use super::Failure;
use crate::{content::tensor::token, message::Request};
use http::Method;
use serde_json::Value;
use std::collections::BTreeMap;

/// Parameters by their full names.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn read(request: &Request) -> Result<Self, Failure> {
        let mut found = Self::default();
        if request.method == Method::POST && request.content_type() == Some("application/json") {
            found.read_body(&request.body)?;
        }
        for (name, value) in &request.query {
            found.set(name, value.clone());
        }
        found.check()?;
        Ok(found)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    fn set(&mut self, name: &str, value: String) {
        self.0.insert(full_name(name), value);
    }

    fn read_body(&mut self, body: &[u8]) -> Result<(), Failure> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Failure::illegal("Expected start of object, got 'null'"));
        }
        let json = serde_json::from_slice(body).map_err(|e| Failure::illegal(format!("Json parse error.: {e}")))?;
        match json {
            Value::Object(members) => members.into_iter().for_each(|(name, value)| self.flatten(&name, value)),
            other => return Err(Failure::illegal(format!("Expected start of object, got '{}'", token(&other)))),
        }
        Ok(())
    }

    /// Objects become names with dots, save where they are the value: `input.` and lists.
    fn flatten(&mut self, name: &str, value: Value) {
        let whole = name.starts_with("input.") || matches!(name, "select.where" | "select.grouping");
        match value {
            Value::Object(members) if !whole => {
                members.into_iter().for_each(|(inner, value)| self.flatten(&format!("{name}.{inner}"), value));
            }
            Value::String(text) => self.set(name, text),
            other => self.set(name, other.to_string()),
        }
    }

    /// Refuses names that Vespa's own groups do not have.
    fn check(&self) -> Result<(), Failure> {
        let groups: [(&str, &[&str]); 3] = [
            (
                "model",
                &[
                    "defaultIndex",
                    "encoding",
                    "filter",
                    "locale",
                    "language",
                    "queryString",
                    "restrict",
                    "searchPath",
                    "sources",
                    "type",
                ],
            ),
            (
                "presentation",
                &["bolding", "format", "summary", "template", "timing", "reportCoverage", "summaryFields"],
            ),
            (
                "ranking",
                &[
                    "location",
                    "features",
                    "listFeatures",
                    "profile",
                    "properties",
                    "softtimeout",
                    "sorting",
                    "freshness",
                    "queryCache",
                    "rerankCount",
                    "keepRankCount",
                    "rankScoreDropLimit",
                    "matching",
                    "matchPhase",
                    "secondPhase",
                    "globalPhase",
                    "significance",
                    "elementGap",
                ],
            ),
        ];
        for name in self.0.keys() {
            let Some((group, rest)) = name.split_once('.') else { continue };
            let Some((_, known)) = groups.iter().find(|(known, _)| *known == group) else { continue };
            let first = rest.split('.').next().unwrap_or_default();
            if !known.contains(&first) {
                return Err(Failure::illegal(format!(
                    "Could not set '{name}': '{rest}' is not a valid property in '{group}'. \
                     See the query api for valid keys starting by '{group}'."
                )));
            }
        }
        Ok(())
    }
}

fn full_name(name: &str) -> String {
    match name {
        "ranking" => "ranking.profile",
        "summary" => "presentation.summary",
        "format" => "presentation.format",
        "format.tensors" => "presentation.format.tensors",
        "restrict" => "model.restrict",
        "sources" | "search" => "model.sources",
        "query" => "model.queryString",
        "sorting" => "ranking.sorting",
        "language" | "lang" => "model.language",
        "count" => "hits",
        "start" => "offset",
        other => {
            let feature = other.strip_prefix("input.").or_else(|| other.strip_prefix("rankfeature."));
            return feature.map_or_else(|| other.to_owned(), |feature| format!("ranking.features.{feature}"));
        }
    }
    .to_owned()
}
