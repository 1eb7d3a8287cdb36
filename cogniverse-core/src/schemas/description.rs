//! A schema in words.

use super::Schema;
use cogniverse_sdk::{
    SchemaName,
    schema::{FieldType, Indexing},
};
use std::fmt;

/// What a schema holds and how it ranks, for people. `Display` writes it as text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SchemaDescription {
    /// Its name.
    pub name: SchemaName,
    /// Its fields.
    pub fields: Vec<FieldDescription>,
    /// Its strategies, by name.
    pub strategies: Vec<StrategyDescription>,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldDescription {
    /// Its name.
    pub name: String,
    /// Its type.
    pub field_type: String,
    /// Whether filters may name it.
    pub filterable: bool,
    /// Whether words in it are searched.
    pub searched: bool,
}

/// One strategy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StrategyDescription {
    /// Its name.
    pub name: String,
    /// Whether it needs the query's words.
    pub needs_text: bool,
    /// The query tensors it needs.
    pub needs_vectors: Vec<String>,
    /// How many of the best the second phase scores again; none without one.
    pub rerank_count: Option<usize>,
}

impl SchemaDescription {
    /// Of a schema.
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
            match strategy.rerank_count {
                Some(count) => writeln!(f, "; scores the best {count} again")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
