//! The probe of the data folder.

use crate::backend::EmbeddedBackend;
use async_trait::async_trait;
use cogniverse_sdk::{Error, ErrorCode, HealthProbe, Result};

/// Reads the catalog, and writes and removes a file in the data folder.
#[async_trait]
impl HealthProbe for EmbeddedBackend {
    fn name(&self) -> &str {
        "embedded"
    }

    async fn probe(&self) -> Result<String> {
        let folder = self.check_folder().await?;
        Ok(folder.display().to_string())
    }
}

/// Writes and removes a file.
pub(crate) fn write_and_remove(folder: &std::path::Path) -> Result<()> {
    let path = folder.join("health.probe");
    let refused = |e: std::io::Error| {
        let full = e.kind() == std::io::ErrorKind::StorageFull;
        let code = if full { ErrorCode::DiskFull } else { ErrorCode::StorageNotWritable };
        let message = format!(
            "the data folder {} cannot be written; free some space, or check its permissions",
            folder.display()
        );
        Error::of(code, message).with_source(e)
    };
    std::fs::write(&path, b"probe").and_then(|()| std::fs::remove_file(&path)).map_err(refused)
}
