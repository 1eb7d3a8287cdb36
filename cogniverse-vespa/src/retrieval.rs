//! The retrieval of a strategy: all documents, those with the query's words, or those near its vectors.

use cogniverse_core::schemas::{MatchSet, Schema, Score, Strategy};
use cogniverse_sdk::{
    FieldName, TensorShape, TensorType,
    schema::{FieldType, Indexing},
};

/// How many of a query's vectors ask the graph of a multi-vector field; all of them score.
pub(crate) const TOKEN_INPUTS: usize = 64;

/// How candidates are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Retrieval {
    /// Every document is scored.
    All,
    /// Documents with one of the words.
    Words,
    /// The nearest by one vector against one vector.
    Nearest(FieldName),
    /// The nearest by each vector of the query, together.
    NearestByToken(FieldName),
}

/// How a strategy's candidates are found, and the field whose closeness a later phase needs beside them.
pub(crate) fn of(schema: &Schema, strategy: &Strategy) -> (Retrieval, Option<FieldName>) {
    let near = strategy.scores().find_map(closeness);
    if strategy.matches() == MatchSet::Words {
        return (Retrieval::Words, near.cloned());
    }
    if let Some(field) = closeness(strategy.first_phase()) {
        return (Retrieval::Nearest(field.clone()), None);
    }
    match graph_field(schema, strategy) {
        Some((field, _)) => (Retrieval::NearestByToken(field), near.cloned()),
        None => (Retrieval::All, near.cloned()),
    }
}

/// Whether documents with one of the words are candidates beside the nearest, so that a global phase sees what either
/// signal finds.
pub(crate) fn adds_words(strategy: &Strategy) -> bool {
    strategy.fusion().is_some() && strategy.first_phase().uses_words()
}

/// The type of a multi-vector field with a graph that the first phase scores.
pub(crate) fn graph_of_tokens<'s>(schema: &'s Schema, strategy: &Strategy) -> Option<&'s TensorType> {
    graph_field(schema, strategy).map(|(_, tensor)| tensor)
}

/// The name of the input that holds one vector of the query.
pub(crate) fn token_input(place: usize) -> String {
    format!("rq{place}")
}

fn graph_field<'s>(schema: &'s Schema, strategy: &Strategy) -> Option<(FieldName, &'s TensorType)> {
    if strategy.matches() == MatchSet::Words {
        return None;
    }
    let scored = find(strategy.first_phase(), &|score| match score {
        Score::MaxSim { field } | Score::HammingMaxSim { field } => Some(field),
        _ => None,
    })?;
    let field = schema.field(scored.as_str())?;
    match &field.field_type {
        FieldType::Tensor(tensor) if field.has(Indexing::Index) && tensor.shape() == TensorShape::Multi => {
            Some((scored.clone(), tensor))
        }
        _ => None,
    }
}

fn closeness(score: &Score) -> Option<&FieldName> {
    find(score, &|score| match score {
        Score::Closeness { field, .. } => Some(field),
        _ => None,
    })
}

fn find<'s>(score: &'s Score, test: &dyn Fn(&'s Score) -> Option<&'s FieldName>) -> Option<&'s FieldName> {
    test(score).or_else(|| match score {
        Score::Sum(parts) => parts.iter().find_map(|part| find(part, test)),
        Score::Scaled(_, part) => find(part, test),
        _ => None,
    })
}
