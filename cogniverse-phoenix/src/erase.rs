//! Erasure of a tenant's traces, including those in flight.

use cogniverse_foundation::{TelemetryConfig, telemetry::TelemetryManager};
use cogniverse_sdk::{
    Error, Result, TenantId,
    telemetry_provider::{ErasureReceipt, ProjectName, Settle, TelemetryProvider},
};

/// Erases a tenant's project. The pipeline first drops the tenant's spans and refuses new ones, so that nothing in
/// this process recreates the project; then the project is deleted until it stays absent.
///
/// The tenant stays closed in the pipeline; [`TelemetryManager::reopen_tenant`] reverts that.
///
/// # Errors
/// `Timeout` where an export holds the tenant's spans longer than `settle.total`, or another process keeps writing to
/// the project; call again. Those of [`TelemetryProvider::erase_project`].
pub async fn erase_tenant(
    telemetry: &TelemetryManager,
    provider: &dyn TelemetryProvider,
    tenant: &TenantId,
    config: &TelemetryConfig,
    settle: Settle,
) -> Result<ErasureReceipt> {
    let (pipeline, closed) = (telemetry.clone(), tenant.clone());
    tokio::task::spawn_blocking(move || pipeline.close_tenant(&closed, settle.total))
        .await
        .map_err(|e| Error::unexpected("closing the tenant ended early").with_source(e))??;
    provider.erase_project(&ProjectName::parse(config.project_name(tenant))?, settle).await
}
