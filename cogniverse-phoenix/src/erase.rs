//! A tenant's traces gone, also those on their way.

use cogniverse_foundation::{TelemetryConfig, telemetry::TelemetryManager};
use cogniverse_sdk::{
    Error, Result, TenantId,
    telemetry_provider::{ErasureReceipt, ProjectName, Settle, TelemetryProvider},
};

/// Erases a tenant's project. First the pipeline gives up the tenant's spans and takes no more, so that nothing that waits in
/// this process brings the project back; then the project is deleted and asked for until it has stayed away.
///
/// The tenant stays closed in the pipeline: [`TelemetryManager::reopen_tenant`] is for one that comes back.
///
/// # Errors
/// `Timeout` where an export holds the tenant's spans for longer than `settle.total`, or where another process goes on writing
/// to the project; call again. As [`TelemetryProvider::erase_project`].
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
