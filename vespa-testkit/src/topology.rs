//! The clusters that `services.xml` names, and the services that stand for them.

use crate::content::Files;
use roxmltree::Document;

/// The host that every service is on.
pub(crate) const HOST: &str = "localhost";
/// The ports of services that this server only names.
const FIRST_NAMED_PORT: u16 = 19100;

/// Clusters of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) containers: Vec<String>,
    pub(crate) contents: Vec<ContentCluster>,
}

/// A content cluster and its document types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentCluster {
    pub(crate) name: String,
    pub(crate) types: Vec<String>,
}

/// A service whose generation is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) cluster: String,
    pub(crate) kind: &'static str,
    pub(crate) port: u16,
}

impl Topology {
    /// From a package. What can not be read names no clusters: whether that is an error is for the package's check.
    pub(crate) fn of(files: &Files) -> Self {
        let text = files.get("services.xml").map(|content| String::from_utf8_lossy(content)).unwrap_or_default();
        let mut found = Self { containers: Vec::new(), contents: Vec::new() };
        let Ok(document) = Document::parse(&text) else { return found };
        for node in document.root_element().descendants().filter(roxmltree::Node::is_element) {
            let name = |default: &str| node.attribute("id").unwrap_or(default).to_owned();
            match node.tag_name().name() {
                "container" => found.containers.push(name("default")),
                "content" => {
                    let types = node.descendants().filter(|node| node.has_tag_name("document"));
                    let types = types.filter_map(|node| node.attribute("type")).map(str::to_owned).collect();
                    found.contents.push(ContentCluster { name: name("content"), types });
                }
                _ => {}
            }
        }
        found
    }

    /// Its services, on one host.
    pub(crate) fn services(&self, container_port: u16) -> Vec<Service> {
        let mut services: Vec<Service> = Vec::new();
        let service = |cluster: &str, kind, port| Service { cluster: cluster.to_owned(), kind, port };
        for cluster in &self.containers {
            services.push(service(cluster, "container", container_port));
        }
        let mut ports = FIRST_NAMED_PORT..;
        let mut named = |cluster: &str, kind| {
            let port = ports.next().unwrap_or(u16::MAX);
            services.push(service(cluster, kind, port));
        };
        for cluster in &self.contents {
            for kind in ["container-clustercontroller", "distributor", "storagenode", "searchnode"] {
                named(&cluster.name, kind);
            }
        }
        named("admin", "logserver-container");
        named("metrics", "metricsproxy-container");
        services
    }
}
