//! The changes of a package against the running one: refused, or with actions for an operator.

use super::{
    package::{Cluster, Package},
    sd::{Field, Schema},
};
use serde_json::{Value, json};

/// Where Vespa explains its refusals.
const SEE: &str = "see https://docs.vespa.ai/en/reference/applications/validation-overrides.html";

/// `configChangeActions`.
///
/// # Errors
/// The refusal of a change that is not allowed.
pub(crate) fn actions(package: &Package, previous: &Package) -> Result<Value, String> {
    let mut found = Found { package, restart: Vec::new(), refeed: Vec::new(), reindex: Vec::new() };
    for cluster in &previous.clusters {
        let Some(now) = package.clusters.iter().find(|now| now.name == cluster.name) else {
            found.allow(
                "content-cluster-removal",
                "Removal (or id change) of content clusters",
                &format!(
                    "Content cluster '{}' is removed. This will cause loss of all data in this cluster",
                    cluster.name
                ),
            )?;
            continue;
        };
        for (name, _) in &cluster.types {
            if !now.types.iter().any(|(kept, _)| kept == name) {
                found.allow("schema-removal", "Removal of a schema causes deletion of all documents", &format!(
                    "Schema '{name}' is removed in content cluster '{}'. This will cause loss of all data in this schema", cluster.name
                ))?;
                continue;
            }
            if let (Some(before), Some(after)) = (previous.schemas.get(name), package.schemas.get(name)) {
                found.compare(now, before, after)?;
            }
        }
    }
    Ok(json!({"restart": found.restart, "refeed": found.refeed, "reindex": found.reindex}))
}

struct Found<'p> {
    package: &'p Package,
    restart: Vec<Value>,
    refeed: Vec<Value>,
    reindex: Vec<Value>,
}

impl Found<'_> {
    fn allow(&self, id: &str, what: &str, change: &str) -> Result<(), String> {
        if self.package.allowed.iter().any(|allowed| allowed == id) {
            return Ok(());
        }
        let change = change.trim_end_matches('.');
        Err(format!(
            "{what}: {change}. To allow this add <allow until='yyyy-mm-dd'>{id}</allow> to validation-overrides.xml, {SEE}"
        ))
    }

    fn compare(&mut self, cluster: &Cluster, before: &Schema, after: &Schema) -> Result<(), String> {
        for new in &after.fields {
            let Some(old) = before.field(&new.name) else { continue };
            let says = |what: &str| format!("Document type '{}': Field '{}' changed: {what}", after.name, new.name);
            if old.data_type != new.data_type {
                let message = says(&format!("data type: '{}' -> '{}'", old.data_type, new.data_type));
                self.allow("field-type-change", "Field type changes", &message)?;
                self.refeed.push(documents("field-type-change", cluster, after, &message));
                continue;
            }
            for what in restarts(old, new) {
                self.restart.push(json!({
                    "clusterName": cluster.name, "clusterType": "content", "serviceType": "searchnode",
                    "messages": [says(&what)], "services": [service(cluster)],
                }));
            }
            if let Some(what) = reindexing(old, new) {
                let message = says(&what);
                self.allow(
                    "indexing-change",
                    "Changing what tokens are expected and stored in field indexes",
                    &message,
                )?;
                self.reindex.push(documents("indexing-change", cluster, after, &message));
            }
        }
        Ok(())
    }
}

fn documents(name: &str, cluster: &Cluster, schema: &Schema, message: &str) -> Value {
    json!({
        "name": name, "documentType": schema.name, "clusterName": cluster.name,
        "messages": [message], "services": [service(cluster)],
    })
}

fn service(cluster: &Cluster) -> Value {
    json!({
        "serviceName": "searchnode", "serviceType": "searchnode",
        "configId": format!("{}/search/cluster.{0}/0", cluster.name), "hostName": "localhost",
    })
}

/// Changes that take effect when a content node restarts.
fn restarts(old: &Field, new: &Field) -> Vec<String> {
    let mut found = Vec::new();
    let mut flag = |old: bool, new: bool, what: &str| {
        if old != new {
            found.push(format!("{} {what}", if new { "add" } else { "remove" }));
        }
    };
    flag(old.attribute, new.attribute, "attribute aspect");
    if old.attribute && new.attribute {
        flag(old.fast_search, new.fast_search, "attribute 'fast-search'");
        flag(old.paged, new.paged, "attribute 'paged'");
        flag(old.rank_filter, new.rank_filter, "attribute 'rank: filter'");
        let tensor = old.data_type.tensor().is_some();
        let metric =
            |field: &Field| field.distance_metric.as_deref().unwrap_or("euclidean").replace('-', "_").to_uppercase();
        if tensor && metric(old) != metric(new) {
            found.push(format!("change property 'distance-metric' from '{}' to '{}'", metric(old), metric(new)));
        }
        let mut flag = |old: bool, new: bool, what: &str| {
            if old != new {
                found.push(format!("{} {what}", if new { "add" } else { "remove" }));
            }
        };
        flag(tensor && old.index, tensor && new.index, "attribute 'indexing: index'");
        let mut number = |old: u32, new: u32, what: &str| {
            if old != new {
                found.push(format!("change hnsw index property '{what}' from '{old}' to '{new}'"));
            }
        };
        if tensor && old.index && new.index {
            number(old.links, new.links, "max-links-per-node");
            number(old.explore, new.explore, "neighbors-to-explore-at-insert");
        }
        let cased = |field: &Field| if field.dictionary_cased || field.match_cased { "CASED" } else { "UNCASED" };
        if old.data_type.is_text() && cased(old) != cased(new) {
            found.push(format!(
                "change property 'dictionary: cased/uncased' from '{}' to '{}'",
                cased(old),
                cased(new)
            ));
        }
    }
    found
}

/// Changes that invalidate the stored index.
fn reindexing(old: &Field, new: &Field) -> Option<String> {
    if old.data_type.tensor().is_some() {
        return None;
    }
    let mut found = Vec::new();
    if old.index != new.index {
        found.push(format!("{} index aspect", if new.index { "add" } else { "remove" }));
    }
    let stemming = |field: &Field| field.stemming.clone().unwrap_or_else(|| "best".to_owned());
    if old.index && new.index {
        if stemming(old) != stemming(new) {
            found.push(format!("stemming: '{}' -> '{}'", stemming(old), stemming(new)));
        }
        if old.match_word != new.match_word || old.match_cased != new.match_cased {
            found.push("matching".to_owned());
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}
