//! Audit logs: in memory, and beside the configuration.

mod memory;
mod recorder;
mod stored;

pub use memory::InMemoryAuditLog;
pub use recorder::AuditRecorder;
pub use stored::StoredAuditLog;

use cogniverse_sdk::audit_log::MAX_PAGE;
use cogniverse_sdk::{Error, Result};

fn page_limit(limit: usize) -> Result<usize> {
    if limit == 0 {
        return Err(Error::invalid("a page of 0 audit entries; give a limit from 1 to 1000"));
    }
    Ok(limit.min(MAX_PAGE))
}
