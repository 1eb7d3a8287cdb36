//! The content of a schema.

use crate::content::{data_type::DataType, tensor::TensorType};
use std::collections::BTreeMap;

/// A schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Schema {
    pub(crate) name: String,
    /// Those of the document, and those derived from them.
    pub(crate) fields: Vec<Field>,
    pub(crate) field_sets: BTreeMap<String, Vec<String>>,
    pub(crate) summaries: Vec<Summary>,
    /// In the order of the text, with what they inherit; `default` and `unranked` are always there.
    pub(crate) profiles: Vec<RankProfile>,
}

impl Schema {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A field that a document may bring.
    pub(crate) fn document_field(&self, name: &str) -> Option<&Field> {
        self.field(name).filter(|field| !field.derived)
    }

    pub(crate) fn profile(&self, name: &str) -> Option<&RankProfile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// The fields that a name in a query stands for.
    pub(crate) fn searched(&self, name: &str) -> Vec<&Field> {
        match self.field_sets.get(name) {
            Some(names) => names.iter().filter_map(|name| self.field(name)).collect(),
            None => self.field(name).into_iter().collect(),
        }
    }
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// Declared outside the document.
    pub(crate) derived: bool,
    pub(crate) attribute: bool,
    pub(crate) index: bool,
    pub(crate) summary: bool,
    /// What is done to the value: the script of `indexing`.
    pub(crate) script: String,
    pub(crate) bm25: bool,
    /// `fast-search`, `paged`.
    pub(crate) fast_search: bool,
    pub(crate) paged: bool,
    pub(crate) rank_filter: bool,
    pub(crate) distance_metric: Option<String>,
    /// The settings of `hnsw`, where a tensor is indexed.
    pub(crate) links: u32,
    pub(crate) explore: u32,
    pub(crate) match_cased: bool,
    pub(crate) match_word: bool,
    pub(crate) dictionary_cased: bool,
    pub(crate) stemming: Option<String>,
}

impl Field {
    /// A text cut into words.
    pub(crate) fn is_text(&self) -> bool {
        self.index && self.data_type.is_text()
    }
}

/// A document summary.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) inherits: Vec<String>,
    /// The name in the hit, and the field it comes from.
    pub(crate) fields: Vec<(String, String)>,
}

/// A rank profile.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct RankProfile {
    pub(crate) name: String,
    pub(crate) inherits: Vec<String>,
    pub(crate) inputs: BTreeMap<String, Input>,
    /// Without parameters.
    pub(crate) functions: BTreeMap<String, String>,
    pub(crate) first_phase: Option<String>,
    pub(crate) second_phase: Option<String>,
    pub(crate) rerank_count: Option<usize>,
    pub(crate) global_phase: Option<String>,
    pub(crate) global_rerank_count: Option<usize>,
    pub(crate) match_features: Vec<String>,
    pub(crate) summary_features: Vec<String>,
}

impl RankProfile {
    /// The functions that an expression calls, and those that they call.
    pub(crate) fn called(&self, expression: &str) -> BTreeMap<&String, &String> {
        let mut found: BTreeMap<&String, &String> = BTreeMap::new();
        let mut text = expression.to_owned();
        while let Some((name, body)) =
            self.functions.iter().find(|(name, _)| !found.contains_key(name) && says(&text, name))
        {
            found.insert(name, body);
            text.push(' ');
            text.push_str(body);
        }
        found
    }
}

/// Whether a text holds a name as a word.
fn says(text: &str, name: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == name)
}

/// A query's input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    Number,
    Tensor(TensorType),
}
