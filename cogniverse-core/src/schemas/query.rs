//! Validation of queries against their strategies ([invariants 16](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#16) and [17](https://github.com/cogniverse/cogniverse-rs/blob/main/docs/invariants.md#17)).

use super::{Schema, Strategy};
use cogniverse_sdk::{BackendQuery, Error, Result, TensorShape, TensorType, tensor::check_finite};

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
    /// dimensions, NaN and infinities, an invalid filter, or a window of more than [`MAX_WINDOW`] hits.
    pub fn check_query(&self, query: &BackendQuery) -> Result<&Strategy> {
        let strategy = self.strategy(&query.strategy)?;
        if let Some(filter) = &query.filter {
            self.check_filter(filter)?;
        }
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
