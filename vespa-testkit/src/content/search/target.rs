//! The document types that a search covers, and validation of its condition for them.

use super::{Failure, request::SearchRequest};
use crate::content::{
    Running,
    package::Package,
    sd::Schema,
    yql::{Item, Nearest},
};
use std::sync::Arc;

/// The types of a search, and what went wrong beside them.
pub(super) struct Targets {
    pub(super) types: Vec<String>,
    /// Clusters asked, with sources that do not exist.
    pub(super) sources: usize,
    pub(super) errors: Vec<Failure>,
}

/// Resolves `from`, `model.sources` and `model.restrict`, then checks.
pub(super) fn targets(running: &Running, search: &SearchRequest) -> Result<Targets, Failure> {
    let package = &running.package;
    let (mut errors, mut clusters): (Vec<Failure>, Vec<(String, Option<String>)>) = (Vec::new(), Vec::new());
    let from = search.statement.sources.as_ref();
    let named = from.map(|from| from.iter().chain(search.sources.iter().flatten()).cloned().collect::<Vec<_>>());
    match named {
        None => clusters.extend(package.clusters.iter().map(|cluster| (cluster.name.clone(), None))),
        Some(names) => {
            for name in names {
                match resolve(package, &name) {
                    Some(found) => clusters.push(found),
                    None => errors.push(Failure::invalid(format!(
                        "Could not resolve source ref '{name}'. Valid source refs are {}.",
                        references(package)
                    ))),
                }
            }
        }
    }
    if let (true, Some(error)) = (clusters.is_empty(), errors.first()) {
        return Err(error.clone());
    }
    let mut types: Vec<String> = Vec::new();
    for (cluster, schema) in &clusters {
        let Some(cluster) = package.clusters.iter().find(|found| found.name == *cluster) else { continue };
        let inside = cluster.types.iter().map(|(name, _)| name);
        let chosen = inside.filter(|name| match (&search.restrict, schema) {
            // What is restricted to decides, whatever `from` says.
            (Some(restrict), _) => restrict.contains(name),
            (None, Some(schema)) => schema == *name,
            (None, None) => true,
        });
        types.extend(chosen.cloned());
    }
    types.sort();
    types.dedup();
    let mut asked: Vec<&String> = clusters.iter().map(|(cluster, _)| cluster).collect();
    asked.dedup();
    let targets = Targets { types, sources: asked.len() + errors.len(), errors };
    let schemas: Vec<&Arc<Schema>> = targets.types.iter().filter_map(|name| package.schemas.get(name)).collect();
    if let Some(first) = schemas.first() {
        let source = package.cluster_of(&first.name).map_or("", |cluster| &cluster.name);
        check_fields(&search.statement.condition, &schemas)?;
        if !schemas.iter().any(|schema| schema.profile(&search.profile).is_some()) {
            return Err(Failure::invalid(format!(
                "schema '{}' does not contain requested rank profile '{}'",
                first.name, search.profile
            ))
            .from(source));
        }
        for nearest in search.statement.condition.nearest() {
            check_nearest(nearest, search, &schemas).map_err(|why| Failure::illegal(why).from(source))?;
        }
        if let Item::Words { text, .. } = &search.statement.condition
            && cogniverse_core::text::check_words(text).is_err()
        {
            return Err(Failure::illegal("No query").from(source));
        }
    }
    Ok(targets)
}

/// The cluster, and the schema where one is named.
fn resolve(package: &Package, name: &str) -> Option<(String, Option<String>)> {
    if package.clusters.iter().any(|cluster| cluster.name == name) {
        return Some((name.to_owned(), None));
    }
    if let Some(cluster) = package.cluster_of(name) {
        return Some((cluster.name.clone(), Some(name.to_owned())));
    }
    let (cluster, schema) = name.split_once('.')?;
    let holds = package.cluster_of(schema).is_some_and(|found| found.name == cluster);
    holds.then(|| (cluster.to_owned(), Some(schema.to_owned())))
}

fn references(package: &Package) -> String {
    let of = |cluster: &crate::content::package::Cluster| {
        let schemas = cluster.types.iter().map(|(name, _)| format!("{}.{name}", cluster.name));
        std::iter::once(cluster.name.clone()).chain(schemas).collect::<Vec<_>>()
    };
    let mut names: Vec<String> = package.clusters.iter().flat_map(of).collect();
    names.sort();
    names.join(", ")
}

fn check_fields(condition: &Item, schemas: &[&Arc<Schema>]) -> Result<(), Failure> {
    let mut failure = None;
    condition.walk(&mut |item| {
        let Some(name) = item.field().filter(|name| *name != "sddocname") else { return };
        let fields: Vec<_> = schemas.iter().flat_map(|schema| schema.searched(name)).collect();
        let why = if fields.is_empty() && name != "default" {
            Some(Failure::invalid(format!("Could not create query from YQL: Field '{name}' does not exist.")))
        } else if fields.iter().any(|field| field.data_type.tensor().is_some()) {
            Some(Failure::new(
                17,
                "Bad request.",
                format!("Invalid request [/search/]: Cannot search for terms in '{name}': It is a tensor field"),
            ))
        } else if let Item::OneOf { values, .. } = item {
            let number = fields.iter().any(|field| field.data_type.is_number());
            let wrong = values.iter().any(|value| number == matches!(value, crate::content::yql::Literal::Text(_)));
            let (from, to) = if number { ("String", "Number") } else { ("Integer", "String") };
            wrong.then(|| {
                Failure::invalid(format!(
                    "Could not create query from YQL: Cannot cast java.lang.{from} to java.lang.{to}"
                ))
            })
        } else {
            None
        };
        failure = failure.take().or(why);
    });
    failure.map_or(Ok(()), Err)
}

fn check_nearest(nearest: &Nearest, search: &SearchRequest, schemas: &[&Arc<Schema>]) -> Result<(), String> {
    let Nearest { field, input, target } = nearest;
    let target = target.map_or(String::new(), |target| format!(",targetHits={target}"));
    let item = format!("NEAREST_NEIGHBOR {{field={field},queryTensorName={input}{target}}}");
    if target.is_empty() {
        return Err(format!("{item} must have either targetHits or totalTargetHits set"));
    }
    let Some(query) = search.input_types.get(input) else {
        return Err(format!("{item} requires a tensor rank feature named 'query({input})' but this is not present"));
    };
    if !query.mapped.is_empty() || query.indexed.len() != 1 {
        return Err(format!("{item} tensor query({input}) must have exactly 1, indexed dimension, but was: {query}"));
    }
    for schema in schemas {
        let found = schema.field(field).filter(|field| field.attribute);
        let Some(tensor) = found.map(|field| field.data_type.tensor()) else {
            return Err(format!("{item} field is not an attribute"));
        };
        let Some(tensor) = tensor else { return Err(format!("{item} field is not a tensor")) };
        if tensor.indexed != query.indexed {
            return Err(format!("{item} field type {tensor} does not match query({input}) tensor type {query}"));
        }
    }
    Ok(())
}
