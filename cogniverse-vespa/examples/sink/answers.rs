//! The answers, made once.

use crate::corpus::{self, Seeded};
use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

/// All that the sink says.
pub(crate) struct Answers {
    /// `/document/v1`
    pub(crate) document: Bytes,
    /// `/search/`
    pub(crate) search: Bytes,
    /// The active application.
    pub(crate) application: Bytes,
    /// Its `files/cogniverse.json`.
    pub(crate) manifest: Bytes,
    /// `serviceconverge`
    pub(crate) converged: Bytes,
}

impl Answers {
    /// For a sink on this port.
    pub(crate) fn new(port: u16) -> Result<Self> {
        let (base, schema) = corpus::schema()?;
        let name = schema.physical_name();
        let manifest = json!({
            "format": 1, "revision": 1, "system": {},
            "schemas": {name: {
                "tenant": schema.tenant(), "base": schema.base(), "definition": "d", "hash": "h",
                "deployed_at": "2026-01-01T00:00:00Z",
            }},
            "definitions": {"d": &*base},
        });
        let hits: Vec<Value> = (0..10).map(|place| hit(name, place)).collect();
        let search = json!({
            "root": {
                "id": "toplevel", "relevance": 1.0, "fields": {"totalCount": 100},
                "coverage": {"coverage": 100, "documents": 10_000, "full": true, "nodes": 1, "results": 1, "resultsFull": 1},
                "children": hits,
            },
        });
        let converged = json!({
            "services": [{
                "host": "localhost", "port": port, "type": "container", "url": "", "currentGeneration": 1,
                "clusterName": "default",
            }],
            "currentGeneration": 1, "wantedGeneration": 1, "converged": true,
        });
        let document = json!({
            "pathId": format!("/document/v1/cogniverse/{name}/docid/v0%2F0"), "id": format!("id:cogniverse:{name}::v0/0"),
        });
        Ok(Self {
            document: bytes(&document)?,
            search: bytes(&search)?,
            application: bytes(&json!({"generation": 1}))?,
            manifest: bytes(&manifest)?,
            converged: bytes(&converged)?,
        })
    }
}

fn bytes(value: &Value) -> Result<Bytes> {
    Ok(serde_json::to_vec(value)?.into())
}

fn hit(schema: &str, place: u64) -> Value {
    let mut seeded = Seeded(place);
    json!({
        "id": format!("index:cogniverse/0/{place:024x}"), "relevance": 30.0 - f64::from(seeded.unit()), "source": "cogniverse",
        "fields": {
            "sddocname": schema, "documentid": format!("id:cogniverse:{schema}::v{place}/{place}"),
            "video_id": format!("v{place}"), "video_title": seeded.text(30), "source_url": format!("file:///videos/v{place}.mp4"),
            "creation_timestamp": 1_767_225_600_000_u64, "segment_id": place, "start_time": 10.0, "end_time": 20.0,
            "segment_description": seeded.text(200), "audio_transcript": seeded.text(200),
            "matchfeatures": {"firstPhase": 12.5},
        },
    })
}
