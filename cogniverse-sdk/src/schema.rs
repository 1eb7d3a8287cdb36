//! The grammar of a base schema file (`configs/schemas/<name>_schema.json`).
//!
//! Only the shape is checked here; what the fields and expressions mean is the business of `cogniverse-core`.

use crate::{FieldName, SchemaName, StrategyName, TensorType};
use std::fmt;

/// A base schema: the fields of a document and the ways to rank it. Data, not code.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseSchema {
    /// Its name, which is also the stem of its file.
    pub name: SchemaName,
    /// The fields.
    pub document: DocumentType,
    /// Groups of text fields that a query searches together.
    #[serde(default)]
    pub fieldsets: Vec<FieldSet>,
    /// The strategies.
    #[serde(default)]
    pub rank_profiles: Vec<RankProfile>,
}

/// The fields of a document.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentType {
    /// In the order of the file.
    pub fields: Vec<Field>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name.
    pub name: FieldName,
    /// What it holds.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// What is done with it.
    pub indexing: Vec<Indexing>,
    /// Attribute settings, such as `fast-search` or `distance-metric: angular`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribute: Vec<String>,
    /// Index settings: `enable-bm25`, or an HNSW graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
}

impl Field {
    /// Whether it is indexed, stored or kept in memory in this way.
    #[must_use]
    pub fn has(&self, indexing: Indexing) -> bool {
        self.indexing.contains(&indexing)
    }

    /// Whether words in it are scored by BM25.
    #[must_use]
    pub fn is_bm25(&self) -> bool {
        matches!(&self.index, Some(Index::Setting(setting)) if setting == "enable-bm25")
    }

    /// The metric of `distance-metric: …`, where one is given.
    #[must_use]
    pub fn distance_metric(&self) -> Option<&str> {
        self.attribute.iter().find_map(|setting| setting.strip_prefix("distance-metric:")).map(str::trim)
    }
}

/// What is done with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Indexing {
    /// Returned with hits.
    Summary,
    /// Kept in memory: filters, numbers, tensors.
    Attribute,
    /// Searched: words of a text, or nearest neighbours of a tensor.
    Index,
}

/// The value of a field's `index` key.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Index {
    /// `enable-bm25`.
    Setting(String),
    /// A graph for nearest neighbours.
    Graph {
        /// Its settings.
        hnsw: Hnsw,
    },
}

/// Settings of an HNSW graph.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hnsw {
    /// Links per node (default 16).
    #[serde(default = "default_links")]
    pub max_links_per_node: u32,
    /// Neighbours explored when a node is added (default 200).
    #[serde(default = "default_explore")]
    pub neighbors_to_explore_at_insert: u32,
}

fn default_links() -> u32 {
    16
}

fn default_explore() -> u32 {
    200
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FieldType {
    /// Text.
    String,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// True or false.
    Bool,
    /// A list of texts.
    StringArray,
    /// Vectors.
    Tensor(TensorType),
}

impl TryFrom<String> for FieldType {
    type Error = crate::Error;
    fn try_from(text: String) -> crate::Result<Self> {
        Ok(match text.as_str() {
            "string" => Self::String,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bool" => Self::Bool,
            "array<string>" => Self::StringArray,
            tensor if tensor.starts_with("tensor") => Self::Tensor(TensorType::parse(tensor)?),
            other => {
                let known = ["string", "int", "long", "float", "double", "bool", "array<string>", "tensor<…>(…)"];
                return Err(crate::Error::invalid(crate::Error::unknown("field type", other, known).message()));
            }
        })
    }
}

impl From<FieldType> for String {
    fn from(field_type: FieldType) -> Self {
        field_type.to_string()
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Int => f.write_str("int"),
            Self::Long => f.write_str("long"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Bool => f.write_str("bool"),
            Self::StringArray => f.write_str("array<string>"),
            Self::Tensor(tensor) => write!(f, "{tensor}"),
        }
    }
}

/// A group of text fields that a query searches together.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldSet {
    /// `default` is the one a query uses.
    pub name: String,
    /// Its fields.
    pub fields: Vec<FieldName>,
}

/// A way to rank: a strategy.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankProfile {
    /// The strategy's name.
    pub name: StrategyName,
    /// Query tensors that it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<RankInput>,
    /// Named expressions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<RankFunction>,
    /// The score of every match.
    pub first_phase: FirstPhase,
    /// The score that replaces it for the best matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_phase: Option<SecondPhase>,
    /// Features returned with each hit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_features: Vec<String>,
    /// Seconds a query may take (default 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
}

/// A query tensor.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankInput {
    /// `query(qt)`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub tensor_type: TensorType,
}

/// A named expression.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankFunction {
    /// The name other expressions use.
    pub name: String,
    /// Vespa's expression language.
    pub expression: String,
}

/// The score of every match.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstPhase {
    /// Vespa's expression language.
    pub expression: String,
}

/// The score that replaces the first one for the best matches.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondPhase {
    /// Vespa's expression language.
    pub expression: String,
    /// How many of the best are scored again (default 100).
    #[serde(default = "default_rerank")]
    pub rerank_count: usize,
}

fn default_rerank() -> usize {
    100
}
