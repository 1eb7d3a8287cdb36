//! The grammar of a base schema file (`cogniverse-core/schemas/<name>_schema.json`).
//!
//! Only the syntax is checked here; `cogniverse-core` compiles fields and expressions.

use crate::{FieldName, SchemaName, StrategyName, TensorType};
use std::fmt;

/// A base schema: the fields of a document and its rank profiles, loaded from JSON.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BaseSchema {
    /// The name, which is also the stem of the file name.
    pub name: SchemaName,
    /// The document type.
    pub document: DocumentType,
    /// Groups of text fields that a query searches together.
    #[serde(default)]
    pub fieldsets: Vec<FieldSet>,
    /// The rank profiles, each of which is a strategy.
    #[serde(default)]
    pub rank_profiles: Vec<RankProfile>,
}

/// The document type of a schema.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DocumentType {
    /// The fields, in file order.
    pub fields: Vec<Field>,
}

/// A field of a document.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Field {
    /// The field's name.
    pub name: FieldName,
    /// The field's type.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// The ways the field is indexed and stored.
    pub indexing: Vec<Indexing>,
    /// Attribute settings, such as `fast-search` or `distance-metric: angular`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attribute: Vec<String>,
    /// Index settings: `enable-bm25`, or an HNSW graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
}

impl Field {
    /// Creates a field that is returned with hits and kept in memory for filters, with fast filters where the type has them.
    #[must_use]
    pub fn attribute(name: FieldName, field_type: FieldType) -> Self {
        let attribute = match field_type {
            FieldType::Bool | FieldType::Tensor(_) => Vec::new(),
            _ => vec!["fast-search".to_owned()],
        };
        Self { name, field_type, indexing: vec![Indexing::Summary, Indexing::Attribute], attribute, index: None }
    }

    /// Returns whether the field has an indexing mode.
    #[must_use]
    pub fn has(&self, indexing: Indexing) -> bool {
        self.indexing.contains(&indexing)
    }

    /// Returns whether BM25 scores are available for the field.
    #[must_use]
    pub fn is_bm25(&self) -> bool {
        matches!(&self.index, Some(Index::Setting(setting)) if setting == "enable-bm25")
    }

    /// Returns the metric of `distance-metric: …`, where set.
    #[must_use]
    pub fn distance_metric(&self) -> Option<&str> {
        self.attribute.iter().find_map(|setting| setting.strip_prefix("distance-metric:")).map(str::trim)
    }
}

/// A way a field is indexed or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Indexing {
    /// Returned with hits.
    Summary,
    /// Kept in memory: filters, numbers, tensors.
    Attribute,
    /// Indexed for search: words of a text, or nearest neighbours of a tensor.
    Index,
}

/// The value of a field's `index` key.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Index {
    /// The setting `enable-bm25`.
    Setting(String),
    /// An HNSW graph for nearest-neighbour search.
    Graph {
        /// The settings of the graph.
        hnsw: Hnsw,
    },
}

/// Settings of an HNSW graph.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Hnsw {
    /// The number of links per node (default 16).
    #[serde(default = "default_links")]
    pub max_links_per_node: u32,
    /// The number of neighbours explored on insertion (default 200).
    #[serde(default = "default_explore")]
    pub neighbors_to_explore_at_insert: u32,
}

fn default_links() -> u32 {
    16
}

fn default_explore() -> u32 {
    200
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FieldType {
    /// A string.
    String,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A 32-bit float.
    Float,
    /// A 64-bit float.
    Double,
    /// A boolean.
    Bool,
    /// A list of strings.
    StringArray,
    /// A tensor of vectors.
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
#[non_exhaustive]
pub struct FieldSet {
    /// The name; a query uses the one named `default`.
    pub name: String,
    /// The fields of the group.
    pub fields: Vec<FieldName>,
}

/// A rank profile, also called a strategy.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RankProfile {
    /// The strategy's name.
    pub name: StrategyName,
    /// The query tensors that the profile takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<RankInput>,
    /// Named expressions that other expressions may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<RankFunction>,
    /// The first phase, which scores every match.
    pub first_phase: FirstPhase,
    /// The second phase, which rescores the best matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_phase: Option<SecondPhase>,
    /// The global phase, which orders the best matches by several signals together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_phase: Option<GlobalPhase>,
    /// Rank features returned with each hit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_features: Vec<String>,
    /// The timeout of a query in seconds (default 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
}

/// An input tensor of a rank profile.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RankInput {
    /// The name, such as `query(qt)`.
    pub name: String,
    /// The tensor type.
    #[serde(rename = "type")]
    pub tensor_type: TensorType,
}

/// A named rank expression.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RankFunction {
    /// The name that other expressions refer to.
    pub name: String,
    /// The expression, in Vespa's rank expression language.
    pub expression: String,
}

/// The first ranking phase, which scores every match.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FirstPhase {
    /// The expression, in Vespa's rank expression language.
    pub expression: String,
}

/// The second ranking phase, which replaces the score of the best matches.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SecondPhase {
    /// The expression, in Vespa's rank expression language.
    pub expression: String,
    /// The number of best matches to rescore (default 100).
    #[serde(default = "default_rerank")]
    pub rerank_count: usize,
}

/// The global ranking phase, which replaces the score of the best matches by one that compares them with each other.
///
/// Beside numbers, its expression has `normalize_linear(f)`, `reciprocal_rank(f)` and `reciprocal_rank(f, k)`, where
/// `f` is a function of the profile or a rank feature.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GlobalPhase {
    /// The expression, in Vespa's rank expression language.
    pub expression: String,
    /// The number of best matches to rescore (default 100).
    #[serde(default = "default_rerank")]
    pub rerank_count: usize,
}

fn default_rerank() -> usize {
    100
}
