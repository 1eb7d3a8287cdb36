//! `services.xml`: made for the first deployment, and edited in place afterwards, so that what others wrote stays byte for byte.

use crate::config::VespaConfig;
use cogniverse_sdk::{Error, ErrorKind, Result};
use roxmltree::{Document, Node};
use std::{collections::BTreeSet, fmt::Write};

/// Where it lies in the package.
pub(crate) const PATH: &str = "services.xml";

/// What the first deployment's `services.xml` says.
pub(crate) fn first(config: &VespaConfig, types: &BTreeSet<String>) -> String {
    let count = config.hosts.len().max(1);
    let copies = config.redundancy.unwrap_or(if count > 1 { 2 } else { 1 });
    let mut documents = String::new();
    for name in types {
        let _ = writeln!(documents, "      {}", element(name));
    }
    let tuning = config.resource_limits.map_or_else(String::new, |limits| {
        format!(
            "    <tuning>\n      <resource-limits>\n        <disk>{}</disk>\n        <memory>{}</memory>\n      </resource-limits>\n    </tuning>\n",
            limits.disk, limits.memory
        )
    });
    let nodes = |key: bool| {
        let mut nodes = String::new();
        for place in 0..count {
            let key = if key { format!(" distribution-key=\"{place}\"") } else { String::new() };
            let _ = writeln!(nodes, "      <node hostalias=\"node{place}\"{key}/>");
        }
        nodes
    };
    // With several hosts Vespa wants to be told where its own services run.
    let admin = if config.hosts.is_empty() {
        ""
    } else {
        "  <admin version=\"2.0\">\n    <adminserver hostalias=\"node0\"/>\n  </admin>\n"
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n\
         <services version=\"1.0\">\n{admin}  \
           <container id=\"default\" version=\"1.0\">\n    \
             <search/>\n    <document-api/>\n    <nodes>\n{}    </nodes>\n  \
           </container>\n  \
           <content id=\"{}\" version=\"1.0\">\n    \
             <min-redundancy>{copies}</min-redundancy>\n    \
             <documents>\n{documents}    </documents>\n{tuning}    \
             <nodes>\n{}    </nodes>\n  \
           </content>\n\
         </services>\n",
        nodes(false),
        config.content_cluster,
        nodes(true)
    )
}

/// `hosts.xml`, where there are several hosts.
pub(crate) fn hosts(config: &VespaConfig) -> Option<String> {
    if config.hosts.is_empty() {
        return None;
    }
    let mut hosts = String::new();
    for (place, name) in config.hosts.iter().enumerate() {
        let _ = writeln!(hosts, "  <host name=\"{name}\">\n    <alias>node{place}</alias>\n  </host>");
    }
    Some(format!("<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<hosts>\n{hosts}</hosts>\n"))
}

/// Adds document types to the content cluster and takes others out; every other byte stays.
///
/// # Errors
/// `FailedPrecondition` where the cluster is not there or could not be edited safely; `Corrupt` for what is no XML.
pub(crate) fn edit(text: &str, cluster: &str, add: &BTreeSet<String>, remove: &BTreeSet<String>) -> Result<String> {
    let before = types_of(text, cluster)?;
    let add: Vec<&String> = add.iter().filter(|name| !before.here.contains(*name)).collect();
    let mut edited = text.to_owned();
    // From the end, so that earlier positions hold.
    let insertion = before.end;
    let mut cuts: Vec<(usize, usize, String)> = before
        .elements
        .iter()
        .filter(|(name, ..)| remove.contains(name))
        .map(|(_, start, end)| (line_start(text, *start), line_end(text, *end), String::new()))
        .collect();
    let lines: String = add.iter().map(|name| format!("{}{}\n", before.indent, element(name))).collect();
    if !lines.is_empty() {
        let at = line_start(text, insertion);
        cuts.push(if at == insertion { (insertion, insertion, format!("\n{lines}")) } else { (at, at, lines) });
    }
    cuts.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    for (start, end, with) in cuts {
        edited.replace_range(start..end, &with);
    }
    // Checked twice: whatever happened above, only what was named may have changed.
    let after = types_of(&edited, cluster)?;
    let mut wanted = before.here;
    wanted.retain(|name| !remove.contains(name));
    wanted.extend(add.into_iter().cloned());
    if after.here != wanted || after.elsewhere != before.elsewhere {
        return Err(Error::new(
            ErrorKind::FailedPrecondition,
            format!(
                "{PATH} of the active application cannot be edited safely; put each <document> on a line of its own"
            ),
        ));
    }
    Ok(edited)
}

/// Every document type of the application: in this cluster, and in others.
pub(crate) fn document_types(text: &str, cluster: &str) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let types = types_of(text, cluster)?;
    Ok((types.here, types.elsewhere))
}

struct Types {
    here: BTreeSet<String>,
    elsewhere: BTreeSet<String>,
    /// Name, start and end of each element of the cluster.
    elements: Vec<(String, usize, usize)>,
    /// The position of `</documents>`.
    end: usize,
    indent: String,
}

fn types_of(text: &str, cluster: &str) -> Result<Types> {
    let document = Document::parse(text).map_err(|e| {
        Error::new(ErrorKind::Corrupt, format!("{PATH} of the active application is no XML")).with_source(e)
    })?;
    let clusters: Vec<Node<'_, '_>> = document.descendants().filter(|node| node.has_tag_name("content")).collect();
    let Some(content) = clusters.iter().find(|node| node.attribute("id") == Some(cluster)) else {
        let names = clusters.iter().filter_map(|node| node.attribute("id"));
        let unknown = Error::unknown("content cluster", cluster, names);
        return Err(Error::new(
            ErrorKind::FailedPrecondition,
            format!("{}; name it by VespaConfig::with_content_cluster", unknown.message()),
        ));
    };
    let here: Vec<Node<'_, '_>> = content.children().filter(|node| node.has_tag_name("documents")).collect();
    let [documents] = here.as_slice() else {
        return Err(Error::new(
            ErrorKind::FailedPrecondition,
            format!("the content cluster \"{cluster}\" has no single <documents> in {PATH}"),
        ));
    };
    let is_type = |node: &Node<'_, '_>| node.has_tag_name("document") && node.attribute("type").is_some();
    let name = |node: Node<'_, '_>| node.attribute("type").unwrap_or_default().to_owned();
    let mut types = Types {
        here: BTreeSet::new(),
        elsewhere: BTreeSet::new(),
        elements: Vec::new(),
        end: 0,
        indent: String::new(),
    };
    for node in documents.children().filter(is_type) {
        let range = node.range();
        types.indent = text.get(line_start(text, range.start)..range.start).unwrap_or_default().to_owned();
        types.elements.push((name(node), range.start, range.end));
        types.here.insert(name(node));
    }
    for other in clusters.iter().filter(|node| *node != content) {
        types.elsewhere.extend(other.descendants().filter(is_type).map(name));
    }
    if !types.indent.chars().all(char::is_whitespace) {
        types.indent = "      ".to_owned();
    }
    let range = documents.range();
    let inside = text.get(range.clone()).unwrap_or_default();
    types.end = match inside.rfind("</") {
        Some(place) => range.start + place,
        None => {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                format!("<documents/> of the content cluster \"{cluster}\" is empty; Vespa wants at least one type"),
            ));
        }
    };
    Ok(types)
}

fn element(name: &str) -> String {
    format!("<document type=\"{name}\" mode=\"index\"/>")
}

/// The start of the line of a place, where nothing but white space stands before it; else the place.
fn line_start(text: &str, place: usize) -> usize {
    let before = text.get(..place).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    if before.get(start..).unwrap_or_default().chars().all(char::is_whitespace) { start } else { place }
}

/// Past the newline after a place, where nothing but white space stands between; else the place.
fn line_end(text: &str, place: usize) -> usize {
    let after = text.get(place..).unwrap_or_default();
    match after.find('\n') {
        Some(newline) if after.get(..newline).unwrap_or_default().trim().is_empty() => place + newline + 1,
        _ => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const FOREIGN: &str = "<?xml version='1.0'?>\n<!-- ours: <document type=\"ghost\"/> -->\n<services>\n\t<content id='other'><documents><document type='elsewhere'/></documents></content>\n\t<content id=\"cogniverse\" version=\"1.0\">\n\t\t<documents garbage-collection='true'>\n\t\t\t<document  type='theirs' mode = 'streaming' global='true' />   <!-- keep -->\n\t\t</documents>\n\t</content>\n</services>";

    #[test]
    fn invariant_10_what_others_wrote_stays_byte_for_byte() {
        let added = edit(FOREIGN, "cogniverse", &set(&["a", "b"]), &set(&[])).unwrap();
        let (here, elsewhere) = document_types(&added, "cogniverse").unwrap();
        assert_eq!((here, elsewhere), (set(&["theirs", "a", "b"]), set(&["elsewhere"])));
        assert_eq!(edit(&added, "cogniverse", &set(&["a"]), &set(&[])).unwrap(), added, "again: nothing");
        let one = edit(&added, "cogniverse", &set(&[]), &set(&["a"])).unwrap();
        assert_eq!(document_types(&one, "cogniverse").unwrap().0, set(&["theirs", "b"]));
        assert_eq!(edit(&one, "cogniverse", &set(&[]), &set(&["b"])).unwrap(), FOREIGN);
    }

    #[test]
    fn what_cannot_be_edited_is_refused() {
        for (text, cluster) in [
            (FOREIGN, "nope"),
            ("<services><content id='c'/></services>", "c"),
            ("<services><content id='c'><documents/></content></services>", "c"),
            ("<services", "c"),
        ] {
            let error = edit(text, cluster, &set(&["a"]), &set(&[])).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::FailedPrecondition | ErrorKind::Corrupt), "{error}");
        }
        let one_line = "<services><content id='c'><documents><document type='x'/></documents></content></services>";
        let edited = edit(one_line, "c", &set(&["a"]), &set(&["x"])).unwrap();
        assert_eq!(document_types(&edited, "c").unwrap().0, set(&["a"]));
    }

    #[test]
    fn the_first_package_names_its_hosts() {
        let config =
            VespaConfig::new("http://a:1", "http://a:2").with_hosts(vec!["a.example".into(), "b.example".into()]);
        let text = first(&config, &set(&["x"]));
        assert!(text.contains("<min-redundancy>2</min-redundancy>") && text.contains("distribution-key=\"1\""));
        assert!(hosts(&config).unwrap().contains("<host name=\"b.example\">"));
        assert_eq!(document_types(&text, "cogniverse").unwrap().0, set(&["x"]));
    }
}
