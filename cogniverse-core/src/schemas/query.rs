//! Validation of queries against their strategies ([invariants 16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16) and [17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).

use super::{Schema, Strategy};
use crate::text::{Analyzer, Language};
use cogniverse_sdk::{
    BackendQuery, Error, FacetRequest, FieldName, Result, Sort, TensorShape, TensorType, WordCondition,
    schema::{Field, FieldType, Indexing},
    search_backend::{MAX_FACET_VALUES, MAX_FACETS, MAX_WORD_CONDITIONS},
    tensor::check_finite,
};

/// The largest sum of offset and limit of a query.
pub const MAX_WINDOW: usize = 10_000;
/// The largest number of vectors in a query: several times what the longest text or a picture needs.
pub const MAX_QUERY_VECTORS: usize = 8192;
/// The longest query text in bytes: each of its words is looked up in every part of the index.
pub const MAX_QUERY_TEXT: usize = 65_536;

impl Schema {
    /// Refuses a query that its strategy cannot answer.
    ///
    /// # Errors
    /// `NotFound` for an unknown strategy, with those that exist; `InvalidInput` for missing text or vectors, wrong
    /// dimensions, NaN and infinities, an invalid filter, order or facet, or a window of more than [`MAX_WINDOW`] hits.
    pub fn check_query(&self, query: &BackendQuery) -> Result<&Strategy> {
        let strategy = self.strategy(&query.strategy)?;
        if let Some(filter) = &query.filter {
            self.check_filter(filter)?;
        }
        if let Some(sort) = &query.sort {
            self.check_sort(sort)?;
        }
        self.check_facets(&query.facets)?;
        check_words(&query.words).map_err(|e| e.with_context("schema", &query.schema))?;
        if query.offset.saturating_add(query.limit) > MAX_WINDOW {
            return Err(Error::invalid(format!(
                "offset {} and limit {} reach beyond {MAX_WINDOW} hits; narrow the query by a filter, or visit the documents",
                query.offset, query.limit
            )));
        }
        let text = query.text.as_ref().map_or(0, String::len);
        if text > MAX_QUERY_TEXT {
            return Err(Error::invalid(format!("the query's text has {text} bytes; give at most {MAX_QUERY_TEXT}"))
                .with_context("schema", &query.schema));
        }
        if let Some(language) = &query.language {
            Language::parse(language).map_err(|e| e.with_context("schema", &query.schema))?;
        }
        let inputs = strategy.inputs();
        if inputs.text && query.text.is_none() {
            return Err(missing(query, "text", "give the query's words"));
        }
        let tensors = [inputs.float.as_ref(), inputs.binary.as_ref()];
        match (&query.vectors, tensors.into_iter().flatten().next()) {
            (_, None) => {}
            (None, Some(tensor)) => {
                return Err(missing(query, "vectors", &format!("configure an encoder that makes {tensor}")));
            }
            (Some(rows), Some(_)) => check_vectors(query, rows, &inputs.float, &inputs.binary)?,
        }
        Ok(strategy)
    }

    /// Refuses an order by a field that is not an attribute, or that holds lists or tensors.
    ///
    /// # Errors
    /// `InvalidInput` that names the field and lists the fields that can be ordered by.
    pub fn check_sort(&self, sort: &Sort) -> Result<()> {
        let is_single = |field: &Field| field.field_type != FieldType::StringArray;
        self.countable("field to sort by", &sort.field, is_single)
    }

    fn check_facets(&self, facets: &[FacetRequest]) -> Result<()> {
        if facets.len() > MAX_FACETS {
            let message = format!("the query asks for {} facets; ask for at most {MAX_FACETS} at a time", facets.len());
            return Err(Error::invalid(message).with_context("schema", self.name()));
        }
        for facet in facets {
            self.countable("field to count by", &facet.field, |_| true)?;
            if !(1..=MAX_FACET_VALUES).contains(&facet.limit) {
                let message =
                    format!("the facet lists {} values; give a limit from 1 to {MAX_FACET_VALUES}", facet.limit);
                return Err(Error::invalid(message).with_context("field", &facet.field));
            }
        }
        Ok(())
    }

    fn countable(&self, what: &'static str, name: &FieldName, fits: impl Fn(&Field) -> bool) -> Result<()> {
        let usable = |field: &&Field| {
            field.has(Indexing::Attribute) && !matches!(field.field_type, FieldType::Tensor(_)) && fits(field)
        };
        if self.field(name.as_str()).as_ref().is_some_and(usable) {
            return Ok(());
        }
        let names = self.fields().iter().filter(usable).map(|field| &field.name);
        Err(Error::invalid(Error::unknown(what, name, names).message()).with_context("schema", self.name()))
    }
}

/// Refuses too many conditions on words, and those without a word, which would hold for nothing.
fn check_words(conditions: &[WordCondition]) -> Result<()> {
    if conditions.len() > MAX_WORD_CONDITIONS {
        let count = conditions.len();
        return Err(Error::invalid(format!(
            "the query has {count} conditions on words; give at most {MAX_WORD_CONDITIONS}"
        )));
    }
    let bytes: usize = conditions.iter().map(|condition| condition.text().len()).sum();
    if bytes > MAX_QUERY_TEXT {
        return Err(Error::invalid(format!(
            "the conditions on words have {bytes} bytes; give at most {MAX_QUERY_TEXT}"
        )));
    }
    let analyzer = Analyzer::new();
    for condition in conditions {
        let text = condition.text();
        match (analyzer.sequence(text).len(), condition) {
            (0, _) => return Err(Error::invalid(format!("the condition \"{text}\" has no word; leave it out"))),
            (2.., WordCondition::Prefix(_)) => {
                return Err(Error::invalid(format!(
                    "the prefix \"{text}\" is more than one word; give the begin of one word"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

fn missing(query: &BackendQuery, what: &str, remedy: &str) -> Error {
    Error::invalid(format!("strategy \"{}\" needs the query's {what}; {remedy}", query.strategy))
        .with_context("schema", &query.schema)
}

fn check_vectors(
    query: &BackendQuery,
    rows: &cogniverse_sdk::Matrix<f32>,
    float: &Option<TensorType>,
    binary: &Option<TensorType>,
) -> Result<()> {
    let refuse = |why: String| {
        Err(Error::invalid(why).with_context("schema", &query.schema).with_context("strategy", &query.strategy))
    };
    let width = rows.width();
    if rows.is_empty() {
        return refuse("the query has no vector; give at least one row".into());
    }
    if rows.len() > MAX_QUERY_VECTORS {
        return refuse(format!("the query has {} vectors; give at most {MAX_QUERY_VECTORS}", rows.len()));
    }
    let single = float.iter().chain(binary).any(|tensor| tensor.shape() == TensorShape::Single);
    if single && rows.len() != 1 {
        return refuse(format!("the query has {} vectors and this strategy takes one", rows.len()));
    }
    if let Some(tensor) = float
        && tensor.size() != width
    {
        return refuse(format!(
            "query vectors have {width} cells and {tensor} wants {}; check the encoder's dimensions",
            tensor.size()
        ));
    }
    if let Some(tensor) = binary
        && tensor.size() != width.div_ceil(8)
    {
        return refuse(format!(
            "query vectors have {width} cells and {tensor} wants {}; check the encoder's dimensions",
            tensor.size() * 8
        ));
    }
    check_finite(rows.cells()).map_err(|e| e.with_context("schema", &query.schema))
}
