//! A search's request, understood as far as it can be without a document type.

use super::{Failure, order::SortKey, parameters::Parameters};
use crate::{
    content::{
        Running, duration,
        sd::Input,
        tensor::{self, Form, Tensor, TensorType},
        yql::{self, Statement},
    },
    message::Request,
};
use std::collections::BTreeMap;

/// A search.
pub(crate) struct SearchRequest {
    /// None where the query came without YQL.
    pub(super) statement: Statement,
    pub(super) hits: usize,
    pub(super) offset: usize,
    pub(super) profile: String,
    pub(super) restrict: Option<Vec<String>>,
    pub(super) sources: Option<Vec<String>>,
    pub(super) summary: Option<String>,
    /// The language of the words.
    pub(super) language: Option<String>,
    pub(super) form: Form,
    pub(super) timing: bool,
    pub(super) inputs: BTreeMap<String, Tensor>,
    pub(super) input_types: BTreeMap<String, TensorType>,
    pub(super) numbers: BTreeMap<String, f64>,
    /// By scores where it is empty.
    pub(super) order: Vec<SortKey>,
    /// The hits that a global phase scores, instead of as many as the rank profile says.
    pub(super) global_rerank_count: Option<usize>,
}

impl SearchRequest {
    pub(super) fn read(request: &Request, running: &Running) -> Result<Self, Failure> {
        let parameters = Parameters::read(request)?;
        let hits = positive(&parameters, "hits", 10)?;
        let offset = positive(&parameters, "offset", 0)?;
        if let Some(text) = parameters.get("timeout") {
            let time = duration::milliseconds(text).ok_or_else(|| {
                Failure::illegal(format!("Could not set 'timeout': Error parsing '{text}': Invalid number '{text}'"))
            })?;
            if time == 0 {
                return Err(Failure::new(12, "Timed out", "No time left after waiting for 1ms to execute query"));
            }
        }
        let format = parameters.get("presentation.format").unwrap_or("json");
        if !["json", "default", "cbor", "JsonRenderer", "CborRenderer"].contains(&format) {
            return Err(Failure::illegal(format!(
                "No renderer with id or alias '{format}'. Available renderers are: [JsonRenderer, CborRenderer]."
            )));
        }
        let list = |name: &str| {
            let names = parameters.get(name)?.split(',').map(str::trim);
            Some(names.map(str::to_owned).collect::<Vec<_>>())
        };
        let profile = parameters.get("ranking.profile").unwrap_or("default").to_owned();
        let restrict = list("model.restrict");
        let mut found = Self {
            statement: Statement {
                fields: None,
                sources: None,
                condition: yql::Item::Constant(false),
                order: Vec::new(),
                limit: None,
                offset: None,
                groupings: Vec::new(),
            },
            hits,
            offset,
            profile,
            restrict,
            sources: list("model.sources"),
            summary: parameters.get("presentation.summary").filter(|name| !name.is_empty()).map(str::to_owned),
            language: parameters.get("model.language").map(str::to_owned),
            form: Form::named(parameters.get("presentation.format.tensors")),
            timing: parameters.get("presentation.timing") == Some("true"),
            inputs: BTreeMap::new(),
            input_types: BTreeMap::new(),
            numbers: BTreeMap::new(),
            order: Vec::new(),
            global_rerank_count: parameters.get("ranking.globalPhase.rerankCount").and_then(|count| count.parse().ok()),
        };
        found.read_inputs(&parameters, running)?;
        let limits = [("hits", found.hits, "maxHits", 400), ("offset", found.offset, "maxOffset", 1000)];
        let mut check = Vec::new();
        for (name, value, limit_name, default) in limits {
            let limit = match parameters.get(limit_name) {
                Some(text) => text.parse().map_err(|_| {
                    Failure::new(5, "Unspecified error", format!("Failed: '{text}' is not a valid integer"))
                })?,
                None => default,
            };
            check.push((name, value, limit));
        }
        found.read_query(&parameters, running)?;
        found.order = match parameters.get("ranking.sorting") {
            Some(specification) => SortKey::read(specification)?,
            None => {
                found.statement.order.iter().map(|(field, descending)| SortKey::plain(field, *descending)).collect()
            }
        };
        for ((name, _, limit), value) in check.into_iter().zip([found.hits, found.offset]) {
            if value > limit {
                let asked = if name == "hits" {
                    format!("{value} hits requested")
                } else {
                    format!("Offset of {value} requested")
                };
                return Err(Failure::illegal(format!(
                    "{asked}, configured limit: {limit}. See https://docs.vespa.ai/en/reference/api/query.html#native-execution-parameters"
                )));
            }
        }
        Ok(found)
    }

    fn read_query(&mut self, parameters: &Parameters, running: &Running) -> Result<(), Failure> {
        let cluster = running.package.clusters.first().map_or("", |cluster| cluster.name.as_str());
        let no_query = || Failure::illegal("No query").from(cluster);
        let parameter = |name: &str| {
            let name = if name == "query" { "model.queryString" } else { name };
            parameters.get(name).map(str::to_owned)
        };
        let Some(text) = parameters.get("yql") else {
            let query = parameters.get("model.queryString").ok_or_else(no_query)?;
            let statement = format!("select * from sources * where userInput({})", serde_json::Value::from(query));
            self.statement = yql::parse(&statement, &parameter).map_err(|_| no_query())?;
            return Ok(());
        };
        let wrong = |why: String| match why.as_str() {
            "No query" => no_query(),
            _ => Failure::invalid(format!("Could not create query from YQL: {why}")),
        };
        self.statement = yql::parse(text, &parameter).map_err(wrong)?;
        if self.statement.limit.is_some() || self.statement.offset.is_some() {
            let offset = self.statement.offset.unwrap_or(0).max(0);
            let hits = self.statement.limit.map(|limit| limit - offset);
            if let Some(hits) = hits.filter(|hits| *hits < 0) {
                return Err(Failure::new(
                    17,
                    "Bad request.",
                    format!(
                        "Invalid request [/search/]: Illegal YQL query: 'hits' must be a positive number, not {hits}"
                    ),
                ));
            }
            self.offset = usize::try_from(offset).unwrap_or(usize::MAX);
            self.hits = hits.map_or(self.hits, |hits| usize::try_from(hits).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// The query's tensors, read by the types that the rank profile declares.
    fn read_inputs(&mut self, parameters: &Parameters, running: &Running) -> Result<(), Failure> {
        let schemas = || {
            running
                .package
                .clusters
                .iter()
                .flat_map(|cluster| &cluster.types)
                .filter_map(|(name, _)| running.package.schemas.get(name))
        };
        let wanted =
            |name: &str| self.restrict.as_ref().is_none_or(|names| names.iter().any(|restricted| restricted == name));
        for (name, value) in parameters.iter() {
            let Some(feature) = name.strip_prefix("ranking.features.") else { continue };
            let Some(input) = feature.strip_prefix("query(").and_then(|rest| rest.strip_suffix(')')) else { continue };
            let profiles =
                schemas().filter(|schema| wanted(&schema.name)).filter_map(|schema| schema.profile(&self.profile));
            match profiles.filter_map(|profile| profile.inputs.get(input)).next() {
                Some(Input::Tensor(tensor_type)) => {
                    let tensor = tensor::read_query(value, tensor_type);
                    let tensor = tensor
                        .map_err(|why| Failure::illegal(format!("Could not set '{name}' to '{value}': {why}")))?;
                    self.inputs.insert(input.to_owned(), tensor);
                    self.input_types.insert(input.to_owned(), tensor_type.clone());
                }
                Some(Input::Number) | None => {
                    if let Ok(number) = value.parse() {
                        self.numbers.insert(input.to_owned(), number);
                    }
                }
            }
        }
        Ok(())
    }
}

fn positive(parameters: &Parameters, name: &str, default: usize) -> Result<usize, Failure> {
    let Some(text) = parameters.get(name) else { return Ok(default) };
    let number: i64 = text
        .parse()
        .map_err(|_| Failure::illegal(format!("Could not set '{name}': '{text}' is not a valid integer")))?;
    usize::try_from(number).map_err(|_| {
        Failure::illegal(format!("Could not set '{name}': '{name}' must be a positive number, not {number}"))
    })
}
