//! Blocking work on Tokio's blocking threads.

use cogniverse_sdk::{Error, ErrorKind, Result};
use tokio::runtime::Handle;

/// Returns the Tokio runtime of the calling code.
///
/// # Errors
/// `FailedPrecondition` outside a runtime, where Tokio's own functions would panic.
pub fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|e| {
        Error::new(
            ErrorKind::FailedPrecondition,
            "there is no Tokio runtime here; call this from #[tokio::main], or within Runtime::block_on of one that was built with enable_all",
        )
        .with_source(e)
    })
}

/// Runs blocking work on a thread where it may block.
///
/// # Errors
/// Those of [`runtime`]; `Unexpected` where the work panics; the error of the work itself.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = runtime()?.spawn_blocking(work).await;
    done.map_err(|e| Error::unexpected("a worker thread ended early").with_source(e))?
}
