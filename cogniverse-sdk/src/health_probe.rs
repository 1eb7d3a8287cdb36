//! The role of whatever can say whether a part of a service works.

use crate::Result;
use async_trait::async_trait;
use std::fmt;

/// A probe of one part: a store, a server, a model.
///
/// # Contract
/// A probe changes nothing, asks for little, and says nothing of tenants. It may be called often and by several callers at
/// once; its caller bounds its time.
///
/// # Errors
/// Whatever makes the part unusable.
#[async_trait]
pub trait HealthProbe: fmt::Debug + Send + Sync + 'static {
    /// Returns the name in reports, such as `vespa`.
    fn name(&self) -> &str;

    /// Returns whether nobody can be served without the part (default `true`). Without another one, the service is degraded.
    fn is_required(&self) -> bool {
        true
    }

    /// Asks the part, and returns a detail for people, such as its version; empty where there is none.
    async fn probe(&self) -> Result<String>;
}

const _: fn(&dyn HealthProbe) = |_| {};
