//! The parameters of a visit, and its place.

use super::{
    Refusal, check_cluster, integer, milliseconds,
    path::{Path, Route},
};
use crate::{
    content::{
        Running,
        document_id::{BUCKETS, DocumentId, Place},
        selection::{self, Operand, Operator, Selection},
    },
    message::Request,
};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use http::Method;

/// A checked visit.
pub(super) struct VisitRequest {
    /// The document types that are visited, sorted by name.
    pub(super) types: Vec<String>,
    /// The caller's.
    pub(super) selection: Selection,
    /// What the path adds to it.
    pub(super) within: Vec<Selection>,
    pub(super) wanted: usize,
    pub(super) from: usize,
    /// (slices, this slice)
    pub(super) slice: (usize, usize),
    pub(super) stream: bool,
    pub(super) lines: bool,
    /// Buckets after which a removal or update stops.
    pub(super) chunk: usize,
    /// The end of the buckets: a group lies in one.
    pub(super) end: usize,
}

impl VisitRequest {
    /// Reads and checks the parameters.
    pub(super) fn read(running: &Running, request: &Request, route: &Route, path: &Path) -> Result<Self, Refusal> {
        let writes = request.method != Method::GET;
        if writes {
            check_write(request, path)?;
        }
        let types = types(running, request, route)?;
        let positive = |name: &str| -> Result<Option<usize>, Refusal> {
            match integer(request, name)? {
                Some(number) if number < 1 => Err(Refusal::bad(format!("{name} must be positive"))),
                number => Ok(number.and_then(|number| usize::try_from(number).ok())),
            }
        };
        let stream = request.flag("stream") && !writes;
        let wanted = positive("wantedDocumentCount")?;
        positive("concurrency")?;
        let slice = match (integer(request, "slices")?, integer(request, "sliceId")?) {
            (None, None) => (1, 0),
            (Some(slices), Some(_)) if slices < 1 => {
                return Err(Refusal::bad(format!("slices must be positive, but was {slices}")));
            }
            (Some(slices), Some(slice)) if slice < 0 || slice >= slices => {
                return Err(Refusal::bad(format!("sliceId must be in [0, {slices}), but was {slice}")));
            }
            (Some(slices), Some(slice)) => (usize::try_from(slices).unwrap_or(1), usize::try_from(slice).unwrap_or(0)),
            _ => return Err(Refusal::bad("None or both of 'slices' and 'sliceId' must be set")),
        };
        if let (Some(from), Some(to)) = (integer(request, "fromTimestamp")?, integer(request, "toTimestamp")?)
            && to < from
        {
            return Err(Refusal::bad("toTimestamp must be greater than, or equal to, fromTimestamp"));
        }
        let chunk = milliseconds(request, "timeChunk")?.unwrap_or(60_000);
        let accepts =
            request.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let selection = selection::parse(request.parameter("selection").unwrap_or_default());
        let group = group_bucket(route);
        let from = request.parameter("continuation").map_or(Ok(group.unwrap_or(0)), place)?;
        Ok(Self {
            types,
            selection: selection.map_err(|error| Refusal::bad(error.message()))?,
            within: within(route),
            wanted: wanted.map_or(if stream || writes { usize::MAX } else { 1 }, |wanted| wanted.min(1024)),
            from,
            end: group.map_or(BUCKETS, |bucket| bucket + 1),
            slice,
            stream,
            lines: stream && accepts.contains("application/jsonl"),
            chunk: if writes && chunk < 1000 { BUCKETS / 4 } else { BUCKETS },
        })
    }
}

/// Removals and updates by selection say what they mean, and nothing about reading.
fn check_write(request: &Request, path: &Path) -> Result<(), Refusal> {
    let mut needed = vec!["selection", "cluster"];
    if request.method == Method::POST {
        needed.insert(0, "destinationCluster");
    }
    if let Some(name) = needed.into_iter().find(|name| request.parameter(name).is_none()) {
        return Err(Refusal::bad(format!("Must specify '{name}' at '{}'", path.text)));
    }
    let forbidden = ["concurrency", "fieldSet", "route", "wantedDocumentCount"];
    match forbidden.into_iter().find(|name| request.parameter(name).is_some()) {
        Some(name) => Err(Refusal::bad(format!("May not specify '{name}' at '{}'", path.text))),
        None => Ok(()),
    }
}

fn types(running: &Running, request: &Request, route: &Route) -> Result<Vec<String>, Refusal> {
    let named = check_cluster(running, request)?;
    let clusters = || running.package.clusters.iter().filter(|cluster| named.is_none_or(|name| cluster.name == name));
    if let Route::Type { document_type, .. } = route {
        if clusters().any(|cluster| cluster.types.iter().any(|(name, _)| name == document_type)) {
            return Ok(vec![document_type.clone()]);
        }
        let Some(cluster) = clusters().next() else {
            return Err(Refusal::bad(
                "Your Vespa deployment has no content clusters, so the document API is not enabled",
            ));
        };
        let names: Vec<String> = cluster.types.iter().map(|(name, _)| format!("'{name}'")).collect();
        return Err(Refusal::bad(format!(
            "There is no document type '{document_type}' in cluster '{}', only {}",
            cluster.name,
            names.join(", ")
        )));
    }
    let Some(name) = named else {
        return Err(Refusal::bad(
            "Must set 'cluster' parameter to a valid content cluster id when visiting at a root /document/v1/ level",
        ));
    };
    let global = match request.parameter("bucketSpace") {
        None | Some("default") => false,
        Some("global") => true,
        Some(other) => {
            return Err(Refusal::bad(format!(
                "Bucket space '{other}' is not a known bucket space; expected one of default, global"
            )));
        }
    };
    let cluster = running.package.clusters.iter().find(|cluster| cluster.name == name);
    let types = cluster.into_iter().flat_map(|cluster| &cluster.types).filter(|(_, is)| *is == global);
    let mut types: Vec<String> = types.map(|(name, _)| name.clone()).collect();
    types.sort();
    Ok(types)
}

fn within(route: &Route) -> Vec<Selection> {
    let Route::Type { namespace, place, .. } = route else { return Vec::new() };
    let equal = |part: &str, value| Selection::Compare(Operand::Id(part.to_owned()), Operator::Equal, value);
    let mut all = vec![equal("namespace", Operand::Text(namespace.clone()))];
    match place {
        Place::Rest => {}
        Place::Group(group) => all.push(equal("group", Operand::Text(group.clone()))),
        Place::Number(number) => all.push(equal("user", Operand::Number(*number as f64))),
    }
    all
}

/// The bucket of a group's documents.
fn group_bucket(route: &Route) -> Option<usize> {
    let Route::Type { namespace, document_type, place } = route else { return None };
    let (namespace, document_type) = (namespace.clone(), document_type.clone());
    let id = DocumentId { namespace, document_type, place: place.clone(), rest: String::new() };
    (*place != Place::Rest).then(|| id.bucket())
}

/// The token of a place between buckets.
pub(super) fn token(bucket: usize) -> String {
    let bucket = u64::try_from(bucket).unwrap_or(0);
    let mut bytes = 8u32.to_be_bytes().to_vec();
    for number in [bucket, bucket, BUCKETS as u64] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&[0; 4]);
    URL_SAFE.encode(bytes)
}

fn place(token: &str) -> Result<usize, Refusal> {
    let wrong = |why: &str| Refusal::bad(format!("Failed parsing '{token}': {why}"));
    let bytes = URL_SAFE.decode(token).map_err(|_| wrong("Last unit does not have enough valid bits"))?;
    let cursor = bytes.get(4..12).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
    let cursor = cursor.filter(|_| bytes.len() == 32).ok_or_else(|| wrong("BufferUnderflowException"))?;
    usize::try_from(cursor).ok().filter(|cursor| *cursor <= BUCKETS).ok_or_else(|| wrong("no such bucket"))
}
