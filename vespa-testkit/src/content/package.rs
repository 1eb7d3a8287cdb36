//! An application package: its content clusters, document types and overrides.

use super::{Files, sd};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use roxmltree::{Document, Node};
use std::{collections::BTreeMap, sync::Arc};

/// A package that holds together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Package {
    pub(crate) clusters: Vec<Cluster>,
    /// All in `schemas/`, in a cluster or not.
    pub(crate) schemas: BTreeMap<String, Arc<sd::Schema>>,
    /// What `validation-overrides.xml` allows on this day.
    pub(crate) allowed: Vec<String>,
}

/// A content cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    /// In the order of `services.xml`; whether they are global.
    pub(crate) types: Vec<(String, bool)>,
}

impl Package {
    /// Reads a package.
    ///
    /// # Errors
    /// Vespa's message, without "Invalid application package".
    pub(crate) fn read(files: &Files, today: Date) -> Result<Self, String> {
        let services = files.get("services.xml").ok_or("services.xml does not exist in application package")?;
        let allowed = match files.get("validation-overrides.xml") {
            Some(bytes) => overrides(bytes, today)?,
            None => Vec::new(),
        };
        let mut schemas = BTreeMap::new();
        for (path, bytes) in files {
            let Some(name) = path.strip_prefix("schemas/").or_else(|| path.strip_prefix("searchdefinitions/")) else {
                continue;
            };
            if !name.ends_with(".sd") || name.contains('/') {
                continue;
            }
            let text =
                std::str::from_utf8(bytes).map_err(|_| format!("Failed parsing schema from '{name}': no UTF-8"))?;
            let schema = sd::read(name, text)?;
            schemas.insert(schema.name.clone(), Arc::new(schema));
        }
        let mut package = Self { clusters: Vec::new(), schemas, allowed };
        package.read_services(services)?;
        Ok(package)
    }

    fn read_services(&mut self, bytes: &[u8]) -> Result<(), String> {
        let text = xml_text("services.xml", bytes)?;
        let document = Document::parse(text).map_err(|e| wrong_xml("services.xml", &e.to_string()))?;
        let root = document.root_element();
        if root.tag_name().name() != "services" {
            return Err(wrong_xml("services.xml", &format!("element \"{}\" not allowed here", root.tag_name().name())));
        }
        for content in children(root, "content") {
            let name = content.attribute("id").unwrap_or("content").to_owned();
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || !name.chars().all(plain) {
                return Err(wrong_xml(
                    "services.xml",
                    "value of attribute \"id\" is invalid; must be an XML name without colons",
                ));
            }
            if children(content, "redundancy").chain(children(content, "min-redundancy")).next().is_none() {
                return Err(format!(
                    "In content cluster '{name}': Either <redundancy> or <min-redundancy> must be set"
                ));
            }
            let documents = children(content, "documents").next();
            let documents =
                documents.ok_or_else(|| format!("The <documents> element is mandatory in content cluster '{name}'"))?;
            let mut types = Vec::new();
            for document in children(documents, "document") {
                let name = document.attribute("type").unwrap_or_default();
                if !self.schemas.contains_key(name) {
                    return Err(format!("Document type '{name}' not found in application package"));
                }
                types.push((name.to_owned(), document.attribute("global") == Some("true")));
            }
            self.clusters.push(Cluster { name, types });
        }
        Ok(())
    }

    /// The cluster that holds a document type.
    pub(crate) fn cluster_of(&self, schema: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.types.iter().any(|(name, _)| name == schema))
    }

    /// The schema of a document type of some cluster.
    pub(crate) fn document_type(&self, name: &str) -> Option<&Arc<sd::Schema>> {
        self.cluster_of(name).and_then(|_| self.schemas.get(name))
    }
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn xml_text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, String> {
    std::str::from_utf8(bytes).map_err(|_| wrong_xml(file, "no UTF-8"))
}

fn wrong_xml(file: &str, why: &str) -> String {
    format!("Invalid XML according to XML schema, error in {file}: {why}")
}

/// The ids that are allowed today.
fn overrides(bytes: &[u8], today: Date) -> Result<Vec<String>, String> {
    const FILE: &str = "validation-overrides.xml";
    let text = xml_text(FILE, bytes)?;
    let document = Document::parse(text).map_err(|e| wrong_xml(FILE, &e.to_string()))?;
    let mut allowed = Vec::new();
    for allow in children(document.root_element(), "allow") {
        let id = allow.text().unwrap_or_default().trim();
        let until = allow.attribute("until").unwrap_or_default();
        let date: Date = until.parse().map_err(|_| {
            format!("java.time.format.DateTimeParseException: Text '{until}' could not be parsed at index 0")
        })?;
        let days = date.since(today).map_or(i32::MAX, |span| span.get_days());
        if days > 30 {
            let end = date.tomorrow().unwrap_or(date);
            return Err(format!(
                "validation-overrides is invalid: allow '{id}' until {end}T00:00:00Z is too far in the future: Max 30 days is allowed"
            ));
        }
        if date >= today {
            allowed.push(if id == "content-type-removal" { "schema-removal" } else { id }.to_owned());
        }
    }
    Ok(allowed)
}

/// The day in UTC.
pub(crate) fn today() -> Date {
    TimeZone::UTC.to_datetime(Timestamp::now()).date()
}
