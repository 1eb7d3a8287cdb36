//! Reindexing: what was asked for. It takes no time here and does nothing.

use super::refusal::{Outcome, Refusal};
use crate::{message::Request, topology::Topology};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The reindexing of an application.
#[derive(Debug)]
pub(crate) struct Reindexing {
    enabled: bool,
    /// By cluster and document type.
    done: BTreeMap<(String, String), Value>,
}

impl Default for Reindexing {
    fn default() -> Self {
        Self { enabled: true, done: BTreeMap::new() }
    }
}

impl Reindexing {
    pub(super) fn status(&self, topology: &Topology) -> Value {
        let clusters: Map<String, Value> = topology
            .contents
            .iter()
            .map(|cluster| {
                let of_cluster = self.done.iter().filter(|((name, _), _)| *name == cluster.name);
                let ready: Map<String, Value> =
                    of_cluster.map(|((_, document_type), done)| (document_type.clone(), done.clone())).collect();
                (cluster.name.clone(), json!({"pending": {}, "ready": ready}))
            })
            .collect();
        json!({"enabled": self.enabled, "clusters": clusters})
    }

    pub(super) fn enable(&mut self, enabled: bool) -> Value {
        self.enabled = enabled;
        json!({"message": if enabled { "Reindexing enabled" } else { "Reindexing disabled" }})
    }

    /// Asks for the reindexing of some types in some clusters; of all where none is named.
    pub(super) fn trigger(&mut self, topology: &Topology, request: &Request) -> Outcome<Value> {
        let named = |name| -> Vec<&str> {
            request
                .parameter(name)
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect()
        };
        let (clusters, types) = (named("clusterId"), named("documentType"));
        if let Some(unknown) = clusters.iter().find(|name| !topology.contents.iter().any(|known| known.name == **name))
        {
            return Err(Refusal::bad_request(format!("the application has no content cluster '{unknown}'")));
        }
        let speed = match request.parameter("speed").map(str::parse::<f64>) {
            None => 1.0,
            Some(Ok(speed)) if speed > 0.0 && speed <= 10.0 => speed,
            Some(_) => return Err(Refusal::bad_request("speed must be a number above 0 and at most 10")),
        };
        let cause = request.parameter("cause").unwrap_or("reindexing through the deploy API");
        let now = jiff::Timestamp::now().as_millisecond();
        let mut told = Vec::new();
        for cluster in topology.contents.iter().filter(|known| clusters.is_empty() || clusters.contains(&&*known.name))
        {
            if let Some(unknown) = types.iter().find(|name| !cluster.types.iter().any(|known| known == *name)) {
                return Err(Refusal::bad_request(format!(
                    "there is no document type '{unknown}' in the cluster '{}'",
                    cluster.name
                )));
            }
            for document_type in
                cluster.types.iter().filter(|known| types.is_empty() || types.contains(&known.as_str()))
            {
                told.push(format!("{document_type} in {}", cluster.name));
                let done = json!({
                    "readyMillis": now, "cause": cause, "speed": speed,
                    "startedMillis": now, "endedMillis": now, "state": "successful",
                });
                self.done.insert((cluster.name.clone(), document_type.clone()), done);
            }
        }
        Ok(json!({"message": format!("Reindexing document types: {}", told.join(", "))}))
    }
}
