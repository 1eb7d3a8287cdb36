//! Schema loaders: from a folder of JSON files, from memory, and the schemas shipped with this library.

use async_trait::async_trait;
use cogniverse_sdk::{BaseSchema, Error, ErrorCode, ErrorKind, Result, SchemaLoader, SchemaName};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The suffix of a schema file after the schema's name.
const SUFFIX: &str = "_schema.json";

/// A loader of `<name>_schema.json` files in one folder. A file is read on each request, so that changes are seen at
/// once.
#[derive(Debug, Clone)]
pub struct FilesystemSchemaLoader {
    folder: PathBuf,
}

impl FilesystemSchemaLoader {
    /// Creates a loader for a folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

#[async_trait]
impl SchemaLoader for FilesystemSchemaLoader {
    async fn list(&self) -> Result<Vec<SchemaName>> {
        let unreadable = |e: std::io::Error| {
            Error::of(
                ErrorCode::FileUnreadable,
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
                Err(unknown(name, self.list().await?).with_context("folder", self.folder.display()))
            }
            Err(e) => {
                let message =
                    format!("the schema file {} cannot be read; check that it is a readable text file", path.display());
                Err(Error::of(ErrorCode::FileUnreadable, message).with_source(e))
            }
        }
    }
}

/// Parses and compiles the text of a schema file, which must hold the schema of that name.
fn parse(name: &SchemaName, text: &str, source: &Path) -> Result<Arc<BaseSchema>> {
    let broken = |e: serde_json::Error| {
        let place = if e.line() > 0 { format!(" (line {}, column {})", e.line(), e.column()) } else { String::new() };
        Error::invalid(format!(
            "the schema file {} is wrong: {e}{place}; see cogniverse-core/schemas for files that are right",
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

/// A loader of schemas held in memory, for tests and for services that build their own.
#[derive(Debug, Clone, Default)]
pub struct InMemorySchemaLoader {
    schemas: BTreeMap<SchemaName, Arc<BaseSchema>>,
}

impl InMemorySchemaLoader {
    /// Creates a loader; of schemas with the same name the last is used.
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
        self.schemas.get(name).cloned().ok_or_else(|| unknown(name, self.schemas.keys()))
    }
}

/// A loader of the schemas shipped with this library, those of `cogniverse-core/schemas`.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbeddedSchemaLoader;

/// The files as of the build of this library.
const SHIPPED: [(&str, &str); 9] = [
    ("agent_memories", include_str!("../../schemas/agent_memories_schema.json")),
    ("video_catalogue", include_str!("../../schemas/video_catalogue_schema.json")),
    ("video_colpali_smol500_mv_frame", include_str!("../../schemas/video_colpali_smol500_mv_frame_schema.json")),
    ("video_colqwen_omni_mv_chunk_30s", include_str!("../../schemas/video_colqwen_omni_mv_chunk_30s_schema.json")),
    ("video_text_minilm_mv_segment", include_str!("../../schemas/video_text_minilm_mv_segment_schema.json")),
    (
        "video_videoprism_base_mv_chunk_30s",
        include_str!("../../schemas/video_videoprism_base_mv_chunk_30s_schema.json"),
    ),
    (
        "video_videoprism_large_mv_chunk_30s",
        include_str!("../../schemas/video_videoprism_large_mv_chunk_30s_schema.json"),
    ),
    (
        "video_videoprism_lvt_base_sv_chunk_6s",
        include_str!("../../schemas/video_videoprism_lvt_base_sv_chunk_6s_schema.json"),
    ),
    (
        "video_videoprism_lvt_large_sv_chunk_6s",
        include_str!("../../schemas/video_videoprism_lvt_large_sv_chunk_6s_schema.json"),
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
            None => Err(unknown(name, SHIPPED.iter().map(|(shipped, _)| shipped))),
        }
    }
}

/// A loader that combines a service's own schemas with the shipped ones. Where both have a name, their contents must
/// be equal unless [`WithShippedSchemas::overriding`] was called.
#[derive(Debug, Clone)]
pub struct WithShippedSchemas {
    own: Arc<dyn SchemaLoader>,
    own_counts: bool,
}

impl WithShippedSchemas {
    /// Combines own schemas with the shipped ones.
    #[must_use]
    pub fn new(own: Arc<dyn SchemaLoader>) -> Self {
        Self { own, own_counts: false }
    }

    /// Prefers the own schema where both have a name.
    #[must_use]
    pub fn overriding(mut self) -> Self {
        self.own_counts = true;
        self
    }

    /// Detects conflicting names before anything is deployed.
    ///
    /// # Errors
    /// `Conflict` that names the schema; any error of the own loader.
    pub async fn check(&self) -> Result<()> {
        for name in self.own.list().await? {
            if is_shipped(&name) {
                self.load(&name).await?;
            }
        }
        Ok(())
    }
}

fn unknown<S: std::fmt::Display>(name: &SchemaName, existing: impl IntoIterator<Item = S>) -> Error {
    Error::unknown("schema", name, existing).with_code(ErrorCode::SchemaUnknown)
}

fn is_shipped(name: &SchemaName) -> bool {
    SHIPPED.iter().any(|(shipped, _)| *shipped == name.as_str())
}

#[async_trait]
impl SchemaLoader for WithShippedSchemas {
    async fn list(&self) -> Result<Vec<SchemaName>> {
        let mut names: BTreeSet<SchemaName> = EmbeddedSchemaLoader.list().await?.into_iter().collect();
        names.extend(self.own.list().await?);
        Ok(names.into_iter().collect())
    }

    async fn load(&self, name: &SchemaName) -> Result<Arc<BaseSchema>> {
        let own = match self.own.load(name).await {
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            own => Some(own?),
        };
        match (own, is_shipped(name)) {
            (None, true) => EmbeddedSchemaLoader.load(name).await,
            (None, false) => Err(unknown(name, self.list().await?)),
            (Some(own), false) => Ok(own),
            (Some(own), true) if self.own_counts => Ok(own),
            (Some(own), true) => {
                let shipped = EmbeddedSchemaLoader.load(name).await?;
                if own == shipped {
                    return Ok(shipped);
                }
                Err(Error::of(
                    ErrorCode::SchemaNameTaken,
                    format!(
                        "the schema \"{name}\" comes with this library and your schema loader has another of that name; name yours otherwise, or say that it counts by schema_overrides in place of schema_loader"
                    ),
                ))
            }
        }
    }
}
