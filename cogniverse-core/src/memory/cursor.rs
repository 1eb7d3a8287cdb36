//! Page cursors of memories. Each carries the tenant and the list that it belongs to (invariant 8).

use cogniverse_sdk::{
    Error, MemoryReach, Result, TenantId, Timestamp,
    memory_store::{ListMemories, MemoryFilter},
};

/// Where the next page begins.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    tenant: TenantId,
    reach: MemoryReach,
    filter: MemoryFilter,
    expired: bool,
    /// The time at which the list began, which decides what is expired on all of its pages.
    pub(super) as_of: Timestamp,
    /// The store's own place; empty at the beginning.
    pub(super) at: String,
}

impl Place {
    /// Where a request's page begins.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor of another tenant or another list, or none.
    pub(super) fn of(tenant: &TenantId, request: &ListMemories, now: Timestamp) -> Result<Self> {
        let ListMemories { reach, filter, expired, after, .. } = request;
        let begin = Self {
            tenant: tenant.clone(),
            reach: reach.clone(),
            filter: filter.clone(),
            expired: *expired,
            as_of: now,
            at: String::new(),
        };
        let Some(text) = after else { return Ok(begin) };
        let place: Self = serde_json::from_str(text).map_err(|e| {
            Error::invalid("this is no page cursor of memories; give back the `next` of the page before").with_source(e)
        })?;
        let same = place.tenant == begin.tenant
            && place.reach == begin.reach
            && place.filter == begin.filter
            && place.expired == begin.expired;
        if same {
            Ok(place)
        } else {
            Err(Error::invalid("the page cursor belongs to another tenant or another list; begin without it"))
        }
    }

    /// The cursor of the page after this one.
    pub(super) fn next(mut self, at: String) -> Result<String> {
        self.at = at;
        serde_json::to_string(&self).map_err(|e| Error::unexpected("a page cursor cannot be written").with_source(e))
    }
}
