//! The probe of the data folder.

use crate::backend::EmbeddedBackend;
use async_trait::async_trait;
use cogniverse_sdk::{HealthProbe, Result};

/// Reads the catalog and writes to the data folder.
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
