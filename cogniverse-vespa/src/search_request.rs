//! A search's request: one schema, user text only as a parameter, tensors as digits.

use crate::{
    condition::{Language, condition},
    document_json::{write, write_text},
    facets,
    retrieval::{self, Retrieval, TOKEN_INPUTS, token_input},
    schema::{SUMMARY, TEXT_FIELDS, UNRANKED},
    tensor_json, word_condition,
};
use cogniverse_core::{
    schemas::{Schema, Strategy},
    text::{Language as TextLanguage, check_words},
};
use cogniverse_sdk::{
    BackendQuery, CellType, FieldName, Filter, ListRequest, Matrix, Result, Sort, TensorShape, TensorType,
    quantize::pack_rows, schema::FieldType,
};
use std::time::Duration;

/// The parameter that holds the user's words.
const TEXT: &str = "q";
/// Matches a word of the user's text, whatever stands in it; one word is enough.
const WORDS: &str = "({grammar.composite:\"or\"}text(@q))";
/// Neighbours that each content node looks for, at least.
const MIN_TARGET: usize = 100;
/// Neighbours looked for where closeness only scores what the words found.
const SCORED_TARGET: usize = 10_000;

/// A body for `POST /search/`, or nothing where no document can match.
#[derive(Debug, PartialEq)]
pub(crate) struct SearchRequest {
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
}

/// Makes the request of a query that [`Schema::check_query`] accepted.
pub(crate) fn search(schema: &Schema, query: &BackendQuery, strategy: &Strategy) -> Result<Option<SearchRequest>> {
    if query.limit == 0 && query.facets.is_empty() {
        return Ok(None);
    }
    matching(schema, query, strategy)
}

/// Makes the request of a query whose matches are asked for even where it wants no hit.
pub(crate) fn matching(schema: &Schema, query: &BackendQuery, strategy: &Strategy) -> Result<Option<SearchRequest>> {
    let text = query.text.as_deref().filter(|text| strategy.inputs().text && check_words(text).is_ok());
    word_condition::check(query, strategy)?;
    let (mut retrieval, scored) = retrieval::of(schema, strategy);
    if retrieval == Retrieval::Words && text.is_none() {
        if !word_condition::asks_for_words(&query.words) {
            return Ok(None);
        }
        // The conditions alone decide.
        retrieval = Retrieval::All;
    }
    let name = query.schema.physical_name();
    let inputs = Inputs::of(schema, query, strategy)?;
    let plan = Plan { schema, query, strategy, retrieval, scored, inputs: &inputs, has_words: text.is_some() };
    let yql = format!("select * from {name} where {}{}", plan.condition()?, facets::grouping(schema, &query.facets));
    let timeout = query.timeout.unwrap_or(strategy.timeout());
    let mut body = head(&yql, name, strategy.name().as_str(), timeout);
    write(&mut body, format_args!(",\"hits\":{},\"offset\":{}", query.limit, query.offset));
    // Vespa's own limits, 400 hits from offset 1,000, are there for people; the window was checked.
    let (hits, offset) = (query.limit.max(400), query.offset.max(1000));
    write(&mut body, format_args!(",\"maxHits\":{hits},\"maxOffset\":{offset}"));
    write(&mut body, format_args!(",\"presentation.summary\":\"{SUMMARY}\""));
    if let Some(sort) = &query.sort {
        write_sort(&mut body, schema, sort);
    }
    if let Some(text) = text {
        // By it Vespa stems the words, as it did those of documents by the language that they name.
        if let Some(language) = query.language.as_deref().and_then(TextLanguage::of) {
            write(&mut body, format_args!(",\"model.language\":\"{language}\""));
        }
        write(&mut body, format_args!(",\"{TEXT}\":"));
        write_text(&mut body, text);
    }
    plan.write_inputs(&mut body);
    body.push(b'}');
    Ok(Some(SearchRequest { body, timeout }))
}

/// The request of a page of documents in the order of a field.
pub(crate) fn list(
    schema: &Schema,
    request: &ListRequest,
    (offset, hits): (usize, usize),
    timeout: Duration,
) -> Result<Vec<u8>> {
    let name = request.schema.physical_name();
    let condition =
        request.filter.as_ref().map_or(Ok("true".to_owned()), |filter| condition(Language::Yql, schema, filter))?;
    let mut body = head(&format!("select * from {name} where {condition}"), name, UNRANKED, timeout);
    write(&mut body, format_args!(",\"hits\":{hits},\"offset\":{offset}"));
    write(&mut body, format_args!(",\"maxHits\":{},\"maxOffset\":{}", hits.max(400), offset.max(1000)));
    write(&mut body, format_args!(",\"presentation.summary\":\"{SUMMARY}\""));
    write_sort(&mut body, schema, &request.sort);
    // A part of a page would miss documents.
    body.extend_from_slice(b",\"ranking.softtimeout.enable\":false}");
    Ok(body)
}

/// Writes the parameters of an order by a field, in which documents without it are last, and texts are compared by their bytes.
///
/// Vespa refuses it beside a global phase, so that is left out; and it would guess the number of matches where the field is searched fast.
fn write_sort(body: &mut Vec<u8>, schema: &Schema, sort: &Sort) {
    let is_text = schema.field(sort.field.as_str()).is_some_and(|field| field.field_type == FieldType::String);
    let sign = if sort.descending { '-' } else { '+' };
    let value = if is_text { format!("raw({})", sort.field) } else { sort.field.to_string() };
    write(
        body,
        format_args!(",\"ranking.sorting\":\"{sign}missing({value},last) +[docid]\",\"sorting.degrading\":false"),
    );
    write(body, format_args!(",\"ranking.globalPhase.rerankCount\":0"));
}

/// The request that counts documents.
pub(crate) fn count(schema: &Schema, name: &str, filter: Option<&Filter>, timeout: Duration) -> Result<Vec<u8>> {
    let condition = filter.map_or(Ok("true".to_owned()), |filter| condition(Language::Yql, schema, filter))?;
    let mut body = head(&format!("select * from {name} where {condition}"), name, UNRANKED, timeout);
    // Half an answer is no count.
    body.extend_from_slice(b",\"hits\":0,\"ranking.softtimeout.enable\":false}");
    Ok(body)
}

/// Returns the common part of all requests. It names the schema twice: `from` fails where it does not exist,
/// `restrict` decides.
fn head(yql: &str, schema: &str, ranking: &str, timeout: Duration) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    body.extend_from_slice(b"{\"yql\":");
    write_text(&mut body, yql);
    let rest = format!(
        ",\"model.restrict\":\"{schema}\",\"ranking\":\"{ranking}\",\"timeout\":\"{}ms\"",
        timeout.as_millis().max(1)
    );
    body.extend_from_slice(rest.as_bytes());
    body
}

/// The query's tensors by input, in the types that the rank profile declares.
struct Inputs<'s> {
    profile: &'s [cogniverse_sdk::schema::RankInput],
    bits: Option<Matrix<u8>>,
}

impl<'s> Inputs<'s> {
    fn of(schema: &'s Schema, query: &BackendQuery, strategy: &Strategy) -> Result<Self> {
        let profile = schema.base().rank_profiles.iter().find(|profile| profile.name == *strategy.name());
        let bits = match (&query.vectors, &strategy.inputs().binary) {
            (Some(rows), Some(_)) => Some(pack_rows(rows)?),
            _ => None,
        };
        Ok(Self { profile: profile.map_or(&[], |profile| &profile.inputs), bits })
    }

    /// The name of the declared input with cells like those of a field.
    fn name_for(&self, field: &TensorType) -> Option<&'s str> {
        let binary = field.cell() == CellType::Int8;
        let fits = |input: &&cogniverse_sdk::schema::RankInput| (input.tensor_type.cell() == CellType::Int8) == binary;
        let name = self.profile.iter().find(fits)?.name.as_str();
        name.strip_prefix("query(")?.strip_suffix(')')
    }
}

struct Plan<'a> {
    schema: &'a Schema,
    query: &'a BackendQuery,
    strategy: &'a Strategy,
    retrieval: Retrieval,
    /// A field whose closeness scores what something else found.
    scored: Option<FieldName>,
    inputs: &'a Inputs<'a>,
    has_words: bool,
}

impl Plan<'_> {
    fn condition(&self) -> Result<String> {
        let filter =
            self.query.filter.as_ref().map(|filter| condition(Language::Yql, self.schema, filter)).transpose()?;
        let words = format!("{TEXT_FIELDS} contains {WORDS}");
        let found = match &self.retrieval {
            Retrieval::All => None,
            Retrieval::Words => Some(words.clone()),
            Retrieval::Nearest(field) => self.nearest(field, self.target(), false),
            Retrieval::NearestByToken(field) => Some(self.nearest_by_token(field)),
        };
        let added = self.has_words && self.retrieval != Retrieval::Words && retrieval::adds_words(self.strategy);
        let found = found.map(|found| if added { format!("({found} or {words})") } else { found });
        let mut all: Vec<String> = found.into_iter().chain(filter).collect();
        if all.is_empty() {
            // There must be something that others are taken out of.
            all.push("true".to_owned());
        }
        all.extend(word_condition::conditions(&self.query.words));
        let matched = all.join(" and ");
        let mut ranked = Vec::new();
        let asked = self.retrieval == Retrieval::Words || (added && self.retrieval != Retrieval::All);
        if !asked && self.has_words && self.strategy.inputs().text {
            ranked.push(words);
        }
        if let Some(field) = &self.scored {
            ranked.extend(self.nearest(field, SCORED_TARGET, true));
        }
        // What stands behind the first part of a rank() only scores.
        if ranked.is_empty() { Ok(matched) } else { Ok(format!("rank(({matched}), {})", ranked.join(", "))) }
    }

    fn target(&self) -> usize {
        MIN_TARGET.max(self.query.offset.saturating_add(self.query.limit)).max(self.strategy.rescored())
    }

    fn field_type(&self, field: &FieldName) -> Option<&TensorType> {
        match &self.schema.field(field.as_str())?.field_type {
            cogniverse_sdk::schema::FieldType::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    fn nearest(&self, field: &FieldName, target: usize, exact: bool) -> Option<String> {
        let input = self.inputs.name_for(self.field_type(field)?)?;
        let exact = if exact { ",approximate:false" } else { "" };
        Some(format!("({{targetHits:{target}{exact}}}nearestNeighbor({field},{input}))"))
    }

    fn nearest_by_token(&self, field: &FieldName) -> String {
        let one = |place| format!("({{targetHits:{}}}nearestNeighbor({field},{}))", self.target(), token_input(place));
        let parts: Vec<String> = (0..self.tokens()).map(one).collect();
        format!("({})", parts.join(" or "))
    }

    fn tokens(&self) -> usize {
        self.query.vectors.as_ref().map_or(0, Matrix::len).min(TOKEN_INPUTS)
    }

    /// The tensors, after their sizes and values were checked: Vespa takes what does not fit in silence.
    fn write_inputs(&self, body: &mut Vec<u8>) {
        let Some(rows) = &self.query.vectors else { return };
        for input in self.inputs.profile {
            let needed = [&self.strategy.inputs().float, &self.strategy.inputs().binary];
            if !needed.into_iter().flatten().any(|needed| *needed == input.tensor_type) {
                continue;
            }
            write(body, format_args!(",\"input.{}\":", input.name));
            let single = input.tensor_type.shape() == TensorShape::Single;
            match (&self.inputs.bits, input.tensor_type.cell()) {
                (Some(bits), CellType::Int8) if single => {
                    tensor_json::write_bytes(body, bits.rows().next().unwrap_or_default());
                }
                (Some(bits), CellType::Int8) => tensor_json::write_rows(body, bits, tensor_json::write_bytes),
                (_, cell) if single => tensor_json::write_floats(body, rows.rows().next().unwrap_or_default(), cell),
                (_, cell) => {
                    tensor_json::write_rows(body, rows, |out, row| tensor_json::write_floats(out, row, cell));
                }
            }
        }
        if let Retrieval::NearestByToken(field) = &self.retrieval {
            let cell = self.field_type(field).map_or(CellType::Float, TensorType::cell);
            for place in 0..self.tokens() {
                write(body, format_args!(",\"input.query({})\":", token_input(place)));
                match (&self.inputs.bits, cell) {
                    (Some(bits), CellType::Int8) => {
                        tensor_json::write_bytes(body, bits.rows().nth(place).unwrap_or_default());
                    }
                    _ => tensor_json::write_floats(body, rows.rows().nth(place).unwrap_or_default(), cell),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::contract::fixture;
    use serde_json::{Value, json};

    #[test]
    fn invariant_05_a_request_names_its_one_schema_twice_and_the_text_once() {
        let schema = Schema::compile(fixture::schema()).unwrap();
        let name = fixture::schema_of("acme:prod");
        let vectors = fixture::row(fixture::axis(1));
        for (strategy, inputs) in [("bm25_only", vec![]), ("phased", vec!["input.query(qtb)", "input.query(qt)"])] {
            let query = BackendQuery::new(name.clone(), fixture::strategy(strategy))
                .with_text("from sources *")
                .with_language(Some("de-AT".into()))
                .with_vectors(vectors.clone());
            let strategy = schema.check_query(&query).unwrap();
            let request = search(&schema, &query, strategy).unwrap().unwrap();
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(body["model.restrict"], json!(name.physical_name()));
            assert_eq!(body.get("model.language"), strategy.inputs().text.then(|| json!("de")).as_ref());
            let yql = body["yql"].as_str().unwrap();
            assert!(yql.starts_with(&format!("select * from {} where ", name.physical_name())), "{yql}");
            assert!(!yql.contains("sources"), "{yql}");
            let sent: Vec<&str> =
                body.as_object().unwrap().keys().map(String::as_str).filter(|key| key.starts_with("input.")).collect();
            assert_eq!(sent.len(), inputs.len());
            assert!(inputs.iter().all(|input| body[*input]["0"].is_string()), "digits, a row a label: {body}");
        }
        let count: Value =
            serde_json::from_slice(&count(&schema, name.physical_name(), None, Duration::from_secs(1)).unwrap())
                .unwrap();
        assert_eq!(count["model.restrict"], json!(name.physical_name()));
    }
}
