//! Readable descriptions of schemas.

use super::Schema;
use cogniverse_sdk::{
    SchemaName,
    schema::{FieldType, Indexing},
};
use std::fmt;

/// A description of a schema's fields and strategies. `Display` formats it as text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct SchemaDescription {
    /// The schema's name.
    pub name: SchemaName,
    /// The fields.
    pub fields: Vec<FieldDescription>,
    /// The strategies, sorted by name.
    pub strategies: Vec<StrategyDescription>,
}

/// A description of a field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct FieldDescription {
    /// The field's name.
    pub name: String,
    /// The field's type.
    pub field_type: String,
    /// Whether filters may name the field.
    pub filterable: bool,
    /// Whether words in the field are searched.
    pub searched: bool,
}

/// A description of a strategy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct StrategyDescription {
    /// The strategy's name.
    pub name: String,
    /// Whether the strategy needs query text.
    pub needs_text: bool,
    /// The query tensors that the strategy needs.
    pub needs_vectors: Vec<String>,
    /// The number of hits that the second phase rescores; `None` without one.
    pub rerank_count: Option<usize>,
    /// The number of hits that the global phase rescores; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_rerank_count: Option<usize>,
    /// The signals that the global phase fuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fuses: Vec<String>,
}

impl SchemaDescription {
    /// Describes a schema.
    #[must_use]
    pub fn of(schema: &Schema) -> Self {
        let fields = schema.fields().iter().map(|field| FieldDescription {
            name: field.name.to_string(),
            field_type: field.field_type.to_string(),
            filterable: field.has(Indexing::Attribute) && !matches!(field.field_type, FieldType::Tensor(_)),
            searched: field.is_bm25(),
        });
        let strategies = schema.strategies().map(|strategy| StrategyDescription {
            name: strategy.name().to_string(),
            needs_text: strategy.inputs().text,
            needs_vectors: [&strategy.inputs().float, &strategy.inputs().binary]
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect(),
            rerank_count: strategy.second_phase().map(|rerank| rerank.count),
            global_rerank_count: strategy.fusion().map(|fusion| fusion.count),
            fuses: strategy
                .fusion()
                .map_or_else(Vec::new, |fusion| fusion.signals.iter().map(|signal| signal.name.clone()).collect()),
        });
        Self { name: schema.name().clone(), fields: fields.collect(), strategies: strategies.collect() }
    }
}

impl fmt::Display for SchemaDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for field in &self.fields {
            let uses = [(field.searched, "searched"), (field.filterable, "filterable")];
            let uses: Vec<&str> = uses.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
            writeln!(f, "  {:24} {:36} {}", field.name, field.field_type, uses.join(", "))?;
        }
        for strategy in &self.strategies {
            let mut needs: Vec<&str> = strategy.needs_vectors.iter().map(String::as_str).collect();
            if strategy.needs_text {
                needs.insert(0, "words");
            }
            write!(f, "  strategy {:35} needs {}", strategy.name, needs.join(" + "))?;
            if let Some(count) = strategy.rerank_count {
                write!(f, "; scores the best {count} again")?;
            }
            if let Some(count) = strategy.global_rerank_count {
                write!(f, "; fuses {} over the best {count}", strategy.fuses.join(" and "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
