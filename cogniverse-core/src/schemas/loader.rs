//! Base schemas from a folder of JSON files, from memory, and those that come with this library.

use async_trait::async_trait;
use cogniverse_sdk::{BaseSchema, Error, ErrorKind, Result, SchemaLoader, SchemaName};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a schema file's name ends with, after the schema's own.
const SUFFIX: &str = "_schema.json";

/// Loads `<name>_schema.json` files of one folder. A file is read when it is asked for, so a change is seen at once.
#[derive(Debug, Clone)]
pub struct FilesystemSchemaLoader {
    folder: PathBuf,
}

impl FilesystemSchemaLoader {
    /// The files of a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

#[async_trait]
impl SchemaLoader for FilesystemSchemaLoader {
    async fn list(&self) -> Result<Vec<SchemaName>> {
        let unreadable = |e: std::io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                format!(
                    "the schema folder {} cannot be read; give a folder with *{SUFFIX} files",
                    self.folder.display()
                ),
            )
            .with_source(e)
        };
        let mut entries = tokio::fs::read_dir(&self.folder).await.map_err(unreadable)?;
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            let file = entry.file_name();
            let Some(stem) = file.to_str().and_then(|file| file.strip_suffix(SUFFIX)) else { continue };
            names.push(
                SchemaName::parse(stem).map_err(|e| Error::from(e).with_context("file", entry.path().display()))?,
            );
        }
        names.sort();
        Ok(names)
    }

    async fn load(&self, name: &SchemaName) -> Result<Arc<BaseSchema>> {
        let path = self.folder.join(format!("{name}{SUFFIX}"));
        match tokio::fs::read_to_string(&path).await {
            Ok(text) => parse(name, &text, &path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Err(Error::unknown("schema", name, self.list().await?).with_context("folder", self.folder.display()))
            }
            Err(e) => {
                let message =
                    format!("the schema file {} cannot be read; check that it is a readable text file", path.display());
                Err(Error::new(ErrorKind::Unavailable, message).with_source(e))
            }
        }
    }
}

/// The text of a schema file, which must hold the schema of that name and be one that works.
fn parse(name: &SchemaName, text: &str, source: &Path) -> Result<Arc<BaseSchema>> {
    let broken = |e: serde_json::Error| {
        let place = if e.line() > 0 { format!(" (line {}, column {})", e.line(), e.column()) } else { String::new() };
        Error::invalid(format!(
            "the schema file {} is wrong: {e}{place}; see configs/schemas for files that are right",
            source.display()
        ))
    };
    let schema: BaseSchema = serde_json::from_str(text).map_err(broken)?;
    if schema.name != *name {
        return Err(Error::invalid(format!(
            "the file {} holds the schema \"{}\"; name both alike",
            source.display(),
            schema.name
        )));
    }
    let schema = Arc::new(schema);
    super::Schema::compile(Arc::clone(&schema)).map_err(|e| e.with_context("file", source.display()))?;
    Ok(schema)
}

/// Base schemas that are held in memory: for tests, and for services that make their own.
#[derive(Debug, Clone, Default)]
pub struct InMemorySchemaLoader {
    schemas: BTreeMap<SchemaName, Arc<BaseSchema>>,
}

impl InMemorySchemaLoader {
    /// These schemas; of two with one name the last counts.
    #[must_use]
    pub fn new(schemas: impl IntoIterator<Item = BaseSchema>) -> Self {
        Self { schemas: schemas.into_iter().map(|schema| (schema.name.clone(), Arc::new(schema))).collect() }
    }
}

#[async_trait]
impl SchemaLoader for InMemorySchemaLoader {
    async fn list(&self) -> Result<Vec<SchemaName>> {
        Ok(self.schemas.keys().cloned().collect())
    }

    async fn load(&self, name: &SchemaName) -> Result<Arc<BaseSchema>> {
        self.schemas.get(name).cloned().ok_or_else(|| Error::unknown("schema", name, self.schemas.keys()))
    }
}

/// The schemas that come with this library: those of `configs/schemas`, for users who bring none.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbeddedSchemaLoader;

/// The files as they were when this library was built.
const SHIPPED: [(&str, &str); 8] = [
    ("agent_memories", include_str!("../../../configs/schemas/agent_memories_schema.json")),
    (
        "video_colpali_smol500_mv_frame",
        include_str!("../../../configs/schemas/video_colpali_smol500_mv_frame_schema.json"),
    ),
    (
        "video_colqwen_omni_mv_chunk_30s",
        include_str!("../../../configs/schemas/video_colqwen_omni_mv_chunk_30s_schema.json"),
    ),
    ("video_text_minilm_mv_segment", include_str!("../../../configs/schemas/video_text_minilm_mv_segment_schema.json")),
    (
        "video_videoprism_base_mv_chunk_30s",
        include_str!("../../../configs/schemas/video_videoprism_base_mv_chunk_30s_schema.json"),
    ),
    (
        "video_videoprism_large_mv_chunk_30s",
        include_str!("../../../configs/schemas/video_videoprism_large_mv_chunk_30s_schema.json"),
    ),
    (
        "video_videoprism_lvt_base_sv_chunk_6s",
        include_str!("../../../configs/schemas/video_videoprism_lvt_base_sv_chunk_6s_schema.json"),
    ),
    (
        "video_videoprism_lvt_large_sv_chunk_6s",
        include_str!("../../../configs/schemas/video_videoprism_lvt_large_sv_chunk_6s_schema.json"),
    ),
];

#[async_trait]
impl SchemaLoader for EmbeddedSchemaLoader {
    async fn list(&self) -> Result<Vec<SchemaName>> {
        SHIPPED.iter().map(|(name, _)| Ok(SchemaName::parse(name)?)).collect()
    }

    async fn load(&self, name: &SchemaName) -> Result<Arc<BaseSchema>> {
        match SHIPPED.iter().find(|(shipped, _)| *shipped == name.as_str()) {
            Some((_, text)) => parse(name, text, Path::new(&format!("{name}{SUFFIX}"))),
            None => Err(Error::unknown("schema", name, SHIPPED.iter().map(|(shipped, _)| shipped))),
        }
    }
}
